"""Whoever is being answered when the server stops is told so."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from km3vo.database.logins import Database
from km3vo.database.turns import Turns
from km3vo.errors import StoppingError
from tests.support.server import serve
from tests.support.tap import ENDLESS, Client

pytestmark = pytest.mark.slow


def test_who_is_answered_when_the_server_stops(
    published: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Running synchronous queries and those who waited for a job got 500; uploads on their way looked like faults."""
    with ThreadPoolExecutor(8) as threads:
        with serve(published, tmp_path) as server:
            service = server.app.state.service
            client = Client(server)
            job = client.job(ENDLESS, PHASE="RUN")
            job.executing()
            waits = threads.submit(job.get, WAIT=100)
            queries = [threads.submit(client.sync, ENDLESS) for _ in range(3)]
            lanes = service.lanes["public"]
            while lanes.long.held + lanes.long.waiting < 3 or not service.signals._waiting:
                pass
            upload = socket.create_connection(("127.0.0.1", server.settings.port))
            upload.sendall(b"POST /tap/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nContent-Type: text/xml\r\n\r\n")
            at_work = server
        waited = waits.result()
        assert waited.status_code == 200 and b"EXECUTING" in waited.content
        answers = [query.result() for query in queries]
        assert {answer.status_code for answer in answers} == {503}
        assert all("the service is being restarted" in answer.text for answer in answers)
        assert all(answer.headers["retry-after"] for answer in answers)
        client.http.close()
        assert upload.recv(100).startswith(b"HTTP/1.1 503 ")
        upload.close()
    assert "Exception in ASGI application" not in caplog.text
    with pytest.raises(httpx.TransportError):
        httpx.get(at_work.url)


def test_nobody_gets_a_turn_any_more() -> None:
    async def work() -> None:
        turns = Turns(1, each=1, waiting=5, seconds=20)
        turn = await turns.take("a")
        waits = asyncio.create_task(turns.take("b"))
        await asyncio.sleep(0)
        turns.close()
        for refused in (waits, asyncio.create_task(turns.take("c"))):
            with pytest.raises(StoppingError):
                await refused
        turn.end()
        await asyncio.sleep(0.01)
        assert turns.held == turns.waiting == 0

    asyncio.run(work())
