"""The embargo: which relation each audience reads, and how an event passes from one partition to the other.

This module, ``rule.sql``, ``versions.sql`` and ``table.sql`` own the rule; nothing else in km3vo names a partition. An
audience reads as its own login, and the public login has no right to the embargoed partition: a mistake here ends in
"permission denied", not in a leak. Measured against row-level security and views in docs/embargo.md.
"""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from datetime import datetime
from importlib import resources

import psycopg
from psycopg import sql

from km3vo.adql import QueryTable, QueryTables
from km3vo.catalog.model import Catalog, Release, Table
from km3vo.database.audiences import Audience
from km3vo.errors import SetupError

# The parameters of functions have changed names and defaults before; those of an older version must go first. What is
# created may be called by everybody until that is taken away.
FORGET_FUNCTIONS = """
DROP FUNCTION IF EXISTS km3vo.promote(text, integer, timestamptz), km3vo.due(text, text, text, timestamp),
    km3vo.set_quality(text, text, text[], text, text), km3vo.take_out(km3vo.versioned, text, bigint)
"""
CLOSE_FUNCTIONS = "REVOKE ALL ON ALL ROUTINES IN SCHEMA km3vo FROM PUBLIC"
LET_SERVICE = """
GRANT EXECUTE ON FUNCTION km3vo.promote(text, integer, timestamptz),
    km3vo.grant_has_ended(text, timestamptz, timestamptz) TO km3vo_service
"""
LET_INGEST = """
GRANT EXECUTE ON FUNCTION km3vo.outlook(text), km3vo.take_in(text, integer[], text[]),
    km3vo.supersede(text, integer[], boolean, text[], text, float8, float8, text, text) TO km3vo_ingest
"""
CREATE = (
    "CREATE TABLE {hidden} PARTITION OF {parent} FOR VALUES IN ('e')",
    "CREATE TABLE {public} PARTITION OF {parent} FOR VALUES IN ('p')",
    "GRANT SELECT ON {public} TO km3vo_public",
    "ANALYZE {parent}",  # that nothing is in it: else PostgreSQL takes it for ten pages
)
IS_EMBARGOED = "SELECT FROM km3vo.embargoed WHERE published = %s"
RULE = "SELECT stream, time_column FROM km3vo.embargoed WHERE published = %s"
NOTE_RULE = """
INSERT INTO km3vo.embargoed
    (published, parent, hidden, public, stream, event_column, time_column, follows, follows_column)
VALUES (%s, %s::regclass, %s::regclass, %s::regclass, %s, %s, %s, %s, %s)
ON CONFLICT (published) DO UPDATE SET stream = excluded.stream, time_column = excluded.time_column,
    follows = excluded.follows, follows_column = excluded.follows_column
"""
RECOMPUTE = "SELECT km3vo.recompute(km3vo.lock_rules(%s))"
# The loader fills the published columns; the hidden ones are the triggers'.
LET_LOAD = "GRANT SELECT, INSERT ({columns}) ON {parent} TO km3vo_ingest"
# What new events are until quality control speaks, and a trigger that earlier versions had. Only where it differs: to
# change a table waits for all its readers.
HAS_QC = """
SELECT FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
WHERE attrelid = {parent_name}::regclass AND attname = '_qc'
    AND pg_get_expr(adbin, adrelid) = quote_literal({qc}) || '::text'
"""
SET_QC = "ALTER TABLE {parent} ALTER COLUMN _qc SET DEFAULT {qc}"
# Room for a new release time beside each row, and no index on it: another latency then leaves all indexes alone.
HAS_ROOM = "SELECT FROM pg_class WHERE oid = {hidden_name}::regclass AND 'fillfactor=50' = ANY (reloptions)"
LEAVE_ROOM = "ALTER TABLE {hidden} SET (fillfactor = 50)"
HAS_INDEX = "SELECT FROM pg_indexes WHERE schemaname = %s AND indexname = %s"
CREATE_INDEX = "CREATE INDEX {due} ON {hidden} ({time}) WHERE _qc = 'passed'"
OLD_INDEXES = """
SELECT indexrelid::regclass::text FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
WHERE indrelid = {hidden_name}::regclass AND attname = '_release_time'
"""
IS_OLD = "SELECT FROM pg_trigger WHERE tgrelid = {parent_name}::regclass AND tgname = 'embargo_unique'"
RENEW_OLD = "DROP TRIGGER embargo_unique ON {parent}; DROP FUNCTION {unique}()"
STREAM = "SELECT described FROM km3vo.stream WHERE name = %s"
NOTE_STREAM = "INSERT INTO km3vo.stream (name, latency, described, qc) VALUES (%s, %s, %s, %s)"
RENOTE_STREAM = "UPDATE km3vo.stream SET described = %s, qc = %s WHERE name = %s"
CHANGE_LATENCY = "SELECT km3vo.set_latency(%s, %s::interval, 'changed in schemas/', %s)"

# The login's own limit is for small statements: a batch that took longer would be tried for ever. Sorts of a batch
# would go through files.
LET_PROMOTE = "SET LOCAL statement_timeout = '30min'; SET LOCAL work_mem = '256MB'"
PROMOTE = "SELECT moved, up_to, complete, busy FROM km3vo.promote(%s, %s, %s)"
# One of a batch's events was held meanwhile, and was seen by the guard of the public partition or at the end: nothing
# of the batch was done, and the next one leaves that event out.
HELD_MEANWHILE = ("KM001", "KM006")
ATTEMPTS = 20

KINDS: tuple[Audience, ...] = ("public", "member", "observer")


def kind(audience: Audience) -> Audience:
    """The one of ``KINDS`` whose relations an audience reads: observers share theirs, and each finds other rows."""
    return audience if audience in KINDS else "observer"


def relation(table: Table, audience: Audience) -> tuple[str, str]:
    """The physical relation (schema, name) in which ``audience`` finds the rows of ``table``."""
    if not table.release.embargoed or audience == "member":
        return table.schema, table.name
    # Whoever is not a member: the public partition, and for observers the view of what they were granted as well.
    return table.schema, f"{table.name}_public" if audience == "public" else f"{table.name}_observed"


def sources(catalog: Catalog, audience: Audience) -> QueryTables:
    """The tables that ``audience`` may name in a query."""
    return QueryTables(_source(table, audience) for table in catalog.tables)


def _source(table: Table, audience: Audience) -> QueryTable:
    positions: dict[tuple[str, str], str] = {}
    circles: dict[tuple[str, str, str], str] = {}
    if table.position:
        ra, dec, error = table.position.ra, table.position.dec, table.position.error
        positions[ra, dec] = "_pos"
        if error:
            circles[ra, dec, error] = "_errc"
    return QueryTable(
        name=(table.schema, table.name),
        relation=relation(table, audience),
        columns=table.columns,
        positions=positions,
        circles=circles,
    )


def install(connection: psycopg.Connection) -> None:
    """Create or renew the embargo's functions. ``connection`` belongs to the owner and is left uncommitted."""
    connection.execute(FORGET_FUNCTIONS)
    connection.execute(_read("rule.sql"))
    connection.execute(_read("versions.sql"))
    connection.execute(_read("rights.sql"))
    connection.execute(CLOSE_FUNCTIONS)
    connection.execute(LET_SERVICE)
    connection.execute(LET_INGEST)


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
    known = connection.execute(IS_EMBARGOED, (table.qualified,)).fetchone()
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


def create(connection: psycopg.Connection, table: Table) -> None:
    """Give a new embargoed table its two partitions and their rights.

    ``connection`` belongs to the owner; the parent table exists and is empty. Left uncommitted; ``apply_rules`` goes
    on.
    """
    for statement in CREATE:
        connection.execute(sql.SQL(statement).format(**names(table)))


def apply_rules(connection: psycopg.Connection, table: Table) -> None:
    """Make the rules in the database agree with the catalogue's; safe to run again.

    A latency that was changed in schemas/ since it was last published is applied to all embargoed rows and logged; one
    that was changed by command (`km3vo release latency`) stands until schemas/ say something new.

    ``connection`` belongs to the owner and is left uncommitted.
    """
    release, parts = table.release, names(table)
    _apply_latency(connection, release)
    before = connection.execute(RULE, (table.qualified,)).fetchone()
    connection.execute(
        NOTE_RULE,
        (
            table.qualified,
            *(parts[name].as_string(connection) for name in ("parent", "hidden", "public")),
            release.stream,
            table.id,
            release.time,
            release.follows,
            table.followed and table.followed.columns[0][0],
        ),
    )
    if connection.execute(sql.SQL(HAS_QC).format(qc=sql.Literal(release.qc), **parts)).fetchone() is None:
        connection.execute(sql.SQL(SET_QC).format(qc=sql.Literal(release.qc), **parts))
    if connection.execute(sql.SQL(IS_OLD).format(**parts)).fetchone() is not None:
        connection.execute(sql.SQL(RENEW_OLD).format(**parts))
    _prepare_hidden(connection, table, parts)
    connection.execute(sql.SQL(_read("table.sql")).format(**parts))
    if before is not None and before != (release.stream, release.time):
        connection.execute(RECOMPUTE, (table.qualified,))
    columns = sql.SQL(", ").join(sql.Identifier(column.sql) for column in table.columns)
    connection.execute(sql.SQL(LET_LOAD).format(columns=columns, **parts))


def _prepare_hidden(connection: psycopg.Connection, table: Table, parts: dict[str, sql.Composable]) -> None:
    """Have the embargoed partition such that releases find what is due, and another latency is noted fast."""
    if connection.execute(sql.SQL(HAS_ROOM).format(**parts)).fetchone() is None:
        connection.execute(sql.SQL(LEAVE_ROOM).format(**parts))
    if connection.execute(HAS_INDEX, (table.schema, f"{table.name}_embargo_due")).fetchone() is None:
        connection.execute(sql.SQL(CREATE_INDEX).format(**parts))
    for (index,) in connection.execute(sql.SQL(OLD_INDEXES).format(**parts)).fetchall():
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.SQL(index)))


def _apply_latency(connection: psycopg.Connection, release: Release) -> None:
    latency = None if release.latency == "never" else release.latency
    known = connection.execute(STREAM, (release.stream,)).fetchone()
    if known is None:
        connection.execute(NOTE_STREAM, (release.stream, latency, release.latency, release.qc))
        return
    if known[0] != release.latency:
        connection.execute(CHANGE_LATENCY, (release.stream, latency, getpass.getuser()))
    connection.execute(RENOTE_STREAM, (release.latency, release.qc, release.stream))


def names(table: Table) -> dict[str, sql.Composable]:
    """What the statements of this room call the parts of a table; ``…_name`` are relations as texts."""
    schema, name = table.schema, table.name
    return {
        "parent": sql.Identifier(schema, name),
        "hidden": sql.Identifier(schema, f"{name}_embargo"),
        "public": sql.Identifier(schema, f"{name}_public"),
        "guard": sql.Identifier(schema, f"{name}_guard"),
        "door": sql.Identifier(schema, f"{name}_door"),
        "entry": sql.Identifier(schema, f"{name}_entry"),
        "unique": sql.Identifier(schema, f"{name}_unique"),
        "event": sql.Identifier(table.id or ""),
        "time": sql.Identifier(table.release.time or ""),
        "due": sql.Identifier(f"{name}_embargo_due"),
        "hidden_name": sql.Literal(sql.Identifier(schema, f"{name}_embargo").as_string()),
        "parent_name": sql.Literal(sql.Identifier(schema, name).as_string()),
        "public_name": sql.Literal(sql.Identifier(schema, f"{name}_public").as_string()),
        "published": sql.Literal(table.qualified),
        "stream": sql.Literal(table.release.stream),
        **{f"led_{row}": _led(table, row.upper() if row == "new" else row) for row in ("new", "fresh", "hidden")},
    }


def _led(table: Table, row: str) -> sql.Composable:
    """The condition that the event of another table that a row names, if its table follows one, is public."""
    key = table.followed
    if key is None:
        return sql.SQL("true")
    (ours, theirs), (schema, name) = key.columns[0], key.target.split(".")
    return sql.SQL("EXISTS (SELECT FROM {} AS other WHERE other.{} = {}.{})").format(
        sql.Identifier(schema, f"{name}_public"), sql.Identifier(theirs), sql.SQL(row), sql.Identifier(ours)
    )


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
        at: promote as if it were earlier, but for early releases; a later time counts as now.

    Raises:
        psycopg.Error: with the SQLSTATEs of rule.sql.
    """
    total, latest, attempts = 0, None, ATTEMPTS
    while True:
        try:
            with connection.transaction():
                connection.execute(LET_PROMOTE)
                row = connection.execute(PROMOTE, (table.qualified, batch, at)).fetchone()
        except psycopg.Error as error:
            attempts -= 1
            if error.sqlstate not in HELD_MEANWHILE or not attempts:
                raise
            continue
        assert row is not None
        moved, up_to, complete, busy = row
        total, latest, attempts = total + moved, up_to or latest, ATTEMPTS
        if complete or busy:
            return Promotion(table.qualified, total, latest, complete)
