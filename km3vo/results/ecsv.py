"""ECSV 1.0: CSV with the columns' metadata as YAML in comments above it (Astropy Proposal for Enhancement 6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

import yaml

from km3vo.catalog.model import Column
from km3vo.results import delimited, text
from km3vo.results.binary import is_fixed
from km3vo.results.blocks import blocks, chunks
from km3vo.results.stream import Result

_DATATYPES = {
    "boolean": "bool",
    "unsignedByte": "int16",
    "short": "int16",
    "int": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "char": "string",
    "unicodeChar": "string",
}
# An array is a string of JSON, with commas, and so in quotes.
_STYLE = replace(delimited.CSV, true="True", false="False", opening='"[', between=",", closing=']"')


def write(result: Result) -> Iterator[bytes]:
    """ECSV, UTF-8, with commas. A missing cell is empty; readers take an empty string for a missing one too.

    ECSV has no place for an error or a note that rows were left out; an error is raised.
    """
    return chunks(result, _pieces(result))


def _pieces(result: Result) -> Iterator[bytes]:
    waiting: list[bytes | memoryview] = [_head(result), delimited.header(result.columns, ",", _STYLE), b"\n"]
    for block in blocks(result):
        waiting += [text.rows(text.texts(block, _STYLE), ",", "\n"), b"\n"]
        yield b"".join(waiting)
        waiting.clear()
    yield b"".join(waiting)


def _head(result: Result) -> bytes:
    infos = [{info.name: info.value} for info in (*result.infos, *result.table_infos)]
    meta: dict[str, Any] = {"name": result.name, "description": result.description, "infos": infos}
    lines = ["%ECSV 1.0", "---", "delimiter: ','", *_columns(result.columns)]
    lines += _yaml({"meta": {name: value for name, value in meta.items() if value}})
    return "".join(f"# {line}\n" for line in [*lines, "schema: astropy-2.0"]).encode()


@lru_cache(maxsize=512)
def _columns(columns: tuple[Column, ...]) -> tuple[str, ...]:
    return tuple(_yaml({"datatype": [_column(column) for column in columns]}))


def _column(column: Column) -> dict[str, Any]:
    datatype = _DATATYPES[column.datatype]
    described: dict[str, Any] = {"name": column.name, "datatype": datatype}
    if column.unit:
        described["unit"] = column.unit
    if not column.is_string and column.arraysize not in (None, "1"):
        shape = column.arraysize.replace("x", ",") if is_fixed(column) else "null"
        described |= {"datatype": "string", "subtype": f"{datatype}[{shape}]"}
    if column.description:
        described["description"] = column.description
    meta = {name: value for name in ("ucd", "utype", "xtype") if (value := getattr(column, name))}
    if meta:
        described["meta"] = meta
    return described


def _yaml(value: dict[str, Any]) -> list[str]:
    # One line per column whatever its length, as readers of the header like it.
    dumped: str = yaml.safe_dump(value, default_flow_style=None, sort_keys=False, allow_unicode=True, width=1_000_000)
    return dumped.splitlines()
