"""CSV and TSV: a line of column names, then a line per row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from km3vo.column import Column
from km3vo.results import kernels, text, views
from km3vo.results.blocks import blocks, chunks
from km3vo.results.stream import Result

# What needs quotes: anywhere in a string, and at its ends, where some readers strip blanks and take # for a comment.
_QUOTED = '[,"\\r\\n]|^[\\t-\\r #]|[\\t-\\r ]$'
_SUSPECT = np.zeros(256, bool)
_SUSPECT[[*b',"# ', *range(9, 14)]] = True


def write_csv(result: Result) -> Iterator[bytes]:
    """RFC 4180, UTF-8, with a header line. A missing cell is empty, an empty string is ``""``.

    (In a table of one column a missing cell is ``""`` too.)

    CSV has no place for an error or a note that rows were left out; an error is raised.
    """
    return chunks(result, _lines(result, ",", "\r\n", CSV, missing(result.columns)))


def write_tsv(result: Result) -> Iterator[bytes]:
    """Tab-separated values as registered with IANA: tabs and line ends within cells become spaces.

    TSV has no place for an error or a note that rows were left out; an error is raised.
    """
    return chunks(result, _lines(result, "\t", "\n", TSV, ""))


@lru_cache(maxsize=512)
def header(columns: tuple[Column, ...], between: str, style: text.Style) -> bytes:
    """The line of column names, without its end."""
    names = style.escape(pa.array([column.name for column in columns], pa.string()))
    return between.join(names.to_pylist()).encode()


def missing(columns: Sequence[Column]) -> str:
    """What stands for a missing cell: nothing, but in the only column quotes, since readers skip empty lines."""
    return "" if len(columns) > 1 else '""'


def quoted(strings: pa.Array) -> pa.Array:
    """Strings as CSV has them, in quotes where they need them and where they are empty."""
    content = views.data(strings)
    empty = views.lengths(strings) == 0
    absent = views.nulls(strings)
    if absent is not None:
        empty &= ~absent
    if not empty.any() and not _SUSPECT[content].any():
        return strings
    needed = pc.or_(pc.match_substring_regex(strings, _QUOTED), pa.array(empty))
    return kernels.choose(needed, _in_quotes(strings), strings)


def _in_quotes(strings: pa.Array) -> pa.Array:
    return kernels.enclose('"', kernels.replace(strings, '"', '""'), '"')


def _spaced(strings: pa.Array) -> pa.Array:
    content = views.data(strings)
    if not ((content >= 9) & (content <= 13)).any():
        return strings
    return kernels.replace_pattern(strings, "[\t\r\n]", " ")


# "Infinity" is what Java (STILTS, TOPCAT) reads; Python, pandas and Arrow read it too.
CSV = text.Style(nan="NaN", positive="Infinity", negative="-Infinity", escape=quoted)
TSV = text.Style(nan="NaN", positive="Infinity", negative="-Infinity", escape=_spaced)


def _lines(result: Result, between: str, after: str, style: text.Style, absent: str) -> Iterator[bytes]:
    waiting: list[bytes | memoryview] = [header(result.columns, between, style), after.encode()]
    for block in blocks(result):
        waiting += [text.rows(text.texts(block, style), between, after, absent), after.encode()]
        yield b"".join(waiting)
        waiting.clear()
    yield b"".join(waiting)
