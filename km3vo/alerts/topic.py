"""Taking alerts from a Kafka topic: standard events that pipelines write there.

An offset is committed when the database has the event, so that what a crash interrupts is read again, and known again.
What is refused is put away with the reason and never holds up what comes after it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import psycopg
import yaml
from pydantic import BaseModel, ConfigDict, Field

from km3vo.alerts.intake import EarlyError, Sender, accept, check_size
from km3vo.alerts.sending.channels import option_values
from km3vo.alerts.sending.outbox import Outgoing
from km3vo.database.logins import SERVICE, Database
from km3vo.errors import Km3voError, SetupError, UnavailableError
from km3vo.yamlfiles import told_of

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message

log = logging.getLogger(__name__)

LOOK = 1.0  # seconds for which the broker is asked at a time
FIXED = {"enable.auto.commit": False, "auto.offset.reset": "earliest", "log_level": 2}


class Source(BaseModel):
    """Where standard events come from.

    Attributes:
        topic: of the broker.
        options: librdkafka's; ``group.id`` is km3vo-alerts unless it stands there.
        secrets: options whose values stand in files: name of the option → the file.
        tests_only: whether only tests and injections are taken.
        pipelines: whose alerts; none named is all of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: Annotated[str, Field(min_length=1)]
    options: dict[str, str | int | bool]
    secrets: dict[str, Path] = {}
    tests_only: bool = False
    pipelines: tuple[str, ...] = ()


def read(file: Path) -> Source:
    """The source that a YAML file describes.

    Raises:
        SetupError: the file cannot be read, or is wrong.
    """
    with told_of(file, "KM3VO_ALERTS_SOURCE"):
        source = Source.model_validate(yaml.safe_load(file.read_text()))
    if "bootstrap.servers" not in source.options:
        raise SetupError(f"{file}: options: bootstrap.servers is missing: the address of the broker")
    return source


class Topic:
    """Takes in what is written to a topic. Of several processes each reads some of the partitions."""

    def __init__(
        self, source: Source, database: Database, outgoing: Outgoing, refused: Path, stopping: Callable[[], bool]
    ) -> None:
        """``refused`` is the folder for what cannot be taken in."""
        self._source = source
        self._database = database
        self._outgoing = outgoing
        self._refused = refused
        self._stopping = stopping
        self._sender = Sender(f"topic {source.topic}", source.tests_only, source.pipelines)

    def run(self) -> None:
        """Take in until the service stops.

        Raises:
            Km3voError: the broker or the database is away; to be called again, which begins after the last event that
                was taken in or put away.
        """
        from confluent_kafka import Consumer, KafkaException

        values = {"group.id": "km3vo-alerts"} | option_values(self._source.options, self._source.secrets, "the source")
        consumer = Consumer(values | FIXED)
        try:
            consumer.subscribe([self._source.topic])
            with self._database.connect(SERVICE, autocommit=True) as connection:
                while not self._stopping():
                    self._next(consumer, connection)
        except KafkaException as error:
            raise UnavailableError(f"the topic {self._source.topic} cannot be read: {error.args[0].name()}") from None
        except psycopg.Error:
            raise UnavailableError from None
        finally:
            consumer.close()

    def _next(self, consumer: Consumer, connection: psycopg.Connection) -> None:
        from confluent_kafka import KafkaException

        message = consumer.poll(LOOK)
        if message is None:
            return
        if problem := message.error():
            raise KafkaException(problem)
        while True:
            try:
                self._accept(connection, message)
            except EarlyError as error:
                if self._waits(message):
                    if self._stopping():
                        return  # it is read again
                    time.sleep(LOOK / 2)
                    continue
                self._put_away(message, error)
            except UnavailableError:
                raise
            except Km3voError as error:
                self._put_away(message, error)
            break
        consumer.commit(message=message, asynchronous=False)

    def _accept(self, connection: psycopg.Connection, message: Message) -> None:
        document = message.value() or b""
        check_size(len(document))
        accept(connection, document, self._sender, outgoing=self._outgoing)

    def _waits(self, message: Message) -> bool:
        """Whether the alert that a message revises may still come, from another partition or by another way in."""
        _, milliseconds = message.timestamp()
        return time.time() - milliseconds / 1000 < self._outgoing.settings.alerts.early_seconds

    def _put_away(self, message: Message, error: Km3voError) -> None:
        name = f"{message.topic()}-{message.partition()}-{message.offset()}.json"
        log.error("a message of the topic was refused: see %s and the text beside it", self._refused / name)
        self._refused.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._refused / name).write_bytes(message.value() or b"")
        (self._refused / f"{name}.txt").write_text(f"{error}\n")
