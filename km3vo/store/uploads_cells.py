"""Cells of uploaded tables as Arrow arrays of the types that results have (results/stream.py).

Missing values are NULL, and so is a NaN that stands alone: VOTable writes missing numbers so, and a NaN for a position
would poison a spatial index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from km3vo.catalog.model import Column
from km3vo.errors import UploadError
from km3vo.results.stream import arrow_type

GEOMETRIES = {"point": 2, "circle": 3, "polygon": None}

_TRUTH = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False, "": None, "?": None}
_WORDS = {
    "unsignedByte": "a whole number from 0 to 255",
    "short": "a whole number from -32768 to 32767",
    "int": "a whole number from -2147483648 to 2147483647",
    "long": "a whole number of 64 bits",
    "float": "a number",
    "double": "a number",
    "boolean": "true or false",
}


def stored_type(column: Column) -> pa.DataType:
    """The Arrow type in which a column is stored: geometries in double precision whatever they came in."""
    return pa.list_(pa.float64()) if is_geometry(column) else arrow_type(column)


def is_geometry(column: Column) -> bool:
    """Whether cells are points, circles or polygons in DALI's form."""
    return column.datatype in ("float", "double") and bool(column.arraysize) and column.xtype in GEOMETRIES


def is_array(column: Column) -> bool:
    """Whether cells hold several numbers."""
    return not column.is_string and column.arraysize not in (None, "1")


def from_texts(column: Column, cells: Sequence[str | None], null: str | None, first: int = 1) -> pa.Array:
    """Cells as they stand in a TABLEDATA (VOTable 1.5 §6.2).

    Args:
        column: what they should be.
        cells: their texts; an empty one is NULL.
        null: the text that stands for NULL besides, from the FIELD's VALUES element, or None.
        first: number of the first row, for messages.

    Raises:
        UploadError: a cell is something else; names row, column and value.
    """
    texts = pa.array(cells, pa.string())
    if column.is_string and column.xtype != "timestamp":
        return _without(texts, "")
    trimmed = _without(pc.utf8_trim_whitespace(texts), "")
    if null is not None:
        trimmed = _without(trimmed, null)
    try:
        return _read(column, trimmed)
    except (pa.ArrowInvalid, KeyError, UploadError):
        raise _mistake(column, trimmed, first) from None


def _without(texts: pa.Array, absent: str) -> pa.Array:
    return pc.if_else(pc.equal(texts, absent), None, texts)


def _read(column: Column, texts: pa.Array) -> pa.Array:
    if column.xtype == "timestamp" and column.is_string:
        return times(texts)
    if not is_array(column):
        return _scalars(column, texts)
    parts = pc.utf8_split_whitespace(texts)
    item = stored_type(column).value_type
    values = _numbers(column, parts.flatten(), item)
    found = pa.ListArray.from_arrays(_offsets(parts), values)
    return checked_sizes(column, found)


def _scalars(column: Column, texts: pa.Array) -> pa.Array:
    values = _numbers(column, texts, arrow_type(column))
    return without_nan(values)


def _numbers(column: Column, texts: pa.Array, type_: pa.DataType) -> pa.Array:
    if column.datatype == "boolean":
        return pa.array([None if text is None else _TRUTH[text.lower()] for text in texts.to_pylist()], pa.bool_())
    if column.datatype == "unsignedByte":
        return texts.cast(pa.uint8()).cast(pa.int16())
    return texts.cast(type_)


def without_nan(values: pa.Array) -> pa.Array:
    """The numbers, NULL where one is NaN."""
    if pa.types.is_floating(values.type) and pc.any(pc.is_nan(values)).as_py():
        return pc.if_else(pc.is_nan(values), None, values)
    return values


def times(texts: pa.Array) -> pa.Array:
    """DALI timestamps (DALI 1.1 §3.3.3), UTC, as microseconds."""
    return pc.replace_substring_regex(texts, "[Zz]$", "").cast(pa.timestamp("us"))


def _offsets(lists: pa.Array) -> pa.Array:
    """Offsets of a list array of the same shape: null where a list is."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0)
    ends = np.concatenate([[0], np.cumsum(lengths.to_numpy(zero_copy_only=False))]).astype(np.int32)
    missing = np.append(lists.is_null().to_numpy(zero_copy_only=False), False)
    return pa.array(ends, mask=missing)


def checked_sizes(column: Column, lists: pa.Array) -> pa.Array:
    """The arrays, each as long as its column declares.

    Raises:
        UploadError: one is not.
    """
    size = size_of(column)
    if size is not None:
        wrong = pc.not_equal(pc.list_value_length(lists), size)
        if pc.any(wrong).as_py():
            raise UploadError(f"column {column.name} must hold {size} numbers in each row")
    return lists


def size_of(column: Column) -> int | None:
    """How many numbers a cell holds, or None when that varies."""
    if is_geometry(column) and GEOMETRIES[column.xtype or ""]:
        return GEOMETRIES[column.xtype or ""]
    sides = (column.arraysize or "1").split("x")
    return None if sides[-1].endswith("*") else int(np.prod([int(side) for side in sides]))


def _mistake(column: Column, texts: pa.Array, first: int) -> UploadError:
    """The first cell that cannot be read, in words."""
    check: Callable[[pa.Array], object] = lambda text: _read(column, text)  # noqa: E731
    low, high = 0, len(texts)
    while high - low > 1:  # halve: the array as a whole is known to be wrong
        middle = (low + high) // 2
        try:
            check(texts.slice(low, middle - low))
        except (pa.ArrowInvalid, KeyError, UploadError):
            high = middle
        else:
            low = middle
    value = str(texts[low].as_py())[:60]
    if column.xtype == "timestamp" and column.is_string:
        wanted = "a time such as 2026-01-31T12:00:00.5 (UTC)"
    elif is_array(column):
        size = size_of(column)
        wanted = "numbers with spaces between" if size is None else f"{size} numbers with spaces between"
    else:
        wanted = _WORDS[column.datatype]
    return UploadError(f"row {first + low}, column {column.name}: {value!r} is not {wanted}")
