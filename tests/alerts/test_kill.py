"""Service, dispatcher, PostgreSQL and broker killed at random moments: what was accepted is sent, nothing else is, in
order, and doubles are told apart.

`KM3VO_ALERT_KILLS` is how often (default 6); `KM3VO_SEED` chooses the moments.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import Message

from km3vo.catalog.files import read_catalog
from km3vo.cluster.embedded import Cluster
from km3vo.database.logins import OWNER, SERVICE, Database, read_passwords
from tests.alerts.hook import hook
from tests.support.databases import make_tables
from tests.support.folders import ROOT
from tests.support.kafka import Broker, broker
from tests.support.killing import Worker, kill, lasting_cluster, of_postgresql, restarted

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


class Parts:
    """What an alert meets on its way, each to be killed and brought back while the others go on."""

    def __init__(self, cluster: Cluster, database: Database, file: Path, kafka: Broker) -> None:
        self._cluster, self._database, self._file, self._kafka = cluster, database, file, kafka
        self._pause = file.with_suffix(".pause")
        self._before: set[int] = set()
        self.killed: Counter[str] = Counter()
        self._service = self._began("accepted", 0)
        self._dispatcher = self._began("sends")

    @property
    def accepted(self) -> set[int]:
        """The numbers of the messages that were."""
        return self._before | self._service.said("accepted")

    def kill_one(self, chooser: random.Random) -> None:
        """Kill a part at a random moment, and bring it back."""
        time.sleep(chooser.uniform(0, 0.5))
        part = chooser.choice(("service", "dispatcher", "postgresql", "session", "broker"))
        self.killed[part] += 1
        postmaster, session = of_postgresql(chooser, self._cluster, ("km3vo_service",))
        if part == "broker":
            self._kafka.tell("down")  # cut off and refused; what it acknowledged it keeps
        else:
            pids = {"service": self._service.pid, "dispatcher": self._dispatcher.pid, "postgresql": postmaster}
            kill(pids.get(part, session))
        time.sleep(chooser.uniform(0, 0.3))
        self._pause.touch()
        if part == "service":
            self._before = self.accepted
            self._service.end()
            self._service = self._began("accepted", max(self._before) + 1)
        elif part == "dispatcher":
            self._dispatcher.end()
            self._dispatcher = self._began("sends")
        elif part == "broker":
            self._kafka.tell("up")
        restarted(self._cluster, self._database)
        self._pause.unlink()
        self._wait(self._service, max(self.accepted) + 1)

    def settle(self) -> None:
        """Accept no more, and wait until all is sent."""
        self._pause.touch()
        settled(self._database)

    def close(self) -> None:
        self._service.end()
        self._dispatcher.end()

    def _began(self, word: str, *first: int) -> Worker:
        one = Worker("tests.alerts.worker", self._database, self._file, *first)
        self._wait(one, min(first, default=0), word)
        return one

    def _wait(self, one: Worker, number: int, word: str = "accepted") -> None:
        until = time.monotonic() + 120
        while number not in one.said(word):
            assert time.monotonic() < until, f"{word} {number} was not said"
            time.sleep(0.01)


@pytest.mark.slow
def test_killed_again_and_again(cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database = Database(cluster.conninfo(), read_passwords(cluster.folder))
    make_tables(database, read_catalog(ROOT / "schemas"))
    chooser = random.Random(SEED)
    with broker(TOPIC) as kafka, hook() as receiver, kafka.listened(TOPIC) as got:
        file = tmp_path / "channels.yaml"
        file.write_text(
            f"- {{name: kafka, kind: kafka, to: {TOPIC}, options: {{bootstrap.servers: '{kafka.address}'}}}}\n"
            f"- {{name: hook, kind: webhook, to: '{receiver.url}'}}\n"
        )
        with closing(Parts(cluster, database, file, kafka)) as parts:
            for _ in range(KILLS):
                parts.kill_one(chooser)
            parts.settle()
        with database.connect(OWNER) as owner:
            rows = owner.execute("SELECT event_name || '/' || revision FROM km3vo.alert").fetchall()
            numbers = owner.execute("SELECT min(number), max(number), count(*) FROM km3vo.alert").fetchone()
            published = owner.execute("SELECT count(*) FROM km3net.alerts").fetchone()
        known = {key for (key,) in rows}
        until = time.monotonic() + 60
        while len(by_kafka := heard(got)) < len(known) or {key for key, _ in by_kafka} != known:
            assert time.monotonic() < until, f"of {len(known)} revisions {len(by_kafka)} messages came by Kafka"
            time.sleep(0.1)
    by_hook = [(str(headers["Idempotency-Key"]), body) for headers, body in receiver.got]
    # Accepted is committed; the last may have been when the service was ended before it could say so.
    assert len(parts.accepted) <= len(known) <= len(parts.accepted) + 1
    assert numbers == (1, len(known), len(known)) and published == (len(known),)
    for sent in (by_kafka, by_hook):
        assert {key for key, _ in sent} == known, "something was lost, or sent before it was committed"
        in_order([key for key, _ in sent])
        bodies: dict[str, set[bytes | str | None]] = defaultdict(set)
        for key, body in sent:
            bodies[key].add(body)
        assert all(len(each) == 1 for each in bodies.values()), "the same revision was sent with other bytes"
    doubled = [len(sent) - len(known) for sent in (by_kafka, by_hook)]
    with capsys.disabled():
        sys.stdout.write(f"\n{dict(parts.killed)}: {len(known)} revisions, came twice by kafka and hook: {doubled}")


def heard(messages: list[Message]) -> list[tuple[str, bytes | str | None]]:
    """Key and body of each message, in the order in which they came."""
    keys = [dict(each.headers() or [])["km3vo-dedup"] or b"" for each in messages]
    return [
        (key.decode() if isinstance(key, bytes) else key, each.value())
        for key, each in zip(keys, messages, strict=False)
    ]


def settled(database: Database) -> None:
    """Wait until all revisions have arrived everywhere."""
    until = time.monotonic() + 300
    while True:
        with database.connect(SERVICE, autocommit=True) as service:
            counts = service.execute(
                "SELECT count(*), count(sent), count(DISTINCT (event_name, revision)) FROM km3vo.alert_delivery"
            ).fetchone()
        assert counts is not None
        if counts[0] == counts[1]:
            assert counts[0] == 2 * counts[2]
            return
        assert time.monotonic() < until, f"{counts[1]} of {counts[0]} arrived"
        time.sleep(0.1)
