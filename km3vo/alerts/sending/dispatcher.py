"""Sending what lies in the outbox: a thread for each channel, woken by each alert and looking every second."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from datetime import timedelta
from typing import Protocol

import psycopg

from km3vo.alerts.sending import outbox
from km3vo.alerts.sending.channels import Channel
from km3vo.alerts.sending.outbox import Arrived, Delivery, Refused
from km3vo.database.logins import Database

log = logging.getLogger(__name__)


class Transport(Protocol):
    """How deliveries get to a channel.

    Attributes:
        together: whether what became of a batch is known at one moment, and can be written down in one transaction.
    """

    together: bool

    def send(self, batch: list[Delivery]) -> Iterable[tuple[Delivery, Arrived | Refused]]:
        """Send each, in this order; tells what became of it as soon as that is known."""

    def close(self) -> None:
        """Close what is open."""


def transport(channel: Channel) -> Transport:
    """The transport of a channel. Raises SetupError when one of its secrets cannot be read."""
    if channel.kind == "kafka":
        from km3vo.alerts.sending.kafka import Kafka

        return Kafka(channel)
    if channel.kind == "mail":
        from km3vo.alerts.sending.smtp import Smtp

        return Smtp(channel)
    if channel.kind == "vtp":
        from km3vo.alerts.sending.vtp import Vtp

        return Vtp(channel)
    from km3vo.alerts.sending.webhook import Webhook

    return Webhook(channel)


class Dispatcher:
    """Sends by one channel. Of several, in whatever process, one at a time does so."""

    def __init__(self, database: Database, channel: Channel, expires: timedelta, stopping: Callable[[], bool]) -> None:
        self._database = database
        self._channel = channel
        self._expires = expires
        self._stopping = stopping
        self._failing = False

    def run(self) -> None:
        """Send until the service stops.

        Raises:
            Km3voError: the database went away; to be called again.
        """
        with outbox.turns(self._database, self._channel.name, self._stopping) as turns:
            sending: Transport | None = None
            try:
                for connection in turns:
                    while not self._stopping() and (batch := outbox.claim(connection, self._channel.name)):
                        sending = sending or transport(self._channel)
                        self._send(connection, sending, batch)
            finally:
                if sending is not None:
                    sending.close()

    def _send(self, connection: psycopg.Connection, sending: Transport, batch: list[Delivery]) -> None:
        with connection.transaction() if sending.together else nullcontext():
            self._settle(connection, sending.send(batch))

    def _settle(self, connection: psycopg.Connection, outcomes: Iterable[tuple[Delivery, Arrived | Refused]]) -> None:
        for one, outcome in outcomes:
            with connection.transaction():
                given_up = outbox.settle(connection, self._channel.name, one, outcome, self._expires)
            if isinstance(outcome, Refused) != self._failing:
                self._failing = not self._failing
                why = f"does not take alerts: {outcome.why}" if isinstance(outcome, Refused) else "takes alerts again"
                log.warning("channel %s %s", self._channel.name, why)
            if given_up:
                assert isinstance(outcome, Refused)
                log.error("alert %s was given up on channel %s: %s", one.key, self._channel.name, outcome.why)
