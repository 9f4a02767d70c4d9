"""Plain text: columns under each other, for reading in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from km3vo.column import Column
from km3vo.results import delimited, text
from km3vo.results.blocks import chunks, encoded, surviving_blocks
from km3vo.results.stream import Result

_STYLE = replace(delimited.TSV, positive="+Inf", negative="-Inf")
_GAP = "  "


def write(result: Result) -> Iterator[bytes]:
    """A table of fixed width: names, units, rows, and a last line where rows are missing.

    The first rows set the widths; a longer cell further down pushes its line to the right and is not cut.
    """
    return chunks(result, _pieces(result))


def _pieces(result: Result) -> Iterator[bytes]:
    rows = encoded(result, surviving_blocks(result), _Layout(result.columns).lines)
    first = next(rows, None)
    yield first if first is not None else _Layout(result.columns).heading()
    yield from rows
    if result.failed:
        yield f"# ERROR: {result.failed}\n".encode()
    elif result.overflow:
        yield f"# OVERFLOW: only the first {result.rows} rows are here; there are more.\n".encode()


class _Layout:
    """The widths of columns, and lines set accordingly."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._widths = [max(len(column.name), len(column.unit or ""), 1) for column in columns]
        self._begun = False

    def lines(self, block: pa.RecordBatch) -> bytes:
        """The rows of a block; with the first one, also the heading."""
        cells = [array.fill_null("") for array in text.texts(block, _STYLE)]
        heading = b""
        if not self._begun:
            self._begun = True
            longest = [pc.max(pc.utf8_length(array)).as_py() for array in cells]
            self._widths = [max(pair) for pair in zip(self._widths, longest, strict=True)]
            heading = self.heading()
        padded = [
            (pc.utf8_rpad if column.is_string else pc.utf8_lpad)(array, width)
            for array, column, width in zip(cells, self._columns, self._widths, strict=True)
        ]
        return b"".join((heading, text.rows(padded, _GAP, "\n"), b"\n"))

    def heading(self) -> bytes:
        """Names, units, and a rule."""
        names = [column.name for column in self._columns]
        units = [column.unit or "" for column in self._columns]
        return "".join(self._line(texts) for texts in (names, units, ["-" * width for width in self._widths])).encode()

    def _line(self, texts: Sequence[str]) -> str:
        set_out = (
            found.ljust(width) if column.is_string else found.rjust(width)
            for found, column, width in zip(texts, self._columns, self._widths, strict=True)
        )
        return _GAP.join(set_out).rstrip() + "\n"
