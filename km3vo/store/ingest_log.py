"""The log of loads: which files went into which table, and whether any of them was simulated."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import psycopg

from km3vo.catalog.model import Catalog, Table
from km3vo.catalog.simulated import mark_simulated
from km3vo.store.database import SERVICE, Database

SIMULATED = "simulated"  # how the name of rows begins that come from no file


def before(connection: psycopg.Connection, table: Table, digests: Sequence[str]) -> dict[str, tuple[int, datetime]]:
    """Which contents were loaded into a table before: SHA-256 → rows and when."""
    rows = connection.execute(
        "SELECT sha256, rows, loaded_at FROM km3vo.load WHERE published = %s AND sha256 = ANY(%s)",
        (table.qualified, list(digests)),
    )
    return {digest: (count, when) for digest, count, when in rows}


def record(connection: psycopg.Connection, table: Table, digest: str, name: str, rows: int) -> bool:
    """Note a load. False when the same contents were loaded meanwhile; waits for a load of them that is under way."""
    done = connection.execute(
        "INSERT INTO km3vo.load (published, sha256, file, rows) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (table.qualified, digest, name, rows),
    )
    return done.rowcount == 1


def is_empty(connection: psycopg.Connection, table: Table) -> bool:
    """Whether nothing was loaded into a table yet."""
    return _none(connection.execute("SELECT FROM km3vo.load WHERE published = %s LIMIT 1", (table.qualified,)))


def is_simulated(connection: psycopg.Connection, table: Table) -> bool:
    """Whether simulated rows were loaded into a table."""
    return not _none(
        connection.execute(
            "SELECT FROM km3vo.load WHERE published = %s AND starts_with(file, %s) LIMIT 1",
            (table.qualified, SIMULATED),
        )
    )


def as_loaded(database: Database, catalog: Catalog) -> Catalog:
    """The catalogue as the database has it: tables that hold look-alikes of the real rows say so."""
    with database.connect(SERVICE) as connection:
        return mark_simulated(catalog, {table.qualified for table in catalog.tables if is_simulated(connection, table)})


def _none(cursor: psycopg.Cursor[tuple[object, ...]]) -> bool:
    return cursor.fetchone() is None
