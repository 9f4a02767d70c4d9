"""Reading what the public can have just now: for the service, again and again; for a command, once."""

from __future__ import annotations

import asyncio
from dataclasses import fields, replace

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from km3vo.catalog.model import Catalog
from km3vo.database.pool import Pool
from km3vo.embargo.release import UP_TO
from km3vo.errors import UnavailableError
from km3vo.holdings.coverage import Coverage
from km3vo.holdings.editions import Edition
from km3vo.holdings.holdings import Holdings
from km3vo.settings import Settings

_NAMES = sql.SQL(", ").join(sql.Identifier(column.name) for column in fields(Coverage))
_COVERAGES = sql.SQL("SELECT {} FROM km3vo.coverage WHERE fingerprint <> ''").format(_NAMES)
STAMP = """
SELECT array_agg((published, fingerprint)::text), (SELECT count(*) FROM km3vo.edition) FROM km3vo.coverage
"""
# Two hundred are as many as a page shows; the files of older ones are there all the same.
_EDITIONS = """
    SELECT published, number, rows, released_to, fingerprint, made_at FROM (
        SELECT *, row_number() OVER (PARTITION BY published ORDER BY number DESC) AS age FROM km3vo.edition
    ) AS aged WHERE age <= 200 ORDER BY published, number DESC
"""


class HoldingsReader:
    """Reads the holdings, and most of them only when they have changed. One per server process."""

    def __init__(self, settings: Settings, catalog: Catalog, pool: Pool) -> None:
        """``pool`` is the service's own."""
        self._pool = pool
        self._stamp: object = None
        self._nothing = self._last = Holdings(settings, catalog)
        self._lock = asyncio.Lock()

    async def read(self) -> Holdings:
        """The holdings as they are now. Costs two small queries when nothing has changed.

        Raises:
            UnavailableError: the database does not answer.
        """
        async with self._lock, self._pool.connection() as connection:
            cursor = await connection.execute(STAMP)
            stamp = await cursor.fetchone()
            if stamp != self._stamp:
                reader = connection.cursor(row_factory=class_row(Coverage))
                coverages = await (await reader.execute(_COVERAGES)).fetchall()
                lister = connection.cursor(row_factory=class_row(Edition))
                editions = await (await lister.execute(_EDITIONS)).fetchall()
                self._last = _arranged(self._nothing, coverages, editions)
                self._stamp = stamp
            looks = await (await connection.execute(UP_TO)).fetchall()
            return replace(self._last, up_to={name: time for name, time in looks if time})

    async def read_if_there(self) -> Holdings:
        """As ``read``; only what the catalogue says while the database does not answer."""
        try:
            return await self.read()
        except UnavailableError:
            return self._nothing


def read(connection: psycopg.Connection, settings: Settings, catalog: Catalog) -> Holdings:
    """The holdings as they are now, without ``up_to``. ``connection`` is the service's."""
    coverages = connection.cursor(row_factory=class_row(Coverage)).execute(_COVERAGES).fetchall()
    editions = connection.cursor(row_factory=class_row(Edition)).execute(_EDITIONS).fetchall()
    return _arranged(Holdings(settings, catalog), coverages, editions)


def _arranged(nothing: Holdings, coverages: list[Coverage], editions: list[Edition]) -> Holdings:
    by_table: dict[str, list[Edition]] = {}
    for edition in editions:
        by_table.setdefault(edition.published, []).append(edition)
    return replace(nothing, coverages={found.published: found for found in coverages}, editions=by_table)
