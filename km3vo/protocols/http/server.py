"""The HTTP server, uvicorn, and what it takes of a request before and after the application sees it.

uvicorn limits neither the address nor the headers of a request, nor the time in which they come: one header line of
64 MB stops everybody for ten seconds, and a connection that sends nothing stays for ever.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from km3vo import __version__
from km3vo.protocols.http.scope import CUT_KEY, STOPPING

SOFTWARE = f"km3vo/{__version__} IVOA-TAP/1.1"
URL_BYTES = 60_000  # httptools itself reads no address above 65,535
HEAD_BYTES = 64 * 1024  # all headers and the address together
HEADERS = 100
HEAD_SECONDS = 20.0  # from the connection, or from the first byte of a later request, until its headers are there
KEEP_SECONDS = 15  # between two requests
LINGER_SECONDS = 1.0  # after a refusal, so that whoever is still sending can read it
REST_BYTES = 64 * 2**20  # of a body that nobody wants any more, since its request was answered
UNSENT_BYTES = 2**17  # of an answer that the kernel takes before the client does


class LimitedProtocol(HttpToolsProtocol):
    """One connection, whose requests have addresses and headers of a limited size, sent in a limited time."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._reading_head = False
        self._head = 0  # bytes of it before the piece at hand
        self._piece = 0
        self._rest = 0
        self._body = 0
        self._received = 0  # of the body with the sizes and trailers of its chunks, after the piece with the headers
        self._timer: asyncio.TimerHandle | None = None
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        # Else the kernel takes 4 MB and asks for more when a third of it is gone: a slow client seems to read nothing.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the headers are longer than they may be, or the body is not wanted."""
        if self._refused:
            return
        before, self._piece, self._received = self._reading_head, len(data), self._received + len(data)
        super().data_received(data)
        if self._reading_head:
            self._head = self._head + self._piece if before else self._piece
            if self._head > HEAD_BYTES:
                self._refuse()
            elif self._timer is None:
                self._wait()
        elif self._received > HEAD_BYTES + 2 * self._body:
            # Nobody needs more for the sizes of chunks, and for trailers, than for what is in them.
            self._refused = True
            self.transport.close()
        elif self.cycle is not None and self.cycle.response_complete:
            self._rest += self._piece
            if self._rest > REST_BYTES:
                self.transport.close()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.scope[CUT_KEY] = self._cut  # type: ignore[literal-required]
        self._reading_head, self._head, self._rest, self._body = True, 0, 0, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """One more header; a trailer is none (RFC 9110 §6.5.1)."""
        if self._reading_head:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._body += len(body)
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """Answer the request, unless it is too long and came in one piece."""
        self._reading_head = False
        self._received = -self._piece
        if self._timer is not None:
            self._stop()
        if len(self.url) > URL_BYTES or len(self.headers) > HEADERS or self._is_long():
            self._refuse()
        else:
            super().on_headers_complete()

    def _is_long(self) -> bool:
        if self._head + self._piece <= HEAD_BYTES:
            return False
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > HEAD_BYTES

    def shutdown(self) -> None:
        """The server is about to stop: tell the application, so that nothing that waits goes on waiting."""
        if (stopping := self.app_state.get(STOPPING)) is not None:
            stopping()
        super().shutdown()

    def _wait(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        if self._reading_head:
            self._answer(408, f"the headers of a request must come within {HEAD_SECONDS:g} seconds")
        else:
            self.transport.close()

    def _refuse(self) -> None:
        if len(self.url) > URL_BYTES:
            self._answer(
                414, f"the address is longer than {URL_BYTES} bytes: send the parameters in the body of a POST"
            )
        else:
            self._answer(431, f"the headers have more than {HEAD_BYTES} bytes, or are more than {HEADERS}")

    def _cut(self) -> None:
        """End the connection, and throw away what the client has not received: the kernel keeps megabytes of it."""
        connection = self.transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _answer(self, status: int, text: str) -> None:
        """Refuse a request that the application never sees, and end the connection."""
        self._refused = True
        self._stop()
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.close()  # in the middle of another answer
            return
        self.cycle = _Answered()  # type: ignore[assignment]
        body = f"{text}\n".encode()
        headers = (
            *self.server_state.default_headers,
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        )
        self.transport.write(STATUS_LINE[status] + b"".join(b"%b: %b\r\n" % pair for pair in headers) + b"\r\n" + body)
        self.loop.call_later(LINGER_SECONDS, self.transport.close)


class _Answered:
    """Stands for a request that was answered, so that the rest of it goes nowhere."""

    response_complete = True

    def __init__(self) -> None:
        self.message_event = asyncio.Event()


def options() -> dict[str, Any]:
    """How uvicorn is to serve the application, beside its address and the number of processes."""
    return {
        "http": LimitedProtocol,
        "ws": "none",
        "access_log": False,  # exchange.py writes a line for each request
        "server_header": False,
        "headers": [("Server", SOFTWARE)],
        "proxy_headers": False,  # proxies.py knows whom to believe
        "timeout_keep_alive": KEEP_SECONDS,
    }
