"""From the tree of a value to its SQL, type and metadata (ADQL 2.1 §2.3, §3)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from km3vo.adql import casts, functions, shapes, udf, units
from km3vo.adql.mistakes import did_you_mean, mistake
from km3vo.adql.query_tables import TEXT, spelled, texts_of
from km3vo.adql.scope import Scope
from km3vo.adql.sql import Sql, double, integer, joined, sql, text
from km3vo.adql.tree import (
    Aggregate,
    Call,
    Cast,
    Chain,
    ColumnRef,
    Node,
    Null,
    Number,
    Parenthesis,
    Signed,
    String,
    ValueNode,
)
from km3vo.adql.types import WORDS, Type, wider
from km3vo.adql.value import Value, common_frame
from km3vo.errors import AdqlError

_INT4, _INT8 = 2**31, 2**63

# Texts that a string may be put together from, through all subqueries. With each level of || the length grows by a
# factor: three thousand characters of ADQL made strings of 20 GB.
MAX_TEXTS = 10_000

# Characters of SQL that the functions of a query may become, together.
MAX_SQL = 20_000_000
# How often a function names its argument, about: for columns of subqueries, which PostgreSQL writes out.
_TIMES = 5


class Values:
    """Resolves the values of a query.

    Args:
        text: the query.
    """

    def __init__(self, text: str):
        self._text = text
        self._written = 0
        self._texts = 0  # in the value that is being resolved
        self._longest = 0  # of its parts
        self._rules: dict[type[ValueNode], Callable[[Any, Scope], Value]] = {
            Number: self._number,
            String: self._string,
            Null: self._null,
            ColumnRef: self._column,
            Parenthesis: self._parenthesis,
            Signed: self._signed,
            Chain: self._chain,
            Call: self._call,
            Aggregate: self._aggregate,
            Cast: self._cast,
        }

    def error(self, node: Node, message: str, hint: str = "") -> AdqlError:
        """An error about a part of the query."""
        return mistake(self._text, node.start, node.end, message, hint)

    # ---------------------------------------------------------------------------------------- entry

    def value(self, node: ValueNode, scope: Scope) -> Value:
        """Resolve a value."""
        around, self._texts, self._longest = (self._texts, self._longest), 0, 0
        value = self._resolved(node, scope)
        value.texts = max(value.texts, self._texts) if value.type == "CHAR" else 1
        if value.texts > MAX_TEXTS and value.texts > self._longest > 0:
            hint = f"write fewer || and fewer IVO_STRING_AGG; of a long text each {TEXT} characters count as one"
            raise self.error(node, f"this string would be put together from more than {MAX_TEXTS:,} others", hint)
        self._texts, self._longest = around[0] + value.texts, max(around[1], value.texts)
        return value

    def _resolved(self, node: ValueNode, scope: Scope) -> Value:
        grouped = scope.grouped
        if grouped is None:
            return self._rules[type(node)](node, scope)
        ungrouped = len(scope.ungrouped)
        value = self._rules[type(node)](node, scope)
        # What GROUP BY names may be used as a whole.
        if len(scope.ungrouped) > ungrouped and value.sql in grouped:
            del scope.ungrouped[ungrouped:]
            if value.shape is not None:
                value = replace(value, shape=shapes.published(value.shape))
        return value

    def number(self, node: ValueNode, scope: Scope) -> Value:
        """Resolve a value that has to be a number; a boolean counts as 0 or 1."""
        value = self.value(node, scope)
        if value.type == "BOOLEAN":
            return Value("INTEGER", sql("({})::int4", value.sql), name=value.name)
        if not value.is_number and value.type != "NULL":
            raise self.error(node, f"a number is needed here, but this is {WORDS[value.type]}")
        return value

    def in_aggregate(self, node: Aggregate | Call, arguments: list[ValueNode], scope: Scope) -> list[Value]:
        """Resolve the arguments of an aggregate."""
        if scope.inside_aggregate:
            raise self.error(node, "an aggregate cannot hold another", "use a subquery in FROM")
        if not scope.aggregates:
            raise self.error(node, f"{node.name} cannot stand here", "conditions on aggregates belong to HAVING")
        scope.found_aggregate = True
        inner, outer = scope.uses, _uses(scope.outer)
        scope.inside_aggregate = True
        values = [self.value(argument, scope) for argument in arguments]
        scope.inside_aggregate = False
        # SQL would make such an aggregate one of the query around.
        if scope.uses == inner and _uses(scope.outer) != outer:
            raise self.error(node, f"{node.name} of a column of the query around is not possible here")
        return values

    # ------------------------------------------------------------------------------ literals, columns

    def _number(self, node: Number, scope: Scope) -> Value:
        if node.text.isdigit() and len(node.text) < 20:
            whole = int(node.text)
            if whole < _INT4:
                return Value("INTEGER", integer(whole), constant=whole)
            if whole < _INT8:
                return Value("BIGINT", integer(whole), constant=whole)
        decimal = float(node.text)
        if decimal == float("inf"):
            raise self.error(node, "this number is too large")
        return Value("DOUBLE", double(decimal), constant=decimal)

    def _string(self, node: String, scope: Scope) -> Value:
        texts = texts_of(len(node.text))
        return Value("CHAR", text(node.text), constant=node.text, unicode=not node.text.isascii(), texts=texts)

    def _null(self, node: Null, scope: Scope) -> Value:
        return Value("NULL", sql("NULL"))

    def _parenthesis(self, node: Parenthesis, scope: Scope) -> Value:
        return self.value(node.argument, scope)

    def _column(self, node: ColumnRef, scope: Scope) -> Value:
        place: Scope | None = scope
        while place is not None:
            columns = place.find(node)
            if len(columns) > 1:
                written = ".".join(map(str, node.parts))
                tables = [relation.shown for relation in place.relations if relation.table.find(node.parts[-1])]
                hint = f"write {' or '.join(f'{table}.{node.parts[-1]}' for table in tables[:4])}"
                raise self.error(node, f"{written} may mean more than one column", hint)
            if columns:
                return self._used(node, columns[0], place)
            place = place.outer
        if len(node.parts) == 1:
            outputs = scope.aliases.get(node.parts[0].folded, [])
            if len(outputs) == 1:
                return outputs[0]
        raise self._unknown(node, scope)

    def _used(self, node: ColumnRef, column: Value, place: Scope) -> Value:
        """A column of a scope, which takes note of it."""
        place.uses += 1
        if column.size:
            self._count(node, _TIMES * column.size)
        if place.inside_aggregate:
            return column
        if place.grouped is not None and column.shape is not None:
            # GROUP BY has the published form; a hidden column beside it would not be grouped.
            column = replace(column, shape=shapes.published(column.shape))
        if not (place.grouped and column.sql in place.grouped):
            place.ungrouped.append((node, spelled(column.name)))
        return column

    def _unknown(self, node: ColumnRef, scope: Scope) -> AdqlError:
        written = ".".join(map(str, node.parts))
        *qualifiers, name = node.parts
        place: Scope | None = scope
        shown: list[str] = []
        while place is not None:
            for relation in place.relations:
                shown.append(relation.shown)
                if qualifiers and relation.is_called(tuple(qualifiers)):
                    table = relation.table
                    columns = [table.spelled(column.name) for column in table.columns]
                    hint = did_you_mean(name.text, columns) or f"its columns are {_some(columns)}"
                    return self.error(node, f"{relation.shown} has no column {name}", hint)
            place = place.outer
        if qualifiers:
            called = ".".join(map(str, qualifiers))
            return self.error(node, f"there is no table {called} in FROM", f"there are {_some(shown)}")
        names = scope.names()
        hint = did_you_mean(name.text, names)
        if name.delimited:
            hint = f"{hint} Names go in double quotes, strings in single quotes.".strip()
        return self.error(node, f"there is no column {written}", hint or f"there are {_some(names)}")

    # ------------------------------------------------------------------------------------ operators

    def _signed(self, node: Signed, scope: Scope) -> Value:
        number = self.number(node.argument, scope)
        constant = number.constant
        if isinstance(constant, int | float) and node.sign == "-":
            constant = -constant
        type_: Type = "INTEGER" if number.type == "SMALLINT" else number.type
        piece = sql("(- {})" if node.sign == "-" else "(+ {})", self._widened(number))
        return Value(type_, piece, constant=constant, unit=number.unit, frame=number.frame)

    def _widened(self, number: Value) -> Sql:
        """int2 would overflow where a user sees small numbers only."""
        return sql("({})::int4", number.sql) if number.type == "SMALLINT" else number.sql

    def _chain(self, node: Chain, scope: Scope) -> Value:
        if node.rest[0][0] == "||":
            return self._concatenation(node, scope)
        ungrouped = len(scope.ungrouped)
        first = self.number(node.first, scope)
        pieces = [self._widened(first)]
        type_, unit, constant = first.type, first.unit, first.constant
        terms = [first]
        for operator, operand in node.rest:
            right = self.number(operand, scope)
            terms.append(right)
            pieces.append(sql(_OPERATORS[operator], self._widened(right)))
            unit = _unit(operator, unit, constant, right)
            constant = _folded(operator, constant, right.constant)
            type_ = wider(type_, right.type)
            type_ = "INTEGER" if type_ == "SMALLINT" else type_
            if scope.grouped and len(scope.ungrouped) > ungrouped:
                # a * b * c is (a * b) * c, and GROUP BY may have a * b.
                beginning = sql("({})", joined("", pieces))
                if beginning in scope.grouped:
                    pieces = [beginning]
                    del scope.ungrouped[ungrouped:]
        # A coordinate and an offset make a coordinate; multiplied it is none any more.
        frame = common_frame(terms) if operator in "+-" else None
        return Value(type_, sql("({})", joined("", pieces)), constant=constant, unit=unit, frame=frame)

    def _concatenation(self, node: Chain, scope: Scope) -> Value:
        operands = [node.first, *(operand for _, operand in node.rest)]
        values = [self.value(operand, scope) for operand in operands]
        for operand, value in zip(operands, values, strict=True):
            if value.is_geometry or value.type in ("ARRAY", "BINARY"):
                raise self.error(operand, f"{WORDS[value.type]} cannot be part of a string")
        constants = [value.constant for value in values if isinstance(value.constant, str)]
        return Value(
            "CHAR",
            sql("({})", joined(" || ", [casts.as_text(value) for value in values])),
            constant="".join(constants) if len(constants) == len(values) else None,
            unicode=any(value.unicode for value in values),
        )

    # ------------------------------------------------------------------------------------ functions

    def _call(self, node: Call, scope: Scope) -> Value:
        function = functions.FUNCTIONS.get(node.name)
        if function is not None:
            return self._counted(node, function(self, node, scope))
        defined = udf.FUNCTIONS.get(node.name)
        if defined is None:
            hint = did_you_mean(node.name, [*functions.FUNCTIONS, *udf.FUNCTIONS])
            raise self.error(node, f"there is no function {node.name.lower()}", hint or "/capabilities lists them all")
        return self._counted(node, defined.value(self, node, scope))

    def _cast(self, node: Cast, scope: Scope) -> Value:
        return self._counted(node, casts.cast(self, node, scope))

    def _counted(self, node: Call | Cast, value: Value) -> Value:
        """A function's value, if there is room for it.

        Most geometries name their coordinates more than once, so that functions of functions of functions grow by a
        factor with each level: a line of ADQL could fill the memory.
        """
        pieces = [value.piece] if value.shape is None else [value.shape.sphere_sql, value.shape.dali_sql]
        self._count(node, sum(len(piece) for piece in pieces if piece is not None))
        return value

    def _count(self, node: Node, characters: int) -> None:
        self._written += characters
        if self._written > MAX_SQL:
            raise self.error(node, "too many functions of functions", "work the inner ones out in a subquery in FROM")

    def _aggregate(self, node: Aggregate, scope: Scope) -> Value:
        if node.argument is None:
            self.in_aggregate(node, [], scope)
            return Value("BIGINT", sql("count(*)"), ucd="meta.number", description="Number of rows", name="count")
        (value,) = self.in_aggregate(node, [node.argument], scope)
        return functions.aggregate(self, node, value)


def _uses(scope: Scope | None) -> int:
    total = 0
    while scope is not None:
        total += scope.uses
        scope = scope.outer
    return total


_OPERATORS = {"+": " + {}", "-": " - {}", "*": " * {}", "/": " / {}"}


def _unit(operator: str, unit: str | None, constant: object, right: Value) -> str | None:
    """The unit of a sum or product. A bare number takes the unit of what it is added to."""
    if operator == "*":
        return units.product(unit, right.unit)
    if operator == "/":
        return units.quotient(unit, right.unit)
    if unit == right.unit:
        return unit
    if constant is not None and unit is None:
        return right.unit
    return unit if right.constant is not None and right.unit is None else None


def _folded(operator: str, a: object, b: object) -> float | int | None:
    """A sum of constants, so that CIRCLE(ra, dec, 1./60) is known to have a constant radius.

    What has no finite value is left to PostgreSQL, which says so when it comes to it.
    """
    if not isinstance(a, int | float) or not isinstance(b, int | float):
        return None
    try:
        folded = _worked_out(operator, a, b)
        return folded if math.isfinite(folded) else None
    except (ZeroDivisionError, OverflowError):
        return None


def _worked_out(operator: str, a: float, b: float) -> float:
    if operator == "+":
        return a + b
    if operator == "-":
        return a - b
    if operator == "*":
        return a * b
    if isinstance(a, int) and isinstance(b, int):
        # PostgreSQL, like SQL-92, divides whole numbers with a whole result, towards zero.
        return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    return a / b


def _some(names: list[str]) -> str:
    """A few names for a hint."""
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "") if names else "none"
