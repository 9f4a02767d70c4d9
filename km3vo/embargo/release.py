"""Releasing events: looking for what is due, telling what will be, and what people decided about single events.

What is told to the public (``UP_TO``) comes from the clock alone. Everything else here is for the operator, who sees
all.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from km3vo.catalog.model import Table
from km3vo.embargo import clock, partitions
from km3vo.embargo.partitions import Promotion
from km3vo.errors import ConflictError, Km3voError, NotFoundError, SetupError, UnavailableError

AT_ONCE = timedelta()
BUSY_SECONDS = 30  # so long a promotion of somebody else's, a batch at a time, is waited for
CLOCK = "nobody has found the clock of the database right for a day, and nothing was released: see `km3vo release run`"

# Up to which time of observation (UTC) embargoed tables are public; events before it are, unless quality control or a
# hold keeps them back. It follows from the clock of the last complete look and the latency, and from no event: it is
# the same whether there are embargoed events or not, and anybody may know it. NULL for what is never public.
UP_TO = """
SELECT embargoed.published, other.looked_at AT TIME ZONE 'UTC' - stream.latency
FROM km3vo.embargoed JOIN km3vo.embargoed AS other
    ON other.published = coalesce(embargoed.follows, embargoed.published)
JOIN km3vo.stream ON stream.name = other.stream
"""

# Up to when what is due is released, where releases come in batches counted from midnight (UTC), by the database's
# clock: the begin of the present span; but not less far than somebody looked without waiting for it.
BATCH = """
SELECT greatest(date_bin(%s, clock, date_trunc('day', clock, 'UTC')), looked_at)
FROM clock_timestamp() AS clock, km3vo.embargoed WHERE published = %s
"""

# The rest tells of embargoed events, and is for the operator.
RULE = """
SELECT stream, latency::text, looked_at, checked_at, released_at,
    CASE WHEN latency IS DISTINCT FROM nullif(described, 'never')::interval THEN described END
FROM km3vo.embargoed JOIN km3vo.stream ON name = stream WHERE published = %s
"""
COUNTS = """
SELECT count(*), count(*) FILTER (WHERE _qc = 'pending'), count(*) FILTER (WHERE _qc = 'failed'),
    count(*) FILTER (WHERE _qc = 'passed' AND _release_time <= clock_timestamp() AND {led_hidden}),
    min(_release_time) FILTER (WHERE isfinite(_release_time) AND _release_time > clock_timestamp()),
    count(*) FILTER (WHERE EXISTS (SELECT FROM {public} AS other WHERE other.{event} = hidden.{event})),
    (SELECT count(*) FROM {public})
FROM {hidden} AS hidden
"""
EXCEPTIONS = """
SELECT kind, count(*) FROM km3vo.release_exception WHERE published = %s AND lifted_at IS NULL GROUP BY kind
"""
PLAN = """
SELECT date_trunc('day', greatest(_release_time, now())) AS day,
    count(*) FILTER (WHERE _qc = 'passed'), count(*) FILTER (WHERE _qc = 'pending')
FROM {hidden} AS hidden
WHERE _release_time < now() + %s * interval '1 day' AND _qc <> 'failed' AND {led_hidden} GROUP BY day ORDER BY day
"""
LOG = """
SELECT at, what, coalesce(published, 'stream ' || stream, ''), event, rows, decided_by, reason
FROM km3vo.release_log ORDER BY id DESC LIMIT %s
"""


@contextmanager
def explained(table: str = "", event: str = "") -> Iterator[None]:
    """Turn the refusals of rule.sql into errors for the operator.

    Raises:
        Km3voError: in plain words.
    """
    try:
        yield
    except psycopg.Error as error:
        raise _explain(error, table, event) from None


def _explain(error: psycopg.Error, table: str, event: str) -> Km3voError:
    match error.sqlstate:
        case "KM002":
            return SetupError(CLOCK)
        case "KM003":
            return ConflictError(f"{event or 'an event'} of {table} is public already, and what is public stays public")
        case "KM004":
            return NotFoundError(
                f"{error.diag.message_primary} ({' '.join(filter(None, (table, event)))}); see `km3vo release status`"
            )
        case "KM005":
            return ConflictError(
                f"{event} of {table} has an exception already: end it first with `km3vo release lift {table} {event}`"
            )
        case "55P03":
            return ConflictError("events are being loaded or released just now; try again when that is done")
        case state:
            return UnavailableError(f"the database did not do it (SQLSTATE {state}); nothing was changed")


def run(
    connection: psycopg.Connection,
    tables: Iterable[Table],
    *,
    at: datetime | None = None,
    every: timedelta = AT_ONCE,
) -> list[Promotion]:
    """Release what is due in each embargoed table.

    Args:
        connection: of the service's login, in autocommit mode.
        at: as if it were then, but for early releases; a later time counts as now.
        every: what is due by its latency waits for the next begin of such a span, counted from midnight (UTC).
            Not so what was due when somebody looked without it, nor early releases.

    Raises:
        SetupError: the clock is not to be trusted.
        ConflictError: somebody else is at it and does not finish.
    """
    clock.look(connection)
    return [_run(connection, table, at, every) for table in tables if table.release.embargoed]


def _until(connection: psycopg.Connection, table: Table, at: datetime | None, every: timedelta) -> datetime | None:
    if at is not None or not every:
        return at
    row = connection.execute(BATCH, (every, table.qualified)).fetchone()
    return row[0] if row else None


def next_batch(clock: datetime, every: timedelta) -> datetime:
    """When what is due by its latency is released next, by a clock; at once where releases do not come in batches."""
    midnight = clock.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if not every:
        return clock
    return min(midnight + ((clock - midnight) // every + 1) * every, midnight + timedelta(days=1))


def _run(connection: psycopg.Connection, table: Table, at: datetime | None, every: timedelta) -> Promotion:
    until = time.monotonic() + BUSY_SECONDS
    moved, latest = 0, None
    while True:
        with explained(table.qualified):
            done = partitions.promote(connection, table, at=_until(connection, table, at, every))
        moved, latest = moved + done.moved, done.up_to or latest
        if done.complete:
            return Promotion(table.qualified, moved, latest)
        if time.monotonic() > until:
            raise ConflictError(f"events of {table.qualified} are being released by somebody else; try again later")
        time.sleep(0.2)


@dataclass(frozen=True, slots=True)
class Status:
    """How things stand with one embargoed table. For the operator only.

    Attributes:
        table, stream, latency: its name, its stream, and the latency of that; None is never.
        described: the latency in schemas/, when another one was set by command; else None.
        public, embargoed: events in each partition.
        pending, failed: embargoed events that wait for quality control, and that did not pass it.
        due: events whose time has come and that passed; a look moves them.
        held, early: exceptions in force.
        doubled: due events whose identifier is public already; somebody has to look at them.
        next: the release time that comes next.
        looked_at: what was due at this time is public.
        checked_at, released_at: when somebody last looked for what is due, and when events last became public.
    """

    table: str
    stream: str
    latency: str | None
    described: str | None
    public: int
    embargoed: int
    pending: int
    failed: int
    due: int
    held: int
    early: int
    doubled: int
    next: datetime | None
    looked_at: datetime | None
    checked_at: datetime | None
    released_at: datetime | None


def status(connection: psycopg.Connection, table: Table) -> Status:
    """How things stand. ``connection`` belongs to the owner.

    Raises:
        NotFoundError: the table was never published.
    """
    rule = connection.execute(RULE, (table.qualified,)).fetchone()
    if rule is None:
        raise NotFoundError(f"{table.qualified} is not embargoed, or not published yet: see `km3vo publish`")
    counts = connection.execute(sql.SQL(COUNTS).format(**partitions.names(table))).fetchone()
    assert counts is not None
    embargoed, pending, failed, due, soonest, doubled, public = counts
    exceptions: dict[str, int] = dict(connection.execute(EXCEPTIONS, (table.qualified,)).fetchall())
    stream, latency, looked_at, checked_at, released_at, described = rule
    return Status(
        table=table.qualified,
        stream=stream,
        latency=latency,
        described=described,
        public=public,
        embargoed=embargoed,
        pending=pending,
        failed=failed,
        due=due,
        held=exceptions.get("hold", 0),
        early=exceptions.get("early", 0),
        doubled=doubled,
        next=soonest,
        looked_at=looked_at,
        checked_at=checked_at,
        released_at=released_at,
    )


def plan(connection: psycopg.Connection, table: Table, days: int) -> list[tuple[datetime, int, int]]:
    """What will become public in the coming days: (day, events that passed quality control, events still pending).

    What is overdue counts for today. ``connection`` belongs to the owner.
    """
    return connection.execute(sql.SQL(PLAN).format(**partitions.names(table)), (days,)).fetchall()


def log(connection: psycopg.Connection, last: int) -> list[tuple[Any, ...]]:
    """What was released and decided, the newest first: when, what, of which table or stream, which event, how many
    events, by whom, and why. ``connection`` belongs to the owner.
    """
    return connection.execute(LOG, (last,)).fetchall()
