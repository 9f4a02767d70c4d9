"""The UPLOAD parameter (TAP 1.1 §2.7.5, DALI 1.1 §3.4.5): which tables come with a query, and where they are."""

from __future__ import annotations

import io
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from km3vo.adql.words import RESERVED
from km3vo.errors import ParameterError, TooLargeError, UploadError
from km3vo.jobs.files import uploaded
from km3vo.protocols.dali.parameters import Parameters
from km3vo.readers.content import Reserve
from km3vo.readers.opened import Options
from km3vo.settings import Limits
from km3vo.uploads.fetch import SCHEMES, fetch

INLINE = "param"

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
# TAP 1.0 lists several tables in one parameter; a URL may hold a semicolon too, but hardly what follows it here.
_NEXT = re.compile(r";(?=\s*[A-Za-z][A-Za-z0-9_]*\s*,\s*[A-Za-z][A-Za-z0-9+.-]*:)")


@dataclass(frozen=True, slots=True)
class Reference:
    """An uploaded table: what the query calls it, and its ``param:`` or http(s) URI."""

    name: str
    uri: str

    @property
    def label(self) -> str | None:
        """Name of the part of the request that holds the table, or None when it is elsewhere."""
        scheme, _, rest = self.uri.partition(":")
        return rest if scheme.lower() == INLINE else None

    def __str__(self) -> str:
        return f"{self.name},{self.uri}"


def references(parameters: Parameters) -> tuple[Reference, ...]:
    """The tables that a request's UPLOAD parameters name, in order.

    Raises:
        ParameterError: a name or a URI is none that can be used, or a name comes twice.
    """
    by_name: dict[str, Reference] = {}
    for reference in split(parameters.all("UPLOAD")):
        _check(reference)
        if reference.name.lower() in by_name:
            raise ParameterError(f"UPLOAD names the table {reference.name} twice")
        by_name[reference.name.lower()] = reference
    return tuple(by_name.values())


def options(parameters: Parameters, uploads: tuple[Reference, ...]) -> dict[str, Options]:
    """What is known about uploaded tables, by the names that the query gives them.

    UPLOAD_TABLE=name,table says which table of a file is meant, by its name or number; UPLOAD_TRUNCATED=name that it is
    known that the file lacks rows. Both are km3vo's own.

    Raises:
        ParameterError: one speaks of a table that is not uploaded.
    """
    names = {reference.name.lower(): reference.name for reference in uploads}
    read_options: dict[str, Options] = {}

    def named(parameter: str, text: str) -> str:
        name = names.get(text.strip().lower())
        if name is None:
            raise ParameterError(f"{parameter} names {text.strip()[:60]!r}, which is no uploaded table")
        return name

    for value in parameters.all("UPLOAD_TABLE"):
        upload, _, table = value.partition(",")
        name = named("UPLOAD_TABLE", upload)
        if not table.strip():
            raise ParameterError(f"UPLOAD_TABLE={value[:60]}: write UPLOAD_TABLE={name},table, with a name or number")
        read_options[name] = replace(read_options.get(name, Options()), table=table.strip())
    for value in parameters.all("UPLOAD_TRUNCATED"):
        for upload in value.split(","):
            name = named("UPLOAD_TRUNCATED", upload)
            read_options[name] = replace(read_options.get(name, Options()), truncated=True)
    return read_options


def split(values: list[str]) -> list[Reference]:
    """The pairs in UPLOAD parameters, whatever is in them."""
    pairs = []
    for value in values:
        for part in _NEXT.split(value):
            name, _, uri = part.strip().partition(",")
            if part.strip():
                uri = uri.strip()
                pairs.append(Reference(name.strip(), uri.rstrip(";") if uri.startswith(INLINE) else uri))
    return pairs


def _check(reference: Reference) -> None:
    name, uri = reference.name, reference.uri
    if not uri:
        raise ParameterError(f"UPLOAD={name[:60]} has no URI: write UPLOAD=mytable,param:part or mytable,https://…")
    if not _NAME.fullmatch(name) or name.upper() in RESERVED["2.1"]:
        raise ParameterError(
            f"UPLOAD names a table {name[:60]!r}: use a letter, then letters, digits and underscores, "
            "no schema, and no reserved word"
        )
    scheme = uri.partition(":")[0].lower()
    if not _SCHEME.fullmatch(scheme) or scheme not in (INLINE, *SCHEMES):
        raise ParameterError(
            f"UPLOAD={name},{uri[:60]}: the table can come with the request (param:) or from an http or https URL"
        )


def inline(parameters: Parameters, reference: Reference) -> BinaryIO:
    """The part of a request that an upload refers to.

    Raises:
        ParameterError: there is no such part.
    """
    label = reference.label or ""
    part = parameters.files.get(label)
    if part is not None:
        part.file.seek(0)
        return part.file
    if label.upper() != "UPLOAD" and (text := parameters.table(label)) is not None:
        return io.BytesIO(text.encode())
    raise ParameterError(
        f"UPLOAD={reference.name},{reference.uri[:60]}: the request has no part of that name; "
        "send the table as multipart/form-data"
    )


def kept_with(home: Path, id: str) -> Callable[[Reference], Awaitable[BinaryIO]]:
    """A function that opens the tables that came with the job ``id``, which are kept in ``home``; for `collect`."""

    async def opened(reference: Reference) -> BinaryIO:
        # Not in a thread: a job that is stopped meanwhile would leave the file open.
        return uploaded(home, id, reference.name)

    return opened


async def collect(
    uploads: tuple[Reference, ...],
    limits: Limits,
    opened: Callable[[Reference], Awaitable[BinaryIO]],
    reserve: Reserve = lambda count: None,
) -> dict[str, BinaryIO]:
    """The uploaded files by name: those that came with the request as ``opened`` finds them, the others fetched.

    ``reserve`` is told how many bytes of those are kept.

    Raises:
        ParameterError, UploadError: one cannot be had.
        TooLargeError: together they have too many bytes.

    And whatever ``reserve`` raises.
    """
    files: dict[str, BinaryIO] = {}
    left = limits.upload_bytes
    try:
        for reference in uploads:
            if reference.label is not None:
                file = await opened(reference)
            else:
                try:
                    file = await fetch(reference.uri, limits, left, reserve)
                except UploadError as error:
                    raise UploadError(f"upload {reference.name}: {error}") from None
            files[reference.name] = file
            left -= file.seek(0, io.SEEK_END)
            file.seek(0)
            if left < 0:
                raise TooLargeError(f"uploads may have {limits.upload_bytes} bytes together; these have more")
    except BaseException:
        for file in files.values():
            file.close()
        raise
    return files
