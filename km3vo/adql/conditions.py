"""From the tree of a condition to its SQL (ADQL 2.1 §2.2.3)."""

from __future__ import annotations

from collections.abc import Callable

from km3vo.adql import casts, geometry, shapes
from km3vo.adql.resolve import Values
from km3vo.adql.scope import Scope
from km3vo.adql.sources import Sources
from km3vo.adql.sql import Sql, joined, sql
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
from km3vo.adql.types import WORDS
from km3vo.adql.value import Value

_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "<>": "<>"}
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
        left, right = self._pair(node.left, node.right, scope)
        return sql(_COMPARE[node.operator], left, right)

    def _truth(self, call: Call, other: ValueNode, operator: str, scope: Scope) -> Sql | None:
        """1 = CONTAINS(...) and its kind: only the bare condition is answered by an index."""
        if operator not in ("=", "<>") or not isinstance(other, Number) or other.text not in ("0", "1"):
            return None
        if call.name not in ("CONTAINS", "INTERSECTS") and not call.name.startswith("IVO_"):
            return None
        made = self.value(call, scope)
        if made.truth is None:
            return None
        return made.truth if (other.text == "1") == (operator == "=") else sql("(NOT {})", made.truth)

    def _closer(self, call: Call, other: ValueNode, operator: str, scope: Scope) -> Sql | None:
        """DISTANCE(...) < r: likewise, and the form of a crossmatch that is recommended (§4.2.8)."""
        if call.name != "DISTANCE" or operator not in ("<", "<="):
            return None
        limit = self.number(other, scope)
        constant = limit.constant
        a, b = geometry.two_points(self, call, scope)
        return shapes.closer(a, b, operator, limit.sql, constant if isinstance(constant, int | float) else None)

    def _between(self, node: Between, scope: Scope) -> Sql:
        value, low, high = (self.value(part, scope) for part in (node.argument, node.low, node.high))
        pieces = [
            self._matched(node.argument, value, node.low, low),
            self._matched(node.argument, value, node.high, high),
        ]
        template = "({} NOT BETWEEN {} AND {})" if node.negated else "({} BETWEEN {} AND {})"
        between = sql(template, pieces[0][0], pieces[0][1], pieces[1][1])
        if node.negated or not isinstance(node.argument, Call) or node.argument.name != "DISTANCE":
            return between
        nearer = self._closer(node.argument, node.high, "<=", scope)
        return between if nearer is None else sql("({} AND {})", nearer, between)

    def _in(self, node: In, scope: Scope) -> Sql:
        value = self.value(node.argument, scope)
        template = "({} NOT IN ({}))" if node.negated else "({} IN ({}))"
        if isinstance(node.choices, Query):
            subquery, columns = self.subquery(node.choices, scope)
            if len(columns) != 1:
                raise self.error(node.choices, f"a subquery after IN gives one column, not {len(columns)}")
            found = Value(self.type_of(columns[0]), sql("NULL"), column=columns[0])
            if not self.comparable(value, found) or value.type == "TIMESTAMP" != found.type:
                raise self.error(node, f"{WORDS[value.type]} cannot be found among values that are {WORDS[found.type]}")
            return sql(template, self._plain(value, found), subquery)
        left = None
        pieces = []
        for choice in node.choices:
            left, right = self._matched(node.argument, value, choice, self.value(choice, scope))
            pieces.append(right)
        assert left is not None
        return sql(template, left, joined(", ", pieces))

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
        subquery, _ = self.subquery(node.query, scope)
        return sql("EXISTS ({})", subquery)

    # ----------------------------------------------------------------------------- what can be compared

    def _pair(self, left: ValueNode, right: ValueNode, scope: Scope) -> tuple[Sql, Sql]:
        return self._matched(left, self.value(left, scope), right, self.value(right, scope))

    def _matched(self, left: ValueNode, a: Value, right: ValueNode, b: Value) -> tuple[Sql, Sql]:
        """The SQL of two values, of types that PostgreSQL compares."""
        if not self.comparable(a, b):
            hint = ""
            if {a.type, b.type} >= {"CHAR"} and (a.is_number or b.is_number):
                hint = "numbers are written without quotes, and CAST(x AS DOUBLE PRECISION) reads a string"
            place = right if right.start >= left.start else left
            raise self.error(place, f"{WORDS[a.type]} cannot be compared with {WORDS[b.type]}", hint)
        if a.type == "TIMESTAMP" and b.type == "CHAR":
            b = casts.as_timestamp(self, right, b)
        elif b.type == "TIMESTAMP" and a.type == "CHAR":
            a = casts.as_timestamp(self, left, a)
        return self._plain(a, b), self._plain(b, a)

    @staticmethod
    def _plain(value: Value, other: Value) -> Sql:
        """A boolean counts as 0 or 1 beside a number."""
        if value.type == "BOOLEAN" and other.is_number:
            return sql("({})::int4", value.sql)
        return value.sql
