"""Tables described in a JSON file, for trying queries against tables that are not published.

The file has {"schemas": {group: {table: {column: {"pg", "datatype", "arraysize", "xtype", "unit"}}}}}; ``table`` is
its name or schema.name, ``pg`` the type in PostgreSQL. Groups are independent of one another.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from km3vo.adql.query_tables import QueryTable, QueryTables
from km3vo.column import Column
from km3vo.errors import SetupError

_SPHERE = ("spoint", "scircle", "spoly")


def read_groups(path: Path) -> dict[str, QueryTables]:
    """The tables in a file, by group. Raises SetupError when it is not of that form."""
    try:
        groups = json.loads(path.read_text(encoding="utf-8"))["schemas"]
        return {
            name: QueryTables(_table(table, columns) for table, columns in group.items())
            for name, group in groups.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SetupError(
            f'{path} cannot be read as {{"schemas": {{group: {{table: {{column: {{"datatype": ...}}}}}}}}}}: '
            f"{type(error).__name__} {error}"
        ) from None


def _table(table: str, columns: dict[str, dict[str, Any]]) -> QueryTable:
    name = relation(table)
    return QueryTable(
        name=name,
        relation=name,
        columns=tuple(
            Column(
                name=column,
                datatype=told["datatype"],
                arraysize=told.get("arraysize"),
                xtype=told.get("xtype"),
                unit=told.get("unit"),
                ucd=told.get("ucd"),
            )
            for column, told in columns.items()
        ),
        geometries={column: column for column, told in columns.items() if told.get("pg") in _SPHERE},
    )


def relation(table: str) -> tuple[str, ...]:
    """A table's name in its parts. A schema's name has no slashes; names such as B/avo.rad/catalog do."""
    schema, dot, name = table.partition(".")
    return (schema, name) if dot and "/" not in schema else (table,)
