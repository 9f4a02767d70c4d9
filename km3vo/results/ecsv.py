"""ECSV 1.0: CSV with the columns' metadata as YAML in comments above it (Astropy Proposal for Enhancement 6)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

import orjson

from km3vo.column import Column
from km3vo.datatypes import DATATYPES
from km3vo.results import delimited, systems, text
from km3vo.results.binary import elements, is_fixed
from km3vo.results.blocks import blocks, chunks
from km3vo.results.stream import Result

_NOT_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
# An array is a string of JSON, with commas, and so in quotes.
_STYLE = replace(delimited.CSV, true="True", false="False", opening='"[', between=",", closing=']"')


def write(result: Result) -> Iterator[bytes]:
    """ECSV, UTF-8, with commas. A missing cell is empty; readers take an empty string for a missing one too.

    ECSV has no place for an error or a note that rows were left out; an error is raised.
    """
    return chunks(result, _pieces(result))


def _pieces(result: Result) -> Iterator[bytes]:
    missing = delimited.missing(result.columns)
    waiting: list[bytes | memoryview] = [_head(result), delimited.header(result.columns, ",", _STYLE), b"\n"]
    for block in blocks(result):
        waiting += [text.rows(text.texts(block, _STYLE), ",", "\n", missing), b"\n"]
        yield b"".join(waiting)
        waiting.clear()
    yield b"".join(waiting)


def _head(result: Result) -> bytes:
    infos = [{info.name: info.value} for info in (*result.infos, *result.table_infos)]
    meta = {"name": result.name, "description": result.description, "infos": infos}
    told = _json({name: value for name, value in meta.items() if value})
    lines = ["%ECSV 1.0", "---", "delimiter: ','", "datatype:", *_columns(result.columns), f"meta: {told}"]
    return "".join(f"# {line}\n" for line in [*lines, "schema: astropy-2.0"]).encode()


@lru_cache(maxsize=512)
def _columns(columns: tuple[Column, ...]) -> tuple[str, ...]:
    return tuple(f"- {_json(_column(column))}" for column in columns)


def _column(column: Column) -> dict[str, Any]:
    datatype = DATATYPES[column.datatype].ecsv
    described: dict[str, Any] = {"name": column.name, "datatype": datatype}
    if column.unit:
        described["unit"] = column.unit
    if not column.is_string and column.arraysize not in (None, "1"):
        # Arrays of two dimensions are written as one row of numbers.
        count = elements(column) if is_fixed(column) else "null"
        described |= {"datatype": "string", "subtype": f"{datatype}[{count}]"}
    if column.description:
        described["description"] = column.description
    meta = {name: value for name in ("ucd", "utype", "xtype") if (value := getattr(column, name))}
    if meta := meta | systems.described(column):
        described["meta"] = meta
    return described


def _json(value: dict[str, Any]) -> str:
    """YAML in one line: JSON is YAML, but for a few characters that YAML does not allow or takes for line ends."""
    return _NOT_YAML.sub(" ", orjson.dumps(value).decode())
