"""How many events under embargo members and observers see of each table: they are told that others do not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from psycopg import sql

from km3vo.catalog.model import Catalog, Table
from km3vo.database.audiences import Audience
from km3vo.embargo import partitions

SECONDS = 10.0  # for which numbers are good; then they are counted anew beside the answer that shows the old ones
OF_MEMBERS = "SELECT count(*) FROM {parent} WHERE _access = 'e'"
OF_OBSERVERS = "SELECT count(*) FROM {granted}()"


class Reader(Protocol):
    """The database as an audience."""

    async def rows(self, statement: sql.Composed) -> list[tuple[int]]:
        """All rows of a small answer."""


class Withheld:
    """The numbers, remembered for each audience. For the event loop only."""

    def __init__(self, catalog: Catalog, reader: Callable[[Audience], Reader]) -> None:
        self._tables = [table for table in catalog.tables if table.release.embargoed]
        self._reader = reader
        self._known: dict[Audience, tuple[float, Mapping[str, int]]] = {}
        self._counting: dict[Audience, asyncio.Task[Mapping[str, int]]] = {}

    async def of(self, audience: Audience) -> Mapping[str, int]:
        """How many events under embargo an audience sees, by table.

        Raises:
            Km3voError: they cannot be counted just now.
        """
        if audience == "public":
            return {}
        known = self._known.get(audience)
        if known is None or time.monotonic() - known[0] > SECONDS:
            counting = self._counting.get(audience)
            if counting is None or counting.done():
                counting = self._counting[audience] = asyncio.create_task(self._count(audience))
                counting.add_done_callback(_look_at)
            if known is None:
                return await asyncio.shield(counting)
        return known[1]

    async def _count(self, audience: Audience) -> Mapping[str, int]:
        began = time.monotonic()
        reader, found = self._reader(audience), {}
        for table in self._tables:
            ((found[table.qualified],),) = await reader.rows(_statement(table, audience))
        self._known[audience] = began, found
        return found


def _look_at(counting: asyncio.Task[Mapping[str, int]]) -> None:
    """Nobody may wait for it: then what went wrong is of no interest, and it is tried again."""
    if not counting.cancelled():
        counting.exception()


def _statement(table: Table, audience: Audience) -> sql.Composed:
    statement = OF_MEMBERS if audience == "member" else OF_OBSERVERS
    granted = sql.Identifier(table.schema, f"{table.name}_granted")
    return sql.SQL(statement).format(**partitions.names(table), granted=granted)
