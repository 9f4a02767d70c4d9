"""Whole queries: WITH, set operators, OFFSET (ADQL 2.1 §4.5, §4.6, §4.10)."""

from __future__ import annotations

from dataclasses import replace

from km3vo.adql.scope import Part, Relation, Scope
from km3vo.adql.selects import Selects
from km3vo.adql.sql import Sql, identifier, joined, sql
from km3vo.adql.subquery import Resolved, named
from km3vo.adql.tree import Body, Name, Node, Query, Select, SetChain
from km3vo.adql.types import NUMBERS, WORDS, null, of_column, votable, wider
from km3vo.adql.types import cast as typed
from km3vo.catalog.column import Column

_SET = {
    ("UNION", False): " UNION {}",
    ("UNION", True): " UNION ALL {}",
    ("EXCEPT", False): " EXCEPT {}",
    ("EXCEPT", True): " EXCEPT ALL {}",
    ("INTERSECT", False): " INTERSECT {}",
    ("INTERSECT", True): " INTERSECT ALL {}",
}


class Queries(Selects):
    """Resolves queries."""

    def whole(self, node: Query, maxrec: int | None) -> tuple[Sql, tuple[Column, ...]]:
        """The main query with its WITH, and at most ``maxrec`` rows and one more."""
        common: list[Sql] = []
        for name, query in node.tables:
            if self.is_common(name) is not None:
                raise self.error(query, f"WITH has {name} twice")
            made = self.query(query, None)
            statement = made.statement
            common.append(sql("{} AS ({})", identifier(self.common(name, made)), statement))
        made = self.query(node, None, hidden=False, shown=True)
        if maxrec is not None:
            most = maxrec + 1 if maxrec else 0
            made.limit = most if made.limit is None else min(made.limit, most)
        if not common:
            return made.statement, made.columns
        return sql("WITH {} {}", joined(", ", common), made.statement), made.columns

    def subquery(self, query: Query, scope: Scope) -> Resolved:
        """A subquery of a condition, which sees the columns of the queries around it."""
        return self.query(query, scope, hidden=False)

    def query(self, node: Query, outer: Scope | None, hidden: bool = True, shown: bool = False) -> Resolved:
        """<select_expression>"""
        if isinstance(node.body, Select):
            made = self.select(node.body, node.order, outer, hidden, shown)
            made.offset = node.offset
            return made
        made = self._operand(node.body, outer, hidden, shown)
        return self._sorted(made, node) if node.order or node.offset is not None else made

    def _operand(self, body: Body, outer: Scope | None, hidden: bool, shown: bool) -> Resolved:
        """<query_set_primary>"""
        if isinstance(body, Query):
            return self.query(body, outer, hidden, shown)
        if isinstance(body, SetChain):
            return self._set(body, outer, shown)
        return self.select(body, [], outer, hidden, shown)

    def _sorted(self, inner: Resolved, node: Query) -> Resolved:
        """ORDER BY and OFFSET of a set operation, or of a query in parentheses: over its output columns."""
        alias = self.alias()
        relation = Relation(inner.source(Name(alias), (alias,)), alias, Name(alias))
        outputs = [relation.value(column) for column in inner.columns]
        scope = Scope(parts=[Part(relation)])
        columns = joined(", ", [identifier(alias, column.sql) for column in inner.columns])
        statement = sql("SELECT {} FROM ({}) AS {}", columns, inner.statement, identifier(alias))
        made = Resolved(statement, inner.columns, inner.nothing, offset=node.offset)
        made.order = [self.ordered(term, scope, outputs, distinct=False) for term in node.order]
        return made

    # ------------------------------------------------------------------------------- set operations

    def _set(self, node: SetChain, outer: Scope | None, shown: bool) -> Resolved:
        """<query_set_expression>: metadata from the left, types wide enough for both (§4.6.1)"""
        first = self._operand(node.first, outer, hidden=False, shown=shown)
        operands, columns, nothing = [first], list(first.columns), first.nothing
        for operator, _, body in node.rest:
            made = self._operand(body, outer, hidden=False, shown=False)
            operands.append(made)
            if len(made.columns) != len(columns):
                message = f"the sides of {operator} have {len(columns)} and {len(made.columns)} columns"
                raise self.error(body, message, "both must have the same number")
            columns = [
                replace(b, name=a.name, sql=a.sql)
                if place in nothing
                else a
                if place in made.nothing
                else self._common_column(a, b, operator, body)
                for place, (a, b) in enumerate(zip(columns, made.columns, strict=True))
            ]
            nothing &= made.nothing
        pieces = [self._as_declared(operands[0], columns)]
        for (operator, keep, _), made in zip(node.rest, operands[1:], strict=True):
            pieces.append(sql(_SET[operator, keep], self._as_declared(made, columns)))
        return Resolved(joined("", pieces), tuple(columns), nothing)

    def _common_column(self, a: Column, b: Column, operator: str, body: Node) -> Column:
        """The column of the result that holds values of both sides."""
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
        raise self.error(body, message)

    def _as_declared(self, made: Resolved, columns: list[Column]) -> Sql:
        """An operand in parentheses, with the types that the whole declares."""
        pairs = list(enumerate(zip(made.columns, columns, strict=True)))
        if all(of_column(have) == of_column(want) for place, (have, want) in pairs):
            return sql("({})", made.statement)
        alias = self.alias()
        pieces = []
        for place, (have, want) in pairs:
            piece = identifier(alias, have.sql)
            if place in made.nothing:
                piece = null(want)
            elif of_column(have) != of_column(want):
                piece = typed(piece, of_column(want))
            pieces.append(named(piece, want.sql))
        return sql("(SELECT {} FROM ({}) AS {})", joined(", ", pieces), made.statement, identifier(alias))
