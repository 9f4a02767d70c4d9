"""What names mean at a place in a query: the tables of FROM, their columns, and the queries around."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from km3vo.adql import value as values
from km3vo.adql.shapes import Kind, Shape, point_from, point_in
from km3vo.adql.sources import Source, matches, spelled
from km3vo.adql.sql import Sql, identifier
from km3vo.adql.tree import ColumnRef, Name, Node
from km3vo.adql.types import GEOMETRIES
from km3vo.adql.value import Value
from km3vo.catalog.column import Column


@dataclass(slots=True)
class Relation:
    """A table, derived table or CTE in FROM. ``alias`` is what it is called in the SQL, ``name`` by the user."""

    source: Source
    alias: str
    name: Name | None = None

    def is_called(self, parts: tuple[Name, ...]) -> bool:
        """Whether qualifiers of a column mean this table."""
        if self.name is not None:
            return len(parts) == 1 and parts[0].folded == self.name.folded
        actual = self.source.name[-len(parts) :]
        if len(actual) != len(parts) or not matches(parts[-1], actual[-1], self.source.folded):
            return False
        return all(part.text.lower() == a.lower() for part, a in zip(parts[:-1], actual[:-1], strict=True))

    @property
    def shown(self) -> str:
        """What to write in front of its columns."""
        return str(self.name) if self.name is not None else self.source.qualified

    def value(self, column: Column) -> Value:
        """A column of it."""
        piece = identifier(self.alias, column.sql)
        made = values.of(column, piece, (self.alias, column.name))
        if made.type in GEOMETRIES:
            kind: Kind = made.type  # type: ignore[assignment]
            hidden = self.source.geometries.get(column.name)
            made.piece = None
            if hidden == column.sql:
                made.shape = point_in(piece) if kind == "POINT" else Shape(kind, piece)
            else:
                made.shape = point_from(piece) if kind == "POINT" else Shape(kind, dali_sql=piece)
                made.shape.sphere_sql = identifier(self.alias, hidden) if hidden else None
            made.shape.indexed = hidden is not None and kind == "POINT"
        return made


@dataclass(slots=True)
class Part:
    """Some of the columns that can be named without qualifier: one merged by NATURAL or USING, or a table's."""

    relation: Relation | None = None
    hidden: frozenset[str] = frozenset()
    merged: Value | None = None

    def find(self, name: Name) -> list[Value]:
        """The columns of that name."""
        if self.merged is not None:
            return [self.merged] if matches(name, self.merged.name) else []
        assert self.relation is not None
        return [
            self.relation.value(column) for column in self.relation.source.find(name) if column.name not in self.hidden
        ]

    def all(self) -> Iterator[Value]:
        """All of them, in order."""
        if self.merged is not None:
            yield self.merged
        else:
            assert self.relation is not None
            for column in self.relation.source.columns:
                if column.name not in self.hidden:
                    yield self.relation.value(column)


@dataclass(slots=True)
class Scope:
    """The names of one SELECT, and of those around it.

    Attributes:
        parts: what can be named, in the order of SELECT *.
        outer: the scope around a correlated subquery.
        aggregates: whether an aggregate may stand here.
        grouped: SQL of the values in GROUP BY; None where the query is not grouped.
        loose: columns met outside of aggregates and groups: where a query is grouped, there may be none.
        uses: number of columns of this scope named so far, to tell whose an aggregate is.
        found_aggregate: whether one was met.
        aliases: output columns by name, for ORDER BY and GROUP BY.
    """

    outer: Scope | None = None
    parts: list[Part] = field(default_factory=list)
    aggregates: bool = False
    inside_aggregate: bool = False
    grouped: set[Sql] | None = None
    loose: list[tuple[Node, str]] = field(default_factory=list)
    uses: int = 0
    found_aggregate: bool = False
    aliases: dict[str, list[Value]] = field(default_factory=dict)

    @property
    def relations(self) -> list[Relation]:
        """The tables of this SELECT."""
        return [part.relation for part in self.parts if part.relation is not None]

    def find(self, reference: ColumnRef) -> list[Value]:
        """The columns of this scope that a reference may mean, the outer ones not looked at."""
        *qualifiers, name = reference.parts
        if not qualifiers:
            return [value for part in self.parts for value in part.find(name)]
        return [
            relation.value(column)
            for relation in self.relations
            if relation.is_called(tuple(qualifiers))
            for column in relation.source.find(name)
        ]

    def names(self) -> list[str]:
        """The columns that can be named here, as they have to be written."""
        found: dict[str, None] = {}
        scope: Scope | None = self
        while scope is not None:
            for part in scope.parts:
                folded = part.relation is not None and part.relation.source.folded
                for value in part.all():
                    found[spelled(value.name, folded)] = None
            scope = scope.outer
        return list(found)
