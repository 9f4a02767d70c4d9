"""Uploaded tables in the database: each belongs to one query, is readable by one audience, and is gone afterwards.

They lie in the schema ``tap_upload`` under names that cannot be guessed, with columns called c1, c2, …: what a user
called things stays in the query's translation. A name begins with the key of the lock that its process holds
(jobs_signals.py): a table whose process is gone is nobody's, and is swept away.
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

from km3vo.adql import Source
from km3vo.catalog.model import Column
from km3vo.errors import UnavailableError
from km3vo.settings import Limits, Pools
from km3vo.store import failures
from km3vo.store.database import UPLOAD, Database
from km3vo.store.embargo import LOGIN, Audience
from km3vo.store.publish import postgres_type
from km3vo.store.queries import StreamPool
from km3vo.store.uploads_cells import is_geometry
from km3vo.store.uploads_files import read_file

log = logging.getLogger(__name__)

SCHEMA = "tap_upload"
# Below this many rows, reading them all is as quick as an index and its making (4 µs a row).
INDEX_ROWS = 500
ANALYZE_ROWS = 2_000
PATIENCE_SECONDS = 5  # after a restart of PostgreSQL the process is without a lock for a moment

_NAME = re.compile(r"u_([0-9a-f]+)_[0-9a-f]+")
# Names that catalogues give to ICRS positions in degrees, in the order in which they are looked for.
_PAIRS = (
    ("ra", "dec"),
    ("ra", "decl"),
    ("ra_icrs", "de_icrs"),
    ("raj2000", "dej2000"),
    ("_raj2000", "_dej2000"),
    ("s_ra", "s_dec"),
    ("ra_deg", "dec_deg"),
)


@dataclass(slots=True)
class Upload:
    """A table that came with a query.

    Attributes:
        name: as the query calls it, without TAP_UPLOAD.
        columns: as the query sees them.
        rows: what is in it; the columns are called as in the database.
        relation: its name in the database.
        places: (names of columns, SQL of their position, name of the column that it would get).
    """

    name: str
    columns: tuple[Column, ...]
    rows: pa.Table
    relation: str = ""
    places: list[tuple[tuple[str, ...], sql.Composable, str]] = field(default_factory=list)

    def source(self, *, searchable: bool) -> Source:
        """The table as a query may name it; ``searchable`` when its positions are to be indexed."""
        places = [(names, column) for names, _, column in self.places if searchable]
        return Source(
            name=("TAP_UPLOAD", self.name),
            relation=(SCHEMA, self.relation),
            columns=tuple(
                replace(column, datatype="double") if is_geometry(column) else column for column in self.columns
            ),
            positions={(names[0], names[1]): column for names, column in places if len(names) == 2},
            geometries={names[0]: column for names, column in places if len(names) == 1},
        )

    def is_searched(self, statement: str) -> bool:
        """Whether a statement, translated with ``searchable`` positions, has no other index to search than this one's.

        A position that is compared with a published one is looked for in the published table's index, which is there.
        """
        if '"_pos"' in statement or '"_errc"' in statement:
            return False
        return any(f'"{column}" <@' in statement or f'@> "{column}"' in statement for _, _, column in self.places)


def read(name: str, file: BinaryIO, limits: Limits) -> Upload:
    """Read an uploaded file.

    Raises:
        UploadError: it cannot be read.
        TooLargeError: it is too large.
    """
    columns, rows = read_file(file, most_rows=limits.upload_rows, most_bytes=limits.upload_bytes)
    upload = Upload(name, tuple(columns), rows)
    if rows.num_rows >= INDEX_ROWS:
        upload.places = list(_places(upload))
    return upload


class Uploads:
    """The uploaded tables of this process."""

    def __init__(self, database: Database, pools: Pools, key: Callable[[], int | None]) -> None:
        self._pool = StreamPool(database.conninfo(UPLOAD), pools)
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
            # So few pages that PostgreSQL would not share them out; what each row is matched with may take long.
            self._run(cursor, "CREATE UNLOGGED TABLE {} ({}) WITH (parallel_workers = 2)", table, columns)
            self._run(cursor, "GRANT SELECT ON {} TO {}", table, sql.Identifier(LOGIN[audience]))
            if upload.rows.num_rows:
                cursor.adbc_ingest(upload.relation, upload.rows, mode="append", db_schema_name=SCHEMA)
            if indexed:
                for _, position, column in upload.places:
                    # Only now: COPY's binary form fails on tables with pgSphere's types, even on other columns.
                    name = sql.Identifier(column)
                    self._run(
                        cursor,
                        "ALTER TABLE {} ADD COLUMN {} spoint GENERATED ALWAYS AS ({}) STORED",
                        table,
                        name,
                        position,
                    )
                    self._run(cursor, "CREATE INDEX ON {} USING gist ({})", table, name)
            if indexed or upload.rows.num_rows >= ANALYZE_ROWS:
                self._run(cursor, "ANALYZE {}", table)

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
            cursor.execute(
                "SELECT relname::text FROM pg_catalog.pg_class WHERE relkind = 'r' AND relnamespace ="
                " (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'tap_upload')"
            )
            return [name for (name,) in cursor.fetchall()]

    def _drop(self, relation: str) -> None:
        with contextlib.suppress(UnavailableError), self._cursor() as cursor:
            self._run(cursor, "DROP TABLE IF EXISTS {}", sql.Identifier(SCHEMA, relation))

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
    pair = _pair(upload.columns)
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


def _pair(columns: tuple[Column, ...]) -> tuple[Column, Column] | None:
    """The columns with right ascension and declination in degrees: by UCD, the main ones first, or by name."""
    numbers = [
        column
        for column in columns
        if column.datatype in ("float", "double") and not column.arraysize and column.unit in (None, "deg", "degree")
    ]
    for suffix in (";meta.main", ""):
        found = [
            [column for column in numbers if (column.ucd or "").lower() == ucd + suffix]
            for ucd in ("pos.eq.ra", "pos.eq.dec")
        ]
        if all(found):
            return found[0][0], found[1][0]
    named = {column.name.lower(): column for column in numbers}
    for ra, dec in _PAIRS:
        if ra in named and dec in named:
            return named[ra], named[dec]
    return None


def _is_on_sphere(ra: Any, dec: Any) -> bool:
    """Whether all positions are possible: pgSphere would fold a declination of 91 degrees to the other side."""
    far = pc.or_kleene(pc.greater(pc.abs(ra), 360), pc.greater(pc.abs(dec), 90))
    return not pc.any(pc.fill_null(far, False)).as_py()
