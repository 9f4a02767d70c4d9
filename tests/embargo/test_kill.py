"""Killed with -9 at random moments of loading and promotion: nothing is lost, nothing is there twice, nothing is early.

`KM3VO_KILLS` is how often (default 5); `KM3VO_SEED` chooses the moments.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from km3vo.catalog.model import Catalog, Table
from km3vo.errors import SetupError
from km3vo.store import embargo, migrate, publish
from km3vo.store.cluster import Cluster
from km3vo.store.database import OWNER, SERVICE, Database
from tests.conftest import ROOT
from tests.embargo.conftest import PASSWORDS
from tests.embargo.worker import ROWS

KILLS = int(os.environ.get("KM3VO_KILLS", "5"))
SEED = int(os.environ.get("KM3VO_SEED", "1"))


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A cluster that survives: what is committed is on disk."""
    folder = Path(tempfile.mkdtemp(prefix="km3vo-killed-"))
    one = Cluster(folder)
    one.start()
    yield one
    one.stop()
    shutil.rmtree(folder)


class Worker:
    """The process, and which batches it said it had committed."""

    def __init__(self, database: Database, first: int) -> None:
        self.first = first
        self.loaded: list[int] = []
        self.last = first
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.embargo.worker", database.admin, json.dumps(database.passwords), str(first)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            if not line.endswith("\n"):
                return  # killed as it spoke
            word, number, *_ = line.split()
            self.last = int(number)
            if word == "loaded":
                self.loaded.append(int(number))

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join()
        assert self._process.stdout
        self._process.stdout.close()


def victim(chooser: random.Random, cluster: Cluster, worker: Worker) -> int:
    """Whom to kill: the service's process, all of PostgreSQL, or one of its sessions."""
    postmaster = int((cluster.data / "postmaster.pid").read_text().split()[0])
    sessions = [
        child.pid
        for child in psutil.Process(postmaster).children()
        if any(login in " ".join(child.cmdline()) for login in ("km3vo_service", "km3vo_ingest"))
    ]
    return chooser.choice([worker.pid, postmaster, chooser.choice(sessions or [postmaster])])


def check(database: Database, table: Table, loaded: set[int], batches: int) -> None:
    """What must hold after every crash."""
    with database.connect(OWNER, autocommit=True) as owner:
        rows = owner.execute(
            "SELECT number, _access::text, _qc, _release_time <= now(), obs_time < '2050-01-01' FROM lab.alerts"
        )
        seen: dict[int, str] = {}
        for number, access, quality, due, old in rows:
            assert number not in seen, f"{number} is there twice"
            seen[number] = access
            assert access == "e" or (quality == "passed" and due and old), f"{number} is public early"
        for batch in range(batches):
            present = sum(n in seen for n in range(batch * ROWS, (batch + 1) * ROWS))
            assert present == ROWS or (present == 0 and batch not in loaded), f"batch {batch} has {present} rows"
        recorded = {int(name) for (name,) in owner.execute("SELECT split_part(file, ': ', 2) FROM km3vo.load")}
        assert recorded == {number // ROWS for number in seen}
    with database.connect(SERVICE, autocommit=True) as service:
        embargo.promote(service, table)
    with database.connect(OWNER) as owner:
        missing = owner.execute("SELECT count(*) FROM lab.alerts_embargo WHERE obs_time < '2050-01-01'").fetchone()
        released = owner.execute("SELECT count(*) FROM lab.alerts_public").fetchone()
        logged = owner.execute("SELECT sum(rows) FROM km3vo.release_log WHERE what = 'release'").fetchone()
    assert missing == (0,)
    assert released == (len(seen) // 2,)
    assert logged == released, "the log and the table do not agree"


def restarted(cluster: Cluster, database: Database) -> None:
    """PostgreSQL brought back, and its recovery over."""
    until = time.monotonic() + 120
    while True:
        try:
            cluster.start()
            with psycopg.connect(database.admin):
                return
        except (psycopg.OperationalError, SetupError):
            assert time.monotonic() < until
            time.sleep(0.1)


@pytest.mark.slow
def test_killed_again_and_again(cluster: Cluster, catalog: Catalog, alerts: Table) -> None:
    database = Database(cluster.conninfo(), PASSWORDS)
    migrate.upgrade(database)
    with database.connect(OWNER) as owner:
        publish.publish(owner, catalog)
    chooser = random.Random(SEED)
    loaded: set[int] = set()
    batches = 0
    for _ in range(KILLS):
        worker = Worker(database, batches)
        try:
            until = time.monotonic() + 60
            while not worker.loaded:
                assert time.monotonic() < until, "the worker does not begin"
                time.sleep(0.01)
            time.sleep(chooser.uniform(0, 0.5))
            os.kill(victim(chooser, cluster, worker), signal.SIGKILL)
            time.sleep(chooser.uniform(0, 0.2))
        finally:
            worker.end()
        loaded |= set(worker.loaded)
        batches = worker.last + 2  # one may have been under way
        restarted(cluster, database)
        check(database, alerts, loaded, batches)
    assert len(loaded) >= KILLS
