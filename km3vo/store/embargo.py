"""The embargo: which relation each audience reads, and how an event passes from one partition to the other.

This module and ``embargo.sql`` own the rule; nothing else in km3vo names a partition. An audience reads as its own
login, and the public login has no right to the embargoed partition: a mistake here ends in "permission denied",
not in a leak. Measured against row-level security and views in the project's design notes (docs/embargo.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Literal, LiteralString

import psycopg
from psycopg import sql

from km3vo.adql import Source, Sources
from km3vo.catalog.model import Catalog, Table
from km3vo.store.database import MEMBER, PUBLIC

Audience = Literal["public", "member"]
LOGIN: dict[Audience, str] = {"public": PUBLIC, "member": MEMBER}


def relation(table: Table, audience: Audience) -> tuple[str, str]:
    """The physical relation (schema, name) in which ``audience`` finds the rows of ``table``."""
    if table.release.embargoed and audience == "public":
        return table.schema, f"{table.name}_public"
    return table.schema, table.name


def sources(catalog: Catalog, audience: Audience) -> Sources:
    """The tables that ``audience`` may name in a query."""
    return Sources(_source(table, audience) for table in catalog.tables)


def _source(table: Table, audience: Audience) -> Source:
    positions: dict[tuple[str, str], str] = {}
    circles: dict[tuple[str, str, str], str] = {}
    if table.position:
        ra, dec, error = table.position.ra, table.position.dec, table.position.error
        positions[ra, dec] = "_pos"
        if error:
            circles[ra, dec, error] = "_errc"
    return Source(
        name=(table.schema, table.name),
        relation=relation(table, audience),
        columns=table.columns,
        positions=positions,
        circles=circles,
    )


# The release time is computed here whatever the client said; a row is refused in the public partition unless it is
# due by the database's clock and has passed quality control. This holds for the tables' owner too.
# One function for each table: looking columns up by name at run time would cost three times as much per row.
TRIGGER: LiteralString = """
CREATE FUNCTION {trigger}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    NEW._release_time := km3vo.due({published}, NEW.{event}::text, {stream}, NEW.{time});
    IF NEW._access = 'p' AND (
        NEW._qc <> 'passed' OR NEW._release_time IS NULL OR NEW._release_time > clock_timestamp()
    ) THEN
        RAISE EXCEPTION 'embargo: this event of % is not public yet', {published} USING ERRCODE = 'KM001';
    END IF;
    RETURN NEW;
END $$
"""


def install(connection: psycopg.Connection) -> None:
    """Create or renew the embargo's functions. ``connection`` belongs to the owner and is left uncommitted."""
    connection.execute(resources.files(__package__).joinpath("embargo.sql").read_text())
    connection.execute("REVOKE ALL ON ALL ROUTINES IN SCHEMA km3vo FROM PUBLIC")
    connection.execute("GRANT EXECUTE ON FUNCTION km3vo.promote(text, integer, timestamptz) TO km3vo_service")


def divide(connection: psycopg.Connection, table: Table) -> None:
    """Give a new embargoed table its two partitions, triggers, indexes and grants.

    ``connection`` belongs to the owner; the parent table exists and is empty. Left uncommitted.
    """
    parent = sql.Identifier(table.schema, table.name)
    hidden = sql.Identifier(table.schema, f"{table.name}_embargo")
    public = sql.Identifier(table.schema, f"{table.name}_public")
    trigger = sql.Identifier("km3vo", f"embargo_{table.schema}_{table.name}")
    latency = None if table.release.latency == "never" else table.release.latency
    for statement in (
        "CREATE TABLE {hidden} PARTITION OF {parent} FOR VALUES IN ('e')",
        "CREATE TABLE {public} PARTITION OF {parent} FOR VALUES IN ('p')",
        TRIGGER,
        "REVOKE ALL ON FUNCTION {trigger}() FROM PUBLIC",
        "CREATE TRIGGER embargo BEFORE INSERT OR UPDATE ON {parent} FOR EACH ROW EXECUTE FUNCTION {trigger}()",
        "CREATE INDEX ON {hidden} (_release_time) WHERE _qc = 'passed'",
        "GRANT SELECT ON {public} TO km3vo_public",
        "INSERT INTO km3vo.stream (name, latency) VALUES ({stream}, {latency}) ON CONFLICT (name) DO NOTHING",
        "INSERT INTO km3vo.embargoed (published, parent, stream) VALUES ({published}, {relation}::regclass, {stream})",
    ):
        connection.execute(
            sql.SQL(statement).format(
                parent=parent,
                hidden=hidden,
                public=public,
                trigger=trigger,
                event=sql.Identifier(table.id or ""),
                time=sql.Identifier(table.release.time or ""),
                stream=table.release.stream,
                latency=latency,
                published=table.qualified,
                relation=parent.as_string(connection),
            )
        )


@dataclass(frozen=True, slots=True)
class Promotion:
    """What one look for due events did: the table, how many events, and the latest release time among them."""

    table: str
    moved: int
    up_to: object | None


def promote(connection: psycopg.Connection, table: Table, *, batch: int = 10_000) -> Promotion:
    """Move every due event of ``table`` to its public partition, a batch at a time, each batch committed.

    ``connection`` belongs to the service login and is in autocommit mode. Interrupted, it has moved whole batches;
    run again, it goes on. Only the database's clock is read.
    """
    total, latest = 0, None
    while True:
        row = connection.execute("SELECT moved, up_to FROM km3vo.promote(%s, %s)", (table.qualified, batch)).fetchone()
        assert row is not None
        moved, up_to = row
        total, latest = total + moved, up_to or latest
        if moved < batch:
            return Promotion(table.qualified, total, latest)
