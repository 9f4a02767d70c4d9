"""Taking a standard event in: checked, named, stored and logged in one transaction, or refused with what to mend.

Whoever is told that it was accepted may forget it: it is on disk. Sent again it is recognised and changes nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from km3vo.alerts import attached, holding, mistakes, names, profile, records, revision
from km3vo.alerts.holding import Waiting
from km3vo.alerts.mistakes import AlertError, ClashError, Mistake
from km3vo.alerts.records import Record
from km3vo.alerts.revision import Revision
from km3vo.alerts.sending.outbox import Outgoing, channels_of
from km3vo.alerts.standard import MOST_BYTES, StandardEvent
from km3vo.database import failures
from km3vo.errors import ConflictError, ForbiddenError, Km3voError, TooLargeError

CLOCKS = timedelta(seconds=2)  # by which a pipeline's clock may differ from the database's

CLOCK = "SELECT clock_timestamp()"
# Whoever publishes waits here for whoever else does: names and numbers are given one after the other.
TURN = "UPDATE km3vo.alert_count SET last = last RETURNING last"
COUNT = "UPDATE km3vo.alert_count SET last = %s"
KEY = (
    "SELECT content_hash FROM km3vo.alert WHERE sender = %s AND idempotency_key = %s "
    "AND published > clock_timestamp() - interval '7 days'"
)
SAME = (
    "SELECT number, published, event_name, revision, redacted, document::text FROM km3vo.alert "
    "WHERE alert_id = %s AND type = %s AND content_hash = %s"
)
BEFORE = (
    "SELECT number, published, event_name, revision, redacted, document::text FROM km3vo.alert "
    "WHERE alert_id = %s ORDER BY number DESC LIMIT 1"
)
TAKEN = "SELECT event_name FROM km3vo.alert WHERE revision = 1 AND starts_with(event_name, %s)"
INSERT = (
    "INSERT INTO km3vo.alert (number, event_name, revision, alert_id, pipeline, type, is_test, sender, "
    "idempotency_key, content_hash, published, document) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
LOG = "INSERT INTO km3vo.alert_log (who, what, event_name, revision, sha256, detail) VALUES (%s, %s, %s, %s, %s, %s)"


class EarlyError(ConflictError):
    """A revision came before the alert that it revises."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends a standard event, and what this one may send.

    Attributes:
        name: for the log.
        tests_only: whether only tests and injections may be sent.
        pipelines: whose alerts; none named is all of them.
        released: whether it waited, and a person decided that it is published.
        offline_reason: why an operator approved an update from offline data; empty when nobody did.
    """

    name: str
    tests_only: bool = False
    pipelines: tuple[str, ...] = ()
    released: bool = False
    offline_reason: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a message: the revision, the channels by which it is sent, and whether it was there already."""

    record: Record
    channels: tuple[str, ...]
    repeated: bool

    @property
    def answer(self) -> dict[str, Any]:
        """What the sender is told; the same each time."""
        return {"event_name": self.record.event_name, "revision": self.record.revision, "channels": self.channels}


@dataclass(frozen=True, slots=True)
class Held:
    """A message that was accepted and waits for a person.

    Attributes:
        why: it does.
    """

    alert_id: str
    why: str

    @property
    def answer(self) -> dict[str, Any]:
        """What the sender is told."""
        return {"alert_id": self.alert_id, "state": "held", "reason": self.why}


def accept(
    connection: psycopg.Connection,
    document: bytes,
    sender: Sender,
    *,
    outgoing: Outgoing | None = None,
    key: str | None = None,
    skymap: bytes | None = None,
    dry_run: bool = False,
) -> Accepted | Held:
    """Take a standard event in. It is public when this returns, or held for a person.

    Args:
        connection: the service's, in autocommit mode.
        document: JSON, as it came.
        outgoing: what is sent of it; nothing unless given.
        key: of the request (``Idempotency-Key``): for seven days nothing else can be sent with it.
        skymap: the FITS file that came with it.
        dry_run: do all but keep it.

    Raises:
        AlertError: it is no standard event; all mistakes are told.
        ClashError: an alert with this identifier says something else.
        EarlyError: it revises an alert that has not come yet.
        ConflictError: it cannot follow what is there.
        ForbiddenError: the sender may not send this.
        UnavailableError: the database is away; nothing was kept.
    """
    digest = hashlib.sha256(document).hexdigest()
    try:
        if skymap is not None:
            document = attached.named(document, skymap)
        with connection.transaction() as transaction:
            (now,) = _row(connection, CLOCK, ())
            event = profile.read(document, now=now, offline_approved=bool(sender.offline_reason))
            _check(event, sender, now)
            if event.skymap and event.skymap.file:
                attached.keep(connection, event.skymap.file, skymap)
            taken: Accepted | Held
            if why := None if dry_run else _held_because(connection, event, sender, outgoing):
                content = profile.content_hash(event)
                holding.hold(connection, event, document, sender=sender.name, content=content, why=why)
                taken = Held(event.alert_id, why)
                note(connection, sender.name, "held", sha256=digest, detail=f"{event.alert_id}: {why}")
            else:
                taken = _publish(connection, event, sender, now, key, outgoing)
                what = "repeated" if taken.repeated else "accepted"
                note(connection, sender.name, what, taken.record, sha256=digest, detail=sender.offline_reason)
            if dry_run:
                raise psycopg.Rollback(transaction)
    except psycopg.Error as error:
        raise failures.explain(error.sqlstate) from None
    except EarlyError:
        raise
    except Km3voError as error:
        if not dry_run:
            note(connection, sender.name, "refused", sha256=digest, detail=str(error)[:2000])
        raise
    return taken


def check_size(size: int) -> None:
    """Raises TooLargeError for more bytes than a standard event may have."""
    if size > MOST_BYTES:
        raise TooLargeError(f"a standard event has at most {MOST_BYTES} bytes")


def check_clock(path: str, sent: datetime, now: datetime) -> None:
    """Raises AlertError when the clock of a sender, in the field ``path``, is not that of the database."""
    if abs(sent - now) > CLOCKS:
        repair = f"the clock here says {now.isoformat()}: mend the clock, and write the time of each attempt anew"
        raise AlertError([Mistake(path, sent.isoformat(), repair)])


def release(connection: psycopg.Connection, one: Waiting, outgoing: Outgoing) -> Accepted:
    """Publish a message that waited. Done again after a crash, it changes nothing.

    Raises:
        Km3voError: as ``accept`` does; it goes on waiting.
    """
    taken = accept(connection, one.document, Sender(one.sender, released=True), outgoing=outgoing)
    assert isinstance(taken, Accepted)
    holding.end(connection, one)
    return taken


def note(
    connection: psycopg.Connection,
    who: str,
    what: str,
    about: Record | None = None,
    *,
    sha256: str | None = None,
    detail: str = "",
) -> None:
    """Write down what was done with an alert, or with a message that became none."""
    name, number = (about.event_name, about.revision) if about else (None, None)
    try:
        connection.execute(LOG, (who, what, name, number, sha256, detail.replace("\0", "\N{REPLACEMENT CHARACTER}")))
    except psycopg.Error as error:
        raise failures.explain(error.sqlstate) from None


def _check(event: StandardEvent, sender: Sender, now: datetime) -> None:
    if sender.tests_only and not event.is_test:
        raise ForbiddenError(f"this token sends tests alone, and the tense is {event.tense}")
    if sender.pipelines and event.pipeline not in sender.pipelines:
        raise ForbiddenError(f"this token sends alerts of {', '.join(sender.pipelines)}, not of {event.pipeline}")
    if event.sent is not None and not sender.released:
        check_clock("sent", event.sent, now)


def _held_because(
    connection: psycopg.Connection, event: StandardEvent, sender: Sender, outgoing: Outgoing | None
) -> str | None:
    """Why an event has to wait, or None; what is public already does not."""
    connection.execute(TURN)
    content = profile.content_hash(event)
    known = connection.execute(SAME, (event.alert_id, event.type, content)).fetchone()
    if sender.released or known:
        return None
    return holding.reason(connection, event, content, outgoing.settings if outgoing else None)


def _publish(
    connection: psycopg.Connection,
    event: StandardEvent,
    sender: Sender,
    now: datetime,
    key: str | None,
    outgoing: Outgoing | None,
) -> Accepted:
    (last,) = _row(connection, TURN, ())
    content = profile.content_hash(event)
    used = connection.execute(KEY, (sender.name, key)).fetchone() if key else None
    if used and used[0] != content:
        raise ConflictError("this Idempotency-Key came with another message: take a new one for each message")
    if same := connection.execute(SAME, (event.alert_id, event.type, content)).fetchone():
        known = records.record(same)
        return Accepted(known, tuple(channels_of(connection, known.event_name, known.revision)), repeated=True)
    row = connection.execute(BEFORE, (event.alert_id,)).fetchone()
    said = _revised(event, records.record(row) if row else None, now, connection)
    record = Record(last + 1, now, said.event_name, said.revision, None, said)
    connection.execute(
        INSERT,
        (
            *(record.number, said.event_name, said.revision, said.alert_id, said.pipeline, said.type, said.is_test),
            *(sender.name, key, content, now, records.written(said)),
        ),
    )
    connection.execute(COUNT, (record.number,))
    if outgoing:
        outgoing.put(connection, record)
    return Accepted(record, tuple(channels_of(connection, said.event_name, said.revision)), repeated=False)


def _revised(event: StandardEvent, newest: Record | None, now: datetime, connection: psycopg.Connection) -> Revision:
    """The revision that an event makes after the newest of its alert, or the first of a new alert."""
    before = newest.said if newest else None
    if before is None or (before.type == "retraction" and event.type == "initial"):
        if event.type != "initial":
            raise EarlyError(f"there is no alert {event.alert_id} to be revised: send its initial first")
        return revision.first(event, event_name=_name(event, connection), received=now)
    where = f"{before.event_name} revision {before.revision}"
    if before.type == "retraction":
        raise ConflictError(f"{where} is a retraction: only another initial can follow it, as an alert of its own")
    if event.pipeline != before.pipeline:
        raise ConflictError(f"{event.alert_id} is an alert of the pipeline {before.pipeline}: choose another alert_id")
    if event.is_test != before.is_test:
        raise ConflictError(
            f"{where} has the tense {before.tense}: only a test revises a test, and a test nothing else"
        )
    if event.type == "initial":
        raise ClashError(_differences(event, before, where))
    if event.event_name not in (None, before.event_name):
        raise ConflictError(f"{event.alert_id} is called {before.event_name}, not {event.event_name}")
    return revision.following(event, before, received=now)


def _name(event: StandardEvent, connection: psycopg.Connection) -> str:
    assert event.time is not None
    start = names.stem(event.time, test=event.is_test)
    taken = [name for (name,) in connection.execute(TAKEN, (start,)).fetchall()]
    if event.event_name in taken:
        raise ConflictError(f"there is an alert {event.event_name} already: leave event_name out to have one given")
    return event.event_name or names.next_name(start, taken)


def _differences(event: StandardEvent, before: Revision, where: str) -> list[Mistake]:
    """What an initial says otherwise than the alert that is there."""
    again = revision.first(event, event_name=before.event_name, received=before.received)
    return [
        Mistake(name, mistakes.shown(getattr(again, name)), f"is {mistakes.shown(getattr(before, name))} in {where}")
        for name in Revision.__dataclass_fields__
        if name not in ("revision", "type") and getattr(again, name) != getattr(before, name)
    ]


def _row(connection: psycopg.Connection, statement: Any, values: tuple[Any, ...]) -> tuple[Any, ...]:
    row = connection.execute(statement, values).fetchone()
    assert row is not None
    found: tuple[Any, ...] = row
    return found
