"""What becomes of a query whose client is slow, gone, or unlucky: each test pulls a plug."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from astropy.io.votable import parse
from lxml import etree

from km3vo.database.logins import Database
from tests.protocols.readers import MANY, STALLING, begin, eventually, running
from tests.support.cells import VOTABLE
from tests.support.server import Server, serve
from tests.support.tap import ENDLESS, late_mistake

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def impatient(published: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that gives a query one second, and a client that reads nothing three."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KM3VO_LIMITS_SYNC_SECONDS", "1")
        patch.setenv("KM3VO_LIMITS_IDLE_CLIENT_SECONDS", "3")
        with serve(published, tmp_path_factory.mktemp("home")) as server:
            assert server.settings.limits.sync_seconds == 1
            yield server


def test_the_query_stops_when_the_client_leaves(server: Server, published: Database) -> None:
    with begin(server, MANY):
        assert running(published) == 1
    assert eventually(lambda: running(published) == 0)


def test_a_query_without_rows_is_cancelled_when_the_client_leaves(server: Server, published: Database) -> None:
    """The thread that writes the answer waits for rows and notices nothing, so the query itself has to be stopped."""
    with begin(server, STALLING, RESPONSEFORMAT="csv") as client:
        client.settimeout(2)
        with pytest.raises(TimeoutError):
            while client.recv(1 << 20):
                pass
        assert running(published) == 1
    assert eventually(lambda: running(published) == 0, seconds=20), "a query may run for sixty seconds"


def test_leaving_often_exhausts_nothing(server: Server, published: Database) -> None:
    for _ in range(3 * server.settings.pools.streams):
        begin(server, MANY).close()
    assert eventually(lambda: running(published) == 0)
    answer = httpx.get(f"{server.tap}/sync", params={"LANG": "ADQL", "QUERY": "SELECT TOP 1 id FROM icecube.ps3yr"})
    assert answer.status_code == 200


def test_a_client_that_reads_nothing_loses_its_connection(impatient: Server, published: Database) -> None:
    with begin(impatient, MANY):
        assert running(published) == 1
        assert eventually(lambda: running(published) == 0)


@pytest.mark.parametrize("form", ["votable/td", "csv"])
def test_a_cone_stops_when_the_client_leaves(server: Server, published: Database, form: str) -> None:
    def waiting() -> int:
        (count,) = watcher.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = 'km3vo_public' AND wait_event_type = 'Lock'"
            " AND datname = current_database()"
        ).fetchone() or (0,)
        return int(count)

    with published.connect() as owner, psycopg.connect(published.admin, autocommit=True) as watcher:
        owner.execute("LOCK TABLE icecube.ps3yr")  # so it takes as long as it has to
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{server.url}/scs/icecube/ps3yr?RA=0&DEC=0&SR=20&RESPONSEFORMAT={form}", timeout=1)
        assert eventually(lambda: waiting() == 0, seconds=5), "the lock's own time limit is ten seconds"
    answer = httpx.get(f"{server.url}/scs/icecube/ps3yr?RA=0&DEC=0&SR=20&RESPONSEFORMAT={form}")
    assert b"Error" not in answer.content


def test_the_time_of_a_slow_client_does_not_count(impatient: Server) -> None:
    asked = {"LANG": "ADQL", "QUERY": MANY, "MAXREC": "100000", "RESPONSEFORMAT": "csv"}
    with httpx.stream("GET", f"{impatient.tap}/sync", params=asked, headers={"Accept-Encoding": "identity"}) as answer:
        lines, reads = 0, 0
        for chunk in answer.iter_raw(1 << 17):
            lines += chunk.count(b"\n")
            reads += 1
            time.sleep(0.1)
    assert reads > 20, "longer than the second that a query may take"
    assert lines == 100_001


def test_a_query_that_takes_too_long_is_told_and_stopped(impatient: Server, published: Database) -> None:
    answer = httpx.get(f"{impatient.tap}/sync", params={"LANG": "ADQL", "QUERY": ENDLESS}, timeout=20)
    assert answer.status_code == 408
    (status,) = parse(io.BytesIO(answer.content)).resources[0].infos
    assert status.value == "ERROR"
    assert "longer than it may" in str(status.content)
    assert eventually(lambda: running(published) == 0)


def test_a_mistake_after_the_first_rows_ends_the_same_document(server: Server, published: Database) -> None:
    asked = {"LANG": "ADQL", "QUERY": late_mistake(published), "MAXREC": "4000000"}
    answer = httpx.get(f"{server.tap}/sync", params=asked, timeout=60)
    assert answer.status_code == 200
    # astropy would read half a million rows for half a minute.
    document = etree.fromstring(answer.content, etree.XMLParser(huge_tree=True))
    assert document.tag == f"{VOTABLE}VOTABLE"
    assert len(document.findtext(f"{VOTABLE}RESOURCE//{VOTABLE}STREAM")) > 20_000
    statuses = [info.get("value") for info in document.iter(f"{VOTABLE}INFO") if info.get("name") == "QUERY_STATUS"]
    assert statuses == ["OK", "ERROR"]
    assert b"a division by zero" in answer.content


def test_a_format_that_cannot_tell_of_a_mistake_is_cut(server: Server, published: Database) -> None:
    asked = {"LANG": "ADQL", "QUERY": late_mistake(published), "MAXREC": "4000000", "RESPONSEFORMAT": "csv"}
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{server.tap}/sync", params=asked, timeout=60)


def test_a_mistake_in_the_first_rows_is_an_error_document(server: Server) -> None:
    asked = {"LANG": "ADQL", "QUERY": "SELECT 1 / (nhit - nhit) AS x FROM ant20_01.main"}
    answer = httpx.get(f"{server.tap}/sync", params=asked)
    assert answer.status_code == 400
    (status,) = parse(io.BytesIO(answer.content)).resources[0].infos
    assert "a division by zero" in str(status.content)


def test_connections_that_postgresql_closed_are_replaced(server: Server, published: Database) -> None:
    def ask() -> tuple[int, int]:
        query = {"LANG": "ADQL", "QUERY": "SELECT TOP 1 id FROM icecube.ps3yr"}
        cone = httpx.get(f"{server.url}/scs/icecube/ps3yr?RA=0&DEC=0&SR=10")
        assert b'name="Error"' not in cone.content
        return httpx.get(f"{server.tap}/sync", params=query).status_code, cone.status_code

    assert ask() == (200, 200)
    with psycopg.connect(published.admin, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE usename LIKE 'km3vo%' AND pid <> pg_backend_pid() AND datname = current_database()"
        )
    assert [ask() for _ in range(10)] == [(200, 200)] * 10


def test_gzip_when_asked(server: Server, tmp_path: Path) -> None:
    asked = {"LANG": "ADQL", "QUERY": "SELECT id, ra FROM icecube.ps3yr", "RESPONSEFORMAT": "csv"}
    plain = httpx.get(f"{server.tap}/sync", params=asked, headers={"Accept-Encoding": "identity"})
    packed = httpx.get(f"{server.tap}/sync", params=asked, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert "Accept-Encoding" in plain.headers["vary"]


def test_an_upload_that_is_abandoned_is_no_fault_of_ours(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Each left a traceback in the log."""
    quota = server.app.state.service.request_quota
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.settings.port)) as client:
            client.sendall(
                b"POST /tap/sync HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
                b"Content-Length: 1000000\r\n\r\n"
                b'--b\r\nContent-Disposition: form-data; name="t"; filename="t"\r\n\r\n' + bytes(500_000)
            )
            assert eventually(lambda: quota._used >= 500_000)
        assert eventually(lambda: quota._used == 0)
    told = [record for record in caplog.records if record.exc_info or record.levelname == "ERROR"]
    assert not told, told
