"""Asking a server over connections that stay open, at a small part of what a comfortable client costs."""

from __future__ import annotations

import http.client
import threading
import zlib
from dataclasses import dataclass

SECONDS = 30.0  # whoever waits longer for an answer is being told something


@dataclass(frozen=True)
class Answer:
    """All that comes back: status, headers in their order, and the body, unpacked.

    Attributes:
        status: None when there was no answer in time.
        whole: whether the body came to its end.
    """

    status: int | None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    whole: bool = True

    def header(self, name: str) -> str:
        """The first header of that name, in lower case; empty when there is none."""
        return next((value for known, value in self.headers if known == name), "")


class Client:
    """One server, asked from any thread; ``always`` are headers of every request, whatever else is sent."""

    def __init__(self, port: int, always: dict[str, str] | None = None) -> None:
        self.port = port
        self._always = always or {}
        self._own = threading.local()
        self._all: list[http.client.HTTPConnection] = []

    def ask(self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        """Send a request and read its answer."""
        try:
            return self._ask(method, target, body, headers or {})
        except TimeoutError:
            self._own.connection.close()
            return Answer(None)
        except (ConnectionError, http.client.BadStatusLine):
            # The server may close a connection that was idle, or one whose request it did not read to the end.
            self._own.connection.close()
            return self._ask(method, target, body, headers or {})

    def close(self) -> None:
        for connection in self._all:
            connection.close()

    def _ask(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> Answer:
        connection = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = http.client.HTTPConnection("127.0.0.1", self.port, SECONDS)
            self._all.append(connection)
        connection.request(method, target, body or None, headers | self._always)
        response = connection.getresponse()
        try:
            content, whole = response.read(), True
        except http.client.IncompleteRead as broken:
            content, whole = broken.partial, False
            connection.close()
        told = tuple((name.lower(), value) for name, value in response.getheaders())
        if response.getheader("Content-Encoding") == "gzip":
            content = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(content)
        return Answer(response.status, told, content, whole)
