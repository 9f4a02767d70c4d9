"""ADQL's types, and how they look in VOTable and in PostgreSQL (ADQL 2.1 §3)."""

from __future__ import annotations

from typing import Literal

from km3vo.adql.sql import Sql, sql
from km3vo.catalog.column import Column, Datatype

Type = Literal[
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "REAL",
    "DOUBLE",
    "CHAR",
    "TIMESTAMP",
    "BOOLEAN",
    "POINT",
    "CIRCLE",
    "POLYGON",
    "MOC",
    "ARRAY",
    "BINARY",
    "NULL",
]

INTEGERS: tuple[Type, ...] = ("SMALLINT", "INTEGER", "BIGINT")
NUMBERS: tuple[Type, ...] = (*INTEGERS, "REAL", "DOUBLE")
GEOMETRIES: tuple[Type, ...] = ("POINT", "CIRCLE", "POLYGON", "MOC")

# As VOTable has them: datatype, arraysize, xtype.
_VOTABLE: dict[Type, tuple[Datatype, str | None, str | None]] = {
    "SMALLINT": ("short", None, None),
    "INTEGER": ("int", None, None),
    "BIGINT": ("long", None, None),
    "REAL": ("float", None, None),
    "DOUBLE": ("double", None, None),
    "CHAR": ("char", "*", None),
    "TIMESTAMP": ("char", "*", "timestamp"),
    "BOOLEAN": ("boolean", None, None),
    "POINT": ("double", "2", "point"),
    "CIRCLE": ("double", "3", "circle"),
    "POLYGON": ("double", "*", "polygon"),
    "MOC": ("char", "*", "moc"),
    "ARRAY": ("int", "*", None),
    "NULL": ("char", "*", None),
}

_FROM_VOTABLE: dict[str, Type] = {
    "boolean": "BOOLEAN",
    "unsignedByte": "SMALLINT",
    "short": "SMALLINT",
    "int": "INTEGER",
    "long": "BIGINT",
    "float": "REAL",
    "double": "DOUBLE",
}

_GEOMETRY_XTYPES: dict[str, Type] = {"point": "POINT", "circle": "CIRCLE", "polygon": "POLYGON"}

_TEXT_XTYPES: dict[str, Type] = {"timestamp": "TIMESTAMP", "moc": "MOC"}

# In words, for messages.
WORDS: dict[Type, str] = {
    "SMALLINT": "a number",
    "INTEGER": "a number",
    "BIGINT": "a number",
    "REAL": "a number",
    "DOUBLE": "a number",
    "CHAR": "a string",
    "TIMESTAMP": "a timestamp",
    "BOOLEAN": "a boolean",
    "POINT": "a point",
    "CIRCLE": "a circle",
    "POLYGON": "a polygon",
    "MOC": "a MOC",
    "ARRAY": "an array",
    "BINARY": "binary data",
    "NULL": "NULL",
}


def votable(type_: Type) -> tuple[Datatype, str | None, str | None]:
    """Datatype, arraysize and xtype of a computed column."""
    return _VOTABLE[type_]


def of_column(column: Column) -> Type:
    """The type of a published or uploaded column."""
    if column.datatype in ("char", "unicodeChar"):
        return _TEXT_XTYPES.get(column.xtype or "", "CHAR")
    if column.arraysize in (None, "", "1"):
        return _FROM_VOTABLE[column.datatype]
    if column.datatype == "unsignedByte":
        return "BINARY"
    # DALI 1.1 §3.3: float or double. Physically they are float8[] all the same.
    return _GEOMETRY_XTYPES.get(column.xtype or "", "ARRAY")


def wider(a: Type, b: Type) -> Type:
    """The type that holds values of both, as PostgreSQL chooses it: real with an integer gives double."""
    if a == "NULL" or a == b:
        return b
    if b == "NULL":
        return a
    if a in NUMBERS and b in NUMBERS:
        return "DOUBLE" if "REAL" in (a, b) else NUMBERS[max(NUMBERS.index(a), NUMBERS.index(b))]
    return a


def null(column: Column) -> Sql:
    """NULL of the PostgreSQL type that a column declares."""
    type_ = of_column(column)
    if type_ in _CASTS:
        return sql(_CASTS[type_], sql("NULL"))
    if type_ == "BINARY":
        return sql("NULL::bytea")
    return sql(_NULL_ARRAYS[column.datatype])


def cast(piece: Sql, type_: Type) -> Sql:
    """A scalar as exactly the PostgreSQL type that its column declares."""
    return sql(_CASTS[type_], piece)


_CASTS: dict[Type, str] = {
    "SMALLINT": "({})::int2",
    "INTEGER": "({})::int4",
    "BIGINT": "({})::int8",
    "REAL": "({})::float4",
    "DOUBLE": "({})::float8",
    "CHAR": "({})::text",
    "TIMESTAMP": "({})::timestamp",
    "BOOLEAN": "({})::bool",
    "MOC": "({})::text",
    "NULL": "({})::text",
}

_NULL_ARRAYS: dict[str, str] = {
    "boolean": "NULL::bool[]",
    "short": "NULL::int2[]",
    "int": "NULL::int4[]",
    "long": "NULL::int8[]",
    "float": "NULL::float4[]",
    "double": "NULL::float8[]",
}
