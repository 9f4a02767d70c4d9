"""Text with a line for each row: CSV by RFC 4180, with CR, LF or CRLF at the ends of lines; TSV, which has no quotes.

Arrow splits lines into cells, which stay text here. It forgives quotes in the middle of a value and at the end of a
file, so what it reads goes through a stream that does not.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from km3vo.column import Column
from km3vo.errors import ReadError
from km3vo.readers.content import Content
from km3vo.readers.mistakes import Note, Place
from km3vo.readers.opened import Block, FileColumn, Opened
from km3vo.readers.text import dialect
from km3vo.readers.text.lines import ESCAPES, Lines, Tabs, original
from km3vo.readers.texts import Grammar

LINE = 1 << 20  # bytes of the longest line; Arrow reads in blocks of this size, 32 of them ahead


def open_text(content: Content, note: Note, expected: str | None) -> Opened:
    """Open a file with a line of names.

    Args:
        content: the file.
        note: is told what is wrong in single lines, while they are read.
        expected: the delimiter that the file's name promises, or None.

    Raises:
        ReadError: it has no line of names.
    """
    style = dialect.detect(content.head(dialect.SAMPLE), expected)
    lines = Lines(content.stream(), style.delimiter, quotes=style.quotes)
    rows = Rows(lines, style.delimiter, len(style.names), note, quotes=style.quotes)
    opened = opened_rows(rows, style.names, Grammar(loose=True, comma=style.comma), content, headed=True)
    opened.remarks += style.remarks
    return opened


def open_described(
    content: Content,
    note: Note,
    *,
    delimiter: str,
    skip: int,
    names: tuple[str, ...],
    blanks: bool,
    text_last: bool = False,
) -> Opened:
    """Open a file whose form is known beforehand.

    Args:
        content: the file.
        note: is told what is wrong in single lines, while they are read.
        delimiter: between values.
        skip: lines before the first row, or before the line of names.
        names: of its columns; without any they are in the first line that is not skipped.
        blanks: whether values are separated by any number of blanks and tabs instead.
        text_last: whether the last of the named columns may have blanks in its values then.
    """
    stream: io.RawIOBase = content.stream()
    if blanks:
        tabs = Tabs(io.BufferedReader(stream, LINE), most=len(names) - 1 if text_last else -1)
        stream, delimiter = tabs, "\t"
    plain = io.BufferedReader(stream, LINE)
    for _ in range(skip):
        plain.readline(LINE)
    quotes = delimiter != "\t"
    headed = not names
    if headed:
        sample = plain.peek(LINE)
        records = dialect.split(sample.decode("utf-8-sig", "backslashreplace"), delimiter)
        if not records:
            raise ReadError("its first line is empty, where the names of the columns should be")
        names = tuple(name.strip() for name in records[0])
    return opened_rows(
        Rows(Lines(plain, delimiter, quotes=quotes, first=skip + 1), delimiter, len(names), note, quotes=quotes),
        names,
        Grammar(loose=True),
        content,
        headed=headed,
    )


def opened_rows(rows: Rows, names: tuple[str, ...], grammar: Grammar, content: Content, *, headed: bool) -> Opened:
    """Rows of texts as an opened file; with ``headed`` the first of them holds the names."""
    columns = [
        FileColumn(Column(name=name, datatype="char", arraysize="*", sql=f"c{number}"), pa.string(), typed=False)
        for number, name in enumerate(names, 1)
    ]
    blocks = rows.blocks(names, headed=headed)
    first = rows.lines.first + headed
    return Opened(columns, blocks, "line", first, content.done, content.size, grammar)


class Rows:
    """The rows of a text file, as blocks of texts.

    Args:
        lines: the bytes.
        delimiter: between values.
        width: how many values a line should have.
        note: is told which lines have more or fewer, and which are empty before the last one.
        quotes: whether values may stand in quotes.
        counted: whether messages count the rows below the line of names, instead of the lines of the file.
    """

    def __init__(
        self, lines: Lines, delimiter: str, width: int, note: Note, *, quotes: bool, counted: bool = False
    ) -> None:
        self.lines = lines
        self._counted = counted
        self._delimiter, self._width, self._note, self._quotes = delimiter, width, note, quotes
        self._wrong: list[tuple[int, int, int]] = []  # number among the rows, values, line ends within it
        self._row = 1  # number of the next row
        self._line = 0 if counted else lines.first  # and its line, or what is told instead
        self._headed = False
        self._empty = 0  # how many empty lines came before it

    def blocks(self, names: tuple[str, ...], *, headed: bool) -> Iterator[Block]:
        """The rows. The names of the columns are for messages; with ``headed`` the first row is left out."""
        self._headed = headed
        positions = [str(number) for number in range(self._width)]  # names may repeat
        try:
            reader = arrow_csv.open_csv(
                io.BufferedReader(self.lines, LINE),
                # Without threads, else the handler is not told the numbers of rows.
                read_options=arrow_csv.ReadOptions(column_names=positions, block_size=LINE, use_threads=False),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=self._delimiter,
                    quote_char='"' if self._quotes else False,
                    newlines_in_values=self._quotes,
                    invalid_row_handler=self._wrong_length,
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(positions, pa.binary()),
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
            for batch in reader:
                numbers = self._numbers(batch)
                if headed and batch.num_rows:
                    batch, numbers, headed = batch.slice(1), numbers[1:], False
                places = pa.array(numbers)
                yield Block(
                    [
                        self._texts(cells, Place(name, places, self._note))
                        for name, cells in zip(names, batch.columns, strict=True)
                    ],
                    places,
                )
        except pa.ArrowInvalid as error:
            if "Empty CSV" not in str(error):
                raise ReadError(
                    f"a line after line {self._line - 1} is longer than {LINE} bytes: is a quote left open there?"
                ) from None
        self._numbers(None)
        # Empty lines after the last row are no mistake.

    def _texts(self, cells: pa.Array, place: Place) -> pa.Array:
        """Cells as text; those whose bytes are no UTF-8 are told and left empty."""
        texts = cells.cast(pa.string())
        if not self.lines.escaped:
            return texts
        bad = pc.fill_null(pc.match_substring_regex(texts, ESCAPES), False)
        for index in np.flatnonzero(bad.to_numpy(zero_copy_only=False)).tolist():
            place.tell(index, original(texts[index].as_py()), "is not text in UTF-8")
        return pc.if_else(bad, None, texts)

    def _wrong_length(self, row: arrow_csv.InvalidRow) -> str:
        if self._headed and row.number == 1:
            raise ReadError("its first line cannot be read as names of columns")
        ends = len(re.findall(r"\r\n|\r|\n", row.text)) if self.lines.several else 0
        self._wrong.append((row.number, row.actual_columns, ends))
        return "skip"

    def _numbers(self, batch: pa.RecordBatch | None) -> npt.NDArray[np.int64]:
        """The line of each row of a batch; wrong rows before its end are told. Without a batch, the rest of them."""
        count = 0 if batch is None else batch.num_rows
        wrong: list[tuple[int, int, int]] = []
        while self._wrong and (batch is None or self._wrong[0][0] < self._row + count + len(wrong)):
            wrong.append(self._wrong.pop(0))
        total = count + len(wrong)
        bad = np.zeros(total, bool)
        bad[np.array([number - self._row for number, _, _ in wrong], np.int64)] = True
        heights = np.ones(total, np.int64)
        if self._counted:
            return self._count(wrong, bad)
        heights[bad] += np.array([ends for _, _, ends in wrong], np.int64)
        if batch is not None and self.lines.several:
            heights[~bad] += sum(map(_line_ends, batch.columns), np.zeros(count, np.int64))
        starts = self._line + np.cumsum(heights) - heights
        end = self._line + int(heights.sum())
        while self._empty < len(self.lines.empty) and self.lines.empty[self._empty] < end:
            line = self.lines.empty[self._empty]
            starts[starts >= line] += 1
            end += 1
            self._empty += 1
            self._note(line, "the line is empty")
        self._tell_wrong(starts[bad], wrong)
        self._row, self._line = self._row + total, end
        return starts[~bad]

    def _count(self, wrong: list[tuple[int, int, int]], bad: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """The same when rows are counted."""
        numbers = self._line + np.arange(len(bad))
        self._tell_wrong(numbers[bad], wrong)
        self._row, self._line = self._row + len(bad), self._line + len(bad)
        return numbers[~bad]

    def _tell_wrong(self, places: npt.NDArray[np.int64], wrong: list[tuple[int, int, int]]) -> None:
        for place, (_, values, _) in zip(places.tolist(), wrong, strict=True):
            self._note(place, f"there are {values} values in it instead of {self._width}")


def _line_ends(cells: pa.Array) -> npt.NDArray[np.int64]:
    """How many line ends are within each cell."""
    counts = pc.add(pc.count_substring(cells, b"\n"), pc.count_substring(cells, b"\r"))
    counts = pc.subtract(counts, pc.count_substring(cells, b"\r\n"))
    found: npt.NDArray[np.int64] = pc.fill_null(counts, 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return found
