"""What a backup holds: its manifest, and the sums by which a restored database is compared with its original."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import psycopg
from psycopg import sql
from pydantic import BaseModel, ValidationError

from km3vo.errors import SetupError

MANIFEST = "manifest.json"
DUMP = "database.dump"
FORMAT = 1
# Uploaded tables belong to a query that runs, and are worth nothing without it.
THROWN_AWAY = "tap_upload"

# Tables with rows of their own: not partitioned parents, and not what belongs to an extension.
TABLES = """
    SELECT n.nspname, c.relname,
           array(SELECT a.attname::text FROM pg_attribute AS a
                 WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
                 ORDER BY a.attname)
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', %s)
      AND NOT EXISTS (SELECT FROM pg_depend AS d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY 1, 2
"""

# MD5 of each row as text: the same on every version of PostgreSQL, which its own hash functions do not promise. The
# sum does not depend on the order in which rows lie.
SUM = """
    SELECT count(*), coalesce(sum(('x' || left(md5(ROW({columns})::text), 15))::bit(60)::bigint::numeric), 0)::text
    FROM {table}
"""

# Who may do what with what, by which triggers and policies: of everything that is km3vo's.
RULES = """
    SELECT 'right', n.nspname || '.' || c.relname, r.rolname || ' ' || acl.privilege_type
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL aclexplode(c.relacl) AS acl JOIN pg_roles AS r ON r.oid = acl.grantee
    WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'public', %(thrown_away)s)
      AND acl.grantee <> c.relowner
    UNION ALL
    SELECT 'policy', schemaname || '.' || tablename, concat_ws(' ', policyname, cmd, roles, qual, with_check)
    FROM pg_policies
    UNION ALL
    SELECT 'trigger', t.tgrelid::regclass::text, pg_get_triggerdef(t.oid)
    FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE NOT t.tgisinternal AND n.nspname NOT IN (%(thrown_away)s)
    UNION ALL
    SELECT 'function', p.oid::regprocedure::text, md5(p.prosrc) || coalesce(p.proacl::text, '')
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE n.nspname = 'km3vo'
    ORDER BY 1, 2, 3
"""

# The roles that own something or may do something here; the dump names them and does not make them.
ROLES = "SELECT rolname FROM pg_roles WHERE rolname ~ '^km3vo_' ORDER BY 1"


class File(BaseModel):
    """One file of a backup: its path below the backup's folder, its size in bytes and its SHA-256."""

    path: str
    bytes: int
    sha256: str


class Sum(BaseModel):
    """The contents of one table: how many rows, and a sum over them that does not depend on their order."""

    rows: int
    digest: str


class Manifest(BaseModel):
    """What a backup holds.

    Attributes:
        made_at: the moment whose state the dump holds (UTC).
        km3vo, postgres, revision: the versions of the software, of PostgreSQL (15.18 as 150018), of the tables.
        roles: logins and groups of which the dump speaks.
        tables: schema.table → its sum.
        rules: rights, policies, triggers and functions, as (kind, of what, which).
        files: every file of the backup but the manifest.
    """

    format: int = FORMAT
    made_at: datetime
    km3vo: str
    postgres: int
    revision: str
    roles: list[str]
    tables: dict[str, Sum]
    rules: list[tuple[str, str, str]]
    files: list[File]


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a backup.

    Raises:
        SetupError: there is none, or it is of another format.
    """
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise SetupError(f"{folder} holds no backup: it has no {MANIFEST}") from None
    except ValidationError as error:
        raise SetupError(
            f"{folder / MANIFEST} cannot be read: {error.error_count()} of its entries are wrong"
        ) from None
    if manifest.format != FORMAT:
        raise SetupError(f"{folder} has the format {manifest.format}; this km3vo reads {FORMAT}: use a newer one")
    return manifest


def sums(connection: psycopg.Connection) -> Iterator[tuple[str, Sum]]:
    """The sum of each table, as the transaction of ``connection`` (the administrator's) sees it."""
    connection.execute("SET LOCAL TimeZone = 'UTC'")
    connection.execute("SET LOCAL search_path = public")
    for schema, name, columns in connection.execute(TABLES, (THROWN_AWAY,)).fetchall():
        row = connection.execute(
            sql.SQL(SUM).format(
                columns=sql.SQL(", ").join(map(sql.Identifier, columns)), table=sql.Identifier(schema, name)
            )
        ).fetchone()
        assert row is not None
        yield f"{schema}.{name}", Sum(rows=row[0], digest=row[1])


def rules(connection: psycopg.Connection) -> list[tuple[str, str, str]]:
    """Rights, policies, triggers and functions, as (kind, of what, which). ``connection`` is the administrator's."""
    return connection.execute(RULES, {"thrown_away": THROWN_AWAY}).fetchall()


def sha256(file: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
