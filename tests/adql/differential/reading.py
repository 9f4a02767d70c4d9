"""Results read by programs that are not ours: the cells, and what is said of each column."""

from __future__ import annotations

import csv
import io
import math
import re
import warnings
from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits, votable
from astropy.table import Table

from km3vo.column import Column

Cells = list[list[Any]]
Said = list[dict[str, str | None]]  # unit, ucd, frame and timeorigin of each column, or nothing

_ARRAYS = re.compile(r',"subtype":"[^"]*"')


def read(document: bytes, name: str, columns: tuple[Column, ...]) -> tuple[Cells, Said]:
    """The cells by column, and what the format says of them; ``columns`` tell what the texts of CSV are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _READERS[name](document, columns)


def _votable(document: bytes, columns: tuple[Column, ...]) -> tuple[Cells, Said]:
    parsed = votable.parse(io.BytesIO(document), verify="exception")
    table = parsed.get_first_table()
    frames = {each.ID: str(each.system) for each in parsed.iter_coosys()}
    origins = {each.ID: each.timeorigin for each in parsed.iter_timesys()}
    said: Said = []
    for field in table.fields:
        about = {"unit": None if field.unit is None else str(field.unit), "ucd": field.ucd}
        about |= {"frame": frames.get(field.ref), "timeorigin": _origin(origins.get(field.ref))}
        said.append(about)
    return [list(table.array[field]) for field in table.array.dtype.names or ()], said


def _origin(origin: Any) -> str | None:
    return {"2400000.5": "MJD-origin", "0.0": "JD-origin", "None": None}.get(str(origin), str(origin))


def _csv(document: bytes, columns: tuple[Column, ...], **dialect: Any) -> tuple[Cells, Said]:
    rows = list(csv.reader(io.StringIO(document.decode(), newline=""), strict=True, **dialect))[1:]
    cells = [[_parsed(row[place], column) for row in rows] for place, column in enumerate(columns)]
    return cells, [{} for _ in columns]


def _tsv(document: bytes, columns: tuple[Column, ...]) -> tuple[Cells, Said]:
    if len(columns) == 1:  # whose empty cells are empty lines, which the reader leaves out
        lines = document.decode().split("\n")[1:-1]
        return [[_parsed(line, columns[0]) for line in lines]], [{}]
    return _csv(document, columns, delimiter="\t", quoting=csv.QUOTE_NONE)


def _parsed(text: str, column: Column) -> Any:
    if text == "" or column.is_string:
        return text or None
    if column.arraysize:
        return [int(part) for part in text.split()]
    if column.datatype == "boolean":
        return text == "true"
    return float(text) if column.datatype in ("float", "double") else int(text)


def _fits(document: bytes, columns: tuple[Column, ...]) -> tuple[Cells, Said]:
    with fits.open(io.BytesIO(document)) as units:
        table, header = Table.read(units, hdu=1), units[1].header
    said: Said = [
        {"unit": header.get(f"TUNIT{number}"), "ucd": header.get(f"TUCD{number}")}
        for number in range(1, len(columns) + 1)
    ]
    return [list(table[name]) for name in table.colnames], said


def _ecsv(document: bytes, columns: tuple[Column, ...]) -> tuple[Cells, Said]:
    text = document.decode()
    if text.rstrip("\n").rpartition("\n")[0].rpartition("\n")[2].startswith("#"):
        text = _ARRAYS.sub("", text)  # astropy 8.0 cannot read arrays of one length in a table without rows
    table = Table.read(text, format="ascii.ecsv")
    said: Said = []
    for name in table.colnames:
        column = table[name]
        meta = {key: column.meta.get(key) for key in ("ucd", "frame", "timeorigin")}
        said.append({"unit": None if column.unit is None else str(column.unit)} | meta)
    return [list(table[name]) for name in table.colnames], said


def _arrow(document: bytes, columns: tuple[Column, ...]) -> tuple[Cells, Said]:
    return _pyarrow(pa.ipc.open_stream(document).read_all())


def _parquet(document: bytes, columns: tuple[Column, ...]) -> tuple[Cells, Said]:
    return _pyarrow(pq.read_table(io.BytesIO(document)))


def _pyarrow(table: pa.Table) -> tuple[Cells, Said]:
    said: Said = []
    for field in table.schema:
        known = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        said.append({key: known.get(key) for key in ("unit", "ucd", "frame", "timeorigin")})
    return [column.to_pylist() for column in table.columns], said


def _json(document: bytes, columns: tuple[Column, ...]) -> tuple[Cells, Said]:
    found = orjson.loads(document)
    said = [{key: field.get(key) for key in ("unit", "ucd", "frame", "timeorigin")} for field in found["metadata"]]
    return [[row[place] for row in found["data"]] for place in range(len(columns))], said


_READERS: dict[str, Callable[[bytes, tuple[Column, ...]], tuple[Cells, Said]]] = {
    "votable": _votable,
    "votable/td": _votable,
    "votable/b": _votable,
    "votable1.5": _votable,
    "votable/td/1.5": _votable,
    "votable/b/1.5": _votable,
    "csv": _csv,
    "tsv": _tsv,
    "ecsv": _ecsv,
    "fits": _fits,
    "arrow": _arrow,
    "parquet": _parquet,
    "json": _json,
}
NAMES = tuple(_READERS)
# Without a way to tell a missing truth value, for astropy.
WITHOUT_MISSING_TRUTH = ("votable/b", "votable/b/1.5", "fits")


def plain(value: Any) -> Any:
    """A cell as a number, a text, a tuple, or None; moments as text, texts put together in their order."""
    if value is None or value is np.ma.masked:
        return None
    if isinstance(value, list | np.ndarray):
        return tuple(map(plain, value))
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, datetime):
        value = value.isoformat()
    if isinstance(value, str) and "|" in value:
        value = "|".join(sorted(value.split("|")))
    if isinstance(value, str):
        return value.rstrip().removesuffix("000") if len(value) == 26 and value[10] == "T" else value.rstrip() or None
    return None if isinstance(value, float) and math.isnan(value) else value
