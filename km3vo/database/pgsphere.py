"""pgSphere in a database, whichever version the distribution has (see pgsphere_script.py for the broken one)."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from km3vo.database.pgsphere_script import SUFFIX, mend, repaired
from km3vo.errors import SetupError

Connection = psycopg.Connection[Any]

VERSION = "SELECT extversion FROM pg_extension WHERE extname = 'pg_sphere'"
IS_THERE = "SELECT to_regtype('public.spoint') IS NOT NULL"
OFFERED = "SELECT default_version FROM pg_available_extensions WHERE name = 'pg_sphere'"
IS_KNOWN = "SELECT count(*) FROM pg_available_extension_versions WHERE name = 'pg_sphere' AND version = %s"
SHARE = "SELECT setting FROM pg_config() WHERE name = 'SHAREDIR'"
READ = "SELECT pg_read_file(%s)"
CREATE = "CREATE EXTENSION pg_sphere SCHEMA public"
CREATE_VERSION = "CREATE EXTENSION pg_sphere SCHEMA public VERSION {}"
UPDATE = "ALTER EXTENSION pg_sphere UPDATE TO {}"
# Where CREATE EXTENSION runs a script, and what it passes over.
AS_EXTENSION = ("SET LOCAL search_path TO public, pg_temp", "SET LOCAL client_min_messages TO warning")
# pgSphere 1.2 does not say that its functions only compute, which keeps every query with a position on one processor;
# later versions do.
SHARE_AMONG_PROCESSORS = """
DO $$
DECLARE entry record;
BEGIN
    FOR entry IN
        SELECT oid::regprocedure AS signature FROM pg_proc
        WHERE probin LIKE '%/pg_sphere' AND prokind = 'f' AND provolatile = 'i' AND proparallel = 'u'
    LOOP
        EXECUTE format('ALTER FUNCTION %s PARALLEL SAFE', entry.signature);
    END LOOP;
END $$
"""


def ensure(connection: Connection) -> str:
    """Make pgSphere usable in this connection's database, in schema `public`.

    Args:
        connection: a superuser's.

    Returns:
        One sentence for the operator on what is there and what was done.

    Raises:
        SetupError: pgSphere is not installed on the server, or the connection may not create it.
    """
    told = _ensure(connection)
    with contextlib.suppress(psycopg.errors.InsufficientPrivilege), connection.transaction():
        connection.execute(SHARE_AMONG_PROCESSORS)
    return told


def _ensure(connection: Connection) -> str:
    if present := connection.execute(VERSION).fetchone():
        return f"pgSphere {present[0]} is there."
    if connection.execute(IS_THERE).fetchone() == (True,):
        return "pgSphere is there, without a record as an extension."
    version = _offered(connection)
    try:
        with connection.transaction():
            connection.execute(CREATE)
    except psycopg.errors.InsufficientPrivilege:
        raise SetupError("pgSphere has to be created by a superuser: psql -c 'CREATE EXTENSION pg_sphere'") from None
    except psycopg.errors.InvalidFunctionDefinition:
        return _create_repaired(connection, version)
    return f"pgSphere {version} was created."


def _offered(connection: Connection) -> str:
    """The version that the server would create."""
    if offered := connection.execute(OFFERED).fetchone():
        return str(offered[0])
    major = connection.info.server_version // 10000
    raise SetupError(
        f"pgSphere is not installed for PostgreSQL {major}: apt-get install postgresql-{major}-pgsphere "
        "(on the machine where PostgreSQL runs)"
    )


def _create_repaired(connection: Connection, version: str) -> str:
    # Only the server knows which script it reads; it may be another machine's.
    share = Path(_value(connection, SHARE))
    script = share / "extension" / f"pg_sphere--{version}.sql"
    text = _value(connection, READ, str(script))
    if repaired(text) == text:
        raise SetupError(
            f"PostgreSQL refuses pgSphere {version}, and not for the reason km3vo can mend: "
            f"psql -c 'CREATE EXTENSION pg_sphere' says why; a newer postgresql-*-pgsphere may help"
        )
    if os.access(script.parent, os.W_OK) and script.is_file():
        mend(share)
    if _value(connection, IS_KNOWN, version + SUFFIX):
        with connection.transaction():
            connection.execute(sql.SQL(CREATE_VERSION).format(sql.Literal(version + SUFFIX)))
            connection.execute(sql.SQL(UPDATE).format(sql.Literal(version)))
        return f"pgSphere {version} was created from a repaired script, since PostgreSQL refuses the packaged one."
    run_script(connection, repaired(text))
    return (
        f"pgSphere {version} was created from a repaired script, without a record as an extension, since "
        f"PostgreSQL refuses the packaged one and {script.parent} cannot be written to (sudo scripts/install.sh "
        "before the first start avoids this)."
    )


def run_script(connection: Connection, script: str) -> None:
    """Do what CREATE EXTENSION does with a script, except for the record in pg_extension."""
    statements = re.sub(r"^\\.*$", "", script, flags=re.MULTILINE).replace("MODULE_PATHNAME", "$libdir/pg_sphere")
    with connection.transaction():
        for setting in AS_EXTENSION:
            connection.execute(setting)
        connection.execute(statements.encode())


def _value(connection: Connection, query: Any, *parameters: object) -> Any:
    row = connection.execute(query, parameters or None).fetchone()
    assert row is not None
    return row[0]
