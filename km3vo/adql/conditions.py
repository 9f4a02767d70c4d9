"""From the tree of a condition to its SQL (ADQL 2.1 §2.2.3)."""

from __future__ import annotations

from collections.abc import Callable

from km3vo.adql import casts, geometry, separation
from km3vo.adql.resolve import Values
from km3vo.adql.scope import Scope
from km3vo.adql.shapes import Shape
from km3vo.adql.sources import Sources
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
)
from km3vo.adql.tree import Value as ValueNode
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


class Conditions(Values):
    """Resolves conditions."""

    def __init__(self, query: str, sources: Sources):
        super().__init__(query, sources)
        self._conditions: dict[type[Condition], Callable[..., Sql]] = {
            Comparison: self._comparison,
            Logic: self._logic,
            Not: self._not,
            Grouped: lambda node, scope: self.condition(node.argument, scope),
            Between: self._between,
            In: self._in,
            Like: self._like,
            IsNull: self._is_null,
            Exists: self._exists,
        }

    def condition(self, node: Condition, scope: Scope) -> Sql:
        """Resolve a condition. What comes out can be combined without further parentheses."""
        return self._conditions[type(node)](node, scope)

    def _logic(self, node: Logic, scope: Scope) -> Sql:
        parts = [self.condition(argument, scope) for argument in node.arguments]
        return sql("({})", joined(" AND " if node.operator == "AND" else " OR ", parts))

    def _not(self, node: Not, scope: Scope) -> Sql:
        return sql("(NOT {})", self.condition(node.argument, scope))

    # ---------------------------------------------------------------------------------- comparisons

    def _comparison(self, node: Comparison, scope: Scope) -> Sql:
        for one, other, operator in (
            (node.left, node.right, node.operator),
            (node.right, node.left, _MIRRORED[node.operator]),
        ):
            if isinstance(one, Call):
                made = self._truth(one, other, operator, scope) or self._closer(one, other, operator, scope)
                if made is not None:
                    return made
        return sql(_COMPARE[node.operator], *self._alike([node.left, node.right], scope))

    def _truth(self, call: Call, other: ValueNode, operator: str, scope: Scope) -> Sql | None:
        """1 = CONTAINS(...) and its kind: only the bare condition is answered by an index."""
        if operator not in ("=", "<>") or not isinstance(other, Number) or other.text not in ("0", "1"):
            return None
        if scope.grouped is not None:
            return None  # GROUP BY may have the value as a whole
        if call.name not in ("CONTAINS", "INTERSECTS") and not call.name.startswith("IVO_"):
            return None
        made = self.value(call, scope)
        if made.truth is None:
            return None
        return made.truth if (other.text == "1") == (operator == "=") else sql("(NOT {})", made.truth)

    def _closer(self, call: Call, other: ValueNode, operator: str, scope: Scope) -> Sql | None:
        """DISTANCE(...) < r: likewise, and the form of a crossmatch that is recommended (§4.2.8)."""
        if call.name != "DISTANCE" or operator not in _FARTHER or scope.grouped is not None:
            return None
        limit = self.number(other, scope)
        a, b = geometry.two_points(self, call, scope)
        farther = operator in (">", ">=")
        made = self._within(a, b, _FARTHER[operator] if farther else operator, limit, scope)  # type: ignore[arg-type]
        return sql("(NOT {})", made) if farther else made

    def _within(self, a: Shape, b: Shape, operator: separation.Closer, limit: Value, scope: Scope) -> Sql:
        if isinstance(limit.constant, int | float):
            return separation.closer(a, b, operator, double(float(limit.constant)), float(limit.constant))
        for center, point in ((a, b), (b, a)):
            circle = geometry.error_circle(center, limit, scope)
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
            value, *choices = self._alike([node.argument, *node.choices], scope)
            return sql(template, value, joined(", ", choices))
        made = self.value(node.argument, scope)
        found = self.subquery(node.choices, scope)
        if len(found.columns) != 1:
            raise self.error(node.choices, f"a subquery after IN gives one column, not {len(found.columns)}")
        type_ = of_column(found.columns[0])
        if 0 not in found.nothing and made.type not in ("NULL", type_) and not (made.is_number and type_ in NUMBERS):
            raise self.error(node, f"{WORDS[made.type]} cannot be found among values that are {WORDS[type_]}")
        if made.is_geometry or made.type in ("ARRAY", "BINARY"):
            raise self.error(node.argument, f"{WORDS[made.type]} cannot be compared")
        return sql(template, made.sql, sql("SELECT NULL") if 0 in found.nothing else found.statement)

    def _like(self, node: Like, scope: Scope) -> Sql:
        made = [self.value(part, scope) for part in (node.argument, node.pattern)]
        for part, one in zip((node.argument, node.pattern), made, strict=True):
            if one.type not in ("CHAR", "NULL"):
                raise self.error(part, f"{node.operator} compares strings, but this is {WORDS[one.type]}")
        # ADQL has no escape character, PostgreSQL's is the backslash.
        template = {
            ("LIKE", False): "({} LIKE {} ESCAPE '')",
            ("LIKE", True): "({} NOT LIKE {} ESCAPE '')",
            ("ILIKE", False): "({} ILIKE {} ESCAPE '')",
            ("ILIKE", True): "({} NOT ILIKE {} ESCAPE '')",
        }[node.operator, node.negated]
        return sql(template, *(sql("NULL::text") if one.type == "NULL" else one.sql for one in made))

    def _is_null(self, node: IsNull, scope: Scope) -> Sql:
        made = self.value(node.argument, scope)
        piece = made.sql
        if made.shape is not None:
            piece = made.shape.dali_sql or made.shape.sphere
        return sql("({} IS NOT NULL)" if node.negated else "({} IS NULL)", piece)

    def _exists(self, node: Exists, scope: Scope) -> Sql:
        return sql("EXISTS ({})", self.subquery(node.query, scope).statement)

    # ----------------------------------------------------------------------------- what can be compared

    def _alike(self, nodes: list[ValueNode], scope: Scope) -> list[Sql]:
        """The SQL of values that are compared with the first, of types that PostgreSQL compares."""
        values = [self.value(node, scope) for node in nodes]
        first = next((value for value in values if value.type != "NULL"), values[0])
        for node, value in zip(nodes, values, strict=True):
            if not self.comparable(first, value):
                hint = ""
                if "CHAR" in (first.type, value.type) and (first.is_number or value.is_number):
                    hint = "numbers are written without quotes, and CAST(x AS DOUBLE PRECISION) reads a string"
                what = f"{WORDS[first.type]} cannot be compared with {WORDS[value.type]}"
                raise self.error(node, what, hint)
        types = {value.type for value in values}
        return [self._as_one_of(node, value, types) for node, value in zip(nodes, values, strict=True)]

    def _as_one_of(self, node: ValueNode, value: Value, types: set[Type]) -> Sql:
        """A value as it has to be among values of these types."""
        if value.type == "CHAR" and "TIMESTAMP" in types:
            return casts.as_timestamp(self, node, value).sql
        if value.type == "BOOLEAN":
            return sql("({})::int4", value.sql)
        if isinstance(value.constant, int) and types & {"REAL", "DOUBLE"}:
            # PostgreSQL compares real with integer by casting the column, which costs its index.
            return double(float(value.constant))
        return value.sql
