"""The order of rows that nobody sorted tells nothing of who else reads."""

from __future__ import annotations

import pytest
from psycopg import sql

from km3vo.database.logins import MEMBER, OWNER, PUBLIC, Database

pytestmark = pytest.mark.slow

SCHEMA, TABLE = sql.Identifier("public_order"), sql.Identifier("public_order", "wide")


def test_a_scan_begins_at_the_first_row_whoever_reads_at_the_same_time(copy_published: Database) -> None:
    """PostgreSQL lets scans of large tables join each other half-way, unless it is told not to."""
    with copy_published.connect(OWNER) as owner:
        # More than a quarter of the shared memory, which is where PostgreSQL begins to do so.
        (bytes_,) = owner.execute("SELECT pg_size_bytes(current_setting('shared_buffers'))").fetchone() or (0,)
        rows = bytes_ // 4 // 8192 + 1000
        owner.execute(sql.SQL("CREATE SCHEMA {}").format(SCHEMA))
        owner.execute(sql.SQL("CREATE TABLE {} (number int, filling text)").format(TABLE))
        owner.execute(sql.SQL("ALTER TABLE {} ALTER filling SET STORAGE PLAIN").format(TABLE))
        owner.execute(
            sql.SQL("INSERT INTO {} SELECT n, repeat('x', 8000) FROM generate_series(1, {}) AS n").format(TABLE, rows)
        )
        for login in (PUBLIC, MEMBER):
            owner.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(SCHEMA, sql.Identifier(login)))
            owner.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(TABLE, sql.Identifier(login)))
    first = sql.SQL("SELECT number FROM {} LIMIT 1").format(TABLE)
    for reader, other in ((PUBLIC, MEMBER), (MEMBER, PUBLIC)):
        with (
            copy_published.connect(other) as busy,
            copy_published.connect(reader) as reading,
            busy.cursor("scan") as scan,
        ):
            scan.execute(sql.SQL("SELECT number FROM {}").format(TABLE))
            scan.fetchmany(rows // 2)
            assert reading.execute(first).fetchone() == (1,)
