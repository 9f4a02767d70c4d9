"""From the columns of a file to those of a published table: names matched, cells turned into what they should be.

A cell that cannot be read as its column's type is a mistake with a line and a value. Whether values make sense is
decided later, in the database (loading.rules).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from difflib import get_close_matches

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from km3vo.catalog.model import Column, Recipe, ReleasedFile, Table
from km3vo.loading import days
from km3vo.readers import units
from km3vo.readers.fitting import Forbidden, fitted, misfit
from km3vo.readers.mistakes import Note, Place, shown
from km3vo.readers.opened import Block, FileColumn, Opened
from km3vo.readers.systems import CoordinateColumns, Kind, converted
from km3vo.readers.texts import PLAIN
from km3vo.results.stream import arrow_type

# What a text may not hold. VOTable's char is ASCII for its readers, and XML has no control characters.
_FORBIDDEN = {
    "char": Forbidden(r"[^ -~]", "is not plain ASCII text"),
    "unicodeChar": Forbidden(r"[\x00-\x1f\x7f]", "is not text without control characters"),
}

_Maker = Callable[[Block], pa.Array]


@dataclass(slots=True)
class Fitting:
    """How each published column is made from the columns of one file.

    Attributes:
        columns: the published columns that the file has; those that may be missing can be absent.
        opened: the file, with times and positions in the published systems.
        turned: names of the published columns whose values are not those that stand in the file.
    """

    columns: tuple[Column, ...]
    opened: Opened
    turned: frozenset[str] = frozenset()
    _makers: tuple[_Maker, ...] = field(repr=False, default=())

    def fit(self, block: Block) -> pa.RecordBatch:
        """A block of the file as a batch of the published columns; bad cells are told and left empty."""
        arrays = [make(block) for make in self._makers]
        return pa.RecordBatch.from_arrays(arrays, names=[column.sql for column in self.columns])


@dataclass(frozen=True, slots=True)
class _Match:
    """A published column, how it is made, and which column of the file it is; None for none."""

    column: Column
    recipe: Recipe
    place: int | None


def match(table: Table, opened: Opened, source: ReleasedFile | None, note: Note) -> Fitting:
    """Match the names of a file's columns with those of a table; what does not match is told to ``note``."""
    matches = _matches(table, opened, source, note)
    opened.want(_used(matches, opened, source))
    explicit = {name for name, _ in source.columns} if source else set()
    matches = _apart(table, opened, matches, explicit)
    first, as_found = opened.first, list(opened.columns)
    turned: set[str] = set()
    opened = converted(opened, _coordinates(table, matches), note)
    makers = []
    for each in matches:
        if each.place is None:
            makers.append(_made(each.column, each.recipe, first, note))
        elif each.recipe.seconds is not None:
            makers.append(_dated(each, opened, note))
        elif each.column.name in explicit and _is_time(table, each.column) and not opened.columns[each.place].typed:
            makers.append(_days_or_times(each, opened, note))
        else:
            file_column = _with_unit(each.column, opened.columns[each.place], each.recipe.unit, note)
            factor = _factor(each.column, file_column, note)
            if factor is not None or opened.columns[each.place] is not as_found[each.place]:
                turned.add(each.column.name)
            makers.append(_read(each, opened, factor, note))
    return Fitting(tuple(each.column for each in matches), opened, frozenset(turned), tuple(makers))


def _matches(table: Table, opened: Opened, source: ReleasedFile | None, note: Note) -> list[_Match]:
    names = [column.name for column in opened.columns]
    recipes = dict(source.columns) if source else {}
    ignored = {name.lower() for name in source.ignore} if source else set()
    places = _places(names, note)
    unread = {name.lower() for name in opened.unread} - ignored
    used: set[int] = set()
    found = []
    for column in table.columns:
        recipe = recipes.get(column.name, Recipe(column=column.name))
        if recipe.column is None:
            found.append(_Match(column, recipe, None))
            continue
        place = places.get(recipe.column, places.get(recipe.column.lower()))
        if place is None and recipe.column.lower() in unread:
            note(0, f"column {shown(recipe.column)}: cells of its type are not read: leave it out, or write numbers")
        elif place is not None:
            used.add(place)
            if recipe.seconds is not None and recipe.seconds.lower() in places:
                used.add(places[recipe.seconds.lower()])
            found.append(_Match(column, recipe, place))
        elif not column.nullable:
            renamed = "" if recipe.column == column.name else f" (from the file's column {recipe.column})"
            note(0, f"column {column.name} is missing{renamed}{_made_of(table, column, names)}")
    for place, name in enumerate(names):
        if place not in used and name.lower() not in ignored and "*" not in ignored and names.count(name) == 1:
            note(0, _unknown(table, name, recipes))
    return found


def _made_of(table: Table, column: Column, names: Sequence[str]) -> str:
    """Of what else a time that is missing could be made."""
    both = {table.time: table.release.time, table.release.time: table.time}
    other = both.get(column.name)
    if other is None or other not in {name.lower() for name in names}:
        return ""
    return f": --map {other}={column.name} makes it of {other}"


def _apart(table: Table, opened: Opened, matches: list[_Match], explicit: set[str]) -> list[_Match]:
    """The matches with a column of the file for each time; one that counts days and is to be a time goes by a clock."""
    seen: set[int] = set()
    again = []
    for number, each in enumerate(matches):
        if each.place is not None and each.recipe.seconds is None and _is_time(table, each.column):
            if each.place in seen:
                again.append(number)
            seen.add(each.place)
    copies = days.doubled(opened, [matches[number].place or 0 for number in again]) if again else []
    found = list(matches)
    for number, place in zip(again, copies, strict=True):
        found[number] = replace(matches[number], place=place)
    for each in found:
        if each.place is not None and each.column.name in explicit and each.column.xtype == "timestamp":
            opened.columns[each.place] = days.counted(opened.columns[each.place], opened)
    return found


def _days_or_times(matched: _Match, opened: Opened, note: Note) -> _Maker:
    """A time of plain text, written as a date or as an MJD."""
    column, place = matched.column, matched.place
    assert place is not None

    def make(block: Block) -> pa.Array:
        return days.of_text(column, block.columns[place], opened.grammar, Place(column.name, block.lines, note))

    return make


def _used(matches: Sequence[_Match], opened: Opened, source: ReleasedFile | None) -> set[int]:
    """The places of the columns of the file whose cells are asked for."""
    named = (*(source.required if source else ()), *(match.recipe.seconds or "" for match in matches))
    required = {name.lower() for name in named}
    return {match.place for match in matches if match.place is not None} | {
        place for place, column in enumerate(opened.columns) if column.name.lower() in required
    }


def _places(names: Sequence[str], note: Note) -> dict[str, int]:
    """Name → place. Small letters find a name however it is written, unless two differ in nothing else."""
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        if name in names[:place]:
            note(0, f"two columns are called {shown(name)}")
        places.setdefault(name.lower(), place)
    return places | {name: place for place, name in enumerate(names)}


def _unknown(table: Table, name: str, recipes: Mapping[str, Recipe]) -> str:
    known = [column.name for column in table.columns]
    if (recipe := recipes.get(name.lower())) is not None:
        made = f"from {recipe.column}" if recipe.column else "otherwise"
        return f"column {shown(name)} has no use, since {name.lower()} is made {made}: leave it out"
    if name.lower() in known:
        return f"column {shown(name)} is one too many, beside one that is called {name.lower()} as well: leave it out"
    near = get_close_matches(name.lower(), known, 1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"column {shown(name)} does not exist in {table.qualified}{hint}: leave it out, or rename it"


def _coordinates(table: Table, matches: Sequence[_Match]) -> CoordinateColumns:
    """Which columns of the file are published times and positions."""
    times: dict[int, Kind] = {}
    places: dict[str, int] = {}
    for each in matches:
        if each.place is None or each.recipe.seconds is not None:
            continue
        places[each.column.name] = each.place
        if _is_time(table, each.column):
            times[each.place] = "timestamp" if each.column.xtype == "timestamp" else "mjd"
    position = None
    if table.position is not None and {table.position.ra, table.position.dec} <= places.keys():
        position = places[table.position.ra], places[table.position.dec]
    return CoordinateColumns(times, position)


def _is_time(table: Table, column: Column) -> bool:
    return column.xtype == "timestamp" or _is_mjd(table, column)


def _is_mjd(table: Table, column: Column) -> bool:
    """Whether a published column holds times as MJD."""
    named = (column.ucd or "").partition(";")[0] in ("time.epoch", "time.start", "time.end")
    return column.name == table.time or (named and column.datatype == "double" and column.unit == "d")


def _factor(column: Column, read: FileColumn, note: Note) -> float | None:
    """What to multiply a file's values with to have them in the published unit; None for nothing."""
    if read.clock is not None and read.clock.trouble:
        return None  # told already
    wrong = misfit(read.type, column) or _contradiction(read.column.ucd, column.ucd)
    if wrong is not None:
        note(0, f"column {column.name}: {wrong}")
        return None
    if read.clock is not None and not read.clock.is_ours:
        note(0, f"column {column.name}: it holds times in {read.clock}, and the published column holds something else")
    try:
        factor = units.factor(read.column.unit, column.unit)
    except units.UnitMismatch as mismatch:
        note(0, f"column {column.name}: {mismatch}")
        return None
    wanted = column.unit or "a plain number"
    if factor is not None and column.datatype not in ("float", "double"):
        note(0, f"column {column.name}: its unit is {shown(read.column.unit)}: write whole numbers in {wanted}")
        return None
    return factor


def _contradiction(found: str | None, published: str | None) -> str | None:
    """Why a column is another coordinate than the one that is published, by its UCD; None when it is not."""
    words = [(ucd or "").partition(";")[0].strip().lower().replace("_", ".") for ucd in (found, published)]
    if found is None or words[0] == words[1] or not all(word.startswith(_COORDINATES) for word in words):
        return None
    return f"its UCD is {shown(found)}, where there should be {published}"


_COORDINATES = ("pos.eq", "pos.galactic", "pos.ecliptic", "pos.supergalactic", "pos.az", "pos.earth", "pos.cartesian")


def _made(column: Column, recipe: Recipe, first: int, note: Note) -> _Maker:
    """A column that is not in the file: a constant, or text with the number of the row in it."""

    def make(block: Block) -> pa.Array:
        if recipe.line is None:
            cells = pa.repeat(pa.scalar(recipe.value), len(block.lines)).cast(pa.string())
        else:
            numbers = pc.subtract(block.lines, first - 1).to_pylist()
            cells = pa.array([recipe.line.format(line=number) for number in numbers], pa.string())
        return fitted(column, cells, PLAIN, Place(column.name, block.lines, note), _forbidden(column))

    return make


def _with_unit(column: Column, read: FileColumn, unit: str | None, note: Note) -> FileColumn:
    """A column of the file, with its unit as we know it where the file says none."""
    if unit is None:
        return read
    if not (read.column.unit or "").strip():
        return replace(read, column=replace(read.column, unit=unit))
    try:
        same = units.factor(read.column.unit, unit) is None
    except units.UnitMismatch:
        same = False
    if not same:
        note(0, f"column {column.name}: the file says that its unit is {shown(str(read.column.unit))}, and not {unit}")
    return read


def _dated(matched: _Match, opened: Opened, note: Note) -> _Maker:
    """An MJD from a column of dates and one of seconds since the day's begin, or of times of the day."""
    column, place, form = matched.column, matched.place, matched.recipe.date
    names = [one.name for one in opened.columns]
    assert place is not None
    if matched.recipe.seconds not in names:
        note(0, f"column {column.name} is missing (from the file's column {shown(str(matched.recipe.seconds))})")
        return _made(column, Recipe(value=""), opened.first, note)
    second = names.index(matched.recipe.seconds)

    def make(block: Block) -> pa.Array:
        texts = block.columns[place].cast(pa.string())
        dates = pc.strptime(texts, form, "s", error_is_null=True)
        for wrong in np.flatnonzero(pc.and_(dates.is_null(), texts.is_valid()).to_numpy(zero_copy_only=False)).tolist():
            note(
                block.lines[wrong].as_py(),
                f"column {column.name}: {shown(texts[wrong].as_py())} is no date like {_EXAMPLE.strftime(form)}",
            )
        days = pc.divide(dates.cast(pa.int64()).cast(pa.float64()), 86400.0)
        seconds = fitted(
            replace(column, unit="s"),
            _seconds(block.columns[second]),
            opened.grammar,
            Place(column.name, block.lines, note),
            None,
        )
        return pc.add(pc.add(days, 40587.0), pc.divide(seconds.cast(pa.float64()), 86400.0))

    return make


_EXAMPLE = date(2015, 3, 9)
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9](?:\.[0-9]*)?)")


def _seconds(cells: pa.Array) -> pa.Array:
    """Times of the day (hh:mm:ss) as their seconds; other texts stay as they are."""
    if not pa.types.is_string(cells.type):
        return cells
    return pa.array([_since_midnight(text) for text in cells.to_pylist()], pa.string())


def _since_midnight(text: str | None) -> str | None:
    clock = _CLOCK.fullmatch((text or "").strip())
    if clock is None:
        return text
    hours, minutes, seconds = clock.groups()
    return repr(3600 * int(hours) + 60 * int(minutes) + float(seconds))


def _read(matched: _Match, opened: Opened, factor: float | None, note: Note) -> _Maker:
    """A column of the file, in the published unit."""
    column, fold, place, grammar = matched.column, matched.recipe.fold, matched.place, opened.grammar
    assert place is not None
    if factor is not None:
        unit = opened.columns[place].column.unit or matched.recipe.unit
        opened.remarks.append(
            f"column {column.name}: {unit} was turned into {column.unit or 'a plain number'} (times {factor:.10g})"
        )

    def make(block: Block) -> pa.Array:
        cells = block.columns[place]
        if factor is not None:
            cells = _times_factor(cells, factor)
        cells = fitted(column, cells, grammar, Place(column.name, block.lines, note), _forbidden(column), keep_nan=True)
        if fold is not None:
            cells = pc.if_else(pc.fill_null(pc.equal(cells, fold), False), pa.scalar(0, cells.type), cells)
        return cells.cast(arrow_type(column))

    return make


def _forbidden(column: Column) -> Forbidden | None:
    return _FORBIDDEN.get(column.datatype)


def _times_factor(cells: pa.Array, factor: float) -> pa.Array:
    """Numbers, or lists of them, in another unit; in double precision whatever they were."""
    if pa.types.is_fixed_size_list(cells.type):
        cells = cells.cast(pa.list_(cells.type.value_type))
    if pa.types.is_list(cells.type) or pa.types.is_large_list(cells.type):
        counts = pc.fill_null(pc.list_value_length(cells), 0).to_numpy(zero_copy_only=False)
        ends = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        missing = np.append(cells.is_null().to_numpy(zero_copy_only=False), False)
        numbers = _times_factor(cells.flatten(), factor)
        return pa.ListArray.from_arrays(pa.array(ends, mask=missing) if missing.any() else pa.array(ends), numbers)
    return pc.multiply(cells.cast(pa.float64(), safe=False), factor)
