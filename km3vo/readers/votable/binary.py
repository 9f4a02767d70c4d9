"""Rows of BINARY and BINARY2 as Arrow arrays (VOTable 1.5 §6.4 and §6.5), as their bytes arrive.

Cells of variable length have to be walked through one after the other; all that lies between them is taken for all
rows at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from km3vo.datatypes import DATATYPES
from km3vo.errors import IncompleteError, ReadError
from km3vo.readers.arrays import absent, is_array, item_type, lists, without_nan, wrong_sizes
from km3vo.readers.mistakes import Note, Place
from km3vo.readers.moments import moments
from km3vo.readers.opened import ROWS, SCATTERED_BYTES, Block
from km3vo.readers.texts import as_text, wanted, within_bounds
from km3vo.readers.votable.fields import Field
from km3vo.results import views

ROW_BYTES = 64 * 2**20  # of the longest row

_ITEMS: dict[str, str] = {"bit": "u1"} | {datatype: known.binary for datatype, known in DATATYPES.items()}
_TRUE, _FALSE, _UNKNOWN = b"tT1", b"fF0", b"? \0"

_Bytes = npt.NDArray[np.uint8]
_Places = npt.NDArray[np.int64]
_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Part:
    """One column within a row: items of a type, so many of them, or as many as the four bytes before them say."""

    item: np.dtype[np.generic]
    count: int | None

    @property
    def width(self) -> int:
        """Bytes in every row: of the items, or of their number."""
        return 4 if self.count is None else self.item.itemsize * self.count


class BinaryRows:
    """Turns a stream of bytes into rows.

    Args:
        fields: the columns, as their FIELDs declare them.
        flags: whether each row begins with a bit per column that tells missing values: BINARY2.
        note: is told which cells are not what their FIELDs declare.
    """

    def __init__(self, fields: Sequence[Field], note: Note, *, flags: bool) -> None:
        self._fields = fields
        self._note = note
        self._flags = flags
        self._parts = [_part(field) for field in fields]
        self._head = (len(fields) + 7) // 8 if flags else 0
        self._least = self._head + sum(part.width for part in self._parts)
        if not self._least:
            raise ReadError("its rows have no bytes: every column has the arraysize 0")
        if self._least > ROW_BYTES:
            raise ReadError(f"its rows have more than {ROW_BYTES} bytes")
        self._waiting: list[bytes] = []
        self._size = 0
        self._rows = 0

    def feed(self, raw: bytes) -> Iterator[Block]:
        """Take more bytes; yields the rows that are complete, when there are enough of them."""
        self._waiting.append(raw)
        self._size += len(raw)
        if self._size >= SCATTERED_BYTES:
            yield from self._taken()

    def finish(self, *, truncated: bool) -> Iterator[Block]:
        """The last rows. With ``truncated`` a row that is cut off is left out.

        Raises:
            ReadError: the last row is not complete, and nobody knew.
        """
        yield from self._taken()
        if self._size and not truncated:
            raise IncompleteError(
                f"the binary data end in the middle of row {self._rows + 1}: the table does not fit its FIELDs"
            )

    def _taken(self) -> Iterator[Block]:
        raw = b"".join(self._waiting)
        starts, counts, end = self._walk(raw)
        self._waiting, self._size = [raw[end:]] if end < len(raw) else [], len(raw) - end
        for first in range(0, len(starts), ROWS):
            yield self._block(raw, starts[first : first + ROWS], counts[first : first + ROWS])

    def _walk(self, raw: bytes) -> tuple[_Places, _Places, int]:
        """Where the flags and cells of each complete row start, how many items each cell has, and where it all ends."""
        widths = np.array([self._head, *(part.width for part in self._parts)], np.int64)
        begins = np.concatenate([[0], np.cumsum(widths)[:-1]])
        fixed = np.array([part.count or 0 for part in self._parts], np.int64)
        variable = [index for index, part in enumerate(self._parts) if part.count is None]
        if not variable:
            rows = len(raw) // self._least
            starts = np.arange(rows, dtype=np.int64)[:, None] * self._least + begins
            return starts, np.broadcast_to(fixed, (rows, len(fixed))), rows * self._least
        found, lengths, end = self._walk_variable(raw, variable)
        rows = len(found)
        counts = np.tile(fixed, (rows, 1))
        counts[:, variable] = lengths
        starts = found[:, None] + begins
        for place, index in enumerate(variable):
            size = self._parts[index].item.itemsize
            starts[:, index + 1] += 4
            starts[:, index + 2 :] += lengths[:, [place]] * size
        return starts, counts, end

    def _walk_variable(self, raw: bytes, variable: Sequence[int]) -> tuple[_Places, _Places, int]:
        """Where each complete row starts, how many items its variable cells have, and where the last one ends."""
        between, passed = [], self._head
        for part in self._parts:
            if part.count is None:
                between.append((passed, part.item.itemsize))
                passed = 0
            else:
                passed += part.width
        rest = passed
        starts: list[int] = []
        counts: list[int] = []
        place, end, read = 0, len(raw), int.from_bytes
        while place < end:
            start = place
            for before, size in between:
                place += before
                count = read(raw[place : place + 4], "big") if place + 4 <= end else 0
                counts.append(count)
                place += 4 + size * count
            place += rest
            if place > end:
                if place - start > ROW_BYTES:
                    raise ReadError(f"row {self._rows + len(starts) + 1} has more than {ROW_BYTES} bytes")
                place = start
                del counts[len(starts) * len(variable) :]
                break
            starts.append(start)
        return np.array(starts, np.int64), np.array(counts, np.int64).reshape(len(starts), len(variable)), place

    def _block(self, raw: bytes, starts: _Places, counts: _Places) -> Block:
        rows = len(starts)
        lines = pa.array(np.arange(self._rows + 1, self._rows + 1 + rows))
        self._rows += rows
        data = np.frombuffer(raw, np.uint8)
        missing = np.zeros((rows, len(self._fields)), bool)
        if self._flags:
            bits = data[starts[:, [0]] + np.arange(self._head)]
            missing = np.unpackbits(bits, axis=1)[:, : len(self._fields)].astype(bool)
        arrays = []
        for index, (field, part) in enumerate(zip(self._fields, self._parts, strict=True)):
            flat = _items(data, starts[:, index + 1], counts[:, index], part)
            cells = _Cells(flat, counts[:, index], missing[:, index], self._flags)
            arrays.append(_array(field, cells, Place(field.column.name, lines, self._note)))
        return Block(arrays, lines)


def _part(field: Field) -> _Part:
    item = np.dtype(_ITEMS[field.datatype])
    sides = (field.arraysize or "1").split("x")
    if sides[-1].endswith("*"):
        return _Part(item, None)
    count = math.prod(map(int, sides))
    return _Part(item, (count + 7) // 8 if field.datatype == "bit" else count)


def _items(data: _Bytes, starts: _Places, counts: _Places, part: _Part) -> npt.NDArray[np.generic]:
    """All items of a column, row after row, in the machine's own byte order."""
    if part.count is not None:
        flat = data[starts[:, None] + np.arange(part.width)].reshape(-1)
    else:
        lengths = counts * part.item.itemsize
        ends = np.cumsum(lengths)
        flat = data[np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)]
    return np.ascontiguousarray(flat).view(part.item).astype(part.item.newbyteorder("="))


@dataclass(frozen=True, slots=True)
class _Cells:
    """The cells of a column: their items one after the other, how many each has, which are flagged as missing."""

    items: npt.NDArray[np.generic]
    counts: _Places
    missing: _Mask
    flags: bool


def _array(field: Field, cells: _Cells, place: Place) -> pa.Array:
    column = field.column
    if column.is_string:
        return _strings(field, cells, place)
    items = cells.items
    bad = np.zeros(len(items), bool)
    if field.datatype == "bit":
        # One bit is the highest of its byte (VOTable 1.5 §6.4), but astropy writes 8 for it.
        values = pa.array(items != 0)
    elif field.datatype == "boolean":
        values, bad = _truth(items)
    else:
        values = pa.array(items)
        if field.null is not None:
            values = pc.if_else(pa.array(items == field.null), None, values)
    if not is_array(column):
        for index in np.flatnonzero(bad & ~cells.missing).tolist():
            place.tell(index, bytes([int(items[index])]), f"is not {wanted(column)}")
        if cells.missing.any():
            values = pc.if_else(pa.array(cells.missing), None, values)
        return without_nan(values.cast(item_type(column)))
    kept = values.cast(item_type(column))
    counts = cells.counts
    none = cells.missing if cells.flags else _nothing(kept, counts)
    if none.any():
        # What stands in a cell that is flagged does not count (VOTable 1.4 §6.4).
        there = np.repeat(~none, counts)
        kept, bad, counts = kept.filter(pa.array(there)), bad[there], np.where(none, 0, counts)
    arrays = lists(kept, counts, none)
    wrong = wrong_sizes(column, arrays)
    if bad.any():
        wrong[np.repeat(np.arange(len(counts)), counts)[bad]] = True
    for index in np.flatnonzero(wrong).tolist():
        place.tell(index, arrays[index].as_py()[:9], f"is not {wanted(column)}")
    return pc.if_else(pa.array(wrong), None, arrays) if wrong.any() else arrays


def _nothing(items: pa.Array, counts: _Places) -> _Mask:
    """Which arrays BINARY has for missing ones: those without items, or with none that is a number."""
    gone = absent(without_nan(items))
    before = np.concatenate([[0], np.cumsum(gone)])
    ends = np.cumsum(counts)
    found: _Mask = before[ends] - before[ends - counts] == counts
    return found


def _truth(items: npt.NDArray[np.generic]) -> tuple[pa.Array, _Mask]:
    true, false, unknown = (np.isin(items, np.frombuffer(codes, np.uint8)) for codes in (_TRUE, _FALSE, _UNKNOWN))
    bad: _Mask = ~(true | false | unknown)
    return pa.array(true, pa.bool_(), mask=~(true | false)), bad


def _strings(field: Field, cells: _Cells, place: Place) -> pa.Array:
    column, counts = field.column, cells.counts
    size = 2 if field.datatype == "unicodeChar" else 1
    raw = (cells.items.astype(">u2") if size == 2 else cells.items).tobytes()
    where = np.concatenate([[0], np.cumsum(counts)]) * size
    if where[-1] > 2**31 - 1:
        raise ReadError("a block of its rows has more than 2 GiB of text")
    texts = views.binary(len(counts), where, raw, cells.missing if cells.missing.any() else None)
    if size == 2:
        texts = _from_utf16(texts, place)
    elif cells.items.size and (cells.items == 0).any():
        texts = pc.replace_substring_regex(texts, rb"(?s)\x00.*", b"")  # shorter strings in a fixed field end with NUL
    found = texts if size == 2 else as_text(texts, place)
    if not cells.flags:
        found = pc.if_else(pc.equal(found, ""), None, found)
    found = within_bounds(column, found, place)
    return moments(found, place) if column.xtype == "timestamp" else found


def _from_utf16(cells: pa.Array, place: Place) -> pa.Array:
    """Strings of UTF-16 (VOTable says UCS-2, but what programs write has surrogates)."""
    content = views.data(cells)
    if not content[::2].any() and not (content[1::2] == 0).any() and not (content >= 0x80).any():
        # ASCII alone, as in most tables: every second byte.
        lengths = views.lengths(cells) // 2
        missing = absent(cells)
        if not missing.any():
            return views.binary(len(cells), views.ends(lengths), content[1::2].copy()).view(pa.string())
    texts: list[str | None] = []
    for index, cell in enumerate(cells.to_pylist()):
        try:
            texts.append(None if cell is None else cell.decode("utf-16-be").partition("\0")[0])
        except UnicodeDecodeError:
            place.tell(index, cell, "is not text in UTF-16")
            texts.append(None)
    return pa.array(texts, pa.string())
