"""The log of loads: which files went into which table, and whether any of them was simulated."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import psycopg

from km3vo.catalog.model import Catalog, Table
from km3vo.catalog.simulated import mark_simulated
from km3vo.database.logins import SERVICE, Database

BEFORE = """
SELECT sha256, rows, loaded_at FROM km3vo.load WHERE published = %s AND sha256 = ANY(%s) AND unloaded IS NULL
"""
# Waits for a load of the same contents that is under way. Numbers are drawn, not counted: public rows keep them, and
# gaps would tell of other loads.
RECORD = """
INSERT INTO km3vo.load (published, sha256, file, rows, loaded_by, number)
SELECT %s, %s, %s, %s, %s, drawn FROM (
    SELECT 100000 + floor(random() * 900000)::integer AS drawn FROM generate_series(1, 50)
) AS numbers WHERE NOT EXISTS (SELECT FROM km3vo.load WHERE number = drawn) LIMIT 1
ON CONFLICT (published, sha256) WHERE unloaded IS NULL DO NOTHING RETURNING number
"""
ANY = "SELECT FROM km3vo.load WHERE published = %s AND unloaded IS NULL LIMIT 1"
ANY_NAMED = "SELECT FROM km3vo.load WHERE published = %s AND starts_with(file, %s) AND unloaded IS NULL LIMIT 1"

SIMULATED = "simulated"  # how the name of rows begins that come from no file


def before(connection: psycopg.Connection, table: Table, digests: Sequence[str]) -> dict[str, tuple[int, datetime]]:
    """Which contents were loaded into a table before: SHA-256 → rows and when."""
    rows = connection.execute(BEFORE, (table.qualified, list(digests)))
    return {digest: (count, when) for digest, count, when in rows}


def record(connection: psycopg.Connection, table: Table, digest: str, name: str, rows: int, who: str) -> int | None:
    """Note a load, and give it a number. None when the same contents were loaded meanwhile; waits for a load of them
    that is under way.
    """
    row = connection.execute(RECORD, (table.qualified, digest, name, rows, who)).fetchone()
    return row[0] if row else None


def is_empty(connection: psycopg.Connection, table: Table) -> bool:
    """Whether nothing was loaded into a table yet."""
    return connection.execute(ANY, (table.qualified,)).fetchone() is None


def is_simulated(connection: psycopg.Connection, table: Table) -> bool:
    """Whether simulated rows were loaded into a table."""
    return connection.execute(ANY_NAMED, (table.qualified, SIMULATED)).fetchone() is not None


def as_loaded(database: Database, catalog: Catalog) -> Catalog:
    """The catalogue as the database has it: tables that hold look-alikes of the real rows say so."""
    with database.connect(SERVICE) as connection:
        return mark_simulated(catalog, {table.qualified for table in catalog.tables if is_simulated(connection, table)})
