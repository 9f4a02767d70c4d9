"""Each request and its answer, from the first byte to the last: id, address, headers that all answers have, log."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from km3vo import metrics
from km3vo.errors import Km3voError, StoppingError
from km3vo.logs import request_id
from km3vo.protocols.http.proxies import Proxies
from km3vo.protocols.http.scope import USER_KEY
from km3vo.settings import Settings

log = logging.getLogger("km3vo.access")
faults = logging.getLogger(__name__)

_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# For answers that bring none of their own: nothing in them is run or fetched, wherever they are opened.
POLICY = (
    b"default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self'; frame-ancestors 'self'; base-uri 'none'"
)
STANDING = (
    # That a page elsewhere may read an answer, and which of its headers beside the usual ones (Fetch, section 3.3.3).
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"Location, WWW-Authenticate, Content-Disposition, X-Request-Id, Retry-After"),
    (b"x-content-type-options", b"nosniff"),
    # An address may hold a query, or the id of a job, which is a secret.
    (b"referrer-policy", b"no-referrer"),
    # A page that opened ours has no hold on its window (HTML, section 7.1.3).
    (b"cross-origin-opener-policy", b"same-origin"),
)
# Other sites cannot load pages as parts of theirs (Fetch, section 3.7); data they may read.
PAGE = (b"cross-origin-resource-policy", b"same-origin")
_PAGES = (b"text/html", b"application/xhtml+xml")
HSTS = (b"strict-transport-security", b"max-age=31536000")


class Exchanges:
    """The outermost layer of the application (ASGI middleware).

    Pages elsewhere (Aladin Lite, notebooks) may ask and read, without a user's credentials; every answer says so,
    whoever asks: it does not vary with the page, and caches may keep one for all.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._preflight = CORSMiddleware(app, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])
        self._proxies = Proxies(settings.proxies)
        self._secure = settings.base_url.startswith("https:")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope, send, trusted=self._proxies.apply(scope), secure=self._secure)
        request_id.set(exchange.id)
        try:
            if not _is_utf8(scope.get("raw_path", b"")):
                await exchange.refuse(400, "the address holds percent escapes that are not UTF-8: encode it as UTF-8")
            elif scope["method"] == "OPTIONS":
                await self._preflight(scope, receive, exchange.send)
            else:
                await self._app(scope, receive, exchange.send)
        except ClientDisconnect:
            exchange.broken = "the client left"
        except asyncio.CancelledError:
            if not await exchange.stop():
                raise
        except Exception as error:
            await exchange.fail(error)
        finally:
            exchange.end()


class Exchange:
    """One request and its answer.

    Attributes:
        id: of the request, in its log lines and in the answer.
        broken: why the answer is not whole, or "".
    """

    def __init__(self, scope: Scope, send: Send, *, trusted: bool, secure: bool = False) -> None:
        self.id = (_told_id(scope) if trusted else None) or secrets.token_hex(8)
        self.broken = ""
        self._scope = scope
        self._send = send
        self._secure = secure
        self._began = time.perf_counter()
        self._status = 0
        self._bytes = 0

    async def send(self, message: Message) -> None:
        """Send a part of the answer on; the first gets the headers that all answers have.

        Raises:
            ClientDisconnect: nobody is there to take it.
        """
        if message["type"] == "http.response.start":
            self._status = message["status"]
            present = dict(message["headers"])
            standing = (*STANDING, (b"content-security-policy", POLICY), (b"x-request-id", self.id.encode()))
            headers = [*message["headers"], *(header for header in standing if header[0] not in present)]
            if PAGE[0] not in present and present.get(b"content-type", b"").startswith(_PAGES):
                headers.append(PAGE)
            if self._secure or self._scope["scheme"] == "https":
                headers.append(HSTS)
            message["headers"] = headers
        else:
            self._bytes += len(message.get("body", b""))
        try:
            await self._send(message)
        except RuntimeError as error:
            # uvloop's word for a connection that was closed while it was written to.
            if "handler is closed" in str(error):
                raise ClientDisconnect from None
            raise

    async def refuse(self, status: int, text: str, told: dict[str, str] | None = None) -> None:
        """Answer with a line of text; ``told`` are more headers."""
        body = f"{text}\n".encode()
        headers = [*((name.lower().encode(), value.encode()) for name, value in (told or {}).items())]
        headers += [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    async def stop(self) -> bool:
        """The server stops, and waits no longer for the answer. Whether there was time for one that says so."""
        self.broken = "the server stopped"
        if self._status:
            return False
        error = StoppingError()
        await self.refuse(error.status, str(error), error.headers)
        return True

    async def fail(self, error: Exception) -> None:
        """The application failed. Its words may quote values from the database, so the client gets none of them."""
        # Starlette's word for an error that comes after the answer began.
        cause = error.__cause__ if self._status and isinstance(error, RuntimeError) and error.__cause__ else error
        if isinstance(cause, ClientDisconnect):
            self.broken = "the client left"
            return
        if isinstance(cause, Km3voError):
            self.broken = str(cause)
        else:
            self.broken = type(cause).__name__
            faults.error("%s while answering %s", type(cause).__name__, self.route, exc_info=cause)
        if not self._status:
            await self.refuse(500, f"the service failed to answer; please tell its contact, with the request {self.id}")

    @property
    def route(self) -> str:
        """The address as the routes have it: without what a client put in, since ids of jobs are secrets."""
        return getattr(self._scope.get("route"), "path", None) or "-"

    def end(self) -> None:
        """Count the request, and write its line."""
        seconds = time.perf_counter() - self._began
        if (counted := metrics.instruments()) is not None:
            user = self._scope.get(USER_KEY)
            kind = "observer" if user and user.audience.startswith("km3vo_") else user.audience if user else "public"
            counted.requests.labels(self.route, str(self._status), kind).inc()
            counted.seconds.labels(self.route).observe(seconds)
            counted.bytes.labels(self.route).inc(self._bytes)
        level = logging.INFO if self._status < 500 else logging.WARNING
        if not log.isEnabledFor(level):
            return
        user = self._scope.get(USER_KEY)
        fields: dict[str, Any] = {
            "method": self._scope["method"],
            "route": self.route,
            "status": self._status,
            "ms": round(1000 * seconds, 2),
            "bytes": self._bytes,
            "audience": user.audience if user else "-",
        }
        if self.broken:
            fields["broken"] = self.broken
        log.log(level, "answered", extra={"fields": fields})


def _told_id(scope: Scope) -> str | None:
    """The id that a proxy has given the request."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value.decode() if _ID.fullmatch(value) else None
    return None


def _is_utf8(path: bytes) -> bool:
    """Whether the percent escapes of a path are UTF-8."""
    if b"%" in path:
        try:
            unquote_to_bytes(path).decode()
        except UnicodeDecodeError:
            return False
    return True
