"""Clients that read slowly take no connection to the database away from others, and no disk without an end."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import httpx
import pytest

from km3vo.database.logins import Database
from km3vo.errors import TimeoutExceeded
from km3vo.results import backlog
from km3vo.results.backlog import AnswersQuota, Backlog
from tests.protocols.readers import MANY, begin, eventually, running
from tests.support.server import Server, serve

pytestmark = pytest.mark.slow


@pytest.fixture
def narrow(published: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server with 40 MB of disk for slow clients, which have three seconds for 256 KiB."""
    monkeypatch.setenv("KM3VO_LIMITS_ANSWERS_BYTES", str(80_000_000))
    monkeypatch.setenv("KM3VO_LIMITS_IDLE_CLIENT_SECONDS", "3")
    with serve(published, tmp_path) as server:
        yield server


def sip(client: socket.socket, stop: threading.Event) -> None:
    """Read 50 kB a second, until the answer ends."""
    with contextlib.suppress(OSError):
        while not stop.wait(0.1) and client.recv(5_000):
            pass


def test_slow_readers_shut_out_nobody(server: Server, published: Database) -> None:
    """Six at 50 kB/s held all connections for more than 200 seconds."""
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        for _ in range(6):
            slow = stack.enter_context(begin(server, MANY, MAXREC=300_000))
            threading.Thread(target=sip, args=(slow, stop)).start()
        assert eventually(lambda: running(published) == 0, 60), "the database has given all it has"
        disk = server.app.state.service.answers_quota
        assert disk.used > 6 * 4_000_000, "which waits on disk"
        assert list(server.settings.answers.iterdir()) == [], "in files that go with the process"
        query = {"LANG": "ADQL", "QUERY": "SELECT TOP 1 id FROM icecube.ps3yr"}
        assert httpx.get(f"{server.tap}/sync", params=query).status_code == 200
        stop.set()
    assert eventually(lambda: disk.used == 0)
    assert disk._files == {}


def test_a_slow_reader_gets_every_byte(server: Server) -> None:
    asked = {"LANG": "ADQL", "QUERY": MANY + " ORDER BY a.id, b.id", "MAXREC": "200000", "FORMAT": "csv"}
    whole = httpx.get(f"{server.tap}/sync", params=asked, headers={"Accept-Encoding": "identity"}).content
    parts = urlsplit(server.tap)
    with socket.create_connection((parts.hostname, parts.port)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        address = f"{parts.path}/sync?{urlencode(asked)}"
        client.sendall(f"GET {address} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        client.recv(100)
        assert eventually(lambda: server.app.state.service.answers_quota.used > 0), "it went through the disk"
        raw = bytearray()
        while some := client.recv(1 << 20):
            raw += some
    body, rest = bytearray(), bytes(raw).partition(b"\r\n\r\n")[2]
    while (size := int(rest[: (line := rest.index(b"\r\n"))], 16)) > 0:
        body += rest[line + 2 : line + 2 + size]
        rest = rest[line + 4 + size :]
    assert hashlib.sha256(body).digest() == hashlib.sha256(whole).digest()


def test_an_answer_that_does_not_fit_is_cut(narrow: Server, published: Database) -> None:
    with begin(narrow, MANY) as client:
        threading.Thread(target=sip, args=(client, stop := threading.Event())).start()
        assert eventually(lambda: running(published) == 0, 60), "its reader has used up its time"
        assert narrow.app.state.service.answers_quota.used <= 40_000_000
        stop.set()
    assert eventually(lambda: narrow.app.state.service.answers_quota.used == 0)


def kept(tmp_path: Path, most: int, *, patience: float = 0.2) -> tuple[AnswersQuota, Backlog]:
    disk = AnswersQuota(tmp_path, most)
    return disk, Backlog(disk, "me", patience, lambda: None)


def test_pieces_come_out_as_they_went_in(tmp_path: Path) -> None:
    disk, waiting = kept(tmp_path, 2**30)
    chunks = [os.urandom(size) for size in (10, 2**20, 3 * 2**20, 7, 2**19, 2**20, 1)]
    taken = b""
    for number, chunk in enumerate(chunks):
        assert waiting.put(chunk)
        if number % 3 == 2:
            taken += waiting.take()
    assert disk.used > 0
    while piece := waiting.take():
        taken += piece
    assert taken == b"".join(chunks)
    assert disk.used == 0, "what was taken is given back"
    assert waiting.put(b"again") and waiting.take() == b"again"
    waiting.end()
    waiting.close()


def test_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, waiting = kept(tmp_path, 2**20)
    assert waiting.put(bytes(2**20))
    with pytest.raises(TimeoutExceeded, match="too slowly"):
        waiting.put(bytes(2**20))
    assert waiting.take() == bytes(2**20), "what was there is not lost"
    waiting.end()
    waiting.close()
    monkeypatch.setattr(backlog, "RESERVE", 2**60)
    assert not AnswersQuota(tmp_path, 2**30).reserve("me", 1), "the rest of the disk is for others"
    files = [disk.open("me") for _ in range(backlog.FILES_EACH)]
    assert disk.open("me") is None
    for client, file in (("other", disk.open("other")), *(("me", file) for file in files)):
        assert file is not None
        disk.close(client, file)


def test_a_full_disk_is_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    disk, waiting = kept(tmp_path, 2**30)
    waiting.put(bytes(2**20))
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(TimeoutExceeded):
        waiting.put(b"more")
    assert disk.used == 0
    waiting.end()
    waiting.close()


def test_a_writer_that_waits_hears_of_the_end(tmp_path: Path) -> None:
    _, waiting = kept(tmp_path, 1, patience=60)
    assert waiting.put(bytes(2**20))
    told: list[bool] = []
    thread = threading.Thread(target=lambda: told.append(waiting.put(b"more")))
    thread.start()
    time.sleep(0.2)
    waiting.close()
    thread.join(20)
    waiting.end()
    assert told == [False]
