"""Grants: single people outside the Collaboration see embargoed events of one table and period, until a date.

Each such observer has a login of his or her own, and each grant is a row-level security policy for it on the embargoed
partition, with its period and its end written out: nothing that a session could set decides what it sees. Public and
member logins never meet these policies. The policies hold where the partition is named itself (PostgreSQL applies
those of the table that a query names), and the observers' view `…_observed` names it, with their own rights.

Row-level security costs observers the spatial index on the embargoed partition, since pgSphere's operators are not
leakproof; on the public partition they keep it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from km3vo.catalog.model import Catalog, Table
from km3vo.catalog.tap_schema import TAP_SCHEMA
from km3vo.errors import NotFoundError, SetupError
from km3vo.store import embargo, roles
from km3vo.store.database import OBSERVERS, OWNER, Database


def login_of(name: str) -> str:
    """The login of an observer: made from the name, which may hold what no login should."""
    return f"km3vo_observer_{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def open_tables(connection: psycopg.Connection, catalog: Catalog) -> None:
    """Give observers what everybody may read, and embargoed partitions without a row until a policy grants some.

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
                names = embargo.partitions(table) | {
                    "view": sql.Identifier(*embargo.relation(table, "observer")),
                    "observers": sql.Identifier(OBSERVERS),
                }
                if not connection.execute(
                    sql.SQL("SELECT 1 FROM pg_class WHERE oid = {}::regclass AND relrowsecurity").format(
                        sql.Literal(names["hidden"].as_string(connection))
                    )
                ).fetchone():
                    connection.execute(sql.SQL("ALTER TABLE {hidden} ENABLE ROW LEVEL SECURITY").format(**names))
                for statement in (
                    "CREATE OR REPLACE VIEW {view} WITH (security_invoker = true) AS "
                    "SELECT * FROM {public} UNION ALL SELECT * FROM {hidden}",
                    "GRANT SELECT ON {view}, {public}, {hidden} TO {observers}",
                ):
                    connection.execute(sql.SQL(statement).format(**names))


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
        observer: as in the observer's token, or the `sub` of the identity provider.
        observed_from, observed_to: period of observation, in UTC without zone.
        ends_at: when the grant ends, with zone.

    Raises:
        SetupError: the period or the end makes no sense, or the table is not embargoed.
    """
    if not table.release.embargoed or not table.release.time:
        raise SetupError(f"{table.qualified} is not embargoed: everybody sees all of it")
    if observed_from and observed_to and observed_from >= observed_to:
        raise SetupError("the period ends before it begins")
    login = login_of(observer)
    with database.connect() as admin:
        roles.ensure_observer(admin, database, login)
    with database.connect(OWNER) as owner:
        owner.execute(
            "INSERT INTO km3vo.observer (name, login) VALUES (%s, %s) ON CONFLICT DO NOTHING", (observer, login)
        )
        row = owner.execute(
            "INSERT INTO km3vo.observer_grant "
            "(observer, published, observed_from, observed_to, ends_at, reason, decided_by) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING id, ends_at > clock_timestamp()",
            (observer, table.qualified, observed_from, observed_to, ends_at, reason, by),
        ).fetchone()
        assert row is not None
        number, lasts = row
        if not lasts:
            raise SetupError("the grant would have ended already")
        time = sql.Identifier(table.release.time)
        conditions = [sql.SQL("statement_timestamp() < {}").format(sql.Literal(ends_at))]
        if observed_from:
            conditions.append(sql.SQL("{} >= {}").format(time, sql.Literal(observed_from)))
        if observed_to:
            conditions.append(sql.SQL("{} < {}").format(time, sql.Literal(observed_to)))
        owner.execute(
            sql.SQL("CREATE POLICY {} ON {} FOR SELECT TO {} USING ({})").format(
                sql.Identifier(_policy(number)),
                embargo.partitions(table)["hidden"],
                sql.Identifier(login),
                sql.SQL(" AND ").join(conditions),
            )
        )
    return int(number)


def revoke(database: Database, number: int) -> None:
    """End a grant now.

    Raises:
        NotFoundError: there is no such grant, or it was revoked already.
    """
    with database.connect(OWNER) as owner:
        row = owner.execute(
            "UPDATE km3vo.observer_grant SET revoked_at = clock_timestamp() WHERE id = %s AND revoked_at IS NULL "
            "RETURNING (SELECT hidden FROM km3vo.embargoed WHERE embargoed.published = observer_grant.published)::text",
            (number,),
        ).fetchone()
        if row is None:
            raise NotFoundError(f"there is no grant {number} to revoke: see `km3vo grant list`")
        owner.execute(
            # The name comes from the database, which wrote it as an identifier.
            sql.SQL("DROP POLICY IF EXISTS {} ON {}").format(sql.Identifier(_policy(number)), sql.SQL(row[0]))
        )


def find_all(database: Database) -> list[Grant]:
    """Every grant that was ever made, in order."""
    with database.connect(OWNER) as owner, owner.cursor(row_factory=class_row(Grant)) as cursor:
        return cursor.execute(
            "SELECT id, observer, published, observed_from, observed_to, ends_at, reason, decided_by, decided_at, CASE "
            "WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN ends_at <= clock_timestamp() THEN 'ended' "
            "ELSE 'valid' END AS state FROM km3vo.observer_grant ORDER BY id"
        ).fetchall()


def _policy(number: int) -> str:
    return f"grant_{number}"
