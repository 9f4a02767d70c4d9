"""The grammar of queries (ADQL 2.1 §2.2, appendix A), by recursive descent: one method for each rule."""

from __future__ import annotations

from typing import Literal

from km3vo.adql.expressions import Expressions
from km3vo.adql.mistakes import did_you_mean
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
    Value,
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
    return Parser(text, version).whole()


class Parser(Expressions):
    """Reads queries."""

    def whole(self) -> Query:
        """<query_specification>: the only place for WITH (§4.5.1)."""
        start = self.here.start
        if self.key not in ("SELECT", "WITH", "("):
            word = self.text[self.here.start : self.here.end][:40]
            hint = "" if self.here.kind == "word" else did_you_mean(word, ["SELECT", "WITH"])
            hint = hint or "ADQL can read tables, not change them"
            raise self.error(f"a query begins with SELECT or WITH, not with {word}", hint=hint)
        tables: list[tuple[Name, Query]] = []
        if self.key == "WITH":
            self.new_in_2_1("WITH")
            self.next()
            while True:
                tables.append(self._common_table())
                if self.accept(",") is None:
                    break
        query = self.query()
        query.tables = tables
        if self.accept("<end>") is None and self.key != "<end>":
            self.fail()
        return self.spanned(query, start)

    def _common_table(self) -> tuple[Name, Query]:
        """<with_query>"""
        name = self.name()
        self.expect("AS")
        self.expect("(")
        query = self.query()
        self.expect(")")
        return name, query

    # -------------------------------------------------------------------------------------- queries

    def query(self, first: Query | None = None) -> Query:
        """<select_expression>; ``first`` is an operand in parentheses that was read already."""
        self.enter()
        start = first.start if first else self.here.start
        if self.key == "WITH":
            raise self.error("WITH can stand only at the beginning of the whole query", hint="move it to the front")
        body = self._union(first)
        order: list[Order] = []
        if self.accept("ORDER"):
            self.expect("BY")
            order.append(self._order())
            while self.accept(","):
                order.append(self._order())
        offset = None
        if self.accept("OFFSET"):
            offset = self.unsigned()
        self.leave()
        return self.spanned(Query(body, order, offset), start)

    def _order(self) -> Order:
        """<order_by_term>"""
        start = self.here.start
        value = self.value()
        if self.version == "2.0" and not _is_output(value):
            raise self.error(
                "ADQL 2.0 orders by names of output columns and their numbers", value, "ask for LANG=ADQL-2.1"
            )
        descending = self.accept("DESC") is not None
        if not descending:
            self.accept("ASC")
        return self.spanned(Order(value, descending), start)

    def _union(self, first: Query | None) -> Body:
        """<query_set_expression>: UNION and EXCEPT, from left to right (§4.6.5)"""
        start = first.start if first else self.here.start
        body = self._intersection(first)
        rest: list[tuple[str, bool, Body]] = []
        while self.key in ("UNION", "EXCEPT"):
            self.new_in_2_1(self.key)
            self.counted(list(rest))
            operator = self.next().key
            rest.append((operator, self.accept("ALL") is not None, self._intersection(None)))
        self._expected += ["UNION", "EXCEPT", "INTERSECT"]
        return self.spanned(SetChain(body, rest), start) if rest else body

    def _intersection(self, first: Query | None) -> Body:
        """<query_set_term>: INTERSECT binds tighter"""
        start = first.start if first else self.here.start
        body = first or self._operand_query()
        rest: list[tuple[str, bool, Body]] = []
        while self.key == "INTERSECT":
            self.new_in_2_1("INTERSECT")
            self.counted(list(rest))
            self.next()
            rest.append(("INTERSECT", self.accept("ALL") is not None, self._operand_query()))
        return self.spanned(SetChain(body, rest), start) if rest else body

    def _operand_query(self) -> Body:
        """<query_set_primary>"""
        if self.accept("("):
            query = self.query()
            self.expect(")")
            return query
        return self._select()

    def _select(self) -> Select:
        """<select_query>"""
        start = self.expect("SELECT").start
        distinct = self.accept("DISTINCT") is not None
        if not distinct:
            self.accept("ALL")
        top = self.unsigned() if self.accept("TOP") else None
        items = self._items()
        self.expect("FROM")
        tables = [self._table()]
        while self.accept(","):
            tables.append(self._table())
        where = self.condition() if self.accept("WHERE") else None
        group: list[Value] = []
        if self.accept("GROUP"):
            self.expect("BY")
            group.append(self._group())
            while self.accept(","):
                group.append(self._group())
        having = self.condition() if self.accept("HAVING") else None
        return self.spanned(Select(items, tables, distinct, top, where, group, having), start)

    def _group(self) -> Value:
        """<group_by_term>"""
        value = self.value()
        if self.version == "2.0" and not (isinstance(value, ColumnRef)):
            raise self.error("ADQL 2.0 groups by columns only", value, "ask for LANG=ADQL-2.1")
        return value

    def _items(self) -> list[Item | Star]:
        """<select_list>"""
        if self.key == "*":
            start = self.next().start
            star = self.spanned(Star(), start)
            if self.key == ",":
                raise self.error("SELECT * stands alone", star, "name the table, as in t.*, to add other columns")
            return [star]
        items = [self._item()]
        while self.accept(","):
            items.append(self._item())
        return items

    def _item(self) -> Item | Star:
        """<select_sublist>"""
        start = self.here.start
        if self.key == "*":
            raise self.error("SELECT * stands alone", hint="name the table, as in t.*, to add other columns")
        value = self.value()
        if isinstance(value, ColumnRef) and self.key == "." and self.peek() == "*":
            self.next()
            self.next()
            return self.spanned(Star(value.parts), start)
        return self.spanned(Item(value, self._alias()), start)

    def _alias(self) -> Name | None:
        """<as_clause>, <correlation_specification>"""
        if self.accept("AS") or self.key == "<name>":
            return self.name()
        self._expected.append("<name>")
        return None

    # ----------------------------------------------------------------------------------------- FROM

    def _table(self) -> From:
        """<table_reference>: <joined_table> is worked off from the left"""
        return self._joins(self._single())

    def _joins(self, left: From) -> From:
        while self.key in _JOINS:
            left = self._join(left)
        self._expected.append("JOIN")
        return left

    def _join(self, left: From) -> Join:
        """<qualified_join>"""
        kind: Kind = "INNER"
        natural = self.accept("NATURAL") is not None
        if self.accept("INNER") is None:
            for outer in _OUTER:
                if self.accept(outer):
                    kind = outer
                    self.accept("OUTER")
                    break
        self.expect("JOIN")
        right = self._single()
        node = Join(left, right, kind, natural)
        if natural:
            if self.key in ("ON", "USING"):
                raise self.error(f"a NATURAL JOIN has no {self.key}", hint="leave out NATURAL")
            return self.spanned(node, left.start)
        # SQL-92 §7.5: in "a JOIN b JOIN c ON x ON y" the inner pair is joined first.
        while self.key in _JOINS:
            node.right = self._join(node.right)
        if self.accept("ON"):
            node.on = self.condition()
        elif self.accept("USING"):
            self.expect("(")
            node.using = [self.name()]
            while self.accept(","):
                node.using.append(self.name())
            self.expect(")")
        else:
            self.fail()
        return self.spanned(node, left.start)

    def _single(self) -> From:
        """A table, a derived table, or a join in parentheses."""
        start = self.here.start
        self.one_more_table()
        if self.accept("("):
            inner = self._inside()
            if isinstance(inner, Query):
                return self._derived(inner, start)
            # <subquery> may hold a <joined_table>: then it has a name.
            if self.key in ("AS", "<name>"):
                return self._derived(_everything(inner), start)
            return inner
        parts = self.dotted()
        node = self.spanned(TableRef(parts), start)
        if len(parts) > 3:
            raise self.error("a table has at most the form catalog.schema.table", node)
        node.alias = self._alias()
        return self.spanned(node, start)

    def _derived(self, query: Query, start: int) -> Derived:
        """<derived_table> and the name it must have"""
        alias = self._alias()
        if alias is None:
            hint = "write FROM (SELECT ...) AS q"
            raise self.error("a subquery in FROM needs a name", self.spanned(Star(), start), hint)
        return self.spanned(Derived(query, alias), start)

    def subquery(self) -> Query:
        """<subquery>"""
        inner = self._inside()
        return inner if isinstance(inner, Query) else _everything(inner)

    def _inside(self) -> Query | From:
        """<query_expression> up to its closing parenthesis, the opening one being read.

        Another parenthesis may open a query, an operand of UNION, or a joined table: only behind it one knows.
        """
        self.enter()
        node: Query | From
        start = self.here.start
        if self.key in ("SELECT", "WITH"):
            node = self.query()
        elif self.accept("("):
            node = self._inside()
            if isinstance(node, Query):
                if self.key in ("UNION", "EXCEPT", "INTERSECT", "ORDER", "OFFSET", ")"):
                    node = self.query(first=node)
                else:
                    node = self._needs_join(self._joins(self._derived(node, start)))
            elif self.key in ("AS", "<name>"):
                node = self._needs_join(self._joins(self._derived(_everything(node), start)))
            else:
                node = self._joins(node)
        else:
            node = self._needs_join(self._table())
        self.expect(")")
        self.leave()
        return node

    def _needs_join(self, node: From) -> From:
        if not isinstance(node, Join):
            self.fail("JOIN")
        return node


def _everything(table: From) -> Query:
    """SELECT * FROM the joined table that stands where a query could."""
    start, end = table.start, table.end
    select = Select([Star(start=start, end=end)], [table], start=start, end=end)
    return Query(select, start=start, end=end)


def _is_output(value: Value) -> bool:
    """Whether a value is the name of an output column, or its number."""
    if isinstance(value, ColumnRef):
        return len(value.parts) == 1
    return isinstance(value, Number) and value.text.isdigit()
