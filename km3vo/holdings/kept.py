"""Published tables whose rows the service keeps itself, from what else is published."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from km3vo.catalog.model import Table

Row = dict[str, Any]


def replace(connection: psycopg.Connection, table: Table, rows: list[Row]) -> bool:
    """Make the rows of a table those given; False when they are so already.

    ``connection`` is the service's, in a transaction. Rows are told apart by the table's identifier; a column that a
    row does not have is NULL.
    """
    assert table.id is not None
    key, names = table.id, [column.name for column in table.columns]
    wanted = sorted(({name: row.get(name) for name in names} for row in rows), key=lambda row: str(row[key]))
    parts = {
        "table": sql.Identifier(table.schema, table.name),
        "columns": sql.SQL(", ").join(map(sql.Identifier, names)),
        "values": sql.SQL(", ").join(map(sql.Placeholder, names)),
    }
    cursor = connection.cursor(row_factory=dict_row)
    # One writer at a time; readers go on.
    cursor.execute(sql.SQL("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE").format(**parts))
    present = cursor.execute(sql.SQL("SELECT {columns} FROM {table}").format(**parts)).fetchall()
    if sorted(present, key=lambda row: str(row[key])) == wanted:
        return False
    cursor.execute(sql.SQL("DELETE FROM {table}").format(**parts))
    cursor.executemany(sql.SQL("INSERT INTO {table} ({columns}) VALUES ({values})").format(**parts), wanted)
    return True
