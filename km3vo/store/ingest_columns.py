"""From the columns of a file to those of a published table: names matched, cells read as what they should be.

A cell that cannot be read as its column's type is a mistake with a line and a value. Whether values make sense is
decided later, in the database (ingest_rules).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import pyarrow as pa
import pyarrow.compute as pc

from km3vo.catalog.model import Column, Recipe, Source, Table
from km3vo.results.stream import arrow_type
from km3vo.store.ingest_files import Block, Note, Opened
from km3vo.store.ingest_mistakes import shown

# What a text may not hold. VOTable's char is ASCII for its readers, and XML has no control characters.
_FORBIDDEN = {"char": r"[^ -~]", "unicodeChar": r"[\x00-\x1f\x7f]"}


@dataclass(slots=True)
class Fitting:
    """How each published column is made from the columns of one file.

    Attributes:
        columns: the published columns that the file has; those that may be missing can be absent.
    """

    columns: tuple[Column, ...]
    makers: tuple[Callable[[Block, Note], pa.Array], ...]

    def fit(self, block: Block, note: Note) -> pa.RecordBatch:
        """A block of the file as a batch of the published columns; bad cells are noted and left empty."""
        arrays = [make(block, note) for make in self.makers]
        return pa.RecordBatch.from_arrays(arrays, names=[column.sql for column in self.columns])


def match(table: Table, opened: Opened, source: Source | None, note: Note) -> Fitting:
    """Match the names of a file's columns with those of a table; what does not match is noted."""
    recipes = dict(source.columns) if source else {}
    ignored = set(source.ignore) if source else set()
    places = _places(opened.names, note)
    used: set[int] = set()
    columns, makers = [], []
    for column in table.columns:
        recipe = recipes.get(column.name, Recipe(column=column.name))
        if recipe.column is None:
            columns.append(column)
            makers.append(_made(column, recipe, opened.first))
            continue
        place = places.get(recipe.column, places.get(recipe.column.lower()))
        if place is not None:
            used.add(place)
            columns.append(column)
            factor = _factor(column, opened.units.get(opened.names[place]), note)
            makers.append(_read(column, recipe, place, factor))
        elif not column.nullable:
            renamed = "" if recipe.column == column.name else f" (from the file's column {recipe.column})"
            note(0, f"column {column.name} is missing{renamed}")
    for place, name in enumerate(opened.names):
        if place not in used and name not in ignored:
            note(0, _unknown(table, name))
    return Fitting(tuple(columns), tuple(makers))


def _places(names: Sequence[str], note: Note) -> dict[str, int]:
    """Name → place. Small letters find a name however it is written, unless two differ in nothing else."""
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        if name in names[:place]:
            note(0, f"two columns are called {shown(name)}")
        places.setdefault(name.lower(), place)
    return places | {name: place for place, name in enumerate(names)}


def _unknown(table: Table, name: str) -> str:
    known = [column.name for column in table.columns]
    near = get_close_matches(name.lower(), known, 1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"column {shown(name)} does not exist in {table.qualified}{hint}: leave it out, or rename it"


def _made(column: Column, recipe: Recipe, first: int) -> Callable[[Block, Note], pa.Array]:
    """A column that is not in the file: a constant, or text with the number of the row in it."""

    def make(block: Block, note: Note) -> pa.Array:
        if recipe.line is None:
            cells = pa.repeat(pa.scalar(recipe.value), len(block.lines))
        else:
            numbers = pc.subtract(block.lines, first - 1).to_pylist()
            cells = pa.array([recipe.line.format(line=number) for number in numbers], pa.string())
        return _cells(column, cells, block.lines, note)

    return make


def _read(column: Column, recipe: Recipe, place: int, factor: float | None) -> Callable[[Block, Note], pa.Array]:
    """A column of the file, in the published unit."""

    def make(block: Block, note: Note) -> pa.Array:
        cells = _cells(column, block.columns[place], block.lines, note)
        if recipe.fold is not None:
            cells = pc.if_else(pc.fill_null(pc.equal(cells, recipe.fold), False), pa.scalar(0, cells.type), cells)
        return cells if factor is None else pc.cast(pc.multiply(cells, factor), cells.type)

    return make


def _factor(column: Column, unit: str | None, note: Note) -> float | None:
    """What to multiply a file's values with to have them in the published unit; None for nothing."""
    if unit is None or column.unit in (None, unit):
        return None
    from astropy.units import Unit

    try:
        factor = float(Unit(unit).to(Unit(column.unit, format="vounit")))
    except (ValueError, TypeError):  # no unit, or one of something else
        note(0, f"column {column.name}: its unit is {shown(unit)}, which cannot be turned into {column.unit}")
        return None
    if factor != 1 and column.datatype not in ("float", "double"):
        note(0, f"column {column.name}: its unit is {shown(unit)}: write whole numbers in {column.unit}")
    return None if factor == 1 else factor


def _cells(column: Column, cells: pa.Array, lines: pa.Array, note: Note) -> pa.Array:
    """Cells as the Arrow type of their column."""
    wanted = arrow_type(column)
    try:
        return _cast(column, cells, wanted)
    except (pa.ArrowException, ValueError):
        return _one_by_one(column, cells, lines, wanted, note)


def _cast(column: Column, cells: pa.Array, wanted: pa.DataType) -> pa.Array:
    if pa.types.is_binary(cells.type):
        cells = pc.cast(cells, pa.string())  # raises on what is not UTF-8
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    if pa.types.is_timestamp(wanted):
        return _times(cells, wanted)
    if pa.types.is_string(wanted):
        cells = pc.cast(cells, wanted)
        if pc.any(pc.match_substring_regex(cells, _FORBIDDEN[column.datatype])).as_py():
            raise ValueError
        return cells
    if pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
        cells = pc.utf8_trim_whitespace(cells)
        if pa.types.is_list(wanted):
            cells = pc.utf8_split_whitespace(cells)
    return pc.cast(cells, wanted)


def _times(cells: pa.Array, wanted: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(cells.type):
        return pc.cast(pc.cast(cells, pa.timestamp(cells.type.unit)), wanted, safe=False)  # fractions of microseconds
    if not (pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)):
        raise ValueError
    # DALI 1.1 §3.3.3 lets times end in Z; all are UTC. Arrow wants times without zone to show none.
    trimmed = pc.replace_substring_regex(pc.utf8_trim_whitespace(cells), r"Z$", "")
    return pc.cast(trimmed, wanted)


def _one_by_one(column: Column, cells: pa.Array, lines: pa.Array, wanted: pa.DataType, note: Note) -> pa.Array:
    """The same for each cell alone, so that the bad ones can be named."""
    good = []
    for cell, line in zip(cells, lines, strict=True):
        try:
            good.append(_cast(column, pa.array([cell.as_py()], cells.type), wanted)[0].as_py())
        except (pa.ArrowException, ValueError):
            note(line.as_py(), f"column {column.name}: {shown(cell.as_py())} is not {_what(column, wanted)}")
            good.append(None)
    return pa.array(good, wanted)


def _what(column: Column, wanted: pa.DataType) -> str:
    if pa.types.is_timestamp(wanted):
        return "a time in UTC like 2025-03-01T12:00:00.5"
    if pa.types.is_string(wanted):
        return "plain ASCII text" if column.datatype == "char" else "text without control characters"
    if pa.types.is_list(wanted):
        return "a list of numbers with blanks between them"
    if pa.types.is_boolean(wanted):
        return "true or false"
    if pa.types.is_integer(wanted):
        return f"a whole number of {wanted.bit_width} bits"
    return "a number"
