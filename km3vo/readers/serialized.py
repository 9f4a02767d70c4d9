"""Columns that astropy wrote in several parts: times, sky coordinates, quantities, masks.

ECSV, Parquet and FITS files of astropy describe them in YAML, as ``__serialized_columns__`` of a table's metadata.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from km3vo.column import Column
from km3vo.errors import ReadError
from km3vo.readers import units
from km3vo.readers.arrays import lists
from km3vo.readers.clocks import MJD, PAIR, Clock, clock_of, timesys
from km3vo.readers.frames import Frame, frame_of, of_equinox
from km3vo.readers.mistakes import named, shown
from km3vo.readers.opened import Block, FileColumn, Opened
from km3vo.results import views

HEADER = 2 * 2**20  # bytes of the longest description
_KEY = "__serialized_columns__"
_PLAIN = ("Column", "MaskedColumn", "MaskedNDArray", "Quantity", "Angle", "Latitude", "Longitude", "Distance")

# What numbers of a Time count from: Julian date in two parts, length in days; and their scale where it is fixed.
_FORMATS: dict[str, tuple[tuple[float, float], float, str | None]] = {
    "mjd": ((MJD, 0.0), 1.0, None),
    "jd": ((0.0, 0.0), 1.0, None),
    "unix": ((2_440_587.5, 0.0), 1 / 86400, "UTC"),
    "gps": ((2_444_244.5, 19 / 86400), 1 / 86400, "TAI"),
    "cxcsec": ((2_450_814.5, 0.0), 1 / 86400, "TT"),
}
ABOUT = ("unit", "ucd", "utype", "xtype", "description")
_TEXTS = ("iso", "isot", "fits", "datetime64")


class _Loader(yaml.SafeLoader):
    """YAML whose plain scalars stay text and whose tags are kept aside: nothing of it is made into objects."""

    # Not 1e5 for a column of that name, nor False for one called "no".
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  (it replaces the one of the class above)


def _any(loader: Any, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)


_Loader.add_multi_constructor("!", _any)
_Loader.add_multi_constructor("tag:yaml.org,2002:python/", _any)


def parse(text: str) -> dict[str, Any]:
    """A description in YAML; every scalar is text.

    Raises:
        ReadError: it is too long, or not YAML with keys and values.
    """
    if len(text) > HEADER:
        raise ReadError(f"its description in YAML has more than {HEADER} characters")
    try:
        found = yaml.load(text, _Loader)
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        raise ReadError(f"its description is not YAML: {' '.join(str(error).split())[:100]}") from None
    return as_dict(found)


def as_dict(value: Any) -> dict[str, Any]:
    """A mapping, or a list of pairs (YAML's omap), as a dict; anything else as an empty one."""
    if isinstance(value, list):
        pairs = [pair if isinstance(pair, tuple) else next(iter(pair.items()), None) for pair in value if pair]
        value = dict(pair for pair in pairs if pair)
    return {str(key): each for key, each in value.items()} if isinstance(value, dict) else {}


def described(opened: Opened, text: str) -> dict[str, Any]:
    """Take what astropy says in YAML about a file's columns; returns the table's own metadata.

    Raises:
        ReadError: it is not YAML, or contradicts what is known.
    """
    found = parse(text)
    entries = found.get("datatype")
    by_name: dict[str, dict[str, Any]] = {}
    for each in entries if isinstance(entries, list) else []:
        entry = as_dict(each)
        by_name[str(entry.get("name"))] = entry
    columns = []
    for column in opened.columns:
        entry = by_name.get(column.name, {})
        more = as_dict(entry.get("meta"))
        said = {"description": str(entry["description"])} if entry.get("description") else {}
        said |= {"unit": unit} if (unit := unit_of(entry)) else {}
        said |= {key: str(more[key]) for key in ("ucd", "utype", "xtype") if more.get(key)}
        columns.append(in_systems(replace(column, column=agreed(column.column, said)), more))
    opened.columns = columns
    return as_dict(found.get("meta"))


def about(column: Column) -> dict[str, str]:
    """What is said about a column besides its type."""
    return {key: value for key in ABOUT if (value := getattr(column, key))}


def agreed(column: Column, said: dict[str, str]) -> Column:
    """A column with more that is said about it.

    Raises:
        ReadError: it contradicts what is known.
    """
    # Two standards may write a unit differently: mas yr-1, and mas / yr.
    other = said.get("unit")
    if column.unit and other and column.unit != other and units.parse(column.unit) != units.parse(other):
        raise contradiction(column.name, column.unit, other)
    more: dict[str, Any] = {key: value for key, value in said.items() if not getattr(column, key)}
    return replace(column, **more)


def contradiction(name: str, unit: str, other: str) -> ReadError:
    """A column that has two units."""
    return ReadError(
        f"column {named(name)} has the unit {shown(unit)} in one place of the file and {shown(other)} in another"
    )


def unit_of(entry: Mapping[str, Any]) -> str | None:
    """The unit of a column: plain text, or as astropy tags it where it is written in full."""
    unit = entry.get("unit")
    return str(as_dict(unit).get("unit", "") if isinstance(unit, dict | list) else unit or "") or None


def in_systems(column: FileColumn, said: Mapping[str, Any]) -> FileColumn:
    """A column with the clock and the frame that ECSV, Arrow and Parquet of ours name beside it (results.systems)."""
    words = {str(key): str(value) for key, value in said.items() if value is not None}
    if words.get("timeorigin"):
        words.setdefault("timescale", "UTC")
    clock = timesys(words, column.column) if words.get("timescale") else column.clock
    frame = column.frame
    if words.get("frame"):
        frame = frame_of(words["frame"], words.get("equinox"))
    elif words.get("equinox"):
        frame = of_equinox(words["equinox"])
    return replace(column, clock=clock, frame=frame)


@dataclass(frozen=True, slots=True)
class _Part:
    """A column of the file that is one part of a column: its name, that of its mask, and its unit."""

    name: str
    mask: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class _Whole:
    """A column made of columns of the file."""

    column: FileColumn
    parts: tuple[int, ...]
    masks: tuple[int, ...] = ()


def merged(opened: Opened, meta: dict[str, Any]) -> Opened:
    """The file with columns instead of their parts.

    Raises:
        ReadError: a column is of a class that is not supported.
    """
    described = as_dict(meta.get(_KEY))
    if not described:
        return opened
    names = [column.name for column in opened.columns]
    wholes: dict[int, _Whole] = {}
    used: set[int] = set()
    for name, entry in described.items():
        for whole in _wholes(name, as_dict(entry), opened.columns, names):
            wholes[whole.parts[0]] = whole
            used |= {*whole.parts, *whole.masks}
    plan = [
        wholes.get(place) or _Whole(column, (place,))
        for place, column in enumerate(opened.columns)
        if place in wholes or place not in used
    ]
    opened.columns = _renamed([whole.column for whole in plan])
    opened.blocks = _merged(opened.blocks, plan)
    return opened


def _merged(blocks: Iterator[Block], plan: Sequence[_Whole]) -> Iterator[Block]:
    for block in blocks:
        yield Block([_cells(whole, block) for whole in plan], block.lines)


def _cells(whole: _Whole, block: Block) -> pa.Array:
    cells = [block.columns[part] for part in whole.parts]
    found = cells[0]
    if len(cells) == 2:  # FITS has both parts in one column already
        found = pa.StructArray.from_arrays([each.cast(pa.float64()) for each in cells], names=["jd1", "jd2"])
    for mask in whole.masks:
        found = _masked(found, block.columns[mask])
    return found


def _masked(cells: pa.Array, mask: pa.Array) -> pa.Array:
    """Cells without those that a mask names; one of several numbers may have a mask for each."""
    if pa.types.is_boolean(mask.type):
        return pc.if_else(pc.fill_null(mask, False), None, cells)
    there = cells.is_valid()
    counts = views.lengths(_as_lists(cells))
    flags = _as_lists(mask).filter(there).flatten()
    items = cells.flatten()
    if len(flags) != len(items):
        raise ReadError("a column and its mask have different shapes")
    items = pc.if_else(pc.fill_null(flags.cast(pa.bool_()), False), None, items)
    return lists(items, counts, ~there.to_numpy(zero_copy_only=False))


def _as_lists(cells: pa.Array) -> pa.Array:
    return cells.cast(pa.list_(cells.type.value_type)) if pa.types.is_fixed_size_list(cells.type) else cells


def _renamed(columns: list[FileColumn]) -> list[FileColumn]:
    """Parts of sky coordinates under their own names, where these are free: ra instead of coord.ra."""
    names = [column.name for column in columns]
    found = []
    for column in columns:
        last = column.name.rpartition(".")[2]
        free = column.frame is not None and names.count(last) == 0
        free &= sum(name.endswith("." + last) for name in names) == 1
        found.append(replace(column, column=replace(column.column, name=last)) if free else column)
    return found


def _wholes(name: str, entry: dict[str, Any], columns: Sequence[FileColumn], names: list[str]) -> Iterator[_Whole]:
    kind = _kind(entry)
    if kind == "Time":
        yield _time(name, entry, columns, names)
    elif kind == "TimeDelta" and "value" in entry:
        whole = _plain(name, _part(entry["value"], name), columns, names)
        unit = {"sec": "s", "jd": "d"}.get(str(entry.get("format")))
        yield replace(whole, column=replace(whole.column, column=replace(whole.column.column, unit=unit)))
    elif kind == "SkyCoord":
        yield from _sky(name, entry, columns, names)
    elif kind in _PLAIN:
        yield _plain(name, _part(entry, name), columns, names)
    else:
        raise ReadError(f"column {named(name)} is of the class {shown(kind)}, which is not supported: leave it out")


def _kind(entry: dict[str, Any]) -> str:
    return str(entry.get("__class__", "Column")).rpartition(".")[2]


def _part(value: Any, name: str, unit: str | None = None) -> _Part:
    """The column of the file behind a description."""
    entry = as_dict(value)
    if "unit" in entry:
        unit = str(as_dict(entry["unit"]).get("unit", "")) or unit
    if "name" in entry and "__class__" not in entry:
        return _Part(str(entry["name"]), None, unit)
    inner = entry.get("value", entry.get("data"))
    if _kind(entry) not in _PLAIN or inner is None:
        raise ReadError(f"column {named(name)} is described in a way that is not supported: leave it out")
    part = _part(inner, name, unit)
    mask = as_dict(entry.get("mask")).get("name", part.mask)
    return replace(part, mask=None if mask is None else str(mask))


def _plain(name: str, part: _Part, columns: Sequence[FileColumn], names: list[str]) -> _Whole:
    place = _place(part.name, names, name)
    column = columns[place]
    described = replace(column.column, name=name, unit=part.unit or column.column.unit)
    masks = () if part.mask is None else (_place(part.mask, names, name),)
    return _Whole(replace(column, column=described), (place,), masks)


def _place(part: str, names: list[str], name: str) -> int:
    if part not in names:
        raise ReadError(f"column {named(name)} is described as made of {shown(part)}, which is not there")
    return names.index(part)


def _time(name: str, entry: dict[str, Any], columns: Sequence[FileColumn], names: list[str]) -> _Whole:
    scale = str(entry.get("scale", ""))
    if "jd1" in entry and "jd2" in entry:
        first, second = _part(entry["jd1"], name), _part(entry["jd2"], name)
        whole = _plain(name, first, columns, names)
        clock = clock_of(scale, "", (0.0, 0.0))
        column = replace(whole.column.column, datatype="double", arraysize=None, unit="d")
        masks = whole.masks if second.mask is None else (*whole.masks, _place(second.mask, names, name))
        return _Whole(FileColumn(column, PAIR, clock=clock), (*whole.parts, _place(second.name, names, name)), masks)
    whole = _plain(name, _part(entry.get("value"), name), columns, names)
    form = str(entry.get("format", ""))
    if form in _TEXTS:
        clock = clock_of(scale, "")
        column = replace(whole.column.column, xtype="timestamp")
        return replace(whole, column=replace(whole.column, column=column, clock=clock))
    if form in _FORMATS:
        origin, days, fixed = _FORMATS[form]
        clock = clock_of(fixed or scale, "", origin, days)
    else:
        clock = Clock(trouble=f"its times are in the format {shown(form)} of astropy, which is not supported")
    return replace(whole, column=replace(whole.column, clock=clock))


def _sky(name: str, entry: dict[str, Any], columns: Sequence[FileColumn], names: list[str]) -> Iterator[_Whole]:
    if str(entry.get("representation_type", "spherical")) not in ("spherical", "unitspherical"):
        raise ReadError(f"column {named(name)} holds coordinates that are no angles, which are not supported")
    frame = _frame(entry)
    for axis, ucd in _AXES.items():
        if axis in entry:
            whole = _plain(f"{name}.{axis}", _part(entry[axis], name), columns, names)
            column = whole.column.column
            yield replace(
                whole, column=replace(whole.column, frame=frame, column=replace(column, ucd=column.ucd or ucd))
            )


_AXES = {
    "ra": "pos.eq.ra", "dec": "pos.eq.dec", "l": "pos.galactic.lon", "b": "pos.galactic.lat",
    "lon": None, "lat": None, "sgl": None, "sgb": None, "distance": None,
}  # fmt: skip


def _frame(entry: dict[str, Any]) -> Frame:
    system = str(entry.get("frame", ""))
    letter = "B" if system.startswith("fk4") else "J"
    return frame_of(system, _year(entry.get("equinox"), letter), _year(entry.get("obstime"), letter))


def _year(value: Any, letter: str) -> str | None:
    """A time of astropy as a year: Julian or Besselian."""
    entry = as_dict(value)
    try:
        day = float(entry["jd1"]) + float(entry["jd2"])
    except (KeyError, ValueError, TypeError):
        return None if value is None else str(value)
    years = 1900 + (day - 2_415_020.31352) / 365.242198781 if letter == "B" else 2000 + (day - 2_451_545.0) / 365.25
    return f"{letter}{years:.6f}".rstrip("0").rstrip(".")
