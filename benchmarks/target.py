"""What is measured: a service of our own with simulated events, or any TAP and cone search service."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from rich.console import Console

from benchmarks import grow
from km3vo.catalog.files import read_catalog
from km3vo.cluster.embedded import Cluster
from km3vo.cluster.place import find_database
from km3vo.commands import prepare, progress
from km3vo.database.logins import INGEST, OWNER, SERVICE, Database
from km3vo.embargo import partitions, statistics
from km3vo.loading import loads
from km3vo.publishing.publish import publish
from km3vo.publishing.upgrade import upgrade
from km3vo.settings import Settings
from km3vo.simulation import simulate

MILLION = 1_000_000
TABLE = "km3net.events"
COLUMNS = "event_id, mjd, ra, dec, err50, energy, quality, p_neutrino, multiplicity, trigger_type, detector"
BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Target:
    """A service to measure.

    Attributes:
        tap, cone: base URLs, "" when there is none.
        table, columns: what queries ask for; columns of position are called ``ra`` and ``dec``.
        error: the column with the radius of the error circle.
        group: a column with few values.
        hello: URL of the hello-world route on the same machine, "" when the service is elsewhere.
        process: of the server, when it is ours.
        floor: the command that has PostgreSQL hand over the same rows to nowhere, when it is ours.
    """

    tap: str
    cone: str
    table: str = TABLE
    columns: str = COLUMNS
    ra: str = "ra"
    dec: str = "dec"
    error: str = "err50"
    group: str = "detector"
    hello: str = ""
    process: psutil.Process | None = None
    floor: Sequence[str] = ()
    rows: int = 0
    idle: int = 0
    load_rate: float | None = None
    start_seconds: float | None = None


@contextmanager
def ours(home: Path, rows: int, console: Console) -> Iterator[Target]:
    """Our service on ``rows`` simulated public events. The database below ``home`` is kept for the next run."""
    port, hello_port = free_port(), free_port()
    os.environ |= {"KM3VO_HOME": str(home), "KM3VO_PORT": str(port), "KM3VO_PROMOTE_SECONDS": "0"}
    settings = Settings(simulated_events=0)
    cluster = Cluster(home / "cluster")
    cluster.start()
    try:
        load_rate = _fill(settings, rows, console)
        started = time.perf_counter()
        with _process([str(BIN / "km3vo"), "serve"]) as server:
            _wait(port)
            start_seconds = time.perf_counter() - started
            with _process([str(BIN / "uvicorn"), "benchmarks.hello:app", "--port", str(hello_port), "--no-access-log"]):
                _wait(hello_port)
                base = f"http://127.0.0.1:{port}"
                process = psutil.Process(server.pid)
                yield Target(
                    tap=f"{base}/tap",
                    cone=f"{base}/scs/km3net/events",
                    hello=f"http://127.0.0.1:{hello_port}/",
                    process=process,
                    rows=rows,
                    idle=process.memory_info().rss,
                    floor=_copy_to_nowhere(cluster, settings),
                    load_rate=load_rate,
                    start_seconds=start_seconds,
                )
    finally:
        cluster.stop()


def _fill(settings: Settings, rows: int, console: Console) -> float | None:
    """Load and release the events, unless they are there. Returns how many were loaded in a second."""
    database = find_database(settings)
    prepare.create_database(database)
    upgrade(database)
    catalog = read_catalog(settings.schemas)
    table = catalog.table(TABLE)
    with database.connect(OWNER) as owner:
        publish(owner, catalog)
    if _count(database) == rows:
        return None
    copies, loaded = (rows // MILLION, MILLION) if rows > MILLION else (1, rows)
    if copies * loaded != rows:
        raise SystemExit(f"{rows} rows: more than a million go by the million")
    # Old enough to be public, all of them.
    batches = simulate(table, loaded, seed=1, now=datetime.now(UTC) - timedelta(days=732))
    with database.connect(INGEST) as loader, progress.bar(console, TABLE) as told:
        started = time.perf_counter()
        loads.load_batches(loader, table, batches, name=f"benchmark, {rows} rows", rows=loaded, progress=told)
        seconds = time.perf_counter() - started
    with database.connect(SERVICE, autocommit=True) as service, console.status("releasing"):
        partitions.promote(service, table)
    if copies > 1:
        with database.connect() as admin, console.status(f"making {copies} times as many"):
            grow.multiply(admin, table, copies)
    with database.connect(OWNER, autocommit=True) as owner, console.status("VACUUM"):
        statistics.renew(owner, table)
    if _count(database) != rows:
        raise SystemExit(f"{settings.home} holds other events already: name another --home")
    return loaded / seconds


def _count(database: Database) -> int:
    with database.connect("km3vo_public") as public:
        found = public.execute("SELECT count(*) FROM km3net.events_public").fetchone()
        assert found is not None
        return int(found[0])


def _copy_to_nowhere(cluster: Cluster, settings: Settings) -> list[str]:
    query = f"COPY (SELECT {COLUMNS} FROM km3net.events_public LIMIT 1000000) TO STDOUT (FORMAT binary)"
    return ["psql", "-X", "-q", "-o", "/dev/null", "-d", cluster.conninfo(), "-c", query]


@contextmanager
def _process(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(port: int, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise SystemExit(f"nothing listens on port {port} after {seconds:.0f} s")
