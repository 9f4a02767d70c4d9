"""Tables of every type with every awkward value, and what they should be when read back."""

from __future__ import annotations

import base64
import itertools
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st
from lxml import etree

from km3vo.catalog.model import Column
from km3vo.results.stream import Result, arrow_type

VOTABLE = "{http://www.ivoa.net/xml/VOTable/v1.3}"

# PostgreSQL has no NUL in its strings, and UTF-8 no surrogates.
_ANY = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
_ASCII = st.characters(min_codepoint=1, max_codepoint=127)
_FINITE = st.floats(allow_nan=False, allow_infinity=False)


def _texts(characters: Any) -> Any:
    awkward = st.sampled_from(["", " ", "x" * 3000, "a,b", '"', "</TD>", "]]>", "&amp;", "\t", "\r\n", "#", "\\"])
    return awkward | st.text(characters, max_size=8)


CELLS: dict[Column, Any] = {
    Column(name="flag", datatype="boolean"): st.booleans(),
    Column(name="byte", datatype="unsignedByte"): st.integers(0, 255),
    Column(name="short", datatype="short"): st.integers(-(2**15), 2**15 - 1),
    Column(name="int", datatype="int", unit="s"): st.integers(-(2**31), 2**31 - 1),
    Column(name="long", datatype="long"): st.integers(-(2**63), 2**63 - 1),
    Column(name="float", datatype="float", unit="GeV"): st.floats(width=32),
    Column(name="ra", datatype="double", unit="deg", ucd="pos.eq.ra;meta.main", description="a < b & c"): st.floats(),
    Column(name="mjd", datatype="double", unit="d", ucd="time.epoch"): _FINITE,
    Column(name="ascii", datatype="char", arraysize="*"): _texts(_ASCII),
    Column(name="word", datatype="char", arraysize="8*"): st.text(_ASCII, max_size=8),
    Column(name="text", datatype="unicodeChar", arraysize="*"): _texts(_ANY),
    Column(name="time", datatype="char", arraysize="*", xtype="timestamp"): st.datetimes()
    | st.datetimes().map(lambda moment: moment.replace(microsecond=0))
    | st.datetimes().map(lambda moment: moment.replace(microsecond=1000)),
    Column(name="point", datatype="double", arraysize="2", xtype="point"): st.lists(_FINITE, min_size=2, max_size=2),
    Column(name="polygon", datatype="double", arraysize="*", xtype="polygon"): st.lists(
        st.floats(0, 90), min_size=6, max_size=12
    ).map(lambda found: found[: len(found) // 2 * 2]),
    Column(name="counts", datatype="int", arraysize="*"): st.lists(st.integers(-(2**31), 2**31 - 1), max_size=5),
    Column(name="matrix", datatype="float", arraysize="2x3"): st.lists(
        st.floats(width=32, allow_nan=False), min_size=6, max_size=6
    ),
}


@dataclass(frozen=True)
class Sample:
    """Columns, their cells (by column), and the batches that hold them."""

    columns: tuple[Column, ...]
    cells: list[list[Any]]
    batches: list[pa.RecordBatch]

    def result(self, **attributes: Any) -> Result:
        """A result of these batches."""
        return Result(self.columns, iter(self.batches), **attributes)

    def without(self, *names: str) -> Sample:
        """The same without some columns."""
        kept = [index for index, column in enumerate(self.columns) if column.name not in names]
        return Sample(
            tuple(self.columns[index] for index in kept),
            [self.cells[index] for index in kept],
            [batch.select(kept) for batch in self.batches],
        )


@st.composite
def samples(draw: Any, without: Sequence[str] = ()) -> Sample:
    """Up to six columns and twelve rows, in batches that are slices of larger ones."""
    kinds = [column for column in CELLS if column.name not in without]
    columns = tuple(draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=6, unique=True)))
    rows = draw(st.integers(0, 12))
    cells = [draw(st.lists(CELLS[column] | st.none(), min_size=rows, max_size=rows)) for column in columns]
    cuts = sorted({0, *draw(st.lists(st.integers(0, rows), max_size=3)), rows})
    # A row before and one after, so that a batch neither begins nor ends where its buffers do.
    padding = [draw(CELLS[column]) for column in columns]
    arrays = [
        pa.array([filler, *values, filler], arrow_type(column))
        for filler, values, column in zip(padding, cells, columns, strict=True)
    ]
    whole = pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])
    batches = [whole.slice(start + 1, end - start) for start, end in itertools.pairwise(cuts)]
    return Sample(columns, cells, batches)


def sample(rows: dict[str, list[Any]]) -> Sample:
    """Given cells of some of the columns above, by name."""
    columns = tuple(column for name in rows for column in CELLS if column.name == name)
    arrays = [pa.array(values, arrow_type(column)) for values, column in zip(rows.values(), columns, strict=True)]
    return Sample(columns, list(rows.values()), [pa.RecordBatch.from_arrays(arrays, names=list(rows))])


def same(found: Any, wanted: Any) -> bool:
    """Whether two cells are equal, with not-a-number equal to itself, also within arrays."""
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    if isinstance(found, float) and isinstance(wanted, float):
        return found == wanted or (math.isnan(found) and math.isnan(wanted))
    return found == wanted and type(found) is type(wanted)


def check(found: list[list[Any]], wanted: list[list[Any]], columns: Sequence[Column]) -> None:
    """Fail with the name of the column where cells differ."""
    assert len(found) == len(wanted)
    for column, left, right in zip(columns, found, wanted, strict=True):
        assert len(left) == len(right), column.name
        for row, (cell, expected) in enumerate(zip(left, right, strict=True)):
            assert same(cell, expected), f"{column.name}[{row}]: found {cell!r}, not {expected!r}"


def iso(moment: datetime) -> str:
    """DALI's way to write a moment."""
    fraction = f".{moment.microsecond:06d}" if moment.microsecond else ""
    if moment.microsecond % 1000 == 0:
        fraction = fraction[:4]
    return moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + fraction


def as_text(cells: list[list[Any]]) -> list[list[Any]]:
    """The cells with moments as text."""
    return [[iso(cell) if isinstance(cell, datetime) else cell for cell in column] for column in cells]


def xml_text(text: str) -> str:
    """What is left of a text in XML 1.0."""
    return "".join(letter for letter in text if letter in "\t\n\r" or (letter >= " " and letter not in "\ufffe\uffff"))


def read_binary(document: bytes) -> tuple[list[Column], list[list[Any]]]:
    """An independent reader of BINARY and BINARY2, by the letter of VOTable 1.5 §5.3 and §5.4.

    Missing cells are None: in BINARY2 those with their bit set, in BINARY those equal to VALUES null.
    """
    table = etree.fromstring(document).find(f".//{VOTABLE}TABLE")
    fields = table.findall(f"{VOTABLE}FIELD")
    stream = table.find(f".//{VOTABLE}STREAM")
    flagged = stream.getparent().tag == f"{VOTABLE}BINARY2"
    raw = base64.b64decode(stream.text, validate=False)
    columns = [
        Column(name=field.get("name"), datatype=field.get("datatype"), arraysize=field.get("arraysize"))
        for field in fields
    ]
    nulls = [field.find(f"{VOTABLE}VALUES") for field in fields]
    cells: list[list[Any]] = [[] for _ in columns]
    position = 0
    while position < len(raw):
        flags = ""
        if flagged:
            size = (len(columns) + 7) // 8
            flags = "".join(f"{byte:08b}" for byte in raw[position : position + size])
            position += size
        for index, column in enumerate(columns):
            value, position = _cell(raw, position, column)
            missing = flagged and flags[index] == "1"
            null = nulls[index]
            if null is not None and value == int(null.get("null")):
                missing = True
            cells[index].append(None if missing or value == "?" else value)
    assert position == len(raw)
    return columns, cells


def _cell(raw: bytes, position: int, column: Column) -> tuple[Any, int]:
    code = {"unsignedByte": "B", "short": "h", "int": "i", "long": "q", "float": "f", "double": "d"}
    if column.arraysize is None:
        count = 1
    elif "*" in column.arraysize:
        count, position = struct.unpack_from(">I", raw, position)[0], position + 4
    else:
        count = math.prod(map(int, column.arraysize.split("x")))
    if column.datatype == "boolean":
        return {b"T": True, b"F": False, b"?": "?"}[raw[position : position + 1]], position + 1
    if column.datatype == "char":
        return raw[position : position + count].decode("ascii"), position + count
    if column.datatype == "unicodeChar":
        return raw[position : position + 2 * count].decode("utf-16-be"), position + 2 * count
    layout = f">{count}{code[column.datatype]}"
    values = list(struct.unpack_from(layout, raw, position))
    end = position + struct.calcsize(layout)
    return (values[0] if column.arraysize is None else values), end


def nullable(columns: Sequence[Column], flag: bool) -> tuple[Column, ...]:
    """The columns, said to hold missing values or not."""
    return tuple(replace(column, nullable=flag) for column in columns)
