"""One connection of each process that hears what happens to jobs, and whose life tells that the process lives.

Waiting costs a future and no connection: a phase changes, PostgreSQL notifies, whoever waits for that job wakes. The
same connection holds an advisory lock under a random key. With the connection goes the lock, and with the lock the
process's claim on the jobs that it runs (jobs.py). A new connection is a new key.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterator

import psycopg
from psycopg import AsyncConnection

from km3vo.database import notices
from km3vo.database.logins import SERVICE, Database
from km3vo.ending import ended

log = logging.getLogger(__name__)

# Should the machine of a process vanish, PostgreSQL notices within about half a minute.
KEEPALIVES = {"connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
SERVER_KEEPALIVES = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
RETRY_SECONDS = 0.3


class Signals:
    """What this process hears of jobs.

    Attributes:
        key: of the lock that this process holds, or None while there is no connection.
        on_phase: called with number and phase of each job that changes; "DELETED" when it is gone.
        on_connect: called when a connection was made: what happened before that was not heard.
    """

    def __init__(self, database: Database) -> None:
        self.key: int | None = None
        self.on_phase: Callable[[int, str], None] = lambda number, phase: None
        self.on_connect: Callable[[], None] = lambda: None
        self._conninfo = database.conninfo(SERVICE, options=SERVER_KEEPALIVES, **KEEPALIVES)
        self._waiting: defaultdict[int, set[asyncio.Event]] = defaultdict(set)
        self._closing = False
        self._tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to listen; returns after the first attempt to connect, successful or not."""
        self._task = asyncio.create_task(self._listen(), name="signals")
        await self._tried.wait()

    def stop_waiting(self) -> None:
        """Wake everybody who waits; nobody begins to wait any more."""
        self._closing = True
        self.wake_all()

    async def close(self) -> None:
        """Stop, and wake everybody who waits."""
        self.stop_waiting()
        await ended(self._task)

    @property
    def closing(self) -> bool:
        """Whether waiting makes no sense any more."""
        return self._closing

    @contextlib.contextmanager
    def watch(self, number: int) -> Iterator[asyncio.Event]:
        """An event that is set whenever the phase of that job may have changed.

        Begin to watch before you look at the job: a change in between would be missed.
        """
        event = asyncio.Event()
        self._waiting[number].add(event)
        try:
            yield event
        finally:
            self._waiting[number].discard(event)
            if not self._waiting[number]:
                del self._waiting[number]

    def wake_all(self) -> None:
        """Let everybody look again."""
        for events in self._waiting.values():
            for event in events:
                event.set()

    async def _listen(self) -> None:
        while True:
            try:
                async with await AsyncConnection.connect(self._conninfo, autocommit=True) as connection:
                    key = secrets.randbits(62)
                    await connection.execute("SELECT pg_try_advisory_lock(%s)", (key,))
                    named = await (await connection.execute(notices.NAME, ("km3vo_job",))).fetchone()
                    assert named is not None
                    await connection.execute(notices.listen(named[0]))
                    self.key = key
                    self._tried.set()
                    self.on_connect()
                    self.wake_all()
                    async for notice in connection.notifies():
                        self._hear(notice.payload)
            except psycopg.Error as error:
                log.warning("not listening to the database: %s", type(error).__name__)
            except Exception:
                log.exception("not listening to the database")
            finally:
                self.key = None
                self._tried.set()
            await asyncio.sleep(RETRY_SECONDS)

    def _hear(self, payload: str) -> None:
        number, _, phase = payload.partition(" ")
        for event in self._waiting.get(int(number), ()):
            event.set()
        self.on_phase(int(number), phase)
