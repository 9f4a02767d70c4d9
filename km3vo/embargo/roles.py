"""The logins: made, given their passwords, and closed to all that they do not need."""

from __future__ import annotations

from importlib import resources
from typing import LiteralString

import psycopg
from psycopg import sql

from km3vo.database.logins import INGEST, LOGINS, MEMBER, OBSERVERS, OWNER, PUBLIC, SERVICE, UPLOAD, Database
from km3vo.errors import SetupError

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
# Whether such scans pay depends on what VACUUM has seen, and a load that is open while events are released hides pages
# from it: plans, and with them the order of rows, would tell of the load.
OUTSIDER_SETTINGS = READER_SETTINGS | {"enable_indexonlyscan": "off"}
SETTINGS = {
    PUBLIC: OUTSIDER_SETTINGS,
    MEMBER: READER_SETTINGS,
    OWNER: {"timezone": "UTC", "search_path": "public"},
    INGEST: QUIET | {"timezone": "UTC", "search_path": "public", "synchronous_commit": "on"},
    SERVICE: QUIET | {"timezone": "UTC", "search_path": "km3vo", "lock_timeout": "10s", "statement_timeout": "60s"},
    UPLOAD: QUIET | {"timezone": "UTC", "search_path": "public", "synchronous_commit": "off"},
}

# Logins belong to the whole server: two who set up databases on it would trip over each other. Advisory locks do not
# reach beyond a database, the lock of the logins' table does, which a superuser may take.
MAY_LOCK = "SELECT has_table_privilege('pg_catalog.pg_authid', 'UPDATE')"
LOCK = "LOCK TABLE pg_catalog.pg_authid IN SHARE ROW EXCLUSIVE MODE"
WAIT = "SELECT pg_advisory_xact_lock(20304)"
EXISTS = "SELECT FROM pg_roles WHERE rolname = %s"
# Whether this administrator may see which logins have passwords, which needs a superuser; and whether one has none.
SEES_PASSWORDS = "SELECT has_table_privilege('pg_authid', 'SELECT')"
HAS_NO_PASSWORD = "SELECT rolpassword IS NULL FROM pg_catalog.pg_authid WHERE rolname = %s"
CREATE = "CREATE ROLE {login}"
ALTER = "ALTER ROLE {login} NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS {kind} PASSWORD {verifier}"
SET = "ALTER ROLE {login} SET {setting} = {value}"
JOIN = "GRANT {observers} TO {login}"


def ensure(connection: psycopg.Connection, database: Database, *, new_passwords: bool = False) -> None:
    """Create the logins that are missing and give all of them their passwords and settings.

    ``connection`` belongs to the administrator and is left uncommitted.

    Args:
        new_passwords: whether passwords that another home has made may be replaced.

    Raises:
        SetupError: the logins have passwords that are not of this home.
    """
    _wait(connection)
    if not new_passwords and _is_foreign(connection, database):
        raise SetupError(
            "the logins of this PostgreSQL server have passwords from another KM3VO_HOME, and a service there would "
            "lose its database: set KM3VO_HOME to that folder, or, if that is gone, type "
            "`km3vo db upgrade --new-passwords`"
        )
    for login in LOGINS:
        _ensure(connection, login, "LOGIN NOINHERIT", database.password(login), SETTINGS[login])
    _ensure(connection, OBSERVERS, "NOLOGIN NOINHERIT", None, {})


def _wait(connection: psycopg.Connection) -> None:
    """Let whoever changes the logins just now come to an end."""
    connection.execute(LOCK if connection.execute(MAY_LOCK).fetchone() == (True,) else WAIT)


def _is_foreign(connection: psycopg.Connection, database: Database) -> bool:
    """Whether the service's login has a password, and it is not the one of this home."""
    if connection.execute(EXISTS, (SERVICE,)).fetchone() is None:
        return False
    if connection.execute(SEES_PASSWORDS).fetchone() == (True,):
        ((without,),) = connection.execute(HAS_NO_PASSWORD, (SERVICE,)).fetchall()
        if without:
            return False
    try:
        psycopg.connect(database.conninfo(SERVICE, connect_timeout=10)).close()
    except psycopg.OperationalError as error:
        # The database itself may refuse a login whose password is right; an SQLSTATE is not told at this point.
        return "password authentication failed" in str(error)
    return False


def ensure_observer(connection: psycopg.Connection, database: Database, login: str) -> None:
    """Create the login of one observer, or renew its password and settings. ``connection`` is the administrator's."""
    _wait(connection)
    _ensure(connection, login, "LOGIN INHERIT", database.password(login), OUTSIDER_SETTINGS)
    connection.execute(sql.SQL(JOIN).format(observers=sql.Identifier(OBSERVERS), login=sql.Identifier(login)))


def verifier(connection: psycopg.Connection, login: str, password: str) -> str:
    """What PostgreSQL keeps of a password (SCRAM-SHA-256), made here: the password itself is never part of a statement.

    Statements can be seen by others, and in logs (`log_statement = ddl`).
    """
    return connection.pgconn.encrypt_password(password.encode(), login.encode(), b"scram-sha-256").decode()


def _ensure(
    connection: psycopg.Connection, login: str, kind: LiteralString, password: str | None, settings: dict[str, str]
) -> None:
    name = sql.Identifier(login)
    if connection.execute(EXISTS, (login,)).fetchone() is None:
        connection.execute(sql.SQL(CREATE).format(login=name))
    kept = sql.Literal(None if password is None else verifier(connection, login, password))
    connection.execute(sql.SQL(ALTER).format(login=name, kind=sql.SQL(kind), verifier=kept))
    for setting, value in settings.items():
        connection.execute(sql.SQL(SET).format(login=name, setting=sql.Identifier(setting), value=sql.Literal(value)))


def lock_down(connection: psycopg.Connection) -> None:
    """Close this database to what the readers' logins do not need (docs/architecture.md); safe to run again.

    ``connection`` belongs to the administrator and is left uncommitted.
    """
    _wait(connection)
    connection.execute(resources.files(__package__).joinpath("lockdown.sql").read_text())
