"""The promotion in the background of the service: one process of all that serve a database looks for due events."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from datetime import datetime

import psycopg

from km3vo.catalog.model import Table
from km3vo.errors import Km3voError, SetupError
from km3vo.store import release
from km3vo.store.database import SERVICE, Database

log = logging.getLogger(__name__)

LOCK = 20303  # advisory: whoever holds it promotes
UPTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # cannot be set; goes on while the machine sleeps
AHEAD_SECONDS = 120.0  # by so much the database's clock may run ahead of this machine's uptime between two looks


class Promoter:
    """Looks for due events every so often, in a thread of its own.

    All processes have one; those that do not get the lock wait until its holder is gone. Nothing here can release an
    event early: the database decides, by its own clock.
    """

    def __init__(self, database: Database, tables: Sequence[Table], seconds: float) -> None:
        """``seconds`` is the pause between looks; 0 for never."""
        self._database = database
        self._tables = [table for table in tables if table.release.embargoed]
        self._seconds = seconds
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._seen: tuple[float, datetime, datetime] | None = None

    def start(self) -> None:
        """Begin, unless there is nothing to promote."""
        if self._seconds > 0 and self._tables:
            self._thread = threading.Thread(target=self._run, name="promotion", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop after the batch that is under way, at most a few seconds."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(5)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                with self._database.connect(SERVICE, autocommit=True) as connection:
                    self._look_again_and_again(connection)
            except (psycopg.Error, SetupError) as error:
                # Not the text of it: it could quote a row.
                log.warning("no events are released just now (%s)", getattr(error, "sqlstate", None) or "no database")
                self._stopped.wait(self._seconds)
            except Exception as error:
                # Whatever it is: a thread that is gone would release nothing, and tell nobody.
                log.error("no events are released: %s", type(error).__name__)
                self._stopped.wait(self._seconds)

    def _look_again_and_again(self, connection: psycopg.Connection) -> None:
        ours = False
        while not self._stopped.is_set():
            if not ours:
                row = connection.execute("SELECT pg_try_advisory_lock(%s::bigint)", (LOCK,)).fetchone()
                ours = row == (True,)
            if ours:
                self._look(connection)
            else:
                connection.execute("SELECT 1")  # notice that the server is gone
            self._stopped.wait(self._seconds)

    def _look(self, connection: psycopg.Connection) -> None:
        if not self._clock_is_steady(connection):
            log.error(
                "the database's clock jumped ahead, so nothing is released: set it right, or say that it is with "
                "`km3vo release run --clock-checked`"
            )
            return
        for table in self._tables:
            if self._stopped.is_set():
                return
            try:
                done = release.run(connection, [table])[0]
            except Km3voError as error:
                log.error("%s: %s", table.qualified, error)
                continue
            if done.moved:
                log.info("released %d events of %s", done.moved, done.table)

    def _clock_is_steady(self, connection: psycopg.Connection) -> bool:
        """Whether the database's clock ran no faster than this machine since the last look, or a person vouched for it.

        A clock that was set wrong would publish events that are not due, and that cannot be undone.
        """
        row = connection.execute(
            "SELECT clock_timestamp(), coalesce(max(clock_checked_at), 'epoch') FROM km3vo.embargoed"
        ).fetchone()
        assert row is not None
        clock, checked = row
        uptime = time.clock_gettime(UPTIME)
        if self._seen is not None:
            uptime_then, clock_then, checked_then = self._seen
            ahead = (clock - clock_then).total_seconds() - (uptime - uptime_then)
            if ahead > AHEAD_SECONDS and checked == checked_then:
                return False
        self._seen = uptime, clock, checked
        return True
