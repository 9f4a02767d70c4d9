"""What holds for any query: trees survive printing, statements run, arithmetic is what it looks like."""

from __future__ import annotations

import math
import os

import psycopg
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from km3vo.adql import QueryTables, parse, translate
from km3vo.adql.tree import Chain, Item, Name, Number, Parenthesis, Query, Select, Signed, TableRef, ValueNode
from km3vo.adql.unparse import unparse
from tests.adql.trees import queries

pytestmark = pytest.mark.slow

# More on request: KM3VO_EXAMPLES=10000 pytest tests/adql/test_properties.py
EXAMPLES = int(os.environ.get("KM3VO_EXAMPLES", "40"))
_SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@_SETTINGS
@given(queries())
def test_reading_what_was_printed_gives_the_same_tree(tree: Query) -> None:
    assert parse(unparse(tree)) == tree


@_SETTINGS
@given(tree=queries())
def test_generated_queries_run(tree: Query, sky: psycopg.Connection, sky_sources: QueryTables) -> None:
    text = unparse(tree)
    made = translate(text, sky_sources, maxrec=10)
    sky.execute("SET statement_timeout = '1s'")
    try:
        cursor = sky.execute(made.sql.encode())
    except psycopg.errors.DataError:
        return  # a division by zero, a number out of range: the data's fault
    except psycopg.errors.QueryCanceled:
        return
    for column, described in zip(made.columns, cursor.description or (), strict=True):
        wanted = {"short": "int2", "int": "int4", "long": "int8", "float": "float4", "double": "float8"}
        assert described.type_display == wanted.get(column.datatype, "text"), (text, column)


# --------------------------------------------------------------------------------- arithmetic, precedence

_leaves = st.floats(0.5, 100).map(lambda x: Number(repr(x)))


def _chains(operand: st.SearchStrategy[ValueNode]) -> st.SearchStrategy[ValueNode]:
    signed = st.builds(Signed, st.sampled_from("+-"), operand)
    factor = operand | signed
    term = factor | st.builds(Chain, factor, st.lists(st.tuples(st.sampled_from("*/"), factor), min_size=1, max_size=3))
    return st.builds(Chain, term, st.lists(st.tuples(st.sampled_from("+-"), term), min_size=1, max_size=3)) | term


_arithmetic = st.recursive(_leaves, lambda inner: _chains(inner.map(Parenthesis) | _leaves), max_leaves=12)


def _evaluated(node: ValueNode) -> float:
    match node:
        case Number():
            return float(node.text)
        case Parenthesis():
            return _evaluated(node.argument)
        case Signed():
            return _evaluated(node.argument) * (-1 if node.sign == "-" else 1)
        case Chain():
            total = _evaluated(node.first)
            for operator, operand in node.rest:
                value = _evaluated(operand)
                total = {"+": total + value, "-": total - value, "*": total * value}.get(
                    operator, total / value if value else math.nan
                )
            return total
    raise TypeError(node)


@_SETTINGS
@given(expression=_arithmetic)
def test_arithmetic_is_worked_off_as_in_python(
    expression: ValueNode, sky: psycopg.Connection, sky_sources: QueryTables
) -> None:
    wanted = _evaluated(expression)
    assume(math.isfinite(wanted) and abs(wanted) < 1e12)
    text = unparse(Query(Select([Item(expression)], [TableRef((Name("events"),))], top=1)))
    row = sky.execute(translate(text, sky_sources).sql.encode()).fetchone()
    assert row is not None
    # The same operations on the same doubles: not a bit may differ.
    assert row[0] == wanted


@_SETTINGS
@given(a=st.integers(-1000, 1000), b=st.integers(-50, 50).filter(bool), c=st.integers(-50, 50))
def test_whole_numbers_divide_towards_zero(
    a: int, b: int, c: int, sky: psycopg.Connection, sky_sources: QueryTables
) -> None:
    def written(n: int) -> str:
        return str(n) if n >= 0 else f"({n})"

    text = f"SELECT TOP 1 {written(a)}/{written(b)}-{written(c)}, MOD({a}, {b}) FROM events"
    row = sky.execute(translate(text, sky_sources).sql.encode()).fetchone()
    assert row == (int(a / b) - c, int(math.fmod(a, b)))
