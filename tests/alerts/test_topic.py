"""A Kafka topic as a door, with a broker that is really there."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from confluent_kafka import Producer

from km3vo.alerts import records, topic
from km3vo.alerts.sending.outbox import Outgoing
from km3vo.alerts.topic import Source, Topic
from km3vo.database.logins import SERVICE, Database
from km3vo.errors import SetupError, UnavailableError
from km3vo.settings import Settings
from tests.support import samples
from tests.support.kafka import broker
from tests.support.waiting import until

TOPIC = "km3net.events.online"
FAST = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}

pytestmark = pytest.mark.slow


@contextmanager
def reading(database: Database, address: str, refused: Path, **choices: Any) -> Iterator[None]:
    """The door, as the service has it."""
    stop = threading.Event()
    source = Source(topic=TOPIC, options={"bootstrap.servers": address, **FAST}, **choices)
    door = Topic(source, database, Outgoing(Settings()), refused, stop.is_set)
    thread = threading.Thread(target=door.run)
    thread.start()
    yield
    stop.set()
    thread.join()


def write(address: str, *messages: bytes) -> None:
    producer = Producer({"bootstrap.servers": address})
    for message in messages:
        producer.produce(TOPIC, message)
    producer.flush(30)


def alert(number: int, **changes: Any) -> bytes:
    message = samples.km3_230213a() | {"alert_id": f"a-{number}"} | changes
    del message["event_name"]
    return json.dumps(message).encode()


@pytest.fixture
def service(copy_published: Database) -> Iterator[psycopg.Connection]:
    with copy_published.connect(SERVICE, autocommit=True) as connection:
        yield connection


def taken(connection: psycopg.Connection) -> list[tuple[str, int]]:
    return [(one.said.alert_id, one.revision) for one in records.newest(connection, 99)][::-1]


def test_events_are_taken_in_and_what_is_refused_holds_up_nothing(
    copy_published: Database, service: psycopg.Connection, tmp_path: Path
) -> None:
    with broker(TOPIC) as one:
        write(one.address, alert(0), alert(0, type="update", ra=95.0), b"no JSON", alert(1, ra=361), alert(2))
        with reading(copy_published, one.address, tmp_path / "refused", pipelines=("arca_UHE",)):
            until(lambda: len(taken(service)) == 3)
            write(one.address, alert(3, pipeline="other"), alert(4))
            until(lambda: len(taken(service)) == 4)
        # Begun again, it goes on after what was committed.
        write(one.address, alert(5))
        with reading(copy_published, one.address, tmp_path / "refused"):
            until(lambda: len(taken(service)) == 5)
    assert taken(service) == [("a-0", 1), ("a-0", 2), ("a-2", 1), ("a-4", 1), ("a-5", 1)]
    refused = sorted((tmp_path / "refused").glob("*.json"))
    assert [file.read_bytes() for file in refused] == [b"no JSON", alert(1, ra=361), alert(3, pipeline="other")]
    assert "ra = 361" in Path(f"{refused[1]}.txt").read_text()
    assert "not of other" in Path(f"{refused[2]}.txt").read_text()


def test_nothing_is_committed_while_the_database_is_away(
    copy_published: Database, service: psycopg.Connection, tmp_path: Path
) -> None:
    with broker(TOPIC) as one:
        write(one.address, alert(0))
        away = Database(psycopg.conninfo.make_conninfo(copy_published.admin, port="1"), copy_published.passwords)
        source = Source(topic=TOPIC, options={"bootstrap.servers": one.address, **FAST})
        with pytest.raises((UnavailableError, SetupError)):
            Topic(source, away, Outgoing(Settings()), tmp_path, lambda: False).run()
        with reading(copy_published, one.address, tmp_path):
            until(lambda: taken(service) == [("a-0", 1)])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("topic: [", "cannot be read as YAML"),
        ("topic: t\noptions: {bootstrap.servers: x}\nsecret: 5", "secret: Extra inputs"),
        ("topic: t\noptions: {}", "bootstrap.servers is missing"),
        ("options: {bootstrap.servers: x}", "topic: Field required"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "source.yaml").write_text(text)
    with pytest.raises(SetupError, match=said):
        topic.read(tmp_path / "source.yaml")
