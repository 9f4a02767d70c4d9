"""CSV and TSV: a line of column names, then a line per row."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from km3vo.catalog.model import Column
from km3vo.results import kernels, text, views
from km3vo.results.blocks import blocks, chunks
from km3vo.results.stream import Result

_QUOTED = np.zeros(256, bool)
_QUOTED[list(b',"\r\n')] = True


def write_csv(result: Result) -> Iterator[bytes]:
    """RFC 4180, UTF-8, with a header line. A missing cell is empty, an empty string is ``""``.

    CSV has no place for an error or a note that rows were left out; an error is raised.
    """
    return chunks(result, _lines(result, ",", "\r\n", CSV))


def write_tsv(result: Result) -> Iterator[bytes]:
    """Tab-separated values as registered with IANA: tabs and line ends within cells become spaces.

    TSV has no place for an error or a note that rows were left out; an error is raised.
    """
    return chunks(result, _lines(result, "\t", "\n", TSV))


@lru_cache(maxsize=512)
def header(columns: tuple[Column, ...], between: str, style: text.Style) -> bytes:
    """The line of column names, without its end."""
    names = style.escape(pa.array([column.name for column in columns], pa.string()))
    return between.join(names.to_pylist()).encode()


def quoted(strings: pa.Array) -> pa.Array:
    """Strings as CSV has them, in quotes where they are empty, hold a comma, a quote or a line end, or begin or end
    with a space."""
    content = views.data(strings)
    empty = views.lengths(strings) == 0
    missing = views.nulls(strings)
    if missing is not None:
        empty &= ~missing
    if not empty.any() and not _QUOTED[content].any() and not (content == ord(" ")).any():
        return strings
    needed = pc.or_(pc.match_substring_regex(strings, '[,"\r\n]|^ | $'), pa.array(empty))
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


def _lines(result: Result, between: str, after: str, style: text.Style) -> Iterator[bytes]:
    waiting: list[bytes | memoryview] = [header(result.columns, between, style), after.encode()]
    for block in blocks(result):
        waiting += [text.rows(text.texts(block, style), between, after), after.encode()]
        yield b"".join(waiting)
        waiting.clear()
    yield b"".join(waiting)
