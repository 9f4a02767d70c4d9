"""Kafka: GCN's brokers, hop's, or one's own, by librdkafka."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from km3vo.alerts.sending.channels import Channel
from km3vo.alerts.sending.outbox import Arrived, Delivery, Refused

DEFAULTS = {
    "enable.idempotence": True,
    "acks": "all",
    "linger.ms": 0,
    "delivery.timeout.ms": 15000,  # librdkafka's queue is not the outbox: what does not arrive soon goes back there
    "reconnect.backoff.max.ms": 1000,
    "log_level": 2,  # each attempt to connect would be a line; the dispatcher tells of an absence once
    "message.max.bytes": 4 * 2**20,  # GCN's limit
}
LASTING = {
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_EXCEPTION,
}
log = logging.getLogger("km3vo.kafka")


class Kafka:
    """One producer for the life of a channel, as GCN asks for."""

    together = True

    def __init__(self, channel: Channel) -> None:
        self._topic = channel.to
        values = channel.values()
        if "ssl" in str(values.get("security.protocol", "")).lower():
            import certifi

            # librdkafka asks OAuth's endpoint with certificates of its own setting.
            values = {"ssl.ca.location": certifi.where(), "https.ca.location": certifi.where()} | values
        self._format = channel.format.replace("xml", "voevent")
        self._values = DEFAULTS | values
        self._producer = Producer(self._values, logger=log)

    def send(self, batch: list[Delivery]) -> Iterator[tuple[Delivery, Arrived | Refused]]:
        """Send all at once; the broker's delivery reports say what arrived."""
        told: dict[int, Arrived | Refused] = {}
        fatal: list[bool] = []
        for one in batch:
            try:
                self._producer.produce(
                    self._topic,
                    one.payload,
                    key=one.event_name,  # all revisions of an alert lie in one partition, which keeps their order
                    headers=[
                        ("km3vo-dedup", one.key.encode()),
                        ("_format", self._format.encode()),  # as hop-client writes it
                        *([("km3vo-replay", b"1")] if one.replay else []),
                    ],
                    on_delivery=_reporting(told, fatal, one),
                )
            except KafkaException as error:
                told[one.id] = _refused(error.args[0])
            except BufferError:
                told[one.id] = Refused("the producer's queue is full")
        self._producer.flush(30)
        if any(fatal):  # a producer that promises order and lost it sends nothing any more
            self._producer = Producer(self._values, logger=log)
        for one in batch:
            yield one, told.get(one.id, Refused("no delivery report came"))

    def close(self) -> None:
        """Let go of the producer."""
        self._producer.flush(1)


def _reporting(told: dict[int, Arrived | Refused], fatal: list[bool], one: Delivery) -> Any:
    def report(error: Any, message: Any) -> None:
        fatal.append(bool(error and error.fatal()))
        told[one.id] = (
            _refused(error) if error else Arrived(f"{message.topic()}/{message.partition()}/{message.offset()}")
        )

    return report


def _refused(error: Any) -> Refused:
    """By the name of the error: its text may quote settings."""
    return Refused(error.name(), lasting=error.code() in LASTING)
