"""Connections of one login for small statements: each statement is a transaction of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import AsyncRowFactory, tuple_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from km3vo.database import failures
from km3vo.errors import BusyError, Km3voError, UnavailableError

Parameters = Sequence[Any] | Mapping[str, Any]

AWAY_SECONDS = 0.5  # how long a statement waits while nobody has had a connection for as long as one usually waits
RECONNECT_SECONDS = 8  # then the pool begins anew when it is asked, instead of waiting twice as long each time


class Pool:
    """Connections of one login, one such pool for each login and process.

    PostgreSQL's restart cuts all of them, and each shows it only when it is used: a statement that meets such a
    connection is sent again over a new one.
    """

    def __init__(self, conninfo: str, *, size: int, least: int = 1, seconds: float = 10) -> None:
        """
        Args:
            size: most connections.
            least: connections that are kept while nobody needs them.
            seconds: how long to wait for one.
        """
        self._pool: AsyncConnectionPool[AsyncConnection[Any]] = AsyncConnectionPool(
            conninfo,
            min_size=min(least, size),
            max_size=size,
            open=False,
            timeout=seconds,
            kwargs={"autocommit": True},
            check=None,
            reconnect_timeout=RECONNECT_SECONDS,
        )
        self._in_use = 0
        self._away = False

    async def open(self) -> None:
        """Open the connections. A database that is not there yet is not an error: statements will say so."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close them."""
        await self._pool.close()

    async def rows(
        self,
        statement: Any,
        parameters: Parameters | None = (),
        *,
        row: AsyncRowFactory[Any] = tuple_row,
        binary: bool = False,
        prepare: bool = True,
        wait: float | None = None,
    ) -> list[Any]:
        """All rows of a statement.

        Args:
            statement: what is sent.
            parameters: for its placeholders; None when it has none, and its percent signs mean themselves.
            row: what makes a row out of its cells.
            binary: whether cells come in PostgreSQL's binary form.
            prepare: whether the server takes one statement only, and plans it once.
            wait: how many seconds for a connection, where it is not as long as usual.

        Raises:
            BusyError: all connections are in use.
            Km3voError: as ``failures.explain`` says.
        """
        for left in reversed(range(self._pool.max_size + 1)):
            try:
                connection = await self._take(wait)
                try:
                    cursor = connection.cursor(row_factory=row, binary=binary)
                    await cursor.execute(statement, parameters, prepare=prepare)
                    return await cursor.fetchall()
                finally:
                    await self._give_back(connection)
            except psycopg.Error as error:
                if not left or not failures.is_cut(error.sqlstate):
                    raise failures.explain(error.sqlstate, str(error)) from None
            await self._pool.check()
        raise AssertionError("unreachable")

    async def alive(self, seconds: float = 2) -> bool:
        """Whether the database answers. When it is only busy, it does."""
        try:
            async with asyncio.timeout(seconds):
                return await self.rows("SELECT 1") == [(1,)]
        except BusyError:
            return True
        except (Km3voError, TimeoutError):
            return False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection[Any]]:
        """A connection, in autocommit mode, for several statements.

        Raises:
            UnavailableError: the database is away, or goes away meanwhile.
        """
        await self.rows("SELECT 1")  # throws out connections that were cut
        try:
            connection = await self._take()
            try:
                yield connection
            finally:
                await self._give_back(connection)
        except psycopg.OperationalError as error:
            raise failures.explain(error.sqlstate, str(error)) from None

    async def _take(self, wait: float | None = None) -> AsyncConnection[Any]:
        # Not with the pool's own context, which takes a tenth of a small cone: in autocommit it has nothing to end.
        try:
            connection = await self._pool.getconn(AWAY_SECONDS if self._away else wait)
        except PoolTimeout:
            if self._in_use:
                raise BusyError from None
            self._away = True
            raise UnavailableError("the database cannot be reached just now; try again in a moment") from None
        self._in_use, self._away = self._in_use + 1, False
        return connection

    async def _give_back(self, connection: AsyncConnection[Any]) -> None:
        self._in_use -= 1
        await self._pool.putconn(connection)


class Pulse:
    """Whether the database answers, asked over a connection of its own. Many who ask at once share one answer."""

    def __init__(self, conninfo: str) -> None:
        self._pool = Pool(conninfo, size=1)
        self._asking: asyncio.Task[bool] | None = None

    async def open(self) -> None:
        """Open the connection."""
        await self._pool.open()

    async def close(self) -> None:
        """Close it."""
        await self._pool.close()

    async def alive(self) -> bool:
        """Whether the database answers within two seconds."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._pool.alive())
        return await asyncio.shield(self._asking)
