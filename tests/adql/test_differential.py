"""Random queries: PostgreSQL's answers in every format, as others read them, are those of duckdb and astropy."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pytest
from astropy.units import Unit

from km3vo.adql import translate
from km3vo.adql.udf import FUNCTIONS
from km3vo.results import formats, systems
from km3vo.results.stream import Result, arrow_type
from tests.adql.differential import functions, reading, sky
from tests.adql.differential.grammar import Grammar
from tests.adql.differential.piece import About, Query

pytestmark = pytest.mark.slow

QUERIES = int(os.environ.get("KM3VO_ADQL_QUERIES", "150"))
SEED = int(os.environ.get("KM3VO_ADQL_SEED", "1"))
PARTS = 5


@pytest.fixture(scope="module")
def ours(new_database: Any) -> Iterator[psycopg.Connection]:
    with psycopg.connect(new_database(), autocommit=True) as connection:
        sky.fill(connection)
        yield connection


@pytest.fixture(scope="module")
def theirs() -> Iterator[duckdb.DuckDBPyConnection]:
    with sky.engine() as connection:
        yield connection


@pytest.mark.parametrize("part", range(PARTS))
def test_an_independent_engine_agrees(ours: psycopg.Connection, theirs: duckdb.DuckDBPyConnection, part: int) -> None:
    seed = SEED * PARTS + part
    grammar, rng = Grammar(seed), random.Random(seed)
    filled = 0
    for _ in range(QUERIES // PARTS):
        query, name = grammar.query(), rng.choice(reading.NAMES)
        filled += _agree(ours, theirs, query, name)
    assert filled > QUERIES // PARTS // 3  # that give rows


def _agree(ours: psycopg.Connection, theirs: duckdb.DuckDBPyConnection, query: Query, name: str) -> bool:
    translation = translate(query.adql, sky.TABLES)
    try:
        wanted = [list(map(reading.plain, row)) for row in theirs.execute(query.duck).fetchall()]
    except duckdb.OutOfRangeException:  # a pixel of order 29 times 4
        with pytest.raises(psycopg.errors.NumericValueOutOfRange):
            ours.execute(translation.sql.encode())
        return False
    rows = ours.execute(translation.sql.encode()).fetchall()
    columns = translation.columns
    cells = list(zip(*rows, strict=True)) or [()] * len(columns)
    arrays = [pa.array(cell, arrow_type(column)) for cell, column in zip(cells, columns, strict=True)]
    result = Result(columns, [pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])])
    document = b"".join(formats.find(name).write(result))
    assert not result.failed, (query.adql, result.failed)
    for column, array in zip(columns, arrays, strict=True):
        assert column.nullable or not array.null_count, (query.adql, column.name)
    found, said = reading.read(document, name, columns)
    if not rows:
        found = [[] for _ in columns]
    without = [name in reading.WITHOUT_MISSING_TRUTH and column.datatype == "boolean" for column in columns]
    read = [list(map(reading.plain, row)) for row in zip(*found, strict=True)]
    if any(without):
        for row in (*read, *wanted):
            row[:] = [bool(cell) if flag else cell for cell, flag in zip(row, without, strict=True)]
    _same(read, wanted, (query.adql, query.duck, name))
    for column, about, told in zip(columns, query.abouts, said, strict=True):
        if about is not None:
            _told(column, about, told, (query.adql, column.name, name))
    return bool(wanted)


def _same(found: list[list[Any]], wanted: list[list[Any]], what: Any) -> None:
    assert len(found) == len(wanted), what
    for row, expected in zip(sorted(found, key=_order), sorted(wanted, key=_order), strict=True):
        assert all(map(_alike, row, expected)), (what, row, expected)


def _order(row: Sequence[Any]) -> list[tuple[str, Any]]:
    return [
        ("", "") if cell is None else ("t", str(cell)) if isinstance(cell, str | tuple) else ("n", round(cell, 6))
        for cell in row
    ]


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-6 if abs(other) < 100 else 1e-9, abs_tol=1e-6)
    return bool(one == other)


def _told(column: Any, about: About, told: dict[str, str | None], what: Any) -> None:
    assert (column.unit, column.ucd, column.frame, column.time) == (about.unit, about.ucd, about.frame, about.time), (
        what
    )
    if told:
        assert told["ucd"] == about.ucd, (what, told)
        # However they are written: sr**-1, and 1 / sr.
        assert Unit(told["unit"] or "") == Unit(about.unit or ""), (what, told)
    if "frame" in told:  # FITS has no place for it in a column
        frame = systems.frame(column)
        found = (told["frame"] or "").lower().removeprefix("eq_")
        assert {"ecl_fk5": "ecliptic"}.get(found, found) == (frame or "").lower(), (what, told)
        origin = None if about.time is None else systems.origin(about.time)
        assert told["timeorigin"] == origin, (what, told)


def test_every_function_of_ours_is_asked_for() -> None:
    asked = functions.ONES.keys() | functions.AGGREGATES.keys() | functions.WITHIN.keys()
    assert {function.name for function in FUNCTIONS.values()} <= asked
