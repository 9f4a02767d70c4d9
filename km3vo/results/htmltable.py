"""HTML: a page with the result as a table."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pyarrow as pa
from jinja2 import Environment, PackageLoader, Template
from markupsafe import Markup

from km3vo.results import kernels, text, views
from km3vo.results.blocks import chunks, encoded, surviving_blocks
from km3vo.results.stream import Result
from km3vo.results.xmltext import escaped


def write(result: Result) -> Iterator[bytes]:
    """A page that a browser shows while it comes in, with units, descriptions and, at its end, what is missing."""
    rows = (Markup(piece.decode()) for piece in encoded(result, surviving_blocks(result), _rows))
    pieces = _template().generate(result=result, rows=rows, banner=Markup(result.banner))
    return chunks(result, (piece.encode() for piece in pieces))


@cache
def _template() -> Template:
    environment = Environment(loader=PackageLoader("km3vo.results", "."), autoescape=True, trim_blocks=True)
    return environment.get_template("table.html")


def _linked(strings: pa.Array) -> pa.Array:
    """Strings as the content of elements; those that are addresses as links."""
    safe = escaped(strings)
    if b"http" not in views.data(safe).tobytes():
        return safe
    return kernels.replace_pattern(safe, r"^(https?://[^\s\"'<>]+)$", r'<a href="\1">\1</a>')


_STYLE = text.Style(nan="NaN", positive="+Inf", negative="-Inf", escape=_linked)


def _rows(block: pa.RecordBatch) -> bytes:
    rows = text.rows(text.texts(block, _STYLE), "</td><td>", "</td></tr>\n<tr><td>")
    return b"".join((b"<tr><td>", rows, b"</td></tr>\n"))
