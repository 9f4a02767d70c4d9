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
    write: Callable[[Result], Iterator[bytes]]


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


FORMATS: tuple[Format, ...] = (
    _votable("BINARY2", "1.4", "votable", "votable/b2", "votable/binary2", _VOTABLE),
    _votable("TABLEDATA", "1.4", "votable/td", "votable/tabledata", "text/xml", "application/xml"),
    _votable("BINARY", "1.4", "votable/b", "votable/binary"),
    _votable("BINARY2", "1.5", "votable1.5", "votable/b2/1.5", f"{_VOTABLE};version=1.5"),
    _votable("TABLEDATA", "1.5", "votable/td/1.5", "text/xml;version=1.5"),
    _votable("BINARY", "1.5", "votable/b/1.5"),
    Format(
        name="csv",
        mime="text/csv;header=present",
        content_type="text/csv;header=present;charset=utf-8",
        aliases=("csv", "text/csv"),
        extension="csv",
        ivo_id=None,
        write=delimited.write_csv,
    ),
    Format(
        name="tsv",
        mime="text/tab-separated-values",
        content_type="text/tab-separated-values;charset=utf-8",
        aliases=("tsv",),
        extension="tsv",
        ivo_id=None,
        write=delimited.write_tsv,
    ),
    Format(
        name="ecsv",
        mime="text/x-ecsv",
        content_type="text/x-ecsv;charset=utf-8",
        aliases=("ecsv", "application/x-ecsv"),
        extension="ecsv",
        ivo_id=None,
        write=ecsv.write,
    ),
    Format(
        name="json",
        mime="application/json",
        content_type="application/json",
        aliases=("json",),
        extension="json",
        ivo_id=None,
        write=jsontable.write,
    ),
    Format(
        name="html",
        mime="text/html",
        content_type="text/html;charset=utf-8",
        aliases=("html",),
        extension="html",
        ivo_id=None,
        write=htmltable.write,
    ),
    Format(
        name="text",
        mime="text/plain",
        content_type="text/plain;charset=utf-8",
        aliases=("text", "txt"),
        extension="txt",
        ivo_id=None,
        write=texttable.write,
    ),
    Format(
        name="fits",
        mime="application/fits",
        content_type="application/fits",
        aliases=("fits", "image/fits"),
        extension="fits",
        ivo_id=None,
        write=fits.write,
    ),
    Format(
        name="parquet",
        mime="application/vnd.apache.parquet",
        content_type="application/vnd.apache.parquet",
        aliases=("parquet", "application/x-parquet"),
        extension="parquet",
        ivo_id=None,
        write=arrow.write_parquet,
    ),
    Format(
        name="arrow",
        mime="application/vnd.apache.arrow.stream",
        content_type="application/vnd.apache.arrow.stream",
        aliases=("arrow", "application/vnd.apache.arrow"),
        extension="arrows",
        ivo_id=None,
        write=arrow.write_stream,
    ),
)

DEFAULT = FORMATS[0]


def find(requested: str) -> Format:
    """The format that a value of RESPONSEFORMAT asks for: a short name or a media type, in any case.

    A media type's parameters may be in any order and spacing. A media type asked for is the one sent back
    (DALI 1.1 §3.4.3), so the format found carries it as its content type.

    Raises ParameterError when there is no such format.
    """
    found = _BY_KEY.get(_key(requested))
    if found is None:
        known = ", ".join(dict.fromkeys(format.aliases[0] for format in FORMATS))
        raise ParameterError(
            f"There is no output format {requested[:80]!r}. Use one of {known}, or their media types as listed in "
            "the service's capabilities."
        )
    asked = _MEDIA_TYPES.get(_key(requested))
    # A content type that says more than the declared media type (header, charset) is still that media type.
    if asked is None or (found.content_type.startswith(asked.partition(";")[0]) and found.content_type != found.mime):
        return found
    return replace(found, content_type=asked)


def _key(requested: str) -> str:
    """A media type without the freedoms of its spelling."""
    main, *parameters = (part.strip() for part in requested.lower().split(";"))
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
