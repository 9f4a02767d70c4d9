"""Days as times and times as days: an MJD for a published time, a date for a published MJD, where whoever loads says
that a column is such. A file's one column may be both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from km3vo.catalog.model import Column
from km3vo.readers import clocks
from km3vo.readers.clocks import MJD, Clock
from km3vo.readers.fitting import fitted
from km3vo.readers.mistakes import Place
from km3vo.readers.moments import moments
from km3vo.readers.opened import Block, FileColumn, Opened
from km3vo.readers.texts import Grammar

DAYS = Clock("utc", (MJD, 0.0), 1.0)
# In plain text, where nothing else tells: five digits before the point are days since MJD 0, of the years 1886 to 2132.
_DAYS = r"^\s*\d{5}(\.\d*)?\s*$"
_DATE = r"^\s*\d{4}-\d\d-\d\d"


def counted(column: FileColumn, opened: Opened) -> FileColumn:
    """A column of numbers that are to be times, with the clock that they go by where the file names none."""
    is_number = pa.types.is_floating(column.type) or pa.types.is_integer(column.type)
    silent = opened.clock is None or (opened.clock.is_ours and opened.clock.origin is None)
    if is_number and silent and column.clock is None and (column.column.unit or "d").strip() == "d":
        return replace(column, clock=DAYS)
    return column


def of_text(column: Column, cells: pa.Array, grammar: Grammar, place: Place) -> pa.Array:
    """Cells of plain text, some of which may be days where there should be times, or times for days."""
    is_time = column.xtype == "timestamp"
    others = pc.fill_null(pc.match_substring_regex(cells, _DAYS if is_time else _DATE), False)
    none = pa.scalar(None, pa.string())
    found = fitted(column, pc.if_else(others, none, cells), grammar, place, keep_nan=True)
    if not pc.any(others).as_py():
        return found
    turned = pc.if_else(others, cells, none)
    if is_time:
        made = clocks.to_timestamps(pc.utf8_trim_whitespace(turned).cast(pa.float64()), DAYS, place)
    else:
        made = clocks.to_mjd(moments(turned, place), clocks.UTC, place)
    return pc.if_else(others, made.cast(found.type), found)


def doubled(opened: Opened, places: Sequence[int]) -> list[int]:
    """Add copies of some columns of a file to it, for another use; returns where they are."""
    first = len(opened.columns)
    opened.columns = [*opened.columns, *(opened.columns[place] for place in places)]
    opened.blocks = _doubled(opened.blocks, places)
    return list(range(first, first + len(places)))


def _doubled(blocks: Iterator[Block], places: Sequence[int]) -> Iterator[Block]:
    for block in blocks:
        yield Block([*block.columns, *(block.columns[place] for place in places)], block.lines)
