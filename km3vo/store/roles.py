"""The logins: made, given their passwords, and closed to all that they do not need."""

from __future__ import annotations

from importlib import resources
from typing import LiteralString

import psycopg
from psycopg import sql

from km3vo.store.database import INGEST, LOGINS, MEMBER, OBSERVERS, OWNER, PUBLIC, SERVICE, UPLOAD, Database

# Settings of a login hold from its first statement on: a SET per query would halve the rate of small answers.
# Messages of errors quote values: 'invalid input syntax for type integer: "…"'. Only the owner's go into the log.
QUIET = {"log_min_messages": "fatal"}
READER_SETTINGS = QUIET | {
    "default_transaction_read_only": "on",
    "search_path": "public",
    "statement_timeout": "5h",  # a net below the service's own limits, which do not count a slow client's time
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "10min",
    "temp_file_limit": "8GB",
    "client_connection_check_interval": "1s",
    "jit": "off",
    "synchronize_seqscans": "off",  # rows without ORDER BY come in the same order, whoever reads at the same time
    "timezone": "UTC",
}
SETTINGS = {
    PUBLIC: READER_SETTINGS,
    MEMBER: READER_SETTINGS,
    OWNER: {"timezone": "UTC", "search_path": "public"},
    INGEST: QUIET | {"timezone": "UTC", "search_path": "public", "synchronous_commit": "on"},
    SERVICE: QUIET | {"timezone": "UTC", "search_path": "km3vo", "lock_timeout": "10s", "statement_timeout": "60s"},
    UPLOAD: QUIET | {"timezone": "UTC", "search_path": "public", "synchronous_commit": "off"},
}


def ensure(connection: psycopg.Connection, database: Database) -> None:
    """Create the logins that are missing and give all of them their passwords and settings.

    ``connection`` belongs to the administrator and is left uncommitted.
    """
    # Logins belong to the whole server: two who set up databases on it would trip over each other.
    connection.execute("SELECT pg_advisory_xact_lock(20304)")
    for login in LOGINS:
        _ensure(connection, login, "LOGIN NOINHERIT", database.password(login), SETTINGS[login])
    _ensure(connection, OBSERVERS, "NOLOGIN NOINHERIT", None, {})


def ensure_observer(connection: psycopg.Connection, database: Database, login: str) -> None:
    """Create the login of one observer, or renew its password and settings. ``connection`` is the administrator's."""
    connection.execute("SELECT pg_advisory_xact_lock(20304)")
    _ensure(connection, login, "LOGIN INHERIT", database.password(login), READER_SETTINGS)
    connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(OBSERVERS), sql.Identifier(login)))


def _ensure(
    connection: psycopg.Connection, login: str, kind: LiteralString, password: str | None, settings: dict[str, str]
) -> None:
    name = sql.Identifier(login)
    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (login,)).fetchone():
        connection.execute(sql.SQL("CREATE ROLE {}").format(name))
    connection.execute(
        sql.SQL("ALTER ROLE {} NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS {} PASSWORD {}").format(
            name, sql.SQL(kind), sql.Literal(password)
        )
    )
    for setting, value in settings.items():
        connection.execute(
            sql.SQL("ALTER ROLE {} SET {} = {}").format(name, sql.Identifier(setting), sql.Literal(value))
        )


def lock_down(connection: psycopg.Connection) -> None:
    """Close this database to what the readers' logins do not need (DESIGN D2); safe to run again.

    ``connection`` belongs to the administrator and is left uncommitted.
    """
    connection.execute(resources.files(__package__).joinpath("lockdown.sql").read_text())
