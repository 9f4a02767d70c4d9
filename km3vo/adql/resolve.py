"""From the tree of a value to its SQL, type and metadata (ADQL 2.1 §2.3, §3)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from km3vo.adql import casts, functions, geometry, shapes, udf, units
from km3vo.adql.mistakes import did_you_mean, mistake
from km3vo.adql.scope import Scope
from km3vo.adql.shapes import Shape
from km3vo.adql.sources import Sources, spelled
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
    Query,
    Signed,
    String,
)
from km3vo.adql.tree import Value as ValueNode
from km3vo.adql.types import NUMBERS, WORDS, Type, wider
from km3vo.adql.value import Value
from km3vo.errors import AdqlError

if TYPE_CHECKING:
    from km3vo.adql.subquery import Resolved

_INT4, _INT8 = 2**31, 2**63


# Characters of SQL that the functions of a query may become, together.
MAX_SQL = 20_000_000


class Values:
    """Resolves values."""

    def __init__(self, query: str, sources: Sources):
        self.text = query
        self.sources = sources
        self._written = 0
        self._resolvers: dict[type[ValueNode], Callable[..., Value]] = {
            Number: self._number,
            String: self._string,
            Null: self._null,
            ColumnRef: self._column,
            Parenthesis: self._parenthesis,
            Signed: self._signed,
            Chain: self._chain,
            Call: lambda node, scope: self._weighed(node, self._call(node, scope)),
            Aggregate: self._aggregate,
            Cast: lambda node, scope: self._weighed(node, casts.cast(self, node, scope)),
        }

    def error(self, node: Node, message: str, hint: str = "") -> AdqlError:
        """An error about a part of the query."""
        return mistake(self.text, node.start, node.end, message, hint)

    @abstractmethod
    def subquery(self, query: Query, scope: Scope) -> Resolved:
        """A subquery of a condition; defined by those that know queries."""

    @staticmethod
    def comparable(a: Value, b: Value) -> bool:
        """Whether ADQL can compare two values."""
        if a.type == b.type:
            return a.type not in _INCOMPARABLE
        kinds = {_KIND.get(a.type, a.type), _KIND.get(b.type, b.type)}
        if "NULL" in kinds:
            return True
        if kinds & _INCOMPARABLE:
            return False
        return len(kinds) == 1 or kinds in ({"TIMESTAMP", "CHAR"}, {"BOOLEAN", "number"})

    # ---------------------------------------------------------------------------------------- entry

    def value(self, node: ValueNode, scope: Scope) -> Value:
        """Resolve a value."""
        grouped = scope.grouped
        if grouped is None:
            return self._resolvers[type(node)](node, scope)
        before = len(scope.loose)
        made = self._resolvers[type(node)](node, scope)
        # What GROUP BY names may be used as a whole.
        if len(scope.loose) > before and made.sql in grouped:
            del scope.loose[before:]
            if made.shape is not None:
                made = replace(made, shape=shapes.published(made.shape))
        return made

    def _weighed(self, node: Call | Cast, made: Value) -> Value:
        """A function's value, if there is room for it.

        Most geometries name their coordinates more than once, so that functions of functions of functions grow by a
        factor with each level: a line of ADQL could fill the memory.
        """
        pieces = [made.piece] if made.shape is None else [made.shape.sphere_sql, made.shape.dali_sql]
        self._written += sum(len(piece) for piece in pieces if piece is not None)
        if self._written > MAX_SQL:
            raise self.error(node, "too many functions of functions", "work the inner ones out in a subquery in FROM")
        return made

    def number(self, node: ValueNode, scope: Scope) -> Value:
        """Resolve a value that has to be a number; a boolean counts as 0 or 1."""
        made = self.value(node, scope)
        if made.type == "BOOLEAN":
            return Value("INTEGER", sql("({})::int4", made.sql), name=made.name)
        if not made.is_number and made.type != "NULL":
            raise self.error(node, f"a number is needed here, but this is {WORDS[made.type]}")
        return made

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
        return Value("CHAR", text(node.text), constant=node.text, unicode=not node.text.isascii())

    def _null(self, node: Null, scope: Scope) -> Value:
        return Value("NULL", sql("NULL"))

    def _parenthesis(self, node: Parenthesis, scope: Scope) -> Value:
        return self.value(node.argument, scope)

    def _column(self, node: ColumnRef, scope: Scope) -> Value:
        place: Scope | None = scope
        while place is not None:
            found = place.find(node)
            if len(found) > 1:
                written = ".".join(map(str, node.parts))
                tables = [relation.shown for relation in place.relations if relation.source.find(node.parts[-1])]
                hint = f"write {' or '.join(f'{table}.{node.parts[-1]}' for table in tables[:4])}"
                raise self.error(node, f"{written} may mean more than one column", hint)
            if found:
                return self._used(node, found[0], place)
            place = place.outer
        if len(node.parts) == 1:
            hits = scope.aliases.get(node.parts[0].folded, [])
            if len(hits) == 1:
                return hits[0]
        raise self._unknown(node, scope)

    def _used(self, node: ColumnRef, made: Value, place: Scope) -> Value:
        """A column of a scope, which takes note of it."""
        place.uses += 1
        if place.inside_aggregate:
            return made
        if place.grouped is not None and made.shape is not None:
            # GROUP BY has the published form; a hidden column beside it would not be grouped.
            made = replace(made, shape=shapes.published(made.shape))
        if not (place.grouped and made.sql in place.grouped):
            place.loose.append((node, spelled(made.name)))
        return made

    def _unknown(self, node: ColumnRef, scope: Scope) -> AdqlError:
        written = ".".join(map(str, node.parts))
        *qualifiers, name = node.parts
        place: Scope | None = scope
        shown: list[str] = []
        while place is not None:
            for relation in place.relations:
                shown.append(relation.shown)
                if qualifiers and relation.is_called(tuple(qualifiers)):
                    source = relation.source
                    columns = [source.spelled(column.name) for column in source.columns]
                    hint = did_you_mean(name.text, columns) or f"its columns are {_some(columns)}"
                    return self.error(node, f"{relation.shown} has no column {name}", hint)
            place = place.outer
        if qualifiers:
            table = ".".join(map(str, qualifiers))
            return self.error(node, f"there is no table {table} in FROM", f"there are {_some(shown)}")
        names = scope.names()
        hint = did_you_mean(name.text, names)
        if name.delimited:
            hint = f"{hint} Names go in double quotes, strings in single quotes.".strip()
        return self.error(node, f"there is no column {written}", hint or f"there are {_some(names)}")

    # ------------------------------------------------------------------------------------ operators

    def _signed(self, node: Signed, scope: Scope) -> Value:
        made = self.number(node.argument, scope)
        constant = made.constant
        if isinstance(constant, int | float) and node.sign == "-":
            constant = -constant
        type_: Type = "INTEGER" if made.type == "SMALLINT" else made.type
        piece = sql("(- {})" if node.sign == "-" else "(+ {})", self._widened(made))
        return Value(type_, piece, constant=constant, unit=made.unit)

    def _widened(self, made: Value) -> Sql:
        """int2 would overflow where a user sees small numbers only."""
        return sql("({})::int4", made.sql) if made.type == "SMALLINT" else made.sql

    def _chain(self, node: Chain, scope: Scope) -> Value:
        if node.rest[0][0] == "||":
            return self._concatenation(node, scope)
        before = len(scope.loose)
        made = self.number(node.first, scope)
        pieces = [self._widened(made)]
        type_, unit, constant = made.type, made.unit, made.constant
        for operator, operand in node.rest:
            right = self.number(operand, scope)
            pieces.append(sql(_OPERATORS[operator], self._widened(right)))
            unit = _unit(operator, unit, constant, right)
            constant = _folded(operator, constant, right.constant)
            type_ = wider(type_, right.type)
            type_ = "INTEGER" if type_ == "SMALLINT" else type_
            if scope.grouped and len(scope.loose) > before:
                # a * b * c is (a * b) * c, and GROUP BY may have a * b.
                begun = sql("({})", joined("", pieces))
                if begun in scope.grouped:
                    pieces = [begun]
                    del scope.loose[before:]
        return Value(type_, sql("({})", joined("", pieces)), constant=constant, unit=unit)

    def _concatenation(self, node: Chain, scope: Scope) -> Value:
        made = [self.value(operand, scope) for operand in (node.first, *(operand for _, operand in node.rest))]
        for operand, one in zip((node.first, *(o for _, o in node.rest)), made, strict=True):
            if one.is_geometry or one.type in ("ARRAY", "BINARY"):
                raise self.error(operand, f"{WORDS[one.type]} cannot be part of a string")
        constant = "".join(one.constant for one in made if isinstance(one.constant, str))
        whole = all(isinstance(one.constant, str) for one in made)
        pieces = [casts.as_text(one) for one in made]
        return Value(
            "CHAR",
            sql("({})", joined(" || ", pieces)),
            constant=constant if whole else None,
            unicode=any(one.unicode for one in made),
        )

    # ------------------------------------------------------------------------------------ functions

    def _call(self, node: Call, scope: Scope) -> Value:
        function = functions.FUNCTIONS.get(node.name)
        if function is not None:
            return function(self, node, scope)
        defined = udf.FUNCTIONS.get(node.name)
        if defined is None:
            hint = did_you_mean(node.name, [*functions.FUNCTIONS, *udf.FUNCTIONS])
            raise self.error(node, f"there is no function {node.name.lower()}", hint or "/capabilities lists them all")
        return defined.value(self, node, scope)

    def _aggregate(self, node: Aggregate, scope: Scope) -> Value:
        if node.argument is None:
            self.in_aggregate(node, [], scope)
            return Value("BIGINT", sql("count(*)"), ucd="meta.number", description="Number of rows", name="count")
        (made,) = self.in_aggregate(node, [node.argument], scope)
        return functions.aggregate(self, node, made)

    def in_aggregate(self, node: Aggregate | Call, arguments: list[ValueNode], scope: Scope) -> list[Value]:
        """Resolve the arguments of an aggregate."""
        if scope.inside_aggregate:
            raise self.error(node, "an aggregate cannot hold another", "use a subquery in FROM")
        if not scope.aggregates:
            raise self.error(node, f"{node.name} cannot stand here", "conditions on aggregates belong to HAVING")
        scope.found_aggregate = True
        before, around = scope.uses, _uses(scope.outer)
        scope.inside_aggregate = True
        made = [self.value(argument, scope) for argument in arguments]
        scope.inside_aggregate = False
        # SQL would make such an aggregate one of the query around.
        if scope.uses == before and _uses(scope.outer) != around:
            raise self.error(node, f"{node.name} of a column of the query around is not possible here")
        return made

    def point(self, lon: ValueNode, lat: ValueNode, x: Value, y: Value) -> Shape:
        """A point from two resolved coordinates, for functions that take them apart."""
        return geometry.point_of(self, lon, lat, x, y)


def _uses(scope: Scope | None) -> int:
    total = 0
    while scope is not None:
        total += scope.uses
        scope = scope.outer
    return total


_INCOMPARABLE = frozenset({"POINT", "CIRCLE", "POLYGON", "MOC", "ARRAY", "BINARY"})
_KIND: dict[Type, str] = dict.fromkeys(NUMBERS, "number")

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
    """A sum of constants, so that CIRCLE(ra, dec, 1./60) is known to have a constant radius."""
    if not isinstance(a, int | float) or not isinstance(b, int | float):
        return None
    try:
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
    except (ZeroDivisionError, OverflowError):
        return None


def _some(names: list[str]) -> str:
    """A few names for a hint."""
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "") if names else "none"
