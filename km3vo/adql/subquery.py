"""A resolved query, and how it serves as a table for the query around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from km3vo.adql.query_tables import QueryTable
from km3vo.adql.shapes import Position
from km3vo.adql.sql import MAX_IDENTIFIER, Sql, identifier, integer, joined, sql
from km3vo.adql.tree import Name
from km3vo.adql.types import cast
from km3vo.adql.value import Value
from km3vo.column import Column

# Characters of an expression that PostgreSQL may put in the place of a name: a distance or two.
MAX_WRITTEN_OUT = 1500


@dataclass(slots=True)
class ResolvedQuery:
    """A query in SQL, and apart from it what may still be changed: ORDER BY, LIMIT and OFFSET.

    Attributes:
        sql: the statement without these.
        columns: of its result; ``Column.sql`` is the name in the statement.
        all_null: places of the columns that are nothing but NULL.
        geometries, positions, circles, handed_on: hidden columns of the statement, as in QueryTable.
        texts: as in QueryTable.
        sizes: name of a computed or hidden column → characters of its expression, with those of the subqueries that it
            is made of written out.
        order: what to sort by.
        limit, offset: as far as the query has them.
    """

    sql: Sql
    columns: tuple[Column, ...]
    all_null: frozenset[int] = frozenset()
    geometries: dict[str, str] = field(default_factory=dict)
    positions: dict[tuple[str, str], str] = field(default_factory=dict)
    circles: dict[tuple[str, str, str], str] = field(default_factory=dict)
    handed_on: dict[str, Position] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
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

    @property
    def inner(self) -> Sql:
        """The same in FROM or WITH."""
        is_counted = self.limit is not None or self.offset is not None
        return sql("{} OFFSET 0", self.statement) if self.is_long and not is_counted else self.statement

    @property
    def is_long(self) -> bool:
        """Whether its columns are to be worked out once, and then named, however often.

        PostgreSQL would write the expression in the place of each name. Subqueries in subqueries multiply that: twenty
        that say x + x would fill the memory. OFFSET keeps it from that; the index is not found through it.
        """
        return any(size > MAX_WRITTEN_OUT for size in self.sizes.values())

    def table(self, name: Name, relation: tuple[str, ...]) -> QueryTable:
        """The query as a table in FROM."""
        # Rows that were counted off are searched after that, without an index.
        counted = self.limit is not None or self.offset is not None or self.is_long
        handed_on = {} if counted else self.handed_on
        return QueryTable(
            (name.folded,),
            relation,
            self.columns,
            self.positions,
            self.circles,
            self.geometries,
            self.texts,
            handed_on,
            {} if self.is_long else self.sizes,
        )


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
    different: list[str] = []
    for name in names:
        candidate, count = name, 1
        while candidate.lower() in taken:
            count += 1
            candidate = f"{name}_{count}"
        taken.add(candidate.lower())
        different.append(candidate)
    return different


def physical(names: Sequence[str]) -> list[str]:
    """What columns of these names are called in SQL.

    As themselves where that is possible. A leading underscore is kept for hidden columns.
    """
    kept = [name if _is_possible(name) and names.count(name) == 1 else "" for name in names]
    taken = set(kept)
    called: list[str] = []
    for number, name in enumerate(kept, 1):
        candidate = name or f"c{number}"
        while not name and candidate in taken:
            candidate += "_"
        taken.add(candidate)
        called.append(candidate)
    return called


def _is_possible(name: str) -> bool:
    return bool(name) and len(name.encode()) <= MAX_IDENTIFIER and name[0] != "_" and "\0" not in name


def named(piece: Sql, name: str) -> Sql:
    """An item of a SELECT list."""
    return sql("{} AS {}", piece, identifier(name))
