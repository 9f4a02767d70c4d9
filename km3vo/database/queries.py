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
from typing import Any, NamedTuple
from uuid import uuid4

import adbc_driver_manager
import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
from adbc_driver_manager._reader import AdbcRecordBatchReader
from psycopg import sql

from km3vo import interpreter
from km3vo.column import Column
from km3vo.database import failures, planner
from km3vo.database.audiences import LOGIN, Audience
from km3vo.database.logins import Database
from km3vo.database.planner import Planner
from km3vo.database.pool import Parameters, Pool
from km3vo.errors import BusyError, Km3voError, StoppingError
from km3vo.results.stream import arrow_type
from km3vo.settings import Limits, Pools

CLOSE_SECONDS = 5.0
BATCH_BYTES = 1 << 20  # 1–2 MiB was the fastest hint for ADBC (docs/performance.md)


class Lower(NamedTuple):
    """What lowers the priority of the database's process that has an ``application_name``, where that can be done.

    Attributes:
        stream: below that of cone searches.
        long: below that of streams.
    """

    stream: Callable[[str], object] = lambda name: None
    long: Callable[[str], object] = lambda name: None


UNCHANGED = Lower()


class DatabaseReader:
    """The statements of one audience, run as its own login."""

    def __init__(
        self,
        database: Database,
        audience: Audience,
        pools: Pools,
        limits: Limits,
        lower: Lower = UNCHANGED,
    ) -> None:
        """``lower``: how the priority of the database's processes is lowered."""
        self.limits = limits
        self._lower = lower
        login = LOGIN[audience]
        # The plan of a cone is the same wherever it lies: to plan each anew would take a quarter of its time.
        quick = database.conninfo(
            login, options=f"-c statement_timeout={limits.sync_seconds}s -c plan_cache_mode=force_generic_plan"
        )
        # Observers are few and seldom: they get connections when they come.
        least = pools.quick if audience in LOGIN else 0
        self._pool = Pool(quick, size=pools.quick, least=least, seconds=pools.wait_seconds)
        most = pools.streams + pools.long_streams + limits.jobs_short + limits.jobs_running
        self._streams = StreamPool(database, login, most, pools.wait_seconds, lower.stream)
        planning = database.conninfo(login, options=f"-c statement_timeout={planner.PLAN_SECONDS}s")
        self._planner = Planner(planning) if audience in LOGIN else None
        self._watchdog = _Watchdog()
        self._watchdog.start()
        self._opened = False

    async def open(self) -> None:
        """Open the pools. A database that is not there yet is not an error: requests will say so."""
        self._opened = True
        await self._pool.open()

    async def close(self) -> None:
        """Close the pools; running streams are cancelled."""
        # In a thread: a database that hangs does not say that it has stopped a statement.
        stopping = asyncio.ensure_future(asyncio.to_thread(self._watchdog.stop))
        await asyncio.wait([stopping], timeout=CLOSE_SECONDS)
        await self._pool.close()
        if self._planner is not None:
            await self._planner.close()
        self._streams.close()

    def end_streams(self) -> None:
        """Stop what runs, since the server is about to stop. In a thread."""
        self._watchdog.end_all()

    async def expected_seconds(self, statement: str, wait: float | None = None) -> float | None:
        """How long the database is going to work on a statement; None where that is not known, or must not be.

        ``wait`` is for how many seconds the planner may be busy.
        """
        return await self._planner.seconds(statement, wait) if self._planner is not None else None

    async def rows(self, statement: Any, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """All rows of a small answer.

        Raises:
            Km3voError: as ``failures.explain`` says.
        """
        if not self._opened:
            await self.open()
        return await self._pool.rows(statement, parameters, binary=True)

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
        self,
        statement: str,
        seconds: float,
        started: Callable[[RowStream], object] = lambda stream: None,
        *,
        snapshot: str = "",
        name: str = "",
        long: bool = False,
        outlived: Callable[[], object] | None = None,
    ) -> RowStream:
        """Start a statement whose rows are read batch by batch. Blocks until the first batch is there.

        Args:
            statement: one statement, without parameters.
            seconds: the database may work so long on it; the time a slow client takes does not count.
            started: is given the stream before the statement is sent, so that it can be cancelled meanwhile.
            snapshot: name of the moment at which to read, which another connection has exported; else it is now.
            name: of the work, for the database's own list of what runs.
            long: whether it is long work: with one process instead of several, and a low priority.
            outlived: is called once, from another thread, when it has taken longer than short work may.

        Raises:
            Km3voError: as ``failures.explain`` says.
        """
        stream = RowStream(
            self._streams,
            self._watchdog,
            seconds,
            snapshot=snapshot,
            name=f"km3vo {name}"[:63],  # PostgreSQL cuts names there
            long=long,
            lower=self._lower.long,
            short_seconds=self.limits.short_seconds,
            outlived=outlived,
        )
        started(stream)
        stream.start(statement)
        return stream


def at_moment(
    database: Database, audience: Audience, statement: str, snapshot: str, lower: Callable[[str], object]
) -> Iterator[pa.RecordBatch]:
    """All rows of a statement as an audience finds them at a moment that another connection has exported.

    For work of the service itself, which nobody waits for: with a low priority, which ``lower`` gives to the session of
    a name, where that can be done.

    Raises:
        Km3voError: as ``failures.explain`` says.
    """
    name = f"km3vo list {uuid4().hex}"
    try:
        with adbc.connect(database.conninfo(LOGIN[audience], application_name=name), autocommit=True) as connection:
            lower(name)
            with connection.cursor() as cursor:
                cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)})
                cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                cursor.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)).as_string())
                cursor.execute("SET LOCAL statement_timeout = '1h'")
                cursor.execute(statement)
                handle = cursor.fetch_arrow()
                yield from AdbcRecordBatchReader._import_from_c(handle.address)
    except adbc_driver_manager.Error as error:
        raise failures.explain(error.sqlstate, str(error)) from None


class RowStream:
    """The rows of a running statement. Iterate in one thread; ``cancel`` from any; always ``close``.

    Attributes:
        seconds, name, long, outlived: as in ``DatabaseReader.stream``.
        short_seconds: how long short work may take.
    """

    def __init__(
        self,
        pool: StreamPool,
        watchdog: _Watchdog,
        seconds: float,
        *,
        snapshot: str,
        name: str,
        long: bool,
        lower: Callable[[str], object],
        short_seconds: float,
        outlived: Callable[[], object] | None,
    ) -> None:
        self.seconds = seconds
        self.name = name
        self.long = long
        self.short_seconds = short_seconds
        self.outlived = outlived
        self._lower = lower
        self._snapshot = snapshot
        self._pool = pool
        self._watchdog = watchdog
        self._connection: Any = None
        self._cursor: Any = None
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._first: pa.RecordBatch | None = None
        self._spent = 0.0
        self._waiting_since: float | None = None
        self._late = False
        self._crowded = False
        self._stopping = False
        self._cancelled = False
        self._finished = False
        self._lock = threading.Lock()

    def start(self, statement: str) -> None:
        """Send the statement and wait for its first batch."""
        self._watchdog.watch(self)
        try:
            while True:
                sent = False
                self._connection, fresh = self._pool.take(own=self.long)
                self._cursor = self._connection.cursor()
                self._cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)})
                if self._cancelled:
                    raise self._explain("57014")
                try:
                    with self._working():
                        named = sql.SQL("SET application_name = {}").format(sql.Literal(self.name))
                        self._cursor.execute(named.as_string())
                        if self.long:
                            self._cursor.execute("SET max_parallel_workers_per_gather = 0")
                            self._lower(self.name)
                        if self._snapshot:
                            self._cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                            moment = sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(self._snapshot))
                            self._cursor.execute(moment.as_string())
                        sent = True
                        self._cursor.execute(statement)
                        # Not the cursor's own reader: that one gives errors after the start without an SQLSTATE.
                        handle = self._cursor.fetch_arrow()
                        self._batches = iter(AdbcRecordBatchReader._import_from_c(handle.address))
                        self._first = next(self._batches, None)
                    return
                except adbc_driver_manager.Error as error:
                    # Pooled connections that PostgreSQL closed meanwhile show it when they are first used. A statement
                    # that was sent is not sent again: it may be what ended PostgreSQL.
                    if self._cancelled or fresh or sent or not failures.is_cut(error.sqlstate):
                        raise self._explain(error.sqlstate, str(error)) from None
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
                raise self._explain(error.sqlstate, str(error)) from None
        self._finished = True

    def to_the_end(self) -> Iterator[pa.RecordBatch]:
        """The batches; the connection is given back after the last, or when nobody wants more."""
        try:
            yield from self
        finally:
            self.close()

    @property
    def overdue(self) -> bool:
        """Whether the database has worked on it longer than it may."""
        return self.spent > self.seconds

    @property
    def spent(self) -> float:
        """How long the database has worked on it, in seconds."""
        since = self._waiting_since
        return self._spent + (time.monotonic() - since if since else 0)

    def make_long(self) -> None:
        """It is long work from now on. Blocks while the database is asked which process has it."""
        self.long = True
        self._lower(self.name)

    def cancel(self, *, late: bool = False, crowded: bool = False, stopping: bool = False) -> None:
        """Stop the statement in the database; whoever reads it gets an error.

        Args:
            late: because it took longer than it may.
            crowded: because it is long work, for which there is no room just now.
            stopping: because the server is about to stop.
        """
        with self._lock:
            self._cancelled = True
            self._late = self._late or late
            self._crowded = self._crowded or crowded
            self._stopping = self._stopping or stopping
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
            with interpreter.waiting():
                yield
        finally:
            self._waiting_since = None
            self._spent += time.monotonic() - started

    def _explain(self, sqlstate: str | None, words: str = "") -> Km3voError:
        if self._stopping:
            return StoppingError()
        if self._crowded:
            return BusyError(
                f"the query took longer than {self.short_seconds:g} seconds, and all places for long queries are "
                "taken: run it as an asynchronous job, or try again later"
            )
        return failures.explain("57014" if self._late else sqlstate, words)

    def _release(self, *, broken: bool) -> None:
        with self._lock:
            cursor, self._cursor = self._cursor, None
            connection, self._connection = self._connection, None
        self._batches = iter(())
        if cursor is not None:
            with contextlib.suppress(adbc_driver_manager.Error):
                cursor.close()
        if connection is not None:
            # What looks at the past, or has the priority of long work, is not for anybody else.
            self._pool.give_back(connection, broken=broken or bool(self._snapshot) or self.long)


class StreamPool:
    """ADBC connections, opened when first needed (59 ms each) and kept: ``most`` at once."""

    def __init__(
        self, database: Database, login: str, most: int, wait_seconds: float, lower: Callable[[str], object]
    ) -> None:
        """``lower`` lowers the priority of those that are kept, by their ``application_name``."""
        self.most = most
        self._database = database
        self._login = login
        self._lower = lower
        self._wait = wait_seconds
        self._idle: queue.LifoQueue[Any] = queue.LifoQueue()
        self._free = threading.BoundedSemaphore(most)

    def take(self, *, own: bool = False) -> tuple[Any, bool]:
        """A connection, and whether it was made just now, as with ``own`` it always is."""
        if not self._free.acquire(timeout=self._wait):
            raise BusyError
        try:
            with contextlib.suppress(queue.Empty):
                if not own:
                    return self._idle.get_nowait(), False
            name = f"km3vo stream {uuid4().hex}"
            connection = adbc.connect(self._database.conninfo(self._login, application_name=name), autocommit=True)
            if not own:
                self._lower(name)
            return connection, True
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
        self._streams: set[RowStream] = set()
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

    def end_all(self) -> None:
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            stream.cancel(stopping=True)

    def watch(self, stream: RowStream) -> None:
        with self._lock:
            self._streams.add(stream)

    def forget(self, stream: RowStream) -> None:
        with self._lock:
            self._streams.discard(stream)

    def _run(self) -> None:
        while not self._stopped.wait(0.2):
            with self._lock:
                late = [stream for stream in self._streams if stream.overdue]
                slow = [stream for stream in self._streams if stream.outlived and stream.spent > stream.short_seconds]
            for stream in late:
                stream.cancel(late=True)
            for stream in slow:
                outlived, stream.outlived = stream.outlived, None
                if outlived is not None:
                    outlived()
