"""FITS tables, binary and ASCII (FITS 4.0 §7), row by row from where they lie in the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from km3vo.errors import ReadError, TooLargeError
from km3vo.readers import serialized
from km3vo.readers.choose import Candidate, choose
from km3vo.readers.clocks import Clock
from km3vo.readers.content import Content
from km3vo.readers.fits import columns as binary
from km3vo.readers.fits import letters, systems
from km3vo.readers.fits.headers import Hdu, check_sum, hdus, size_of
from km3vo.readers.fits.heap import Heap
from km3vo.readers.frames import Frame
from km3vo.readers.marks import Marks
from km3vo.readers.mistakes import Note, Place
from km3vo.readers.opened import BLOCK_BYTES, ROWS, SCATTERED_BYTES, Block, Opened, Options, RowsRead

# Reads the columns of a VOTable that has no rows: its bytes, and the number of the table that is meant, from 1.
HeadReader = Callable[[bytes, int], Opened]
ROW_BYTES = 64 * 2**20  # of the longest row


def open_fits(content: Content, note: Note, options: Options, read_head: HeadReader | None = None) -> Opened:
    """Open the table of a FITS file that is meant.

    Args:
        content: the file.
        note: is told what is wrong in single rows, while they are read.
        options: what is known about it.
        read_head: reads the VOTable that may stand in the primary HDU, of which a table is meant.

    Raises:
        ReadError: it is not a FITS file, has no table, it is not clear which is meant, or rows are missing.
    """
    file = content.seekable()
    primary, hdu, place = _chosen(file, options)
    marks = Marks()
    for header in (primary, hdu):
        marks.take(dict(header.header.items()))
    if hdu.header.get("ZTABLE") is True:
        raise ReadError("its table is compressed column by column (ZTABLE): unpack it with funpack")
    width, rows = hdu.whole("NAXIS1"), hdu.whole("NAXIS2")
    there = max(0, size_of(file) - hdu.start)
    if there < width * rows:
        marks.rows, marks.found = rows, there // width
        rows = there // width
    else:
        check_sum(file, hdu)
    marks.check(options)
    if width > ROW_BYTES:
        raise ReadError(f"its rows have more than {ROW_BYTES} bytes")
    table = _Table(file, hdu, width, rows)
    is_ascii = hdu.text("XTENSION").upper() == "TABLE"
    columns = letters.columns(hdu, width) if is_ascii else binary.columns(hdu, width)
    for number, column in enumerate(columns, 1):
        column.declared = systems.located(hdu, number, systems.described(hdu, number, column.declared))
    heap = None if is_ascii else _heap(file, hdu, there)
    progress = RowsRead()
    if heap is not None and options.most_bytes is not None:
        # Descriptors may all point to the same bytes.
        _check_heap(table, columns, options.most_bytes)
    blocks = _blocks(table, columns, heap, note, progress)
    opened = Opened([column.declared for column in columns], blocks, "row", 1, progress.done, rows)
    opened.clock, opened.frame = systems.clock(hdu), systems.frame(hdu)
    opened.remarks += marks.remarks
    unsaid = systems.unsaid(hdu, primary)
    if unsaid[0]:
        opened.clock = Clock(trouble=unsaid[0])
        opened.columns = [replace(each, clock=each.clock and opened.clock) for each in opened.columns]
    if unsaid[1]:
        opened.frame = Frame("unknown", trouble=unsaid[1])
    if primary.header.get("VOTMETA") is True and read_head is not None:
        file.seek(primary.start)
        _take_votable(opened, read_head(file.read(min(primary.size, serialized.HEADER)).strip(b"\0 \n"), place + 1))
    if text := hdu.yaml:
        opened = serialized.merged(opened, serialized.described(opened, text))
    return opened


def _chosen(file: BinaryIO, options: Options) -> tuple[Hdu, Hdu, int]:
    """The primary header and the table's, and which of the tables it is, from 0."""
    found = list(hdus(file, size_of(file)))
    tables = [hdu for hdu in found if hdu.is_table]
    candidates = [Candidate(place, hdu.number, (hdu.name,)) for place, hdu in enumerate(tables)]
    place = choose(candidates, options.table, "the FITS file").place
    systems.inherit(tables[place], found[0])
    return found[0], tables[place], place


def _take_votable(opened: Opened, head: Opened) -> None:
    """Take what STILTS and TOPCAT say of the columns in a VOTable, where an image would be (their "fits-plus")."""
    if len(head.columns) != len(opened.columns):
        raise ReadError("the VOTable in its primary HDU describes other columns")
    opened.columns = [
        replace(
            column,
            column=serialized.agreed(column.column, serialized.about(field.column)),
            clock=field.clock or column.clock,
            frame=field.frame or column.frame,
        )
        for column, field in zip(opened.columns, head.columns, strict=True)
    ]
    opened.remarks += head.remarks
    if head.clock is not None and not head.clock.is_ours and opened.clock is not None and opened.clock.is_ours:
        opened.clock = Clock(trouble=_UNTIED.format(head.clock.trouble or f"times in {head.clock}"))
    if head.frame is not None and not head.frame.is_ours and opened.frame is not None and opened.frame.is_ours:
        opened.frame = Frame("unknown", trouble=_UNTIED.format(head.frame))


_UNTIED = "the VOTable in the primary HDU speaks of {}, and does not say of which columns (ref)"


def _heap(file: BinaryIO, hdu: Hdu, there: int) -> Heap:
    """Where cells of variable length lie (FITS 4.0 §7.3.5)."""
    main = hdu.whole("NAXIS1") * hdu.whole("NAXIS2")
    start = hdu.whole("THEAP", main)
    end = min(main + hdu.whole("PCOUNT", 0), there)
    if start < main:
        raise ReadError("its keyword THEAP points into the rows")
    return Heap(file, hdu.start + start, max(0, end - start))


@dataclass(frozen=True, slots=True)
class _Table:
    """The rows of a table as bytes."""

    file: BinaryIO
    hdu: Hdu
    width: int
    rows: int


def _blocks(
    table: _Table, columns: list[binary.ColumnReader], heap: Heap | None, note: Note, progress: RowsRead
) -> Iterator[Block]:
    step = max(1, min(ROWS, BLOCK_BYTES // max(1, table.width)))
    while progress.rows < table.rows:
        count = min(step, table.rows - progress.rows)
        table.file.seek(table.hdu.start + progress.rows * table.width)
        raw = table.file.read(count * table.width)
        if len(raw) < count * table.width:
            raise ReadError("the file became shorter while it was read")
        records = np.frombuffer(raw, np.uint8).reshape(count, table.width)
        for part in _bounded(records, columns, heap, progress.rows):
            lines = pa.array(np.arange(progress.rows + 1, progress.rows + 1 + len(part)))
            arrays = [column.read(part, heap, Place(column.declared.name, lines, note)) for column in columns]
            progress.rows += len(part)
            yield Block(arrays, lines)


def _check_heap(table: _Table, columns: list[binary.ColumnReader], most: int) -> None:
    """Refuse cells that are more bytes together than allowed, by what their rows say.

    Raises:
        TooLargeError: they are.
    """
    if not any(isinstance(column, binary.BinaryColumn) and column.pointer for column in columns):
        return
    total = 0
    step = max(1, min(ROWS, BLOCK_BYTES // max(1, table.width)))
    for first in range(0, table.rows, step):
        count = min(step, table.rows - first)
        table.file.seek(table.hdu.start + first * table.width)
        raw = table.file.read(count * table.width)
        records = np.frombuffer(raw, np.uint8)[: len(raw) // table.width * table.width].reshape(-1, table.width)
        total += sum(int(column.heap_bytes(records).sum()) for column in columns)
        if total > most:
            raise TooLargeError(f"uploads may have {most} bytes together; unpacked, these have more")


def _bounded(
    records: binary.Bytes, columns: list[binary.ColumnReader], heap: Heap | None, first: int
) -> Iterator[binary.Bytes]:
    """Rows in parts whose cells in the heap are not too many at once: descriptors may all point to the same bytes."""
    sizes = np.zeros(len(records), np.int64)
    for column in columns:
        sizes += column.heap_bytes(records)
    start = 0
    ends = np.cumsum(sizes)
    while start < len(records):
        before = int(ends[start - 1]) if start else 0
        stop = int(np.searchsorted(ends, before + SCATTERED_BYTES, "right"))
        if stop == start:
            if sizes[start] > ROW_BYTES:
                raise ReadError(f"row {first + start + 1} has more than {ROW_BYTES} bytes in the heap")
            stop = start + 1
        yield records[start:stop]
        start = stop
