"""What people decide about a release: holds, early releases, latencies, quality. Each is logged with who and why.

Every function takes a connection of the owner and commits. Public events are never touched.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, LiteralString

import psycopg
from psycopg import sql

from km3vo.catalog.model import Table
from km3vo.embargo import partitions
from km3vo.embargo.release import explained
from km3vo.errors import ConflictError, NotFoundError

Verdict = Literal["passed", "failed", "pending"]
WAIT = "30s"  # for loads and promotions that are under way

# Of the transaction alone.
SET_WAIT = "SELECT set_config('lock_timeout', %s, true)"
HOLD = "SELECT km3vo.hold(%s, %s, coalesce(%s, 'infinity'::timestamptz), %s, %s)"
EARLY = "SELECT km3vo.release_early(%s, %s, coalesce(%s, now()), %s, %s)"
RECOMPUTE = "SELECT km3vo.recompute(known, km3vo.as_stored(known, %s)) FROM km3vo.find_embargoed(%s) AS known"
LIFT = "SELECT km3vo.lift(%s, %s, %s, %s)"
SET_LATENCY = "SELECT km3vo.set_latency(%s, %s::interval, %s, %s)"
SET_QUALITY = "SELECT km3vo.set_quality(%s, %s, %s, %s, %s, %s)"
OF_RUN = "SELECT {event}::text FROM {hidden} WHERE ({columns}) = ({values})"
UNKNOWN = """
SELECT named FROM unnest(%s::text[]) AS named
WHERE NOT EXISTS (SELECT FROM {parent} AS event WHERE event.{event}::text = named) LIMIT 10
"""


def _decide(
    connection: psycopg.Connection,
    statement: LiteralString,
    values: Sequence[Any],
    table: str = "",
    event: str = "",
    wait: str = WAIT,
) -> Any:
    with explained(table, event), connection.transaction():
        connection.execute(SET_WAIT, (wait,))
        row = connection.execute(statement, values).fetchone()
        assert row is not None
        return row[0]


def hold(
    connection: psycopg.Connection, table: Table, event: str, *, until: datetime | None, reason: str, who: str
) -> bool:
    """Keep an event back, until a time or until it is lifted. Never makes it public earlier.

    In force at once: it waits for no load, and a promotion that is under way leaves the event where it is.

    Returns:
        Whether the event is there. If not, the hold applies when it arrives.

    Raises:
        ConflictError: it is public already, or has an exception already.
        NotFoundError: no such table, or no event of it can be called so.
    """
    present = _decide(connection, HOLD, (table.qualified, event, until, reason, who), table.qualified, event)
    # Whoever works on the event's row just now may go on: the hold is in force, and the row says so later.
    with contextlib.suppress(ConflictError):
        _decide(connection, RECOMPUTE, (event, table.qualified), table.qualified, event, wait="2s")
    return bool(present)


def release_early(
    connection: psycopg.Connection, table: Table, event: str, *, at: datetime | None, reason: str, who: str
) -> bool:
    """Release an event before its latency is over: at a time, or by the next promotion. Quality control still counts.

    Returns:
        Whether the event is there. If not, the release applies when it arrives.

    Raises:
        ConflictError, NotFoundError: as for ``hold``.
    """
    return bool(_decide(connection, EARLY, (table.qualified, event, at, reason, who), table.qualified, event))


def lift(connection: psycopg.Connection, table: Table, event: str, *, reason: str, who: str) -> None:
    """End a hold or an early release: the event goes by its stream's latency again, unless it is public already.

    Raises:
        NotFoundError: there is none.
    """
    _decide(connection, LIFT, (table.qualified, event, reason, who), table.qualified, event)


def set_latency(connection: psycopg.Connection, stream: str, latency: str, *, reason: str, who: str) -> int:
    """Change the latency of a stream, for all its events that are not public yet.

    Args:
        latency: an ISO 8601 duration, or "never". "P0D" releases at the next promotion.

    Returns:
        How many embargoed events have another release time now.

    Raises:
        NotFoundError: there is no such stream.
    """
    interval = None if latency == "never" else latency
    return int(_decide(connection, SET_LATENCY, (stream, interval, reason, who), f"stream {stream}"))


def set_quality(
    connection: psycopg.Connection,
    table: Table,
    verdict: Verdict,
    events: Sequence[str] | None,
    *,
    reason: str,
    who: str,
    which: str | None = None,
) -> int:
    """Note what quality control says of some events, or (None) of all that are pending.

    Args:
        which: what was judged, for the log; the events unless given.

    Returns:
        How many events were changed.

    Raises:
        ConflictError: one of them is public already.
        NotFoundError: one of them is not there.
    """
    named = None if events is None else list(events)
    if named is not None:
        _refuse_unknown(connection, table, named)
        which = which or " ".join(named)
    values = (table.qualified, verdict, named, reason, who, which)
    return int(_decide(connection, SET_QUALITY, values, table.qualified))


def _refuse_unknown(connection: psycopg.Connection, table: Table, named: list[str]) -> None:
    unknown = [one for (one,) in connection.execute(sql.SQL(UNKNOWN).format(**partitions.names(table)), (named,))]
    if unknown:
        raise NotFoundError(f"{', '.join(unknown)}: there is no such event in {table.qualified}. Nothing was changed")


def of_run(connection: psycopg.Connection, table: Table, run: dict[str, str]) -> list[str]:
    """The embargoed events of a run, by the columns that tell runs apart; public ones are beyond judging.

    Raises:
        NotFoundError: there are none.
    """
    columns = sql.SQL(", ").join(map(sql.Identifier, run))
    values = sql.SQL(", ").join(sql.Placeholder() * len(run))
    statement = sql.SQL(OF_RUN).format(columns=columns, values=values, **partitions.names(table))
    try:
        found = [one for (one,) in connection.execute(statement, list(run.values()))]
    except psycopg.DataError:
        found = []
    if not found:
        raise NotFoundError(f"no event of the run {'/'.join(run.values())} is under embargo in {table.qualified}")
    return found
