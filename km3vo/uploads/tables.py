"""Uploaded tables in the database: each belongs to one query, is readable by one audience, and is gone afterwards.

They lie in the schema ``tap_upload`` under names that cannot be guessed, with columns called c1, c2, …: what a user
called things stays in the query's translation. A name begins with the key of the lock that its process holds
(jobs/signals.py): a table whose process is gone is nobody's, and is swept away.
"""

from __future__ import annotations

import contextlib
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, LiteralString

import adbc_driver_manager
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from km3vo.adql import QueryTable, Translation, texts_of
from km3vo.catalog.model import Column
from km3vo.database import failures
from km3vo.database.audiences import LOGIN, Audience
from km3vo.database.logins import UPLOAD, Database
from km3vo.database.queries import StreamPool
from km3vo.database.types import postgres_type
from km3vo.errors import UnavailableError
from km3vo.readers.arrays import is_geometry
from km3vo.readers.content import Reserve
from km3vo.readers.opened import Options
from km3vo.settings import Limits, Pools
from km3vo.uploads.files import read_file
from km3vo.uploads.positions import position_columns

log = logging.getLogger(__name__)

SCHEMA = "tap_upload"
# Below this many rows, reading them all is as quick as an index and its making (4 µs a row).
INDEX_ROWS = 500
ANALYZE_ROWS = 2_000
PATIENCE_SECONDS = 5  # after a restart of PostgreSQL the process is without a lock for a moment

# So few pages that PostgreSQL would not share them out; what each row is matched with may take long.
CREATE = "CREATE UNLOGGED TABLE {} ({}) WITH (parallel_workers = 2)"
LET_READ = "GRANT SELECT ON {} TO {}"
# After the rows: COPY's binary form fails on tables with pgSphere's types, even on other columns.
ADD_PLACE = "ALTER TABLE {} ADD COLUMN {} spoint GENERATED ALWAYS AS ({}) STORED"
INDEX = "CREATE INDEX ON {} USING gist ({})"
ANALYZE = "ANALYZE {}"
DROP = "DROP TABLE IF EXISTS {}"
NAMES = """
SELECT relname::text FROM pg_catalog.pg_class
WHERE relkind = 'r' AND relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'tap_upload')
"""

_NAME = re.compile(r"u_([0-9a-f]+)_[0-9a-f]+")


@dataclass(slots=True)
class Upload:
    """A table that came with a query.

    Attributes:
        name: as the query calls it, without TAP_UPLOAD.
        columns: as the query sees them.
        rows: what is in it; the columns are called as in the database.
        relation: its name in the database.
        places: (names of columns, SQL of their position, name of the column that it would get).
        remarks: what the user should know of how it was read.
    """

    name: str
    columns: tuple[Column, ...]
    rows: pa.Table
    relation: str = ""
    places: list[tuple[tuple[str, ...], sql.Composable, str]] = field(default_factory=list)
    remarks: tuple[str, ...] = ()

    def source(self, *, searchable: bool) -> QueryTable:
        """The table as a query may name it; ``searchable`` when its positions are to be indexed."""
        places = [(names, column) for names, _, column in self.places if searchable]
        return QueryTable(
            name=("TAP_UPLOAD", self.name),
            relation=(SCHEMA, self.relation),
            columns=tuple(
                replace(column, datatype="double") if is_geometry(column) else column for column in self.columns
            ),
            positions={(names[0], names[1]): column for names, column in places if len(names) == 2},
            geometries={names[0]: column for names, column in places if len(names) == 1},
            texts={
                name: texts_of(_longest(cells))
                for name, cells in zip(self.rows.column_names, self.rows.columns, strict=True)
                if pa.types.is_string(cells.type)
            },
        )


def _longest(cells: pa.ChunkedArray) -> int:
    """The bytes of the longest of some texts."""
    return pc.max(pc.binary_length(cells)).as_py() or 0


def to_be_indexed(translation: Translation) -> bool:
    """Whether a query, translated with ``searchable`` positions, has no other index to search than those of uploads.

    A position that is compared with a published one is looked for in the published table's index, which is there.
    """
    schemas = {position.table[0] for position in translation.searched}
    return schemas == {"TAP_UPLOAD"}


def read(
    name: str,
    file: BinaryIO,
    limits: Limits,
    options: Options | None = None,
    reserve: Reserve = lambda count: None,
) -> Upload:
    """Read an uploaded file.

    Args:
        name: as the query calls it.
        file: what was uploaded.
        limits: what it may cost.
        options: what is known about it.
        reserve: is told how many bytes are about to be kept of what is unpacked.

    Raises:
        UploadError: it cannot be read.
        TooLargeError: it is too large.
    """
    found = read_file(
        file, most_rows=limits.upload_rows, most_bytes=limits.upload_bytes, options=options, reserve=reserve
    )
    upload = Upload(name, tuple(found.columns), found.rows, remarks=found.remarks)
    if upload.rows.num_rows >= INDEX_ROWS:
        upload.places = list(_places(upload))
    return upload


class Uploads:
    """The uploaded tables of this process."""

    def __init__(
        self, database: Database, pools: Pools, key: Callable[[], int | None], lower: Callable[[str], object]
    ) -> None:
        self._pool = StreamPool(database, UPLOAD, pools.streams, pools.wait_seconds, lower)
        self._key = key

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def assign(self, upload: Upload) -> None:
        """Give a table the name that it will have in the database. Blocks while the database is away for a moment.

        Raises:
            UnavailableError: the database is away.
        """
        until = time.monotonic() + PATIENCE_SECONDS
        while (key := self._key()) is None:
            if time.monotonic() > until:
                raise UnavailableError("the database cannot be reached just now; try again in a moment")
            time.sleep(0.1)
        upload.relation = f"u_{key:x}_{secrets.token_hex(12)}"

    def load(self, upload: Upload, audience: Audience, *, indexed: bool) -> None:
        """Make the table, for ``audience`` alone, and fill it. Drop it when it is no longer needed.

        Raises:
            Km3voError: as ``failures.explain`` says.
        """
        table = sql.Identifier(SCHEMA, upload.relation)
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(column.sql), sql.SQL(_stored(column))) for column in upload.columns
        )
        with self._cursor() as cursor:
            self._run(cursor, CREATE, table, columns)
            self._run(cursor, LET_READ, table, sql.Identifier(LOGIN[audience]))
            if upload.rows.num_rows:
                cursor.adbc_ingest(upload.relation, upload.rows, mode="append", db_schema_name=SCHEMA)
            if indexed:
                for _, position, column in upload.places:
                    self._run(cursor, ADD_PLACE, table, sql.Identifier(column), position)
                    self._run(cursor, INDEX, table, sql.Identifier(column))
            if indexed or upload.rows.num_rows >= ANALYZE_ROWS:
                self._run(cursor, ANALYZE, table)

    def drop(self, upload: Upload) -> None:
        """Remove the table, if it is there. If the database is away, a sweep will do it."""
        self._drop(upload.relation)

    async def sweep(self, is_gone: Callable[[int], Awaitable[bool]], in_thread: Callable[..., Awaitable[Any]]) -> int:
        """Remove the tables of processes that are gone; returns how many."""
        names: list[str] = await in_thread(self._names)
        owners = {name: int(match[1], 16) for name in names if (match := _NAME.fullmatch(name))}
        gone = {key for key in set(owners.values()) if await is_gone(key)}
        orphans = [name for name in names if owners.get(name) in gone]
        for name in orphans:
            await in_thread(self._drop, name)
        if orphans:
            log.warning("%d uploaded tables of processes that are gone were removed", len(orphans))
        return len(orphans)

    def _names(self) -> list[str]:
        with self._cursor() as cursor:
            cursor.execute(NAMES)
            return [name for (name,) in cursor.fetchall()]

    def _drop(self, relation: str) -> None:
        with contextlib.suppress(UnavailableError), self._cursor() as cursor:
            self._run(cursor, DROP, sql.Identifier(SCHEMA, relation))

    @staticmethod
    def _run(cursor: Any, statement: LiteralString, *pieces: sql.Composable) -> None:
        cursor.execute(sql.SQL(statement).format(*pieces).as_string(None))

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[Any]:
        cursor = self._connected()
        connection = cursor.connection
        broken = True
        try:
            yield cursor
            broken = False
        except (adbc_driver_manager.Error, OSError) as error:
            raise failures.explain(getattr(error, "sqlstate", None)) from None
        finally:
            with contextlib.suppress(adbc_driver_manager.Error):
                cursor.close()
            self._pool.give_back(connection, broken=broken)

    def _connected(self) -> Any:
        """A cursor of a connection that works: pooled ones may have died in a restart of PostgreSQL."""
        while True:
            connection, fresh = self._pool.take()
            cursor = connection.cursor()
            if fresh:
                return cursor
            try:
                cursor.execute("SELECT 1")
                return cursor
            except adbc_driver_manager.Error:
                with contextlib.suppress(adbc_driver_manager.Error):
                    cursor.close()
                self._pool.give_back(connection, broken=True)


def _stored(column: Column) -> Any:
    return "double precision[]" if is_geometry(column) else postgres_type(column)


def _places(upload: Upload) -> Iterator[tuple[tuple[str, ...], sql.Composable, str]]:
    """Where the rows are: at most one pair of columns, and every column of points."""
    found = position_columns(upload.columns)
    pair = None if found is None else (upload.columns[found[0]], upload.columns[found[1]])
    if pair is not None and _is_on_sphere(upload.rows[pair[0].sql], upload.rows[pair[1].sql]):
        position = sql.SQL("spoint(radians({}), radians({}))").format(*(sql.Identifier(column.sql) for column in pair))
        yield (pair[0].name, pair[1].name), position, "_place"
    for column in upload.columns:
        if is_geometry(column) and column.xtype == "point":
            points = upload.rows[column.sql].combine_chunks()
            if _is_on_sphere(pc.list_element(points, 0), pc.list_element(points, 1)):
                name = sql.Identifier(column.sql)
                position = sql.SQL("spoint(radians({}[1]), radians({}[2]))").format(name, name)
                yield (column.name,), position, f"_place_{column.sql}"


def _is_on_sphere(ra: Any, dec: Any) -> bool:
    """Whether all positions are possible: pgSphere would fold a declination of 91 degrees to the other side."""
    far = pc.or_kleene(pc.greater(pc.abs(ra), 360), pc.greater(pc.abs(dec), 90))
    return not pc.any(pc.fill_null(far, False)).as_py()
