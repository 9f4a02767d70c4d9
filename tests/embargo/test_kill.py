"""Killed with -9 at random moments of loading, superseding, withdrawing and promotion: nothing is lost, half done,
there twice or early.

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
from tests.embargo.lab import PASSWORDS
from tests.embargo.worker import NEW, ROWS, SUPERSEDED, WITHDRAWN
from tests.support.databases import make_tables
from tests.support.killing import Worker, kill_one, lasting_cluster, restarted

KILLS = int(os.environ.get("KM3VO_KILLS", "5"))
SEED = int(os.environ.get("KM3VO_SEED", "1"))
LOGINS = ("km3vo_service", "km3vo_ingest", "km3vo_owner")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with lasting_cluster() as one:
        yield one


def check(database: Database, table: Table, done: dict[str, set[int]], batches: int) -> None:
    """What must hold after every crash; ``done`` are the batches that were said to be loaded, superseded, withdrawn."""
    with database.connect(OWNER, autocommit=True) as owner:
        rows = owner.execute(
            "SELECT number, event_id, _access::text, _qc, _release_time <= now(), obs_time < '2050-01-01'"
            " FROM lab.alerts"
        )
        seen: dict[int, str] = {}
        for number, name, access, quality, due, old in rows:
            assert number not in seen, f"{number} is there twice"
            seen[number] = name
            assert access == "e" or (quality == "passed" and due and old), f"{number} is public early"
        kept = owner.execute("SELECT number, _ended FROM lab.alerts_history ORDER BY number").fetchall()
        gone = {how: [number for number, ended in kept if ended == how] for how in ("superseded", "withdrawn")}
        for batch in range(batches):
            check_batch(batch, seen, gone, {what for what, numbers in done.items() if batch in numbers})
        recorded = owner.execute("SELECT split_part(file, ': ', 2) FROM km3vo.load WHERE file LIKE '%: %'").fetchall()
        assert {int(name) for (name,) in recorded} == {number // ROWS for number in seen}
    with database.connect(SERVICE, autocommit=True) as service:
        partitions.promote(service, table)
    with database.connect(OWNER) as owner:
        missing = owner.execute("SELECT count(*) FROM lab.alerts_embargo WHERE obs_time < '2050-01-01'").fetchone()
        released = owner.execute("SELECT count(*) FROM lab.alerts_public").fetchone()
        # Withdrawn events may have been released before.
        logged = owner.execute(
            "SELECT sum(rows) - (SELECT count(*) FROM lab.alerts_history WHERE _ended = 'withdrawn' AND _access = 'p')"
            " FROM km3vo.release_log WHERE what = 'release'"
        ).fetchone()
    assert missing == (0,)
    assert released == (len(seen) // 2,)
    assert logged == released, "the log and the table do not agree"


def check_batch(batch: int, seen: dict[int, str], gone: dict[str, list[int]], done: set[str]) -> None:
    """A batch was loaded, superseded and withdrawn as a whole, or not at all; what was said to be done is done."""
    first = batch * ROWS
    mine = {how: [number - first for number in numbers if number // ROWS == batch] for how, numbers in gone.items()}
    for how, places in (("superseded", SUPERSEDED), ("withdrawn", WITHDRAWN)):
        assert mine[how] == places or (not mine[how] and how not in done), f"batch {batch}: {how} are {mine[how]}"
    present = {number - first for number in range(first, first + ROWS) if number in seen}
    there = set(range(ROWS)) - set(mine["withdrawn"])
    assert present == there or (not present and "loaded" not in done), f"batch {batch} has {len(present)} rows"
    newer = [number - first for number in range(first, first + ROWS) if seen.get(number) == NEW]
    assert newer == mine["superseded"], f"batch {batch}: {newer} have a newer version"


@pytest.mark.slow
def test_killed_again_and_again(cluster: Cluster, catalog: Catalog, alerts: Table) -> None:
    database = Database(cluster.conninfo(), PASSWORDS)
    make_tables(database, catalog)
    chooser = random.Random(SEED)
    done: dict[str, set[int]] = {"loaded": set(), "superseded": set(), "withdrawn": set()}
    batches = 0
    for _ in range(KILLS):
        worker = Worker("tests.embargo.worker", database, batches)
        kill_one(chooser, cluster, worker, LOGINS, "loaded")
        for what, numbers in done.items():
            numbers |= worker.said(what)
        batches = worker.lines[-1][1] + 2  # one may have been under way
        restarted(cluster, database)
        check(database, alerts, done, batches)
    assert len(done["loaded"]) >= KILLS
