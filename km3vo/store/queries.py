"""Running statements as an audience: small answers whole, large ones as a stream.

Two ways, because neither meets both bars (docs/performance.md): ADBC hands over a million rows at the speed of
PostgreSQL's binary COPY, a psycopg pool answers small queries two to three times as often. Both end in the same Arrow
batches.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import adbc_driver_manager
import adbc_driver_postgresql.dbapi as adbc
import psycopg
import pyarrow as pa
from adbc_driver_manager._reader import AdbcRecordBatchReader
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from km3vo.catalog.model import Column
from km3vo.errors import Km3voError, UnavailableError
from km3vo.results.stream import arrow_type
from km3vo.settings import Limits, Pools
from km3vo.store import failures
from km3vo.store.database import Database
from km3vo.store.embargo import LOGIN, Audience

BATCH_BYTES = 1 << 20  # 1–2 MiB was the fastest hint for ADBC (DESIGN D6)
BUSY = UnavailableError("all connections to the database are in use; try again in a moment")


class Reader:
    """The statements of one audience, run as its own login."""

    def __init__(self, database: Database, audience: Audience, pools: Pools, limits: Limits) -> None:
        self.limits = limits
        login = LOGIN[audience]
        # The plan of a cone is the same wherever it lies: to plan each anew would take a quarter of its time.
        quick = database.conninfo(
            login, options=f"-c statement_timeout={limits.sync_seconds}s -c plan_cache_mode=force_generic_plan"
        )
        self._pool: AsyncConnectionPool[AsyncConnection[tuple[Any, ...]]] = AsyncConnectionPool(
            quick,
            # Observers are few and seldom: they get connections when they come.
            min_size=pools.quick if audience in LOGIN else 0,
            max_size=pools.quick,
            open=False,
            timeout=pools.wait_seconds,
            kwargs={"autocommit": True},
            check=None,
        )
        self._streams = StreamPool(database.conninfo(login), pools)
        self._watchdog = _Watchdog()
        self._watchdog.start()
        self._opened = False

    async def open(self) -> None:
        """Open the pools. A database that is not there yet is not an error: requests will say so."""
        self._opened = True
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close the pools; running streams are cancelled."""
        self._watchdog.stop()
        await self._pool.close()
        self._streams.close()

    async def alive(self) -> bool:
        """Whether the database answers."""
        with contextlib.suppress(Km3voError, TimeoutError):
            async with asyncio.timeout(2):
                return await self.rows("SELECT 1") == [(1,)]
        return False

    async def rows(self, statement: Any, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a small answer.

        Raises:
            Km3voError: as ``failures.explain`` says.
        """
        if not self._opened:
            await self.open()
        # A restart of PostgreSQL breaks all pooled connections, and each shows it only when it is used.
        for left in reversed(range(self._pool.max_size + 2)):
            try:
                async with self._pool.connection() as connection:
                    cursor = connection.cursor(binary=True)
                    # Prepared, so that the server takes one statement only and plans it once.
                    await cursor.execute(statement, parameters, prepare=True)
                    return await cursor.fetchall()
            except PoolTimeout:
                raise BUSY from None
            except psycopg.OperationalError as error:
                if not left or error.sqlstate not in (None, "57P01"):
                    raise failures.explain(error.sqlstate) from None
            except psycopg.Error as error:
                raise failures.explain(error.sqlstate) from None
        raise AssertionError("unreachable")

    async def batch(self, statement: Any, parameters: Sequence[Any], columns: tuple[Column, ...]) -> pa.RecordBatch:
        """All rows of a small answer. The statement's columns are those of ``columns``, in order.

        Raises:
            Km3voError: as ``failures.explain`` says.
        """
        rows = await self.rows(statement, parameters)
        cells = zip(*rows, strict=True) if rows else [()] * len(columns)
        arrays = [pa.array(cell, arrow_type(column)) for cell, column in zip(cells, columns, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])

    def stream(
        self, statement: str, seconds: float, started: Callable[[Stream], object] = lambda stream: None
    ) -> Stream:
        """Start a statement whose rows are read batch by batch. Blocks until the first batch is there.

        Args:
            statement: one statement, without parameters.
            seconds: the database may work so long on it; the time a slow client takes does not count.
            started: is given the stream before the statement is sent, so that it can be cancelled meanwhile.

        Raises:
            Km3voError: as ``failures.explain`` says.
        """
        stream = Stream(self._streams, self._watchdog, seconds)
        started(stream)
        stream.start(statement)
        return stream


class Stream:
    """The rows of a running statement. Iterate in one thread; ``cancel`` from any; always ``close``."""

    def __init__(self, pool: StreamPool, watchdog: _Watchdog, seconds: float) -> None:
        self.seconds = seconds
        self._pool = pool
        self._watchdog = watchdog
        self._connection: Any = None
        self._cursor: Any = None
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._first: pa.RecordBatch | None = None
        self._spent = 0.0
        self._waiting_since: float | None = None
        self._late = False
        self._cancelled = False
        self._finished = False
        self._lock = threading.Lock()

    def start(self, statement: str) -> None:
        """Send the statement and wait for its first batch."""
        self._watchdog.watch(self)
        try:
            while True:
                self._connection, fresh = self._pool.take()
                self._cursor = self._connection.cursor()
                self._cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)})
                if self._cancelled:
                    raise self._explain("57014")
                try:
                    with self._working():
                        self._cursor.execute(statement)
                        # Not the cursor's own reader: that one gives errors after the start without an SQLSTATE.
                        handle = self._cursor.fetch_arrow()
                        self._batches = iter(AdbcRecordBatchReader._import_from_c(handle.address))
                        self._first = next(self._batches, None)
                    return
                except adbc_driver_manager.Error as error:
                    # Pooled connections that PostgreSQL closed meanwhile show it only when they are used.
                    broken = error.sqlstate in (None, "", "57P01")
                    if self._cancelled or fresh or not broken:
                        raise self._explain(error.sqlstate) from None
                    self._release(broken=True)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        batch = self._first
        while batch is not None:
            yield batch
            try:
                with self._working():
                    batch = next(self._batches, None)
            except adbc_driver_manager.Error as error:
                raise self._explain(error.sqlstate) from None
        self._finished = True

    @property
    def overdue(self) -> bool:
        """Whether the database has worked on it longer than it may."""
        since = self._waiting_since
        return self._spent + (time.monotonic() - since if since else 0) > self.seconds

    def cancel(self, *, late: bool = False) -> None:
        """Stop the statement in the database; whoever reads it gets an error."""
        with self._lock:
            self._cancelled = True
            self._late = self._late or late
            if self._cursor is not None and not self._finished:
                with contextlib.suppress(adbc_driver_manager.Error):
                    self._cursor.adbc_cancel()

    def close(self) -> None:
        """Stop the statement if it still runs, and give the connection back."""
        self._watchdog.forget(self)
        # Without the cancel, closing would first read all the rows that are left (37 s for 20 million).
        self.cancel()
        self._release(broken=not self._finished)

    @contextlib.contextmanager
    def _working(self) -> Iterator[None]:
        self._waiting_since = started = time.monotonic()
        try:
            yield
        finally:
            self._waiting_since = None
            self._spent += time.monotonic() - started

    def _explain(self, sqlstate: str | None) -> Km3voError:
        return failures.explain("57014" if self._late else sqlstate)

    def _release(self, *, broken: bool) -> None:
        with self._lock:
            cursor, self._cursor = self._cursor, None
            connection, self._connection = self._connection, None
        self._batches = iter(())
        if cursor is not None:
            with contextlib.suppress(adbc_driver_manager.Error):
                cursor.close()
        if connection is not None:
            self._pool.give_back(connection, broken=broken)


class StreamPool:
    """ADBC connections, opened when first needed (59 ms each) and kept."""

    def __init__(self, conninfo: str, pools: Pools) -> None:
        self._conninfo = conninfo
        self._wait = pools.wait_seconds
        self._idle: queue.LifoQueue[Any] = queue.LifoQueue()
        self._free = threading.BoundedSemaphore(pools.streams)

    def take(self) -> tuple[Any, bool]:
        """A connection, and whether it was made just now."""
        if not self._free.acquire(timeout=self._wait):
            raise BUSY
        try:
            with contextlib.suppress(queue.Empty):
                return self._idle.get_nowait(), False
            return adbc.connect(self._conninfo, autocommit=True), True
        except adbc_driver_manager.Error:
            self._free.release()
            raise failures.explain("08006") from None

    def give_back(self, connection: Any, *, broken: bool) -> None:
        """Return a connection; a broken one is not used again."""
        if broken:
            with contextlib.suppress(adbc_driver_manager.Error):
                connection.close()
        else:
            self._idle.put(connection)
        self._free.release()

    def close(self) -> None:
        """Close the connections that nobody uses."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()


class _Watchdog:
    """Cancels streams that are overdue. It stands outside the database, where a login can unset its own time limit."""

    def __init__(self) -> None:
        self._streams: set[Stream] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            stream.cancel()

    def watch(self, stream: Stream) -> None:
        with self._lock:
            self._streams.add(stream)

    def forget(self, stream: Stream) -> None:
        with self._lock:
            self._streams.discard(stream)

    def _run(self) -> None:
        while not self._stopped.wait(0.2):
            with self._lock:
                late = [stream for stream in self._streams if stream.overdue]
            for stream in late:
                stream.cancel(late=True)
