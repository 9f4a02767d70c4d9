"""A column that is said to hold no NULL holds none, whatever joins, subqueries and set operations it came through."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator

import psycopg
import pyarrow as pa
import pytest

from km3vo.adql import QueryTable, QueryTables, translate
from km3vo.column import Column
from km3vo.results import formats
from km3vo.results.stream import Result, arrow_type
from tests.support.cells import read_binary

QUERIES = 400

_COLUMNS = (
    Column(name="id", datatype="int", nullable=False),
    Column(name="n", datatype="short", nullable=False),
    Column(name="m", datatype="long"),
)
# Each has rows that the others lack.
_ROWS = {"a": "(1, 1, 1), (2, 2, NULL), (3, 3, 3)", "b": "(2, 2, 2), (3, 4, NULL), (4, 4, 4)", "c": "(3, 3, NULL)"}


@pytest.fixture(scope="module")
def tables() -> QueryTables:
    return QueryTables(QueryTable(("s", name), ("public", name), _COLUMNS) for name in _ROWS)


@pytest.fixture(scope="module")
def connection(new_database: Callable[[], str]) -> Iterator[psycopg.Connection]:
    with psycopg.connect(new_database(), autocommit=True) as opened:
        for name, rows in _ROWS.items():
            opened.execute(f"CREATE TABLE {name} (id int4 NOT NULL, n int2 NOT NULL, m int8)".encode())
            opened.execute(f"INSERT INTO {name} VALUES {rows}".encode())
        yield opened


class _Shapes:
    """Queries with the columns id, n and m, and with everything in between that may make them NULL."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._names = itertools.count()

    def query(self, depth: int) -> str:
        kind = self._rng.choice(["plain", "join", "using", "derived", "set"]) if depth else "plain"
        if kind == "plain":
            return f"SELECT id, n, m FROM s.{self._rng.choice('abc')}"
        if kind == "derived":
            return f"SELECT q.id, n, m FROM ({self.query(depth - 1)}) AS q"
        if kind == "set":
            operator = self._rng.choice(["UNION", "UNION ALL", "EXCEPT", "EXCEPT ALL", "INTERSECT", "INTERSECT ALL"])
            left, right = self._operand(depth), self._operand(depth)
            return f"({left}) {operator} ({right})"
        left, right = (f"t{next(self._names)}" for _ in range(2))
        join = self._rng.choice(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
        one, other = self._table(depth, left), self._table(depth, right)
        if kind == "using":
            return f"SELECT id, {self._rng.choice((left, right))}.n, {left}.m FROM {one} {join} {other} USING (id)"
        columns = ", ".join(f"{self._rng.choice((left, right))}.{name}" for name in ("id", "n", "m"))
        return f"SELECT {columns} FROM {one} {join} {other} ON {left}.id = {right}.id AND {left}.n = {right}.n"

    def _table(self, depth: int, alias: str) -> str:
        return f"({self.query(depth - 1)}) AS {alias}"

    def _operand(self, depth: int) -> str:
        return self.query(depth - 1) if self._rng.random() < 0.9 else "SELECT NULL AS id, NULL AS n, NULL AS m FROM s.a"


def _written(connection: psycopg.Connection, tables: QueryTables, query: str, format: str) -> bytes:
    translation = translate(query, tables)
    rows = connection.execute(translation.sql.encode()).fetchall()
    cells = list(zip(*rows, strict=True)) or [()] * len(translation.columns)
    arrays = [pa.array(cell, arrow_type(column)) for cell, column in zip(cells, translation.columns, strict=True)]
    batch = pa.RecordBatch.from_arrays(arrays, names=[column.name for column in translation.columns])
    return b"".join(formats.find(format).write(Result(translation.columns, [batch])))


@pytest.mark.parametrize("seed", range(4))
def test_what_is_said_to_hold_no_null_holds_none(
    connection: psycopg.Connection, tables: QueryTables, seed: int
) -> None:
    shapes, certain, missing = _Shapes(seed), 0, 0
    for number in range(QUERIES // 4):
        query = shapes.query(number % 4)
        text = f"WITH w AS ({query}) SELECT id, n, m FROM w" if number % 3 == 0 else query
        translation = translate(text, tables)
        rows = connection.execute(translation.sql.encode()).fetchall()
        for place, column in enumerate(translation.columns):
            nulls = sum(row[place] is None for row in rows)
            assert column.nullable or not nulls, (text, column.name)
            certain += not column.nullable
            missing += bool(nulls)
        _, cells = read_binary(_written(connection, tables, text, "votable/b"))
        # A column of nothing but NULL is one of strings, of which an empty one is how BINARY has it.
        read = sorted(zip(*([cell or None for cell in column] for column in cells), strict=True), key=str)
        assert read == sorted(rows, key=str), text
    assert certain > QUERIES / 8 and missing > QUERIES / 8


@pytest.mark.parametrize(
    ("where", "certain", "uncertain"),
    [
        ("s.a", "id n a.n", "m"),
        ("s.a JOIN s.b ON a.id = b.id", "a.id a.n b.id b.n", "a.m b.m"),
        ("s.a LEFT JOIN s.b ON a.id = b.id", "a.id a.n", "b.id b.n"),
        ("s.a RIGHT JOIN s.b ON a.id = b.id", "b.id b.n", "a.id a.n"),
        ("s.a FULL JOIN s.b ON a.id = b.id", "", "a.id a.n b.id b.n"),
        ("s.c LEFT JOIN (s.a JOIN s.b ON a.id = b.id) ON c.id = a.id", "c.id c.n", "a.id b.n"),
        ("s.a JOIN s.b ON a.id = b.id LEFT JOIN s.c ON c.id = a.id", "a.id b.n", "c.id c.n"),
        ("s.a LEFT JOIN s.b USING (id)", "id a.n", "b.n b.id"),
        ("s.a RIGHT JOIN s.b USING (id)", "id b.n", "a.n a.id"),
        ("s.a NATURAL JOIN s.b", "id n", "m"),
        ("(s.a NATURAL JOIN s.b) RIGHT JOIN s.c ON c.id = a.id", "c.id", "a.n b.n"),
        ("(SELECT * FROM s.a) AS q", "id n", "m"),
        ("(SELECT a.id, b.n FROM s.a LEFT JOIN s.b ON a.id = b.id) AS q", "id", "n"),
        ("(SELECT id, n FROM s.a UNION ALL SELECT id, n FROM s.b) AS q", "id n", ""),
        ("(SELECT id, n FROM s.a UNION SELECT id, m FROM s.b) AS q", "id", "n"),
        ("(SELECT id, m AS n FROM s.a INTERSECT SELECT NULL, n FROM s.b) AS q", "id n", ""),
        ("(SELECT m AS n FROM s.a INTERSECT SELECT m FROM s.b) AS q", "", "n"),
        ("(SELECT id, n FROM s.a EXCEPT SELECT NULL, m FROM s.b) AS q", "id n", ""),
    ],
)
def test_what_is_certain_is_said(tables: QueryTables, where: str, certain: str, uncertain: str) -> None:
    """Only what may be NULL is to tell what stands for it."""
    for names, nullable in ((certain, False), (uncertain, True)):
        for name in names.split():
            (column,) = translate(f"SELECT {name} AS x FROM {where}", tables).columns
            assert column.nullable is nullable, name


def test_null_in_binary_is_null(connection: psycopg.Connection, tables: QueryTables) -> None:
    query = "SELECT b.n FROM s.a AS a LEFT JOIN s.a AS b ON a.id = b.id AND b.n > 2 WHERE a.id = 1"
    document = _written(connection, tables, query, "votable/b")
    assert b"<VALUES null=" in document
    assert read_binary(document)[1] == [[None]]
