"""The staging table of a load: rows are copied into it, checked there all at once, and only then inserted.

It is temporary, and ends with the transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import psycopg
import pyarrow as pa
from psycopg import sql
from pyarrow import csv as arrow_csv

from km3vo.catalog.model import Column, Table
from km3vo.database.types import postgres_type
from km3vo.embargo import versions

STAGING = sql.Identifier("pg_temp", "staging")
HEALPIX_ORDER = 12  # pixels of 0.014 deg: finer than any neutrino is known

# Each row knows the number of its file and its line there, for messages about it.
CREATE = "CREATE TEMP TABLE staging ({columns}, _file smallint, _line bigint) ON COMMIT DROP"
COPY = "COPY {staging} ({columns}, _file, _line) FROM STDIN (FORMAT csv)"
ANALYZE = "ANALYZE {staging}"
# The owner's functions take the rows from there (embargo/versions.sql).
LET_TAKE = "GRANT SELECT ON {staging} TO km3vo_owner"

# The sort of a million rows would go through files.
SORT_IN_MEMORY = "SET LOCAL work_mem = '256MB'"
TAKE_IN = "SELECT km3vo.take_in(%s, %s, %s)"
# Tables without identifiers have no versions.
INSERT = "INSERT INTO {table} ({columns}) SELECT {values} FROM {staging} ORDER BY {order}"
AS_READ = "_file, _line"
IN_THE_SKY = "healpix_nest({order}, spoint(radians({ra}), radians({dec})))"
# What is not a number is a missing value (VOTable 1.5 §6).
WITHOUT_NAN = "nullif({}, 'NaN')"


def create(connection: psycopg.Connection, table: Table) -> None:
    """Create the staging table for the rows of ``table``."""
    columns = [
        sql.SQL("{} {}").format(sql.Identifier(column.sql), sql.SQL(postgres_type(column))) for column in table.columns
    ]
    connection.execute(sql.SQL(CREATE).format(columns=sql.SQL(", ").join(columns)))
    connection.execute(sql.SQL(LET_TAKE).format(staging=STAGING))


@contextmanager
def copy(
    connection: psycopg.Connection, columns: Sequence[Column]
) -> Iterator[Callable[[pa.RecordBatch, int, pa.Array], None]]:
    """A function that sends rows to the staging table: a batch of ``columns``, the number of its file, its lines."""
    names = sql.SQL(", ").join(sql.Identifier(column.sql) for column in columns)
    with connection.cursor() as cursor, cursor.copy(sql.SQL(COPY).format(staging=STAGING, columns=names)) as sink:
        yield lambda batch, number, lines: sink.write(_as_csv(batch, number, lines))


def analyze(connection: psycopg.Connection) -> None:
    """Have PostgreSQL look at what was staged, so that it plans the checks well."""
    connection.execute(sql.SQL(ANALYZE).format(staging=STAGING))


def insert(connection: psycopg.Connection, table: Table, loads: Sequence[int]) -> None:
    """Publish what was staged. Rows with a position are put where their neighbours in the sky are, for quick cones.

    Args:
        loads: the numbers of the files, in their order.
    """
    if versions.are_kept(table):
        place = [table.position.ra, table.position.dec] if table.position else None
        connection.execute(SORT_IN_MEMORY)
        connection.execute(TAKE_IN, (table.qualified, list(loads), place))
        return
    order: sql.Composable = sql.SQL(AS_READ)
    if table.position:
        ra, dec = sql.Identifier(table.position.ra), sql.Identifier(table.position.dec)
        order = sql.SQL(IN_THE_SKY).format(order=HEALPIX_ORDER, ra=ra, dec=dec)
    connection.execute(SORT_IN_MEMORY)
    connection.execute(
        sql.SQL(INSERT).format(
            table=sql.Identifier(table.schema, table.name),
            columns=sql.SQL(", ").join(sql.Identifier(column.sql) for column in table.columns),
            values=sql.SQL(", ").join(_published(column) for column in table.columns),
            staging=STAGING,
            order=order,
        )
    )


def _published(column: Column) -> sql.Composable:
    """A staged value as it is published."""
    name = sql.Identifier(column.sql)
    floating = column.datatype in ("float", "double") and column.arraysize is None
    return sql.SQL(WITHOUT_NAN).format(name) if floating and column.nullable else name


def _as_csv(batch: pa.RecordBatch, number: int, lines: pa.Array) -> memoryview:
    """A batch as PostgreSQL's COPY reads it: strings in quotes, nulls bare, which is what tells them apart."""
    arrays = [_arrays_as_text(array) for array in batch.columns]
    arrays += [pa.repeat(pa.scalar(number, pa.int16()), len(lines)), lines]
    sink = pa.BufferOutputStream()
    arrow_csv.write_csv(
        pa.RecordBatch.from_arrays(arrays, names=[str(place) for place in range(len(arrays))]),
        sink,
        arrow_csv.WriteOptions(include_header=False),
    )
    return memoryview(sink.getvalue())


def _arrays_as_text(array: pa.Array) -> pa.Array:
    if not pa.types.is_list(array.type):
        return array
    cells = [None if cell is None else f"{{{','.join(map(_item, cell))}}}" for cell in array.to_pylist()]
    return pa.array(cells, pa.string())


def _item(number: float | None) -> str:
    return "NULL" if number is None else repr(number)
