"""Versions of events: what a table needs so that its events can be superseded, withdrawn and reinstated.

``versions.sql`` does it. Earlier versions lie in ``s.t_history``, which the owner alone may read, beside the table; a
trigger refuses every change of public rows that no command has written down before.
"""

from __future__ import annotations

import psycopg
from psycopg import sql

from km3vo.catalog.model import Table
from km3vo.catalog.tap_schema import TAP_SCHEMA
from km3vo.database.types import postgres_type
from km3vo.embargo import partitions
from km3vo.errors import SetupError

COLUMNS = "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"
# Where a row came from: the number of the load, and which version of the event it is. From when an earlier version of
# an embargoed event counted its latency, if that was later.
OWN = {"_load": "integer", "_version": "smallint NOT NULL DEFAULT 1"}
OWN_OF_EMBARGOED = {"_basis": "timestamp"}
ADD = "ALTER TABLE {table} ADD COLUMN {column} {type}"

# In the history beside them: what became of a version, by which entry of the log, and by which it came back.
KEPT = {
    "_from": "timestamptz",
    "_to": "timestamptz NOT NULL",
    "_ended": "text NOT NULL CHECK (_ended IN ('superseded', 'withdrawn', 'unloaded'))",
    "_change": "bigint NOT NULL REFERENCES km3vo.release_log",
    "_reinstated": "bigint REFERENCES km3vo.release_log",
}
KEPT_OF_EMBARGOED = {"_access": '"char" NOT NULL', "_release_time": "timestamptz", "_qc": "text NOT NULL"}
CREATE = (
    "CREATE TABLE {history} ({columns})",
    "CREATE INDEX ON {history} ({event})",
    "CREATE INDEX ON {history} (_change)",
    "CREATE INDEX ON {history} ({event}, _reinstated) WHERE _reinstated IS NOT NULL",
)
# The loader asks whether an event was withdrawn.
LET_LOAD = "GRANT SELECT ({event}, _ended, _reinstated, _to) ON {history} TO km3vo_ingest"
NOTE = """
INSERT INTO km3vo.versioned (published, parent, history, event_column)
VALUES (%s, %s::regclass, %s::regclass, %s) ON CONFLICT (published) DO UPDATE SET event_column = excluded.event_column
"""
GUARD = """
CREATE OR REPLACE TRIGGER versions BEFORE UPDATE OR DELETE OR TRUNCATE ON {public}
FOR EACH STATEMENT EXECUTE FUNCTION km3vo.refuse_change({published})
"""
GUARD_OF_EMBARGOED = """
CREATE OR REPLACE TRIGGER versions BEFORE TRUNCATE ON {parent}
FOR EACH STATEMENT EXECUTE FUNCTION km3vo.refuse_change({published});
CREATE OR REPLACE TRIGGER versions_delete AFTER DELETE ON {parent} REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT EXECUTE FUNCTION km3vo.refuse_public_change({published});
CREATE OR REPLACE TRIGGER versions_update AFTER UPDATE ON {parent} REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT EXECUTE FUNCTION km3vo.refuse_public_change({published});
"""


def run_columns(table: Table) -> tuple[str, ...]:
    """The columns that tell the runs of a table apart: ``run``, and ``detector`` where each counts its own.

    Raises:
        SetupError: it has no column with the run.
    """
    found = tuple(column.sql for column in table.columns if column.name in ("detector", "run"))
    if "run" not in found:
        raise SetupError(f"{table.qualified} has no column with the run")
    return tuple(sorted(found))


def parts_of_run(table: Table, run: str) -> dict[str, str]:
    """A run as people write it, such as ARCA/4711, by the columns that tell runs apart.

    Raises:
        SetupError: it is not written so.
    """
    names, values = run_columns(table), run.split("/")
    if len(names) != len(values):
        raise SetupError(f"the runs of {table.qualified} are written {'/'.join(names).upper()}, and {run} is not")
    return dict(zip(names, values, strict=True))


def are_kept(table: Table) -> bool:
    """Whether the events of a table have versions: they have identifiers, and people load them."""
    return table.kind == "table" and not table.kept_by_service and bool(table.id) and table.schema != TAP_SCHEMA.name


def apply(connection: psycopg.Connection, table: Table) -> None:
    """Give a table its history and what guards its rows; safe to run again.

    ``connection`` belongs to the owner and is left uncommitted; the table exists.
    """
    embargoed = table.release.embargoed
    parent, history = sql.Identifier(table.schema, table.name), sql.Identifier(table.schema, f"{table.name}_history")
    names = {
        "parent": parent,
        "history": history,
        "public": sql.Identifier(*partitions.relation(table, "public")),
        "event": sql.Identifier(table.id or ""),
        "published": sql.Literal(table.qualified),
    }
    own = (OWN_OF_EMBARGOED if embargoed else {}) | OWN
    _add_columns(connection, parent, own)
    published = {column.sql: postgres_type(column) for column in table.columns}
    kept = published | (KEPT_OF_EMBARGOED if embargoed else {}) | own | KEPT
    if not _columns(connection, history):
        columns = sql.SQL(", ").join(_described(name, kind) for name, kind in kept.items())
        for statement in CREATE:
            connection.execute(sql.SQL(statement).format(columns=columns, **names))
    _add_columns(connection, history, published)
    connection.execute(sql.SQL(LET_LOAD).format(**names))
    place = (table.qualified, *(names[name].as_string(connection) for name in ("parent", "history")), table.id)
    connection.execute(NOTE, place)
    connection.execute(sql.SQL(GUARD).format(**names))
    if embargoed:
        connection.execute(sql.SQL(GUARD_OF_EMBARGOED).format(**names))


def _columns(connection: psycopg.Connection, relation: sql.Identifier) -> set[str]:
    return {name for (name,) in connection.execute(COLUMNS, (relation.as_string(connection),))}


def _add_columns(connection: psycopg.Connection, relation: sql.Identifier, wanted: dict[str, str]) -> None:
    """Add the columns that are missing: to add one that is there would wait for all readers."""
    present = _columns(connection, relation)
    for name, kind in wanted.items():
        if name not in present:
            column, described = sql.Identifier(name), sql.SQL(kind)
            connection.execute(sql.SQL(ADD).format(table=relation, column=column, type=described))


def _described(name: str, kind: str) -> sql.Composable:
    return sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind))
