"""Reading the forms in which parameters and uploaded tables come (DALI 1.1 §2.4, TAP 1.1 §2.5)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import BinaryIO

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from km3vo.errors import Km3voError, ParameterError, TimeoutExceeded, TooLargeError
from km3vo.protocols.dali.parameters import MOST, Parameters, pairs_in, query_pairs
from km3vo.protocols.http.authentication import user_of
from km3vo.protocols.http.record import Asked, Attachment
from km3vo.protocols.http.scope import ASKED_KEY
from km3vo.readers.content import Reserve
from km3vo.service import Service
from km3vo.uploads.quota import RequestShare

IDLE_SECONDS = 30  # between two pieces of a body
MAX_FIELDS = 2**24  # bytes of all that is no upload
SHORT_FIELDS = 2**16  # bytes that are read within a millisecond
SHARE_KEY = "km3vo.request_share"


class _NotTextError(MultiPartException):
    """A field is not text in the encoding of the form."""


class _UnendedError(MultiPartException):
    """The body ends before its last part does."""


class _StrictParser(MultiPartParser):
    """Starlette's, which takes fields that are not in the encoding of their form (UTF-8) for Latin-1.

    And which leaves out a part whose end does not come, with the temporary file that it has begun.
    """

    _parts = 0  # that have begun and not ended

    def on_part_begin(self) -> None:
        self._parts += 1
        super().on_part_begin()

    def on_part_end(self) -> None:
        self._parts -= 1
        if self._current_part.file is None:
            try:
                self._current_part.data.decode(self._charset)
            except UnicodeDecodeError:
                raise _NotTextError("not text") from None
        super().on_part_end()

    async def parse(self) -> FormData:
        form = await super().parse()
        if self._parts:
            for file in self._files_to_close_on_error:
                file.close()
            raise _UnendedError("unended")
        return form


async def read_parameters(request: Request, running: Service) -> Parameters:
    """The parameters of a GET or POST request, from the address and from either kind of form.

    Raises:
        ParameterError: the body is not a readable form.
        TooLargeError: it is larger than uploads may be.
        FullError: other requests take all the room there is.
    """
    pairs, files = await _read(request, running)
    sent: list[tuple[str, str | Attachment]] = [*pairs, *await _attachments(request, files)]
    if any(name == "FORMAT" for name, _ in pairs):
        # With an upload astroquery's TapPlus sends, beside the format that its user wants, one of its own.
        pairs = [pair for pair in pairs if pair[0] != "format"]
    parameters = Parameters(pairs, files)
    request.scope[ASKED_KEY] = Asked(sent, parameters.read, parameters.tables)
    return parameters


async def read_pairs(request: Request, running: Service) -> list[tuple[str, str]]:
    """Names and values of a GET or POST request as sent, without files. Raises as ``read_parameters`` does."""
    pairs, _ = await _read(request, running)
    request.scope[ASKED_KEY] = Asked(pairs)
    return pairs


async def read_body(request: Request, running: Service, most: int) -> bytes:
    """The body of a request that is no form.

    Raises:
        TooLargeError: it has more than ``most`` bytes.
        FullError: other requests take all the room there is.
    """
    return await Request(request.scope, _limited(request.receive, most, share_of(request, running).reserve)).body()


async def read_form(
    request: Request, running: Service, most: int
) -> tuple[list[tuple[str, str]], dict[str, UploadFile]]:
    """Fields and files of a form of at most so many bytes, without what the address says.

    Raises as ``read_parameters`` does.
    """
    fields, files = await _read(request, running, most)
    return fields[len(query_pairs(request)) :], files


async def _read(
    request: Request, running: Service, most: int | None = None
) -> tuple[list[tuple[str, str]], dict[str, UploadFile]]:
    fields = query_pairs(request)
    files: dict[str, UploadFile] = {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method != "POST" or not kind:
        return fields, files
    reserve = share_of(request, running).reserve
    if kind == "application/x-www-form-urlencoded":
        body = await Request(request.scope, _limited(request.receive, MAX_FIELDS, reserve)).body()
        fields += pairs_in(body) if len(body) <= SHORT_FIELDS else await asyncio.to_thread(pairs_in, body)
    elif kind == "multipart/form-data":
        most = most or running.settings.limits.upload_bytes + MAX_FIELDS
        limited = Request(request.scope, _limited(request.receive, most, reserve))
        parser = _StrictParser(
            request.headers, limited.stream(), max_files=MOST, max_fields=MOST, max_part_size=MAX_FIELDS
        )
        try:
            form = await parser.parse()
        except (ClientDisconnect, Km3voError):
            raise
        except _NotTextError:
            raise ParameterError("a field of the form holds bytes that are not UTF-8: encode it as UTF-8") from None
        except _UnendedError:
            raise ParameterError(
                "the form ends within a part: send it whole, with its boundary and two hyphens at the end"
            ) from None
        except Exception:
            raise ParameterError("the body of the request is not a readable form") from None
        # As FastAPI does with forms that it reads itself: files are closed when the answer is sent.
        request.scope["fastapi_middleware_astack"].push_async_callback(form.close)
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                files[name] = value
            else:
                fields.append((name, value))
    elif (await _limited(request.receive, MAX_FIELDS, reserve)()).get("body"):
        raise ParameterError(
            f"a body of type {kind[:60]} is not understood: "
            "send application/x-www-form-urlencoded or multipart/form-data"
        )
    return fields, files


async def _attachments(request: Request, files: Mapping[str, UploadFile]) -> list[tuple[str, Attachment]]:
    """What the access log keeps of files that came with a request; nothing of the public's."""
    if user_of(request).name is None:
        return []
    return [(name, await asyncio.to_thread(_attachment, part.file)) for name, part in files.items()]


def _attachment(file: BinaryIO) -> Attachment:
    digest, size = hashlib.sha256(), 0
    while piece := file.read(2**20):
        digest.update(piece)
        size += len(piece)
    file.seek(0)
    return Attachment(size, digest.hexdigest())


def share_of(request: Request, running: Service) -> RequestShare:
    """The share of a request in the bytes that are kept of all."""
    share: RequestShare | None = request.scope.get(SHARE_KEY)
    if share is None:
        share = request.scope[SHARE_KEY] = running.request_quota.share()
        request.scope["fastapi_middleware_astack"].callback(share.release)
    return share


def _limited(receive: Receive, most: int, reserve: Reserve) -> Receive:
    """``receive``, until the body has more bytes than it may: not everybody says beforehand how long it is."""
    count = 0

    async def receive_some() -> Message:
        nonlocal count
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                message = await receive()
        except TimeoutError:
            raise TimeoutExceeded(f"nothing came of the body of the request for {IDLE_SECONDS} seconds") from None
        size = len(message.get("body", b""))
        count += size
        if count > most:
            raise TooLargeError(f"a request may have {most} bytes; this one has more")
        reserve(size)
        return message

    return receive_some
