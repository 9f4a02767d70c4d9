"""JSON: the columns' metadata, the rows as lists, and how it ended.

    {"metadata": [{"name": "ra", "datatype": "double", "unit": "deg", …}, …],
     "data": [[12.5, "track", null], …],
     "status": "OK"}

The members "metadata" and "data" are as other TAP services have them. A number that JSON does not know (not a
number, infinity) is null, as is what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from km3vo.results import kernels, systems, text, views
from km3vo.results.blocks import chunks, encoded, surviving_blocks
from km3vo.results.stream import Info, Result

# RFC 8259 §7: quotes, backslashes and control characters must be escaped, in that order here.
_SUSPECT = np.zeros(256, bool)
_SUSPECT[[*b'"\\', *range(32)]] = True
_ESCAPES = [("\\", "\\\\"), ('"', '\\"'), *((chr(code), f"\\u{code:04x}") for code in range(32))]


def write(result: Result) -> Iterator[bytes]:
    """A JSON document; "status" is OK, OVERFLOW or ERROR, with a "message" unless it is OK."""
    return chunks(result, _pieces(result))


def _quoted(strings: pa.Array) -> pa.Array:
    content = views.data(strings)
    if _SUSPECT[content].any():
        present = set(np.unique(content).tolist())
        for character, escape in _ESCAPES:
            if ord(character) in present:
                strings = kernels.replace(strings, character, escape)
    return kernels.enclose('"', strings, '"')


_STYLE = text.Style(
    nan="null", positive="null", negative="null", escape=_quoted, opening="[", between=",", closing="]", quote='"'
)


# astroquery's TapPlus looks for these whether there is something or not.
_ALWAYS = ("unit", "description")


def _pieces(result: Result) -> Iterator[bytes]:
    waiting = [_head(result)]
    before = b"\n["
    for rows in encoded(result, surviving_blocks(result), _rows):
        waiting += [before, rows, b"]"]
        yield b"".join(waiting)
        waiting.clear()
        before = b",\n["
    yield b"".join([*waiting, b"\n],\n", orjson.dumps(_end(result))[1:], b"\n"])


def _rows(block: pa.RecordBatch) -> bytes:
    return bytes(text.rows(text.texts(block, _STYLE), ",", "],\n[", missing="null"))


def _head(result: Result) -> bytes:
    members: dict[str, Any] = {
        "name": result.name,
        "description": result.description,
        "infos": [_info(info) for info in (*result.infos, *result.table_infos)],
        "metadata": [
            {
                name: value or None
                for name in ("name", "datatype", "arraysize", "xtype", "unit", "ucd", "utype", "description")
                if (value := getattr(column, name)) or name in _ALWAYS
            }
            | systems.described(column)
            for column in result.columns
        ],
    }
    return orjson.dumps({name: value for name, value in members.items() if value})[:-1] + b',\n"data":['


def _info(info: Info) -> dict[str, str]:
    return {"name": info.name, "value": info.value}


def _end(result: Result) -> dict[str, str]:
    if result.failed:
        return {"status": "ERROR", "message": result.failed}
    if result.overflow:
        return {"status": "OVERFLOW", "message": f"Only the first {result.rows} rows are here; there are more."}
    return {"status": "OK"}
