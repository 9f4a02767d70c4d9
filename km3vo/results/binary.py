"""Rows as VOTable's BINARY and BINARY2 write them, a block of rows at a time (VOTable 1.5 §5.3 and §5.4).

A row is a few stretches of fixed width with cells of variable length between them. Each stretch is filled column by
column into a numpy record; Arrow then joins stretches and cells row by row. Nothing is padded, so one very long
string costs no more than its length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pybase64

from km3vo.column import Column
from km3vo.datatypes import DATATYPES
from km3vo.errors import DataError
from km3vo.results import kernels, text, views

_NUMBERS: dict[str, np.dtype[Any]] = {datatype: np.dtype(known.binary) for datatype, known in DATATYPES.items()}
# In BINARY a missing integer is a value that the FIELD's VALUES element names (VOTable 1.5 §6).
_NULLS: dict[str, int] = {datatype: known.low for datatype, known in DATATYPES.items() if known.low}


@dataclass(frozen=True, slots=True)
class _Cells:
    """One column's cells of variable length: bytes, and how many items each holds."""

    counts: npt.NDArray[np.int32]
    content: pa.Array


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a column's numbers are written.

    Attributes:
        number: their type.
        fill: what is written in the place of a missing one.
        checked: whether ``fill`` alone tells that one is missing, so that no other cell may hold it (BINARY).
    """

    column: Column
    number: np.dtype[Any]
    fill: float
    checked: bool = False


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Columns that lie next to each other in every row, and the column of variable length that follows."""

    dtype: np.dtype[Any]
    fixed: tuple[int, ...]
    variable: int | None


def datatype(column: Column) -> str:
    """The datatype under which BINARY can tell a missing value: one byte has no room for "none"."""
    needs_room = column.datatype == "unsignedByte" and column.nullable and is_fixed(column)
    return "short" if needs_room else column.datatype


def null_value(column: Column) -> int | None:
    """The number by which BINARY tells a missing one; None where there is none.

    Cells of variable length need none: a missing one has no items.
    """
    return _NULLS.get(datatype(column)) if column.nullable and is_fixed(column) else None


def is_fixed(column: Column) -> bool:
    """Whether each cell takes the same number of bytes. Strings are always written with their length."""
    return not column.is_string and "*" not in (column.arraysize or "")


def elements(column: Column) -> int:
    """How many numbers a cell of fixed size holds: 6 for arraysize "2x3"."""
    count = 1
    for side in (column.arraysize or "1").split("x"):
        count *= int(side)
    return count


def readable(columns: tuple[Column, ...], first: pa.RecordBatch) -> tuple[Column, ...]:
    """The columns as they can be written, judged by the first rows: text beyond ASCII becomes unicodeChar.

    Before VOTable 1.6 a char is ASCII, and in BINARY and BINARY2 readers hold on to it: astropy 8 refuses the
    whole document, STILTS 3.4 shows each byte as a letter. (In TABLEDATA both read the text as it is.)
    """
    wider = [
        replace(column, datatype="unicodeChar") if column.datatype == "char" and not _is_ascii(array) else column
        for column, array in zip(columns, first.columns, strict=True)
    ]
    return tuple(wider)


class Base64:
    """Encodes a stream in whole multiples of three bytes, so that no padding falls in its middle."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, raw: bytes | memoryview) -> bytes:
        """The next piece as text, all but the last one or two bytes."""
        if self._rest:
            raw = self._rest + raw
        whole = len(raw) // 3 * 3
        view = memoryview(raw)
        self._rest = bytes(view[whole:])
        return pybase64.b64encode(view[:whole]) + b"\n"

    def finish(self) -> bytes:
        """What was held back."""
        return pybase64.b64encode(self._rest) + b"\n" if self._rest else b""


@lru_cache(maxsize=512)
def encoder(columns: tuple[Column, ...], flags: bool) -> Callable[[pa.RecordBatch], memoryview]:
    """A function from blocks of these columns to bytes.

    Args:
        flags: whether each row begins with a bit per column that tells missing values: BINARY2, else BINARY.
    """
    plans = [_plan(column, flags) for column in columns]
    stretches = _stretches(plans, flags)

    def encode(batch: pa.RecordBatch) -> memoryview:
        count = batch.num_rows
        arrays = batch.columns
        parts: list[pa.Array] = []
        for number, stretch in enumerate(stretches):
            record = np.empty(count, stretch.dtype)
            if number == 0 and flags:
                record["flags"] = _flags(arrays, count)
            for index in stretch.fixed:
                record[f"c{index}"] = _fixed(arrays[index], plans[index])
            cells = None
            if stretch.variable is not None:
                cells = _variable(arrays[stretch.variable], plans[stretch.variable])
            if cells is not None:
                record["count"] = cells.counts
            if len(stretches) == 1 and cells is None:
                return record.view(np.uint8).data
            width: int = stretch.dtype.itemsize
            if width:
                parts.append(views.binary(count, np.arange(count + 1) * width, record))
            if cells is not None:
                parts.append(cells.content)
        joined = kernels.join_cells(parts, b"", "")
        return views.data(joined).data

    return encode


def _plan(column: Column, flags: bool) -> _Plan:
    if column.is_string or column.datatype == "boolean":
        return _Plan(column, np.dtype("u1"), 0)
    number = _NUMBERS[column.datatype if flags else datatype(column)]
    if number.kind == "f":
        return _Plan(column, number, np.nan)
    return _Plan(column, number, 0) if flags else _Plan(column, number, null_value(column) or 0, checked=True)


def _stretches(plans: Sequence[_Plan], flags: bool) -> list[_Stretch]:
    stretches: list[_Stretch] = []
    fields: list[Any] = [("flags", "u1", ((len(plans) + 7) // 8,))] if flags else []
    fixed: list[int] = []
    for index, plan in enumerate(plans):
        if is_fixed(plan.column):
            count = elements(plan.column)
            fields.append((f"c{index}", plan.number) if count == 1 else (f"c{index}", plan.number, (count,)))
            fixed.append(index)
        else:
            fields.append(("count", ">u4"))
            stretches.append(_Stretch(np.dtype(fields), tuple(fixed), index))
            fields, fixed = [], []
    if fields or not stretches:
        stretches.append(_Stretch(np.dtype(fields), tuple(fixed), None))
    return stretches


def _flags(arrays: Sequence[pa.Array], count: int) -> npt.NDArray[np.uint8]:
    """The bits that tell missing values, the first column in the most significant bit of the first byte."""
    bits = None
    for index, array in enumerate(arrays):
        missing = views.nulls(array)
        if missing is not None:
            if bits is None:
                bits = np.zeros((count, len(arrays)), bool)
            bits[:, index] = missing
    return np.zeros((count, (len(arrays) + 7) // 8), np.uint8) if bits is None else np.packbits(bits, axis=1)


def _fixed(array: pa.Array, plan: _Plan) -> npt.NDArray[Any]:
    if plan.column.datatype == "boolean":
        letters = np.where(views.values(array), np.uint8(ord("T")), np.uint8(ord("F")))
        missing = views.nulls(array)
        if missing is not None:
            letters[missing] = ord("?")
        return letters
    if not pa.types.is_list(array.type):
        return _numbers(array, plan)
    size = elements(plan.column)
    missing = views.nulls(array)
    count = views.lengths(array)
    if ((count != size) if missing is None else (count != size) & ~missing).any():
        raise DataError(f"Column {plan.column.name} should hold {size} numbers in each cell and does not.")
    found = _numbers(array.flatten(), plan)
    if missing is None:
        return found.reshape(-1, size)
    if plan.checked and null_value(plan.column) is None:
        raise _untellable(plan.column)
    cells = np.full((len(array), size), plan.fill, found.dtype)
    cells[~missing] = found.reshape(-1, size)
    return cells


def _numbers(array: pa.Array, plan: _Plan) -> npt.NDArray[Any]:
    found = views.values(array, plan.fill)
    if plan.checked:
        missing, null = views.nulls(array), null_value(plan.column)
        if null is None and missing is not None:
            raise _untellable(plan.column)
        if null is not None and ((found == null) if missing is None else (found == null) & ~missing).any():
            raise DataError(
                f"Column {plan.column.name} holds {null}, which stands for a missing number in BINARY. "
                "Ask for RESPONSEFORMAT=votable (BINARY2) instead."
            )
    return found


def _untellable(column: Column) -> DataError:
    return DataError(
        f"Column {column.name} lacks a number where BINARY cannot tell so. "
        "Ask for RESPONSEFORMAT=votable (BINARY2) instead."
    )


def _variable(array: pa.Array, plan: _Plan) -> _Cells:
    column = plan.column
    if pa.types.is_timestamp(array.type):
        array = text.timestamps(array)
    if column.datatype == "unicodeChar":
        return _utf16(array)
    if column.is_string:
        if not _is_ascii(array):
            raise DataError(
                f"Column {column.name} holds text beyond ASCII, which this format cannot carry in a column of type "
                "char. Ask for RESPONSEFORMAT=votable/td, csv or parquet instead."
            )
        return _Cells(views.lengths(array), array.view(pa.binary()))
    missing = views.nulls(array)
    where = views.offsets(array)
    whole = array.values.slice(where[0], where[-1] - where[0])
    content = _numbers(whole, plan).astype(plan.number)
    return _Cells(
        views.lengths(array), views.binary(len(array), (where - where[0]) * plan.number.itemsize, content, missing)
    )


def _is_ascii(array: pa.Array) -> bool:
    return not pa.types.is_string(array.type) or int(views.data(array).max(initial=0)) < 0x80


def _utf16(array: pa.Array) -> _Cells:
    """Strings in units of two bytes. A character beyond U+FFFF is a surrogate pair, which both Java and Python read.

    VOTable 1.5 §2.1 calls the encoding UCS-2, which has no such characters; dropping them would be worse.
    """
    content = views.data(array)
    where = views.offsets(array) - views.offsets(array)[0]
    # Each byte that begins a character counts one unit, the first of four bytes counts two.
    units = np.zeros(len(content) + 1, np.int32)
    np.cumsum(((content & 0xC0) != 0x80).view(np.int8) + (content >= 0xF0).view(np.int8), out=units[1:])
    ends = units[where]
    encoded = content.tobytes().decode("utf-8").encode("utf-16-be")
    missing = views.nulls(array)
    counts = np.diff(ends)
    if missing is not None:
        counts[missing] = 0
    return _Cells(counts, views.binary(len(array), ends * 2, encoded, missing))
