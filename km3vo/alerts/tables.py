"""The published tables of alerts: rows made from each revision, in the transaction that publishes it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg import sql

from km3vo.alerts import records
from km3vo.alerts.messages import places
from km3vo.alerts.records import Record
from km3vo.alerts.revision import Revision
from km3vo.catalog.model import Catalog, Table
from km3vo.settings import Settings

SCHEMA = "km3net"
ALERTS, LATEST, EVENTS, COUNTERPARTS = "alerts", "alerts_latest", "alert_events_online", "alert_counterparts"

INSERT = "INSERT INTO {table} ({columns}) VALUES ({values})"
FORGET = "DELETE FROM {table} WHERE event_name = %s"
EMPTY = "DELETE FROM {table}"
# Rows that a newer revision supersedes. The service's login adds and deletes rows, and changes none.
SUPERSEDE = (
    "WITH gone AS (DELETE FROM {table} WHERE event_name = %(name)s AND superseded = 0 RETURNING *) "
    "INSERT INTO {table} ({columns}) SELECT {superseded} FROM gone"
)
KEYED = "DELETE FROM {table} WHERE starts_with(alert_key, %s)"

Row = dict[str, Any]
# What is called otherwise in the tables than in the revision, or not at all.
_SAME = (
    *("event_name", "revision", "alert_id", "err50", "err68", "err90", "energy", "quality", "p_neutrino", "p_astro"),
    *("hypothesis", "multiplicity", "trigger_type", "topology", "detector", "configuration", "pipeline", "far"),
    *("p_value", "cos_zenith", "ra", "dec", "mjd"),
)


class AlertTables:
    """Those of the tables that are published; schemas/ may leave them out."""

    def __init__(self, catalog: Catalog) -> None:
        self._tables = {
            table.name: table for table in catalog.tables if table.schema == SCHEMA and table.kept_by_service
        }

    def put(self, connection: psycopg.Connection, record: Record, settings: Settings) -> None:
        """Add the rows of a revision. ``connection`` is the service's; left uncommitted."""
        one = record.said
        if (table := self._tables.get(ALERTS)) and "superseded" in {column.name for column in table.columns}:
            connection.execute(self._statement(SUPERSEDE, ALERTS), {"name": one.event_name})
        self._insert(connection, ALERTS, [alert(record, settings)])
        self._insert(connection, EVENTS, events(one))
        self._insert(connection, COUNTERPARTS, counterparts(one))
        if LATEST in self._tables:
            connection.execute(self._statement(FORGET, LATEST), (one.event_name,))
            if one.ra is not None and one.type != "retraction" and not one.is_test:
                self._insert(connection, LATEST, [alert(record, settings)])

    def forget(self, connection: psycopg.Connection, event_name: str) -> None:
        """Remove the rows of a redacted alert. ``connection`` may delete them; left uncommitted."""
        for name in self._tables.keys() & {ALERTS, LATEST}:
            connection.execute(self._statement(FORGET, name), (event_name,))
        for name in self._tables.keys() & {EVENTS, COUNTERPARTS}:
            connection.execute(self._statement(KEYED, name), (f"{event_name}_",))

    def fill(self, connection: psycopg.Connection, settings: Settings) -> None:
        """Make all rows anew, as after the tables were published later than the alerts.

        ``connection`` is the service's, in autocommit mode. Readers see the old rows until it is done.
        """
        with connection.transaction():
            connection.execute("UPDATE km3vo.alert_count SET last = last")  # nothing is published meanwhile
            for name in self._tables.keys() & {ALERTS, LATEST, EVENTS, COUNTERPARTS}:
                connection.execute(self._statement(EMPTY, name))
            for record in records.everything(connection):
                if record.found is not None:
                    self.put(connection, record, settings)

    def _insert(self, connection: psycopg.Connection, name: str, rows: Iterable[Row]) -> None:
        table = self._tables.get(name)
        if table is None:
            return
        statement = self._statement(INSERT, name)
        for row in rows:
            connection.execute(statement, row)

    def _statement(self, text: str, name: str) -> sql.Composed:
        table: Table = self._tables[name]
        names = [column.name for column in table.columns]
        return sql.SQL(text).format(
            table=sql.Identifier(table.schema, table.name),
            columns=sql.SQL(", ").join(map(sql.Identifier, names)),
            values=sql.SQL(", ").join(map(sql.Placeholder, names)),
            superseded=sql.SQL(", ").join(
                sql.SQL("1") if name == "superseded" else sql.Identifier(name) for name in names
            ),
        )


def alert(record: Record, settings: Settings) -> Row:
    """The row of km3net.alerts, and of km3net.alerts_latest."""
    one = record.said
    return {name: getattr(one, name) for name in _SAME} | {
        "alert_key": one.key,
        "alert_type": one.type,
        "alert_tense": one.tense,
        "is_test": int(one.is_test),
        "alert_time": one.time.replace(tzinfo=None),
        "err_derived": int(one.err_derived),
        "n_events": len(one.events),
        "published": record.published.replace(tzinfo=None),
        "superseded": 0,
        "received": one.received.replace(tzinfo=None),
        "latency": (record.published - one.time).total_seconds(),
        "ivoid": places.ivoid(one, settings),
        "page_url": places.page(one, settings),
        "notice_url": places.document(one, settings, "json"),
        "voevent_url": places.document(one, settings, "xml"),
        "skymap_url": places.skymap(one, settings),
        "description": one.text,
    }


def events(one: Revision) -> Iterable[Row]:
    """The rows of km3net.alert_events_online."""
    for number, event in enumerate(one.events, start=1):
        yield {
            **{name: getattr(event, name) for name in ("ra", "dec", "err50", "err90", "energy", "cos_zenith")},
            "row_key": f"{one.key}_{number}",
            "alert_key": one.key,
            "event_id": event.id,
            "event_time": event.time.replace(tzinfo=None),
            "topology": event.topology,
        }


def counterparts(one: Revision) -> Iterable[Row]:
    """The rows of km3net.alert_counterparts."""
    for number, source in enumerate(() if isinstance(one.counterparts, str) else one.counterparts, start=1):
        yield {
            **{name: getattr(source, name) for name in ("name", "ra", "dec", "catalogue", "redshift")},
            "row_key": f"{one.key}_{number}",
            "alert_key": one.key,
            "separation": source.angular_distance,
            "source_url": source.url,
        }
