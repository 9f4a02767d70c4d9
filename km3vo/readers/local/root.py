"""ROOT files: trees of numbers, and KM3NeT's offline events and summaries (DST), whose branches have a meaning.

A branch is a column, called as in the tree: ``run_id`` of ``Evt/run_id``, ``trks.E`` of ``Evt/trks/trks.E``,
``coords.mjd`` of ``coords/mjd``. Of branches with a list for each event ``trks.E[0]`` is its first element: of tracks
the best one. Only what is loaded is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import awkward
import numpy as np
import pyarrow as pa
import uproot
from uproot.interpretation.jagged import AsJagged
from uproot.interpretation.numerical import AsDtype
from uproot.interpretation.strings import AsStrings

from km3vo.errors import ReadError
from km3vo.readers.arrays import lists
from km3vo.readers.choose import Candidate, choose
from km3vo.readers.clocks import Clock
from km3vo.readers.content import Content, kept_open
from km3vo.readers.local import arrow
from km3vo.readers.mistakes import Note, Place
from km3vo.readers.opened import ROWS, Block, FileColumn, Opened, Options, RowsRead
from km3vo.readers.texts import as_text

_EVENTS, _SUMMARY = "E", "T"  # KM3NeT's trees, side by side in a DST
_CONTAINERS = ("Evt", "AAObject", "TObject")  # of branches, which say nothing
# What KM3NeT's trees have beside events: hits, thousands for each, and what ROOT needs for its objects.
_HITS = ("hits.", "mc_hits.")
_OF_OBJECTS = ("fUniqueID", "fBits")
_FEW_ROWS = 2048  # of a block with lists

# Units of KM3NeT's branches, which files do not say.
_UNITS = {"coords.": "rad", "trks.E": "GeV", "coords.mjd": "d"}
_ABSENT = -999.0  # what coordinates are where a fit did not succeed
# What makes an event of KM3NeT's data acquisition, for columns that are computed.
_SECONDS, _NANOSECONDS = "t.fSec", "t.fNanoSec"
_KEY = ("det_id", "run_id", "frame_index", "trigger_counter")
_UNIX_EPOCH = 40_587  # MJD

# Cells of a column from a first to before a last row, with their lines.
_Read = Callable[[int, int, pa.Array], pa.Array]
_FAULTS = (Exception,)  # uproot raises whatever a wrong byte leads to


@dataclass(frozen=True, slots=True)
class _Source:
    column: FileColumn
    read: _Read


def open_root(content: Content, note: Note, options: Options) -> Opened:
    """Open a tree of a ROOT file.

    Raises:
        ReadError: it is damaged, or has no tree that can be read.
    """
    with arrow.explained("ROOT", *_FAULTS), kept_open(content) as (plain, close):
        trees = _trees(uproot.open(plain))
        both = _SUMMARY in trees and _EVENTS in trees
        meant = _SUMMARY if both else _EVENTS
        candidates = [Candidate(place, place + 1, (name,), name == meant) for place, name in enumerate(trees)]
        name = list(trees)[choose(candidates, options.table, "the ROOT file").place]
        size, branches = trees[name].num_entries, _branches(trees[name])
        if both and name == _SUMMARY:
            if trees[_EVENTS].num_entries != size:
                raise ReadError("its trees E and T have different numbers of events")
            branches = _branches(trees[_EVENTS]) | branches
        sources = list(_sources(branches, note))
        if not sources:
            raise ReadError("its tree has no branch of a type that is read")
        progress, chosen = RowsRead(), set(range(len(sources)))
        columns = [source.column for source in sources]
        opened = Opened(columns, _blocks(sources, chosen, size, progress), "row", 1, progress.done, size)
        opened.unread = sorted(branches.keys() - {column.name for column in columns})
        opened.want, opened.close = chosen.intersection_update, close
        return opened


def _trees(file: Any) -> dict[str, Any]:
    """The trees with events, by their names; of several cycles the last."""
    found: dict[str, Any] = {}
    for name in file.keys(cycle=False, filter_classname="TTree"):
        tree = file[name]
        if tree.num_entries or name in (_EVENTS, _SUMMARY):
            found.setdefault(name, tree)
    if not found and file.keys(filter_classname="ROOT::RNTuple"):
        raise ReadError("it holds RNTuples, which are not read: write its events as a TTree")
    return found


def _branches(tree: Any) -> dict[str, Any]:
    """The branches with values, by the names of their columns; the first of a name counts."""
    found: dict[str, Any] = {}
    for path, branch in tree.iteritems(recursive=True):
        name = _name(path)
        if len(branch.branches) == 0 and not name.startswith(_HITS) and not name.endswith(_OF_OBJECTS):
            found.setdefault(name, branch)
    return found


def _name(path: str) -> str:
    """What a column is called: without containers, and without the part that the next one repeats."""
    parts = [part.rstrip(".") for part in path.split("/") if part.rstrip(".") not in _CONTAINERS]
    name = ""
    for part in parts:
        name = part if not name or part.startswith(f"{name}.") else f"{name}.{part}"
    return name


def _sources(branches: dict[str, Any], note: Note) -> Iterator[_Source]:
    number = 0
    for name, branch in branches.items():
        for column, read in _of_branch(name, branch, note):
            number += 1
            yield _Source(FileColumn(arrow.described(number=number, **column), read[0]), read[1])
    if {_SECONDS, _NANOSECONDS} <= branches.keys():
        seconds, nanoseconds = branches[_SECONDS], branches[_NANOSECONDS]
        described = arrow.described("event_time", number + 1, "char", "*", xtype="timestamp")
        yield _Source(
            FileColumn(described, pa.timestamp("ns"), clock=Clock()),
            lambda start, stop, lines: _times(seconds, nanoseconds, start, stop),
        )
        described = arrow.described("event_mjd", number + 2, "double", unit="d")
        yield _Source(
            FileColumn(described, pa.float64()), lambda start, stop, lines: _mjd(seconds, nanoseconds, start, stop)
        )
    if set(_KEY) <= branches.keys():
        parts = [branches[name] for name in _KEY]
        yield _Source(
            FileColumn(arrow.described("event_key", number + 3, "char", "*"), pa.string()),
            lambda start, stop, lines: _keys(parts, start, stop),
        )


def _of_branch(name: str, branch: Any, note: Note) -> Iterator[tuple[dict[str, Any], tuple[pa.DataType, _Read]]]:
    """The columns of a branch: how each is described, its type, and how it is read. None for what is not supported."""
    kind = branch.interpretation
    about = {"name": name, "unit": _unit(name)}
    if isinstance(kind, AsStrings):
        yield (
            about | {"kind": "char", "arraysize": "*"},
            (pa.string(), lambda start, stop, lines: _texts(branch, start, stop, Place(name, lines, note))),
        )
    elif isinstance(kind, AsDtype) and type(kind) is AsDtype:
        base, shape = kind.to_dtype.base, kind.to_dtype.shape
        datatype = arrow.datatype(base)
        if datatype is None or (shape and datatype == "boolean"):
            return
        cell, count = arrow.arrow_type(base), int(np.prod(shape)) if shape else None
        read: _Read = lambda start, stop, lines: _numbers(branch, name, start, stop)  # noqa: E731
        arraysize = None if count is None else str(count)
        yield (
            about | {"kind": datatype, "arraysize": arraysize},
            (cell if count is None else pa.list_(cell, count), read),
        )
    elif isinstance(kind, AsJagged) and type(kind.content) is AsDtype and not kind.content.to_dtype.shape:
        datatype = arrow.datatype(kind.content.to_dtype)
        if datatype is None or datatype == "boolean":
            return
        cell = arrow.arrow_type(kind.content.to_dtype)
        yield (
            about | {"kind": datatype, "arraysize": "*"},
            (pa.list_(cell), lambda start, stop, lines: _lists(branch, start, stop)),
        )
        yield (
            about | {"name": f"{name}[0]", "kind": datatype},
            (cell, lambda start, stop, lines: _first(branch, cell, start, stop)),
        )


def _unit(name: str) -> str | None:
    return next((_UNITS[known] for known in sorted(_UNITS, key=len, reverse=True) if name.startswith(known)), None)


# Rows ----------------------------------------------------------------------------------------------------------------


def _blocks(sources: list[_Source], chosen: set[int], size: int, progress: RowsRead) -> Iterator[Block]:
    has_lists = any(pa.types.is_list(sources[place].column.type) for place in chosen)
    step = _FEW_ROWS if has_lists else ROWS
    for start in range(0, size, step):
        stop = min(size, start + step)
        lines = pa.array(np.arange(start + 1, stop + 1))
        with arrow.explained("ROOT", *_FAULTS):
            cells = [
                source.read(start, stop, lines) if place in chosen else pa.nulls(stop - start, source.column.type)
                for place, source in enumerate(sources)
            ]
        progress.rows = stop
        yield Block(cells, lines)


def _values(branch: Any, start: int, stop: int) -> Any:
    return branch.array(entry_start=start, entry_stop=stop, library="np")


def _numbers(branch: Any, name: str, start: int, stop: int) -> pa.Array:
    cells = _values(branch, start, stop)
    if name.startswith("coords.") and cells.dtype.kind == "f" and cells.ndim == 1:
        return pa.array(arrow.native(cells), mask=cells == _ABSENT)
    return arrow.rows(cells)


def _texts(branch: Any, start: int, stop: int, place: Place) -> pa.Array:
    cells = [text.encode("utf-8", "surrogateescape") for text in _values(branch, start, stop).tolist()]
    return as_text(pa.array(cells, pa.binary()), place)


def _lists(branch: Any, start: int, stop: int) -> pa.Array:
    cells = branch.array(entry_start=start, entry_stop=stop, library="ak")
    counts = awkward.to_numpy(awkward.num(cells))
    return lists(pa.array(arrow.native(awkward.to_numpy(awkward.flatten(cells)))), counts)


def _first(branch: Any, cell: pa.DataType, start: int, stop: int) -> pa.Array:
    """The first number of each list; none for an empty one."""
    cells = branch.array(entry_start=start, entry_stop=stop, library="ak")
    there = awkward.to_numpy(awkward.num(cells)) > 0
    found = np.zeros(stop - start, cell.to_pandas_dtype())
    found[there] = awkward.to_numpy(cells[there][:, 0])
    return pa.array(found, mask=~there)


def _times(seconds: Any, nanoseconds: Any, start: int, stop: int) -> pa.Array:
    """The times of events, UTC without leap seconds, as TTimeStamp counts them."""
    whole, part = (_values(branch, start, stop).astype(np.int64) for branch in (seconds, nanoseconds))
    return pa.array(whole * 1_000_000_000 + part).cast(pa.timestamp("ns"))


def _mjd(seconds: Any, nanoseconds: Any, start: int, stop: int) -> pa.Array:
    whole, part = (_values(branch, start, stop).astype(np.int64) for branch in (seconds, nanoseconds))
    days, rest = np.divmod(whole, 86_400)
    return pa.array(_UNIX_EPOCH + days + (rest + part * 1e-9) / 86_400)


def _keys(parts: list[Any], start: int, stop: int) -> pa.Array:
    """Identifiers that do not count: the trigger's own numbers would show by their gaps what is under embargo."""
    rows = zip(*(_values(branch, start, stop).tolist() for branch in parts), strict=True)
    return pa.array([f"KM3-{hashlib.sha256('/'.join(map(str, row)).encode()).hexdigest()[:16]}" for row in rows])
