"""What the tests do to the tables of schemas/lab.yaml."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
from fastapi import FastAPI
from psycopg import sql

from km3vo.catalog.model import Table
from km3vo.cluster.embedded import Cluster
from km3vo.database.logins import LOGINS, OBSERVERS, REPLICA, Database
from km3vo.embargo import grants, roles

SCHEMAS = Path(__file__).parent / "schemas"
PASSWORDS = {login: f"{login}-password" for login in (*LOGINS, OBSERVERS, REPLICA)}

SOON = timedelta(hours=1)
# What a view would be that left embargoed events in.
MARK = "SELECT * FROM lab.events WHERE _access::text <> 'e'"


def add_event(connection: psycopg.Connection, event: str, observed: str | datetime) -> None:
    """Insert one event into lab.events, as the loader does."""
    connection.execute(
        "INSERT INTO lab.events (event_id, mjd, obs_time, ra, dec, err50, energy, nhits, tag) "
        "VALUES (%s, 60000, %s, 10, 20, 1, 100, 5, 'x')",
        (event, observed),
    )


def add_alert(connection: psycopg.Connection, number: int, observed: str | datetime) -> None:
    """Insert one event into lab.alerts, as the loader does."""
    connection.execute("INSERT INTO lab.alerts (number, obs_time) VALUES (%s, %s)", (number, observed))


def where(connection: psycopg.Connection, event: str) -> str | None:
    """The partition of an event of lab.events: 'e', 'p', or None when it is in neither."""
    rows = connection.execute("SELECT _access::text FROM lab.events WHERE event_id = %s", (event,)).fetchall()
    assert len(rows) < 2, f"{event} is there {len(rows)} times"
    return rows[0][0] if rows else None


def where_alert(connection: psycopg.Connection, number: int) -> str | None:
    """The partition of an event of lab.alerts, as `where`."""
    row = connection.execute("SELECT _access::text FROM lab.alerts WHERE number = %s", (number,)).fetchone()
    return row[0] if row else None


def paths(app: FastAPI) -> list[str]:
    """Every path that the application answers."""
    with warnings.catch_warnings():
        # Routes for GET and POST share an identifier, which says nothing here.
        warnings.simplefilter("ignore")
        return sorted(app.openapi()["paths"])


def copy(database: Database, cluster: Cluster) -> Database:
    """Another database with the same pages. Whoever is connected to the first is cut off."""
    name, source = f"test_{uuid4().hex[:12]}", psycopg.conninfo.conninfo_to_dict(database.admin)["dbname"]
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (source,))
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(str(source)))
        )
    made = Database(cluster.conninfo(name), database.passwords)
    with made.connect() as connection:
        roles.lock_down(connection)
    return made


def allow(
    database: Database,
    table: Table,
    name: str = "olga",
    *,
    start: int | None = None,
    end: int | None = None,
    lasts: timedelta = SOON,
) -> int:
    """Grant an observer the events of the years from ``start`` to ``end``; the grant's number."""
    return grants.add(
        database,
        table,
        name,
        observed_from=datetime(start, 1, 1) if start else None,
        observed_to=datetime(end, 1, 1) if end else None,
        ends_at=datetime.now(UTC) + lasts,
        reason="why",
        by="me",
    )
