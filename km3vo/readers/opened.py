"""A file of a table that has been opened: its columns as it describes them, and its rows block by block."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from km3vo.column import Column
from km3vo.readers.clocks import Clock
from km3vo.readers.frames import Frame
from km3vo.readers.texts import VOTABLE, Grammar

ROWS = 65536  # of a block at most
BLOCK_BYTES = 8 * 2**20  # about so many of a block at most
SCATTERED_BYTES = 2 * 2**20  # and where each byte is looked up by its place, which takes ten times as many


@dataclass(frozen=True, slots=True)
class Options:
    """What is known about a file beforehand.

    Attributes:
        table: name or number (from 1) of the table that is meant, or None when there can be but one.
        truncated: whether it is known that rows are missing.
        most_bytes: to how many bytes it may unpack, or None for any number.
    """

    table: str | None = None
    truncated: bool = False
    most_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class FileColumn:
    """A column of a file.

    Attributes:
        column: as the file describes it; without a declared type it is text.
        type: Arrow type of its cells. Besides those of results: uint64, decimals, dates, timestamps of any unit, and
            ``clocks.PAIR`` for Julian dates in two parts.
        typed: whether the file declares its type. If not, cells are texts as they stand in the file.
        clock: what its times count from and in which scale, where the file says so.
        frame: the frame of its coordinates, where the file says so.
    """

    column: Column
    type: pa.DataType
    typed: bool = True
    clock: Clock | None = None
    frame: Frame | None = None

    @property
    def name(self) -> str:
        """As the file has it."""
        return self.column.name


@dataclass(slots=True)
class Block:
    """Some rows of a file: an array for each of its columns, and the line (or row) each came from."""

    columns: list[pa.Array]
    lines: pa.Array


@dataclass(slots=True)
class Opened:
    """A file that is being read.

    Attributes:
        columns: in order.
        blocks: its rows, to be iterated once.
        unit: what its rows are called, "line" in text and "row" in tables.
        first: line of the first row.
        done: how much has been read so far, out of ``size`` (bytes or rows).
        grammar: how numbers are written where columns have no type.
        clock, frame: of times and positions whose columns do not say otherwise.
        tied: whether it is certain that these hold for all columns (FITS), or only that the file speaks of them.
        remarks: what the user should know of how the file is read; complete when all blocks have been read.
        unread: names of columns that the file has, of types that are not read.
        want: to be called with the places of the columns that are used, before blocks are read; the others may then be
            left empty.
        close: to be called when no more is read.
    """

    columns: list[FileColumn]
    blocks: Iterator[Block]
    unit: str
    first: int
    done: Callable[[], int]
    size: int
    grammar: Grammar = VOTABLE
    clock: Clock | None = None
    frame: Frame | None = None
    tied: bool = True
    remarks: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    want: Callable[[Collection[int]], None] = lambda places: None
    close: Callable[[], None] = lambda: None


class RowsRead:
    """How many rows of a file have been read."""

    def __init__(self) -> None:
        self.rows = 0

    def done(self) -> int:
        """The number of them."""
        return self.rows
