"""A public-only database elsewhere: logical replication of the public partitions, where embargoed rows never go.

The other database is made with the same schemas (`km3vo db upgrade`, `km3vo publish`) and subscribes. TAP_SCHEMA, the
registry and what is computed from the events it makes itself.
"""

from __future__ import annotations

import psycopg
from psycopg import sql

from km3vo.catalog.model import Catalog
from km3vo.catalog.tap_schema import TAP_SCHEMA
from km3vo.store import embargo, obscore
from km3vo.store.database import INGEST, OWNER, REPLICA, Database

NAME = "km3vo_public"
CATALOGUE = ("class", "namespace", "attribute", "index", "publication", "publication_tables")
FUNCTIONS = ("set_config", "pg_get_publication_tables", "pg_get_expr", "pg_get_replica_identity_index")


def relations(catalog: Catalog) -> list[tuple[str, str]]:
    """What is replicated: public partitions, and tables that were public from the beginning."""
    return [
        embargo.relation(table, "public")
        for table in catalog.tables
        if table.kind == "table" and table.schema != TAP_SCHEMA.name and not obscore.is_ours(table)
    ]


def publish(database: Database, catalog: Catalog) -> list[str]:
    """Create the publication and the login that follows it, or bring both up to date. Returns the relations' names.

    Whoever has that login's password could read all changes, embargoed ones too: PostgreSQL lets a replication login
    choose how it decodes them. So only a database that is trusted as this one may follow (docs/embargo.md).

    Raises:
        psycopg.Error: the server refuses replication (wal_level), or the administrator may not make such a login.
    """
    found = relations(catalog)
    tables = sql.SQL(", ").join(sql.Identifier(*relation) for relation in found)
    with database.connect() as admin:
        _ensure_login(admin, database)
    with database.connect(OWNER) as owner:
        exists = owner.execute("SELECT 1 FROM pg_publication WHERE pubname = %s", (NAME,)).fetchone()
        verb = "ALTER PUBLICATION {} SET TABLE {}" if exists else "CREATE PUBLICATION {} FOR TABLE {}"
        owner.execute(sql.SQL(verb).format(sql.Identifier(NAME), tables))
        login = sql.Identifier(REPLICA)
        for schema in sorted({schema for schema, _ in found}):
            owner.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(schema), login))
        owner.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(tables, login))
    return [".".join(relation) for relation in found]


def _ensure_login(admin: psycopg.Connection, database: Database) -> None:
    login = sql.Identifier(REPLICA)
    if not admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (REPLICA,)).fetchone():
        admin.execute(sql.SQL("CREATE ROLE {}").format(login))
    admin.execute(
        sql.SQL("ALTER ROLE {} LOGIN REPLICATION NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}").format(
            login, sql.Literal(database.password(REPLICA))
        )
    )
    name = admin.info.dbname
    admin.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(name), login))
    admin.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(login))
    # What a subscriber asks before it copies a table, which roles.lock_down closed to everybody else.
    admin.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(sql.SQL(", ").join(map(_catalogue, CATALOGUE)), login))
    row = admin.execute(
        "SELECT string_agg(oid::regprocedure::text, ', ') FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace "
        "AND (has_function_privilege(%s, oid, 'EXECUTE') OR proname = ANY(%s))",
        (INGEST, list(FUNCTIONS)),
    ).fetchone()
    assert row is not None
    admin.execute(sql.SQL("GRANT EXECUTE ON ROUTINE {} TO {}").format(sql.SQL(row[0]), login))


def _catalogue(name: str) -> sql.Composable:
    return sql.Identifier("pg_catalog", f"pg_{name}")


def subscription(database: Database) -> str:
    """The statement that the administrator of the other database runs. It holds a password."""
    return (
        sql.SQL("CREATE SUBSCRIPTION {} CONNECTION {} PUBLICATION {}")
        .format(sql.Identifier(NAME), sql.Literal(database.conninfo(REPLICA)), sql.Identifier(NAME))
        .as_string()
    )
