"""From the tree of a condition to its SQL (ADQL 2.1 §2.2.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from km3vo.adql import casts, constructors, geometry, separation
from km3vo.adql.resolver import QueryResolver, ValueResolver
from km3vo.adql.scope import Scope
from km3vo.adql.shapes import Position, Search, Shape
from km3vo.adql.sql import Sql, double, joined, sql
from km3vo.adql.tree import (
    Between,
    Call,
    Comparison,
    Condition,
    Exists,
    Grouped,
    In,
    IsNull,
    Like,
    Logic,
    Not,
    Number,
    Query,
    ValueNode,
)
from km3vo.adql.types import NUMBERS, WORDS, Type, of_column
from km3vo.adql.value import Value

_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "<>": "<>"}
# DISTANCE > r is NOT DISTANCE <= r, which spares most rows the formula.
_FARTHER = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_COMPARE = {
    "=": "({} = {})",
    "<>": "({} <> {})",
    "<": "({} < {})",
    "<=": "({} <= {})",
    ">": "({} > {})",
    ">=": "({} >= {})",
}


class Conditions:
    """Resolves conditions.

    Args:
        values: resolves their values.
        queries: resolves their subqueries.

    Attributes:
        searched: the stored positions by whose index conditions can be answered.
    """

    def __init__(self, values: ValueResolver, queries: QueryResolver):
        self._values = values
        self._queries = queries
        self.searched: set[Position] = set()
        self._rules: dict[type[Condition], Callable[[Any, Scope], Sql]] = {
            Comparison: self._comparison,
            Logic: self._logic,
            Not: self._not,
            Grouped: self._grouped,
            Between: self._between,
            In: self._in,
            Like: self._like,
            IsNull: self._is_null,
            Exists: self._exists,
        }

    def condition(self, node: Condition, scope: Scope) -> Sql:
        """Resolve a condition. What comes out can be combined without further parentheses."""
        return self._rules[type(node)](node, scope)

    def _logic(self, node: Logic, scope: Scope) -> Sql:
        parts = [self.condition(argument, scope) for argument in node.arguments]
        return sql("({})", joined(" AND " if node.operator == "AND" else " OR ", parts))

    def _grouped(self, node: Grouped, scope: Scope) -> Sql:
        return self.condition(node.argument, scope)

    def _not(self, node: Not, scope: Scope) -> Sql:
        return sql("(NOT {})", self.condition(node.argument, scope))

    # ---------------------------------------------------------------------------------- comparisons

    def _comparison(self, node: Comparison, scope: Scope) -> Sql:
        for one, other, operator in (
            (node.left, node.right, node.operator),
            (node.right, node.left, _MIRRORED[node.operator]),
        ):
            if isinstance(one, Call):
                search = self._truth(one, other, operator, scope) or self._closer(one, other, operator, scope)
                if search is not None:
                    return search
        return sql(_COMPARE[node.operator], *self._alike([node.left, node.right], scope))

    def _truth(self, call: Call, other: ValueNode, operator: str, scope: Scope) -> Sql | None:
        """1 = CONTAINS(...) and its kind: only the bare condition is answered by an index."""
        if operator not in ("=", "<>") or not isinstance(other, Number) or other.text not in ("0", "1"):
            return None
        if scope.grouped is not None:
            return None  # GROUP BY may have the value as a whole
        if call.name not in ("CONTAINS", "INTERSECTS") and not call.name.startswith("IVO_"):
            return None
        truth = self._values.value(call, scope).truth
        if truth is None:
            return None
        if (other.text == "1") != (operator == "="):
            return sql("(NOT {})", truth.condition)
        self.searched.update(truth.positions)
        return truth.condition

    def _closer(self, call: Call, other: ValueNode, operator: str, scope: Scope) -> Sql | None:
        """DISTANCE(...) < r: likewise, and the form of a crossmatch that is recommended (§4.2.8)."""
        if call.name != "DISTANCE" or operator not in _FARTHER or scope.grouped is not None:
            return None
        limit = self._values.number(other, scope)
        a, b = geometry.two_points(self._values, call, scope)
        farther = operator in (">", ">=")
        search = self._within(a, b, _FARTHER[operator] if farther else operator, limit, scope)  # type: ignore[arg-type]
        if farther:
            return sql("(NOT {})", search.condition)
        self.searched.update(search.positions)
        return search.condition

    def _within(self, a: Shape, b: Shape, operator: separation.Closer, limit: Value, scope: Scope) -> Search:
        if isinstance(limit.constant, int | float):
            return separation.closer(a, b, operator, double(float(limit.constant)), float(limit.constant))
        for center, point in ((a, b), (b, a)):
            circle = constructors.error_circle(center, limit, scope)
            if circle is not None:
                return separation.inside(point, circle, operator)
        return separation.closer(a, b, operator, sql("({})::float8", limit.sql), None)

    def _between(self, node: Between, scope: Scope) -> Sql:
        argument = node.argument
        pieces = self._alike([argument, node.low, node.high], scope)
        if isinstance(argument, Call) and argument.name == "DISTANCE" and not node.negated:
            low, high = self._closer(argument, node.low, ">=", scope), self._closer(argument, node.high, "<=", scope)
            if low is not None and high is not None:
                return sql("({} AND {})", low, high)
        return sql("({} NOT BETWEEN {} AND {})" if node.negated else "({} BETWEEN {} AND {})", *pieces)

    def _in(self, node: In, scope: Scope) -> Sql:
        template = "({} NOT IN ({}))" if node.negated else "({} IN ({}))"
        if not isinstance(node.choices, Query):
            first, *choices = self._alike([node.argument, *node.choices], scope)
            return sql(template, first, joined(", ", choices))
        value = self._values.value(node.argument, scope)
        subquery = self._queries.query(node.choices, scope, hidden=False)
        if len(subquery.columns) != 1:
            message = f"a subquery after IN gives one column, not {len(subquery.columns)}"
            raise self._values.error(node.choices, message)
        type_ = of_column(subquery.columns[0])
        only_null = 0 in subquery.all_null
        if not only_null and value.type not in ("NULL", type_) and not (value.is_number and type_ in NUMBERS):
            message = f"{WORDS[value.type]} cannot be found among values that are {WORDS[type_]}"
            raise self._values.error(node, message)
        if value.is_geometry or value.type in ("ARRAY", "BINARY"):
            raise self._values.error(node.argument, f"{WORDS[value.type]} cannot be compared")
        return sql(template, value.sql, sql("SELECT NULL") if only_null else subquery.statement)

    def _like(self, node: Like, scope: Scope) -> Sql:
        pieces: list[Sql] = []
        for part in (node.argument, node.pattern):
            value = self._values.value(part, scope)
            if value.type not in ("CHAR", "NULL"):
                raise self._values.error(part, f"{node.operator} compares strings, but this is {WORDS[value.type]}")
            pieces.append(sql("NULL::text") if value.type == "NULL" else value.sql)
        # ADQL has no escape character, PostgreSQL's is the backslash.
        template = {
            ("LIKE", False): "({} LIKE {} ESCAPE '')",
            ("LIKE", True): "({} NOT LIKE {} ESCAPE '')",
            ("ILIKE", False): "({} ILIKE {} ESCAPE '')",
            ("ILIKE", True): "({} NOT ILIKE {} ESCAPE '')",
        }[node.operator, node.negated]
        return sql(template, *pieces)

    def _is_null(self, node: IsNull, scope: Scope) -> Sql:
        value = self._values.value(node.argument, scope)
        piece = value.sql
        if value.shape is not None:
            piece = value.shape.dali_sql or value.shape.sphere
        return sql("({} IS NOT NULL)" if node.negated else "({} IS NULL)", piece)

    def _exists(self, node: Exists, scope: Scope) -> Sql:
        return sql("EXISTS ({})", self._queries.query(node.query, scope, hidden=False).statement)

    # ----------------------------------------------------------------------------- what can be compared

    def _alike(self, nodes: list[ValueNode], scope: Scope) -> list[Sql]:
        """The SQL of values that are compared with the first, of types that PostgreSQL compares."""
        values = [self._values.value(node, scope) for node in nodes]
        first = next((value for value in values if value.type != "NULL"), values[0])
        for node, value in zip(nodes, values, strict=True):
            if not _comparable(first, value):
                hint = ""
                if "CHAR" in (first.type, value.type) and (first.is_number or value.is_number):
                    hint = "numbers are written without quotes, and CAST(x AS DOUBLE PRECISION) reads a string"
                other = "another one" if first.type == value.type else WORDS[value.type]
                if first.is_geometry and value.is_geometry:
                    hint = "DISTANCE(a, b) = 0 holds for equal points, and CONTAINS and INTERSECTS compare shapes"
                what = f"{WORDS[first.type]} cannot be compared with {other}"
                raise self._values.error(node, what, hint)
        types = {value.type for value in values}
        return [self._as_one_of(node, value, types) for node, value in zip(nodes, values, strict=True)]

    def _as_one_of(self, node: ValueNode, value: Value, types: set[Type]) -> Sql:
        """A value as it has to be among values of these types."""
        if value.type == "CHAR" and "TIMESTAMP" in types:
            return casts.as_timestamp(self._values, node, value).sql
        if value.type == "BOOLEAN":
            return sql("({})::int4", value.sql)
        if isinstance(value.constant, int) and types & {"REAL", "DOUBLE"}:
            # PostgreSQL compares real with integer by casting the column, which costs its index.
            return double(float(value.constant))
        return value.sql


def _comparable(a: Value, b: Value) -> bool:
    """Whether ADQL can compare two values."""
    if a.type == b.type:
        return a.type not in _INCOMPARABLE
    kinds = {_KIND.get(a.type, a.type), _KIND.get(b.type, b.type)}
    if "NULL" in kinds:
        return True
    if kinds & _INCOMPARABLE:
        return False
    return len(kinds) == 1 or kinds in ({"TIMESTAMP", "CHAR"}, {"BOOLEAN", "number"})


_INCOMPARABLE = frozenset({"POINT", "CIRCLE", "POLYGON", "MOC", "ARRAY", "BINARY"})
_KIND: dict[Type, str] = dict.fromkeys(NUMBERS, "number")
