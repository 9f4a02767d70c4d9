"""Opening files of events: every format ends as a stream of Arrow batches with the file's own columns.

CSV and Parquet are read by pyarrow block by block; ECSV, VOTable and FITS by astropy, whole. Cells of text files stay
bytes here: what they mean is decided column by column (ingest_columns), so that a bad one can be named.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as parquet

from km3vo.catalog.model import Source, Table
from km3vo.errors import LoadError
from km3vo.store.ingest_mistakes import shown

ROWS = 65536  # per batch
BLOCK = 1 << 20  # bytes of text per batch; Arrow reads 32 of them ahead

Format = Literal["csv", "tsv", "text", "ecsv", "votable", "fits", "parquet"]
SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".ecsv": "ecsv",
    ".vot": "votable",
    ".votable": "votable",
    ".xml": "votable",
    ".fits": "fits",
    ".fit": "fits",
    ".parquet": "parquet",
    ".pq": "parquet",
}
SEPARATORS = {"comma": ",", "tab": "\t", "whitespace": ","}  # white space is turned into commas as it is read


@dataclass(slots=True)
class Block:
    """Some rows of a file: one array for each of its columns, and the line (or row) each came from."""

    columns: list[pa.Array]
    lines: pa.Array


@dataclass(slots=True)
class Opened:
    """A file that is being read.

    Attributes:
        names: of its columns, in order.
        blocks: its rows, to be iterated once.
        unit: what its rows are called, "line" in text and "row" in tables.
        first: line of the first row.
        units: name of a column → its unit, where the file tells (VOTable, FITS, ECSV).
        done: how much has been read so far, out of ``size`` (bytes or rows).
        close: to be called when no more is read.
    """

    names: list[str]
    blocks: Iterator[Block]
    unit: str
    first: int
    units: dict[str, str]
    done: Callable[[], int]
    size: int
    close: Callable[[], None] = lambda: None


Note = Callable[[int, str], None]  # takes a line and what is wrong there


def open_file(file: Path, source: Source | None, note: Note) -> Opened:
    """Open a file of events. Mistakes in its form are given to ``note`` while it is read.

    Raises:
        LoadError: it is not there, or of no known format, or not what its name says.
    """
    with _explained(file):
        form = format_of(file, source)
        if form in ("csv", "tsv", "text"):
            opened = _open_text(file, form, source or Source(file=file.name), note)
        elif form == "parquet":
            opened = _open_parquet(file)
        else:
            opened = _open_table(file, form)
    opened.blocks = _with_explanation(file, opened.blocks)
    return opened


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Say of what file an error tells that a library raises."""
    try:
        yield
    except FileNotFoundError:
        raise LoadError(f"There is no file {file}.") from None
    except (OSError, EOFError, ValueError, TypeError, LookupError, pa.ArrowException, zlib.error) as error:
        raise LoadError(f"{file.name} cannot be read: {_reason(error)}.") from error


def _with_explanation(file: Path, blocks: Iterator[Block]) -> Iterator[Block]:
    with _explained(file):
        yield from blocks


def find_sources(table: Table, folder: Path) -> list[Path]:
    """The released files of a table that lie anywhere below ``folder``: one of each part, or none if a part lacks."""
    found: dict[str, Path | None] = {}
    for source in table.sources:
        if found.get(source.part) is None:
            found[source.part] = min(folder.rglob(source.file), default=None)
    files = [file for file in found.values() if file is not None]
    return files if len(files) == len(found) else []


def format_of(file: Path, source: Source | None) -> Format:
    """The format of a file by the end of its name; a described source is text unless its name says otherwise."""
    ending = Path(file.name.lower().removesuffix(".gz")).suffix
    if source is not None and (source.header or source.separator != "comma" or ending not in SUFFIXES):
        return "text"
    if ending not in SUFFIXES:
        raise LoadError(
            f"{file.name}: the format of the file is not known: its name must end in {', '.join(SUFFIXES)}."
        )
    return SUFFIXES[ending]


def _reason(error: Exception) -> str:
    return shown(" ".join(str(error).split())[:200] or type(error).__name__).strip('"').rstrip(".")


# Text ---------------------------------------------------------------------------------------------------------------


class _Counted(io.RawIOBase):
    """A file that counts the bytes read from it, for the progress bar."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("rb")
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        read = self._file.readinto(buffer)
        self.count += read
        return read

    def close(self) -> None:
        self._file.close()
        super().close()


class _Commas(io.RawIOBase):
    """Text with white space between values, as text with commas."""

    def __init__(self, lines: io.BufferedIOBase) -> None:
        self._lines = lines
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            lines = self._lines.readlines(1 << 16)
            self._rest = b"".join(b",".join(line.split()) + b"\n" for line in lines)
        chunk, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _open_text(file: Path, form: Format, source: Source, note: Note) -> Opened:
    counted = _Counted(file)
    plain: io.BufferedIOBase = io.BufferedReader(counted, 1 << 20)
    if file.name.lower().endswith(".gz"):
        plain = gzip.GzipFile(fileobj=plain)
    if source.separator == "whitespace":
        plain = io.BufferedReader(_Commas(plain), 1 << 20)
    separator = "\t" if form == "tsv" else SEPARATORS[source.separator]
    names, first = list(source.header), source.skip + 1
    try:
        for _ in range(source.skip):
            plain.readline()
        if not names:
            line = plain.readline().decode("utf-8-sig").strip("\r\n")
            names = [name.strip() for name in next(csv.reader([line], delimiter=separator), [])]
            first += 1
        if not names:
            raise ValueError("its first line is empty, where the names of the columns should be")
    except BaseException:
        counted.close()
        raise
    skipped: list[int] = []

    def wrong_length(row: arrow_csv.InvalidRow) -> str:
        line = row.number + first - 1
        skipped.append(line)
        note(line, f"there are {row.actual_columns} values in it instead of {row.expected_columns}")
        return "skip"

    def blocks() -> Iterator[Block]:
        positions = [str(number) for number in range(len(names))]  # the file's names may repeat
        try:
            reader = arrow_csv.open_csv(
                plain,
                # Without threads, else the handler is not told the numbers of rows.
                read_options=arrow_csv.ReadOptions(column_names=positions, block_size=BLOCK, use_threads=False),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=separator, ignore_empty_lines=False, invalid_row_handler=wrong_length
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(positions, pa.binary()),
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):  # column names and nothing below
                return
            raise
        yield from _without_blank_end(_numbered(reader, first, skipped), note)

    size = file.stat().st_size
    return Opened(names, blocks(), "line", first, {}, lambda: counted.count, size, counted.close)


def _numbered(batches: Iterator[pa.RecordBatch], first: int, skipped: Sequence[int]) -> Iterator[Block]:
    """Give each row the number of its line; ``skipped`` are lines that were left out, in order."""
    passed = 0
    for batch in batches:
        lines = np.arange(first, first + batch.num_rows)
        while passed < len(skipped) and skipped[passed] <= lines[-1]:
            lines[lines >= skipped[passed]] += 1
            passed += 1
        yield Block(batch.columns, pa.array(lines))
        first = int(lines[-1]) + 1


def _without_blank_end(blocks: Iterator[Block], note: Note) -> Iterator[Block]:
    """Leave out blank lines: forgiven at the end of a file, a mistake elsewhere."""
    blank: list[int] = []
    for block in blocks:
        empty = block.columns[0].is_null()
        for column in block.columns[1:]:
            if not pc.any(empty).as_py():
                break
            empty = pc.and_(empty, column.is_null())
        if pc.any(empty).as_py():
            last = pc.max(block.lines.filter(pc.invert(empty))).as_py() or 0
            numbers = block.lines.filter(empty).to_pylist()
            inside = [number for number in (*blank, *numbers) if number < last]
            blank = [number for number in (*blank, *numbers) if number > last]
            keep = pc.invert(empty)
            block = Block([column.filter(keep) for column in block.columns], block.lines.filter(keep))
        else:
            inside, blank = blank, []
        for number in inside:
            note(number, "the line is empty")
        yield block


# Tables -------------------------------------------------------------------------------------------------------------


def _open_parquet(file: Path) -> Opened:
    table = parquet.ParquetFile(file)
    read = 0

    def blocks() -> Iterator[Block]:
        nonlocal read
        for batch in table.iter_batches(batch_size=ROWS):
            lines = pa.array(np.arange(read + 1, read + 1 + batch.num_rows))
            read += batch.num_rows
            yield Block(batch.columns, lines)

    names = table.schema_arrow.names
    return Opened(names, blocks(), "row", 1, {}, lambda: read, table.metadata.num_rows, table.close)


def _open_table(file: Path, form: Format) -> Opened:
    from km3vo.store.ingest_astropy import read

    names, units, rows, slices = read(file, form)
    done = 0

    def blocks() -> Iterator[Block]:
        nonlocal done
        for start in range(0, rows, ROWS):
            stop = min(start + ROWS, rows)
            done = stop
            yield Block(slices(start, stop), pa.array(np.arange(start + 1, stop + 1)))

    return Opened(names, blocks(), "row", 1, units, lambda: done, rows)


def open_batches(batches: Iterator[pa.RecordBatch], rows: int) -> Opened:
    """Rows that come from no file, such as simulated ones; ``rows`` of them are expected."""
    head = next(batches)
    read = 0

    def blocks() -> Iterator[Block]:
        nonlocal read
        batch: pa.RecordBatch | None = head
        while batch is not None:
            lines = pa.array(np.arange(read + 1, read + 1 + batch.num_rows))
            read += batch.num_rows
            yield Block(batch.columns, lines)
            batch = next(batches, None)

    return Opened(head.schema.names, blocks(), "row", 1, {}, lambda: read, rows)
