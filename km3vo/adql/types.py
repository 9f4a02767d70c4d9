"""ADQL's types, and how they look in VOTable and in PostgreSQL (ADQL 2.1 §3)."""

from __future__ import annotations

from collections.abc import Iterator

from km3vo.adql.sql import Sql, sql, type_name
from km3vo.column import Column
from km3vo.datatypes import DATATYPES, XTYPES, AdqlType, Datatype

Type = AdqlType

INTEGERS: tuple[Type, ...] = ("SMALLINT", "INTEGER", "BIGINT")
NUMBERS: tuple[Type, ...] = (*INTEGERS, "REAL", "DOUBLE")
GEOMETRIES: tuple[Type, ...] = ("POINT", "CIRCLE", "POLYGON", "MOC")

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


def _votable() -> Iterator[tuple[Type, tuple[Datatype, str | None, str | None]]]:
    for datatype, known in reversed(DATATYPES.items()):
        yield known.adql, (datatype, "*" if known.postgres == "text" else None, None)
    for name, xtype in XTYPES.items():
        if xtype.adql is not None:
            yield xtype.adql, (xtype.datatypes[0], xtype.arraysize, name)
    yield "ARRAY", ("int", "*", None)
    yield "NULL", ("char", "*", None)


_VOTABLE = dict(_votable())


def of_column(column: Column) -> Type:
    """The type of a published or uploaded column."""
    xtype = XTYPES.get(column.xtype) if column.xtype else None
    # Geometries may be float or double (DALI 1.1 §3.3). Physically they are float8[] all the same.
    special = xtype.adql if xtype is not None and column.is_string == ("char" in xtype.datatypes) else None
    if column.is_string:
        return special or "CHAR"
    if column.arraysize in (None, "", "1"):
        return DATATYPES[column.datatype].adql
    return "BINARY" if column.datatype == "unsignedByte" else special or "ARRAY"


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
    if type_ in _STORED:
        return sql("(NULL)::{}", _STORED[type_])
    if type_ == "BINARY":
        return sql("NULL::bytea")
    return sql("NULL::{}[]", type_name(DATATYPES[column.datatype].postgres))


def cast(piece: Sql, type_: Type) -> Sql:
    """A scalar as exactly the PostgreSQL type that its column declares."""
    return sql("({})::{}", piece, _STORED[type_])


# PostgreSQL's types of scalars; a value that is nothing but NULL is declared a string.
_STORED: dict[Type, Sql] = {
    **{known.adql: type_name(known.postgres) for known in DATATYPES.values()},
    "TIMESTAMP": type_name("timestamp"),
    "MOC": type_name("text"),
    "NULL": type_name("text"),
}
