"""Anything at all is sent over sockets: every answer is one of ours, no request hangs, none leaves a traceback.

`KM3VO_FUZZ_HTTP` is the number of conversations (default 600); `KM3VO_SEED` where to begin. `make test-fuzz-http` is
the long form.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import re
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote_from_bytes

import pytest

from km3vo.database.logins import Database
from km3vo.logs import WithoutNoise
from km3vo.protocols.dali import forms
from km3vo.protocols.http import server as limits
from tests.support.server import Server, serve

pytestmark = pytest.mark.slow

REQUESTS = int(os.environ.get("KM3VO_FUZZ_HTTP", "600"))
SEED = int(os.environ.get("KM3VO_SEED", "1"))
THREADS = 24
PATIENCE = 60.0  # seconds, after which a request hangs

NAMES = (
    b"QUERY LANG REQUEST FORMAT RESPONSEFORMAT MAXREC UPLOAD RUNID PHASE WAIT RA DEC SR VERB ID verb metadataPrefix "
    b"identifier from until resumptionToken detail tables EXECUTIONDURATION DESTRUCTION ACTION AFTER LAST format"
).split()
VALUES = (
    *(b"", b"ADQL", b"SELECT TOP 1 ra FROM icecube.ps3yr", b"SELECT * FROM", b"csv", b"1", b"-1", b"1e999", b"nan"),
    *(b"RUN", b"t,param:t", b"t,http://127.0.0.1:1/", b"ListRecords", b"ivo_vor", b"2020-01-01", b"x" * 3000, b"\x00"),
    *(b"\xff\xfe", "é\N{RIGHT-TO-LEFT OVERRIDE}𝄞".encode(), b"'\"><&;%", b"%00%ff", b"\r\nX: y", b"../../etc/passwd"),
    b"9" * 40,
)
HEADERS = (
    b"Authorization Accept Accept-Encoding Content-Type Cookie Range If-None-Match If-Modified-Since If-Range Origin "
    b"X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto Forwarded X-Request-Id Host Referer User-Agent Connection "
    b"Expect Upgrade Content-Length Transfer-Encoding Access-Control-Request-Method"
).split()
HEADER_VALUES = (
    *(b"Basic \xff\xfe", b"Basic Og==", b"Bearer ", b"Bearer \x80", b"*/*", b"gzip;q=0", b"bytes=0-", b"bytes=9-1,-"),
    *(b'W/"', b"Sat, 99 Foo", b'for="[::1', b"::1%eth0", b"a" * 5000, b"\t", b"chunked", b"close", b"keep-alive"),
    *(b"100-continue", b"websocket", b"multipart/form-data", b"application/x-www-form-urlencoded; charset=\xff"),
    *(b"-1", b"99999999999999999999", b"evil.example:99999", "é".encode(), b"application/json", b"text/html"),
)
SIZES = (b"zz", b"-1", b"ffffffffffffffffff", b"", b"5;x=y")
METHODS = (b"GET", b"GET", b"GET", b"POST", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"x", b"\xff")
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


class Fuzzer:
    """Requests by chance, the same for the same seed."""

    def __init__(self, seed: int, paths: list[str]) -> None:
        self._by = random.Random(seed)
        self._paths = paths

    def value(self) -> bytes:
        """One of the values, or any bytes."""
        if self._by.random() < 0.7:
            return self._by.choice(VALUES)
        return self._by.randbytes(self._by.choice((1, 3, 20, 200)))

    def parameters(self) -> bytes:
        """Of an address or of a form."""
        pairs = []
        for _ in range(self._by.randrange(6)):
            value = self.value()
            escaped = quote_from_bytes(value).encode() if self._by.random() < 0.95 else value
            pairs.append(self._by.choice(NAMES) + b"=" + escaped)
        return b"&".join(pairs)

    def path(self) -> bytes:
        """Of a route, with anything in its braces."""
        path = self._by.choice(self._paths).encode()
        filled = re.sub(rb"\{[^}]*\}", lambda _: quote_from_bytes(self.value()).encode(), path)
        return self._by.choice((filled, filled, filled, filled + b"/", b"/" + filled, filled[:-1], b"/auth" + filled))

    def multipart(self) -> bytes:
        """Parts with a boundary b, most of them broken somewhere."""
        body = b""
        for _ in range(self._by.randrange(4)):
            name = self._by.choice((*NAMES, b"t", self.value()))
            file = self._by.choice((b"", b'; filename="t"', b'; filename="', b"; filename*=utf-8''%ff"))
            body += b'--b\r\nContent-Disposition: form-data; name="' + name + b'"' + file + b"\r\n\r\n" + self.value()
            body += self._by.choice((b"\r\n", b"\n", b""))
        return body + self._by.choice((b"--b--\r\n", b"--b--", b"--b", b"", b"--c--"))

    def chunked(self, body: bytes) -> bytes:
        """A body in chunks, with sizes that may be wrong."""
        size = self._by.choice(
            (b"%x" % len(body), b"%x" % len(body), b"zz", b"-1", b"ffffffffffffffffff", b"", b"5;x=y")
        )
        return size + b"\r\n" + body + self._by.choice((b"\r\n0\r\n\r\n", b"\r\n0\r\nX: y\r\n\r\n", b"", b"0\r\n"))

    def request(self) -> bytes:
        """One request, or what looks like one."""
        if self._by.random() < 0.05:
            return self._by.randbytes(300) + self._by.choice((b"", b"\r\n\r\n"))
        method = self._by.choice(
            (b"GET", b"GET", b"POST", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"x", b"\xff")
        )
        query = self.parameters()
        target = self.path() + (b"?" + query if query else b"")
        headers = [b"Host: localhost"] if self._by.random() < 0.9 else []
        for _ in range(self._by.randrange(3)):
            odd = self._by.random() < 0.05
            name = self._by.choice((b"X-\xe9", b"", b"A" * 300) if odd else HEADERS)
            headers.append(name + b": " + (self.value() if odd else self._by.choice(HEADER_VALUES)))
        if self._by.random() < 0.8:
            headers.append(b"Connection: close")
        body = b""
        if method in (b"POST", b"PUT") or self._by.random() < 0.1:
            kind, body = self._by.choice(
                (
                    (b"application/x-www-form-urlencoded", self.parameters()),
                    (b"multipart/form-data; boundary=b", self.multipart()),
                    (b"multipart/form-data", self.multipart()),
                    (b"text/xml", self.value()),
                )
            )
            headers.append(b"Content-Type: " + kind)
            if self._by.random() < 0.3:
                headers.append(b"Transfer-Encoding: chunked")
                body = self.chunked(body)
            else:
                headers.append(
                    b"Content-Length: %d" % self._by.choice((len(body), len(body), len(body), 0, len(body) + 9))
                )
        return b"\r\n".join((method + b" " + target + b" HTTP/1.1", *headers)) + b"\r\n\r\n" + body

    def conversation(self) -> tuple[bytes, str]:
        """What is sent over one connection, and how it ends."""
        sent = b"".join(self.request() for _ in range(self._by.choice((1, 1, 1, 2, 4))))
        if self._by.random() < 0.1:
            sent = sent[: self._by.randrange(len(sent) + 1)]
        return sent, self._by.choice(("wait", "wait", "wait", "wait", "half", "close", "reset"))


def talk(port: int, sent: bytes, end: str) -> tuple[list[int], bool]:
    """Say it; the statuses of the answers, and whether the server went on for ever."""
    with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        connection.sendall(sent)
        if end == "half":
            connection.shutdown(socket.SHUT_WR)
        elif end == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        if end in ("close", "reset"):
            return [], False
        answer = b""
        try:
            while some := connection.recv(1 << 16):
                answer += some
        except TimeoutError:
            return [], True
        return [int(status) for status in STATUS.findall(answer)], False
    return [], False


@pytest.fixture
def target(published: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server whose queries end soon, and which fetches nothing from elsewhere."""
    monkeypatch.setenv("KM3VO_LIMITS_SYNC_SECONDS", "5")
    for module, name in ((limits, "HEAD_SECONDS"), (limits, "KEEP_SECONDS"), (forms, "IDLE_SECONDS")):
        monkeypatch.setattr(module, name, 1)
    monkeypatch.setenv("KM3VO_LIMITS_JOBS_UNFINISHED", "1000000")
    with serve(published, tmp_path, promote_seconds=0, metadata_seconds=0) as server:
        yield server


def test_anything_at_all(target: Server, caplog: pytest.LogCaptureFixture) -> None:
    paths = sorted(path for path in target.app.openapi()["paths"] if "stream" not in path)
    statuses: Counter[int] = Counter()
    faults: list[str] = []
    port = target.settings.port

    def work(thread: int) -> None:
        fuzzer = Fuzzer(SEED * 1000 + thread, paths)
        for _ in range(REQUESTS // THREADS):
            sent, end = fuzzer.conversation()
            seen, hangs = talk(port, sent, end)
            statuses.update(seen)
            if hangs or any(status >= 500 and status != 503 for status in seen):
                faults.append(f"{'hangs' if hangs else seen} after {sent[:2000]!r}")

    with caplog.at_level(logging.WARNING), ThreadPoolExecutor(THREADS) as threads:
        for done in [threads.submit(work, number) for number in range(THREADS)]:
            done.result()
    assert not faults, "\n".join([f"{len(faults)} of {REQUESTS}:", *faults[:5]])
    noise = WithoutNoise()
    told = [one for one in caplog.records if (one.exc_info or one.levelno >= logging.ERROR) and noise.filter(one)]
    assert not told, told[:3]
    sys.stdout.write(f"{REQUESTS} conversations: {dict(sorted(statuses.items()))}\n")
    assert statuses[200] > REQUESTS / 50 and statuses[400] > REQUESTS / 50, statuses


def test_the_fuzzer_repeats_itself() -> None:
    one, two = (Fuzzer(7, ["/tap/sync", "/scs/{schema}"]) for _ in range(2))
    assert [one.conversation() for _ in range(50)] == [two.conversation() for _ in range(50)]
    generate: Callable[[], bytes] = Fuzzer(8, ["/tap/sync"]).request
    assert len({generate() for _ in range(50)}) > 45
