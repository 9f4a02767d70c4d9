"""What names mean at a place in a query: the tables of FROM, their columns, and the queries around."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from km3vo.adql import value as values
from km3vo.adql.frames import FRAMES, ICRS
from km3vo.adql.query_tables import QueryTable, is_schema, matches, spelled
from km3vo.adql.shapes import Kind, Shape, point_from, point_in
from km3vo.adql.sql import Sql, identifier
from km3vo.adql.tree import ColumnRef, Name, Node
from km3vo.adql.types import GEOMETRIES
from km3vo.adql.value import Value
from km3vo.column import Column


@dataclass(slots=True)
class Relation:
    """A table, derived table or CTE in FROM.

    Attributes:
        table: which one.
        alias: what it is called in the SQL.
        name: what the user calls it, if not by its own name.
        optional: whether it is on the outer side of a join, so that there may be no row of it.
    """

    table: QueryTable
    alias: str
    name: Name | None = None
    optional: bool = False

    def is_called(self, parts: tuple[Name, ...]) -> bool:
        """Whether qualifiers of a column mean this table."""
        if self.name is not None:
            return len(parts) == 1 and parts[0].folded == self.name.folded
        actual = self.table.name[-len(parts) :]
        if len(actual) != len(parts) or not matches(parts[-1], actual[-1], self.table.folded):
            return False
        return is_schema(parts[:-1], actual[:-1])

    @property
    def shown(self) -> str:
        """What to write in front of its columns."""
        return str(self.name) if self.name is not None else self.table.qualified

    def value(self, column: Column) -> Value:
        """A column of it."""
        piece = identifier(self.alias, column.sql)
        value = values.of(column, piece, (self.alias, column.name))
        value.nullable = column.nullable or self.optional
        value.texts = self.table.texts.get(column.sql, 1)
        value.size = self.table.sizes.get(column.sql, 0)
        if value.type in GEOMETRIES:
            kind: Kind = value.type  # type: ignore[assignment]
            hidden = self.table.geometries.get(column.name)
            if hidden == column.sql:
                shape = point_in(piece) if kind == "POINT" else Shape(kind, piece)
            else:
                shape = point_from(piece) if kind == "POINT" else Shape(kind, dali_sql=piece)
                shape.sphere_sql = identifier(self.alias, hidden) if hidden else None
            if hidden is not None and kind == "POINT":
                shape.indexed = True
                shape.position = self.table.position((column.name,), hidden)
            # ICRS may be a guess; whatever else it is, somebody has said so.
            shape.frame = FRAMES.get(column.frame or "", ICRS)
            shape.stated = () if shape.frame is ICRS else (shape.frame,)
            value.piece, value.shape = None, shape
        return value


@dataclass(slots=True)
class Part:
    """Some of the columns that can be named without qualifier: one merged by NATURAL or USING, or a table's."""

    relation: Relation | None = None
    hidden: frozenset[str] = frozenset()
    merged: Value | None = None

    def make_optional(self) -> None:
        """It is on the outer side of a join: all of it may be NULL."""
        if self.merged is not None:
            self.merged = replace(self.merged, nullable=True)
        if self.relation is not None:
            self.relation.optional = True

    def find(self, name: Name) -> list[Value]:
        """The columns of that name."""
        if self.merged is not None:
            return [self.merged] if matches(name, self.merged.name) else []
        assert self.relation is not None
        return [
            self.relation.value(column) for column in self.relation.table.find(name) if column.name not in self.hidden
        ]

    def all(self) -> Iterator[Value]:
        """All of them, in order."""
        if self.merged is not None:
            yield self.merged
        else:
            assert self.relation is not None
            for column in self.relation.table.columns:
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
        ungrouped: columns named outside of aggregates and groups: where a query is grouped, there may be none.
        uses: number of columns of this scope named so far, to tell whose an aggregate is.
        inside_aggregate: whether the arguments of one are being resolved.
        found_aggregate: whether there is one in this SELECT.
        aliases: output columns by name, for ORDER BY and GROUP BY.
    """

    outer: Scope | None = None
    parts: list[Part] = field(default_factory=list)
    aggregates: bool = False
    inside_aggregate: bool = False
    grouped: set[Sql] | None = None
    ungrouped: list[tuple[Node, str]] = field(default_factory=list)
    uses: int = 0
    found_aggregate: bool = False
    aliases: dict[str, list[Value]] = field(default_factory=dict)

    @property
    def relations(self) -> list[Relation]:
        """The tables of this SELECT."""
        return [part.relation for part in self.parts if part.relation is not None]

    def written_out(self, piece: Sql) -> int:
        """Characters of a piece with the columns of subqueries written out, as PostgreSQL does it."""
        size = len(piece)
        for relation in self.relations:
            for name, more in relation.table.sizes.items():
                size += piece.count(identifier(relation.alias, name)) * more
        return size

    def find(self, reference: ColumnRef) -> list[Value]:
        """The columns of this scope that a reference may mean, the outer ones not looked at."""
        *qualifiers, name = reference.parts
        if not qualifiers:
            return [value for part in self.parts for value in part.find(name)]
        return [
            relation.value(column)
            for relation in self.relations
            if relation.is_called(tuple(qualifiers))
            for column in relation.table.find(name)
        ]

    def names(self) -> list[str]:
        """The columns that can be named here, as they have to be written."""
        names: dict[str, None] = {}
        scope: Scope | None = self
        while scope is not None:
            for part in scope.parts:
                folded = part.relation is not None and part.relation.table.folded
                for value in part.all():
                    names[spelled(value.name, folded)] = None
            scope = scope.outer
        return list(names)
