"""One call from the text of a query to the SQL that answers it."""

from __future__ import annotations

from dataclasses import dataclass

from km3vo.adql.parser import parse
from km3vo.adql.queries import Queries
from km3vo.adql.query_tables import QueryTables
from km3vo.adql.shapes import Position
from km3vo.adql.tree import Select
from km3vo.column import Column
from km3vo.errors import AdqlError


@dataclass(frozen=True, slots=True)
class Translation:
    """A query, ready for PostgreSQL.

    Attributes:
        sql: one statement without parameters and without a semicolon.
        columns: of the result, in order, with unique names; ``Column.sql`` is the name in the statement.
        tables: the published or uploaded tables that are read, by ``QueryTable.name``.
        searched: the stored positions by whose index conditions of the query can be answered.
        top: the TOP of the main query, or None.
    """

    sql: str
    columns: tuple[Column, ...]
    tables: frozenset[tuple[str, ...]]
    searched: frozenset[Position]
    top: int | None


def translate(text: str, tables: QueryTables, *, version: str = "2.1", maxrec: int | None = None) -> Translation:
    """Translate a query of ADQL 2.0 or 2.1 to PostgreSQL with pgSphere.

    With ``maxrec`` the statement gives at most one row more than that, to tell a truncated result from one that
    just fits; TOP wins where it is smaller; 0 gives no rows.

    Raises AdqlError for whatever is wrong with the query.
    """
    queries = Queries(text, tables)
    try:
        tree = parse(text, version)
        statement, columns = queries.whole(tree, maxrec)
    except RecursionError:
        raise AdqlError("the query is nested too deeply", hint="split it with WITH") from None
    top = tree.body.top if isinstance(tree.body, Select) else None
    return Translation(
        str(statement), columns, frozenset(queries.from_clause.used), frozenset(queries.conditions.searched), top
    )
