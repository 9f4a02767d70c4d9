"""What people decide about a release: holds, early releases, latencies, quality. Each is logged with who and why.

Every function takes a connection of the owner and commits. Public events are never touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, LiteralString

import psycopg

from km3vo.catalog.model import Table
from km3vo.store.release import explained

Verdict = Literal["passed", "failed", "pending"]
WAIT = "30s"  # for loads and promotions that are under way


def _decide(
    connection: psycopg.Connection, statement: LiteralString, values: Sequence[Any], table: str = "", event: str = ""
) -> Any:
    with explained(table, event), connection.transaction():
        connection.execute("SELECT set_config('lock_timeout', %s, true)", (WAIT,))
        row = connection.execute(statement, values).fetchone()
        assert row is not None
        return row[0]


def hold(
    connection: psycopg.Connection, table: Table, event: str, *, until: datetime | None, reason: str, who: str
) -> bool:
    """Keep an event back, until a time or until it is lifted. Never makes it public earlier.

    Returns:
        Whether the event is there. If not, the hold applies when it arrives.

    Raises:
        ConflictError: it is public already, or has an exception already.
        NotFoundError: no such table, or no event of it can be called so.
    """
    return bool(
        _decide(
            connection,
            "SELECT km3vo.except_event(%s, %s, 'hold', coalesce(%s, 'infinity'::timestamptz), %s, %s)",
            (table.qualified, event, until, reason, who),
            table.qualified,
            event,
        )
    )


def release_early(
    connection: psycopg.Connection, table: Table, event: str, *, at: datetime | None, reason: str, who: str
) -> bool:
    """Release an event before its latency is over: at a time, or by the next promotion. Quality control still counts.

    Returns:
        Whether the event is there. If not, the release applies when it arrives.

    Raises:
        ConflictError, NotFoundError: as for ``hold``.
    """
    return bool(
        _decide(
            connection,
            "SELECT km3vo.except_event(%s, %s, 'early', coalesce(%s, now()), %s, %s)",
            (table.qualified, event, at, reason, who),
            table.qualified,
            event,
        )
    )


def lift(connection: psycopg.Connection, table: Table, event: str, *, reason: str, who: str) -> None:
    """End a hold or an early release: the event goes by its stream's latency again, unless it is public already.

    Raises:
        NotFoundError: there is none.
    """
    _decide(
        connection,
        "SELECT km3vo.lift(%s, %s, %s, %s)",
        (table.qualified, event, reason, who),
        table.qualified,
        event,
    )


def set_latency(connection: psycopg.Connection, stream: str, latency: str, *, reason: str, who: str) -> int:
    """Change the latency of a stream, for all its events that are not public yet.

    Args:
        latency: an ISO 8601 duration, or "never". "P0D" releases at the next promotion.

    Returns:
        How many embargoed events have another release time now.

    Raises:
        NotFoundError: there is no such stream.
    """
    return int(
        _decide(
            connection,
            "SELECT km3vo.set_latency(%s, %s::interval, %s, %s)",
            (stream, None if latency == "never" else latency, reason, who),
            f"stream {stream}",
        )
    )


def set_quality(
    connection: psycopg.Connection,
    table: Table,
    verdict: Verdict,
    events: Sequence[str] | None,
    *,
    reason: str,
    who: str,
) -> int:
    """Note what quality control says of some events, or (None) of all that are pending.

    Returns:
        How many events were changed.

    Raises:
        ConflictError: one of them is public already.
    """
    return int(
        _decide(
            connection,
            "SELECT km3vo.set_quality(%s, %s, %s, %s, %s)",
            (table.qualified, verdict, None if events is None else list(events), reason, who),
            table.qualified,
        )
    )
