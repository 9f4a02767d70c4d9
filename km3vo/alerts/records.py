"""Published revisions as the database has them, and how they are found again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import psycopg
from psycopg.rows import class_row
from pydantic import TypeAdapter

from km3vo.alerts.revision import Revision
from km3vo.alerts.standard import NAME as PATTERN
from km3vo.database.pool import Pool
from km3vo.errors import GoneError, NotFoundError

NAME = re.compile(PATTERN)
NEWEST = (
    "SELECT number, published, event_name, revision, redacted, document::text FROM km3vo.alert "
    "WHERE document IS NOT NULL AND (%(test)s OR NOT is_test) ORDER BY number DESC LIMIT %(limit)s"
)
# Of each alert its newest revision.
LATEST = (
    "SELECT number, published, event_name, revision, redacted, document::text FROM km3vo.alert AS one "
    "WHERE document IS NOT NULL AND (%(test)s OR NOT is_test) AND NOT EXISTS (SELECT FROM km3vo.alert AS later "
    "WHERE later.event_name = one.event_name AND later.revision > one.revision) ORDER BY number DESC LIMIT %(limit)s"
)
NAMED = (
    "SELECT number, published, event_name, revision, redacted, document::text FROM km3vo.alert "
    "WHERE event_name = %(name)s ORDER BY revision"
)
AFTER = (
    "SELECT number, published, event_name, revision, redacted, document::text FROM km3vo.alert "
    "WHERE number > %(after)s ORDER BY number LIMIT %(limit)s"
)
LAST = "SELECT last FROM km3vo.alert_count"
LOG = (
    "SELECT at, who, what, event_name, revision, sha256, detail FROM km3vo.alert_log "
    "WHERE %(name)s::text IS NULL OR event_name = %(name)s ORDER BY id DESC LIMIT %(limit)s"
)


@dataclass(frozen=True, slots=True)
class Record:
    """A published revision.

    Attributes:
        number: its place among all published revisions, counted from 1 without gaps.
        published: when it was (UTC).
        redacted: when what it said was taken away for legal reasons, or None.
        found: the revision itself; None when it was redacted.
    """

    number: int
    published: datetime
    event_name: str
    revision: int
    redacted: datetime | None
    found: Revision | None

    @property
    def said(self) -> Revision:
        """The revision.

        Raises:
            GoneError: it was redacted.
        """
        if self.found is None:
            raise GoneError(f"{self.event_name} revision {self.revision} was taken away on {self.redacted:%Y-%m-%d}.")
        return self.found


@cache
def _adapter() -> TypeAdapter[Revision]:
    return TypeAdapter(Revision)


def written(revision: Revision) -> str:
    """A revision as the database keeps it."""
    return _adapter().dump_json(revision, exclude_none=True).decode()


def record(row: tuple[Any, ...]) -> Record:
    """A row of the statements above."""
    number, published, name, revision, redacted, document = row
    said = _adapter().validate_json(document) if document is not None else None
    return Record(number, published, name, revision, redacted, said)


class Alerts:
    """The published alerts, for the service."""

    def __init__(self, pool: Pool) -> None:
        """``pool`` is the service's own."""
        self._pool = pool

    async def newest(self, limit: int, *, test: bool = False) -> list[Record]:
        """Revisions, the newest first; those of tests only when asked for."""
        return [record(row) for row in await self._pool.rows(NEWEST, {"limit": limit, "test": test})]

    async def latest(self, limit: int, *, test: bool = False) -> list[Record]:
        """The newest revision of each alert, the newest first; tests only when asked for."""
        return [record(row) for row in await self._pool.rows(LATEST, {"limit": limit, "test": test})]

    async def last(self) -> int:
        """Number of the newest revision; 0 when there is none."""
        rows = await self._pool.rows(LAST)
        return int(rows[0][0])

    async def after(self, number: int, limit: int) -> list[Record]:
        """Revisions published after the one with this number, the oldest first."""
        return [record(row) for row in await self._pool.rows(AFTER, {"after": number, "limit": limit})]

    async def named(self, name: str) -> list[Record]:
        """All revisions of an alert, the oldest first.

        Raises:
            NotFoundError: there is none of that name.
        """
        return _found(name, await self._pool.rows(NAMED, {"name": _upper(name)}))


def _upper(name: str) -> str:
    """A name as it is stored; nothing is looked for that cannot be one."""
    return name.upper() if NAME.fullmatch(name.upper()) else ""


def _found(name: str, rows: list[tuple[Any, ...]]) -> list[Record]:
    if not rows:
        raise NotFoundError(f"There is no alert {name[:80]}.")
    return [record(row) for row in rows]


def newest(connection: psycopg.Connection, limit: int, *, test: bool = False) -> list[Record]:
    """As ``Alerts.newest``, for a command."""
    return [record(row) for row in connection.execute(NEWEST, {"limit": limit, "test": test}).fetchall()]


def find(connection: psycopg.Connection, name: str) -> list[Record]:
    """As ``Alerts.named``, for a command. Raises NotFoundError."""
    return _found(name, connection.execute(NAMED, {"name": _upper(name)}).fetchall())


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the log of alerts."""

    at: datetime
    who: str
    what: str
    event_name: str | None
    revision: int | None
    sha256: str | None
    detail: str


def log(connection: psycopg.Connection, name: str | None, limit: int) -> list[Entry]:
    """What was done with alerts, or with one of them: the last entries, the oldest first."""
    with connection.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(LOG, {"name": name and name.upper(), "limit": limit}).fetchall()[::-1]


def everything(connection: psycopg.Connection) -> list[Record]:
    """All revisions that were ever published, the oldest first."""
    return [record(row) for row in connection.execute(AFTER, {"after": 0, "limit": None}).fetchall()]
