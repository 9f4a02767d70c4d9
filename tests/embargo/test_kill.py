"""Killed with -9 at random moments of loading and promotion: nothing is lost, nothing is there twice, nothing is early.

`KM3VO_KILLS` is how often (default 5); `KM3VO_SEED` chooses the moments.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from km3vo.catalog.model import Catalog, Table
from km3vo.cluster.embedded import Cluster
from km3vo.database.logins import OWNER, SERVICE, Database
from km3vo.embargo import partitions
from km3vo.publishing.publish import publish
from km3vo.publishing.upgrade import upgrade
from tests.embargo.lab import PASSWORDS
from tests.embargo.worker import ROWS
from tests.support.killing import Worker, kill_one, lasting_cluster, restarted

KILLS = int(os.environ.get("KM3VO_KILLS", "5"))
SEED = int(os.environ.get("KM3VO_SEED", "1"))
LOGINS = ("km3vo_service", "km3vo_ingest")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with lasting_cluster() as one:
        yield one


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
        partitions.promote(service, table)
    with database.connect(OWNER) as owner:
        missing = owner.execute("SELECT count(*) FROM lab.alerts_embargo WHERE obs_time < '2050-01-01'").fetchone()
        released = owner.execute("SELECT count(*) FROM lab.alerts_public").fetchone()
        logged = owner.execute("SELECT sum(rows) FROM km3vo.release_log WHERE what = 'release'").fetchone()
    assert missing == (0,)
    assert released == (len(seen) // 2,)
    assert logged == released, "the log and the table do not agree"


@pytest.mark.slow
def test_killed_again_and_again(cluster: Cluster, catalog: Catalog, alerts: Table) -> None:
    database = Database(cluster.conninfo(), PASSWORDS)
    upgrade(database)
    with database.connect(OWNER) as owner:
        publish(owner, catalog)
    chooser = random.Random(SEED)
    loaded: set[int] = set()
    batches = 0
    for _ in range(KILLS):
        worker = Worker("tests.embargo.worker", database, batches)
        kill_one(chooser, cluster, worker, LOGINS, "loaded")
        loaded |= worker.said("loaded")
        batches = worker.lines[-1][1] + 2  # one may have been under way
        restarted(cluster, database)
        check(database, alerts, loaded, batches)
    assert len(loaded) >= KILLS
