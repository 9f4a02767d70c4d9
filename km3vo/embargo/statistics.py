"""What PostgreSQL plans queries with, and with it the order of rows that nobody sorted: renewed when it may be.

Plans of public queries hang on the statistics of the public partitions and on which pages are known to be visible to
all. Both are renewed after releases alone, and never by autovacuum, whose processes embargoed loads keep busy: it
would do it at times that tell of those. Analysing another sample of the rows turns plans that are near to others: 23 to
49 of 120 windows came in another order. So it is with tables without embargo, whose statistics loads into them renew:
what autovacuum makes room for there depends on whether a load is open elsewhere, and so would where the next rows lie.
"""

from __future__ import annotations

from collections.abc import Iterable

import psycopg
from psycopg import sql

from km3vo.catalog.model import Table
from km3vo.database.logins import OWNER, SERVICE, Database
from km3vo.embargo.partitions import names, relation

IS_LEFT_ALONE = """
SELECT FROM pg_class WHERE oid = {name}::regclass AND 'autovacuum_enabled=off' = ANY (reloptions)
"""
LEAVE_ALONE = "ALTER TABLE {public} SET (autovacuum_enabled = off, toast.autovacuum_enabled = off)"
ANALYZE_HIDDEN = "ANALYZE {hidden}"
# The parent's own statistics, which members' plans use, come last.
# Pages that VACUUM passes over, since a load is open, are left at that: the public's plans do not ask for them, see
# roles.py, and another VACUUM once the load has ended would estimate the rows anew, and tell of it.
VACUUM = "VACUUM (INDEX_CLEANUP off, TRUNCATE off) {public}"
ANALYZE = "ANALYZE {parent}"
# Where public rows were superseded or withdrawn, pages hold what is left of them. VACUUM would give that room to what
# is released next, unless a load is open, which would show in the order of rows: it stays away from such tables.
WAS_CHANGED = "SELECT FROM km3vo.versioned WHERE published = %s AND changed_at IS NOT NULL"
UNSETTLED = """
SELECT published, released_rows FROM km3vo.embargoed
WHERE released_rows > settled_rows AND released_rows >= 1.1 * settled_rows
"""
NOTE_SETTLED = "UPDATE km3vo.embargoed SET settled_rows = %s WHERE published = %s"


def leave_alone(connection: psycopg.Connection, table: Table) -> None:
    """Keep autovacuum away from public rows. ``connection`` belongs to the owner and is left uncommitted."""
    public = sql.Identifier(*relation(table, "public"))
    name = sql.Literal(public.as_string(connection))
    if connection.execute(sql.SQL(IS_LEFT_ALONE).format(name=name)).fetchone() is None:
        connection.execute(sql.SQL(LEAVE_ALONE).format(public=public))


def analyze_hidden(connection: psycopg.Connection, table: Table) -> None:
    """Renew the statistics of an embargoed partition, after a load. ``connection`` belongs to the owner."""
    connection.execute(sql.SQL(ANALYZE_HIDDEN).format(**names(table)))


def renew(connection: psycopg.Connection, table: Table) -> None:
    """Renew the statistics of both partitions. ``connection`` belongs to the owner, in autocommit mode."""
    if connection.execute(WAS_CHANGED, (table.qualified,)).fetchone() is None:
        connection.execute(sql.SQL(VACUUM).format(**names(table)))
    connection.execute(sql.SQL(ANALYZE).format(**names(table)))


def settle(database: Database, tables: Iterable[Table]) -> list[str]:
    """Renew the statistics of tables whose public rows have grown by a tenth since that was done last, by releases.

    Costs one small query when nothing is to be done. Safe to run again, and by several at once.

    Returns:
        the names of the tables where it was done.
    """
    with database.connect(SERVICE, autocommit=True) as service:
        grown: dict[str, int] = dict(service.execute(UNSETTLED).fetchall())
    done = [table for table in tables if table.qualified in grown]
    if done:
        with database.connect(OWNER, autocommit=True) as owner:
            for table in done:
                renew(owner, table)
                owner.execute(NOTE_SETTLED, (grown[table.qualified], table.qualified))
    return [table.qualified for table in done]
