"""Cells of several numbers, and what is missing among them."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from km3vo.column import Column
from km3vo.datatypes import XTYPES
from km3vo.results import views
from km3vo.results.stream import arrow_type

Mask = npt.NDArray[np.bool_]
_GEOMETRIES = ("point", "circle", "polygon")


def is_geometry(column: Column) -> bool:
    """Whether cells are points, circles or polygons in DALI's form."""
    return column.datatype in ("float", "double") and bool(column.arraysize) and column.xtype in _GEOMETRIES


def is_array(column: Column) -> bool:
    """Whether cells hold several numbers."""
    return not column.is_string and column.arraysize not in (None, "1")


def stored_type(column: Column) -> pa.DataType:
    """The Arrow type in which an uploaded column is stored: geometries in double precision whatever they came in."""
    return pa.list_(pa.float64()) if is_geometry(column) else arrow_type(column)


def item_type(column: Column) -> pa.DataType:
    """The Arrow type of the numbers in a cell."""
    return stored_type(column).value_type if is_array(column) else arrow_type(column)


def size_of(column: Column) -> int | None:
    """How many numbers a cell holds, or None when that varies."""
    if is_geometry(column) and XTYPES[column.xtype or ""].length:
        return XTYPES[column.xtype or ""].length
    sides = (column.arraysize or "1").split("x")
    return None if sides[-1].endswith("*") else math.prod(map(int, sides))


def absent(array: pa.Array) -> Mask:
    """Where values are missing."""
    missing = views.nulls(array)
    return np.zeros(len(array), bool) if missing is None else missing


def without_nan(values: pa.Array) -> pa.Array:
    """The numbers, NULL where one is NaN."""
    if pa.types.is_floating(values.type) and pc.any(pc.is_nan(values)).as_py():
        return pc.if_else(pc.is_nan(values), None, values)
    return values


def lists(values: pa.Array, counts: npt.NDArray[np.integer], missing: Mask | None = None) -> pa.Array:
    """Lists of so many values each, one after the other; where one is missing it must have none."""
    ends = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    if ends[-1] > 2**31 - 1:
        raise pa.ArrowInvalid("more numbers than a block of rows can hold")
    offsets = pa.array(ends.astype(np.int32))
    if missing is not None and missing.any():
        offsets = pa.array(ends.astype(np.int32), mask=np.append(missing, False))
    return pa.ListArray.from_arrays(offsets, values)


def wrong_sizes(column: Column, cells: pa.Array) -> Mask:
    """Where a list is not as long as its column declares: "3", "3*" (at most), "2x*" (whole pairs)."""
    size, there, lengths = size_of(column), ~absent(cells), views.lengths(cells)
    if is_geometry(column) and column.xtype == "polygon":
        odd: Mask = there & ((lengths % 2 != 0) | ((lengths < 6) & (lengths > 0)))
        return odd
    if size is not None:
        wrong: Mask = there & (lengths != size)
        return wrong
    *inner, last = (column.arraysize or "*").split("x")
    step = math.prod(map(int, inner))
    wrong = there & (lengths % step != 0) if step > 1 else np.zeros(len(cells), bool)
    if last != "*":
        wrong |= there & (lengths > step * int(last.removesuffix("*")))
    return wrong
