"""Killed with -9 at random moments: what was accepted is sent, nothing else is, in order, and doubles are told apart.

`KM3VO_ALERT_KILLS` is how often (default 6); `KM3VO_SEED` chooses the moments.
"""

from __future__ import annotations

import os
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from km3vo.catalog.files import read_catalog
from km3vo.cluster.embedded import Cluster
from km3vo.database.logins import OWNER, SERVICE, Database, read_passwords
from km3vo.publishing.publish import publish
from km3vo.publishing.upgrade import upgrade
from tests.alerts import worker
from tests.alerts.hook import hook
from tests.support.folders import ROOT
from tests.support.kafka import broker
from tests.support.killing import Worker, kill_one, lasting_cluster, restarted

KILLS = int(os.environ.get("KM3VO_ALERT_KILLS", "6"))
SEED = int(os.environ.get("KM3VO_SEED", "1"))
TOPIC = "alerts"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with lasting_cluster() as one:
        yield one


def in_order(keys: list[str]) -> None:
    """Of each alert the revisions came one after the other, whatever came twice."""
    seen: dict[str, list[int]] = defaultdict(list)
    for key in dict.fromkeys(keys):
        name, _, revision = key.partition("/")
        seen[name].append(int(revision))
    for name, revisions in seen.items():
        assert revisions == list(range(1, len(revisions) + 1)), f"{name}: {revisions}"


@pytest.mark.slow
def test_killed_again_and_again(cluster: Cluster, tmp_path: Path) -> None:
    database = Database(cluster.conninfo(), read_passwords(cluster.folder))
    upgrade(database)
    with database.connect(OWNER) as owner:
        publish(owner, read_catalog(ROOT / "schemas"))
    chooser, accepted = random.Random(SEED), set[int]()
    with broker(TOPIC) as kafka, hook() as receiver:
        file = tmp_path / "channels.yaml"
        file.write_text(
            f"- {{name: kafka, kind: kafka, to: {TOPIC}, options: {{bootstrap.servers: '{kafka.address}'}}}}\n"
            f"- {{name: hook, kind: webhook, to: '{receiver.url}'}}\n"
        )
        for _ in range(KILLS):
            one = Worker("tests.alerts.worker", database, file, max(accepted, default=-1) + 1)
            kill_one(chooser, cluster, one, ("km3vo_service",), "accepted")
            accepted |= one.said("accepted")
            restarted(cluster, database)
        schedule = worker.dispatch(database, worker.outgoing(file))
        stored = settled(database)
        schedule.stop()
        got = kafka.messages(TOPIC, stored)
    keys = [(dict(each.headers() or [])["km3vo-dedup"] or b"", each.value()) for each in got]
    by_kafka = [(key.decode() if isinstance(key, bytes) else key, value) for key, value in keys]
    by_hook = [(str(headers["Idempotency-Key"]), body) for headers, body in receiver.got]
    with database.connect(OWNER) as owner:
        rows = owner.execute("SELECT event_name || '/' || revision FROM km3vo.alert").fetchall()
        numbers = owner.execute("SELECT min(number), max(number), count(*) FROM km3vo.alert").fetchone()
        published = owner.execute("SELECT count(*) FROM km3net.alerts").fetchone()
    known = [key for (key,) in rows]
    # Accepted is committed; one more may have been when the worker was killed before it could say so.
    assert len(accepted) <= len(known) <= len(accepted) + KILLS
    assert numbers == (1, len(known), len(known)) and published == (len(known),)
    for sent in (by_kafka, by_hook):
        assert {key for key, _ in sent} == set(known), "something was lost, or sent before it was committed"
        in_order([key for key, _ in sent])
        bodies: dict[str, set[bytes | str | None]] = defaultdict(set)
        for key, body in sent:
            bodies[key].add(body)
        assert all(len(each) == 1 for each in bodies.values()), "the same revision was sent with other bytes"


def settled(database: Database) -> int:
    """How many revisions there are, when all of them have arrived everywhere."""
    until = time.monotonic() + 300
    while True:
        with database.connect(SERVICE, autocommit=True) as service:
            counts = service.execute(
                "SELECT count(*), count(sent), count(DISTINCT (event_name, revision)) FROM km3vo.alert_delivery"
            ).fetchone()
        assert counts is not None
        if counts[0] == counts[1]:
            assert counts[0] == 2 * counts[2]
            return int(counts[2])
        assert time.monotonic() < until, f"{counts[1]} of {counts[0]} arrived"
        time.sleep(0.1)
