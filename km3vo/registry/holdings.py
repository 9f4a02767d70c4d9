"""What the public can have just now, for whoever describes it: pages, capabilities, registry records."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from km3vo.errors import UnavailableError
from km3vo.store.coverage import Coverage
from km3vo.store.database import SERVICE, Database
from km3vo.store.editions import Edition
from km3vo.store.release import UP_TO

_NAMES = sql.SQL(", ").join(sql.Identifier(column.name) for column in fields(Coverage))
_COVERAGES = sql.SQL("SELECT {} FROM km3vo.coverage WHERE fingerprint <> ''").format(_NAMES)
# Two hundred are as many as a page shows; the files of older ones are there all the same.
_EDITIONS = """
    SELECT published, number, rows, released_to, fingerprint, made_at FROM (
        SELECT *, row_number() OVER (PARTITION BY published ORDER BY number DESC) AS age FROM km3vo.edition
    ) AS aged WHERE age <= 200 ORDER BY published, number DESC
"""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known at one moment, by the tables' names.

    Attributes:
        coverages: what the public rows cover.
        editions: newest first.
        up_to: for embargoed tables, up to which time of observation (UTC) they are public.
    """

    coverages: dict[str, Coverage] = field(default_factory=dict)
    editions: dict[str, list[Edition]] = field(default_factory=dict)
    up_to: dict[str, datetime] = field(default_factory=dict)

    @property
    def latest(self) -> dict[str, Edition]:
        """The latest edition of each table that has one."""
        return {name: editions[0] for name, editions in self.editions.items()}


class Holdings:
    """Reads what is known when it has changed. One per server process."""

    def __init__(self, database: Database) -> None:
        self._pool: AsyncConnectionPool[AsyncConnection[tuple[Any, ...]]] = AsyncConnectionPool(
            database.conninfo(SERVICE), min_size=1, max_size=4, open=False, timeout=5, kwargs={"autocommit": True}
        )
        self._stamp: object = None
        self._known = Known()
        self._lock = asyncio.Lock()

    async def open(self) -> None:
        """Open the connections; the database need not be there yet."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close them."""
        await self._pool.close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """A connection of the service's login, in autocommit mode.

        Raises:
            UnavailableError: the database does not answer.
        """
        try:
            async with self._pool.connection() as connection:
                yield connection
        except (PoolTimeout, psycopg.OperationalError):
            raise UnavailableError("the database cannot be reached just now; try again in a moment") from None

    async def known(self) -> Known:
        """What is known now. Costs two small queries when nothing has changed.

        Raises:
            UnavailableError: the database does not answer.
        """
        async with self._lock, self.connection() as connection:
            cursor = await connection.execute("SELECT array_agg((published, fingerprint)::text) FROM km3vo.coverage")
            stamp = await cursor.fetchone()
            if stamp != self._stamp:
                reader = connection.cursor(row_factory=class_row(Coverage))
                coverages = await (await reader.execute(_COVERAGES)).fetchall()
                lister = connection.cursor(row_factory=class_row(Edition))
                editions: dict[str, list[Edition]] = {}
                async for edition in await lister.execute(_EDITIONS):
                    editions.setdefault(edition.published, []).append(edition)
                self._known = Known({found.published: found for found in coverages}, editions)
                self._stamp = stamp
            looks = await (await connection.execute(UP_TO)).fetchall()
            return replace(self._known, up_to={name: time for name, time, _ in looks if time})
