"""The grammar of queries (ADQL 2.1 §2.2, appendix A), by recursive descent: one method for each rule."""

from __future__ import annotations

from typing import Literal

from km3vo.adql.expressions import ExpressionParser
from km3vo.adql.mistakes import did_you_mean
from km3vo.adql.token_stream import TokenStream
from km3vo.adql.tree import (
    Body,
    ColumnRef,
    Derived,
    From,
    Item,
    Join,
    Name,
    Number,
    Order,
    Query,
    Select,
    SetChain,
    Star,
    TableRef,
    ValueNode,
)
from km3vo.errors import AdqlError

Kind = Literal["INNER", "LEFT", "RIGHT", "FULL"]
_OUTER: tuple[Kind, ...] = ("LEFT", "RIGHT", "FULL")
_JOINS = frozenset({"NATURAL", "INNER", "LEFT", "RIGHT", "FULL", "JOIN"})


def parse(text: str, version: str = "2.1") -> Query:
    """Read a query of ADQL 2.0 or 2.1.

    Raises AdqlError where the text is not ADQL, saying where and what was expected.
    """
    if not text.strip():
        raise AdqlError("the query is empty", hint="write SELECT ... FROM ...")
    return QueryParser(text, version).whole()


class QueryParser:
    """Reads queries."""

    def __init__(self, text: str, version: str):
        self._tokens = TokenStream(text, version)
        self._expressions = ExpressionParser(self._tokens, self._subquery)

    def whole(self) -> Query:
        """<query_specification>: the only place for WITH (§4.5.1)."""
        start = self._tokens.here.start
        if self._tokens.key not in ("SELECT", "WITH", "("):
            word = self._tokens.text[self._tokens.here.start : self._tokens.here.end][:40]
            hint = "" if self._tokens.here.kind == "word" else did_you_mean(word, ["SELECT", "WITH"])
            hint = hint or "ADQL can read tables, not change them"
            raise self._tokens.error(f"a query begins with SELECT or WITH, not with {word}", hint=hint)
        tables: list[tuple[Name, Query]] = []
        if self._tokens.key == "WITH":
            self._tokens.new_in_2_1("WITH")
            self._tokens.next()
            while True:
                tables.append(self._common_table())
                if self._tokens.accept(",") is None:
                    break
        query = self._query()
        query.tables = tables
        if self._tokens.accept("<end>") is None and self._tokens.key != "<end>":
            self._tokens.fail()
        return self._tokens.spanned(query, start)

    def _common_table(self) -> tuple[Name, Query]:
        """<with_query>"""
        name = self._tokens.name()
        self._tokens.expect("AS")
        self._tokens.expect("(")
        query = self._query()
        self._tokens.expect(")")
        return name, query

    # -------------------------------------------------------------------------------------- queries

    def _query(self, first: Query | None = None) -> Query:
        """<select_expression>; ``first`` is an operand in parentheses that was read already."""
        self._tokens.enter()
        start = first.start if first else self._tokens.here.start
        if self._tokens.key == "WITH":
            raise self._tokens.error(
                "WITH can stand only at the beginning of the whole query", hint="move it to the front"
            )
        body = self._union(first)
        order: list[Order] = []
        if self._tokens.accept("ORDER"):
            self._tokens.expect("BY")
            order.append(self._order())
            while self._tokens.accept(","):
                order.append(self._order())
        offset = None
        if self._tokens.accept("OFFSET"):
            offset = self._tokens.unsigned()
        self._tokens.leave()
        return self._tokens.spanned(Query(body, order, offset), start)

    def _order(self) -> Order:
        """<order_by_term>"""
        start = self._tokens.here.start
        value = self._expressions.value()
        if self._tokens.version == "2.0" and not _is_output(value):
            raise self._tokens.error(
                "ADQL 2.0 orders by names of output columns and their numbers", value, "ask for LANG=ADQL-2.1"
            )
        descending = self._tokens.accept("DESC") is not None
        if not descending:
            self._tokens.accept("ASC")
        return self._tokens.spanned(Order(value, descending), start)

    def _union(self, first: Query | None) -> Body:
        """<query_set_expression>: UNION and EXCEPT, from left to right (§4.6.5)"""
        start = first.start if first else self._tokens.here.start
        body = self._intersection(first)
        rest: list[tuple[str, bool, Body]] = []
        while self._tokens.key in ("UNION", "EXCEPT"):
            self._tokens.new_in_2_1(self._tokens.key)
            self._tokens.counted(list(rest))
            operator = self._tokens.next().key
            rest.append((operator, self._tokens.accept("ALL") is not None, self._intersection(None)))
        self._tokens.might_be("UNION", "EXCEPT", "INTERSECT")
        return self._tokens.spanned(SetChain(body, rest), start) if rest else body

    def _intersection(self, first: Query | None) -> Body:
        """<query_set_term>: INTERSECT binds tighter"""
        start = first.start if first else self._tokens.here.start
        body = first or self._operand_query()
        rest: list[tuple[str, bool, Body]] = []
        while self._tokens.key == "INTERSECT":
            self._tokens.new_in_2_1("INTERSECT")
            self._tokens.counted(list(rest))
            self._tokens.next()
            rest.append(("INTERSECT", self._tokens.accept("ALL") is not None, self._operand_query()))
        return self._tokens.spanned(SetChain(body, rest), start) if rest else body

    def _operand_query(self) -> Body:
        """<query_set_primary>"""
        if self._tokens.accept("("):
            query = self._query()
            self._tokens.expect(")")
            return query
        return self._select()

    def _select(self) -> Select:
        """<select_query>"""
        start = self._tokens.expect("SELECT").start
        distinct = self._tokens.accept("DISTINCT") is not None
        if not distinct:
            self._tokens.accept("ALL")
        top = self._tokens.unsigned() if self._tokens.accept("TOP") else None
        items = self._items()
        self._tokens.expect("FROM")
        tables = [self._table()]
        while self._tokens.accept(","):
            tables.append(self._table())
        where = self._expressions.condition() if self._tokens.accept("WHERE") else None
        group: list[ValueNode] = []
        if self._tokens.accept("GROUP"):
            self._tokens.expect("BY")
            group.append(self._group())
            while self._tokens.accept(","):
                group.append(self._group())
        having = self._expressions.condition() if self._tokens.accept("HAVING") else None
        return self._tokens.spanned(Select(items, tables, distinct, top, where, group, having), start)

    def _group(self) -> ValueNode:
        """<group_by_term>"""
        value = self._expressions.value()
        if self._tokens.version == "2.0" and not (isinstance(value, ColumnRef)):
            raise self._tokens.error("ADQL 2.0 groups by columns only", value, "ask for LANG=ADQL-2.1")
        return value

    def _items(self) -> list[Item | Star]:
        """<select_list>"""
        if self._tokens.key == "*":
            start = self._tokens.next().start
            star = self._tokens.spanned(Star(), start)
            if self._tokens.key == ",":
                raise self._tokens.error(
                    "SELECT * stands alone", star, "name the table, as in t.*, to add other columns"
                )
            return [star]
        items = [self._item()]
        while self._tokens.accept(","):
            items.append(self._item())
        return items

    def _item(self) -> Item | Star:
        """<select_sublist>"""
        start = self._tokens.here.start
        if self._tokens.key == "*":
            raise self._tokens.error("SELECT * stands alone", hint="name the table, as in t.*, to add other columns")
        value = self._expressions.value()
        if isinstance(value, ColumnRef) and self._tokens.key == "." and self._tokens.peek() == "*":
            self._tokens.next()
            self._tokens.next()
            return self._tokens.spanned(Star(value.parts), start)
        return self._tokens.spanned(Item(value, self._alias()), start)

    def _alias(self) -> Name | None:
        """<as_clause>, <correlation_specification>"""
        if self._tokens.accept("AS") or self._tokens.key == "<name>":
            return self._tokens.name()
        self._tokens.might_be("<name>")
        return None

    # ----------------------------------------------------------------------------------------- FROM

    def _table(self) -> From:
        """<table_reference>: <joined_table> is worked off from the left"""
        return self._joins(self._single())

    def _joins(self, left: From) -> From:
        while self._tokens.key in _JOINS:
            left = self._join(left)
        self._tokens.might_be("JOIN")
        return left

    def _join(self, left: From) -> Join:
        """<qualified_join>"""
        kind: Kind = "INNER"
        natural = self._tokens.accept("NATURAL") is not None
        if self._tokens.accept("INNER") is None:
            for outer in _OUTER:
                if self._tokens.accept(outer):
                    kind = outer
                    self._tokens.accept("OUTER")
                    break
        self._tokens.expect("JOIN")
        right = self._single()
        node = Join(left, right, kind, natural)
        if natural:
            if self._tokens.key in ("ON", "USING"):
                raise self._tokens.error(f"a NATURAL JOIN has no {self._tokens.key}", hint="leave out NATURAL")
            return self._tokens.spanned(node, left.start)
        # SQL-92 §7.5: in "a JOIN b JOIN c ON x ON y" the inner pair is joined first.
        while self._tokens.key in _JOINS:
            node.right = self._join(node.right)
        if self._tokens.accept("ON"):
            node.on = self._expressions.condition()
        elif self._tokens.accept("USING"):
            self._tokens.expect("(")
            node.using = [self._tokens.name()]
            while self._tokens.accept(","):
                node.using.append(self._tokens.name())
            self._tokens.expect(")")
        else:
            self._tokens.fail()
        return self._tokens.spanned(node, left.start)

    def _single(self) -> From:
        """A table, a derived table, or a join in parentheses."""
        start = self._tokens.here.start
        self._tokens.one_more_table()
        if self._tokens.accept("("):
            inner = self._inside()
            if isinstance(inner, Query):
                return self._derived(inner, start)
            # <subquery> may hold a <joined_table>: then it has a name.
            if self._tokens.key in ("AS", "<name>"):
                return self._derived(_everything(inner), start)
            return inner
        parts = self._tokens.dotted()
        node = self._tokens.spanned(TableRef(parts), start)
        if len(parts) > 3:
            raise self._tokens.error("a table has at most the form catalog.schema.table", node)
        node.alias = self._alias()
        return self._tokens.spanned(node, start)

    def _derived(self, query: Query, start: int) -> Derived:
        """<derived_table> and the name it must have"""
        alias = self._alias()
        if alias is None:
            hint = "write FROM (SELECT ...) AS q"
            raise self._tokens.error("a subquery in FROM needs a name", self._tokens.spanned(Star(), start), hint)
        return self._tokens.spanned(Derived(query, alias), start)

    def _subquery(self) -> Query:
        """<subquery>"""
        inner = self._inside()
        return inner if isinstance(inner, Query) else _everything(inner)

    def _inside(self) -> Query | From:
        """<query_expression> up to its closing parenthesis, the opening one being read.

        Another parenthesis may open a query, an operand of UNION, or a joined table: only behind it one knows.
        """
        self._tokens.enter()
        node: Query | From
        start = self._tokens.here.start
        if self._tokens.key in ("SELECT", "WITH"):
            node = self._query()
        elif self._tokens.accept("("):
            node = self._inside()
            if isinstance(node, Query):
                if self._tokens.key in ("UNION", "EXCEPT", "INTERSECT", "ORDER", "OFFSET", ")"):
                    node = self._query(first=node)
                else:
                    node = self._needs_join(self._joins(self._derived(node, start)))
            elif self._tokens.key in ("AS", "<name>"):
                node = self._needs_join(self._joins(self._derived(_everything(node), start)))
            else:
                node = self._joins(node)
        else:
            node = self._needs_join(self._table())
        self._tokens.expect(")")
        self._tokens.leave()
        return node

    def _needs_join(self, node: From) -> From:
        if not isinstance(node, Join):
            self._tokens.fail("JOIN")
        return node


def _everything(table: From) -> Query:
    """SELECT * FROM the joined table that stands where a query could."""
    start, end = table.start, table.end
    select = Select([Star(start=start, end=end)], [table], start=start, end=end)
    return Query(select, start=start, end=end)


def _is_output(value: ValueNode) -> bool:
    """Whether a value is the name of an output column, or its number."""
    if isinstance(value, ColumnRef):
        return len(value.parts) == 1
    return isinstance(value, Number) and value.text.isdigit()
