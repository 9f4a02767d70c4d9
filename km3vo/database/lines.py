"""Small answers as lines: PostgreSQL writes each row as text, with a control character between its cells.

Reading cells one by one and writing them again takes Python several times as long (docs/performance.md).
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from km3vo.column import Column
from km3vo.results.text import UNIT


def written(statement: sql.Composable, columns: Sequence[Column]) -> sql.Composed:
    """The statement with its rows as lines; ``columns`` are its own, in order.

    A missing cell is empty, and a number has the fewest digits that read back as the same number.
    """
    names = [sql.Identifier(f"c{number}") for number in range(len(columns))]
    cells = [_cell(column, name) for column, name in zip(columns, names, strict=True)]
    return sql.SQL("SELECT concat({cells}) FROM ({statement}) AS found ({names})").format(
        cells=sql.SQL(f", '{UNIT}', ").join(cells), statement=statement, names=sql.SQL(", ").join(names)
    )


def _cell(column: Column, name: sql.Identifier) -> sql.Composable:
    if column.xtype == "timestamp":
        return sql.SQL("replace({}::text, ' ', 'T')").format(name)
    if not column.is_string and column.arraysize:
        return sql.SQL("array_to_string({}, ' ', 'NaN')").format(name)
    return name
