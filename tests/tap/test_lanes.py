"""Short work never waits for long work, and nobody takes more than a share."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from km3vo.cluster.priority import LONG, STREAM
from km3vo.database.logins import Database
from tests.support.server import Server, serve
from tests.support.tap import ENDLESS, QUICK, UWS, Client, Job
from tests.support.waiting import until

pytestmark = pytest.mark.slow

TABLE = {"t": b"a\n" + b"".join(b"%d\n" % number for number in range(20_000))}
# Of uploads the planner is not asked, so it begins among the short ones.
SLOW_UPLOAD = "SELECT COUNT(*) AS n FROM TAP_UPLOAD.t AS a, TAP_UPLOAD.t AS b, TAP_UPLOAD.t AS c WHERE a.a + b.a < c.a"


@pytest.fixture
def hasty(copy_published: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server on which what takes more than half a second is long."""
    monkeypatch.setenv("KM3VO_LIMITS_SHORT_SECONDS", "0.5")
    monkeypatch.setenv("KM3VO_LIMITS_SYNC_SECONDS", "10")
    with serve(copy_published, tmp_path) as server:
        yield server


@contextmanager
def visitor(server: Server, number: int) -> Iterator[Client]:
    """Somebody at an address of the network for documentation (the test is a proxy that is believed)."""
    client = Client(server, **{"X-Forwarded-For": f"192.0.2.{number}"})
    with client.http:
        yield client


def remove(*jobs: Job) -> None:
    for job in jobs:
        job.http.delete(job.url)


def told(job: Job, name: str) -> str | None:
    return job.xml().findtext(f"uws:jobInfo/{name}", namespaces=UWS)


def test_a_short_job_runs_beside_long_ones(server: Server) -> None:
    """Two long ones took both places for hours, and a trivial one waited for their whole limit."""
    with visitor(server, 1) as one, visitor(server, 2) as two, visitor(server, 3) as three:
        hogs = [one.job(ENDLESS, PHASE="RUN"), two.job(ENDLESS, PHASE="RUN")]
        for job in hogs:
            job.executing()
        waiting = three.job(ENDLESS, PHASE="RUN")
        assert three.job(QUICK, PHASE="RUN").end() == "COMPLETED"
        assert one.job(QUICK, PHASE="RUN").end() == "COMPLETED", "of an address with a long one, too"
        assert waiting.phase == "QUEUED"
        remove(waiting, *hogs)


def test_an_address_has_one_long_job_and_is_told_where_the_next_stands(server: Server) -> None:
    with visitor(server, 1) as one, visitor(server, 2) as two:
        first, second, third = (one.job(ENDLESS, PHASE="RUN") for _ in range(3))
        first.executing()
        other = two.job(ENDLESS, PHASE="RUN")
        other.executing()
        assert (second.phase, third.phase) == ("QUEUED", "QUEUED"), "though there was a place"
        assert [told(job, "position") for job in (second, third)] == ["1", "2"]
        assert told(second, "queue") == "long"
        assert float(told(second, "expectedSeconds") or 0) > 5
        quotes = [job.get("/quote").text for job in (first, second, third)]
        assert quotes == sorted(quotes) and all(quotes), quotes
        assert datetime.fromisoformat(second.text("quote") or "") > datetime.now(UTC)
        remove(first)
        second.executing()
        assert told(third, "position") == "1"
        remove(second, third, other)
        done = one.job(QUICK, PHASE="RUN")
        done.end()
        assert done.get("/quote").text == "", "it has ended"


def test_a_job_that_proves_long_makes_room(hasty: Server) -> None:
    with visitor(hasty, 1) as one:
        slow = one.job(SLOW_UPLOAD, PHASE="RUN", UPLOAD="t,param:t", files=TABLE)
        sent = hasty.app.state.service.database

        def lane() -> bool:
            with sent.connect() as admin:
                found = admin.execute("SELECT lane, phase FROM km3vo.job WHERE id = %s", [slow.id]).fetchone()
            return bool(found == ("long", "EXECUTING"))

        until(lane)
        remove(slow)


def of_long_work(database: Database) -> list[tuple[int, str, str]]:
    with psycopg.connect(database.admin) as admin:
        return admin.execute(
            "SELECT pid, application_name, backend_type FROM pg_stat_activity WHERE usename = 'km3vo_public' "
            "AND state = 'active' AND query LIKE 'COPY%' AND datname = current_database()"
        ).fetchall()


def priority(pid: int) -> tuple[int, int]:
    """Of a process, and of its session where the kernel shares the processors among sessions."""
    nice, session = os.getpriority(os.PRIO_PROCESS, pid), Path(f"/proc/{pid}/autogroup")
    return nice, int(session.read_text().split()[-1]) if session.exists() else nice


def test_long_work_has_one_process_of_low_priority(server: Server, published: Database) -> None:
    with visitor(server, 1) as one:
        job = one.job(ENDLESS, PHASE="RUN")
        job.executing()
        ((pid, name, _),) = until(lambda: of_long_work(published))
        with psycopg.connect(published.admin) as admin:
            number = admin.execute("SELECT number FROM km3vo.job WHERE id = %s", [job.id]).fetchone()
        assert number and name == f"km3vo job {number[0]}"
        until(lambda: priority(pid) == (LONG, LONG))
        remove(job)
        until(lambda: not of_long_work(published))
        for _ in range(8):  # whatever connection it gets, none is slow
            assert one.sync(QUICK).status_code == 200
        with psycopg.connect(published.admin) as admin:
            found = admin.execute(
                "SELECT pid, application_name FROM pg_stat_activity WHERE usename = 'km3vo_public' "
                "AND datname = current_database()"
            ).fetchall()
        # Cones have connections of their own.
        assert found and {(name == "km3vo", *priority(pid)) for pid, name in found} == {
            (True, 0, 0), (False, STREAM, STREAM),
        }  # fmt: skip


def test_long_synchronous_queries_of_one_asker(server: Server) -> None:
    """Sixty took all connections, and everybody else got 503 after half a minute."""
    answers: list[httpx.Response] = []
    with visitor(server, 1) as one, visitor(server, 2) as two, ThreadPoolExecutor(12) as threads:
        kept = [threads.submit(one.sync, ENDLESS) for _ in range(10)]
        until(lambda: sum(answer.done() for answer in kept) == 7)  # one runs, two wait
        answers = [answer.result() for answer in kept if answer.done()]
        assert {answer.status_code for answer in answers} == {503}
        assert "asynchronous jobs" in answers[0].text and int(answers[0].headers["retry-after"]) > 0
        for client in (one, two):
            assert client.sync(QUICK).status_code == 200
        assert "<available>true" in httpx.get(f"{server.tap}/availability").text.replace("avail:", "").replace(
            "vosi:", ""
        )
        assert one.http.get(f"{server.url}/scs/icecube/ps3yr?RA=1&DEC=2&SR=1").status_code == 200
        with server.app.state.service.database.connect() as admin:
            until(lambda: _ended(admin) and all(answer.done() for answer in kept))


def _ended(admin: psycopg.Connection[Any]) -> bool:
    admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'km3vo_public' AND state = 'active' "
        "AND query LIKE 'COPY%' AND datname = current_database()"
    )
    admin.commit()
    return True


def test_a_synchronous_query_that_proves_long_moves_or_ends(hasty: Server) -> None:
    lanes = hasty.app.state.service.lanes["public"]
    with visitor(hasty, 1) as one, visitor(hasty, 2) as two, ThreadPoolExecutor(4) as threads:
        asked = {"UPLOAD": "t,param:t", "files": TABLE}
        first = threads.submit(one.sync, SLOW_UPLOAD, **asked)
        until(lambda: lanes.long.held == 1 and lanes.short.held == 0)
        again = one.sync(SLOW_UPLOAD, **asked)  # an asker has one
        assert again.status_code == 503
        assert "asynchronous job" in again.text and again.headers["retry-after"]
        assert two.sync(QUICK).status_code == 200
        assert first.result().status_code == 408, "at the limit of synchronous queries"
        assert "asynchronous job" in first.result().text
        until(lambda: lanes.long.held == 0)


def test_wide_cones_leave_connections_to_small_ones(server: Server, published: Database) -> None:
    """Sixty all-sky cones made small ones wait for eight seconds, and availability say that the database is away."""
    wide = f"{server.url}/scs/icecube/ps3yr?RA=1&DEC=2&SR=180"
    with published.connect() as owner, visitor(server, 1) as one, ThreadPoolExecutor(60) as threads:
        owner.execute("LOCK TABLE icecube.ps3yr")  # they take as long as they like
        hogs = [threads.submit(one.http.get, wide) for _ in range(60)]
        until(lambda: sum(hog.done() for hog in hogs) >= 60 - 2 - 20)
        refused = [hog.result() for hog in hogs if hog.done()]
        assert all("wide cones wait already" in answer.text for answer in refused)
        assert {(answer.status_code, answer.headers.get("retry-after")) for answer in refused} == {(503, "60")}
        for _ in range(10):
            small = httpx.get(f"{server.url}/scs/ant20_01/main?RA=1&DEC=2&SR=1")
            assert small.status_code == 200 and b"Error" not in small.content
            assert "The service is at work." in httpx.get(f"{server.tap}/availability").text
            assert httpx.get(f"{server.url}/browse/icecube").status_code == 200
        owner.rollback()


def test_one_address_leaves_connections_for_small_cones_to_others(server: Server, published: Database) -> None:
    """Two hundred clients of one address with cones just below the wide ones made others' wait for six seconds."""
    small = f"{server.url}/scs/icecube/ps3yr?RA=1&DEC=2&SR=4.9"
    with published.connect() as owner, visitor(server, 1) as one, ThreadPoolExecutor(40) as threads:
        owner.execute("LOCK TABLE icecube.ps3yr")  # they take as long as they like
        hogs = [threads.submit(one.http.get, small) for _ in range(40)]
        narrow = server.app.state.service.lanes["public"].narrow
        until(lambda: narrow.held + narrow.waiting == 40)
        with visitor(server, 2) as two:
            for _ in range(5):
                answer = two.http.get(f"{server.url}/scs/ant20_01/main?RA=1&DEC=2&SR=1", timeout=5)
                assert answer.status_code == 200 and b"Error" not in answer.content
        owner.rollback()
        assert {hog.result().status_code for hog in hogs} <= {200, 503}
        assert narrow.held == narrow.waiting == 0


def test_askers_share_what_runs_at_once(server: Server) -> None:
    """Short queries of a hog with forty connections, beside one who asks now and then."""
    stop = threading.Event()

    def hog() -> None:
        with visitor(server, 1) as client:
            while not stop.is_set():
                client.sync("SELECT TOP 1 COUNT(*) AS n FROM icecube.ps3yr AS a, icecube.ps3yr AS b WHERE a.ra < b.ra")

    with ThreadPoolExecutor(40) as threads, visitor(server, 2) as other:
        hogs = [threads.submit(hog) for _ in range(40)]
        for _ in range(10):
            assert other.sync(QUICK).status_code == 200
        stop.set()
        for one in hogs:
            one.result()


def test_where_the_planner_is_not_asked(server: Server, tmp_path: Path) -> None:
    """Observers read a part of the rows; the statistics of all of them must not decide how they are treated."""
    service = server.app.state.service
    assert service.readers["km3vo_observer_nobody"]._planner is None
    assert service.readers["public"]._planner is not None
