"""Following alerts: at once, without a gap, without waiting for who is slow."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from km3vo.alerts.intake import Sender, accept
from km3vo.alerts.redaction import redact
from km3vo.alerts.tables import AlertTables
from km3vo.catalog.model import Catalog
from km3vo.database.logins import OWNER, SERVICE, Database
from km3vo.protocols.alerts import stream
from tests.support import samples
from tests.support.server import Server, serve


@pytest.fixture
def server(copy_published: Database, tmp_path: Path) -> Iterator[Server]:
    with serve(copy_published, tmp_path, promote_seconds=0, metadata_seconds=0) as running:
        yield running


def send(database: Database, number: int, **changes: Any) -> None:
    message = samples.km3_230213a() | {"alert_id": f"a-{number}"} | changes
    del message["event_name"]
    with database.connect(SERVICE, autocommit=True) as connection:
        accept(connection, json.dumps(message).encode(), Sender("me"))


def read(lines: Iterator[str], count: int) -> list[tuple[int, str]]:
    """So many events: number, and identifier of the alert."""
    found: list[tuple[int, str]] = []
    number = 0
    while len(found) < count:
        name, _, value = next(lines).partition(": ")
        if name == "id":
            number = int(value)
        elif name == "data":
            found.append((number, json.loads(value)["id"]))
    return found


def past(server: Server, **parameters: str) -> list[tuple[int, str]]:
    """What a client gets that does not wait for more."""
    answer = httpx.get(f"{server.url}/alerts/stream", params={"follow": "0"} | parameters)
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = answer.text.splitlines()
    return read(iter(lines), sum(line.startswith("data: ") for line in lines))


def test_alerts_come_as_they_are_published(server: Server, copy_published: Database) -> None:
    send(copy_published, 0)
    with httpx.stream("GET", f"{server.url}/alerts/stream", timeout=60) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("retry")
        send(copy_published, 1, tense="test")
        send(copy_published, 2)
        assert read(lines, 1) == [(3, "a-2")]
    with httpx.stream(
        "GET", f"{server.url}/alerts/stream?test=1", headers={"Last-Event-ID": "1"}, timeout=60
    ) as answer:
        lines = answer.iter_lines()
        assert read(lines, 2) == [(2, "a-1"), (3, "a-2")]
        send(copy_published, 3)
        assert read(lines, 1) == [(4, "a-3")]


def test_what_was_missed_is_made_up_for(
    server: Server, copy_published: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        send(copy_published, number)
    assert past(server, last="0") == [(number + 1, f"a-{number}") for number in range(5)]
    assert past(server, last="3") == [(4, "a-3"), (5, "a-4")]
    assert past(server) == past(server, last="5") == past(server, last="99") == []
    with copy_published.connect(OWNER) as owner:
        name = f"KM3-230213{'C'}"
        redact(owner, name, AlertTables(Catalog(())), reason="a court", by="ada")
    with serve(copy_published, Path(server.settings.home), promote_seconds=0, metadata_seconds=0) as another:
        assert [number for number, _ in past(another, last="0")] == [1, 2, 4, 5]


def test_one_address_has_a_share_of_the_streams(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "EACH", 1)
    for _ in range(2):  # the second time, what ended is not counted
        with httpx.stream("GET", f"{server.url}/alerts/stream", timeout=60) as answer:
            lines = answer.iter_lines()  # let go of, it would end the stream
            next(lines)
            assert httpx.get(f"{server.url}/alerts/stream").status_code == 429
        end = time.monotonic() + 30
        while server.app.state.service.tail.clients:
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "٣", "9" * 30])
def test_numbers_that_are_none(server: Server, last: str) -> None:
    assert httpx.get(f"{server.url}/alerts/stream", params={"last": last, "follow": "0"}).status_code == 400


def test_many_follow_and_more_are_told(
    server: Server, copy_published: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MOST", 20)
    ready, got = threading.Barrier(21), []

    def follow() -> None:
        with httpx.stream("GET", f"{server.url}/alerts/stream", timeout=120) as answer:
            lines = answer.iter_lines()
            next(lines)
            ready.wait()
            got.append(read(lines, 2))

    threads = [threading.Thread(target=follow) for _ in range(20)]
    for thread in threads:
        thread.start()
    ready.wait()
    refused = httpx.get(f"{server.url}/alerts/stream")
    assert refused.status_code == 503 and refused.headers["retry-after"]
    send(copy_published, 0)
    send(copy_published, 1)
    for thread in threads:
        thread.join()
    assert got == [[(1, "a-0"), (2, "a-1")]] * 20


def test_a_service_that_stops_ends_the_streams(copy_published: Database, tmp_path: Path) -> None:
    with serve(copy_published, tmp_path, promote_seconds=0, metadata_seconds=0) as server:
        service, begun = server.app.state.service, threading.Event()

        def follow() -> None:
            with httpx.stream("GET", f"{server.url}/alerts/stream", timeout=120) as answer:
                for _ in answer.iter_lines():
                    begun.set()

        thread = threading.Thread(target=follow)
        thread.start()
        assert begun.wait(60)
        service.tail._task.get_loop().call_soon_threadsafe(service.tail.stop_waiting)
        thread.join(60)
        assert not thread.is_alive(), "the stream ends with the service"
