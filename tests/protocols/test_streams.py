"""What becomes of a query whose client is slow, gone, or unlucky: each test pulls a plug."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import httpx
import psycopg
import pytest
from astropy.io.votable import parse

from km3vo.store.database import Database
from tests.conftest import Server, serve

pytestmark = pytest.mark.slow

MANY = "SELECT a.id, a.mjd, b.ra FROM icecube.ps3yr AS a, icecube.ps3yr AS b"  # 4 million rows
ENDLESS = "SELECT COUNT(*) FROM icecube.ps3yr AS a, icecube.ps3yr AS b, icecube.ps3yr AS c WHERE a.ra + b.ra < c.dec"


def running(database: Database) -> int:
    """How many streams PostgreSQL is working on; ADBC reads by COPY."""
    with database.connect() as admin:
        (count,) = admin.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = 'km3vo_public' AND state <> 'idle' "
            "AND query LIKE 'COPY%' AND datname = current_database() AND backend_type = 'client backend'"
        ).fetchone() or (0,)
    return int(count)


def eventually(true: Callable[[], bool], seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while not (done := true()) and time.monotonic() < until:
        time.sleep(0.05)
    return done


@pytest.fixture(scope="module")
def impatient(published: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that gives a query one second, and a client that reads nothing one second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KM3VO_LIMITS_SYNC_SECONDS", "1")
        patch.setenv("KM3VO_LIMITS_IDLE_CLIENT_SECONDS", "1")
        with serve(published, tmp_path_factory.mktemp("home")) as server:
            assert server.settings.limits.sync_seconds == 1
            yield server


def begin(server: Server, query: str, **parameters: object) -> socket.socket:
    """Ask, read the first bytes of the answer, and leave the rest where it is."""
    parts = urlsplit(server.tap)
    client = socket.create_connection((parts.hostname, parts.port))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    asked = urlencode({"LANG": "ADQL", "QUERY": query, "MAXREC": 4_000_000, **parameters})
    client.sendall(f"GET {parts.path}/sync?{asked} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert client.recv(1000).startswith(b"HTTP/1.1 200")
    return client


def test_the_query_stops_when_the_client_leaves(server: Server, published: Database) -> None:
    with begin(server, MANY):
        assert running(published) == 1
    assert eventually(lambda: running(published) == 0)


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
    asked = {"LANG": "ADQL", "QUERY": MANY, "MAXREC": 100_000, "RESPONSEFORMAT": "csv"}
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


def late_mistake(database: Database) -> str:
    """A query of 600,000 rows that divides by zero in the last of a table's."""
    with database.connect() as admin:
        ((mjd,),) = admin.execute("SELECT mjd FROM icecube.ps3yr ORDER BY ctid DESC LIMIT 1").fetchall()
    return f"SELECT a.id, b.id, 1 / (a.mjd - {mjd!r}) AS x FROM icecube.ps3yr AS a, ant20_01.main AS b"


def test_a_mistake_after_the_first_rows_ends_the_same_document(server: Server, published: Database) -> None:
    asked = {"LANG": "ADQL", "QUERY": late_mistake(published), "MAXREC": 4_000_000}
    answer = httpx.get(f"{server.tap}/sync", params=asked, timeout=60)
    assert answer.status_code == 200
    assert answer.content.count(b"<VOTABLE") == 1
    resource = parse(io.BytesIO(answer.content)).resources[0]
    assert len(resource.tables[0].array) > 1000
    before, after = (info.value for info in resource.infos if info.name == "QUERY_STATUS")
    assert (before, after) == ("OK", "ERROR")
    assert b"a division by zero" in answer.content


def test_a_format_that_cannot_tell_of_a_mistake_is_cut(server: Server, published: Database) -> None:
    asked = {"LANG": "ADQL", "QUERY": late_mistake(published), "MAXREC": 4_000_000, "RESPONSEFORMAT": "csv"}
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
