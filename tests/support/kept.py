"""What each of our formats keeps of a table, and tables that hold every type with every awkward value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from km3vo.column import Column
from km3vo.results.stream import arrow_type
from tests.support.cells import CELLS, Sample, iso, xml_text

# Those that can be read again.
FORMATS = ("votable", "votable/td", "votable/b", "votable1.5", "csv", "tsv", "ecsv", "fits", "parquet")
PATTERNS = ("none", "some", "all")
# Formats in which a text without letters is a missing one.
_EMPTY_IS_MISSING = ("votable/td", "votable/b", "tsv", "ecsv", "fits")


def is_array(column: Column) -> bool:
    return not column.is_string and column.arraysize is not None


def is_fixed(column: Column) -> bool:
    return is_array(column) and "*" not in (column.arraysize or "")


@st.composite
def tables(draw: Any, *, printable: bool = False) -> Sample:
    """A few columns with few rows; in each column no cell is missing, or some are, or all.

    Args:
        printable: whether texts hold what may be published, and numbers no infinity.
    """
    columns = tuple(draw(st.lists(st.sampled_from(list(CELLS)), min_size=1, max_size=6, unique=True)))
    rows = draw(st.integers(0, 8))
    cells = []
    for column in columns:
        pattern, strategy = draw(st.sampled_from(PATTERNS)), CELLS[column]
        if printable and column.is_string and column.xtype is None:
            limit = {"categories": ["L", "N", "P", "Zs"]} if column.name == "text" else {"max_codepoint": 126}
            size = 8 if column.name == "word" else 40
            strategy = st.text(st.characters(min_codepoint=32, **limit), max_size=size)
        kinds = {"none": strategy, "some": strategy | st.none(), "all": st.none()}
        cells.append(draw(st.lists(kinds[pattern], min_size=rows, max_size=rows)))
    return sampled(columns, cells)


def sampled(columns: Sequence[Column], cells: list[list[Any]]) -> Sample:
    """Cells by column, in one batch."""
    arrays = [pa.array(values, arrow_type(column)) for values, column in zip(cells, columns, strict=True)]
    batch = pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])
    return Sample(tuple(columns), [array.to_pylist() for array in arrays], [batch])


def holds_mark(column: Column, cells: Sequence[Any]) -> bool:
    """Whether a cell holds the number that stands for a missing one in BINARY."""
    low = {"short": -(2**15), "int": -(2**31), "long": -(2**63)}.get(column.datatype)
    return low is not None and not is_array(column) and low in cells


def cells(column: Column, values: Sequence[Any], name: str, *, alone: bool) -> list[Any]:
    """The values of a column when they come back from a format; ``alone`` when there is no other column."""
    return [_cell(column, value, name, alone) for value in values]


def _cell(column: Column, value: Any, name: str, alone: bool) -> Any:
    if value is None:
        # Quotes around nothing stand for it in the only column of a table in CSV.
        return "" if name == "csv" and alone and column.is_string and column.xtype is None else None
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, str):
        kept = _text(value, name)
        # Of a text of blanks FITS keeps that there is one.
        return None if kept == "" and name in _EMPTY_IS_MISSING and not (name == "fits" and value) else kept
    if isinstance(value, list):
        if not value and name not in ("votable", "votable1.5", "parquet", "ecsv"):
            return None
        if name in ("fits", "votable/b") and is_fixed(column) and all(map(math.isnan, value)):
            return None
    return value


def _text(value: str, name: str) -> str:
    if name == "votable/td":
        return xml_text(value)
    if name == "tsv":
        return value.translate(dict.fromkeys(map(ord, "\t\r\n"), " "))
    return value.rstrip(" ") if name == "fits" else value


def described(column: Column, name: str) -> Column:
    """What is said of a column when it comes back from a format that tells types."""
    if name == "votable/b" and column.datatype == "unsignedByte":
        return replace(column, datatype="short")  # with room for what is missing
    if name == "ecsv":
        datatype = {"unsignedByte": "short", "unicodeChar": "char"}.get(column.datatype, column.datatype)
        size = "*" if column.is_string else "6" if column.arraysize == "2x3" else column.arraysize
        return replace(column, datatype=datatype, arraysize=size)  # type: ignore[arg-type]
    if name == "fits" and column.datatype == "unicodeChar":
        return replace(column, datatype="char")
    return column


def as_csv(value: Any) -> str:
    """A cell as CSV and TSV have it, but for floating numbers; a missing one is empty."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
