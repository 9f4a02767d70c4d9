"""A resolved query, and how it serves as a table for the query around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from km3vo.adql.sources import Source
from km3vo.adql.sql import MAX_IDENTIFIER, Sql, identifier, integer, joined, sql
from km3vo.adql.tree import Name
from km3vo.adql.types import cast
from km3vo.adql.value import Value
from km3vo.catalog.column import Column


@dataclass(slots=True)
class Resolved:
    """A query in SQL, and apart from it what may still be changed: ORDER BY, LIMIT and OFFSET.

    Attributes:
        sql: the statement without these.
        columns: of its result; ``Column.sql`` is the name in the statement.
        nothing: places of the columns that are nothing but NULL.
        geometries, positions, circles: hidden columns of the statement, as in Source.
        order: what to sort by.
        limit, offset: as far as the query has them.
    """

    sql: Sql
    columns: tuple[Column, ...]
    nothing: frozenset[int] = frozenset()
    geometries: dict[str, str] = field(default_factory=dict)
    positions: dict[tuple[str, str], str] = field(default_factory=dict)
    circles: dict[tuple[str, str, str], str] = field(default_factory=dict)
    order: list[Sql] = field(default_factory=list)
    limit: int | None = None
    offset: int | None = None

    @property
    def statement(self) -> Sql:
        """The whole query."""
        parts = [self.sql]
        if self.order:
            parts.append(sql(" ORDER BY {}", joined(", ", self.order)))
        if self.limit is not None:
            parts.append(sql(" LIMIT {}", integer(self.limit)))
        if self.offset is not None:
            parts.append(sql(" OFFSET {}", integer(self.offset)))
        return joined("", parts)

    def source(self, name: Name, relation: tuple[str, ...]) -> Source:
        """The query as a table in FROM."""
        return Source((name.folded,), relation, self.columns, self.positions, self.circles, self.geometries)


def output(value: Value) -> Sql:
    """The SQL of an output column, of exactly the type that it declares. A plain column is that already."""
    if value.column is not None or value.shape is not None or value.type in ("ARRAY", "BINARY"):
        return value.sql
    return cast(value.sql, value.type)


def described(values: Sequence[Value], shown: bool) -> tuple[Column, ...]:
    """The output columns.

    ``shown``: of the main query. Then names are made unique. In a subquery two columns of one name are legal as
    long as nobody names them.
    """
    names = unique([value.name for value in values]) if shown else [value.name for value in values]
    columns = zip(values, names, physical(names), strict=True)
    return tuple(value.described(name, called) for value, name, called in columns)


def unique(names: Sequence[str]) -> list[str]:
    """Names that differ in more than case."""
    taken: set[str] = set()
    found: list[str] = []
    for name in names:
        made, count = name, 1
        while made.lower() in taken:
            count += 1
            made = f"{name}_{count}"
        taken.add(made.lower())
        found.append(made)
    return found


def physical(names: Sequence[str]) -> list[str]:
    """What columns of these names are called in SQL.

    As themselves where that is possible. A leading underscore is kept for hidden columns.
    """
    kept = [name if _is_possible(name) and names.count(name) == 1 else "" for name in names]
    taken = set(kept)
    found: list[str] = []
    for number, name in enumerate(kept, 1):
        made = name or f"c{number}"
        while not name and made in taken:
            made += "_"
        taken.add(made)
        found.append(made)
    return found


def _is_possible(name: str) -> bool:
    return bool(name) and len(name.encode()) <= MAX_IDENTIFIER and name[0] != "_" and "\0" not in name


def named(piece: Sql, name: str) -> Sql:
    """An item of a SELECT list."""
    return sql("{} AS {}", piece, identifier(name))
