"""Times in UTC and positions in ICRS, whatever a file has them in; what was turned into them is said.

Which columns are times and positions, and what they should become, only who reads the file knows: a load by the
published table, an upload by names and UCDs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from km3vo.readers import clocks, frames, units
from km3vo.readers.arrays import absent, is_geometry
from km3vo.readers.clocks import MJD, PAIR, Clock
from km3vo.readers.frames import Frame
from km3vo.readers.mistakes import Note, Place, named, shown
from km3vo.readers.moments import moments
from km3vo.readers.opened import Block, FileColumn, Opened

Kind = Literal["mjd", "timestamp"]
# Changes some of the cells of a block.
_Change = Callable[[Block], None]


@dataclass(frozen=True, slots=True)
class CoordinateColumns:
    """Which columns of a file are times and positions.

    Attributes:
        times: place of a column → what it is to become.
        position: places of right ascension and declination, or None.
    """

    times: dict[int, Kind]
    position: tuple[int, int] | None = None


def converted(opened: Opened, coordinates: CoordinateColumns, note: Note) -> Opened:
    """The file with times in UTC and positions in ICRS and degrees.

    What cannot be turned into them is told to ``note`` as mistakes of the whole file.
    """
    changes: list[_Change] = []
    columns = list(opened.columns)
    for place, kind in coordinates.times.items():
        _add_time(opened, columns, place, kind, changes, note)
    if coordinates.position is not None:
        _add_position(opened, columns, coordinates.position, changes, note)
    for place, column in enumerate(columns):
        if column.frame is not None and not column.frame.is_ours and place not in (coordinates.position or ()):
            _add_geometry(opened, columns, place, changes, note)
    if changes:
        opened.columns, opened.blocks = columns, _changed(opened.blocks, changes)
    return opened


def _changed(blocks: Iterator[Block], changes: list[_Change]) -> Iterator[Block]:
    for block in blocks:
        for change in changes:
            change(block)
        yield block


# Times ---------------------------------------------------------------------------------------------------------------


def _add_time(
    opened: Opened, columns: list[FileColumn], place: int, kind: Kind, changes: list[_Change], note: Note
) -> None:
    column = columns[place]
    clock = column.clock
    is_text = pa.types.is_string(column.type) or pa.types.is_timestamp(column.type)
    if clock is None:
        clock = _of_the_file(opened, column, is_text, note)
        if clock is None:
            if kind == "mjd" and pa.types.is_timestamp(column.type):
                clock = clocks.UTC
            else:
                _check_days(column, kind, note)
                return
    if clock.trouble:
        note(0, f"column {named(column.name)}: {clock.trouble}")
        return
    needless = clock.is_ours and column.type != PAIR
    if needless and is_text == (kind == "timestamp"):
        return
    if not column.typed and kind == "mjd":
        return  # numbers in plain text, which no clock speaks of
    changes.append(_time_change(place, column, clock, kind, note))
    type_ = pa.timestamp("us") if kind == "timestamp" else pa.float64()
    described = replace(
        column.column,
        datatype="char" if kind == "timestamp" else "double",
        arraysize="*" if kind == "timestamp" else None,
        xtype="timestamp" if kind == "timestamp" else None,
        unit=None if kind == "timestamp" else "d",
    )
    columns[place] = FileColumn(described, type_)
    if not clock.is_ours:
        opened.remarks.append(f"column {named(column.name)}: times in {clock} were turned into UTC")


def _check_days(column: FileColumn, kind: Kind, note: Note) -> None:
    """Refuse numbers of seconds or years as times: nothing says what they count from."""
    unit = column.column.unit
    with contextlib.suppress(units.UnitMismatch):  # told when units are looked at
        if kind == "mjd" and units.factor(unit, "d") is not None:
            note(
                0,
                f"column {named(column.name)}: its unit is {shown(str(unit))}, and nothing says since when",
            )


def _of_the_file(opened: Opened, column: FileColumn, is_text: bool, note: Note) -> Clock | None:
    """The clock that holds for a column that has none of its own, if any."""
    clock = opened.clock
    if clock is None or (clock.is_ours and clock.origin is None):
        return None
    if not opened.tied:
        what = clock.trouble or f"times in {clock}"
        note(0, f"column {named(column.name)}: the file speaks of {what}, and does not say of which columns (ref)")
        return None
    if clock.trouble:
        return clock
    if is_text:
        return Clock(clock.scale)
    if clock.origin is not None:
        note(
            0,
            f"column {named(column.name)}: the file has times that count from another day than MJD 0, and does not say "
            "whether these do (TCTYP)",
        )
        return None
    try:
        return Clock(clock.scale, (MJD, 0.0), units.factor(column.column.unit, "d") or 1.0)
    except units.UnitMismatch:
        return None  # told when its unit is looked at


def _time_change(place: int, column: FileColumn, clock: Clock, kind: Kind, note: Note) -> _Change:
    def change(block: Block) -> None:
        cells, where = block.columns[place], Place(column.name, block.lines, note)
        if pa.types.is_string(cells.type):
            cells = moments(cells, where)
        found = clocks.to_timestamps(cells, clock, where) if kind == "timestamp" else clocks.to_mjd(cells, clock, where)
        block.columns[place] = found

    return change


# Positions -----------------------------------------------------------------------------------------------------------


def _add_position(
    opened: Opened, columns: list[FileColumn], pair: tuple[int, int], changes: list[_Change], note: Note
) -> None:
    both = [columns[place] for place in pair]
    names = " and ".join(named(column.name) for column in both)
    systems = [column.frame or (opened.frame if opened.tied else None) for column in both]
    frame = systems[0]
    if systems[0] is None and systems[1] is None:
        if opened.frame is not None and not opened.tied and not opened.frame.is_ours:
            note(0, f"columns {names}: the file speaks of {opened.frame}, and does not say of which columns (ref)")
        return
    if frame is None or systems[0] != systems[1]:
        if all(each is None or each.is_ours for each in systems):
            return
        note(0, f"columns {names}: they refer to different frames, or only one of them to any")
        return
    if frame.trouble:
        note(0, f"columns {names}: {frame.trouble}")
        return
    if frame.is_ours:
        return
    try:
        factors = [units.factor(column.column.unit, "deg") or 1.0 for column in both]
    except units.UnitMismatch as wrong:
        note(0, f"columns {names}: {wrong}")
        return
    if not all(column.typed and _is_number(column.type) for column in both):
        note(0, f"columns {names}: positions in {frame} are turned into ICRS only where they are numbers")
        return

    def change(block: Block) -> None:
        longitude, latitude = (
            _numbers(block.columns[place]) * factor for place, factor in zip(pair, factors, strict=True)
        )
        missing = [absent(block.columns[place]) for place in pair]
        ra, dec = frames.to_icrs(longitude, latitude, frame)
        # What is no position stays what it was, so that it is seen.
        for place, value, old, gone in zip(pair, (ra, dec), (longitude, latitude), missing, strict=True):
            block.columns[place] = pa.array(np.where(np.isnan(value), old, value), pa.float64(), mask=gone)

    changes.append(change)
    for place, column, ucd in zip(pair, both, ("pos.eq.ra", "pos.eq.dec"), strict=True):
        found = column.column.ucd or ""
        if found and not found.lower().startswith("pos.eq"):
            found = ucd + found[len(found.partition(";")[0]) :]
        described = replace(column.column, datatype="double", unit="deg", ucd=found or None)
        columns[place] = FileColumn(described, pa.float64())
    opened.remarks.append(f"columns {names}: positions in {frame} were turned into ICRS")


def _add_geometry(opened: Opened, columns: list[FileColumn], place: int, changes: list[_Change], note: Note) -> None:
    """A column with another frame than ours that is not one of the position."""
    column, frame = columns[place], columns[place].frame
    assert frame is not None
    name = named(column.name)
    if not is_geometry(column.column):
        if (column.column.ucd or "").lower().startswith(("pos.eq", "pos_eq", "pos.pm")):
            note(0, f"column {name}: what refers to {frame} is turned into ICRS only as a pair: leave the column out")
        return
    if frame.trouble:
        note(0, f"column {name}: {frame.trouble}")
        return
    is_circle = column.column.xtype == "circle"

    def change(block: Block) -> None:
        block.columns[place] = _turned(block.columns[place], frame, is_circle)

    changes.append(change)
    columns[place] = replace(column, frame=None)
    opened.remarks.append(f"column {name}: positions in {frame} were turned into ICRS")


def _turned(cells: pa.Array, frame: Frame, is_circle: bool) -> pa.Array:
    """Points, circles or polygons; those of odd lengths are left alone, as they are refused anyhow."""
    step = 3 if is_circle else 2
    counts = pc.fill_null(pc.list_value_length(cells), 0).to_numpy(zero_copy_only=False)
    if (counts % step).any():
        return cells
    numbers = cells.flatten().cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False).copy()
    ra, dec = frames.to_icrs(numbers[::step], numbers[1::step], frame)
    numbers[::step] = np.where(np.isnan(ra), numbers[::step], ra)
    numbers[1::step] = np.where(np.isnan(dec), numbers[1::step], dec)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    mask = absent(cells)
    where = pa.array(offsets, mask=np.append(mask, False)) if mask.any() else pa.array(offsets)
    return pa.ListArray.from_arrays(where, pa.array(numbers))


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_floating(type_) or pa.types.is_integer(type_) or pa.types.is_decimal(type_))


def _numbers(cells: pa.Array) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = cells.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    return found
