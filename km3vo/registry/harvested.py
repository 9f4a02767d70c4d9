"""The records as harvesters see them: which there are, since when, and which are gone (OAI-PMH 2.0 §2.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class Record:
    """A record.

    Attributes:
        identifier: its IVOID.
        xml: the resource without dates, or None when it was deleted.
        created, updated: whole seconds, UTC.
    """

    identifier: str
    xml: bytes | None
    created: datetime
    updated: datetime


@dataclass(frozen=True, slots=True)
class Window:
    """Which records are asked for: those updated in an interval of time, both ends included."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list: its records, how many there are in all, whether there are more, and when it was read."""

    records: list[Record]
    total: int
    more: bool
    read_at: datetime


_FIND = "SELECT identifier, xml, created, updated FROM km3vo.record WHERE identifier = %s"
_COUNT = """
    SELECT count(*) FROM km3vo.record
    WHERE updated >= coalesce(%(since)s::timestamptz, '-infinity')
        AND updated <= coalesce(%(until)s::timestamptz, 'infinity')
"""
_PAGE = """
    SELECT identifier, xml, created, updated FROM km3vo.record
    WHERE updated >= coalesce(%(since)s::timestamptz, '-infinity')
        AND updated <= coalesce(%(until)s::timestamptz, 'infinity')
        AND identifier > %(after)s
    ORDER BY identifier LIMIT %(most)s
"""

_KNOWN = "SELECT identifier, xml FROM km3vo.record WHERE xml IS NOT NULL"  # those that are not deleted
_ALL = "SELECT identifier, xml FROM km3vo.record"
# A harvester that read the clock before we write must not read the records before we commit: else it would next ask for
# changes since a time that is later than ours, and never see them.
_LOCK = "LOCK TABLE km3vo.record IN ACCESS EXCLUSIVE MODE"
_LOCK_SHARED = "LOCK TABLE km3vo.record IN ACCESS SHARE MODE"
# Never before an earlier change, also when the clock was set back.
_CHANGED_AT = "SELECT greatest(date_trunc('second', clock_timestamp()), max(updated)) FROM km3vo.record"
_WRITE = """
    INSERT INTO km3vo.record (identifier, xml, created, updated) VALUES (%(name)s, %(xml)s, %(at)s, %(at)s)
    ON CONFLICT (identifier) DO UPDATE SET xml = excluded.xml, updated = excluded.updated
"""
_EARLIEST = "SELECT min(created) FROM km3vo.record"


def update(connection: psycopg.Connection, make: Callable[[], Mapping[str, bytes]]) -> list[str]:
    """Make the stored records those that ``make`` gives, by their identifiers.

    A record that is as it was keeps its date. ``make`` is asked again once nobody else can write, so that records made
    from what is out of date never replace newer ones. ``connection`` is the service's, in autocommit mode.

    Returns:
        the identifiers of all records that are new, changed, or now deleted.
    """
    if dict(connection.execute(_KNOWN).fetchall()) == make():
        return []
    with connection.transaction():
        connection.execute(_LOCK)
        records = make()
        known: dict[str, bytes | None] = dict(connection.execute(_ALL).fetchall())
        changed = {name: xml for name, xml in records.items() if known.get(name) != xml}
        gone = [name for name, xml in known.items() if xml is not None and name not in records]
        if not changed and not gone:
            return []
        row = connection.execute(_CHANGED_AT).fetchone()
        assert row is not None
        with connection.cursor() as cursor:
            cursor.executemany(
                _WRITE,
                [{"name": name, "xml": xml, "at": row[0]} for name, xml in {**changed, **dict.fromkeys(gone)}.items()],
            )
    return [*changed, *gone]


async def find(connection: AsyncConnection, identifier: str) -> Record | None:
    """One record, deleted or not."""
    cursor = connection.cursor(row_factory=class_row(Record))
    await cursor.execute(_FIND, (identifier,))
    return await cursor.fetchone()


async def page(connection: AsyncConnection, window: Window, after: str, most: int) -> Page:
    """The records inside ``window`` that follow ``after``, in the order of their identifiers, at most so many.

    The order does not change when a record does. So a list that is read page by page has every record that was there
    from its beginning to its end exactly once.
    """
    bounds = {"since": window.since, "until": window.until, "after": after, "most": most + 1}
    async with connection.transaction():
        # The clock first, then the lock, then the records: see ``_LOCK``.
        cursor = await connection.execute("SELECT clock_timestamp()")
        row = await cursor.fetchone()
        assert row is not None
        await connection.execute(_LOCK_SHARED)
        cursor = await connection.execute(_COUNT, bounds)
        counted = await cursor.fetchone()
        assert counted is not None
        reader = connection.cursor(row_factory=class_row(Record))
        await reader.execute(_PAGE, bounds)
        records = await reader.fetchall()
    return Page(records[:most], counted[0], len(records) > most, row[0])


async def earliest(connection: AsyncConnection) -> datetime | None:
    """A time before which no record was changed."""
    row = await (await connection.execute(_EARLIEST)).fetchone()
    return row[0] if row else None
