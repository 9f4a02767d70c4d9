"""Reading an uploaded file: what comes out is a table that can be stored as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from km3vo.column import Column
from km3vo.errors import IncompleteError, ReadError, TooLargeError, UploadError, WhichTableError
from km3vo.readers import units
from km3vo.readers.arrays import is_array, is_geometry, stored_type
from km3vo.readers.clocks import PAIR
from km3vo.readers.content import Content, Reserve
from km3vo.readers.fitting import Forbidden, fitted, misfit
from km3vo.readers.formats import open_table
from km3vo.readers.mistakes import Mistakes, Note, Place, named, shown
from km3vo.readers.opened import FileColumn, Opened, Options
from km3vo.readers.systems import CoordinateColumns, Kind, converted
from km3vo.readers.text.inference import inferred
from km3vo.uploads.positions import is_time, position_columns

MOST_COLUMNS = 1000
# What is kept of a file in memory may be larger than the file: a digit in CSV becomes a number of eight bytes.
_GROWTH = 4

_NO_ROOM = Forbidden("\\x00", "holds a NUL character, for which there is no room")


@dataclass(frozen=True, slots=True)
class ReadTable:
    """An uploaded table.

    Attributes:
        columns: with different names; ``sql`` is the name in ``rows``.
        rows: in the Arrow types of ``arrays.stored_type``.
        remarks: what the user should know of how the file was read.
    """

    columns: list[Column]
    rows: pa.Table
    remarks: tuple[str, ...] = ()


def read_file(
    file: BinaryIO,
    *,
    most_rows: int,
    most_bytes: int,
    options: Options | None = None,
    reserve: Reserve = lambda count: None,
) -> ReadTable:
    """Read an uploaded file.

    Args:
        file: at any place; stays open.
        most_rows, most_bytes: that it may have, also unpacked.
        options: what is known about it.
        reserve: is told how many bytes are about to be kept of what is unpacked; what it raises goes through.

    Raises:
        UploadError: it is of no known format, or not what it says it is; with row, column and value of its mistakes.
        TooLargeError: more rows or bytes than allowed.
    """
    mistakes = Mistakes([("", "row")])

    def note(line: int, text: str) -> None:
        mistakes.add(0, line, text)

    known = replace(options or Options(), most_bytes=most_bytes)
    try:
        content = Content(file, truncated=known.truncated, reserve=reserve, most=most_bytes)
        opened = open_table(content, note, known)
        mistakes.files[0] = ("", opened.unit)
        _check_columns(opened)
        opened = converted(opened, _coordinates(opened), note)
        _check_types(opened, note)
        _refuse(mistakes)
        collected = _Collected(opened, note, most_rows, most_bytes, reserve)
        for _ in collected.blocks():
            if mistakes.enough:
                break
        opened.close()
        _refuse(mistakes)
        columns, rows = collected.table()
        _refuse(mistakes)
    except WhichTableError as error:
        raise UploadError(f"{error}; add UPLOAD_TABLE=name,table to say which is meant") from None
    except IncompleteError as error:
        raise UploadError(f"{error}; add UPLOAD_TRUNCATED=name if this is known") from None
    except ReadError as error:
        raise UploadError(f"it cannot be read: {error}") from None
    return ReadTable(_unique(columns), rows, tuple(opened.remarks))


def _refuse(mistakes: Mistakes) -> None:
    if mistakes.total:
        raise UploadError(mistakes.message("it cannot be read"))


def _check_columns(opened: Opened) -> None:
    if len(opened.columns) > MOST_COLUMNS:
        raise TooLargeError(f"an uploaded table may have {MOST_COLUMNS} columns; this one has {len(opened.columns)}")


def _coordinates(opened: Opened) -> CoordinateColumns:
    """Columns of times and positions, which have to be in the systems that results say they are in."""
    times: dict[int, Kind] = {}
    for place, column in enumerate(opened.columns):
        if column.typed and (column.clock is not None or is_time(column.column)):
            whole = column.type == PAIR or column.column.is_string
            times[place] = "timestamp" if whole else "mjd"
    return CoordinateColumns(times, position_columns([column.column for column in opened.columns]))


def _check_types(opened: Opened, note: Note) -> None:
    for column in opened.columns:
        if column.typed and not _is_unsigned(column) and not (column.clock and column.clock.trouble):
            wrong = misfit(column.type, column.column)
            unit = column.column.unit
            if unit and is_geometry(column.column) and units.parse(unit) != units.parse("deg"):
                wrong = f"its unit is {shown(unit)}, and points, circles and polygons are in degrees"
            if wrong:
                note(0, f"column {named(column.name)}: {wrong}")


def _is_unsigned(column: FileColumn) -> bool:
    """Whether numbers go up to 2⁶⁴, for which no datatype has room."""
    return bool(column.type == pa.uint64() and not is_array(column.column))


class _Collected:
    """The rows of a file, kept and counted."""

    def __init__(self, opened: Opened, note: Note, most_rows: int, most_bytes: int, reserve: Reserve) -> None:
        self._opened = opened
        self._note = note
        self._most_rows, self._most_bytes = most_rows, most_bytes
        self._reserve = reserve
        self._rows = self._bytes = 0
        self._chunks: list[list[pa.Array]] = [[] for _ in opened.columns]
        self._lines: list[pa.Array] = []

    def blocks(self) -> Iterator[None]:
        """Read block after block; comes back after each."""
        for block in self._opened.blocks:
            self._rows += len(block.lines)
            if self._rows > self._most_rows:
                raise TooLargeError(f"an uploaded table may have {self._most_rows} rows; this one has more")
            for chunks, column, cells in zip(self._chunks, self._opened.columns, block.columns, strict=True):
                kept = self._fitted(column, cells, Place(column.name, block.lines, self._note))
                self._count(kept.nbytes)
                chunks.append(kept)
            self._lines.append(block.lines)
            yield

    def _fitted(self, column: FileColumn, cells: pa.Array, place: Place) -> pa.Array:
        if not column.typed or _is_unsigned(column):
            return cells
        return fitted(column.column, cells, self._opened.grammar, place, _NO_ROOM)

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._bytes > _GROWTH * self._most_bytes:
            raise TooLargeError(f"uploads may have {self._most_bytes} bytes together; unpacked, these have far more")
        self._reserve(size)

    def table(self) -> tuple[list[Column], pa.Table]:
        """The columns, with types also where the file has none, and all rows."""
        columns, arrays = [], []
        for number, column in enumerate(self._opened.columns, 1):
            described, cells = self._finished(column, self._chunks[number - 1])
            self._chunks[number - 1] = []
            columns.append(replace(described, sql=f"c{number}"))
            arrays.append(cells)
        return columns, pa.table(arrays, names=[column.sql for column in columns])

    def _finished(self, column: FileColumn, chunks: list[pa.Array]) -> tuple[Column, pa.ChunkedArray]:
        if column.typed and not _is_unsigned(column):
            return column.column, pa.chunked_array(chunks, stored_type(column.column))
        try:
            whole = pa.concat_arrays(chunks) if chunks else pa.array([], column.type)
        except pa.ArrowInvalid:
            raise TooLargeError(f"column {named(column.name)} has more than 2 GiB of text") from None
        if _is_unsigned(column):
            return _unsigned(column.column, whole)
        described, cells = inferred(column.column, whole, comma=self._opened.grammar.comma)
        if described.is_string and described.xtype is None:
            lines = pa.concat_arrays(self._lines) if self._lines else pa.array([], pa.int64())
            cells = fitted(described, cells, self._opened.grammar, Place(column.name, lines, self._note), _NO_ROOM)
        return described, pa.chunked_array([cells])


def _unsigned(column: Column, cells: pa.Array) -> tuple[Column, pa.ChunkedArray]:
    """Unsigned numbers as signed ones if they all fit, and else as text."""
    try:
        return column, pa.chunked_array([cells.cast(pa.int64())])
    except pa.ArrowInvalid:
        return replace(column, datatype="char", arraysize="*"), pa.chunked_array([pc.cast(cells, pa.string())])


def _unique(columns: Sequence[Column]) -> list[Column]:
    """The columns with different names, whatever their case: a query could not name the second otherwise."""
    taken: set[str] = set()
    found = []
    for column in columns:
        name, number = column.name.strip() or "column", 1
        while name.lower() in taken:
            number += 1
            name = f"{column.name}_{number}"
        taken.add(name.lower())
        found.append(replace(column, name=name))
    return found
