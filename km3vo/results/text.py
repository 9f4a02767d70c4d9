"""Cells as text, a column at a time: shared by every format that people can read.

Numbers are written with the fewest digits that read back as the same number (a float as a float, not as a double).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from km3vo.results import views

Escape = Callable[[pa.Array], pa.Array]

_STRING = pa.string()
_SECOND = pa.timestamp("s")


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
    joined = columns[0].fill_null(missing) if len(columns) == 1 else _join(*columns, between, missing)
    one = pa.ListArray.from_arrays(pa.array([0, len(joined)], pa.int32()), joined)
    whole = pc.binary_join(one, after)
    where = views.offsets(whole)
    buffer = whole.buffers()[2]
    return memoryview(buffer)[where[0] : where[1]] if buffer is not None else memoryview(b"")


def timestamps(array: pa.Array) -> pa.Array:
    """Moments as DALI 1.1 §3.3.3 writes them: YYYY-MM-DDThh:mm:ss, with .sss or .ssssss only where needed."""
    moments = views.values(array.view(pa.int64()))
    fraction = moments % 1_000_000
    if not fraction.any():
        return _with_t(array.cast(_SECOND).cast(_STRING), 19)
    whole = _with_t(array.cast(_STRING), 26)
    needed = np.where(fraction == 0, 7, np.where(fraction % 1000 == 0, 3, 0))
    return _shortened(whole, needed)


def _text(array: pa.Array, style: Style) -> pa.Array:
    kind = array.type
    if kind == _STRING:
        return style.escape(array)
    if pa.types.is_floating(kind):
        return _floats(array, style)
    if pa.types.is_boolean(kind):
        strings = array.cast(_STRING)
        return strings if style.true == "true" else pc.if_else(array, style.true, style.false)
    if pa.types.is_timestamp(kind):
        strings = timestamps(array)
        return pc.binary_join_element_wise(style.quote, strings, style.quote, "") if style.quote else strings
    if pa.types.is_list(kind):
        return _lists(array, style)
    return array.cast(_STRING)


def _floats(array: pa.Array, style: Style) -> pa.Array:
    strings = array.cast(_STRING)
    found = views.values(array)
    special = ~np.isfinite(found)
    if not special.any():
        return strings
    odd = found[special]
    names = np.where(np.isnan(odd), style.nan, np.where(odd > 0, style.positive, style.negative))
    return pc.replace_with_mask(strings, special, pa.array(names, _STRING))


def _lists(array: pa.Array, style: Style) -> pa.Array:
    # Cut to the cells that are there: a slice still carries the elements of the whole array.
    where = views.offsets(array)
    elements = array.values.slice(where[0], where[-1] - where[0])
    strings = _text(elements, style).fill_null(style.nan)
    missing = views.nulls(array)
    lists = pa.ListArray.from_arrays(
        pa.array(where - where[0], pa.int32()), strings, mask=None if missing is None else pa.array(missing)
    )
    joined = pc.binary_join(lists, style.between)
    if style.opening or style.closing:
        joined = pc.binary_join_element_wise(style.opening, joined, style.closing, "")
    return joined


def _join(*columns: Any) -> pa.Array:
    *cells, between, missing = columns
    return pc.binary_join_element_wise(*cells, between, null_handling="replace", null_replacement=missing)


def _with_t(strings: pa.Array, width: int) -> pa.Array:
    """Put the T between date and time; in place where every text has the same width (years 0 to 9999)."""
    content = views.data(strings)
    if strings.null_count or len(content) != width * len(strings):
        return pc.replace_substring(strings, " ", "T")
    content = content.copy()
    content[10::width] = ord("T")
    return views.binary(len(strings), np.arange(len(strings) + 1) * width, content).view(_STRING)


def _shortened(strings: pa.Array, by: npt.NDArray[np.int64]) -> pa.Array:
    """Each string without its last ``by`` bytes."""
    if not by.any():
        return strings
    missing = views.nulls(strings)
    length = views.lengths(strings)
    kept = np.maximum(length - by, 0)
    ends = np.cumsum(length)
    keep = np.ones(int(ends[-1]) + 1, np.int8)
    # A byte is kept while the sum of what was opened and closed before it is 1.
    steps = np.zeros(len(keep) + 1, np.int8)
    np.add.at(steps, ends - length, 1)
    np.add.at(steps, ends - length + kept, -1)
    keep = np.cumsum(steps)[: int(ends[-1])].view() > 0
    content = views.data(strings)[keep]
    return views.binary(len(strings), np.concatenate(([0], np.cumsum(kept))), content, missing).view(_STRING)
