"""The promotion beside the requests: one process of all that serve a database looks for due events."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from datetime import timedelta

import psycopg

from km3vo.catalog.model import Table
from km3vo.database.logins import SERVICE, Database
from km3vo.embargo import clock, release, statistics
from km3vo.embargo.release import AT_ONCE
from km3vo.errors import Km3voError

log = logging.getLogger(__name__)

LOCK = 20303  # advisory: whoever holds it promotes


class Promoter:
    """Looks for due events whenever it is told to (km3vo/schedule.py).

    All processes have one; those that do not get the lock do nothing until its holder is gone. Nothing here can release
    an event early: the database decides, by its own clock.
    """

    def __init__(
        self,
        database: Database,
        tables: Sequence[Table],
        stopping: Callable[[], bool] = lambda: False,
        every: timedelta = AT_ONCE,
    ) -> None:
        """
        Args:
            stopping: says whether to end after the batch that is under way.
            every: as in ``release.run``.
        """
        self._database = database
        self._tables = [table for table in tables if table.release.embargoed]
        self._stopping = stopping
        self._every = every
        self._connection: psycopg.Connection | None = None
        self._ours = False
        self.clock_is_trusted = True  # until a look finds that it is not

    def look(self) -> None:
        """Release what is due, if it is this process's turn. For one thread only.

        Raises:
            SetupError: the database is away, or its clock is not to be trusted.
            ConflictError, UnavailableError, psycopg.Error: some or all tables are as they were.
        """
        if not self._tables:
            return
        if self._connection is None or self._connection.closed:
            self._ours = False
            self._connection = self._database.connect(SERVICE, autocommit=True)
        if not self._ours:
            row = self._connection.execute("SELECT pg_try_advisory_lock(%s::bigint)", (LOCK,)).fetchone()
            self._ours = row == (True,)
        if self._ours:
            self._look(self._connection)

    def close(self) -> None:
        """Give the lock to another process."""
        connection, self._connection, self._ours = self._connection, None, False
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                connection.close()

    def _look(self, connection: psycopg.Connection) -> None:
        self.clock_is_trusted = False
        clock.look(connection)
        self.clock_is_trusted = True
        failures: list[Km3voError] = []
        for table in self._tables:
            if self._stopping():
                break
            try:
                done = release.run(connection, [table], every=self._every)[0]
            except Km3voError as error:
                failures.append(error)
                continue
            if done.moved:
                log.info("released %d events of %s", done.moved, done.table)
        statistics.settle(self._database, self._tables)
        if failures:
            raise failures[0]
