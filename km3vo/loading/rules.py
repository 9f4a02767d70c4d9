"""What must hold for the rows of a table before they are published, checked in the database for all rows at once.

The staging table has the published columns and two of its own: ``_file`` and ``_line``, where a row came from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import LiteralString

import psycopg
from psycopg import sql

from km3vo.catalog.model import Column, Range, Table
from km3vo.embargo import versions
from km3vo.loading.staging import STAGING
from km3vo.readers.mistakes import SHOWN, Mistakes, shown

_SECONDS_APART = 1.0

COUNTS = "SELECT {counts} FROM {staging}"
COUNT = "count(*) FILTER (WHERE {})"
# The first rows that break a rule; that have an id which an earlier row has (with where that is); and that have one
# which is in the table already. The latter two tell how many there are in all.
BROKEN = "SELECT _file, _line, {column}::text FROM {staging} WHERE {wrong} ORDER BY _file, _line LIMIT {most}"
REPEATED = """
WITH repeated AS (SELECT {id} FROM {staging} GROUP BY {id} HAVING count(*) > 1), placed AS (
    SELECT _file, _line, {id}::text AS id, row_number() OVER w AS place,
        first_value(_file) OVER w AS first_file, first_value(_line) OVER w AS first_line
    FROM {staging} JOIN repeated USING ({id}) WINDOW w AS (PARTITION BY {id} ORDER BY _file, _line)
)
SELECT _file, _line, id, first_file, first_line, count(*) OVER () FROM placed WHERE place > 1
ORDER BY _file, _line LIMIT {most}
"""
PRESENT = """
SELECT _file, _line, staged.{id}::text, count(*) OVER () FROM {staging} AS staged
WHERE EXISTS (SELECT FROM {parent} AS present WHERE present.{id} = staged.{id})
ORDER BY _file, _line LIMIT {most}
"""
WITHDRAWN = """
SELECT _file, _line, staged.{id}::text, count(*) OVER () FROM {staging} AS staged
WHERE EXISTS (SELECT FROM {history} AS kept WHERE kept.{id} = staged.{id}
              AND kept._ended <> 'unloaded' AND kept._reinstated IS NULL)
ORDER BY _file, _line LIMIT {most}
"""
# Runs that begin before an earlier one of their detector has ended, by more than a second: released times are rounded.
# Rows that are in the table already have no place in a file.
OVERLAPPING = """
WITH runs AS (
    SELECT _file, _line, {start} AS start, {stop} AS stop, {each} AS each FROM {staging}
    UNION ALL SELECT NULL, NULL, {start}, {stop}, {each} FROM {parent} AS present
    WHERE NOT EXISTS (SELECT FROM {staging} AS staged WHERE staged.{id} = present.{id})
), ordered AS (
    SELECT *, max(stop) OVER (PARTITION BY each ORDER BY start, stop ROWS UNBOUNDED PRECEDING EXCLUDE CURRENT ROW)
        AS before,
        lag(_line) OVER (PARTITION BY each ORDER BY start, stop) AS beside
    FROM runs
)
SELECT _file, coalesce(_line, beside), start::text, count(*) OVER () FROM ordered WHERE start < before - {slack}
ORDER BY 1, 2 LIMIT {most}
"""


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition that is true for wrong rows, and how to say so."""

    column: Column
    wrong: sql.Composable
    text: str


def rules(table: Table) -> Iterator[Rule]:
    """The rules for single rows of a table."""
    for column in table.columns:
        yield from _column_rules(table, column)
    if table.intervals is not None:
        start, stop = (sql.Identifier(name) for name in (table.intervals.start, table.intervals.stop))
        yield Rule(
            table.column(table.intervals.stop),
            sql.SQL("{} <= {}").format(stop, start),
            f"is not after {table.intervals.start}",
        )
    mjd, stamp = table.time, table.release.time
    if mjd and stamp:
        # The embargo counts from the timestamp. One that does not agree with the published MJD is a slip, and would
        # release an event at a wrong time.
        yield Rule(
            table.column(stamp),
            sql.SQL("abs(date_part('epoch', {}) - ({} - 40587) * 86400) > {}").format(
                sql.Identifier(stamp), sql.Identifier(mjd), sql.Literal(_SECONDS_APART)
            ),
            f"differs from {mjd} by more than a second",
        )


def _column_rules(table: Table, column: Column) -> Iterator[Rule]:
    name: sql.Composable = sql.Identifier(column.sql)
    single = column.arraysize is None
    if not column.nullable:
        yield Rule(column, sql.SQL("{} IS NULL").format(name), "is missing")
    if single and column.datatype in ("float", "double"):
        if not column.nullable:
            yield Rule(column, sql.SQL("{} = 'NaN'").format(name), "is not a number, and the column needs one")
        if column.range is None or None in (column.range.minimum, column.range.maximum):
            yield Rule(column, sql.SQL("{} IN ('Infinity', '-Infinity')").format(name), "is not finite")
        name = sql.SQL("nullif({}, 'NaN')").format(name)  # told already, or the same as missing
    if column.range is not None:
        yield Rule(column, _outside(column.range, name), f"is not in {column.range}{_advice(table, column)}")
    if column.values:
        words = sql.SQL(", ").join(map(sql.Literal, column.values))
        yield Rule(column, sql.SQL("{} NOT IN ({})").format(name, words), f"is not one of {', '.join(column.values)}")


def _outside(bounds: Range, name: sql.Composable) -> sql.Composable:
    low, high = (-math.inf if bounds.minimum is None else bounds.minimum, bounds.maximum)
    return sql.SQL("({} OR {})").format(
        sql.SQL("{} <= {}" if bounds.above else "{} < {}").format(name, sql.Literal(low)),
        sql.SQL("{} >= {}" if bounds.below else "{} > {}").format(
            name, sql.Literal(math.inf if high is None else high)
        ),
    )


def _advice(table: Table, column: Column) -> str:
    if table.position and column.name == table.position.ra:
        return " (write 0 for 360)"
    return ""


def check(connection: psycopg.Connection, table: Table, mistakes: Mistakes, *, superseding: bool = False) -> None:
    """Look for rows in the staging table that break a rule; what is found is added to ``mistakes``.

    Args:
        superseding: whether events of the table may have the same identifiers.
    """
    wanted = list(rules(table))
    if wanted:
        counts = sql.SQL(", ").join(sql.SQL(COUNT).format(rule.wrong) for rule in wanted)
        found = connection.execute(sql.SQL(COUNTS).format(counts=counts, staging=STAGING)).fetchone() or ()
        for rule, count in zip(wanted, found, strict=True):
            if count:
                _name(connection, rule, count, mistakes)
    if table.intervals is not None:
        _check_overlaps(connection, table, mistakes)
    if table.id:
        _check_repeated(connection, table.column(table.id), mistakes)
        if not superseding:
            _check_known(connection, table, table.column(table.id), mistakes)


def _name(connection: psycopg.Connection, rule: Rule, count: int, mistakes: Mistakes) -> None:
    """Add the first rows that break a rule."""
    rows = connection.execute(
        sql.SQL(BROKEN).format(column=sql.Identifier(rule.column.sql), staging=STAGING, wrong=rule.wrong, most=SHOWN)
    ).fetchall()
    for file, line, value in rows:
        subject = f"column {rule.column.name}:"
        if value is not None:
            subject += f" {shown(value) if rule.column.is_string else value}"
            if rule.column.name in mistakes.turned.get(file, ()):
                subject += f" ({rule.column.unit or 'UTC'}, into which it was turned)"
        mistakes.add(file, line, f"{subject} {rule.text}")
    mistakes.total += count - len(rows)


def _check_repeated(connection: psycopg.Connection, column: Column, mistakes: Mistakes) -> None:
    """No two rows may have the same id."""
    rows = connection.execute(
        sql.SQL(REPEATED).format(id=sql.Identifier(column.sql), staging=STAGING, most=SHOWN)
    ).fetchall()
    for file, line, value, first_file, first_line, _ in rows:
        name, unit = mistakes.files[first_file]
        where = f"{unit} {first_line}" if first_file == file else f"{name} {unit} {first_line}"
        mistakes.add(file, line, f"column {column.name}: {shown(value)} is there already, in {where}")
    if rows:
        mistakes.total += rows[0][-1] - len(rows)


def _check_overlaps(connection: psycopg.Connection, table: Table, mistakes: Mistakes) -> None:
    """No two runs of a detector may overlap."""
    intervals = table.intervals
    assert intervals is not None
    timestamps = table.column(intervals.start).xtype == "timestamp"
    rows = connection.execute(
        sql.SQL(OVERLAPPING).format(
            start=sql.Identifier(intervals.start),
            stop=sql.Identifier(intervals.stop),
            each=sql.Identifier(intervals.each) if intervals.each else sql.Literal(""),
            slack=sql.SQL("interval '1 s'" if timestamps else "1 / 86400e0"),
            staging=STAGING,
            parent=sql.Identifier(table.schema, table.name),
            id=sql.Identifier(table.id or ""),
            most=SHOWN,
        )
    ).fetchall()
    for file, line, value, _ in rows:
        mistakes.add(file or 0, line or 0, f"column {intervals.start}: {value} is before an earlier run has ended")
    if rows:
        mistakes.total += rows[0][-1] - len(rows)


def _check_known(connection: psycopg.Connection, table: Table, column: Column, mistakes: Mistakes) -> None:
    """No row may have the id of an event that is there, or that was withdrawn: nobody replaces one by accident."""
    parts = {
        "id": sql.Identifier(column.sql),
        "staging": STAGING,
        "parent": sql.Identifier(table.schema, table.name),
        "history": sql.Identifier(table.schema, f"{table.name}_history"),
        "most": sql.Literal(SHOWN),
    }
    questions: list[tuple[LiteralString, str]] = [
        (PRESENT, f"is in {table.qualified} already; to replace it, add --supersede")
    ]
    if versions.are_kept(table):
        questions.append((WITHDRAWN, "was withdrawn; reinstate it, or add --supersede for a new version"))
    for question, text in questions:
        rows = connection.execute(sql.SQL(question).format(**parts)).fetchall()
        for file, line, value, _ in rows:
            mistakes.add(file, line, f"column {column.name}: {shown(value)} {text}")
        if rows:
            mistakes.total += rows[0][-1] - len(rows)
