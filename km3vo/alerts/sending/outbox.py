"""The outbox: what is to be sent, written in the transaction of the alert, and what became of it.

Each is delivered at least once, in the order of revisions. What is sent twice can be told by its identifier, which is
the same both times.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row

from km3vo.alerts.records import Record
from km3vo.alerts.sending.channels import Channel
from km3vo.alerts.tables import AlertTables
from km3vo.database import failures, notices
from km3vo.database.logins import SERVICE, Database
from km3vo.settings import Settings

BATCH = 500
LOOK = 1.0  # seconds between looks, since a notification may be lost
SLOWEST = 60.0  # seconds between attempts
TEST_ATTEMPTS = 3
_LOCK = 0x6B6D330000000000  # "km3", and the channel in the last four bytes

PUT = (
    "INSERT INTO km3vo.alert_delivery (event_name, revision, channel, is_test, content_type, payload) "
    "VALUES (%s, %s, %s, %s, %s, %s)"
)
NAMES = "SELECT channel FROM km3vo.alert_delivery WHERE event_name = %s AND revision = %s ORDER BY channel"
# Of each alert the oldest that waits, so that its revisions arrive in their order.
CLAIM = (
    "SELECT id, event_name, revision, is_test, content_type, payload, created, attempts "
    "FROM km3vo.alert_delivery AS one WHERE channel = %s AND sent IS NULL AND failed IS NULL "
    "AND due <= clock_timestamp() AND NOT EXISTS (SELECT FROM km3vo.alert_delivery AS older "
    "WHERE older.channel = one.channel AND older.event_name = one.event_name AND older.sent IS NULL "
    "AND older.failed IS NULL AND older.id < one.id) ORDER BY id LIMIT %s"
)
ARRIVED = (
    "SELECT id, event_name, revision, is_test, content_type, payload, created, attempts, true AS replay "
    "FROM km3vo.alert_delivery WHERE channel = %(channel)s AND payload IS NOT NULL "
    "AND (%(name)s::text IS NULL OR event_name = %(name)s) "
    "AND (%(since)s::timestamptz IS NULL OR created >= %(since)s) "
    "AND (%(until)s::timestamptz IS NULL OR created < %(until)s) ORDER BY id"
)
LATENCIES = (
    "SELECT channel, extract(epoch FROM sent - created)::float8, coalesce(last_error, '') FROM km3vo.alert_delivery "
    "WHERE event_name = %s AND revision = %s ORDER BY channel"
)
SENT = (
    "UPDATE km3vo.alert_delivery SET sent = clock_timestamp(), attempts = attempts + 1, last_error = NULL, "
    "remote_ref = %s WHERE id = %s"
)
AGAIN = (
    "UPDATE km3vo.alert_delivery SET attempts = attempts + 1, last_error = %s, due = clock_timestamp() + %s "
    "WHERE id = %s"
)
FAILED = (
    "UPDATE km3vo.alert_delivery SET attempts = attempts + 1, last_error = %s, failed = clock_timestamp() WHERE id = %s"
)
LOG = (
    "INSERT INTO km3vo.alert_log (who, what, event_name, revision, sha256, detail) "
    "SELECT 'km3vo', %s, event_name, revision, encode(sha256(payload), 'hex'), %s FROM km3vo.alert_delivery "
    "WHERE id = %s"
)
STATES = (
    "SELECT channel, count(*) FILTER (WHERE sent IS NULL AND failed IS NULL) AS waiting, "
    "min(created) FILTER (WHERE sent IS NULL AND failed IS NULL) AS oldest, count(sent) AS sent, "
    "max(sent) AS last, count(failed) AS failed, (array_agg(last_error ORDER BY id DESC) "
    "FILTER (WHERE last_error IS NOT NULL))[1] AS error FROM km3vo.alert_delivery GROUP BY channel ORDER BY channel"
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A revision that waits to be sent by a channel.

    Attributes:
        created: when its alert was accepted.
        attempts: how often it was tried.
        replay: whether it arrived before and is sent again because somebody asked for it.
    """

    id: int
    event_name: str
    revision: int
    is_test: bool
    content_type: str
    payload: bytes
    created: datetime
    attempts: int
    replay: bool = False

    @property
    def key(self) -> str:
        """By which the other side knows it again: the same in every attempt."""
        return f"{self.event_name}/{self.revision}"


@dataclass(frozen=True, slots=True)
class Arrived:
    """The other side acknowledged it.

    Attributes:
        reference: what the other side calls it.
    """

    reference: str


@dataclass(frozen=True, slots=True)
class Refused:
    """It did not arrive.

    Attributes:
        why: in words that hold no secret.
        lasting: whether trying again would not help.
    """

    why: str
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What happens to a revision that is accepted: rows of the published tables, and one for each channel.

    Attributes:
        channels: of the operator's file.
        tables: that are published.
    """

    settings: Settings
    channels: tuple[Channel, ...] = ()
    tables: AlertTables | None = None

    def put(self, connection: psycopg.Connection, record: Record) -> None:
        """Write the rows, in the transaction of ``connection``."""
        revision = record.said
        if self.tables:
            self.tables.put(connection, record, self.settings)
        for channel in self.channels:
            if channel.wants(revision):
                payload, content_type = channel.payload(revision, self.settings)
                connection.execute(
                    PUT,
                    (
                        *(revision.event_name, revision.revision, channel.name),
                        *(revision.is_test, content_type, payload),
                    ),
                )


def channels_of(connection: psycopg.Connection, event_name: str, revision: int) -> list[str]:
    """The channels by which a revision is or was sent."""
    return [name for (name,) in connection.execute(NAMES, (event_name, revision)).fetchall()]


def is_mine(connection: psycopg.Connection, channel: str) -> bool:
    """Whether this session sends by a channel: one does at a time, until it ends."""
    key = _LOCK | zlib.crc32(channel.encode())
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", (key,)).fetchone()
    return row == (True,)


@contextmanager
def turns(database: Database, channel: str, stopping: Callable[[], bool]) -> Iterator[Iterator[psycopg.Connection]]:
    """A session of the service, each time that there may be something to send by a channel, until the service stops.

    It is woken by each alert that is committed, and looks every second. Of several processes one has turns.

    Raises:
        Km3voError: the database went away; to be called again.
    """
    try:
        with database.connect(SERVICE, autocommit=True) as connection:
            named = connection.execute(notices.NAME, ("km3vo_alert",)).fetchone()
            assert named is not None
            connection.execute(notices.listen(named[0]))
            yield _turns(connection, channel, stopping)
    except psycopg.Error as error:
        raise failures.explain(error.sqlstate) from None


def _turns(connection: psycopg.Connection, channel: str, stopping: Callable[[], bool]) -> Iterator[psycopg.Connection]:
    mine = False
    while not stopping():
        mine = mine or is_mine(connection, channel)
        if mine:
            yield connection
        notified: Iterator[object] = connection.notifies(timeout=LOOK, stop_after=1)
        for _ in notified:
            pass


def claim(connection: psycopg.Connection, channel: str) -> list[Delivery]:
    """What is due to be sent by a channel, the oldest first, of each alert one revision."""
    with connection.cursor(row_factory=class_row(Delivery)) as cursor:
        return cursor.execute(CLAIM, (channel, BATCH)).fetchall()


def stored(
    connection: psycopg.Connection, channel: str, *, name: str | None, since: datetime | None, until: datetime | None
) -> list[Delivery]:
    """What was to be sent by a channel, of one alert or of a time, as it was; the oldest first."""
    with connection.cursor(row_factory=class_row(Delivery)) as cursor:
        values = {"channel": channel, "name": name, "since": since, "until": until}
        return cursor.execute(ARRIVED, values).fetchall()


def latencies(connection: psycopg.Connection, event_name: str, revision: int) -> list[tuple[str, float | None, str]]:
    """For each channel the seconds from the acceptance of a revision to its arrival, or None, and the last error."""
    return connection.execute(LATENCIES, (event_name, revision)).fetchall()


def settle(
    connection: psycopg.Connection, channel: str, one: Delivery, outcome: Arrived | Refused, expires: timedelta
) -> bool:
    """Write down what became of a delivery; True when it was given up.

    Args:
        expires: how long after its alert it is worth sending.
    """
    if isinstance(outcome, Arrived):
        _log(connection, "sent", f"{channel}: {outcome.reference}", one)
        connection.execute(SENT, (outcome.reference, one.id))
        return False
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    late = row[0] - one.created > expires or (one.is_test and one.attempts + 1 >= TEST_ATTEMPTS)
    if outcome.lasting or late:
        _log(connection, "failed", f"{channel}: {outcome.why}", one)
        connection.execute(FAILED, (outcome.why, one.id))
        return True
    pause = min(SLOWEST, 2.0**one.attempts) * random.uniform(
        0.75, 1.25
    )  # so that channels do not all try at the same moment
    connection.execute(AGAIN, (outcome.why, timedelta(seconds=pause), one.id))
    return False


def note_replay(connection: psycopg.Connection, channel: str, to: str, who: str, one: Delivery, outcome: str) -> None:
    """Write down that a delivery was sent again by hand."""
    _log(connection, "replayed", f"{channel} to {to} by {who}: {outcome}", one)


def _log(connection: psycopg.Connection, what: str, detail: str, one: Delivery) -> None:
    connection.execute(LOG, (what, detail, one.id))


def states(connection: psycopg.Connection) -> list[dict[str, Any]]:
    """How each channel is: how many wait and since when, how many were sent and failed, and the last error."""
    from psycopg.rows import dict_row

    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(STATES).fetchall()
