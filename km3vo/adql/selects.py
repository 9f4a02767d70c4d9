"""SELECT ... FROM ... WHERE ... GROUP BY ... HAVING ... ORDER BY (ADQL 2.1 §2.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from km3vo.adql.mistakes import did_you_mean
from km3vo.adql.scope import Scope
from km3vo.adql.sources import matches
from km3vo.adql.sql import Sql, identifier, joined, sql
from km3vo.adql.subquery import Resolved, described, named, output
from km3vo.adql.tables import Tables
from km3vo.adql.tree import Aggregate, Call, ColumnRef, Item, Name, Number, Order, Select, Star
from km3vo.adql.tree import Value as ValueNode
from km3vo.adql.types import WORDS, cast
from km3vo.adql.value import Value
from km3vo.catalog.column import Column

# PostgreSQL's own limit.
_MOST_COLUMNS = 1600


class Selects(Tables):
    """Resolves <select_query>."""

    def select(self, node: Select, order: list[Order], outer: Scope | None, hidden: bool, shown: bool) -> Resolved:
        """<select_query> and the ORDER BY behind it.

        ``hidden``: with hidden columns, for a query around. ``shown``: the names of its columns are those of the
        result, as written.
        """
        scope = Scope(outer=outer)
        tables = [self.table(table, scope, outer) for table in node.tables]
        where = self.condition(node.where, scope) if node.where else None
        if node.group:
            scope.grouped = set()
        group = self._group(node, scope)
        scope.loose.clear()
        scope.aggregates = True
        if scope.grouped is not None:
            scope.grouped.update(group)
        values = self._items(node, scope, shown)
        having = self.condition(node.having, scope) if node.having else None
        for value in values:
            scope.aliases.setdefault(value.name.lower(), []).append(value)
        terms = [self.ordered(term, scope, values, node.distinct) for term in order]
        grouped = bool(node.group) or node.having is not None or scope.found_aggregate
        if grouped and scope.loose:
            place, name = scope.loose[0]
            hint = f"add it to GROUP BY, or use an aggregate such as MAX({name})"
            raise self.error(place, f"{name} is neither in GROUP BY nor in an aggregate", hint)
        columns = described(values, shown)
        made = Resolved(sql(""), columns, order=terms)
        made.nothing = frozenset(place for place, value in enumerate(values) if value.type == "NULL")
        outputs = [named(output(value), column.sql) for value, column in zip(values, columns, strict=True)]
        if hidden and not node.distinct:
            outputs += _hidden_geometries(made, values)
            if not grouped:
                outputs += _hidden_positions(made, values, scope)
        parts = [sql("SELECT DISTINCT {}" if node.distinct else "SELECT {}", joined(", ", outputs))]
        parts.append(sql(" FROM {}", joined(", ", tables)))
        if where is not None:
            parts.append(sql(" WHERE {}", where))
        if group:
            parts.append(sql(" GROUP BY {}", joined(", ", group)))
        if having is not None:
            parts.append(sql(" HAVING {}", having))
        made.sql = joined("", parts)
        made.limit = node.top
        return made

    # ---------------------------------------------------------------------------------- select list

    def _items(self, node: Select, scope: Scope, shown: bool) -> list[Value]:
        """<select_list>, with every * spelled out: PostgreSQL knows columns that users do not."""
        values: list[Value] = []
        for item in node.items:
            if isinstance(item, Star):
                values += self._star(item, scope)
                continue
            made = self.value(item.value, scope)
            if item.alias is not None:
                made = replace(made, name=item.alias.text if shown else item.alias.folded)
            elif made.column is None or not isinstance(item.value, ColumnRef):
                called = made.name if isinstance(item.value, Call | Aggregate) else ""
                made = replace(made, name=called or f"col{len(values) + 1}")
            values.append(made)
        if len(values) > _MOST_COLUMNS:
            message = f"the result would have {len(values):,} columns; at most {_MOST_COLUMNS:,} are possible"
            raise self.error(node.items[0], message)
        return values

    def _star(self, star: Star, scope: Scope) -> list[Value]:
        """* and table.*"""
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
        grouped = scope.grouped or set()
        scope.loose += [(star, value.name) for value in found if value.sql not in grouped]
        return found

    # --------------------------------------------------------------------------- GROUP BY, ORDER BY

    def _group(self, node: Select, scope: Scope) -> list[Sql]:
        """<group_by_clause>: values, output columns, or their numbers"""
        pieces: list[Sql] = []
        for value in node.group:
            target: ValueNode = value
            if isinstance(value, Number) and value.text.isdigit():
                target = self._numbered(value, node)
            elif isinstance(value, ColumnRef) and len(value.parts) == 1 and not scope.find(value):
                target = _aliased(value.parts[0], node) or value
            made = self.value(target, scope)
            # A bare constant would be taken for the number of a column.
            is_constant = made.constant is not None or made.type == "NULL"
            pieces.append(sql("({})", cast(made.sql, made.type)) if is_constant else made.sql)
        return pieces

    def _numbered(self, value: Number, node: Select) -> ValueNode:
        """The value in SELECT that a number in GROUP BY stands for."""
        number = int(value.text)
        if any(isinstance(item, Star) for item in node.items):
            raise self.error(value, "GROUP BY a number goes with a list of columns, not with *")
        if not 1 <= number <= len(node.items):
            raise self.error(value, f"GROUP BY {number}: there are {len(node.items)} output columns")
        item = node.items[number - 1]
        assert isinstance(item, Item)
        return item.value

    def ordered(self, term: Order, scope: Scope, outputs: list[Value], distinct: bool) -> Sql:
        """<order_by_term>: the number or the name of an output column, or a value"""
        value = term.value
        if isinstance(value, Number) and value.text.isdigit():
            number = int(value.text)
            if not 1 <= number <= len(outputs):
                raise self.error(value, f"ORDER BY {number}: there are {len(outputs)} output columns")
            made = outputs[number - 1]
        else:
            made = self._output_called(value, outputs) or self.value(value, scope)
            if distinct and made.sql not in {output.sql for output in outputs}:
                raise self.error(value, "SELECT DISTINCT can be ordered only by what it selects")
        if made.is_geometry or made.type in ("ARRAY", "BINARY"):
            raise self.error(value, f"{WORDS[made.type]} has no order")
        if made.constant is not None or made.type == "NULL":
            piece = sql("({})", cast(made.sql, made.type))
        else:
            piece = output(made)
        return sql("{} DESC" if term.descending else "{} ASC", piece)

    def _output_called(self, value: ValueNode, outputs: list[Value]) -> Value | None:
        """The output column that a bare name in ORDER BY means."""
        if not isinstance(value, ColumnRef) or len(value.parts) > 1:
            return None
        name = value.parts[0]
        found = [output for output in outputs if matches(name, output.name, folded=True)]
        found = [output for output in found if output.name == name.text] or found
        if len({output.sql for output in found}) > 1:
            raise self.error(value, f"more than one output column is called {name}")
        return found[0] if found else None


def _aliased(name: Name, node: Select) -> ValueNode | None:
    """The value that SELECT calls by this name."""
    wanted = name.folded.lower()
    for item in node.items:
        if isinstance(item, Item) and item.alias is not None and item.alias.folded.lower() == wanted:
            return item.value
    return None


def _hidden_geometries(made: Resolved, values: list[Value]) -> list[Sql]:
    """pgSphere's forms of the geometries, for the query around; PostgreSQL drops what that does not use."""
    pieces: list[Sql] = []
    names = [column.name for column in made.columns]
    for column, value in zip(made.columns, values, strict=True):
        if value.shape is not None and not value.shape.is_large and names.count(column.name) == 1:
            called = f"_g{len(pieces)}"
            made.geometries[column.name] = called
            pieces.append(named(value.shape.sphere, called))
    return pieces


def _hidden_positions(made: Resolved, values: list[Value], scope: Scope) -> list[Sql]:
    """The indexed positions and circles of tables whose coordinates are handed on as they are."""
    pieces: list[Sql] = []
    shown = _plain(made.columns, values)
    for relation in scope.relations:
        for kept, hidden in ((made.positions, relation.source.positions), (made.circles, relation.source.circles)):
            known: dict[Any, str] = kept
            for names, stored in hidden.items():
                handed = tuple(shown.get((relation.alias, name)) for name in names)
                if None not in handed and handed not in known:
                    called = f"_p{len(made.positions) + len(made.circles)}"
                    known[handed] = called
                    pieces.append(named(identifier(relation.alias, stored), called))
    return pieces


def _plain(columns: tuple[Column, ...], values: list[Value]) -> dict[tuple[str, str], str]:
    """Which columns of which tables are output columns just as they are, and under which name."""
    names = [column.name for column in columns]
    return {
        value.origin: column.name
        for column, value in zip(columns, values, strict=True)
        if value.origin is not None and names.count(column.name) == 1
    }
