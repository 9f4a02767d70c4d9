"""FIELDs of a VOTable: what a column holds, how its cells are written, and which systems its values refer to."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any

from km3vo.column import Column
from km3vo.datatypes import DATATYPES, XTYPES, Datatype
from km3vo.errors import ReadError
from km3vo.readers import clocks, frames, texts
from km3vo.readers.arrays import stored_type
from km3vo.readers.frames import Frame
from km3vo.readers.mistakes import named, shown
from km3vo.readers.opened import FileColumn

MOST = 10_000  # columns; a million of them would fill the memory

_DATATYPES: dict[str, Datatype] = {"bit": "boolean", **{datatype: datatype for datatype in DATATYPES}}
_ARRAYSIZE = re.compile(r"(\d{1,9}x)*(\d{1,9}|\d{0,9}\*)", re.ASCII)
# Times that are lengths of time, and so refer to no origin (UCD1+ 1.4).
_LENGTHS = ("time.duration", "time.interval", "time.resolution", "time.period", "time.lifetime", "time.scale", "stat.")

Attributes = dict[str, str]


@dataclass(slots=True)
class Field:
    """A FIELD.

    Attributes:
        column: what it becomes.
        datatype, arraysize: as declared.
        ref: ID of what it refers to, or None.
        null: the value that stands for NULL, or None.
        null_text: the same as it is declared.
    """

    column: Column
    datatype: str
    arraysize: str | None
    ref: str | None = None
    null: Any = None
    null_text: str | None = None

    @property
    def is_fixed(self) -> bool:
        """Whether every cell has as many items."""
        return not (self.arraysize or "").endswith("*")

    def set_null(self, text: str) -> None:
        """Take what a VALUES element says about missing values."""
        self.null_text = text.strip()
        if self.column.is_string or not self.null_text:
            return
        scalar = texts.parsed(self.column, self.null_text, texts.VOTABLE)
        if scalar is None:
            raise ReadError(
                f"column {named(self.column.name)}: the VALUES element's null is {shown(text)}, "
                f"which is not {DATATYPES[self.column.datatype].words}"
            )
        self.null = scalar.as_py()


def read_field(attributes: Attributes, number: int) -> Field:
    """A FIELD element.

    Raises:
        ReadError: it is not one, or of a type that is not supported.
    """
    name = attributes.get("name") or attributes.get("ID") or f"col_{number}"
    datatype = attributes.get("datatype", "").strip()
    arraysize = attributes.get("arraysize", "").strip() or None
    if datatype not in _DATATYPES:
        what = f"the datatype {shown(datatype)}, which is not supported" if datatype else "no datatype"
        raise ReadError(f"column {named(name)} has {what}: leave the column out")
    if arraysize is not None and not _ARRAYSIZE.fullmatch(arraysize):
        raise ReadError(f"column {named(name)} has the arraysize {shown(arraysize)}, which is not valid")
    xtype = attributes.get("xtype", "").strip() or None
    if xtype is not None and xtype.lower() == "adql:timestamp":  # TAP 1.0's name of it
        xtype = "timestamp"
    if datatype == "bit" and arraysize not in (None, "1"):
        raise ReadError(f"column {named(name)} is an array of bits, which is not supported: leave the column out")
    is_text = _DATATYPES[datatype] in ("char", "unicodeChar")
    if is_text and "x" in (arraysize or ""):
        raise ReadError(f"column {named(name)} is an array of texts, which is not supported: leave the column out")
    length = XTYPES[xtype].length if xtype in XTYPES else None
    if length and arraysize and "*" not in arraysize and math.prod(map(int, arraysize.split("x"))) != length:
        raise ReadError(
            f"column {named(name)} has the arraysize {shown(arraysize)}, but its xtype {xtype} has {length}"
        )
    column = Column(
        name=name,
        datatype=_DATATYPES[datatype],
        arraysize=arraysize if is_text or arraysize != "1" else None,
        xtype=xtype,
        unit=attributes.get("unit", "").strip() or None,
        ucd=attributes.get("ucd", "").strip() or None,
        utype=attributes.get("utype", "").strip() or None,
        sql=f"c{number}",
    )
    return Field(column, datatype, arraysize, attributes.get("ref", "").strip() or None)


def is_plain_text(field: Field) -> bool:
    """Whether a column holds texts that are no times, so that no system can matter to it."""
    return field.column.is_string and field.column.xtype != "timestamp"


def file_column(field: Field, systems: dict[str, Attributes]) -> FileColumn:
    """A FIELD as a column of a file; ``systems`` are the COOSYS and TIMESYS elements of the document by their IDs."""
    column = field.column
    system = systems.get(field.ref or "", {})
    clock, frame = None, None
    if system.get("element") == "TIMESYS" and not (column.ucd or "").startswith(_LENGTHS):
        clock = clocks.timesys(system, column)
    elif system.get("element") == "COOSYS":
        frame = coosys(system)
    if column.is_string:
        column = replace(column, arraysize=column.arraysize or "1")
    return FileColumn(column, stored_type(column), clock=clock, frame=frame)


def coosys(system: Attributes) -> Frame:
    """A COOSYS (VOTable 1.4 §3.1)."""
    return frames.frame_of(system.get("system", "UNKNOWN"), system.get("equinox"), system.get("epoch"))
