"""The end of the list of published revisions, kept in memory for all who follow it: one query for each alert, not one
for each follower. Numbers have no gaps, so that a number alone says what a follower has seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections import Counter, deque
from dataclasses import dataclass

import psycopg
from psycopg import AsyncConnection

from km3vo.alerts.messages import notice
from km3vo.alerts.records import Alerts, Record
from km3vo.database import notices
from km3vo.database.logins import SERVICE, Database
from km3vo.ending import ended
from km3vo.errors import Km3voError
from km3vo.settings import Settings

log = logging.getLogger(__name__)

KEPT, KEPT_SECONDS = 1000, 60.0  # in memory; others are read from the database, which knows what was redacted since
LOOK = 1.0  # seconds between looks, since a notification may be lost


@dataclass(frozen=True, slots=True)
class Item:
    """A published revision as followers get it: its number, name and revision, whether it is a test, and the notice.

    Attributes:
        notice: for GCN, on one line; empty when the revision was redacted.
    """

    number: int
    event_name: str
    revision: int
    is_test: bool
    notice: bytes


class Tail:
    """Follows what is published. One for each server process; needs a running event loop.

    Attributes:
        clients: how many streams each client has.
        closing: whether following makes no sense any more.
    """

    def __init__(self, database: Database, alerts: Alerts, settings: Settings) -> None:
        self._conninfo = database.conninfo(SERVICE)
        self._alerts = alerts
        self._settings = settings
        self._items: deque[Item] = deque(maxlen=KEPT)
        self._extended = 0.0
        self._last: int | None = None
        self._changed = asyncio.Event()
        self._looking = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.clients: Counter[str] = Counter()
        self.closing = False

    async def open(self) -> None:
        """Begin to follow."""
        self._task = asyncio.create_task(self._follow())

    def stop_waiting(self) -> None:
        """Wake everybody who waits; nobody begins to wait any more."""
        self.closing = True
        self._changed.set()

    async def close(self) -> None:
        """Stop."""
        self.stop_waiting()
        await ended(self._task)

    async def last(self) -> int:
        """Number of the newest revision; 0 when there is none.

        Raises:
            UnavailableError: the database is away.
        """
        return self._last if self._last is not None else await self._alerts.last()

    async def after(self, number: int) -> list[Item]:
        """Up to 100 revisions after that with this number, the oldest first.

        Raises:
            UnavailableError: the database is away.
        """
        if self._last is not None and number >= self._last:
            return []
        if self._items and self._items[0].number <= number + 1:
            return [item for item in self._items if item.number > number][:100]
        return [self._item(record) for record in await self._alerts.after(number, 100)]

    async def wait(self, seconds: float) -> None:
        """Until there may be more, or so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def _item(self, record: Record) -> Item:
        said = record.found
        document = notice.notice(said, self._settings) if said else {}
        return Item(
            record.number,
            record.event_name,
            record.revision,
            bool(said and said.is_test),
            json.dumps(document).encode() if said else b"",
        )

    async def _follow(self) -> None:
        while True:
            try:
                async with await AsyncConnection.connect(self._conninfo, autocommit=True) as connection:
                    named = await (await connection.execute(notices.NAME, ("km3vo_alert",))).fetchone()
                    assert named is not None
                    await connection.execute(notices.listen(named[0]))
                    while True:
                        await self.look()
                        async for _ in connection.notifies(timeout=LOOK, stop_after=1):
                            pass
            except (psycopg.Error, Km3voError) as error:
                log.warning("not following the alerts: %s", type(error).__name__)
            await asyncio.sleep(LOOK)

    async def look(self) -> None:
        """See what is there now, without waiting to be told.

        Raises:
            UnavailableError: the database is away.
        """
        async with self._looking:
            if self._last is None:
                self._last = await self._alerts.last()
            if self._items and time.monotonic() - self._extended > KEPT_SECONDS:
                self._items.clear()
            while found := await self._alerts.after(self._last, 100):
                self._extended = time.monotonic()
                self._items.extend(map(self._item, found))
                self._last = found[-1].number
                self._changed.set()
                self._changed = asyncio.Event()
