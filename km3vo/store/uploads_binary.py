"""Rows of BINARY and BINARY2 as Arrow arrays (VOTable 1.5 §6.4 and §6.5).

Cells of variable length have to be walked through one after the other; all that lies between them is taken for all
rows at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from km3vo.catalog.model import Column
from km3vo.errors import TooLargeError, UploadError
from km3vo.store.uploads_cells import checked_sizes, is_array, stored_type, times, without_nan

_ITEMS = {
    "boolean": "u1",
    "bit": "u1",
    "unsignedByte": "u1",
    "short": ">i2",
    "int": ">i4",
    "long": ">i8",
    "float": ">f4",
    "double": ">f8",
    "char": "u1",
    "unicodeChar": ">u2",
}
_TRUTH = dict.fromkeys(b"tT1", True) | dict.fromkeys(b"fF0", False)


@dataclass(slots=True)
class _Part:
    """One column within a row: items of a type, so many of them, or as many as the four bytes before them say."""

    item: np.dtype[np.generic]
    count: int | None


def read_rows(
    raw: bytes,
    columns: Sequence[Column],
    datatypes: Sequence[str],
    arraysizes: Sequence[str | None],
    nulls: Sequence[str | None],
    *,
    flags: bool,
    most: int,
) -> list[pa.Array]:
    """All rows of a stream, column by column.

    Args:
        raw: the bytes of the STREAM, decoded.
        columns: what the columns become.
        datatypes, arraysizes, nulls: as their FIELDs declare them.
        flags: whether each row begins with a bit per column that tells missing values: BINARY2.
        most: rows that are allowed.

    Raises:
        UploadError: the bytes end in the middle of a row, or a cell is not what its column declares.
        TooLargeError: there are more rows than allowed.
    """
    parts = [_part(datatype, size) for datatype, size in zip(datatypes, arraysizes, strict=True)]
    head = (len(columns) + 7) // 8 if flags else 0
    starts, counts, rows = _walk(raw, parts, head, most)
    data = np.frombuffer(raw, np.uint8)
    missing = np.zeros((rows, len(columns)), bool)
    if flags and rows:
        bits = _gather(data, starts[:, 0], head)
        missing = np.unpackbits(bits, axis=1)[:, : len(columns)].astype(bool)
    return [
        _column(
            column,
            datatypes[index],
            nulls[index],
            parts[index],
            _items(data, starts[:, index + 1], counts[:, index], parts[index]),
            counts[:, index],
            missing[:, index],
            flags,
        )
        for index, column in enumerate(columns)
    ]


def _part(datatype: str, arraysize: str | None) -> _Part:
    sides = (arraysize or "1").split("x")
    if sides[-1].endswith("*"):
        return _Part(np.dtype(_ITEMS[datatype]), None)
    count = int(np.prod([int(side) for side in sides]))
    return _Part(np.dtype(_ITEMS[datatype]), (count + 7) // 8 if datatype == "bit" else count)


def _walk(
    raw: bytes, parts: Sequence[_Part], head: int, most: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]:
    """Where each row's flags and cells start, and how many items each cell has."""
    if all(part.count is not None for part in parts):
        widths = np.array([head, *(part.item.itemsize * (part.count or 0) for part in parts)], np.int64)
        width = int(widths.sum())
        rows, rest = divmod(len(raw), width) if width else (0, 0)
        _check(rows, rest == 0, most)
        begins = np.concatenate([[0], np.cumsum(widths)[:-1]])
        starts = np.arange(rows, dtype=np.int64)[:, None] * width + begins[None, :]
        counts = np.tile(np.array([part.count or 0 for part in parts], np.int64), (rows, 1))
        return starts, counts, rows
    found_starts: list[int] = []
    found_counts: list[int] = []
    place, end, rows = 0, len(raw), 0
    sizes = [(part.item.itemsize, part.count) for part in parts]
    while place < end:
        found_starts.append(place)
        place += head
        for size, fixed in sizes:
            count = fixed
            if count is None:
                count = int.from_bytes(raw[place : place + 4], "big")
                place += 4
            found_starts.append(place)
            found_counts.append(count)
            place += size * count
            if place > end:
                raise _truncated(rows + 1)
        rows += 1
        if rows > most:
            _check(rows, True, most)
    return (
        np.array(found_starts, np.int64).reshape(rows, len(parts) + 1),
        np.array(found_counts, np.int64).reshape(rows, len(parts)),
        rows,
    )


def _check(rows: int, whole: bool, most: int) -> None:
    if rows > most:
        raise TooLargeError(f"an uploaded table may have {most} rows; this one has more")
    if not whole:
        raise _truncated(rows + 1)


def _truncated(row: int) -> UploadError:
    return UploadError(f"the binary data end in the middle of row {row}: the table does not fit its FIELDs")


def _gather(data: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], width: int) -> npt.NDArray[np.uint8]:
    """``width`` bytes from each start."""
    gathered: npt.NDArray[np.uint8] = data[starts[:, None] + np.arange(width)]
    return gathered


def _items(
    data: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], part: _Part
) -> npt.NDArray[np.generic]:
    """All items of a column, row after row, in the machine's own byte order."""
    size = part.item.itemsize
    if part.count is not None:
        flat = _gather(data, starts, size * part.count).reshape(-1)
    else:
        lengths = counts * size
        ends = np.cumsum(lengths)
        flat = data[np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)]
    return np.ascontiguousarray(flat).view(part.item).astype(part.item.newbyteorder("="))


def _column(
    column: Column,
    datatype: str,
    null: str | None,
    part: _Part,
    items: npt.NDArray[np.generic],
    counts: npt.NDArray[np.int64],
    missing: npt.NDArray[np.bool_],
    flags: bool,
) -> pa.Array:
    if column.is_string:
        return _strings(column, datatype, items, counts, missing, flags)
    if datatype == "bit":
        # One bit is the highest of its byte (VOTable 1.5 §6.4), but astropy writes 8 for it.
        return pa.array(items != 0, pa.bool_(), mask=missing)
    if datatype == "boolean":
        values = pa.array([_TRUTH.get(int(code)) for code in items], pa.bool_())
    else:
        values = pa.array(items)
        if null is not None and not flags and np.issubdtype(items.dtype, np.integer):
            values = pa.array(items, mask=items == _integer(null, column))
    if not is_array(column):
        kept = pc.if_else(pa.array(missing), None, values) if missing.any() else values
        return without_nan(kept.cast(stored_type(column)))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    # A variable array without items is how BINARY says that there is none.
    absent = missing if flags else counts == 0
    lists = pa.ListArray.from_arrays(
        pa.array(offsets, mask=np.append(absent, False)), values.cast(stored_type(column).value_type)
    )
    return checked_sizes(column, lists)


def _strings(
    column: Column,
    datatype: str,
    items: npt.NDArray[np.generic],
    counts: npt.NDArray[np.int64],
    missing: npt.NDArray[np.bool_],
    flags: bool,
) -> pa.Array:
    raw = items.astype(">u2").tobytes() if datatype == "unicodeChar" else items.tobytes()
    size = 2 if datatype == "unicodeChar" else 1
    ends = np.cumsum(counts) * size
    texts: list[str | None] = []
    start = 0
    for end, absent in zip(ends.tolist(), missing.tolist(), strict=True):
        cell, start = raw[start:end], end
        text = _decoded(cell, datatype).partition("\0")[0]  # shorter strings in a fixed field end with NUL
        texts.append(None if absent or (not text and not flags) else text)
    array = pa.array(texts, pa.string())
    if column.xtype != "timestamp":
        return array
    try:
        trimmed = pc.utf8_trim_whitespace(array)
        return times(pc.if_else(pc.equal(trimmed, ""), None, trimmed))
    except pa.ArrowInvalid:
        raise UploadError(
            f"column {column.name} holds something else than times such as 2026-01-31T12:00:00.5 (UTC)"
        ) from None


def _integer(text: str, column: Column) -> int:
    try:
        return int(text, 16 if text.lower().startswith("0x") else 10)
    except ValueError:
        raise UploadError(f"column {column.name}: the VALUES element's null is {text[:40]!r}, not a number") from None


def _decoded(cell: bytes, datatype: str) -> str:
    if datatype == "unicodeChar":
        return cell.decode("utf-16-be", "replace")
    try:
        return cell.decode()
    except UnicodeDecodeError:
        return cell.decode("latin-1")
