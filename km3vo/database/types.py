"""The PostgreSQL types of columns."""

from __future__ import annotations

from km3vo.column import Column
from km3vo.datatypes import DATATYPES, XTYPES


def postgres_type(column: Column) -> str:
    """The PostgreSQL type in which a column is stored and sent (see results.stream for its Arrow type)."""
    xtype = XTYPES.get(column.xtype or "")
    if xtype is not None and xtype.postgres is not None and column.is_string:
        return xtype.postgres
    return DATATYPES[column.datatype].postgres + ("[]" if column.arraysize and not column.is_string else "")
