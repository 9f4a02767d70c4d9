"""The syntax tree of a query: what was written, without a notion yet of what the names stand for.

Nodes are equal when they say the same; where they stand in the text does not matter.
Chains of operators are kept flat, so that a long one needs no deep recursion.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(slots=True, eq=False, repr=False)
class Node:
    """Anything in the tree. ``start`` and ``end`` are offsets in the text of the query."""

    start: int = field(default=-1, kw_only=True)
    end: int = field(default=-1, kw_only=True)

    # Once for all nodes: made anew for each class, these would take a fifth of the package's time to import.
    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return False
        return all(getattr(self, name) == getattr(other, name) for name in _fields(self))

    def __repr__(self) -> str:
        parts = ", ".join(f"{name}={getattr(self, name)!r}" for name in _fields(self))
        return f"{type(self).__name__}({parts})"


def _fields(node: Node) -> tuple[str, ...]:
    """What a node says: all its fields but the place, which is for keywords only."""
    return type(node).__match_args__


@dataclass(frozen=True, slots=True)
class Name:
    """An identifier: regular ones mean the same in any case, delimited ones are exact (ADQL 2.1 §2.1.5-7)."""

    text: str
    delimited: bool = False

    @property
    def folded(self) -> str:
        """What to compare: regular identifiers in lower case."""
        return self.text if self.delimited else self.text.lower()

    def __str__(self) -> str:
        return '"' + self.text.replace('"', '""') + '"' if self.delimited else self.text


# ---------------------------------------------------------------------------------------------- values


@dataclass(slots=True, eq=False, repr=False)
class ValueNode(Node):
    """<value_expression>"""


@dataclass(slots=True, eq=False, repr=False)
class Number(ValueNode):
    """<unsigned_numeric_literal>, as written."""

    text: str


@dataclass(slots=True, eq=False, repr=False)
class String(ValueNode):
    """<character_string_literal>, without its quotes."""

    text: str


@dataclass(slots=True, eq=False, repr=False)
class Null(ValueNode):
    """The word NULL as a value."""


@dataclass(slots=True, eq=False, repr=False)
class ColumnRef(ValueNode):
    """<column_reference>: up to three qualifiers and a column."""

    parts: tuple[Name, ...]


@dataclass(slots=True, eq=False, repr=False)
class Call(ValueNode):
    """A function with its arguments; ``name`` is in capitals. A coordinate system in front is kept apart."""

    name: str
    arguments: list[ValueNode]
    system: ValueNode | None = None


@dataclass(slots=True, eq=False, repr=False)
class Aggregate(ValueNode):
    """<set_function_specification>; ``argument`` is None for COUNT(*)."""

    name: str
    argument: ValueNode | None
    distinct: bool = False


@dataclass(slots=True, eq=False, repr=False)
class Cast(ValueNode):
    """<cast_specification>; ``target`` in capitals, ``length`` for CHAR(n) and VARCHAR(n)."""

    argument: ValueNode
    target: str
    length: int | None = None


@dataclass(slots=True, eq=False, repr=False)
class Signed(ValueNode):
    """<factor> with a sign."""

    sign: str
    argument: ValueNode


@dataclass(slots=True, eq=False, repr=False)
class Chain(ValueNode):
    """Operators of one precedence, to be worked off from the left: + and -, or * and /, or ||."""

    first: ValueNode
    rest: list[tuple[str, ValueNode]]


@dataclass(slots=True, eq=False, repr=False)
class Parenthesis(ValueNode):
    """A value in parentheses."""

    argument: ValueNode


# ------------------------------------------------------------------------------------------ conditions


@dataclass(slots=True, eq=False, repr=False)
class Condition(Node):
    """<search_condition>"""


@dataclass(slots=True, eq=False, repr=False)
class Comparison(Condition):
    """<comparison_predicate>; != is kept as <>."""

    operator: str
    left: ValueNode
    right: ValueNode


@dataclass(slots=True, eq=False, repr=False)
class Logic(Condition):
    """Conditions joined by AND, or by OR."""

    operator: str
    arguments: list[Condition]


@dataclass(slots=True, eq=False, repr=False)
class Not(Condition):
    """<boolean_factor> with NOT."""

    argument: Condition


@dataclass(slots=True, eq=False, repr=False)
class Grouped(Condition):
    """A condition in parentheses."""

    argument: Condition


@dataclass(slots=True, eq=False, repr=False)
class Between(Condition):
    """<between_predicate>"""

    argument: ValueNode
    low: ValueNode
    high: ValueNode
    negated: bool = False


@dataclass(slots=True, eq=False, repr=False)
class In(Condition):
    """<in_predicate>"""

    argument: ValueNode
    choices: list[ValueNode] | Query
    negated: bool = False


@dataclass(slots=True, eq=False, repr=False)
class Like(Condition):
    """<like_predicate>; ``operator`` is LIKE or ILIKE."""

    operator: str
    argument: ValueNode
    pattern: ValueNode
    negated: bool = False


@dataclass(slots=True, eq=False, repr=False)
class IsNull(Condition):
    """<null_predicate>"""

    argument: ColumnRef
    negated: bool = False


@dataclass(slots=True, eq=False, repr=False)
class Exists(Condition):
    """<exists_predicate>"""

    query: Query


# --------------------------------------------------------------------------------------------- queries


@dataclass(slots=True, eq=False, repr=False)
class Star(Node):
    """* or table.*"""

    parts: tuple[Name, ...] = ()


@dataclass(slots=True, eq=False, repr=False)
class Item(Node):
    """<derived_column>: a value and perhaps its name."""

    value: ValueNode
    alias: Name | None = None


@dataclass(slots=True, eq=False, repr=False)
class TableRef(Node):
    """<table_name> [AS alias]"""

    parts: tuple[Name, ...]
    alias: Name | None = None


@dataclass(slots=True, eq=False, repr=False)
class Derived(Node):
    """<derived_table> AS alias"""

    query: Query
    alias: Name


@dataclass(slots=True, eq=False, repr=False)
class Join(Node):
    """<qualified_join>; at most one of ``natural``, ``on`` and ``using`` is set."""

    left: From
    right: From
    kind: Literal["INNER", "LEFT", "RIGHT", "FULL"] = "INNER"
    natural: bool = False
    on: Condition | None = None
    using: list[Name] | None = None


From = TableRef | Derived | Join


@dataclass(slots=True, eq=False, repr=False)
class Order(Node):
    """<order_by_term>"""

    value: ValueNode
    descending: bool = False


@dataclass(slots=True, eq=False, repr=False)
class Select(Node):
    """<select_query>"""

    items: list[Item | Star]
    tables: list[From]
    distinct: bool = False
    top: int | None = None
    where: Condition | None = None
    group: list[ValueNode] = field(default_factory=list)
    having: Condition | None = None


@dataclass(slots=True, eq=False, repr=False)
class SetChain(Node):
    """Operands joined by UNION and EXCEPT, or by INTERSECT; ``rest`` has (operator, ALL, operand)."""

    first: Body
    rest: list[tuple[str, bool, Body]]


@dataclass(slots=True, eq=False, repr=False)
class Query(Node):
    """<select_expression>, and with ``tables`` the whole <query_specification>."""

    body: Body
    order: list[Order] = field(default_factory=list)
    offset: int | None = None
    tables: list[tuple[Name, Query]] = field(default_factory=list)


# An operand that is a Query stands in parentheses.
Body = Select | SetChain | Query
