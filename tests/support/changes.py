"""Changes of published rows that no command makes: for tests of what follows from them."""

from __future__ import annotations

import psycopg


def begin(connection: psycopg.Connection, published: str) -> None:
    """Write a change of a table down; the transaction that is open may then change its rows. The owner's."""
    connection.execute("SELECT km3vo.begin_change(%s, 'by hand', 'a test', 'tests')", (published,))


def unguarded(connection: psycopg.Connection) -> None:
    """Switch all triggers off for the transaction. The administrator's."""
    connection.execute("SET LOCAL session_replication_role = replica")
