"""Uploads by URL: what is fetched, and what never is."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from km3vo.errors import Km3voError, TooLargeError, UploadError
from km3vo.settings import Limits
from km3vo.uploads.fetch import fetch, is_public

HERE = "127.0.0.1"


class Answers(BaseHTTPRequestHandler):
    """/file, /redirect?URL, /loop, /missing, and /slow, which never ends."""

    seen: list[tuple[str, str]] = []  # noqa: RUF012

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        self.seen.append((path, self.headers["Host"]))
        if path == "/redirect" or path == "/loop":
            self.send_response(302)
            self.send_header("Location", query or "/loop")
            self.end_headers()
        elif path == "/missing":
            self.send_error(404)
        else:
            self.send_response(200)
            self.end_headers()
            for _ in range(1000 if path == "/slow" else 1):
                self.wfile.write(b"a,b\n1,2\n")
                self.wfile.flush()
                if path == "/slow":
                    time.sleep(0.1)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def web() -> Iterator[int]:
    """Port of a web server on loopback."""
    with ThreadingHTTPServer((HERE, 0), Answers) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


NOT_FETCHED = "could not be fetched: there has to be a file"


def get(url: str, *, allowed: tuple[str, ...] = (HERE,), room: int = 1000, seconds: int = 20) -> bytes:
    limits = Limits(upload_hosts=list(allowed), upload_seconds=seconds)
    with asyncio.run(fetch(url, limits, room, lambda count: None)) as file:
        return file.read()


def test_a_file(web: int) -> None:
    assert get(f"http://{HERE}:{web}/file") == b"a,b\n1,2\n"
    assert get(f"http://{HERE}:{web}/redirect?/file") == b"a,b\n1,2\n"
    assert get(f"http://someone:secret@{HERE}:{web}/file") == b"a,b\n1,2\n"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "192.0.2.1", "198.18.0.1", "224.0.0.1", "239.1.1.1", "255.255.255.255", "240.0.0.1", "::1", "::", "fe80::1",
        "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:c0a8:101::1",
        "2002:808:808::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "::8.8.8.8", "::7f00:1", "fec0::1",
        "64:ff9b::808:808", "64:ff9b:1::808:808", "192.88.99.1", "::ffff:192.88.99.1", "5f00::1", "3fff::1",
        "3fff:fff::1", "4000::1", "100::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_asked(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "192.88.98.1", "2001:4860:4860::8888", "::ffff:8.8.8.8", "3ffe::1"])
def test_addresses_that_are(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]"]
)
def test_this_machine_is_not_asked_whatever_it_is_called(web: int, host: str) -> None:
    Answers.seen.clear()
    with pytest.raises(UploadError):
        get(f"http://{host}:{web}/file", allowed=())
    assert Answers.seen == []


def test_redirects_are_looked_at_too(web: int) -> None:
    for there in (f"http://localhost:{web}/file", "http://169.254.169.254/latest", "file:///etc/passwd", "ftp://x/"):
        Answers.seen.clear()
        with pytest.raises(UploadError):
            get(f"http://{HERE}:{web}/redirect?{there}")
        assert [path for path, _ in Answers.seen] == ["/redirect"]
    with pytest.raises(UploadError, match=NOT_FETCHED):
        get(f"http://{HERE}:{web}/loop")


def test_a_name_cannot_mean_something_else_a_moment_later(web: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def resolve(self: Any, host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        address = HERE if len(asked) == 1 else "192.0.2.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", resolve)
    Answers.seen.clear()
    assert get(f"http://data.example.org:{web}/file", allowed=("data.example.org",)) == b"a,b\n1,2\n"
    # The address that was looked at got the request; HTTP's own resolver was not asked again for the name.
    assert asked.count("data.example.org") == 1
    assert Answers.seen == [("/file", f"data.example.org:{web}")]


def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(self: Any, host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("8.8.8.8", "10.0.0.1")]

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", resolve)
    with pytest.raises(UploadError, match=NOT_FETCHED):
        get("http://data.example.org/file", allowed=())


def test_other_ports_are_not_asked(web: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of hosts that the operator has not named."""

    async def resolve(self: Any, host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", port))]

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", resolve)
    sent: list[int] = []

    async def send(self: Any, request: httpx.Request, **_: Any) -> httpx.Response:
        sent.append(request.url.port or 80)
        raise httpx.ConnectError("nobody is there")

    monkeypatch.setattr(httpx.AsyncClient, "send", send)
    for port in (0, 22, 5432, 8080, web):
        with pytest.raises(UploadError, match=NOT_FETCHED):
            get(f"http://data.example.org:{port}/file", allowed=())
    assert sent == []
    with pytest.raises(UploadError, match=NOT_FETCHED):
        get("http://data.example.org/file", allowed=())
    with pytest.raises(UploadError, match=NOT_FETCHED):
        get(f"http://data.example.org:{web}/file", allowed=("data.example.org",))
    assert sent == [80, web]


def test_limits(web: int) -> None:
    with pytest.raises(TooLargeError, match="5 bytes"):
        get(f"http://{HERE}:{web}/file", room=5)
    began = time.monotonic()
    with pytest.raises(UploadError, match=f"{NOT_FETCHED}.* within 1 seconds"):
        get(f"http://{HERE}:{web}/slow", room=10**6, seconds=1)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "url",
    ["http://", "http://[", "http:///x", "nonsense", "https://nowhere.invalid/x", "http://a b/", "http://x:99999/"],
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(Km3voError):
        get(url)


def test_why_it_failed_is_not_told(web: int) -> None:
    """What answers, refuses, is not known or not asked is told alike: the answers would be a map of our network."""
    told = set()
    for url in (
        f"http://{HERE}:{web}/missing",
        f"http://{HERE}:{web}/loop",
        f"http://{HERE}:{web}/redirect?http://10.0.0.1/",
        f"http://{HERE}:1/file",
        f"http://localhost:{web}/file",
        "http://10.0.0.1/",
        "http://nowhere.invalid/",
        f"http://{'a' * 70}.example.org/",
    ):
        with pytest.raises(UploadError) as failure:
            get(url)
        told.add(str(failure.value).replace(url, "URL"))
    assert len(told) == 1
