"""A public-only database elsewhere: logical replication of the public partitions, where embargoed rows never go.

The other database is made with the same schemas (`km3vo db upgrade`, `km3vo publish`) and subscribes. TAP_SCHEMA, the
registry and what is computed from the events it makes itself.
"""

from __future__ import annotations

import psycopg
from psycopg import sql

from km3vo.catalog.model import Catalog
from km3vo.catalog.tap_schema import TAP_SCHEMA
from km3vo.database.logins import INGEST, OWNER, REPLICA, Database
from km3vo.embargo import partitions, roles

NAME = "km3vo_public"
HAS_LOGIN = "SELECT FROM pg_roles WHERE rolname = %s"
CREATE_LOGIN = "CREATE ROLE {login}"
ALTER_LOGIN = "ALTER ROLE {login} LOGIN REPLICATION NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {verifier}"
LET_LOGIN = (
    "GRANT CONNECT ON DATABASE {database} TO {login}",
    "GRANT USAGE ON SCHEMA public TO {login}",
    # What a subscriber asks before it copies a table, which roles.lock_down closed to everybody else.
    "GRANT SELECT ON {catalogue} TO {login}",
    "GRANT EXECUTE ON ROUTINE {functions} TO {login}",
)
# What a login that only writes may call, and what a subscriber calls beside it.
CALLED = """
SELECT string_agg(oid::regprocedure::text, ', ') FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
    AND (has_function_privilege(%s, oid, 'EXECUTE') OR proname = ANY(%s))
"""
IS_PUBLISHED = "SELECT FROM pg_publication WHERE pubname = %s"
PUBLISH = "CREATE PUBLICATION {publication} FOR TABLE {tables}"
PUBLISH_AGAIN = "ALTER PUBLICATION {publication} SET TABLE {tables}"
LET_FIND = "GRANT USAGE ON SCHEMA {schema} TO {login}"
LET_READ = "GRANT SELECT ON {tables} TO {login}"
SUBSCRIBE = "CREATE SUBSCRIPTION {publication} CONNECTION {conninfo} PUBLICATION {publication}"
CATALOGUE = ("class", "namespace", "attribute", "index", "publication", "publication_tables")
FUNCTIONS = ("set_config", "pg_get_publication_tables", "pg_get_expr", "pg_get_replica_identity_index")


def relations(catalog: Catalog) -> list[tuple[str, str]]:
    """What is replicated: public partitions, and tables that were public from the beginning."""
    return [
        partitions.relation(table, "public")
        for table in catalog.tables
        if table.kind == "table" and table.schema != TAP_SCHEMA.name and not table.kept_by_service
    ]


def publish(database: Database, catalog: Catalog) -> list[str]:
    """Create the publication and the login that follows it, or bring both up to date. Returns the relations' names.

    Whoever has that login's password could read all changes, embargoed ones too: PostgreSQL lets a replication login
    choose how it decodes them. So only a database that is trusted as this one may follow (docs/embargo.md).

    Raises:
        psycopg.Error: the server refuses replication (wal_level), or the administrator may not make such a login.
    """
    replicated = relations(catalog)
    tables = sql.SQL(", ").join(sql.Identifier(*relation) for relation in replicated)
    with database.connect() as admin:
        _ensure_login(admin, database)
    with database.connect(OWNER) as owner:
        new = owner.execute(IS_PUBLISHED, (NAME,)).fetchone() is None
        publish = sql.SQL(PUBLISH if new else PUBLISH_AGAIN)
        owner.execute(publish.format(publication=sql.Identifier(NAME), tables=tables))
        login = sql.Identifier(REPLICA)
        for schema in sorted({schema for schema, _ in replicated}):
            owner.execute(sql.SQL(LET_FIND).format(schema=sql.Identifier(schema), login=login))
        owner.execute(sql.SQL(LET_READ).format(tables=tables, login=login))
    return [".".join(relation) for relation in replicated]


def _ensure_login(admin: psycopg.Connection, database: Database) -> None:
    login = sql.Identifier(REPLICA)
    if admin.execute(HAS_LOGIN, (REPLICA,)).fetchone() is None:
        admin.execute(sql.SQL(CREATE_LOGIN).format(login=login))
    verifier = sql.Literal(roles.verifier(admin, REPLICA, database.password(REPLICA)))
    admin.execute(sql.SQL(ALTER_LOGIN).format(login=login, verifier=verifier))
    ((functions,),) = admin.execute(CALLED, (INGEST, list(FUNCTIONS))).fetchall()
    catalogue = sql.SQL(", ").join(sql.Identifier("pg_catalog", f"pg_{name}") for name in CATALOGUE)
    for statement in LET_LOGIN:
        admin.execute(
            sql.SQL(statement).format(
                login=login,
                database=sql.Identifier(admin.info.dbname),
                catalogue=catalogue,
                functions=sql.SQL(functions),
            )
        )


def subscription(database: Database) -> str:
    """The statement that the administrator of the other database runs. It holds a password."""
    return (
        sql.SQL(SUBSCRIBE)
        .format(publication=sql.Identifier(NAME), conninfo=sql.Literal(database.conninfo(REPLICA)))
        .as_string()
    )
