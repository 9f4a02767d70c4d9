"""No job is lost: processes are killed, PostgreSQL crashes, two hundred come at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from km3vo.catalog.files import read_catalog
from km3vo.cluster.embedded import Cluster
from km3vo.database.logins import SERVICE, Database, read_passwords
from km3vo.errors import SetupError
from tests.support.databases import make_tables
from tests.support.folders import ROOT
from tests.support.server import Server
from tests.support.tap import ENDLESS, QUICK, Client, Job

pytestmark = pytest.mark.slow

# Some seconds of work for the database; the smaller one needs no events.
LONG = "SELECT COUNT(*) AS n FROM icecube.ps3yr AS a, icecube.ps3yr AS b WHERE SIN(a.ra) + COS(b.ra) + LOG10(a.mjd) < 5"
LONG_WITHOUT_EVENTS = (
    "SELECT COUNT(*) AS n FROM tap_schema.columns AS a, tap_schema.columns AS b, tap_schema.columns AS c"
    " WHERE a.column_name || b.column_name > c.column_name"
)
# As many rows again for each: it does not end while a test looks.
LONGER_WITHOUT_EVENTS = LONG_WITHOUT_EVENTS.replace(" WHERE", ", tap_schema.columns AS d WHERE")


class Process:
    """A server process of its own, to be killed."""

    def __init__(self, database: Database, home: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.tap = f"{self.url}/tap"
        self._environment = os.environ | {
            "KM3VO_HOME": str(home),
            "KM3VO_DATABASE_URL": database.admin,
            "KM3VO_PORT": str(self.port),
            "KM3VO_PROMOTE_SECONDS": "0",
            "PYTHONPATH": str(ROOT),
        }
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-c", "from km3vo.commands.main import main; main()", "serve"]
        self.process = subprocess.Popen(command, env=self._environment, stdout=subprocess.DEVNULL)
        until(self.alive, 60)

    def alive(self) -> bool:
        assert self.process.poll() is None, "the server process ended"
        try:
            return httpx.get(f"{self.tap}/availability", timeout=10).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        self.process.send_signal(how)
        self.process.wait(30)


@contextmanager
def processes(database: Database, home: Path, passwords: Path, count: int = 1) -> Iterator[list[Process]]:
    """Server processes that share a queue and a folder."""
    home.mkdir(exist_ok=True)
    shutil.copy(passwords / "passwords.json", home)
    made: list[Process] = []
    try:
        made.extend(Process(database, home) for _ in range(count))
        yield made
    finally:
        for process in made:
            if process.process.poll() is None:
                process.kill()


@contextmanager
def visitor(process: Process | Server) -> Iterator[Client]:
    client = Client(process)  # type: ignore[arg-type]
    with client.http:
        yield client


def until(true: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)


def ended_phase(job: Job, seconds: float = 60) -> str:
    """The phase in which a job ends, though the service may be away meanwhile."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            answer = job.get("/phase")
        except httpx.TransportError:
            answer = None
        if answer is not None and answer.text in ("COMPLETED", "ERROR", "ABORTED"):
            return answer.text
        assert answer is None or answer.status_code in (200, 503), answer.text
        time.sleep(0.1)
    raise AssertionError("the job was lost")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_process_dies(copy_published: Database, cluster: Cluster, tmp_path: Path, how: signal.Signals) -> None:
    with processes(copy_published, tmp_path / "home", cluster.folder) as (process,), visitor(process) as client:
        done = client.job(PHASE="RUN", FORMAT="csv")
        assert done.end() == "COMPLETED"
        running = [client.job(LONG, PHASE="RUN", FORMAT="csv") for _ in range(2)]
        for job in running:
            job.executing()
        queued = [client.job(PHASE="RUN", FORMAT="csv") for _ in range(5)]
        pending = client.job(FORMAT="csv")
        process.kill(how)
        process.start()
        for job in (*running, *queued):
            assert ended_phase(job) == "COMPLETED"
        assert pending.phase == "PENDING"
        assert {job.get("/results/result").text for job in running} == {running[0].get("/results/result").text}
        expected = done.get("/results/result").text
        assert expected.startswith("table_name")
        assert all(job.get("/results/result").text == expected for job in queued)


def test_what_was_queued_before_the_process_was_there(
    copy_published: Database, cluster: Cluster, tmp_path: Path
) -> None:
    with copy_published.connect(SERVICE) as service:
        service.execute(
            "INSERT INTO km3vo.job (id, kind, audience, phase, queued, parameters, seconds, destruction)"
            " VALUES (%s, 'query', 'public', 'QUEUED', now(), %s, 60, now() + interval '1 day')",
            ["0" * 32, f'[["LANG", "ADQL"], ["QUERY", "{QUICK}"]]'],
        )
    with processes(copy_published, tmp_path / "home", cluster.folder) as (process,), visitor(process) as client:
        assert ended_phase(Job(client.http, f"{client.tap}/async/{'0' * 32}")) == "COMPLETED"


def test_another_process_takes_over(copy_published: Database, cluster: Cluster, tmp_path: Path) -> None:
    with (
        processes(copy_published, tmp_path / "home", cluster.folder, 2) as (one, two),
        visitor(one) as client,
        visitor(two) as other,
    ):
        running = [client.job(LONG, PHASE="RUN", FORMAT="csv") for _ in range(4)]
        for job in running:
            job.executing()
        one.kill()
        for job in running:
            assert ended_phase(Job(other.http, job.url.replace(one.url, two.url))) == "COMPLETED"


@pytest.fixture
def own_database() -> Iterator[tuple[Cluster, Database]]:
    """A published database without events in a cluster of its own, which may crash."""
    folder = Path(tempfile.mkdtemp(prefix="km3vo-crash-"))
    cluster = Cluster(folder, throwaway=True)
    cluster.start()
    try:
        database = Database(cluster.conninfo(), read_passwords(folder))
        make_tables(database, read_catalog(ROOT / "schemas"))
        yield cluster, database
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_postgresql_crashes(own_database: tuple[Cluster, Database], tmp_path: Path) -> None:
    cluster, database = own_database
    with processes(database, tmp_path / "home", cluster.folder) as (process,), visitor(process) as client:
        done = client.job(PHASE="RUN", FORMAT="csv")
        assert done.end() == "COMPLETED"
        running = [client.job(LONG_WITHOUT_EVENTS, PHASE="RUN", FORMAT="csv") for _ in range(2)]
        for job in running:
            job.executing()
        queued = [client.job(PHASE="RUN", FORMAT="csv") for _ in range(3)]
        with database.connect() as admin:
            (pid,) = admin.execute(
                "SELECT pid FROM pg_stat_activity WHERE usename = 'km3vo_public' AND state = 'active'"
            ).fetchone() or (0,)
        os.kill(pid, signal.SIGKILL)  # the postmaster then throws everybody out, and starts anew
        for job in (*running, *queued):
            assert ended_phase(job) == "COMPLETED"
        assert done.get("/results/result").status_code == 200
        assert client.job(PHASE="RUN").end() == "COMPLETED"


def test_a_job_that_ends_postgresql_is_not_tried_for_ever(
    own_database: tuple[Cluster, Database], tmp_path: Path
) -> None:
    """Its backend is killed whenever it runs, as by the kernel; who runs beside it is not to blame."""
    cluster, database = own_database
    fatal = LONG_WITHOUT_EVENTS.replace("AS n", "AS fatal")
    with processes(database, tmp_path / "home", cluster.folder) as (process,), visitor(process) as client:
        guilty = client.job(fatal, PHASE="RUN", FORMAT="csv")
        innocent = client.job(LONG_WITHOUT_EVENTS, PHASE="RUN", FORMAT="csv")
        guilty.executing()
        innocent.executing()
        crashes = 0

        def ended() -> bool:
            nonlocal crashes
            with contextlib.suppress(SetupError, psycopg.OperationalError), database.connect() as admin:
                row = admin.execute(
                    "SELECT pid FROM pg_stat_activity WHERE usename = 'km3vo_public' AND query LIKE '%fatal%'"
                ).fetchone()
                if row is not None:
                    crashes += 1
                    os.kill(row[0], signal.SIGKILL)
            with contextlib.suppress(httpx.TransportError):
                return guilty.get("/phase").text in ("ERROR", "COMPLETED")
            return False

        until(ended, 120)
        assert guilty.phase == "ERROR"
        assert "the database went down" in guilty.get("/error").text
        assert crashes <= 2
        assert ended_phase(innocent) == "COMPLETED"


def test_a_job_that_ends_postgresql_alone_is_not_tried_again(
    own_database: tuple[Cluster, Database], tmp_path: Path
) -> None:
    cluster, database = own_database
    with processes(database, tmp_path / "home", cluster.folder) as (process,), visitor(process) as client:
        job = client.job(LONGER_WITHOUT_EVENTS, PHASE="RUN", FORMAT="csv")
        job.executing()

        def killed() -> bool:
            with database.connect() as admin:
                row = admin.execute(
                    "SELECT pid FROM pg_stat_activity WHERE usename = 'km3vo_public' AND state = 'active'"
                    # The query itself, not what a session is prepared with.
                    " AND query_start < clock_timestamp() - interval '0.3 s'"
                ).fetchone()
            if row is not None:
                os.kill(row[0], signal.SIGKILL)
            return row is not None

        until(killed, 30)
        assert ended_phase(job) == "ERROR"
        assert "the database went down" in job.get("/error").text


def test_two_hundred_at_once(server: Server, client: Client) -> None:
    def submit(number: int) -> Job:
        return client.job(f"SELECT TOP 1 table_name, {number} AS n FROM tap_schema.tables", PHASE="RUN", FORMAT="csv")

    with ThreadPoolExecutor(16) as pool:
        jobs = list(pool.map(submit, range(200)))
        cones = [
            pool.submit(client.http.get, f"{server.url}/scs/ant20_01/main", params={"RA": ra, "DEC": 0, "SR": 5})
            for ra in range(50)
        ]
        assert [cone.result().status_code for cone in cones] == [200] * 50
        assert list(pool.map(Job.end, jobs)) == ["COMPLETED"] * 200
    for number, job in enumerate(jobs):
        assert job.get("/results/result").text.split(",")[-1].strip() == str(number)
        client.http.delete(job.url)
    assert not [folder for folder in server.settings.results.iterdir() if folder.name in {job.id for job in jobs}]


def test_three_processes_did_not_survive_it(server: Server, client: Client) -> None:
    """The fourth is spared: the job ends with an explanation."""
    job = client.job(QUICK)
    with server.app.state.service.database.connect(SERVICE) as service:
        service.execute(
            "UPDATE km3vo.job SET phase = 'EXECUTING', worker = 7, attempts = 3, started = now() WHERE id = %s",
            [job.id],
        )
    assert job.end() == "ERROR"
    assert "interrupted 3 times" in job.get("/error").text
    assert job.xml().find("{*}errorSummary").get("type") == "transient"


def test_destruction(server: Server, client: Client) -> None:
    job = client.job(PHASE="RUN")
    job.end()
    running = client.job(ENDLESS, PHASE="RUN")
    running.executing()
    for each in (job, running):
        each.post("/destruction", DESTRUCTION="2020-01-01T00:00:00Z")
    folder = server.settings.results / job.id
    assert folder.exists()
    workers = server.app.state.workers
    asyncio.run_coroutine_threadsafe(workers.clean(), workers.loop).result(20)
    assert job.get().status_code == running.get().status_code == 404
    assert not folder.exists()
    assert client.job(PHASE="RUN").end() == "COMPLETED"


def test_folders_without_a_job_are_removed(server: Server) -> None:
    stray, fresh = server.settings.results / ("0" * 32), server.settings.results / ("1" * 32)
    for folder in (stray, fresh):
        folder.mkdir(parents=True)
    os.utime(stray, (0, 0))
    workers = server.app.state.workers
    asyncio.run_coroutine_threadsafe(workers.clean(), workers.loop).result(20)
    assert (stray.exists(), fresh.exists()) == (False, True)


def test_results_are_the_services_alone(server: Server, client: Client) -> None:
    job = client.job(PHASE="RUN")
    job.end()
    assert (server.settings.results / job.id).stat().st_mode & 0o077 == 0
