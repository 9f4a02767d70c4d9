"""Cells as text, a column at a time: shared by every format that people can read.

Numbers are written with the fewest digits that read back as the same number (a float as a float, not as a double).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from km3vo.results import kernels, views

Escape = Callable[[pa.Array], pa.Array]

# ASCII's own separators of cells and of rows, for rows that the database writes as text. No loaded text holds them.
UNIT, RECORD = "\x1f", "\x1e"

_STRING = pa.string()
_MOMENT = pa.timestamp("us")
# 2024-05-01T12:30:00.123456
_LONGEST = 26
_COLUMNS = np.arange(_LONGEST)


@dataclass(frozen=True, slots=True)
class Style:
    """How a format writes what formats disagree on.

    Attributes:
        nan, positive, negative: not a number and the infinities.
        escape: makes strings safe within the format.
        opening, between, closing: around and between the elements of an array.
        true, false: the two booleans.
        quote: put around timestamps.
    """

    nan: str
    positive: str
    negative: str
    escape: Escape
    opening: str = ""
    between: str = " "
    closing: str = ""
    true: str = "true"
    false: str = "false"
    quote: str = ""


def texts(batch: pa.RecordBatch, style: Style) -> list[pa.Array]:
    """Each column as an array of strings; missing cells stay missing."""
    return [_text(array, style) for array in batch.columns]


def rows(columns: Sequence[pa.Array], between: str, after: str, missing: str = "") -> memoryview:
    """The rows of columns of text: cells joined by ``between``, rows by ``after`` (not after the last).

    Args:
        missing: what stands for a missing cell.
    """
    joined = kernels.join_cells(columns, between, missing)
    if len(columns) == 1:
        if missing and not views.lengths(joined).all():
            joined = pc.if_else(pc.equal(joined, ""), None, joined)  # an array of no numbers
        if joined.null_count:
            joined = joined.fill_null(missing)
    return views.data(kernels.join_rows(joined, after)).data


def timestamps(array: pa.Array) -> pa.Array:
    """Moments as DALI 1.1 §3.3.3 writes them: YYYY-MM-DDThh:mm:ss, with .sss or .ssssss only where needed."""
    count, missing, moments = len(array), views.nulls(array), views.values(array)
    whole = kernels.strings(pa.Array.from_buffers(_MOMENT, count, [None, pa.py_buffer(moments)]))
    content = views.data(whole)
    if len(content) != count * _LONGEST:  # a year before 0 or after 9999
        return kernels.replace(kernels.strings(array), " ", "T")
    letters = content.reshape(count, _LONGEST).copy()
    letters[:, 10] = ord("T")
    widths = np.where(moments % 1_000_000 == 0, 19, np.where(moments % 1000 == 0, 23, _LONGEST))
    if missing is not None:
        widths[missing] = 0
    width = int(widths[0]) if count else 0
    kept = letters[:, :width] if (widths == width).all() else letters[widths[:, None] > _COLUMNS]
    return views.binary(count, views.ends(widths), np.ascontiguousarray(kept), missing).view(_STRING)


def _text(array: pa.Array, style: Style) -> pa.Array:
    kind = array.type
    if kind == _STRING:
        return style.escape(array)
    if pa.types.is_floating(kind):
        return _floats(array, style)
    if pa.types.is_timestamp(kind):
        strings = timestamps(array)
        return kernels.enclose(style.quote, strings, style.quote) if style.quote else strings
    if pa.types.is_list(kind):
        return _lists(array, style)
    if pa.types.is_boolean(kind) and style.true != "true":
        return kernels.choose(array, kernels.scalar(style.true), kernels.scalar(style.false))
    return kernels.strings(array)


def _floats(array: pa.Array, style: Style) -> pa.Array:
    strings = kernels.strings(array)
    found = views.values(array)
    special = ~np.isfinite(found)
    special |= (found == 0) & np.signbit(found)
    if not special.any():
        return strings
    odd = found[special]
    names = np.where(np.isnan(odd), style.nan, np.where(odd > 0, style.positive, style.negative))
    names[odd == 0] = "-0.0"  # readers of JSON, and so of ECSV, take -0 for an integer, which has no sign
    return kernels.put(strings, pa.array(special), pa.array(names, _STRING))


def _lists(array: pa.Array, style: Style) -> pa.Array:
    # Cut to the cells that are there: a slice still carries the elements of the whole array.
    where = views.offsets(array)
    elements = array.values.slice(where[0], where[-1] - where[0])
    strings = _text(elements, style).fill_null(style.nan)
    missing = views.nulls(array)
    validity = None if missing is None else views.bitmap(missing)
    buffers = [validity, pa.py_buffer(where - where[0])]
    lists = pa.Array.from_buffers(pa.list_(_STRING), len(array), buffers, children=[strings])
    joined = kernels.join_lists(lists, style.between)
    return kernels.enclose(style.opening, joined, style.closing) if style.opening else joined
