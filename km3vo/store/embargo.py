"""The embargo: which relation each audience reads, and how an event passes from one partition to the other.

This module, ``embargo.sql`` and ``embargo_table.sql`` own the rule; nothing else in km3vo names a partition. An
audience reads as its own login, and the public login has no right to the embargoed partition: a mistake here ends in
"permission denied", not in a leak. Measured against row-level security and views in docs/embargo.md.
"""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import TypeAlias

import psycopg
from psycopg import sql

from km3vo.adql import Source, Sources
from km3vo.catalog.model import Catalog, Release, Table
from km3vo.errors import SetupError
from km3vo.store.database import MEMBER, PUBLIC

# "public", "member", or the login of one observer (store/grants.py).
Audience: TypeAlias = str


class _Logins(dict[Audience, str]):
    """An observer's audience is the name of the observer's own login."""

    def __missing__(self, audience: Audience) -> str:
        if not audience.startswith("km3vo_observer_"):
            raise KeyError(audience)
        return audience


LOGIN = _Logins(public=PUBLIC, member=MEMBER)
SIGHTS: tuple[Audience, ...] = ("public", "member", "observer")


def sight(audience: Audience) -> Audience:
    """The one of ``SIGHTS`` whose relations an audience reads: observers share theirs, and each finds other rows."""
    return audience if audience in SIGHTS else "observer"


def relation(table: Table, audience: Audience) -> tuple[str, str]:
    """The physical relation (schema, name) in which ``audience`` finds the rows of ``table``."""
    if not table.release.embargoed or audience == "member":
        return table.schema, table.name
    # Whoever is not a member: the public partition, and for observers the view of what they were granted as well.
    return table.schema, f"{table.name}_public" if audience == "public" else f"{table.name}_observed"


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


def install(connection: psycopg.Connection) -> None:
    """Create or renew the embargo's functions. ``connection`` belongs to the owner and is left uncommitted."""
    # The parameters of functions have changed names and defaults before; those of an older version must go first.
    connection.execute("DROP FUNCTION IF EXISTS km3vo.promote(text, integer, timestamptz)")
    connection.execute(_read("embargo.sql"))
    connection.execute("REVOKE ALL ON ALL ROUTINES IN SCHEMA km3vo FROM PUBLIC")
    connection.execute("GRANT EXECUTE ON FUNCTION km3vo.promote(text, integer, timestamptz) TO km3vo_service")


def check_streams(catalog: Catalog) -> None:
    """Make sure that the tables of one stream go by one rule.

    Raises:
        SetupError: they do not.
    """
    rules: dict[str, tuple[Release, str]] = {}
    for table in catalog.tables:
        release = table.release
        if not release.embargoed:
            continue
        first, name = rules.setdefault(release.stream, (release, table.qualified))
        if (first.latency, first.qc) != (release.latency, release.qc):
            raise SetupError(
                f"{name} and {table.qualified} are of the stream {release.stream} and have different release rules: "
                "give one of them a stream of its own in schemas/"
            )


def check_unchanged(connection: psycopg.Connection, table: Table) -> None:
    """Make sure that an existing table is embargoed in the database if, and only if, the catalogue says so.

    Raises:
        SetupError: it was one and is now the other.
    """
    known = connection.execute("SELECT FROM km3vo.embargoed WHERE published = %s", (table.qualified,)).fetchone()
    if known is not None and not table.release.embargoed:
        raise SetupError(
            f"{table.qualified} is embargoed in the database and immediate in schemas/: to release it write "
            "latency: P0D, and its events become public by the next promotion"
        )
    if known is None and table.release.embargoed:
        raise SetupError(
            f"{table.qualified} is public in the database and embargoed in schemas/: what is public cannot be hidden "
            "again; publish embargoed events as a table of another name"
        )


def divide(connection: psycopg.Connection, table: Table) -> None:
    """Give a new embargoed table its two partitions and their rights.

    ``connection`` belongs to the owner; the parent table exists and is empty. Left uncommitted; ``agree`` goes on.
    """
    for statement in (
        "CREATE TABLE {hidden} PARTITION OF {parent} FOR VALUES IN ('e')",
        "CREATE TABLE {public} PARTITION OF {parent} FOR VALUES IN ('p')",
        "CREATE INDEX ON {hidden} (_release_time) WHERE _qc = 'passed'",
        "GRANT SELECT ON {public} TO km3vo_public",
    ):
        connection.execute(sql.SQL(statement).format(**_names(table)))


def agree(connection: psycopg.Connection, table: Table) -> None:
    """Make the rules in the database agree with the catalogue's; safe to run again.

    A latency that was changed in schemas/ since it was last published is applied to all embargoed rows and logged; one
    that was changed by command (`km3vo release latency`) stands until schemas/ say something new.

    ``connection`` belongs to the owner and is left uncommitted.
    """
    release, names = table.release, _names(table)
    _agree_stream(connection, release)
    before = connection.execute(
        "SELECT stream, time_column FROM km3vo.embargoed WHERE published = %s", (table.qualified,)
    ).fetchone()
    connection.execute(
        "INSERT INTO km3vo.embargoed (published, parent, hidden, public, stream, event_column, time_column) "
        "VALUES (%s, %s::regclass, %s::regclass, %s::regclass, %s, %s, %s) "
        "ON CONFLICT (published) DO UPDATE SET stream = excluded.stream, time_column = excluded.time_column",
        (
            table.qualified,
            *(names[name].as_string(connection) for name in ("parent", "hidden", "public")),
            release.stream,
            table.id,
            release.time,
        ),
    )
    connection.execute(sql.SQL(_read("embargo_table.sql")).format(**names))
    if before is not None and before != (release.stream, release.time):
        connection.execute("SELECT km3vo.recompute(km3vo.lock_rules(%s))", (table.qualified,))
    # The loader fills the published columns; the hidden ones are the triggers'.
    columns = sql.SQL(", ").join(sql.Identifier(column.sql) for column in table.columns)
    connection.execute(
        sql.SQL("GRANT SELECT, INSERT ({columns}) ON {parent} TO km3vo_ingest").format(columns=columns, **names)
    )


def _agree_stream(connection: psycopg.Connection, release: Release) -> None:
    latency = None if release.latency == "never" else release.latency
    known = connection.execute("SELECT described FROM km3vo.stream WHERE name = %s", (release.stream,)).fetchone()
    if known is None:
        connection.execute(
            "INSERT INTO km3vo.stream (name, latency, described, qc) VALUES (%s, %s, %s, %s)",
            (release.stream, latency, release.latency, release.qc),
        )
        return
    if known[0] != release.latency:
        connection.execute(
            "SELECT km3vo.set_latency(%s, %s::interval, 'changed in schemas/', %s)",
            (release.stream, latency, getpass.getuser()),
        )
    connection.execute(
        "UPDATE km3vo.stream SET described = %s, qc = %s WHERE name = %s",
        (release.latency, release.qc, release.stream),
    )


def partitions(table: Table) -> dict[str, sql.Composable]:
    """The names of a table's partitions ``hidden`` and ``public``, and of its ``event`` column. For the operator."""
    names = _names(table)
    return {name: names[name] for name in ("hidden", "public", "event")}


def _names(table: Table) -> dict[str, sql.Composable]:
    """What the statements about a table call its parts."""
    schema, name = table.schema, table.name
    return {
        "parent": sql.Identifier(schema, name),
        "hidden": sql.Identifier(schema, f"{name}_embargo"),
        "public": sql.Identifier(schema, f"{name}_public"),
        "guard": sql.Identifier(schema, f"{name}_guard"),
        "unique": sql.Identifier(schema, f"{name}_unique"),
        "event": sql.Identifier(table.id or ""),
        "time": sql.Identifier(table.release.time or ""),
        "published": sql.Literal(table.qualified),
        "stream": sql.Literal(table.release.stream),
    }


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text()


@dataclass(frozen=True, slots=True)
class Promotion:
    """What one look for due events did.

    Attributes:
        table: its name.
        moved: how many events became public.
        up_to: the latest release time among them.
        complete: whether everything that is due is public now; False when another promotion was under way.
    """

    table: str
    moved: int
    up_to: datetime | None
    complete: bool = True


def promote(
    connection: psycopg.Connection, table: Table, *, batch: int = 250_000, at: datetime | None = None
) -> Promotion:
    """Move every due event of ``table`` to its public partition, a batch at a time, each batch committed.

    Interrupted, it has moved whole batches; run again, it goes on. Only the database's clock is read.

    Args:
        connection: of the service's login, in autocommit mode.
        table: the published table.
        batch: how many events are moved at once; readers are never blocked.
        at: promote as if it were earlier; a later time counts as now.

    Raises:
        psycopg.Error: with the SQLSTATEs of embargo.sql.
    """
    total, latest = 0, None
    while True:
        with connection.transaction():
            # The login's own limit is for small statements: a batch that took longer would be tried for ever.
            connection.execute("SET LOCAL statement_timeout = '30min'")
            row = connection.execute(
                "SELECT moved, up_to, complete, busy FROM km3vo.promote(%s, %s, %s)", (table.qualified, batch, at)
            ).fetchone()
        assert row is not None
        moved, up_to, complete, busy = row
        total, latest = total + moved, up_to or latest
        if complete or busy:
            return Promotion(table.qualified, total, latest, complete)
