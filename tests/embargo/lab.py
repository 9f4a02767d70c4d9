"""What the tests do to the tables of schemas/lab.yaml."""

from __future__ import annotations

import warnings
from datetime import datetime

import psycopg
from fastapi import FastAPI


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


def paths(app: FastAPI) -> list[str]:
    """Every path that the application answers."""
    with warnings.catch_warnings():
        # Routes for GET and POST share an identifier, which says nothing here.
        warnings.simplefilter("ignore")
        return sorted(app.openapi()["paths"])
