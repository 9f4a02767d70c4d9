"""Whole queries: WITH, set operators, OFFSET (ADQL 2.1 §4.5, §4.6, §4.10)."""

from __future__ import annotations

from dataclasses import replace

from km3vo.adql.conditions import Conditions
from km3vo.adql.frames import ICRS
from km3vo.adql.from_clause import FromClause
from km3vo.adql.query_tables import QueryTables
from km3vo.adql.scope import Part, Relation, Scope
from km3vo.adql.selects import Selects
from km3vo.adql.sql import Sql, identifier, joined, sql
from km3vo.adql.subquery import ResolvedQuery, named
from km3vo.adql.tree import Body, Name, Node, Query, Select, SetChain
from km3vo.adql.types import NUMBERS, WORDS, null, of_column, votable, wider
from km3vo.adql.types import cast as typed
from km3vo.adql.value import of_both
from km3vo.adql.values import Values
from km3vo.column import Column

_SET = {
    ("UNION", False): " UNION {}",
    ("UNION", True): " UNION ALL {}",
    ("EXCEPT", False): " EXCEPT {}",
    ("EXCEPT", True): " EXCEPT ALL {}",
    ("INTERSECT", False): " INTERSECT {}",
    ("INTERSECT", True): " INTERSECT ALL {}",
}


class Queries:
    """Resolves queries.

    Args:
        text: the whole query.
        tables: those that it may name.

    Attributes:
        conditions, from_clause: parts that remember what was searched, and which tables were named.
    """

    def __init__(self, text: str, tables: QueryTables):
        self._values = Values(text)
        self.conditions = Conditions(self._values, self)
        self.from_clause = FromClause(self._values, self.conditions, self, tables)
        self._selects = Selects(self._values, self.conditions, self.from_clause)

    def whole(self, node: Query, maxrec: int | None) -> tuple[Sql, tuple[Column, ...]]:
        """The main query with its WITH, and at most ``maxrec`` rows and one more."""
        common: list[Sql] = []
        for name, definition in node.tables:
            if self.from_clause.common(name) is not None:
                raise self._values.error(definition, f"WITH has {name} twice")
            table = self.query(definition, None)
            physical = self.from_clause.add_common(name, table)
            common.append(sql("{} AS ({})", identifier(physical), table.inner))
        query = self.query(node, None, hidden=False, shown=True)
        if maxrec is not None:
            most = maxrec + 1 if maxrec else 0
            query.limit = most if query.limit is None else min(query.limit, most)
        if not common:
            return query.statement, query.columns
        return sql("WITH {} {}", joined(", ", common), query.statement), query.columns

    def query(self, node: Query, outer: Scope | None, *, hidden: bool = True, shown: bool = False) -> ResolvedQuery:
        """<select_expression>"""
        if isinstance(node.body, Select):
            query = self._selects.select(node.body, node.order, outer, hidden, shown)
            query.offset = node.offset
            return query
        query = self._operand(node.body, outer, hidden, shown)
        return self._sorted(query, node) if node.order or node.offset is not None else query

    def _operand(self, body: Body, outer: Scope | None, hidden: bool, shown: bool) -> ResolvedQuery:
        """<query_set_primary>"""
        if isinstance(body, Query):
            return self.query(body, outer, hidden=hidden, shown=shown)
        if isinstance(body, SetChain):
            return self._set(body, outer, shown)
        return self._selects.select(body, [], outer, hidden, shown)

    def _sorted(self, inner: ResolvedQuery, node: Query) -> ResolvedQuery:
        """ORDER BY and OFFSET of a set operation, or of a query in parentheses: over its output columns."""
        alias = self.from_clause.alias()
        relation = Relation(inner.table(Name(alias), (alias,)), alias, Name(alias))
        outputs = [relation.value(column) for column in inner.columns]
        scope = Scope(parts=[Part(relation)])
        columns = joined(", ", [identifier(alias, column.sql) for column in inner.columns])
        statement = sql("SELECT {} FROM ({}) AS {}", columns, inner.statement, identifier(alias))
        query = ResolvedQuery(
            statement, inner.columns, inner.all_null, texts=inner.texts, sizes=inner.sizes, offset=node.offset
        )
        query.order = [self._selects.ordered(term, scope, outputs, distinct=False) for term in node.order]
        return query

    # ------------------------------------------------------------------------------- set operations

    def _set(self, node: SetChain, outer: Scope | None, shown: bool) -> ResolvedQuery:
        """<query_set_expression>: metadata from the left, types wide enough for both (§4.6.1)"""
        first = self._operand(node.first, outer, hidden=False, shown=shown)
        operands, columns, all_null = [first], list(first.columns), first.all_null
        for operator, _, body in node.rest:
            operand = self._operand(body, outer, hidden=False, shown=False)
            operands.append(operand)
            if len(operand.columns) != len(columns):
                message = f"the sides of {operator} have {len(columns)} and {len(operand.columns)} columns"
                raise self._values.error(body, message, "both must have the same number")
            columns = [
                self._common_column(a, b, place in all_null, place in operand.all_null, operator, body)
                for place, (a, b) in enumerate(zip(columns, operand.columns, strict=True))
            ]
            all_null &= operand.all_null
        pieces = [self._as_declared(first, columns)]
        for (operator, keep, _), operand in zip(node.rest, operands[1:], strict=True):
            pieces.append(sql(_SET[operator, keep], self._as_declared(operand, columns)))
        texts: dict[str, int] = {}
        sizes: dict[str, int] = {}
        for place, column in enumerate(columns):
            sides = [(operand, operand.columns[place].sql) for operand in operands]
            texts[column.sql] = max(side.texts.get(name, 1) for side, name in sides)
            sizes[column.sql] = sum(side.sizes.get(name, 0) for side, name in sides)
        return ResolvedQuery(joined("", pieces), tuple(columns), all_null, texts=texts, sizes=sizes)

    def _common_column(
        self, a: Column, b: Column, a_is_null: bool, b_is_null: bool, operator: str, body: Node
    ) -> Column:
        """The column of the result that holds values of both sides; either may be nothing but NULL."""
        nullable = {
            "UNION": a.nullable or b.nullable,
            "EXCEPT": a.nullable,
            "INTERSECT": a.nullable and b.nullable,
        }[operator]
        if a_is_null:
            return replace(b, name=a.name, sql=a.sql, nullable=True)
        if b_is_null:
            return replace(a, nullable=nullable)
        column = replace(self._wide_enough(a, b, operator, body), frame=self._frame(a, b, operator, body))
        # EXCEPT and INTERSECT leave values of the first side.
        column = of_both(column, replace(b, name=column.name)) if operator == "UNION" else column
        return replace(column, nullable=nullable)

    def _wide_enough(self, a: Column, b: Column, operator: str, body: Node) -> Column:
        """The column at the left, with a type for values of both sides."""
        one, other = of_column(a), of_column(b)
        if one == other:
            if one == "CHAR" and "unicodeChar" in (a.datatype, b.datatype):
                a = replace(a, datatype="unicodeChar")
            return a if a.arraysize == b.arraysize else replace(a, arraysize="*")
        if one in NUMBERS and other in NUMBERS:
            datatype, arraysize, xtype = votable(wider(one, other))
            return replace(a, datatype=datatype, arraysize=arraysize, xtype=xtype)
        message = (
            f"column {a.name} is {WORDS[one]} on one side of {operator}, and {b.name} is {WORDS[other]} on the other"
        )
        raise self._values.error(body, message)

    def _frame(self, a: Column, b: Column, operator: str, body: Node) -> str | None:
        """The frame of coordinates, or of geometries, of both sides. Raises AdqlError where they differ."""
        if a.frame == b.frame:
            return a.frame
        if a.frame is not None and b.frame is not None:
            message = f"column {a.name} is in {a.frame} on one side of {operator}, and in {b.frame} on the other"
            raise self._values.error(body, message, "convert one of them with ivo_geom_transform")
        # Nobody has said what the other is in. ICRS is what is supposed then, another frame was asked for.
        known = a.frame or b.frame
        return None if known == ICRS.name else known

    def _as_declared(self, operand: ResolvedQuery, columns: list[Column]) -> Sql:
        """An operand in parentheses, with the types that the whole declares."""
        pairs = list(enumerate(zip(operand.columns, columns, strict=True)))
        if all(of_column(own) == of_column(declared) for place, (own, declared) in pairs):
            return sql("({})", operand.statement)
        alias = self.from_clause.alias()
        pieces = []
        for place, (own, declared) in pairs:
            piece = identifier(alias, own.sql)
            if place in operand.all_null:
                piece = null(declared)
            elif of_column(own) != of_column(declared):
                piece = typed(piece, of_column(declared))
            pieces.append(named(piece, declared.sql))
        return sql("(SELECT {} FROM ({}) AS {})", joined(", ", pieces), operand.statement, identifier(alias))
