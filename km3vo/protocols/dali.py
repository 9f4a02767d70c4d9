"""What all protocols share (DALI 1.1): parameters, the choice of a format, and answers that are streams of bytes."""

from __future__ import annotations

import asyncio
import functools
import re
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Executor
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl

from isal import isal_zlib
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from km3vo.errors import Km3voError, ParameterError, TooLargeError, UnavailableError
from km3vo.results import formats
from km3vo.results.formats import Format
from km3vo.room import Hold, Take
from km3vo.service import Service

PARTIAL = re.compile(r"/async/[^/]+/(results|uploads)/|^/download/")
MAX_PARTS = 1000
PARAMETERS_KEY = "km3vo.parameters"
HOLD_KEY = "km3vo.hold"
PREFIX_KEY = "km3vo.prefix"  # what identity.py took from the path, for addresses in answers
MAX_FIELDS = 2**24  # bytes of all that is no upload
FEW_ROWS = 1000  # written in about a millisecond: not worth a thread


class Parameters:
    """The parameters of a request: names in any case, values as sent (DALI 1.1 §3).

    Attributes:
        values: upper-case name → the values given, in order.
        files: the parts of a multipart request that are files, by their exact names.
    """

    def __init__(self, pairs: list[tuple[str, str]], files: Mapping[str, UploadFile] | None = None) -> None:
        self.values: dict[str, list[str]] = {}
        for name, value in pairs:
            self.values.setdefault(name.upper(), []).append(value)
        self.files = dict(files or {})

    def all(self, name: str) -> list[str]:
        """Every value given for a parameter, whatever the case of its name."""
        return self.values.get(name.upper(), [])

    def one(self, name: str, default: str = "") -> str:
        """The value of a parameter that may be given once.

        Raises:
            ParameterError: it was given with different values.
        """
        values = self.all(name)
        if not values:
            return default
        if len(values) > 1:
            raise ParameterError(f"{name} is given {len(values)} times; give it once")
        return values[0]

    def number(self, name: str, low: float, high: float) -> float:
        """A mandatory number between ``low`` and ``high``.

        Raises:
            ParameterError: missing, not a number, or out of range.
        """
        text = self.one(name).strip()
        if not text:
            raise ParameterError(f"{name} is missing: give a number from {low:g} to {high:g} in decimal degrees")
        try:
            value = float(text)
        except ValueError:
            raise ParameterError(f"{name}={text[:40]} is not a number in decimal degrees") from None
        if not low <= value <= high:
            raise ParameterError(f"{name}={text[:40]} is outside {low:g} to {high:g} degrees")
        return value

    def maxrec(self, default: int, most: int) -> int:
        """MAXREC, no larger than the service's own limit (DALI 1.1 §3.4.4).

        Raises:
            ParameterError: not a whole number, or negative.
        """
        text = self.one("MAXREC").strip()
        if not text:
            return default
        if not (text.isascii() and text.isdigit()):
            raise ParameterError(f"MAXREC={text[:40]} is not a number of rows: give a whole number, 0 or more")
        return min(int(text[:18]), most)

    def format(self, default: Format) -> Format:
        """The format asked for by RESPONSEFORMAT or, as in TAP 1.0, FORMAT.

        Raises:
            ParameterError: there is no such format.
        """
        asked = self.one("RESPONSEFORMAT") or self.one("FORMAT")
        return formats.find(asked) if asked.strip() else default


async def parameters(request: Request) -> Parameters:
    """The parameters of a GET or POST request, from the URL and from either kind of form.

    Raises:
        ParameterError: the body is not a readable form.
        TooLargeError: it is larger than uploads may be.
        FullError: other requests take all the room there is.
    """
    pairs = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    files: dict[str, UploadFile] = {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method == "POST" and kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        most = service(request).settings.limits.upload_bytes + MAX_FIELDS
        limited = Request(request.scope, _limited(request.receive, most, hold(request).take))
        try:
            form = await limited.form(max_files=MAX_PARTS, max_fields=MAX_PARTS, max_part_size=MAX_FIELDS)
        except (ClientDisconnect, Km3voError):
            raise
        except Exception:
            raise ParameterError("the body of the request is not a readable form") from None
        # As FastAPI does with forms that it reads itself: files are closed when the answer is sent.
        request.scope["fastapi_middleware_astack"].push_async_callback(form.close)
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                files[name] = value
            else:
                pairs.append((name, value))
    elif request.method == "POST" and kind and await request.body():
        raise ParameterError(
            f"a body of type {kind[:60]} is not understood: "
            "send application/x-www-form-urlencoded or multipart/form-data"
        )
    if any(name == "FORMAT" for name, _ in pairs):
        # With an upload astroquery's TapPlus sends, beside the format that its user wants, one of its own.
        pairs = [pair for pair in pairs if pair[0] != "format"]
    request.scope[PARAMETERS_KEY] = pairs  # for the access log (identity.py)
    return Parameters(pairs, files)


def hold(request: Request) -> Hold:
    """What is kept of this request until it is answered."""
    held: Hold | None = request.scope.get(HOLD_KEY)
    if held is None:
        held = request.scope[HOLD_KEY] = service(request).spool.hold()
        request.scope["fastapi_middleware_astack"].callback(held.release)
    return held


def _limited(receive: Receive, most: int, take: Take) -> Receive:
    """``receive``, until the body has more bytes than it may: not everybody says beforehand how long it is."""
    count = 0

    async def receive_some() -> Message:
        nonlocal count
        message = await receive()
        size = len(message.get("body", b""))
        count += size
        if count > most:
            raise TooLargeError(f"a request may have {most} bytes; this one has more")
        take(size)
        return message

    return receive_some


def base_url(request: Request) -> str:
    """The address of the service as the client knows it: the one of the settings, else the one that was asked."""
    settings = service(request).settings
    return settings.base_url if settings.url else str(request.base_url).rstrip("/")


def wants_gzip(scope: Scope) -> bool:
    """Whether a client takes gzip, by its header Accept-Encoding (RFC 9110 §12.5.3)."""
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            for coding in value.decode("latin-1").lower().split(","):
                words = coding.replace(" ", "").split(";")
                if words[0] in ("gzip", "x-gzip"):
                    return not any(word.startswith("q=") and not word[2:].strip("0.") for word in words[1:])
    return False


def service(request: Request) -> Service:
    """The service that answers this request."""
    found: Service = request.app.state.service
    return found


class Query(Protocol):
    """What stands behind a stream of bytes: stopped from any thread, closed by the thread that reads it."""

    def cancel(self) -> None:
        """Stop it; whoever reads it gets an error."""

    def close(self) -> None:
        """Let go of all that it holds."""


class ByteStream(Response):
    """Bytes from a blocking iterator, written by one thread of its own and sent as the client takes them.

    A plain generator in Starlette's StreamingResponse leaks the query when the client goes away, and hops between
    threads for each chunk. Here one thread runs ahead by a few chunks and no further; it stops within a chunk when the
    client leaves, or when it takes nothing for ``idle`` seconds, so that nobody holds a database connection by reading
    slowly.
    """

    AHEAD = 4

    def __init__(
        self,
        running: Service,
        chunks: Iterator[bytes],
        query: Query,
        content_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(headers=dict(headers or {}))
        self.headers["content-type"] = content_type
        del self.headers["content-length"]
        self._service = running
        self._chunks = chunks
        self._query = query
        self._idle = running.settings.limits.idle_client_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if wants_gzip(scope):
            self._chunks = gzip(self._chunks)
            self.headers["content-encoding"] = "gzip"
        loop = asyncio.get_running_loop()
        ready: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue()
        room = threading.Semaphore(self.AHEAD)
        stop = threading.Event()

        def write() -> None:
            end: BaseException | None = None
            try:
                for chunk in self._chunks:
                    room.acquire()
                    if stop.is_set():
                        break
                    loop.call_soon_threadsafe(ready.put_nowait, chunk)
            except BaseException as error:
                end = error
            finally:
                if not stop.is_set():
                    loop.call_soon_threadsafe(ready.put_nowait, end)
                # Only now: the client need not wait while uploaded tables are dropped.
                self._query.close()

        async def forward() -> None:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            while isinstance(chunk := await ready.get(), bytes | bytearray | memoryview):
                async with asyncio.timeout(self._idle):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                room.release()
            if chunk is not None:
                raise chunk  # the connection is cut: a truncated answer must not look complete
            await send({"type": "http.response.body", "body": b""})

        async def listen() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        writer = loop.run_in_executor(self._service.threads, write)
        sending, listening = asyncio.create_task(forward()), asyncio.create_task(listen())
        try:
            await asyncio.wait((sending, listening), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            stop.set()
            room.release()
            # Stop the query at once: the writing thread may be waiting for its next batch.
            await run_in_threadpool(self._query.cancel)
            for task in (sending, listening):
                task.cancel()
            await asyncio.wait((sending, listening, asyncio.ensure_future(writer)), timeout=5)


class Compression(GZipMiddleware):
    """Compresses what clients want compressed, but not files of which they may ask for parts."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Not wanted, Starlette's layer would still read the headers of every answer and write them anew.
        whole = scope["type"] == "http" and wants_gzip(scope) and not PARTIAL.search(scope["path"])
        await (super().__call__ if whole else self.app)(scope, receive, send)


# That a page may read an answer, and which of its headers beside the usual ones (Fetch, section 3.3.3).
_READABLE = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"Location, WWW-Authenticate, Content-Disposition"),
)


class CrossOrigin(CORSMiddleware):
    """Lets pages elsewhere (Aladin Lite, notebooks) ask and read, without a user's credentials.

    Every answer says so, whoever asks: it does not vary with the page, and caches may keep one for all.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] == "OPTIONS":
            await super().__call__(scope, receive, send)
            return

        async def allow(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_READABLE]
            await send(message)

        await self.app(scope, receive, allow)


def gzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks, compressed as they come. ISA-L's level 1 costs a twentieth of zlib's (DESIGN D6)."""
    packer = isal_zlib.compressobj(1, isal_zlib.DEFLATED, 31)
    for chunk in chunks:
        if packed := packer.compress(chunk):
            yield packed
    yield packer.flush()


T = TypeVar("T")


async def soon(running: Service, rows: int, work: Callable[[], T]) -> T:
    """What ``work`` makes of so many rows: many are written in a thread."""
    return work() if rows <= FEW_ROWS else await in_thread(running, work)


async def unless_gone(request: Request, threads: Executor, work: Callable[[], T], cancel: Callable[[], None]) -> T:
    """Do blocking work in a thread, and cancel it should the client go away meanwhile.

    Raises whatever the work raises.
    """
    loop = asyncio.get_running_loop()
    working, leaving = loop.run_in_executor(threads, work), asyncio.create_task(_gone(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        while not working.done():
            # Again and again: what has not begun yet cannot be cancelled.
            await run_in_threadpool(cancel)
            await asyncio.wait((working,), timeout=0.5)
        return working.result()
    except asyncio.CancelledError:
        await run_in_threadpool(cancel)
        raise
    finally:
        leaving.cancel()


async def while_there(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The outcome of a coroutine, which is cancelled should the client go away meanwhile.

    Raises:
        UnavailableError: the client has gone.

    And whatever the work raises.
    """
    working, leaving = asyncio.create_task(work), asyncio.create_task(_gone(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise UnavailableError("nobody waits for this answer any more")
        return working.result()
    finally:
        leaving.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait((working,))


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def in_thread(running: Service, work: Callable[..., T], *arguments: Any) -> T:
    """Do blocking work in one of the service's threads."""
    return await asyncio.get_running_loop().run_in_executor(running.threads, functools.partial(work, *arguments))
