"""Turns: who may use one of a few connections, decided on the event loop, so that nobody waits for one in a thread.

Threads that waited were as many as there are, and whoever had a connection found none to write its answer in: above 28
queries at once the service came to a stand (docs/operation.md).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

from km3vo.errors import BusyError, StoppingError


class Turn:
    """The use of one connection; ``end`` it when the connection has been given back, from any thread.

    Attributes:
        client: whose it is.
    """

    def __init__(self, turns: Turns, client: str) -> None:
        self.client = client
        self._turns = turns
        self._loop = asyncio.get_running_loop()
        self._ended = False

    def move(self, to: Turns) -> bool:
        """Go on as one of other turns, if there is one free for the client just now. On the event loop."""
        if self._ended:
            return False
        if self._turns is to:
            return True
        if not to.try_take(self.client):
            return False
        self._turns.give_back(self.client)
        self._turns = to
        return True

    def end(self) -> None:
        """Let somebody else have it. May be called twice, and while the event loop ends."""
        if not self._ended:
            self._ended = True
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(lambda: self._turns.give_back(self.client))


class Turns:
    """The turns of one login. For the event loop only.

    Among those that wait, the client with the fewest turns comes first, and of equals who has waited longest.
    """

    def __init__(self, most: int, *, each: int, waiting: int, seconds: float, called: str = "requests") -> None:
        """
        Args:
            most: turns at once.
            each: turns that one client may have at once.
            waiting: how many of one client's requests may wait.
            seconds: how long one waits.
            called: what waits, in the refusal of more.
        """
        self._most = most
        self._each = each
        self._waiting_most = waiting
        self._seconds = seconds
        self._called = called
        self._held: Counter[str] = Counter()
        self._queues: dict[str, list[asyncio.Future[None]]] = {}
        self._arrivals: dict[asyncio.Future[None], int] = {}
        self._arrived = 0
        self._closed = False

    @property
    def held(self) -> int:
        """How many turns are taken."""
        return self._held.total()

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._arrivals)

    async def take(self, client: str) -> Turn:
        """A turn for a client, as soon as it is its own.

        Raises:
            StoppingError: the server is about to stop.
            BusyError: as many of the client's requests wait as may, or it did not come within the time.
        """
        if self._closed:
            raise StoppingError
        if (turn := self.take_now(client)) is not None:
            return turn
        queue = self._queues.setdefault(client, [])
        if len(queue) >= self._waiting_most:
            # Not 429: clients of the VO know that a 503 passes.
            raise BusyError(
                f"{len(queue)} of your {self._called} wait already: send the next when some are answered, or run long "
                "queries as asynchronous jobs",
                retry_after=60,
            )
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(granted)
        self._arrived += 1
        self._arrivals[granted] = self._arrived
        try:
            async with asyncio.timeout(self._seconds):
                await granted
        except BaseException as error:
            self._forget(client, granted)
            if granted.done() and not granted.cancelled() and not granted.exception():
                self.give_back(client)  # it came, and nobody takes it any more
            if isinstance(error, TimeoutError):
                raise BusyError from None
            raise
        return Turn(self, client)

    def take_now(self, client: str) -> Turn | None:
        """A turn for a client if there is one free just now, and no other of its requests waits."""
        return Turn(self, client) if not self._closed and client not in self._queues and self.try_take(client) else None

    def close(self) -> None:
        """Refuse whoever waits, and whoever comes."""
        self._closed = True
        for granted in list(self._arrivals):
            if not granted.done():
                granted.set_exception(StoppingError())

    def try_take(self, client: str) -> bool:
        """Count one more turn for a client. False when it may have none just now."""
        if self.held >= self._most or self._held[client] >= self._each:
            if not self._held[client]:
                del self._held[client]
            return False
        self._held[client] += 1
        return True

    def give_back(self, client: str) -> None:
        """One turn of a client has ended."""
        self._held[client] -= 1
        if not self._held[client]:
            del self._held[client]
        self._grant()

    def _grant(self) -> None:
        while self.held < self._most:
            able = [client for client in self._queues if self._held[client] < self._each]
            if not able:
                return
            client = min(able, key=lambda name: (self._held[name], self._arrivals[self._queues[name][0]]))
            granted = self._queues[client][0]
            self._forget(client, granted)
            if not granted.done():
                self._held[client] += 1
                granted.set_result(None)

    def _forget(self, client: str, granted: asyncio.Future[None]) -> None:
        if self._arrivals.pop(granted, None) is not None:
            self._queues[client].remove(granted)
            if not self._queues[client]:
                del self._queues[client]


@dataclass(frozen=True, slots=True)
class Lanes:
    """The turns of one audience, by how long the work takes: short work never waits for long work.

    Attributes:
        short: for queries of seconds.
        long: for longer ones.
        wide: for cone searches that may take a while.
        narrow: for other cone searches, over the same connections.
    """

    short: Turns
    long: Turns
    wide: Turns
    narrow: Turns

    def close(self) -> None:
        """Nobody gets a turn any more."""
        for turns in (self.short, self.long, self.wide, self.narrow):
            turns.close()
