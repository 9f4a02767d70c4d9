"""The formats a result can be had in: one list for the answers, the capabilities and the documentation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from km3vo.errors import ParameterError
from km3vo.results import arrow, delimited, ecsv, fits, htmltable, jsontable, texttable, votable
from km3vo.results.stream import Result

_VOTABLE = "application/x-votable+xml"
_TAPREGEXT = "ivo://ivoa.net/std/TAPRegExt#output-votable-"
# Parameters that change nothing: every text here is UTF-8.
_IGNORED = {"charset=utf-8", "charset=utf8"}

Writer = Callable[[Result], Iterator[bytes]]


@dataclass(frozen=True)
class Format:
    """A format of results.

    Attributes:
        name: what km3vo calls it.
        mime: the media type declared in the capabilities.
        content_type: the media type to be sent.
        aliases: further values of RESPONSEFORMAT: short names and media types.
        extension: of a file, without a dot.
        ivo_id: IVOID of the format in TAPRegExt, where it has one.
        write: from a result to the bytes of a document.
    """

    name: str
    mime: str
    content_type: str
    aliases: tuple[str, ...]
    extension: str
    ivo_id: str | None
    write: Writer


def _votable(serialization: votable.Serialization, version: str, *aliases: str) -> Format:
    suffix = "" if version == votable.VERSION else f"-{version}"
    mime = f"{_VOTABLE};serialization={serialization}" + (f";version={version}" if suffix else "")
    standard = {"BINARY2": "binary2", "BINARY": "binary", "TABLEDATA": "td"}[serialization]
    return Format(
        name=f"votable-{serialization.lower()}{suffix}",
        mime=mime,
        content_type=mime,
        aliases=aliases,
        extension="vot",
        ivo_id=None if suffix else _TAPREGEXT + standard,
        write=votable.writer(serialization, version),
    )


def _format(name: str, mime: str, write: Writer, *aliases: str, extension: str = "", charset: bool = False) -> Format:
    return Format(
        name=name,
        mime=mime,
        content_type=f"{mime};charset=utf-8" if charset else mime,
        aliases=aliases,
        extension=extension or name,
        ivo_id=None,
        write=write,
    )


FORMATS: tuple[Format, ...] = (
    _votable("BINARY2", "1.4", "votable", "votable/b2", "votable/binary2", _VOTABLE, f"{_VOTABLE};version=1.4"),
    _votable("TABLEDATA", "1.4", "votable/td", "votable/tabledata", "text/xml", "application/xml"),
    _votable("BINARY", "1.4", "votable/b", "votable/binary"),
    _votable("BINARY2", "1.5", "votable1.5", "votable/b2/1.5", f"{_VOTABLE};version=1.5"),
    _votable("TABLEDATA", "1.5", "votable/td/1.5", "text/xml;version=1.5"),
    _votable("BINARY", "1.5", "votable/b/1.5"),
    _format("csv", "text/csv;header=present", delimited.write_csv, "csv", "text/csv", charset=True),
    _format("tsv", "text/tab-separated-values", delimited.write_tsv, "tsv", charset=True),
    _format("ecsv", "text/x-ecsv", ecsv.write, "ecsv", "application/x-ecsv", charset=True),
    _format("json", "application/json", jsontable.write, "json"),
    _format("html", "text/html", htmltable.write, "html", charset=True),
    _format("text", "text/plain", texttable.write, "text", "txt", extension="txt", charset=True),
    _format("fits", "application/fits", fits.write, "fits", "image/fits"),
    _format("parquet", "application/vnd.apache.parquet", arrow.write_parquet, "parquet", "application/x-parquet"),
    _format(
        "arrow",
        "application/vnd.apache.arrow.stream",
        arrow.write_stream,
        "arrow",
        "application/vnd.apache.arrow",
        extension="arrows",
    ),
)

DEFAULT = FORMATS[0]
_FOR_PEOPLE = {"html", "text"}


def find(requested: str) -> Format:
    """The format that a value of RESPONSEFORMAT asks for: a short name or a media type, in any case.

    A media type's parameters may be in any order and spacing. A media type asked for is the one sent back
    (DALI 1.1 §3.4.3), so the format found carries it as its content type.

    Raises ParameterError when there is no such format.
    """
    form = _BY_KEY.get(_key(requested))
    if form is None:
        known = ", ".join(dict.fromkeys(format.aliases[0] for format in FORMATS))
        raise ParameterError(
            f"There is no output format {requested[:80]!r}. Use one of {known}, or their media types as listed in "
            "the service's capabilities."
        )
    asked = _MEDIA_TYPES.get(_key(requested))
    # A content type that says more than the declared media type (header, charset) is still that media type.
    if asked is None or (form.content_type.startswith(asked.partition(";")[0]) and form.content_type != form.mime):
        return form
    return replace(form, content_type=asked)


def accepted(header: str) -> Format:
    """The format that an Accept header asks for where RESPONSEFORMAT does not (RFC 9110 §12.5.1).

    Programs send headers of their own accord (Java ``text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2``, TapPlus
    ``text/plain``), and so do browsers. So it counts only where all that it names are formats for programs.
    """
    asked = []
    for part in header.split(","):
        kind, _, quality = re.sub(r"\s*;\s*q\s*=\s*", ";q=", part).partition(";q=")
        try:
            asked.append((float(quality or 1), find(kind)))
        except (ParameterError, ValueError):
            return DEFAULT
    if any(found.name in _FOR_PEOPLE for _, found in asked):
        return DEFAULT
    return max(asked, key=lambda pair: pair[0])[1]


def _key(requested: str) -> str:
    """A media type without the freedoms of its spelling."""
    main, *parameters = (part.strip() for part in requested.lower().split(";"))
    # A plus sign that a client did not encode in its URL arrives as a space.
    main = main.replace(" ", "+")
    kept = sorted(re.sub(r'\s*=\s*"?([^"]*)"?', r"=\1", parameter) for parameter in parameters if parameter)
    return ";".join([main, *(parameter for parameter in kept if parameter not in _IGNORED)])


_BY_KEY = {_key(name): format for format in FORMATS for name in (format.mime, *format.aliases)}
# Short names like votable/td look like media types and are none.
_MEDIA_TYPES = {
    _key(name): name
    for format in FORMATS
    for name in (format.mime, *format.aliases)
    if name.startswith(("application/", "image/", "text/"))
}
