"""SELECT ... FROM ... WHERE ... GROUP BY ... HAVING ... ORDER BY (ADQL 2.1 §2.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from km3vo.adql.conditions import Conditions
from km3vo.adql.from_clause import FromClause
from km3vo.adql.mistakes import did_you_mean
from km3vo.adql.query_tables import matches
from km3vo.adql.resolver import ValueResolver
from km3vo.adql.scope import Scope
from km3vo.adql.sql import Sql, identifier, joined, sql
from km3vo.adql.subquery import ResolvedQuery, described, named, output
from km3vo.adql.tree import Aggregate, Call, ColumnRef, Item, Name, Number, Order, Select, Star, ValueNode
from km3vo.adql.types import WORDS, cast
from km3vo.adql.value import Value
from km3vo.column import Column

# PostgreSQL's own limit.
_MOST_COLUMNS = 1600


class Selects:
    """Resolves <select_query>.

    Args:
        values, conditions, from_clause: resolve its parts.
    """

    def __init__(self, values: ValueResolver, conditions: Conditions, from_clause: FromClause):
        self._values = values
        self._conditions = conditions
        self._from = from_clause

    def select(self, node: Select, order: list[Order], outer: Scope | None, hidden: bool, shown: bool) -> ResolvedQuery:
        """<select_query> and the ORDER BY behind it.

        ``hidden``: with hidden columns, for a query around. ``shown``: the names of its columns are those of the
        result, as written.
        """
        scope = Scope(outer=outer)
        tables = [self._from.table(table, scope, outer) for table in node.tables]
        where = self._conditions.condition(node.where, scope) if node.where else None
        if node.group:
            scope.grouped = set()
        group = self._group(node, scope)
        scope.ungrouped.clear()
        scope.aggregates = True
        if scope.grouped is not None:
            scope.grouped.update(group)
        values = self._items(node, scope, shown)
        having = self._conditions.condition(node.having, scope) if node.having else None
        for value in values:
            scope.aliases.setdefault(value.name.lower(), []).append(value)
        terms = [self.ordered(term, scope, values, node.distinct) for term in order]
        grouped = bool(node.group) or node.having is not None or scope.found_aggregate
        if grouped and scope.ungrouped:
            place, name = scope.ungrouped[0]
            hint = f"add it to GROUP BY, or use an aggregate such as MAX({name})"
            raise self._values.error(place, f"{name} is neither in GROUP BY nor in an aggregate", hint)
        columns = described(values, shown)
        query = ResolvedQuery(sql(""), columns, order=terms)
        query.texts = {
            column.sql: value.texts for column, value in zip(columns, values, strict=True) if value.texts > 1
        }
        query.all_null = frozenset(place for place, value in enumerate(values) if value.type == "NULL")
        outputs = [named(output(value), column.sql) for value, column in zip(values, columns, strict=True)]
        query.sizes = {
            column.sql: scope.written_out(piece)
            for value, column, piece in zip(values, columns, outputs, strict=True)
            if value.column is None or value.size
        }
        if hidden and not node.distinct:
            outputs += _hidden_geometries(query, values, scope)
            if not grouped:
                outputs += _hidden_positions(query, values, scope)
        parts = [sql("SELECT DISTINCT {}" if node.distinct else "SELECT {}", joined(", ", outputs))]
        parts.append(sql(" FROM {}", joined(", ", tables)))
        if where is not None:
            parts.append(sql(" WHERE {}", where))
        if group:
            parts.append(sql(" GROUP BY {}", joined(", ", group)))
        if having is not None:
            parts.append(sql(" HAVING {}", having))
        query.sql = joined("", parts)
        query.limit = node.top
        return query

    # ---------------------------------------------------------------------------------- select list

    def _items(self, node: Select, scope: Scope, shown: bool) -> list[Value]:
        """<select_list>, with every * spelled out: PostgreSQL knows columns that users do not."""
        values: list[Value] = []
        for item in node.items:
            if isinstance(item, Star):
                values += self._star(item, scope)
                continue
            value = self._values.value(item.value, scope)
            if item.alias is not None:
                value = replace(value, name=item.alias.text if shown else item.alias.folded)
            elif value.column is None or not isinstance(item.value, ColumnRef):
                called = value.name if isinstance(item.value, Call | Aggregate) else ""
                value = replace(value, name=called or f"col{len(values) + 1}")
            values.append(value)
        if len(values) > _MOST_COLUMNS:
            message = f"the result would have {len(values):,} columns; at most {_MOST_COLUMNS:,} are possible"
            raise self._values.error(node.items[0], message)
        return values

    def _star(self, star: Star, scope: Scope) -> list[Value]:
        """* and table.*"""
        if not star.parts:
            values = [value for part in scope.parts for value in part.all()]
        else:
            relations = [relation for relation in scope.relations if relation.is_called(star.parts)]
            written = ".".join(map(str, star.parts))
            if len(relations) != 1:
                shown = [relation.shown for relation in scope.relations]
                hint = did_you_mean(written, shown) or f"there are {', '.join(shown[:8])}"
                what = "there is no table {} in FROM" if not relations else "{} may mean more than one table"
                raise self._values.error(star, what.format(written), hint)
            (relation,) = relations
            values = [relation.value(column) for column in relation.table.columns]
        scope.uses += len(values)
        grouped = scope.grouped or set()
        scope.ungrouped += [(star, value.name) for value in values if value.sql not in grouped]
        return values

    # --------------------------------------------------------------------------- GROUP BY, ORDER BY

    def _group(self, node: Select, scope: Scope) -> list[Sql]:
        """<group_by_clause>: values, output columns, or their numbers"""
        pieces: list[Sql] = []
        for term in node.group:
            target: ValueNode = term
            if isinstance(term, Number) and term.text.isdigit():
                target = self._numbered(term, node)
            elif isinstance(term, ColumnRef) and len(term.parts) == 1 and not scope.find(term):
                target = _aliased(term.parts[0], node) or term
            value = self._values.value(target, scope)
            # A bare constant would be taken for the number of a column.
            is_constant = value.constant is not None or value.type == "NULL"
            pieces.append(sql("({})", cast(value.sql, value.type)) if is_constant else value.sql)
        return pieces

    def _numbered(self, value: Number, node: Select) -> ValueNode:
        """The value in SELECT that a number in GROUP BY stands for."""
        number = int(value.text)
        if any(isinstance(item, Star) for item in node.items):
            raise self._values.error(value, "GROUP BY a number goes with a list of columns, not with *")
        if not 1 <= number <= len(node.items):
            raise self._values.error(value, f"GROUP BY {number}: there are {len(node.items)} output columns")
        item = node.items[number - 1]
        assert isinstance(item, Item)
        return item.value

    def ordered(self, term: Order, scope: Scope, outputs: list[Value], distinct: bool) -> Sql:
        """<order_by_term>: the number or the name of an output column, or a value"""
        node = term.value
        if isinstance(node, Number) and node.text.isdigit():
            number = int(node.text)
            if not 1 <= number <= len(outputs):
                raise self._values.error(node, f"ORDER BY {number}: there are {len(outputs)} output columns")
            value = outputs[number - 1]
        else:
            value = self._output_called(node, outputs) or self._values.value(node, scope)
            if distinct and value.sql not in {output.sql for output in outputs}:
                raise self._values.error(node, "SELECT DISTINCT can be ordered only by what it selects")
        if value.is_geometry or value.type in ("ARRAY", "BINARY"):
            raise self._values.error(node, f"{WORDS[value.type]} has no order")
        if value.constant is not None or value.type == "NULL":
            piece = sql("({})", cast(value.sql, value.type))
        else:
            piece = output(value)
        return sql("{} DESC" if term.descending else "{} ASC", piece)

    def _output_called(self, node: ValueNode, outputs: list[Value]) -> Value | None:
        """The output column that a bare name in ORDER BY means."""
        if not isinstance(node, ColumnRef) or len(node.parts) > 1:
            return None
        name = node.parts[0]
        called = [output for output in outputs if matches(name, output.name, folded=True)]
        called = [output for output in called if output.name == name.text] or called
        if len({output.sql for output in called}) > 1:
            raise self._values.error(node, f"more than one output column is called {name}")
        return called[0] if called else None


def _aliased(name: Name, node: Select) -> ValueNode | None:
    """The value that SELECT calls by this name."""
    wanted = name.folded.lower()
    for item in node.items:
        if isinstance(item, Item) and item.alias is not None and item.alias.folded.lower() == wanted:
            return item.value
    return None


def _hidden_geometries(query: ResolvedQuery, values: list[Value], scope: Scope) -> list[Sql]:
    """pgSphere's forms of the geometries, for the query around; PostgreSQL drops what that does not use."""
    pieces: list[Sql] = []
    names = [column.name for column in query.columns]
    for column, value in zip(query.columns, values, strict=True):
        if value.shape is not None and not value.shape.is_large and names.count(column.name) == 1:
            hidden = f"_g{len(pieces)}"
            query.geometries[column.name] = hidden
            if value.shape.position is not None:
                query.handed_on[hidden] = value.shape.position
            if not value.shape.indexed:
                query.sizes[hidden] = scope.written_out(value.shape.sphere)
            pieces.append(named(value.shape.sphere, hidden))
    return pieces


def _hidden_positions(query: ResolvedQuery, values: list[Value], scope: Scope) -> list[Sql]:
    """The indexed positions and circles of tables whose coordinates are handed on as they are."""
    pieces: list[Sql] = []
    shown = _plain(query.columns, values)
    for relation in scope.relations:
        for handed_on, stored in (
            (query.positions, relation.table.positions),
            (query.circles, relation.table.circles),
        ):
            known: dict[Any, str] = handed_on
            for names, column in stored.items():
                outputs = tuple(shown.get((relation.alias, name)) for name in names)
                if None not in outputs and outputs not in known:
                    hidden = f"_p{len(query.positions) + len(query.circles)}"
                    known[outputs] = hidden
                    position = relation.table.position(names, column)
                    if position is not None:
                        query.handed_on[hidden] = position
                    pieces.append(named(identifier(relation.alias, column), hidden))
    return pieces


def _plain(columns: tuple[Column, ...], values: list[Value]) -> dict[tuple[str, str], str]:
    """Which columns of which tables are output columns just as they are, and under which name."""
    names = [column.name for column in columns]
    return {
        value.origin: column.name
        for column, value in zip(columns, values, strict=True)
        if value.origin is not None and names.count(column.name) == 1
    }
