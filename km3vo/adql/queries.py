"""From the tree of a query to its SQL and the columns of its result (ADQL 2.1 §2.2, §4.5, §4.6, §4.10)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from km3vo.adql.conditions import Conditions
from km3vo.adql.mistakes import did_you_mean
from km3vo.adql.scope import Part, Relation, Scope
from km3vo.adql.sources import Source, Sources, matches
from km3vo.adql.sql import MAX_IDENTIFIER, Sql, identifier, integer, joined, sql
from km3vo.adql.tree import (
    Aggregate,
    Body,
    Call,
    ColumnRef,
    Comparison,
    Derived,
    From,
    Grouped,
    Item,
    Join,
    Logic,
    Name,
    Node,
    Number,
    Order,
    Query,
    Select,
    SetChain,
    Star,
    TableRef,
)
from km3vo.adql.tree import Value as ValueNode
from km3vo.adql.types import NUMBERS, WORDS, cast, of_column, votable, wider
from km3vo.adql.value import Value
from km3vo.catalog.model import Column


@dataclass(slots=True)
class Resolved:
    """A query in SQL, without its ORDER BY, LIMIT and OFFSET as long as those may still be added.

    Attributes:
        sql: the statement.
        columns: of its result; ``Column.sql`` is the name in the statement.
        geometries, positions, circles: hidden columns of the statement, as in Source.
        order: what to sort by.
        limit, offset: as far as the query has them.
        open: whether ORDER BY and the rest can be written behind the statement.
    """

    sql: Sql
    columns: tuple[Column, ...]
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


class Queries(Conditions):
    """Resolves queries."""

    def __init__(self, query: str, sources: Sources):
        super().__init__(query, sources)
        self._common: list[Source] = []
        self._aliases = 0
        self.tables: set[tuple[str, ...]] = set()

    # -------------------------------------------------------------------------------------- queries

    def whole(self, node: Query, maxrec: int | None) -> tuple[Sql, tuple[Column, ...]]:
        """The main query with its WITH, and at most ``maxrec`` rows and one more."""
        common: list[Sql] = []
        for name, query in node.tables:
            if any(source.name[0] == name.folded for source in self._common):
                raise self.error(query, f"WITH has {name} twice")
            made = self.query(query, None)
            self._aliases += 1
            physical = f"w{self._aliases}"
            common.append(sql("{} AS ({})", identifier(physical), made.statement))
            self._common.append(_source(name, (physical,), made))
        made = self.query(node, None, outermost=True)
        if maxrec is not None:
            most = maxrec + 1 if maxrec else 0
            made.limit = most if made.limit is None else min(made.limit, most)
        if not common:
            return made.statement, made.columns
        return sql("WITH {} {}", joined(", ", common), made.statement), made.columns

    def subquery(self, query: Query, scope: Scope) -> tuple[Sql, tuple[Column, ...]]:
        """A subquery of a condition, which sees the columns of the queries around it."""
        made = self.query(query, scope, outermost=True)
        return made.statement, made.columns

    def query(self, node: Query, outer: Scope | None, outermost: bool = False) -> Resolved:
        """<select_expression>. ``outermost``: hidden columns would be in the way."""
        body = node.body
        if isinstance(body, Select):
            made = self._select(body, node.order, outer, outermost)
            made.limit, made.offset = body.top, node.offset
            return made
        made = self._operand(body, outer, outermost or bool(node.order) or isinstance(body, SetChain))
        if not node.order and node.offset is None:
            return made
        return self._wrapped(made, node)

    def _operand(self, body: Body, outer: Scope | None, outermost: bool) -> Resolved:
        if isinstance(body, Query):
            return self.query(body, outer, outermost)
        if isinstance(body, SetChain):
            return self._set(body, outer)
        made = self._select(body, [], outer, outermost)
        made.limit = body.top
        return made

    def _wrapped(self, inner: Resolved, node: Query) -> Resolved:
        """ORDER BY and OFFSET of a set operation, or of a query in parentheses: over its output columns."""
        alias = self._alias()
        source = _source(Name(alias), (alias,), inner)
        scope = Scope(parts=[Part(Relation(source, alias, Name(alias)))])
        columns = joined(", ", [identifier(alias, column.sql) for column in inner.columns])
        made = replace(inner, order=[], limit=None, offset=node.offset, geometries={}, positions={}, circles={})
        made.sql = sql("SELECT {} FROM ({}) AS {}", columns, inner.statement, identifier(alias))
        outputs = [Relation(source, alias).value(column) for column in inner.columns]
        made.order = [self._ordered(term, scope, outputs, distinct=False) for term in node.order]
        return made

    # ------------------------------------------------------------------------------- set operations

    def _set(self, node: SetChain, outer: Scope | None) -> Resolved:
        """UNION, EXCEPT, INTERSECT (§4.6): metadata from the left, types wide enough for both."""
        operands = [self._operand(body, outer, True) for body in (node.first, *(body for _, _, body in node.rest))]
        first = operands[0]
        columns = list(first.columns)
        for (operator, _, body), made in zip(node.rest, operands[1:], strict=True):
            if len(made.columns) != len(columns):
                message = f"the sides of {operator} have {len(columns)} and {len(made.columns)} columns"
                raise self.error(body, message, "both must have the same number")
            columns = [self._common_column(a, b, operator, body) for a, b in zip(columns, made.columns, strict=True)]
        pieces = [self._cast_to(operands[0], columns)]
        for (operator, keep, _), made in zip(node.rest, operands[1:], strict=True):
            pieces.append(sql(_SET[operator, keep], self._cast_to(made, columns)))
        return Resolved(joined("", pieces), tuple(columns))

    def _common_column(self, a: Column, b: Column, operator: str, body: Node) -> Column:
        one, other = of_column(a), of_column(b)
        if one == other:
            if "unicodeChar" in (a.datatype, b.datatype) and a.datatype != b.datatype:
                a = replace(a, datatype="unicodeChar")
            return a if a.arraysize == b.arraysize else replace(a, arraysize="*")
        if one in NUMBERS and other in NUMBERS:
            datatype, arraysize, xtype = votable(wider(one, other))
            return replace(a, datatype=datatype, arraysize=arraysize, xtype=xtype)
        # A column of nothing but NULL takes any type.
        if a.name.startswith("null") and one == "CHAR" and a.description is None and a.ucd is None and not a.utype:
            return replace(b, name=a.name, sql=a.sql)
        raise self.error(
            body,
            f"column {a.name} is {WORDS[one]} on one side of {operator}, and {b.name} on the other is {WORDS[other]}",
        )

    def _cast_to(self, made: Resolved, columns: list[Column]) -> Sql:
        """An operand in parentheses, with the types that the whole declares."""
        if all(of_column(have) == of_column(want) for have, want in zip(made.columns, columns, strict=True)):
            return sql("({})", made.statement)
        alias = self._alias()
        pieces = []
        for have, want in zip(made.columns, columns, strict=True):
            piece = identifier(alias, have.sql)
            if of_column(have) != of_column(want):
                piece = cast(piece, of_column(want)) if of_column(want) in NUMBERS else sql("NULL")
            pieces.append(sql("{} AS {}", piece, identifier(want.sql)))
        return sql("(SELECT {} FROM ({}) AS {})", joined(", ", pieces), made.statement, identifier(alias))

    # --------------------------------------------------------------------------------------- SELECT

    def _select(self, node: Select, order: list[Order], outer: Scope | None, outermost: bool) -> Resolved:
        """<select_query>, and the ORDER BY behind it"""
        scope = Scope(outer=outer)
        tables = [self._table(table, scope, outer) for table in node.tables]
        where = self.condition(node.where, scope) if node.where else None
        scope.loose.clear()
        group = self._group(node, scope)
        if node.group:
            scope.grouped = set(group)
        scope.aggregates = True
        values = self._items(node, scope)
        columns, outputs = _named(values)
        for column, value in zip(columns, values, strict=True):
            scope.aliases.setdefault(column.name.lower(), []).append(value)
        having = None
        if node.having:
            scope.aliases, aliases = {}, scope.aliases
            having = self.condition(node.having, scope)
            scope.aliases = aliases
        terms = [self._ordered(term, scope, values, node.distinct) for term in order]
        grouped = bool(node.group) or node.having is not None or scope.found_aggregate
        if grouped and scope.loose:
            place, name = scope.loose[0]
            hint = f"add it to GROUP BY, or use an aggregate such as MAX({name})"
            raise self.error(place, f"{name} is neither in GROUP BY nor in an aggregate", hint)
        made = Resolved(sql(""), columns, order=terms)
        if not (outermost or node.distinct):
            outputs += self._hidden(made, values, scope, grouped)
        parts = [sql("SELECT DISTINCT {}" if node.distinct else "SELECT {}", joined(", ", outputs))]
        parts.append(sql(" FROM {}", joined(", ", tables)))
        if where is not None:
            parts.append(sql(" WHERE {}", where))
        if group:
            parts.append(sql(" GROUP BY {}", joined(", ", group)))
        if having is not None:
            parts.append(sql(" HAVING {}", having))
        made.sql = joined("", parts)
        return made

    def _items(self, node: Select, scope: Scope) -> list[Value]:
        """<select_list>, with every * spelled out: PostgreSQL knows columns that users do not."""
        values: list[Value] = []
        for item in node.items:
            if isinstance(item, Star):
                values += self._star(item, scope)
                continue
            made = self.value(item.value, scope)
            if item.alias is not None:
                made = replace(made, name=item.alias.text)
            elif made.column is None:
                made = replace(made, name=made.name if isinstance(item.value, Call | Aggregate) else "")
                made = replace(made, name=made.name or ("null" if made.type == "NULL" else f"col{len(values) + 1}"))
            values.append(made)
        if len(values) > 1600:
            raise self.error(node.items[0], f"the result would have {len(values)} columns; at most 1600 are possible")
        return values

    def _star(self, star: Star, scope: Scope) -> list[Value]:
        if not star.parts:
            found = [value for part in scope.parts for value in part.all()]
        else:
            hits = [relation for relation in scope.relations if relation.is_called(star.parts)]
            written = ".".join(map(str, star.parts))
            if len(hits) != 1:
                shown = [relation.shown for relation in scope.relations]
                hint = did_you_mean(written, shown) or f"there are {', '.join(shown[:8])}"
                what = "there is no table {} in FROM" if not hits else "{} may mean more than one table"
                raise self.error(star, what.format(written), hint)
            found = [hits[0].value(column) for column in hits[0].source.columns]
        scope.uses += len(found)
        scope.loose += [(star, value.name) for value in found if value.sql not in (scope.grouped or ())]
        return found

    def _group(self, node: Select, scope: Scope) -> list[Sql]:
        """GROUP BY: values, output columns, or their numbers"""
        pieces: list[Sql] = []
        items = [item for item in node.items if isinstance(item, Item)]
        for value in node.group:
            target: ValueNode = value
            if isinstance(value, Number) and value.text.isdigit():
                target = self._numbered(value, node)
            elif isinstance(value, ColumnRef) and len(value.parts) == 1 and not scope.find(value):
                aliased = [
                    i.value
                    for i in items
                    if i.alias is not None and i.alias.folded.lower() == value.parts[0].folded.lower()
                ]
                target = aliased[0] if aliased else value
            made = self.value(target, scope)
            if made.type == "NULL":
                raise self.error(value, "GROUP BY NULL makes no groups")
            # In parentheses, and typed if constant, it is never taken for the number of a column.
            pieces.append(made.sql if made.constant is None else sql("({})", cast(made.sql, made.type)))
        scope.loose.clear()
        return pieces

    def _numbered(self, value: Number, node: Select) -> ValueNode:
        """The value in SELECT that a number in GROUP BY stands for."""
        number = int(value.text)
        if any(isinstance(item, Star) for item in node.items) or not 1 <= number <= len(node.items):
            raise self.error(value, f"there is no output column {number} to group by")
        item = node.items[number - 1]
        assert isinstance(item, Item)
        return item.value

    def _ordered(self, term: Order, scope: Scope, outputs: list[Value], distinct: bool) -> Sql:
        """One term of ORDER BY: the number or name of an output column, or a value"""
        value = term.value
        template = "{} DESC" if term.descending else "{} ASC"
        if isinstance(value, Number) and value.text.isdigit():
            number = int(value.text)
            if not 1 <= number <= len(outputs):
                raise self.error(value, f"ORDER BY {number}: there are {len(outputs)} output columns")
            made = outputs[number - 1]
        else:
            named: list[Value] = []
            if isinstance(value, ColumnRef) and len(value.parts) == 1:
                named = [output for output in outputs if matches(value.parts[0], output.name, folded=True)]
                exact = [output for output in named if output.name == value.parts[0].text]
                named = exact or named
            if len({output.sql for output in named}) > 1:
                raise self.error(value, f"more than one output column is called {value.parts[0]}")  # type: ignore[attr-defined]
            made = named[0] if named else self.value(value, scope)
            if distinct and made.sql not in {output.sql for output in outputs}:
                raise self.error(value, "SELECT DISTINCT can be ordered only by what it selects")
        if made.is_geometry or made.type in ("ARRAY", "BINARY"):
            raise self.error(value, f"{WORDS[made.type]} has no order")
        piece = made.ordering if made.ordering is not None and not distinct else _output(made)
        if made.constant is not None or made.type == "NULL":
            piece = sql("({})", cast(made.sql, made.type))
        return sql(template, piece)

    def _hidden(self, made: Resolved, values: list[Value], scope: Scope, grouped: bool) -> list[Sql]:
        """pgSphere's forms of the geometries, for the query around; PostgreSQL drops what that does not use."""
        pieces: list[Sql] = []
        for column, value in zip(made.columns, values, strict=True):
            if value.shape is not None and not value.shape.is_large:
                made.geometries[column.name] = f"_g{len(pieces)}"
                pieces.append(sql("{} AS {}", value.shape.sphere, identifier(f"_g{len(pieces)}")))
        if grouped:
            return pieces
        shown = {value.origin: column.name for column, value in zip(made.columns, values, strict=True) if value.origin}
        for relation in scope.relations:
            for kept, hidden in (
                (made.positions, relation.source.positions),
                (made.circles, relation.source.circles),
            ):
                for names, physical in hidden.items():
                    outer = tuple(shown.get((relation.alias, name)) for name in names)
                    if None not in outer and outer not in kept:
                        alias = f"_g{len(pieces)}"
                        kept[outer] = alias  # type: ignore[index]
                        pieces.append(sql("{} AS {}", identifier(relation.alias, physical), identifier(alias)))
        return pieces

    # ----------------------------------------------------------------------------------------- FROM

    def _alias(self) -> str:
        self._aliases += 1
        return f"t{self._aliases}"

    def _table(self, node: From, scope: Scope, outer: Scope | None) -> Sql:
        """<table_reference>; adds to the scope what can be named from now on"""
        if isinstance(node, Join):
            return self._join(node, scope, outer)
        alias = self._alias()
        if isinstance(node, Derived):
            made = self.query(node.query, outer)
            source = _source(node.alias, (alias,), made)
            piece = sql("({}) AS {}", made.statement, identifier(alias))
        else:
            source = self._named_table(node)
            piece = sql("{} AS {}", identifier(*source.relation), identifier(alias))
        relation = Relation(source, alias, node.alias)
        for other in scope.relations:
            if _called_alike(relation, other):
                raise self.error(node, f"two tables are called {relation.shown}", "give one another name with AS")
        scope.parts.append(Part(relation))
        return piece

    def _named_table(self, node: TableRef) -> Source:
        if len(node.parts) == 1:
            for source in self._common:
                if matches(node.parts[0], source.name[0]):
                    return source
        found = self.sources.find(node.parts)
        if len(found) == 1:
            self.tables.add(found[0].name)
            return found[0]
        written = ".".join(map(str, node.parts))
        if found:
            hint = f"write {' or '.join(source.qualified for source in found[:5])}"
            raise self.error(node, f"{written} may mean more than one table", hint)
        names = [*self.sources.names(), *(source.qualified for source in self._common)]
        hint = did_you_mean(written, names)
        if not hint:
            by_last = {name.rsplit(".", 1)[-1]: name for name in names}
            near = did_you_mean(node.parts[-1].text, by_last)
            hint = f"did you mean {by_last[near[13:-1]]}?" if near else "TAP_SCHEMA.tables lists them all"
        raise self.error(node, f"there is no table {written}", hint)

    def _join(self, node: Join, scope: Scope, outer: Scope | None) -> Sql:
        """<qualified_join>. NATURAL and USING are spelled out: PostgreSQL would join hidden columns, too."""
        around, scope.parts = scope.parts, []
        left = self._table(node.left, scope, outer)
        lefts, scope.parts = scope.parts, []
        right = self._table(node.right, scope, outer)
        rights = scope.parts
        if isinstance(node.right, Join):
            right = sql("({})", right)
        for one in lefts:
            for other in rights:
                if one.relation and other.relation and _called_alike(one.relation, other.relation):
                    message = f"two tables are called {other.relation.shown}"
                    raise self.error(node.right, message, "give one another name with AS")
        scope.parts = lefts + rights
        if node.on is not None:
            condition = self.condition(node.on, scope)
            scope.loose.clear()
            if node.kind == "FULL" and not _has_equality(node.on):
                hint = "use LEFT JOIN, or join by equality of columns"
                raise self.error(node, "a FULL JOIN needs a condition of the form a.x = b.y", hint)
        else:
            condition = self._merge(node, lefts, rights, scope)
        scope.parts = around + scope.parts
        return sql(_JOIN[node.kind], left, right, condition)

    def _merge(self, node: Join, lefts: list[Part], rights: list[Part], scope: Scope) -> Sql:
        """NATURAL and USING: equality of the common columns, which come first and once."""
        if node.using is not None:
            names = node.using
        else:
            there = {value.name for part in rights for value in part.all()}
            common = dict.fromkeys(value.name for part in lefts for value in part.all() if value.name in there)
            names = [Name(name, delimited=True) for name in common]
        conditions: list[Sql] = []
        merged: list[Part] = []
        gone: set[str] = set()
        for name in names:
            pair = []
            for parts, side in ((lefts, "left"), (rights, "right")):
                found = [value for part in parts for value in part.find(name)]
                if len(found) != 1:
                    many = "more than one column" if found else "no column"
                    raise self.error(node, f"the {side} side of this join has {many} {name}")
                pair.append(found[0])
            a, b = pair
            if not self.comparable(a, b) and a.type != b.type:
                raise self.error(
                    node, f"{name} is {WORDS[a.type]} on one side of the join and {WORDS[b.type]} on the other"
                )
            conditions.append(sql("({} = {})", a.sql, b.sql))
            kept = b if node.kind == "RIGHT" else a
            if node.kind == "FULL":
                piece = sql("COALESCE({}, {})", a.sql, b.sql)
                kept = replace(a, piece=piece, shape=None, origin=None)
                if a.shape is not None:
                    kept = replace(
                        kept, piece=None, shape=replace(a.shape, dali_sql=piece, sphere_sql=None, indexed=False)
                    )
            merged.append(Part(merged=kept))
            gone.update((a.name, b.name))
        rest = [
            replace(part, hidden=part.hidden | gone)
            for part in lefts + rights
            if part.merged is None or part.merged.name not in gone
        ]
        scope.parts = merged + rest
        return joined(" AND ", conditions) if conditions else sql("TRUE")


_SET = {
    ("UNION", False): " UNION {}",
    ("UNION", True): " UNION ALL {}",
    ("EXCEPT", False): " EXCEPT {}",
    ("EXCEPT", True): " EXCEPT ALL {}",
    ("INTERSECT", False): " INTERSECT {}",
    ("INTERSECT", True): " INTERSECT ALL {}",
}
_JOIN = {
    "INNER": "{} JOIN {} ON {}",
    "LEFT": "{} LEFT JOIN {} ON {}",
    "RIGHT": "{} RIGHT JOIN {} ON {}",
    "FULL": "{} FULL JOIN {} ON {}",
}


def _source(name: Name, relation: tuple[str, ...], made: Resolved) -> Source:
    """A subquery as a table."""
    return Source((name.folded,), relation, made.columns, made.positions, made.circles, made.geometries)


def _called_alike(a: Relation, b: Relation) -> bool:
    if a.name is not None and b.name is not None:
        return a.name.folded == b.name.folded
    return a.name is None and b.name is None and a.source.name == b.source.name


def _has_equality(condition: Node) -> bool:
    """Whether PostgreSQL can make a FULL JOIN of it: it needs something to hash or to merge by."""
    if isinstance(condition, Grouped):
        return _has_equality(condition.argument)
    if isinstance(condition, Logic):
        return condition.operator == "AND" and any(map(_has_equality, condition.arguments))
    return (
        isinstance(condition, Comparison)
        and condition.operator == "="
        and isinstance(condition.left, ColumnRef)
        and isinstance(condition.right, ColumnRef)
    )


def _named(values: list[Value]) -> tuple[tuple[Column, ...], list[Sql]]:
    """The output columns with unique names, and their SQL of exactly the type that they declare."""
    names = _unique(value.name for value in values)
    columns = tuple(value.described(name, physical) for value, (name, physical) in zip(values, names, strict=True))
    pieces = [
        sql("{} AS {}", _output(value), identifier(column.sql)) for value, column in zip(values, columns, strict=True)
    ]
    return columns, pieces


def _output(value: Value) -> Sql:
    """The SQL of an output column; a plain column is of the declared type already."""
    if value.column is not None or value.shape is not None or value.type in ("ARRAY", "BINARY"):
        return value.sql
    return cast(value.sql, value.type)


def _unique(names: Iterable[str]) -> list[tuple[str, str]]:
    """Names that differ in more than case, and what they are called in SQL."""
    taken: set[str] = set()
    found: list[tuple[str, str]] = []
    for name in names:
        unique, count = name, 1
        while unique.lower() in taken:
            count += 1
            unique = f"{name}_{count}"
        taken.add(unique.lower())
        physical = unique
        if len(physical.encode()) > MAX_IDENTIFIER or physical.startswith("_") or "\0" in physical:
            physical = f"c{len(found) + 1}"
            while physical in taken:
                physical += "_"
            taken.add(physical)
        found.append((unique, physical))
    return found
