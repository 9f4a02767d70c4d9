"""VOTable's datatypes and DALI's xtypes, and what each is called everywhere else: one table for each.

Only names stand here, so that ADQL, whose import is to be quick, loads neither numpy nor Arrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Datatype = Literal["boolean", "unsignedByte", "short", "int", "long", "float", "double", "char", "unicodeChar"]
AdqlType = Literal[
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Representation:
    """What a datatype is called elsewhere, for a single value.

    Attributes:
        adql: type of an expression (ADQL 2.1 §3). Of several datatypes with the same one, computed columns have the
            first.
        postgres: type in which it is stored and sent.
        arrow: alias of its type in batches of results (``pyarrow.type_for_alias``).
        binary: numpy's name of an item in VOTable's BINARY and BINARY2 (VOTable 1.5 §5.3), and in FITS.
        bytes: size of that item.
        fits: letter of TFORM (FITS 4.0 §7.3.1).
        ecsv: its name in ECSV.
        low, high: the range of whole numbers; None for everything else.
        words: what a cell holds, for messages.
    """

    adql: AdqlType
    postgres: str
    arrow: str
    binary: str
    bytes: int
    fits: str
    ecsv: str
    words: str
    low: int | None = None
    high: int | None = None


DATATYPES: dict[Datatype, Representation] = {
    "boolean": Representation(
        adql="BOOLEAN",
        postgres="boolean",
        arrow="bool",
        binary="u1",
        bytes=1,
        fits="L",
        ecsv="bool",
        words="true or false",
    ),
    "short": Representation(
        adql="SMALLINT",
        postgres="smallint",
        arrow="int16",
        binary=">i2",
        bytes=2,
        fits="I",
        ecsv="int16",
        words="a whole number from -32768 to 32767",
        low=-(2**15),
        high=2**15 - 1,
    ),
    # Nothing in PostgreSQL is unsigned, so one byte more.
    "unsignedByte": Representation(
        adql="SMALLINT",
        postgres="smallint",
        arrow="int16",
        binary="u1",
        bytes=1,
        fits="B",
        ecsv="int16",
        words="a whole number from 0 to 255",
        low=0,
        high=2**8 - 1,
    ),
    "int": Representation(
        adql="INTEGER",
        postgres="integer",
        arrow="int32",
        binary=">i4",
        bytes=4,
        fits="J",
        ecsv="int32",
        words="a whole number from -2147483648 to 2147483647",
        low=-(2**31),
        high=2**31 - 1,
    ),
    "long": Representation(
        adql="BIGINT",
        postgres="bigint",
        arrow="int64",
        binary=">i8",
        bytes=8,
        fits="K",
        ecsv="int64",
        words="a whole number of 64 bits",
        low=-(2**63),
        high=2**63 - 1,
    ),
    "float": Representation(
        adql="REAL",
        postgres="real",
        arrow="float",
        binary=">f4",
        bytes=4,
        fits="E",
        ecsv="float32",
        words="a number",
    ),
    "double": Representation(
        adql="DOUBLE",
        postgres="double precision",
        arrow="double",
        binary=">f8",
        bytes=8,
        fits="D",
        ecsv="float64",
        words="a number",
    ),
    "char": Representation(
        adql="CHAR",
        postgres="text",
        arrow="string",
        binary="u1",
        bytes=1,
        fits="A",
        ecsv="string",
        words="text",
    ),
    # FITS has no other characters: UTF-8 goes into A.
    "unicodeChar": Representation(
        adql="CHAR",
        postgres="text",
        arrow="string",
        binary=">u2",
        bytes=2,
        fits="A",
        ecsv="string",
        words="text",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Xtype:
    """What values of an xtype are made of (DALI 1.1 §3.3, 1.2 §3.3).

    Attributes:
        datatypes: those that it goes with; computed columns have the first.
        arraysize: "*" for any number of them.
        adql: its type where ADQL has one of its own; None where it has that of its datatype.
        postgres: type in which it is stored and sent, where that is another than the datatype's.
    """

    datatypes: tuple[Datatype, ...]
    arraysize: str
    adql: AdqlType | None = None
    postgres: str | None = None

    @property
    def length(self) -> int | None:
        """How many numbers a value has; None where that varies."""
        return None if self.arraysize == "*" else int(self.arraysize)


_FLOATING: tuple[Datatype, ...] = ("double", "float")
_NUMBERS: tuple[Datatype, ...] = ("double", "float", "int", "long", "short")
_TEXT: tuple[Datatype, ...] = ("char", "unicodeChar")

XTYPES: dict[str, Xtype] = {
    "timestamp": Xtype(datatypes=("char",), arraysize="*", adql="TIMESTAMP", postgres="timestamp"),
    "point": Xtype(datatypes=_FLOATING, arraysize="2", adql="POINT"),
    "circle": Xtype(datatypes=_FLOATING, arraysize="3", adql="CIRCLE"),
    "polygon": Xtype(datatypes=_FLOATING, arraysize="*", adql="POLYGON"),
    "range": Xtype(datatypes=_FLOATING, arraysize="4"),
    "interval": Xtype(datatypes=_NUMBERS, arraysize="2"),
    "multiinterval": Xtype(datatypes=_NUMBERS, arraysize="*"),
    "moc": Xtype(datatypes=_TEXT, arraysize="*", adql="MOC"),
    **{
        word: Xtype(datatypes=_TEXT, arraysize="*")
        for word in ("shape", "multishape", "uri", "uuid", "json", "hms", "dms")
    },
}
