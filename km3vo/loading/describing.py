"""A description of a table, to begin with, from a file of its rows: names, types, units and UCDs, found or guessed.

What is guessed is marked as a guess. Nothing that is loaded by such a description becomes public by itself: its embargo
never ends until somebody writes when, wherever the file has a time that an embargo can count from.
"""

from __future__ import annotations

import re
import shlex
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from km3vo.catalog import metadata
from km3vo.column import Column
from km3vo.errors import SetupError
from km3vo.loading.files import open_file
from km3vo.readers import units
from km3vo.readers.opened import FileColumn, Opened, Options
from km3vo.readers.text.inference import inferred

MOST_ROWS = 500_000  # that are looked at
_WIDTH = 4096  # so that no entry is broken

# What names tell, of words between underscores: the first pattern that is found counts. UCDs are guesses.
_UCDS: tuple[tuple[str, str], ...] = (
    (r"(event_)?(id|key|name)|identifier", "meta.id"),
    (r"ra|raj2000|right_ascension", "pos.eq.ra"),
    (r"dec|decl|de|dej2000|declination", "pos.eq.dec"),
    (r"l|glon", "pos.galactic.lon"),
    (r"b|glat", "pos.galactic.lat"),
    (r"mjd|time|epoch|date", "time.epoch"),
    (r"err|error|sigma|beta|psf|err\d+|r\d+", "stat.error;pos.eq"),
    (r"e|energy", "phys.energy"),
    (r"zenith|theta", "pos.az.zd"),
    (r"azimuth|phi", "pos.az.azi"),
    (r"lik|likelihood|loglik", "stat.likelihood"),
    (r"chi2|chisq", "stat.fit.chi2"),
    (r"quality|score|lambda", "stat.fit.goodness"),
    (r"prob|probability|p|signalness", "stat.probability"),
    (r"n_?(hits|doms|lines|pmts|events|tracks)|hits|multiplicity|count", "meta.number"),
    (r"run", "meta.id;obs"),
    (r"detector|telescope", "meta.id;instr.tel"),
    (r"flag|flags|mask|type|topology", "meta.code"),
    (r"z|redshift", "src.redshift"),
    (r"length|len", "phys.size"),
)
_UNITS = [
    "GeV",
    "TeV",
    "PeV",
    "MeV",
    "keV",
    "deg",
    "rad",
    "arcmin",
    "arcsec",
    "ns",
    "us",
    "ms",
    "s",
    "d",
    "m",
    "km",
    "Hz",
]
_OTHERWISE = {"time": "obs_time", "date": "obs_date", "size": "size_of", "value": "found", "level": "level_of"}
_NUMBERS = ("float", "double", "short", "int", "long")
_POSITION = ("pos.eq.ra", "pos.eq.dec")


@dataclass(slots=True)
class _Described:
    """A column of the description.

    Attributes:
        source: what the file calls it.
        entry: what is written of it.
        guesses: the keys of the entry that are guesses.
        cells: its values, or some of them.
        unit: which unit the file does not say, and the description does; loads have to be told.
    """

    source: str
    entry: dict[str, Any]
    guesses: list[str] = field(default_factory=list)
    cells: pa.ChunkedArray | None = None
    unit: str | None = None

    @property
    def name(self) -> str:
        return str(self.entry["name"])

    @property
    def ucd(self) -> str:
        return str(self.entry.get("ucd", "")).partition(";")[0]

    @property
    def is_complete(self) -> bool:
        return self.cells is not None and self.cells.null_count == 0


def describe(file: Path, name: str, options: Options) -> str:
    """The YAML of a schema with one table, and the commands that publish it and load the file.

    Args:
        file: with rows of the table.
        name: of the table, as "schema.table".
        options: which table of the file is meant.

    Raises:
        SetupError: the table cannot be called so.
        LoadError: the file cannot be read.
    """
    schema, _, table = name.partition(".")
    try:
        metadata.table_name(schema)
        metadata.table_name(table)
    except ValueError as error:
        raise SetupError(f"{name}: {error}; write SCHEMA.TABLE") from None
    opened = open_file(file, None, lambda line, text: None, options)
    try:
        rows, columns = _columns(opened, table)
    finally:
        opened.close()
    entry = _table(columns, table, file.name)
    return "".join(_document(schema, entry, columns, file, rows, opened, options))


# Columns -------------------------------------------------------------------------------------------------------------


def _columns(opened: Opened, table: str) -> tuple[int, list[_Described]]:
    """How many rows were looked at, and the columns."""
    rows = 0
    pieces: list[list[pa.Array]] = [[] for _ in opened.columns]
    for block in opened.blocks:
        rows += len(block.lines)
        for kept, cells in zip(pieces, block.columns, strict=False):
            kept.append(cells)
        if rows >= MOST_ROWS:
            break
    found: list[_Described] = []
    for column, cells in zip(opened.columns, pieces, strict=True):
        whole = pa.chunked_array(cells, column.type)
        found.append(_column(column, whole, table, {one.name for one in found}, comma=opened.grammar.comma))
    return rows, found


def _column(read: FileColumn, cells: pa.ChunkedArray, table: str, taken: set[str], *, comma: bool) -> _Described:
    column, stamped = read.column, False
    if not read.typed and len(cells):
        texts = cells.combine_chunks()
        missing = pc.equal(pc.utf8_trim_whitespace(texts), "")
        column, typed = inferred(column, pc.if_else(missing, None, texts), comma=comma)
        cells = pa.chunked_array([typed])
    elif column.datatype == "char" and column.xtype is None and pa.types.is_string(cells.type) and len(cells):
        # Texts that are times, all of them: what an embargo may count from.
        seen, _ = inferred(column, cells.combine_chunks(), comma=False)
        stamped = seen.xtype == "timestamp"
    entry: dict[str, Any] = {"name": _name(column.name, table, taken), "datatype": column.datatype}
    if column.arraysize:
        entry["arraysize"] = column.arraysize if column.datatype not in ("char", "unicodeChar") else "*"
    if stamped or column.xtype == "timestamp" or pa.types.is_struct(cells.type):
        entry |= {"datatype": "char", "arraysize": "*", "xtype": "timestamp"}
    elif read.clock is not None and column.datatype in _NUMBERS and not column.arraysize:
        entry |= {"datatype": "double", "unit": "d", "ucd": "time.epoch"}  # the reader turns it into MJD
    elif column.datatype == "char" and _is_unicode(cells):
        entry["datatype"] = "unicodeChar"
    described = _Described(column.name, entry, ["xtype"] if stamped else [], cells=cells)
    if "unit" not in entry:
        _add_unit(described, column)
    if "ucd" not in entry:
        _add_ucd(described, column)
    description = " ".join((column.description or "").encode("ascii", "ignore").decode().split())
    entry["description"] = description or f"To be described: {_ascii(column.name)}"
    if not description:
        described.guesses.append("description")
    return described


def _name(name: str, table: str, taken: set[str]) -> str:
    """A name like that of the file that ADQL does not have to quote."""
    words = re.sub(r"[^a-z0-9]+", "_", re.sub(r"[\[(].*?[\])]", "", name.lower()) or name.lower()).strip("_")
    found = words if words[:1].isalpha() else f"c_{words}".rstrip("_")
    found = found[:50]
    try:
        metadata.unreserved(found)
    except ValueError:
        found = _OTHERWISE.get(found, f"{table[:10]}_{found}")
    number, unique = 2, found
    while unique in taken:
        unique, number = f"{found}_{number}", number + 1
    return unique


def _ascii(text: str) -> str:
    return " ".join(text.encode("ascii", "ignore").decode().split()) or "a column"


def _is_unicode(cells: pa.ChunkedArray) -> bool:
    if not pa.types.is_string(cells.type):
        return False
    return bool(pc.any(pc.invert(pc.string_is_ascii(cells))).as_py())


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]


def _add_unit(described: _Described, column: Column) -> None:
    """The unit that the file says, or that the name ends in."""
    if described.entry["datatype"] in ("char", "unicodeChar", "boolean") or described.entry.get("xtype"):
        return
    if column.unit and (unit := _vounit(column.unit)):
        described.entry["unit"] = unit
        return
    brackets = re.search(r"[\[(]\s*(.+?)\s*[\])]", column.name)
    words = [brackets[1]] if brackets else _words(column.name)[-1:]
    by_letters = {unit.lower(): unit for unit in _UNITS}
    unit = next((by_letters[word.lower()] for word in words if word.lower() in by_letters), None)
    if not brackets and len(_words(column.name)) == 1:
        unit = {"mjd": "d", "ra": "deg", "dec": "deg", "decl": "deg", "raj2000": "deg", "dej2000": "deg"}.get(words[0])
    if unit is not None and described.entry["datatype"] in ("float", "double"):
        described.entry["unit"] = described.unit = unit
        described.guesses.append("unit")


def _vounit(text: str) -> str | None:
    """A unit as VOUnits writes it; None when that cannot."""
    parsed = units.parse(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return metadata.unit(text if parsed is None else str(parsed.to_string("vounit"))) if text.strip() else None
        except (ValueError, AttributeError):
            return None


def _add_ucd(described: _Described, column: Column) -> None:
    """The UCD that the file says, or that the name is like."""
    ucd = column.ucd
    if ucd is None:
        words = _words(described.name)
        told = ["_".join(words), *(word for word in words if len(word) > 1)]  # of single letters only whole names
        for pattern, known in _UCDS:
            if any(re.fullmatch(pattern, word) for word in told):
                ucd = known
                described.guesses.append("ucd")
                break
        if described.entry.get("xtype") == "timestamp" and ucd != "time.epoch":
            ucd = "time.epoch"
    try:
        if ucd is not None:
            described.entry["ucd"] = metadata.ucd(ucd)
    except ValueError:
        described.guesses = [key for key in described.guesses if key != "ucd"]


# The table -----------------------------------------------------------------------------------------------------------


def _table(columns: list[_Described], table: str, file: str) -> dict[str, Any]:
    """What is written of the table; marks columns that it relies on as never missing."""
    entry: dict[str, Any] = {
        "name": table,
        "title": f"To be titled: {table}",
        "description": f"Rows like those of {file}.",
    }
    entry["description"] = f"To be described: rows like those of {_ascii(file)}."
    mjd = _first(
        columns,
        lambda one: (
            one.ucd == "time.epoch" and one.entry.get("unit") == "d" and one.entry["datatype"] in ("float", "double")
        ),
    )
    stamp = _first(columns, lambda one: one.entry.get("xtype") == "timestamp")
    if mjd is not None and stamp is None:
        # The same column of the file, as the time that an embargo counts from.
        stamp = _Described(mjd.source, _made("obs_time", columns, mjd))
        columns.insert(columns.index(mjd) + 1, stamp)
    id_ = _id(columns)
    if id_ is not None:
        entry["id"] = id_.name
        id_.entry |= {"ucd": "meta.id;meta.main", "nullable": False, "principal": True}
        position = [_first(columns, lambda one, ucd=ucd: one.ucd == ucd and _varies(one)) for ucd in _POSITION]
        if all(one is not None and one.entry["datatype"] in _NUMBERS for one in position):
            entry["position"] = _position(columns, [one for one in position if one], id_)
    if mjd is not None:
        entry["time"] = mjd.name
        mjd.entry |= {"datatype": "double", "nullable": False, "principal": True}
    if stamp is not None and id_ is not None:
        stamp.entry["nullable"] = False
        entry["release"] = {"stream": table, "latency": "never", "time": stamp.name}
    return entry


def _first(columns: Sequence[_Described], test: Any) -> _Described | None:
    return next((one for one in columns if test(one)), None)


def _varies(one: _Described) -> bool:
    """Whether a column of numbers has more than one: what was not measured is the same in every row."""
    if one.cells is None or len(one.cells) < 2 or one.entry.get("arraysize"):
        return not one.entry.get("arraysize")
    return bool(pc.count_distinct(one.cells).as_py() > 1)


def _made(name: str, columns: list[_Described], mjd: _Described) -> dict[str, Any]:
    taken = {one.name for one in columns}
    return {
        "name": name if name not in taken else _name(name, "t", taken),
        "datatype": "char",
        "arraysize": "*",
        "xtype": "timestamp",
        "ucd": "time.epoch",
        "description": f"Time (UTC), as {mjd.name}",
    }


def _id(columns: list[_Described]) -> _Described | None:
    """The column that tells rows apart: never missing, never twice, and called like one if there are several."""
    fitting = [
        one
        for one in columns
        if one.cells is not None
        and one.entry["datatype"] in ("char", "unicodeChar", "short", "int", "long")
        and not one.entry.get("xtype")
        and not pa.types.is_list(one.cells.type)
        and not pa.types.is_fixed_size_list(one.cells.type)
        and one.is_complete
        and len(one.cells)
        and pc.count_distinct(one.cells).as_py() == len(one.cells)
    ]
    # Texts first: numbers that are counted up would show by their gaps how many events are under embargo.
    fitting.sort(key=lambda one: one.entry["datatype"] not in ("char", "unicodeChar"))
    named = _first(fitting, lambda one: one.ucd == "meta.id")
    return named or _first(fitting, lambda one: one.entry["datatype"] in ("char", "unicodeChar"))


def _position(columns: list[_Described], axes: list[_Described], id_: _Described) -> dict[str, Any]:
    id_.entry |= {"datatype": "char", "arraysize": "*"}  # Simple Cone Search 1.03 §2: ID_MAIN is a string
    id_.entry.pop("unit", None)
    for one in axes:
        one.entry |= {"datatype": "double", "unit": "deg", "ucd": f"{one.ucd};meta.main"}
        one.entry |= {"nullable": False, "principal": True}
    found: dict[str, Any] = {"ra": axes[0].name, "dec": axes[1].name}
    error = _first(columns, lambda one: one.ucd == "stat.error" and one.entry.get("unit") in ("deg", "arcmin", "rad"))
    if error is not None and error.entry["datatype"] in ("float", "double") and not error.entry.get("arraysize"):
        error.entry["unit"] = "deg"
        found["error"] = error.name
    return found


# The document --------------------------------------------------------------------------------------------------------


def _document(
    schema: str,
    entry: dict[str, Any],
    columns: list[_Described],
    file: Path,
    rows: int,
    opened: Opened,
    options: Options,
) -> Iterator[str]:
    named = f"{schema}.{entry['name']}"
    first = "the first " if rows >= MOST_ROWS else ""
    yield f"# Made by `km3vo describe` from {first}{rows} rows of {_ascii(file.name)}. Guesses say that they are;\n"
    yield f"# titles and descriptions are yours to write (docs/tables.md). Save it as schemas/{schema}.yaml, then:\n"
    yield "#   km3vo publish\n"
    yield f"#   {_command(named, columns, file, options)}\n"
    for remark in opened.remarks:
        yield f"# {_ascii(remark)}\n"
    if "release" not in entry:
        yield "# ROWS ARE PUBLIC AT ONCE: an embargo needs a column with times, and one that tells all rows apart.\n"
    yield _dumped({"schema": schema, "title": f"To be titled: {schema}", "description": f"To be described: {schema}."})
    yield "\ntables:\n"
    for number, (key, value) in enumerate(entry.items()):
        text = _flow(value) if isinstance(value, dict) else _dumped(value).removesuffix("...\n").strip()
        yield f"  {'- ' if not number else '  '}{key}: {text}{_about(key)}\n"
    yield "    citation: {publisher: KM3NeT}\n    columns:\n"
    for column in columns:
        guess = f"  # guess: {', '.join(column.guesses)}" if set(column.guesses) - {"description"} else ""
        yield f"      - {_flow(column.entry)}{guess}\n"


def _about(key: str) -> str:
    if key == "release":
        return "  # never, until you write when: P2Y, P18M, immediate"
    return ""


def _dumped(value: Any) -> str:
    return str(yaml.safe_dump(value, sort_keys=False, width=_WIDTH))


def _flow(value: dict[str, Any]) -> str:
    return str(yaml.safe_dump(value, sort_keys=False, width=_WIDTH, default_flow_style=True)).strip()


def _command(named: str, columns: list[_Described], file: Path, options: Options) -> str:
    """The command that loads the file."""
    words = ["km3vo", "load", named, str(file)]
    if options.table is not None:
        words += ["--table", options.table]
    for one in columns:
        if one.source.lower() != one.name:
            words += ["--map", f"{one.source}={one.name}"]
        if one.unit not in (None, one.entry.get("unit")):
            words += ["--unit", f"{one.source}={one.unit}"]
    return shlex.join(words)
