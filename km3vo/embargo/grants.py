"""Grants: single people outside the Collaboration see embargoed events of one table and period, until a date.

Each such observer has a login of his or her own. A grant is a row of km3vo.observer_grant and nothing else: the view
`…_observed` adds to the public rows what a function (granted.sql) finds for the session's login. So a grant begins and
ends with the statement that notes it, whoever reads meanwhile. Public and member logins never meet any of this.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from datetime import datetime
from importlib import resources

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from km3vo.catalog.model import Catalog, Table
from km3vo.catalog.tap_schema import TAP_SCHEMA
from km3vo.database.logins import OBSERVERS, OWNER, Database
from km3vo.embargo import partitions, roles
from km3vo.errors import NotFoundError, SetupError

POLICIES = "SELECT polname FROM pg_policy WHERE polrelid = %s::regclass"
DROP_POLICY = "DROP POLICY {policy} ON {hidden}"
IS_SECURED = "SELECT relrowsecurity FROM pg_class WHERE oid = %s::regclass"
UNSECURE = "ALTER TABLE {hidden} DISABLE ROW LEVEL SECURITY; REVOKE ALL ON {hidden} FROM {observers}"
INDEX = "SELECT to_regclass(%s) IS NOT NULL"
CREATE_INDEX = "CREATE INDEX {index} ON {hidden} ({time})"
# Who was called otherwise when the login was made keeps it.
LOGIN = "SELECT login FROM km3vo.observer WHERE name = %s"
NOTE_OBSERVER = "INSERT INTO km3vo.observer (name, login) VALUES (%s, %s) ON CONFLICT DO NOTHING"
ADD = """
INSERT INTO km3vo.observer_grant (observer, published, observed_from, observed_to, ends_at, reason, decided_by)
VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING id, ends_at > clock_timestamp()
"""
ALL = """
SELECT id, observer, published, observed_from, observed_to, ends_at, reason, decided_by, decided_at, CASE
    WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN ends_at <= clock_timestamp() THEN 'ended' ELSE 'valid'
END AS state FROM km3vo.observer_grant ORDER BY id
"""
REVOKE = """
UPDATE km3vo.observer_grant SET revoked_at = clock_timestamp() WHERE id = %s AND revoked_at IS NULL
RETURNING (SELECT login FROM km3vo.observer WHERE name = observer)
"""
FORGET_JOBS = "DELETE FROM km3vo.job WHERE audience = %s AND phase <> 'PENDING'"
END_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s AND datname = current_database()
"""


def login_of(name: str) -> str:
    """The login of an observer: made from the name, which may hold what no login should."""
    return f"km3vo_observer_{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def open_to_observers(connection: psycopg.Connection, catalog: Catalog) -> None:
    """Give observers what everybody may read, and of embargoed events what was granted.

    ``connection`` belongs to the owner and is left uncommitted. Safe to run again.
    """
    for schema in (TAP_SCHEMA, *catalog.schemas):
        connection.execute(
            sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(schema.name), sql.Identifier(OBSERVERS))
        )
        for table in schema.tables:
            if table.kind == "table" and not table.release.embargoed:
                connection.execute(
                    sql.SQL("GRANT SELECT ON {} TO {}").format(
                        sql.Identifier(table.schema, table.name), sql.Identifier(OBSERVERS)
                    )
                )
            elif table.release.embargoed:
                _open_embargoed(connection, table)


def _open_embargoed(connection: psycopg.Connection, table: Table) -> None:
    schema, name = table.schema, table.name
    parts = partitions.names(table) | {
        "view": sql.Identifier(*partitions.relation(table, "observer")),
        "granted": sql.Identifier(schema, f"{name}_granted"),
        "index": sql.Identifier(f"{name}_embargo_granted"),
        "observers": sql.Identifier(OBSERVERS),
    }
    hidden = parts["hidden"].as_string(connection)
    # Earlier versions had a policy for each grant.
    for (policy,) in connection.execute(POLICIES, (hidden,)).fetchall():
        connection.execute(sql.SQL(DROP_POLICY).format(policy=sql.Identifier(policy), **parts))
    if connection.execute(IS_SECURED, (hidden,)).fetchone() == (True,):
        connection.execute(sql.SQL(UNSECURE).format(**parts))
    index = sql.Identifier(schema, f"{name}_embargo_granted").as_string(connection)
    if connection.execute(INDEX, (index,)).fetchone() == (False,):
        connection.execute(sql.SQL(CREATE_INDEX).format(**parts))
    text = resources.files(__package__).joinpath("granted.sql").read_text()
    connection.execute(sql.SQL(text).format(**parts))


@dataclass(frozen=True, slots=True)
class Grant:
    """What an observer may see.

    Attributes:
        published: the table.
        observed_from, observed_to: times of observation (UTC), the second not included; None is no limit.
        ends_at: when it ends.
        state: "valid", "ended" or "revoked".
    """

    id: int
    observer: str
    published: str
    observed_from: datetime | None
    observed_to: datetime | None
    ends_at: datetime
    reason: str
    decided_by: str
    decided_at: datetime
    state: str


def add(
    database: Database,
    table: Table,
    observer: str,
    *,
    observed_from: datetime | None,
    observed_to: datetime | None,
    ends_at: datetime,
    reason: str,
    by: str,
) -> int:
    """Let an observer see embargoed events of a table; returns the number of the grant.

    Args:
        observer: as in the observer's token, or SUB@ISSUER for one of the identity provider (identity/oidc.py).
        observed_from, observed_to: period of observation, in UTC without zone.
        ends_at: when the grant ends, with zone.

    Raises:
        SetupError: the period or the end makes no sense, or the table is not embargoed.
    """
    if not table.release.embargoed or not table.release.time:
        raise SetupError(f"{table.qualified} is not embargoed: everybody sees all of it")
    if observed_from and observed_to and observed_from >= observed_to:
        raise SetupError("the period ends before it begins")
    with database.connect(OWNER) as owner:
        known = owner.execute(LOGIN, (observer,)).fetchone()
        login = known[0] if known else login_of(observer)
        with database.connect() as admin:
            roles.ensure_observer(admin, database, login)
        owner.execute(NOTE_OBSERVER, (observer, login))
        values = (observer, table.qualified, observed_from, observed_to, ends_at, reason, by)
        row = owner.execute(ADD, values).fetchone()
        assert row is not None
        number, lasts = row
        if not lasts:
            raise SetupError("the grant would have ended already")
    return int(number)


def revoke(database: Database, number: int) -> None:
    """End a grant now: for statements that begin, for those that run, and for results that were made by it.

    Raises:
        NotFoundError: there is no such grant, or it was revoked already.
    """
    with database.connect(OWNER) as owner:
        row = owner.execute(REVOKE, (number,)).fetchone()
        if row is None:
            raise NotFoundError(f"there is no grant {number} to revoke: see `km3vo grant list`")
        # Workers hear of it, and stop what they run.
        owner.execute(FORGET_JOBS, row)
    with database.connect(autocommit=True) as admin, contextlib.suppress(psycopg.errors.InsufficientPrivilege):
        admin.execute(END_SESSIONS, row)


def find_all(database: Database) -> list[Grant]:
    """Every grant that was ever made, in order."""
    with database.connect(OWNER) as owner, owner.cursor(row_factory=class_row(Grant)) as cursor:
        return cursor.execute(ALL).fetchall()
