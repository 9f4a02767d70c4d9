"""Conditions in ADQL that choose among alerts: a WHERE clause over km3net.alerts, saved and asked of each new row.

They run as the public login, whoever wrote them, and for a second at most: what they find is what anybody may see.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import Any

import psycopg

from km3vo.adql import QueryTables, translate
from km3vo.database.logins import PUBLIC, Database
from km3vo.database.pool import Pool
from km3vo.errors import AdqlError, Km3voError, ParameterError, UnavailableError

log = logging.getLogger(__name__)

MOST = 2000  # characters
KNOWN = 10_000  # answers that are remembered
LIMIT = "-c statement_timeout=1000"  # ms
# As it is written, so that a mistake is found where it is; and in parentheses, as it is asked.
PLAIN = "SELECT alert_key FROM km3net.alerts WHERE "
CHOSEN = "SELECT COUNT(*) AS n FROM km3net.alerts WHERE {which} AND (\n{condition}\n)"
ONE, ALL = "alert_key = '{}'", "event_name = '{}'"


def check(condition: str, tables: QueryTables) -> None:
    """Make sure that a condition can be asked; an empty one is all alerts.

    Args:
        tables: what the public may name.

    Raises:
        AdqlError: it is no condition, or names what is not there; the column is that of the condition.
        ParameterError: it is too long.
    """
    if len(condition) > MOST:
        raise ParameterError(f"a condition has at most {MOST} characters; this one has {len(condition)}")
    if not condition:
        return
    try:
        translate(PLAIN + condition, tables)
    except AdqlError as error:
        if error.line == 1:
            error.column, error.excerpt = max(1, error.column - len(PLAIN)), ""
        raise
    translate(_asked(condition, ONE.format("x")), tables)


def statement(condition: str, tables: QueryTables, event_name: str, revision: int | None) -> str:
    """The statement for PostgreSQL that counts what a condition chooses of one revision, or of all of an alert.

    Raises:
        AdqlError: it was a condition once, and columns have changed since.
    """
    which = ALL.format(event_name) if revision is None else ONE.format(f"{event_name}_{revision}")
    return translate(_asked(condition, which), tables).sql


def _asked(condition: str, which: str) -> str:
    return CHOSEN.format(which=which, condition=condition)


def connect(database: Database) -> psycopg.Connection:
    """A connection that asks conditions, for a thread."""
    return psycopg.connect(database.conninfo(PUBLIC, options=LIMIT), autocommit=True)


def chooses(
    connection: psycopg.Connection, condition: str, tables: QueryTables, event_name: str, revision: int | None
) -> bool:
    """Whether a condition chooses a revision, or any of an alert. What it fails on it does not choose.

    Args:
        connection: of ``connect``.

    Raises:
        psycopg.OperationalError: the database is away.
    """
    if not condition:
        return True
    try:
        return connection.execute(statement(condition, tables, event_name, revision).encode()).fetchone() != (0,)
    except psycopg.errors.QueryCanceled as error:
        log.info("a condition took too long: %s", error.sqlstate)
    except psycopg.OperationalError:
        raise
    except (psycopg.Error, AdqlError) as error:
        log.info("a condition failed: %s", type(error).__name__)
    return False


class Filters:
    """Asks conditions for the streams. One for each server process."""

    def __init__(self, database: Database, tables: QueryTables) -> None:
        """
        Args:
            tables: what the public may name.
        """
        self._pool = Pool(database.conninfo(PUBLIC, options=LIMIT), size=2)
        self._tables = tables
        self._known: OrderedDict[tuple[str, str, int], bool] = OrderedDict()
        self._opened = False

    async def choose(self, condition: str, event_name: str, revision: int) -> bool:
        """Whether a condition chooses a revision; remembered, since many may follow with the same.

        Raises:
            UnavailableError: the database is away.
        """
        key = condition, event_name, revision
        if key not in self._known:
            self._known[key] = await self._ask(condition, event_name, revision)
            while len(self._known) > KNOWN:
                self._known.popitem(last=False)
        return self._known[key]

    async def _ask(self, condition: str, event_name: str, revision: int) -> bool:
        if not self._opened:
            self._opened = True
            await self._pool.open()
        try:
            asked: Any = statement(condition, self._tables, event_name, revision).encode()
            return await self._pool.rows(asked, None) != [(0,)]
        except UnavailableError:
            raise
        except Km3voError as error:
            log.info("a condition failed: %s", type(error).__name__)
            return False

    async def close(self) -> None:
        """Close the connections."""
        if self._opened:
            await self._pool.close()
