"""What people take back: events are withdrawn and reinstated, loads are undone. Each is logged with who and why.

Every function takes a connection of the owner and commits. What is taken out is kept in the table's history.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from km3vo.catalog.model import Table
from km3vo.database.types import postgres_type
from km3vo.embargo import versions
from km3vo.embargo.decisions import WAIT
from km3vo.embargo.release import explained
from km3vo.errors import ConflictError, NotFoundError, SetupError

CHOOSE = "CREATE TEMPORARY TABLE chosen (event {type} NOT NULL) ON COMMIT DROP"
CHOOSE_IDS = "INSERT INTO pg_temp.chosen SELECT DISTINCT event::{type} FROM unnest(%s::text[]) AS event"
CHOOSE_EQUAL = "INSERT INTO pg_temp.chosen SELECT {event} FROM {parent} WHERE ({columns}) = ({values})"
CHOOSE_CHANGE = "INSERT INTO pg_temp.chosen SELECT DISTINCT {event} FROM {history} WHERE _change = %s"
ANALYZE = "ANALYZE pg_temp.chosen"
COUNT = "SELECT count(*) FROM pg_temp.chosen"
UNKNOWN = """
SELECT chosen.event::text, count(*) OVER () FROM pg_temp.chosen
WHERE NOT EXISTS (SELECT FROM {relation} AS present WHERE present.{event} = chosen.event {which}) ORDER BY 1 LIMIT 10
"""
WITHDRAW = "SELECT withdrawn, changed_public FROM km3vo.withdraw(%s, %s, %s, %s)"
REINSTATE = "SELECT km3vo.reinstate(%s, %s, %s)"
UNLOAD = "SELECT unloaded, came_back, changed_public FROM km3vo.unload(%s, %s, %s, %s)"
LOADED_INTO = "SELECT published FROM km3vo.load WHERE number = %s"

# For `km3vo history`.
LOADS = """
SELECT number, loaded_at, file, load.rows, loaded_by, change IS NOT NULL, log.at FROM km3vo.load
LEFT JOIN km3vo.release_log AS log ON log.id = unloaded WHERE load.published = %s ORDER BY loaded_at, number
"""
CHANGES = """
SELECT id, at, what, rows, reason, decided_by FROM km3vo.release_log
WHERE published = %s AND transaction IS NOT NULL ORDER BY id
"""
NOW = """
SELECT _version, _load, {public}, greatest(load.loaded_at, (SELECT max(log.at) FROM {history} AS kept
    JOIN km3vo.release_log AS log ON log.id = kept._reinstated WHERE kept.{event} = present.{event})), NULL, NULL, NULL
FROM {parent} AS present LEFT JOIN km3vo.load ON load.number = _load WHERE present.{event} = %(event)s
"""
EARLIER = """
SELECT _version, _load, {public}, _from, _to, _ended, log.reason FROM {history} AS kept
JOIN km3vo.release_log AS log ON log.id = kept._change WHERE kept.{event} = %(event)s ORDER BY _to, _version
"""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an event.

    Attributes:
        number: counts from 1.
        load: the number of the load by which it came; None when that is not known.
        public: whether everybody sees it, or saw it when it ended.
        since, until: when it was valid.
        ended: how it ended: superseded, withdrawn or unloaded; None for the present one.
        reason: why.
    """

    number: int
    load: int | None
    public: bool
    since: datetime | None
    until: datetime | None
    ended: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class ByIds:
    """Events with these identifiers; one that is not there is an error."""

    ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Equal:
    """Events whose columns have these values: those of a run, or of a load (``_load``)."""

    values: dict[str, Any]


Choice = ByIds | Equal


def _names(table: Table) -> dict[str, sql.Composable]:
    if not versions.are_kept(table):
        raise SetupError(f"the events of {table.qualified} have no versions: people cannot load any")
    embargoed = table.release.embargoed
    return {
        "parent": sql.Identifier(table.schema, table.name),
        "history": sql.Identifier(table.schema, f"{table.name}_history"),
        "event": sql.Identifier(table.id or ""),
        "type": sql.SQL(postgres_type(table.column(table.id or ""))),
        "public": sql.SQL("_access = 'p'") if embargoed else sql.SQL("true"),
    }


@contextmanager
def _changing(connection: psycopg.Connection, published: str) -> Iterator[None]:
    """One transaction, and what its refusals mean."""
    try:
        with explained(published), connection.transaction():
            connection.execute("SELECT set_config('lock_timeout', %s, true)", (WAIT,))
            try:
                yield
            except psycopg.Error as error:
                if error.sqlstate == "KM008":
                    raise ConflictError(
                        f"{error.diag.message_primary} of these events of {published} are public: add --public if they "
                        "are to change for everybody. Nothing was changed"
                    ) from None
                if error.sqlstate == "KM001":
                    raise ConflictError(
                        f"an earlier version of one of these public events of {published} is not due by the present "
                        "rule. Nothing was changed"
                    ) from None
                if error.sqlstate == "KM009":
                    raise ConflictError(
                        f"some of these events of {published} have just been released. Nothing was changed: try again"
                    ) from None
                raise
    finally:
        connection.rollback()


def _choose(connection: psycopg.Connection, table: Table, choice: Choice) -> None:
    """Fill pg_temp.chosen with the identifiers of some events."""
    names = _names(table)
    connection.execute(sql.SQL(CHOOSE).format(**names))
    if isinstance(choice, ByIds):
        try:
            connection.execute(sql.SQL(CHOOSE_IDS).format(**names), (list(choice.ids),))
        except psycopg.DataError:
            raise NotFoundError(f"one of these cannot be the identifier of an event of {table.qualified}") from None
    else:
        columns = sql.SQL(", ").join(map(sql.Identifier, choice.values))
        values = sql.SQL(", ").join(sql.Placeholder() * len(choice.values))
        statement = sql.SQL(CHOOSE_EQUAL).format(columns=columns, values=values, **names)
        try:
            connection.execute(statement, list(choice.values.values()))
        except psycopg.DataError:
            raise NotFoundError(f"there is no such run in {table.qualified}") from None
    connection.execute(ANALYZE)


def _refuse_unknown(connection: psycopg.Connection, table: Table, relation: str, which: str, told: str) -> None:
    names = _names(table)
    statement = sql.SQL(UNKNOWN).format(relation=names[relation], event=names["event"], which=sql.SQL(which))
    unknown = connection.execute(statement).fetchall()
    if unknown:
        more = f" and {unknown[0][1] - len(unknown)} others" if unknown[0][1] > len(unknown) else ""
        raise NotFoundError(f"{', '.join(event for event, _ in unknown)}{more}: {told} {table.qualified}")
    if connection.execute(COUNT).fetchone() == (0,):
        raise NotFoundError(f"there are no such events in {table.qualified}")


def withdraw(
    connection: psycopg.Connection, table: Table, choice: Choice, *, public: bool, reason: str, who: str
) -> tuple[int, int]:
    """Take events out of a table. They stay in its history, and can be reinstated.

    Args:
        public: events that are public may go; without it they are refused.

    Returns:
        how many events were taken out, and how many of them were public.

    Raises:
        NotFoundError: one of the events is not there, or none is chosen.
        ConflictError: some are public, and that was not said.
    """
    with _changing(connection, table.qualified):
        _choose(connection, table, choice)
        _refuse_unknown(connection, table, "parent", "", "there is no such event in")
        row = connection.execute(WITHDRAW, (table.qualified, public, reason, who)).fetchone()
        assert row is not None
        return int(row[0]), int(row[1])


def reinstate(connection: psycopg.Connection, table: Table, choice: ByIds | int, *, reason: str, who: str) -> int:
    """Put withdrawn events back, in their newest version. Embargoed tables release them when they are due.

    Args:
        choice: events, or the number of the change by which they went.

    Returns:
        how many came back.

    Raises:
        NotFoundError: one of the events was not withdrawn, or there is no such change.
    """
    with _changing(connection, table.qualified):
        _choose(connection, table, choice if isinstance(choice, ByIds) else ByIds(()))
        if isinstance(choice, int):
            connection.execute(sql.SQL(CHOOSE_CHANGE).format(**_names(table)), (choice,))
        _refuse_unknown(
            connection, table, "history", "AND _ended <> 'unloaded' AND _reinstated IS NULL", "not withdrawn from"
        )
        row = connection.execute(REINSTATE, (table.qualified, reason, who)).fetchone()
        assert row is not None
        return int(row[0])


def unload(connection: psycopg.Connection, number: int, *, public: bool, reason: str, who: str) -> tuple[str, int, int]:
    """Undo a load: its events go, what they superseded comes back, and the file may be loaded again.

    Loads that superseded others together are undone together.

    Returns:
        the table, how many events went, and how many came back.

    Raises:
        NotFoundError: there is no such load, or it was undone before.
        ConflictError: some of the events are public, and that was not said; or some have newer versions since, by a
            load that was not undone.
    """
    found = connection.execute(LOADED_INTO, (number,)).fetchone()
    connection.rollback()
    if found is None:
        raise NotFoundError(f"there is no load {number}: see `km3vo history TABLE`")
    with _changing(connection, found[0]):
        row = connection.execute(UNLOAD, (number, public, reason, who)).fetchone()
        assert row is not None
        return str(found[0]), int(row[0]), int(row[1])


def of_event(connection: psycopg.Connection, table: Table, event: str) -> list[Version]:
    """The versions of an event, the earliest first.

    Raises:
        NotFoundError: there never was one.
    """
    names = _names(table)
    found = []
    try:
        for statement in (EARLIER, NOW):
            found += connection.execute(sql.SQL(statement).format(**names), {"event": event}).fetchall()
    except psycopg.DataError:
        found = []
    if not found:
        raise NotFoundError(f"{table.qualified} never had an event {event}")
    return [Version(*row) for row in found]


def loads(connection: psycopg.Connection, table: Table) -> list[tuple[Any, ...]]:
    """The loads into a table: number, when, file, rows, by whom, whether it superseded others, when it was undone."""
    return connection.execute(LOADS, (table.qualified,)).fetchall()


def changes(connection: psycopg.Connection, table: Table) -> list[tuple[Any, ...]]:
    """The changes of a table's rows: number, when, what, how many events, why, by whom."""
    return connection.execute(CHANGES, (table.qualified,)).fetchall()
