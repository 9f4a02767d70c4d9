"""HDF5 files: of h5py, PyTables and km3pipe, and of astropy with its description in YAML.

A table is a dataset of records, or a group of datasets of the same length, one for each column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import pyarrow as pa

from km3vo.errors import ReadError
from km3vo.readers import serialized
from km3vo.readers.choose import Candidate, choose
from km3vo.readers.content import Content, kept_open
from km3vo.readers.fits.systems import of_metadata
from km3vo.readers.local import arrow
from km3vo.readers.mistakes import Note, Place, named
from km3vo.readers.opened import BLOCK_BYTES, ROWS, Block, FileColumn, Opened, Options, RowsRead
from km3vo.readers.texts import as_text

_YAML = ".__table_column_meta__"  # astropy's description of the dataset before it
_INDEX = "_i_"  # how PyTables calls groups that hold indexes
_ABOUT = {
    "unit": "unit",
    "units": "unit",
    "ucd": "ucd",
    "utype": "utype",
    "xtype": "xtype",
    "description": "description",
}
# What CF and ctapipe say of numbers that are not written as they are, and of those that stand for none.
_SCALED = re.compile(r"(?:.*_)?(?:scale_factor|add_offset|transform_scale|transform_offset)")
_MISSING = ("_fillvalue", "missing_value")
_OF_UNITS = re.compile(r"(?:(.+)_)?units?")
_NOT_READ = "not read, because of their types: "
_FAULTS = (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, OverflowError)  # h5py's


@dataclass(frozen=True, slots=True)
class _Source:
    """A column of the file: where it is, of what type, what is said of it, and which numbers stand for none."""

    name: str
    dataset: Any
    field: str | None
    dtype: np.dtype[Any]
    said: dict[str, str]
    missing: tuple[Any, ...] = ()

    def read(self, start: int, stop: int, records: dict[int, Any]) -> Any:
        """Some rows of it; ``records`` keeps those of datasets that hold several columns."""
        if self.field is None:
            return self.dataset[start:stop]
        if id(self.dataset) not in records:
            records[id(self.dataset)] = self.dataset[start:stop]
        return records[id(self.dataset)][self.field]


def open_hdf5(content: Content, note: Note, options: Options) -> Opened:
    """Open a table of an HDF5 file.

    Raises:
        ReadError: it is damaged, or has no table that can be read.
    """
    with arrow.explained("HDF5", *_FAULTS), kept_open(content) as (plain, close):
        file = h5py.File(plain, "r")
        tables = _tables(file)
        names = [(name.strip("/"), name.rpartition("/")[2]) for name in tables]
        candidates = [
            Candidate(place, place + 1, tuple(dict.fromkeys(filter(None, each)))) for place, each in enumerate(names)
        ]
        chosen = list(tables)[choose(candidates, options.table, "the HDF5 file").place]
        sources = list(_sources(tables[chosen]))
        columns: list[FileColumn] = []
        kept, left = [], []
        for source in sources:
            column = _column(source, len(columns) + 1)
            if column is None:
                left.append(source.name)
            else:
                columns.append(column)
                kept.append(source)
        if not columns:
            raise ReadError("its table has no column of a type that is read")
        size = len(kept[0].dataset)
        progress = RowsRead()
        opened = Opened(columns, _blocks(kept, size, note, progress), "row", 1, progress.done, size)
        opened.close = close
        opened.unread = left
        if left:
            opened.remarks.append(_NOT_READ + ", ".join(map(named, left)))
        return _described(opened, file.get(f"{chosen}{_YAML}"))


def _tables(file: Any) -> dict[str, Any]:
    """The tables of a file by their paths: datasets of records, and groups of columns."""
    found: dict[str, Any] = {}
    if _is_group_of_columns(file):
        found["/"] = file

    def visit(path: str, item: Any) -> None:
        if any(part.startswith(_INDEX) for part in path.split("/")):
            return
        if isinstance(item, h5py.Group):
            if _is_group_of_columns(item):
                found[f"/{path}"] = item
        elif item.dtype.names and item.ndim == 1 and not path.rpartition("/")[2].startswith("_"):
            found[f"/{path}"] = item

    file.visititems(visit)
    return found


def _of_columns(group: Any) -> dict[str, Any]:
    return {
        name: item
        for name, item in group.items()
        if isinstance(item, h5py.Dataset) and not item.dtype.names and item.ndim and not name.endswith(_YAML)
    }


def _is_group_of_columns(group: Any) -> bool:
    columns = _of_columns(group)
    return bool(columns) and len({len(item) for item in columns.values()}) == 1


def _sources(table: Any) -> Iterator[_Source]:
    if isinstance(table, h5py.Dataset):
        _refuse_scaled(table.attrs, "its table")
        said = _of_records(table.attrs, table.dtype.names)
        for name in table.dtype.names:
            yield _Source(name, table, name, table.dtype[name], said[name])
    else:
        for name, item in _of_columns(table).items():
            _refuse_scaled(item.attrs, f"column {named(name)}")
            missing = [np.ravel(value) for key, value in item.attrs.items() if key.lower() in _MISSING]
            none = tuple(value for values in missing for value in values)
            yield _Source(name, item, None, np.dtype((item.dtype, item.shape[1:])), _said(item.attrs), none)


def _refuse_scaled(attributes: Mapping[str, Any], what: str) -> None:
    for key, value in attributes.items():
        if _SCALED.fullmatch(key.lower()) and not np.all(np.ravel(value) == (0 if "offset" in key.lower() else 1)):
            raise ReadError(
                f"{what} holds numbers that have to be turned by its attribute {named(key)}: write them turned"
            )


def _of_records(attributes: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """What a dataset of records says of its columns: their units, by name (``energy_unit``) or number (ctapipe)."""
    said, found = _said(attributes), {name: dict[str, str]() for name in names}
    by_letters = {name.lower(): name for name in names}
    for key, value in attributes.items():
        match = _OF_UNITS.fullmatch(key.lower())
        texts = [_text(one) for one in np.ravel(value)] if match else []
        if match is None or not any(texts):
            continue
        name = by_letters.get(said.get(f"{match[1]}_name", match[1] or "").lower())
        if name is not None and len(texts) == 1:
            found[name]["unit"] = texts[0]
        elif match[1] is None and len(texts) == len(names):
            for name, unit in zip(names, texts, strict=True):
                found[name]["unit"] = unit
        elif match[1] is None:
            raise ReadError(
                f"its attribute {named(key)} does not say of which columns it speaks: call it by the column, as in "
                f"{names[0]}_unit"
            )
    return found


def _column(source: _Source, number: int) -> FileColumn | None:
    """A column as the file describes it; None for a type that is not read."""
    base, shape = source.dtype.base, source.dtype.shape
    said = source.said
    about = {known: value for key, known in _ABOUT.items() if (value := said.get(key))}
    if _is_text(base):
        if shape:
            return None
        column = arrow.described(source.name, number, "char", "*", **about)
        return serialized.in_systems(FileColumn(column, pa.string()), said)
    datatype = arrow.datatype(base)
    if datatype is None or (shape and datatype == "boolean"):
        return None
    cell = arrow.arrow_type(base)
    count = int(np.prod(shape)) if shape else None
    column = arrow.described(source.name, number, datatype, None if count is None else str(count), **about)
    return serialized.in_systems(FileColumn(column, cell if count is None else pa.list_(cell, count)), said)


def _is_text(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "S" or h5py.check_string_dtype(dtype) is not None


def _said(attributes: Mapping[str, Any]) -> dict[str, str]:
    """The attributes of a column that are texts."""
    found = {}
    for key, value in attributes.items():
        texts = [_text(one) for one in np.ravel(value)]
        if len(texts) == 1 and texts[0]:
            found[key.lower()] = texts[0]
    return found


def _text(value: Any) -> str:
    """A text, as it is or in bytes, without blanks around it; "" for anything else."""
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
    return text.strip() if isinstance(text, str) else ""


def _blocks(sources: list[_Source], size: int, note: Note, progress: RowsRead) -> Iterator[Block]:
    width = sum(source.dtype.itemsize for source in sources)
    step = max(1, min(ROWS, BLOCK_BYTES // max(1, width)))
    for start in range(0, size, step):
        stop = min(size, start + step)
        lines = pa.array(np.arange(start + 1, stop + 1))
        records: dict[int, Any] = {}
        with arrow.explained("HDF5", *_FAULTS):
            cells = [_cells(source, source.read(start, stop, records), lines, note) for source in sources]
        progress.rows = stop
        yield Block(cells, lines)


def _cells(source: _Source, cells: Any, lines: pa.Array, note: Note) -> pa.Array:
    if _is_text(source.dtype.base):
        texts = [cell if isinstance(cell, bytes) else str(cell).encode() for cell in cells.tolist()]
        return as_text(pa.array(texts, pa.binary()), Place(source.name, lines, note))
    return arrow.rows(cells, np.isin(cells, source.missing) if source.missing else None)


def _described(opened: Opened, lines: Any) -> Opened:
    """The file with what astropy says about its columns."""
    if lines is None:
        return opened
    meta = serialized.described(opened, "\n".join(line.decode("utf-8", "replace") for line in lines[()].tolist()))
    opened.clock, opened.frame = of_metadata(meta)
    opened.tied = False
    return serialized.merged(opened, meta)
