"""Rows that PostgreSQL writes as text are the rows that were there: whatever they hold, or they are not used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from lxml import etree
from psycopg import sql

from km3vo.catalog.model import Column
from km3vo.database import lines
from km3vo.results import votable
from km3vo.results.stream import Result
from tests.support.cells import VOTABLE, Sample, check, sample, samples

TYPES = {"unsignedByte": "smallint", "short": "smallint", "int": "integer", "long": "bigint", "float": "real"}


@pytest.fixture(scope="module")
def connection(new_database: Callable[[], str]) -> Iterator[psycopg.Connection]:
    with psycopg.connect(new_database(), autocommit=True) as opened:
        yield opened


def document(connection: psycopg.Connection, drawn: Sample, maxrec: int | None = None) -> bytes | None:
    """What becomes of a table of those cells."""
    casts = [sql.SQL("%s::" + _type(column)) for column in drawn.columns]
    row = sql.SQL("({})").format(sql.SQL(", ").join(casts))
    rows = list(zip(*drawn.cells, strict=True))
    values = sql.SQL("SELECT * FROM (VALUES {}) AS v").format(sql.SQL(", ").join([row] * len(rows)))
    written = lines.written(values, drawn.columns)
    with connection.cursor() as cursor:
        found = cursor.execute(written, [cell for cells in rows for cell in cells]).fetchall()
    return votable.of_lines(Result(drawn.columns, (), maxrec), [line for (line,) in found])


def _type(column: Column) -> Any:
    if column.is_string:
        return "timestamp" if column.xtype == "timestamp" else "text"
    scalar = {**TYPES, "boolean": "boolean", "double": "float8"}[column.datatype]
    return f"{scalar}[]" if column.arraysize else scalar


def _read(text: str, column: Column) -> Any:
    if not text:
        return None
    if column.xtype == "timestamp":
        return datetime.fromisoformat(text)
    if column.is_string:
        return text
    read: Any = {"boolean": {"t": True, "f": False}.get, "float": float, "double": float}.get(column.datatype, int)
    return [read(part) for part in text.split(" ")] if column.arraysize else read(text)


def _rounded(cell: Any, column: Column) -> Any:
    """A number of four bytes as such; no text and no array are the same as none."""
    if column.datatype == "float" and cell is not None:
        numbers = [float(np.float32(part)) for part in (cell if isinstance(cell, list) else [cell])]
        return numbers if isinstance(cell, list) else numbers[0]
    return None if cell in ("", []) else cell


@given(drawn=samples().filter(lambda drawn: len(drawn.cells[0])))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lines_hold_every_digit_or_are_not_used(connection: psycopg.Connection, drawn: Sample) -> None:
    made = document(connection, drawn)
    texts = [cell for column in drawn.cells for cell in column if isinstance(cell, str)]
    delicate = any(not letter.isprintable() or letter in "&<>" for text in texts for letter in text)
    if made is None:
        infinite = any(number in (float("inf"), -float("inf")) for number in _numbers(drawn))
        assert delicate or infinite or any("nfinity" in text for text in texts)
        return
    rows = [[cell.text or "" for cell in row] for row in etree.fromstring(made).iter(f"{VOTABLE}TR")]
    found = [[_rounded(_read(row[n], column), column) for row in rows] for n, column in enumerate(drawn.columns)]
    wanted = [
        [_rounded(cell, column) for cell in cells] for column, cells in zip(drawn.columns, drawn.cells, strict=True)
    ]
    check(found, wanted, drawn.columns)


def _numbers(drawn: Sample) -> Iterator[float]:
    for cell in (cell for column in drawn.cells for cell in column):
        yield from (part for part in (cell if isinstance(cell, list) else [cell]) if isinstance(part, float))


@pytest.mark.parametrize("text", ["a & b", "</TD>", "]]>", "\r", "\x01", "a\x1fb", "a\x1eb", "\uffff", "Infinity"])
def test_what_has_another_form_in_xml_is_left_to_others(connection: psycopg.Connection, text: str) -> None:
    drawn = sample({"text": ["plain", text], "int": [1, 2]})
    assert document(connection, drawn) is None
    assert document(connection, sample({"text": ["plain", "κόσμος \n\t"], "int": [1, 2]})) is not None


def test_rows_beyond_maxrec_are_left_out_and_told(connection: psycopg.Connection) -> None:
    drawn = sample({"text": ["a", "b", None], "int": [1, 2, 3]})
    for maxrec, shown, more in ((None, 3, False), (3, 3, False), (2, 2, True), (0, 0, True)):
        made = document(connection, drawn, maxrec) or b""
        assert (made.count(b"<TR>"), b"OVERFLOW" in made) == (shown, more)
