"""FROM: which tables there are and what their columns may be called (ADQL 2.1 §2.2.2)."""

from __future__ import annotations

from dataclasses import replace

from km3vo.adql.conditions import Conditions
from km3vo.adql.mistakes import did_you_mean
from km3vo.adql.query_tables import QueryTable, QueryTables
from km3vo.adql.resolver import QueryResolver, ValueResolver
from km3vo.adql.scope import Part, Relation, Scope
from km3vo.adql.shapes import Shape
from km3vo.adql.sql import Sql, identifier, joined, sql
from km3vo.adql.subquery import ResolvedQuery
from km3vo.adql.tree import (
    ColumnRef,
    Comparison,
    Condition,
    Derived,
    From,
    Grouped,
    Join,
    Logic,
    Name,
    TableRef,
)
from km3vo.adql.types import WORDS
from km3vo.adql.value import Value, of_both

_JOIN = {
    "INNER": "{} JOIN {} ON {}",
    "LEFT": "{} LEFT JOIN {} ON {}",
    "RIGHT": "{} RIGHT JOIN {} ON {}",
    "FULL": "{} FULL JOIN {} ON {}",
}


class FromClause:
    """Resolves the tables in FROM.

    Args:
        values, conditions: resolve the conditions of joins.
        queries: resolves derived tables.
        tables: the tables that may be named.

    Attributes:
        used: names of the tables that were named.
    """

    def __init__(self, values: ValueResolver, conditions: Conditions, queries: QueryResolver, tables: QueryTables):
        self._values = values
        self._conditions = conditions
        self._queries = queries
        self._tables = tables
        self.used: set[tuple[str, ...]] = set()
        self._common: dict[str, QueryTable] = {}
        self._aliases = 0

    def alias(self) -> str:
        """A new name for a table in the SQL. The user's own are not used: they may be anything."""
        self._aliases += 1
        return f"t{self._aliases}"

    def add_common(self, name: Name, query: ResolvedQuery) -> str:
        """Make a query of WITH known; gives its name in the SQL."""
        physical = self.alias()
        self._common[name.folded] = query.table(name, (physical,))
        return physical

    def common(self, name: Name) -> QueryTable | None:
        """The query of WITH that has this name."""
        return self._common.get(name.folded)

    def table(self, node: From, scope: Scope, outer: Scope | None) -> Sql:
        """<table_reference>; adds to the scope what can be named from now on"""
        if isinstance(node, Join):
            return self._join(node, scope, outer)
        alias = self.alias()
        if isinstance(node, Derived):
            derived = self._queries.query(node.query, outer)
            table = derived.table(node.alias, (alias,))
            piece = sql("({}) AS {}", derived.inner, identifier(alias))
        else:
            table = self._named(node)
            piece = sql("{} AS {}", identifier(*table.relation), identifier(alias))
        relation = Relation(table, alias, node.alias)
        self._distinct(node, [Part(relation)], scope.parts)
        scope.parts.append(Part(relation))
        return piece

    def _named(self, node: TableRef) -> QueryTable:
        if len(node.parts) == 1:
            common = self.common(node.parts[0])
            if common is not None:
                return common
        tables = self._tables.find(node.parts)
        if len(tables) == 1:
            self.used.add(tables[0].name)
            return tables[0]
        written = ".".join(map(str, node.parts))
        if tables:
            hint = f"write {' or '.join(table.qualified for table in tables[:5])}"
            raise self._values.error(node, f"{written} may mean more than one table", hint)
        names = [*self._tables.names(), *(table.qualified for table in self._common.values())]
        by_last = {name.rsplit(".", 1)[-1]: name for name in names}
        hint = did_you_mean(written, names)
        if not hint and len(node.parts) == 1:
            hint = did_you_mean(node.parts[0].text, by_last)
        raise self._values.error(node, f"there is no table {written}", hint or "TAP_SCHEMA.tables lists them all")

    def _distinct(self, node: From, new: list[Part], old: list[Part]) -> None:
        """Raises AdqlError when two tables could not be told apart (SQL-92 §6.3)."""
        for one in new:
            for other in old:
                if one.relation and other.relation and _called_alike(one.relation, other.relation):
                    message = f"two tables are called {one.relation.shown}"
                    raise self._values.error(node, message, "give one of them another name with AS")

    # ---------------------------------------------------------------------------------------- joins

    def _join(self, node: Join, scope: Scope, outer: Scope | None) -> Sql:
        """<qualified_join>. NATURAL and USING are spelled out: PostgreSQL would join hidden columns, too."""
        around, scope.parts = scope.parts, []
        left = self.table(node.left, scope, outer)
        lefts, scope.parts = scope.parts, []
        right = self.table(node.right, scope, outer)
        rights = scope.parts
        self._distinct(node.right, rights, lefts)
        self._distinct(node, lefts + rights, around)
        if isinstance(node.right, Join):
            right = sql("({})", right)
        for outer_kind, parts in (("LEFT", rights), ("RIGHT", lefts)):
            if node.kind in (outer_kind, "FULL"):
                for part in parts:
                    part.make_optional()
        scope.parts = lefts + rights
        if node.on is not None:
            condition = self._conditions.condition(node.on, scope)
            if node.kind == "FULL" and not self._pairs(node.on, scope, lefts, rights):
                hint = "use LEFT JOIN, or join by equality of columns"
                raise self._values.error(node, "a FULL JOIN needs a condition of the form a.x = b.y", hint)
        else:
            condition = self._merge(node, lefts, rights, scope)
        scope.parts = around + scope.parts
        return sql(_JOIN[node.kind], left, right, condition)

    def _pairs(self, condition: Condition, scope: Scope, lefts: list[Part], rights: list[Part]) -> bool:
        """Whether a condition asks for equality of a column at the left with one at the right.

        Without that PostgreSQL cannot make a FULL JOIN: it needs something to hash by.
        """
        if isinstance(condition, Grouped):
            return self._pairs(condition.argument, scope, lefts, rights)
        if isinstance(condition, Logic):
            return condition.operator == "AND" and any(
                self._pairs(argument, scope, lefts, rights) for argument in condition.arguments
            )
        if not isinstance(condition, Comparison) or condition.operator != "=":
            return False
        sides = (condition.left, condition.right)
        if not all(isinstance(side, ColumnRef) for side in sides):
            return False
        a, b = (self._values.value(side, scope).origin for side in sides)
        if a is None or b is None:
            return False
        here, there = ({part.relation.alias for part in parts if part.relation} for parts in (lefts, rights))
        return (a[0] in here and b[0] in there) or (a[0] in there and b[0] in here)

    def _merge(self, node: Join, lefts: list[Part], rights: list[Part], scope: Scope) -> Sql:
        """NATURAL and USING: equality of the common columns, which come first and once (SQL-92 §7.5)."""
        if node.using is not None:
            names = node.using
        else:
            there = {value.name for part in rights for value in part.all()}
            common = dict.fromkeys(value.name for part in lefts for value in part.all() if value.name in there)
            names = [Name(name, delimited=True) for name in common]
        conditions: list[Sql] = []
        merged: list[Part] = []
        names_merged: set[str] = set()
        for name in names:
            a, b = self._common_columns(node, name, lefts, rights)
            conditions.append(sql("({} = {})", a.sql, b.sql))
            merged.append(Part(merged=_merged(node, a, b)))
            names_merged.update((a.name, b.name))
        rest = [
            replace(part, hidden=part.hidden | names_merged)
            for part in lefts + rights
            if part.merged is None or part.merged.name not in names_merged
        ]
        scope.parts = merged + rest
        return joined(" AND ", conditions) if conditions else sql("TRUE")

    def _common_columns(self, node: Join, name: Name, lefts: list[Part], rights: list[Part]) -> tuple[Value, Value]:
        """The column of this name at the left and at the right."""
        pair: list[Value] = []
        for parts, side in ((lefts, "left"), (rights, "right")):
            columns = [value for part in parts for value in part.find(name)]
            if len(columns) != 1:
                many = "more than one column" if columns else "no column"
                raise self._values.error(node, f"the {side} side of this join has {many} {name}")
            pair.append(columns[0])
        a, b = pair
        if a.type != b.type and not (a.is_number and b.is_number):
            what = f"{name} is {WORDS[a.type]} on one side of the join and {WORDS[b.type]} on the other"
            raise self._values.error(node, what)
        if a.shape is not None and b.shape is not None and a.shape.frame is not b.shape.frame:
            message = (
                f"{name} is in {a.shape.frame.name} on one side of the join and in {b.shape.frame.name} on the other"
            )
            raise self._values.error(node, message)
        return a, b


def _merged(node: Join, a: Value, b: Value) -> Value:
    """The column that stands for two equal ones."""
    if node.kind != "FULL":
        return b if node.kind == "RIGHT" else a
    piece = sql("COALESCE({}, {})", a.sql, b.sql)
    if a.shape is not None:
        shape = Shape(a.shape.kind, dali_sql=piece, frame=a.shape.frame, stated=a.shape.stated)
        return replace(a, piece=None, shape=shape, origin=None)
    both = of_both(*(side.described(side.name, side.name) for side in (a, b)))
    return replace(a, piece=piece, origin=None, texts=max(a.texts, b.texts), column=both if a.column else None,
                   unit=both.unit, ucd=both.ucd, frame=both.frame, time=both.time)  # fmt: skip


def _called_alike(a: Relation, b: Relation) -> bool:
    if a.name is not None and b.name is not None:
        return a.name.folded == b.name.folded
    return a.name is None and b.name is None and a.table.name == b.table.name
