"""Columns of a FITS binary table: from the bytes of its rows to Arrow arrays (FITS 4.0 §7.3)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from km3vo.column import Column
from km3vo.datatypes import DATATYPES, Datatype
from km3vo.errors import ReadError
from km3vo.readers.arrays import is_array, lists, stored_type, without_nan
from km3vo.readers.clocks import PAIR
from km3vo.readers.fits.headers import Hdu
from km3vo.readers.fits.heap import Heap
from km3vo.readers.mistakes import Place, named, shown
from km3vo.readers.opened import FileColumn
from km3vo.readers.texts import as_text
from km3vo.results import views

Bytes = npt.NDArray[np.uint8]
_Mask = npt.NDArray[np.bool_]
_Places = npt.NDArray[np.int64]

_FIELDS = 999  # FITS 4.0 §7.3.1
_EXACT = 2**53  # whole numbers up to here are doubles
_FORM = re.compile(r"(\d{0,9})([LXBIJKAEDCM])(.*)", re.DOTALL)
_POINTER = re.compile(r"([01]?)([PQ])([LXBIJKAEDCM])(?:\((\d*)\))?")
_DIMENSIONS = re.compile(r"\(\s*\d{1,9}\s*(?:,\s*\d{1,9}\s*)*\)")
_ITEMS = {"L": "u1", "X": "u1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "A": "u1", "E": ">f4", "D": ">f8"}
_TYPES: dict[str, Datatype] = {
    "L": "boolean", "X": "boolean", "B": "unsignedByte", "I": "short", "J": "int", "K": "long", "A": "char",
    "E": "float", "D": "double",
}  # fmt: skip
_WHOLE: tuple[Datatype, ...] = ("unsignedByte", "short", "int", "long")
_UNSUPPORTED = {"C": "complex numbers", "M": "complex numbers", "X": "bits"}


class ColumnReader(Protocol):
    """Reads one column.

    Attributes:
        declared: the column.
    """

    declared: FileColumn

    def heap_bytes(self, records: Bytes) -> _Places:
        """How many bytes of each row lie in the heap."""

    def read(self, records: Bytes, heap: Heap | None, place: Place) -> pa.Array:
        """The cells of some rows, whose bytes are the rows of ``records``; those that are none are told."""


@dataclass(slots=True)
class BinaryColumn:
    """A column of a binary table.

    Attributes:
        declared: as which it is read.
        code: letter of TFORM.
        start: where it begins within a row.
        count: items in each row, or 2 numbers that point into the heap.
        pointer: type of these numbers, or None when the cells are in the row.
        scale, zero: what stored numbers are multiplied with, and what is added then.
        null: the stored number that stands for NULL, or None.
    """

    declared: FileColumn
    code: str
    start: int
    count: int
    pointer: str | None
    scale: float
    zero: float
    null: int | None

    @property
    def _item(self) -> np.dtype[np.generic]:
        return np.dtype(_ITEMS[self.code])

    def heap_bytes(self, records: Bytes) -> _Places:
        if self.pointer is None:
            return np.zeros(len(records), np.int64)
        counts, places = self._pointers(records)
        sizes = np.where((counts < 0) | (places < 0), 0, counts)
        return np.minimum(sizes, 2**40) * self._item.itemsize

    def read(self, records: Bytes, heap: Heap | None, place: Place) -> pa.Array:
        if self.pointer is None:
            width = self.count * self._item.itemsize
            cells = np.ascontiguousarray(records[:, self.start : self.start + width])
            if self.code == "A":
                return _texts(cells, place)
            return self._array(_native(cells, self._item), None, None, place)
        assert heap is not None
        counts, places = self._pointers(records)
        size = self._item.itemsize
        far = counts > heap.size // size
        bad = (
            (counts < 0)
            | far
            | ((counts > 0) & ((places < 0) | (places + np.where(far, 0, counts) * size > heap.size)))
        )
        for index in np.flatnonzero(bad).tolist():
            place.tell(index, int(places[index]), "is no place in the heap of the table, which may not be complete")
        counts = np.where(bad, 0, counts)
        raw = heap.gather(places, counts * size)
        missing: _Mask = counts == 0  # FITS has no other way to say so
        if self.code == "A":
            texts = views.binary(len(counts), views.ends(counts), raw, missing)
            # A NUL ends a text, blanks at its end do not count (FITS 4.0 §7.3.3.1).
            return as_text(pc.replace_substring_regex(texts, rb"(?s)(\x00.*| +)$", b""), place)
        return self._array(_native(raw, self._item), counts, missing, place)

    def _pointers(self, records: Bytes) -> tuple[_Places, _Places]:
        pointer = np.dtype(self.pointer)
        cells = np.ascontiguousarray(records[:, self.start : self.start + 2 * pointer.itemsize])
        numbers = cells.view(pointer).astype(np.int64)
        return numbers[:, 0], numbers[:, 1]

    def _array(self, items: npt.NDArray[Any], counts: _Places | None, missing: _Mask | None, place: Place) -> pa.Array:
        column = self.declared
        rows = len(place.lines)
        values, bad = self._values(items)
        if bad.any():
            per = np.full(rows, self.count) if counts is None else counts
            found, first = np.unique(np.repeat(np.arange(rows), per)[bad], return_index=True)
            for index, item in zip(found.tolist(), items[bad][first].tolist(), strict=True):
                if self.code == "L":
                    place.tell(index, bytes([item]), "is not T, F or 0")
                elif self.code in "ED":
                    place.tell(index, item, "is named as missing (TNULL), as only whole numbers may be: write NaN")
                else:
                    place.tell(index, item, "is too large to be scaled without being rounded (TSCAL, TZERO)")
        if column.type == PAIR:
            pairs = values.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False).reshape(rows, 2)
            return pa.StructArray.from_arrays([pa.array(pairs[:, 0]), pa.array(pairs[:, 1])], names=["jd1", "jd2"])
        if not pa.types.is_list(column.type):
            return without_nan(values)
        if counts is not None:
            return lists(values, counts, missing)
        # Where nothing of a cell is there, the cell itself is not: FITS has no other way to say so.
        gone = (pc.is_null(values, nan_is_null=True).to_numpy(zero_copy_only=False)).reshape(rows, self.count)
        none: _Mask = gone.all(axis=1) if self.count else np.zeros(rows, bool)
        if not none.any():
            return lists(values, np.full(rows, self.count))
        kept = values.filter(pa.array(np.repeat(~none, self.count)))
        return lists(kept, np.where(none, 0, self.count), none)

    def _values(self, items: npt.NDArray[Any]) -> tuple[pa.Array, _Mask]:
        """Stored items as values of the column, and which of them are none."""
        bad = np.zeros(len(items), bool)
        if self.code == "X":
            return pa.array((items & 0x80) != 0), bad
        if self.code == "L":
            true, false = items == ord("T"), items == ord("F")
            bad = ~(true | false | (items == 0))
            return pa.array(true, pa.bool_(), mask=~(true | false)), bad
        missing = np.zeros(len(items), bool) if self.null is None else items == self.null
        if self.code in "ED":
            # Only whole numbers have a TNULL (FITS 4.0 §7.3.2), but somebody wrote one.
            bad, missing = missing, np.zeros(len(items), bool)
        wanted = self.declared.type
        type_ = wanted.value_type if pa.types.is_list(wanted) else pa.float64() if wanted == PAIR else wanted
        if self.scale == 1 and self.zero == 0:
            return pa.array(items, mask=missing if missing.any() else None).cast(type_), bad
        if type_ == pa.uint64():
            numbers: npt.NDArray[Any] = items.view(np.uint64) ^ np.uint64(2**63)
        elif pa.types.is_integer(type_):
            numbers = items.astype(np.int64) + int(self.zero)
        else:
            stored = items.astype(np.float64)
            if self.code == "K":
                for place in np.flatnonzero(~missing & ((items > _EXACT) | (items < -_EXACT))).tolist():
                    bad[place] = int(items[place]) != int(stored[place])
            numbers = stored * self.scale + self.zero
        return pa.array(numbers, mask=missing if missing.any() else None).cast(type_), bad


def _native(raw: Bytes, item: np.dtype[np.generic]) -> npt.NDArray[Any]:
    found: npt.NDArray[Any] = np.ascontiguousarray(raw).reshape(-1).view(item).astype(item.newbyteorder("="))
    return found


def _texts(cells: Bytes, place: Place) -> pa.Array:
    """Texts of fixed width. A NUL ends one, blanks at its end do not count; one that begins with NUL is missing."""
    rows, width = cells.shape
    if not width:
        return pa.nulls(rows, pa.string())
    column = np.arange(width)
    ended = cells == 0
    lengths = np.where(ended.any(axis=1), ended.argmax(axis=1), width)
    missing: _Mask = lengths == 0
    inside = (cells != ord(" ")) & (column < lengths[:, None])
    lengths = np.where(inside.any(axis=1), width - inside[:, ::-1].argmax(axis=1), 0)
    content = cells[column < lengths[:, None]]
    return as_text(views.binary(rows, views.ends(lengths), content, missing if missing.any() else None), place)


# Declarations --------------------------------------------------------------------------------------------------------


def columns(hdu: Hdu, width: int) -> list[ColumnReader]:
    """The columns of a binary table.

    Raises:
        ReadError: a keyword makes no sense, or a type is not supported.
    """
    if hdu.whole("BITPIX", low=-64) != 8 or hdu.whole("NAXIS") != 2 or hdu.whole("GCOUNT", 1) != 1:
        raise ReadError("the header of its table is not that of a table (BITPIX, NAXIS, GCOUNT)")
    found: list[ColumnReader] = []
    start = 0
    for number in range(1, hdu.whole("TFIELDS", high=_FIELDS) + 1):
        column, size = _column(hdu, number, start)
        found.append(column)
        start += size
    if start != width:
        raise ReadError(f"its columns have {start} bytes in each row, and its rows have {width} (NAXIS1)")
    return found


def name_of(hdu: Hdu, number: int) -> str:
    """The name of a column."""
    return hdu.text(f"TTYPE{number}") or f"col{number}"


def _column(hdu: Hdu, number: int, start: int) -> tuple[BinaryColumn, int]:
    name, form = name_of(hdu, number), hdu.text(f"TFORM{number}").upper()
    pointer, count = None, 1
    if match := _POINTER.fullmatch(form):
        code = match[3]
        pointer = ">i4" if match[2] == "P" else ">i8"
        size = 2 * np.dtype(pointer).itemsize if match[1] != "0" else 0
        if not size:
            pointer, count = None, 0
    elif match := _FORM.fullmatch(form):
        code = match[2]
        count = int(match[1] or 1)
        size = (count + 7) // 8 if code == "X" else count * np.dtype(_ITEMS.get(code, "c8")).itemsize
    else:
        raise ReadError(f"column {named(name)} has the form {shown(form)} (TFORM{number}), which is not valid")
    if code in "CM" or (code == "X" and (count != 1 or pointer)):
        raise ReadError(f"column {named(name)} holds {_UNSUPPORTED[code]}, which are not supported: leave it out")
    scale = hdu.number_of(f"TSCAL{number}")
    zero = hdu.number_of(f"TZERO{number}")
    null = hdu.whole(f"TNULL{number}", low=-(2**63)) if f"TNULL{number}" in hdu.header and code in "BIJKED" else None
    if code in "AXL":
        scale = zero = None
    if scale == 0:
        raise ReadError(f"column {named(name)} multiplies its numbers with 0 (TSCAL{number})")
    arraysize = _arraysize(hdu, number, name, code, count, pointer is not None)
    declared = _described(hdu, number, Column(name=name, datatype=_TYPES[code], arraysize=arraysize, sql=f"c{number}"))
    column = BinaryColumn(
        _scaled(declared, 1.0 if scale is None else scale, zero or 0.0), code, start, count, pointer,
        1.0 if scale is None else scale, zero or 0.0, null,
    )  # fmt: skip
    return column, size


def _described(hdu: Hdu, number: int, column: Column) -> Column:
    """The column with what its keywords say; UCD, utype and xtype as STILTS, TOPCAT and km3vo write them."""

    def said(*keys: str) -> str | None:
        return next(filter(None, (hdu.text(f"{key}{number}") for key in keys)), None)

    xtype = said("TXTYP")
    return replace(
        column,
        unit=said("TUNIT"),
        ucd=said("TUCD"),
        utype=said("TUTYP"),
        xtype=xtype,
        description=said("TCOMM"),
    )


def _arraysize(hdu: Hdu, number: int, name: str, code: str, count: int, is_variable: bool) -> str | None:
    dimensions = _dimensions(hdu, number, name)
    if code == "A":
        if not is_variable and dimensions is not None and (len(dimensions) > 1 or dimensions[0] != count):
            if math.prod(dimensions) == count and math.prod(dimensions[1:]) == 1:
                return "*"
            if math.prod(dimensions) == count:
                raise ReadError(f"column {named(name)} holds arrays of texts, which are not supported: leave it out")
            raise ReadError(f"column {named(name)} has {count} characters, and its dimensions others (TDIM{number})")
        return "*"
    if is_variable:
        return "*"
    if dimensions is not None and math.prod(dimensions) != count:
        raise ReadError(f"column {named(name)} has {count} numbers, and its dimensions others (TDIM{number})")
    if dimensions is not None and len(dimensions) > 1:
        return "x".join(map(str, dimensions))
    return None if count == 1 and dimensions is None else str(count) if count != 1 else None


def _dimensions(hdu: Hdu, number: int, name: str) -> list[int] | None:
    text = hdu.text(f"TDIM{number}")
    if not text:
        return None
    if not _DIMENSIONS.fullmatch(text):
        raise ReadError(f"column {named(name)} has the dimensions {shown(text)} (TDIM{number}), which are not valid")
    return [int(side) for side in text.strip("()").split(",")]


def _scaled(column: Column, scale: float, zero: float) -> FileColumn:
    """The column with a type that holds its scaled numbers."""
    if scale == 1 and zero == 0:
        return FileColumn(column, stored_type(column))
    if scale == 1 and column.datatype in _WHOLE and zero == int(zero):
        known = DATATYPES[column.datatype]
        assert known.low is not None and known.high is not None
        low, high = known.low + int(zero), known.high + int(zero)
        if column.datatype == "long" and low == 0:
            type_ = pa.list_(pa.uint64()) if is_array(column) else pa.uint64()
            return FileColumn(column, type_)
        for datatype in ("unsignedByte", "short", "int", "long"):
            room = DATATYPES[datatype]
            if room.low is not None and room.high is not None and room.low <= low and high <= room.high:
                wider = replace(column, datatype=datatype)
                return FileColumn(wider, stored_type(wider))
        raise ReadError(
            f"column {named(column.name)} adds {int(zero)} to its numbers (TZERO), which then do not fit 64 bits"
        )
    wider = replace(column, datatype="double")
    return FileColumn(wider, stored_type(wider))
