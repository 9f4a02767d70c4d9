"""What has been written of an answer and is not yet taken: a little in memory, the rest in a file without a name.

A slow client used to hold its database connection until it had read all: six at 50 kB/s shut out everybody else for
minutes. Now the query runs to its end, and what waits for its client is bytes on disk.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from threading import Condition, Lock
from typing import BinaryIO

from km3vo.errors import TimeoutExceeded

MEMORY_BYTES = 2**20  # of one answer, beside the chunk at hand
PIECE_BYTES = 2**18  # sent at once, so that a slow client shows that it goes on
GRACE_SECONDS = 0.05  # who takes a chunk in this time needs no file
RESERVE = 2**30  # bytes of the disk that stay free
FILES_EACH = 64  # answers of one client on disk: each is a file that is open
LOOK_BYTES = 2**26  # the disk is looked at each time that so many were taken


class AnswersQuota:
    """The room on disk for answers that wait for their clients; one client has half of it at most."""

    def __init__(self, folder: Path, most: int) -> None:
        self.folder = folder
        self._most = most
        self._used: Counter[str] = Counter()
        self._files: Counter[str] = Counter()
        self._free = 0
        self._lock = Lock()

    @property
    def used(self) -> int:
        """Bytes that are taken."""
        return self._used.total()

    def open(self, client: str) -> BinaryIO | None:
        """A file for an answer to a client; None when it has as many as it may."""
        with self._lock:
            if self._files[client] >= FILES_EACH:
                return None
            self._files[client] += 1
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return tempfile.TemporaryFile(dir=self.folder, buffering=0)
        except OSError:
            self._close(client)
            return None

    def close(self, client: str, file: BinaryIO) -> None:
        """Let go of a file, and with it of its bytes on disk."""
        file.close()
        self._close(client)

    def _close(self, client: str) -> None:
        with self._lock:
            self._files[client] -= 1
            if not self._files[client]:
                del self._files[client]

    def reserve(self, client: str, count: int) -> bool:
        """Count so many bytes more for a client. False when there is no room for them."""
        with self._lock:
            if self.used + count > self._most or self._used[client] + count > self._most // 2:
                return False
            self._free -= count
            if self._free < 0:
                self._free = min(shutil.disk_usage(self.folder).free - RESERVE, LOOK_BYTES) - count
                if self._free < 0:
                    return False
            self._used[client] += count
            return True

    def release(self, client: str, count: int) -> None:
        """So many bytes are on disk no more."""
        with self._lock:
            self._used[client] -= count
            if self._used[client] <= 0:
                del self._used[client]


class Backlog:
    """The chunks of one answer. One thread puts them in and ends; the event loop takes them out and closes."""

    def __init__(self, quota: AnswersQuota, client: str, patience: float, tell: Callable[[], object]) -> None:
        """
        Args:
            quota: the disk for the rest.
            client: whose share of the disk it is.
            patience: how many seconds in all the writer waits for the client while there is no room on disk.
            tell: is called, in the thread that writes, when there may be something to take.
        """
        self._quota = quota
        self._client = client
        self._patience = patience
        self._tell = tell
        self._memory: deque[bytes] = deque()
        self._bytes = 0
        self._file: BinaryIO | None = None
        self._taken = 0  # bytes of the disk
        self._written = 0
        self._read = 0
        self._moving = False
        self._ended = False
        self._closed = False
        self._changed = Condition()

    def put(self, chunk: bytes) -> bool:
        """Keep a chunk. Blocks while there is room for it neither in memory nor on disk. False when it is closed.

        Raises:
            TimeoutExceeded: the client takes too little for too long.
        """
        with self._changed:
            if self._bytes and not self.on_disk:
                self._changed.wait_for(self._fits, GRACE_SECONDS)
        while True:
            with self._changed:
                if self._closed:
                    return False
                if not self.on_disk and self._fits():
                    self._memory.append(chunk)
                    self._bytes += len(chunk)
                    break
                pieces = [*self._memory, chunk]
                self._memory.clear()
                self._moving = True
            written = self._write(pieces)  # without the lock, which the event loop takes
            with self._changed:
                self._moving = False
                if written:
                    self._written += written
                    self._bytes = 0
                    break
                self._memory.extend(pieces[:-1])
                self._tell()
                began = time.monotonic()
                self._changed.wait(max(0.0, self._patience))
                self._patience -= time.monotonic() - began
                if self._patience <= 0 and not self._closed:
                    raise TimeoutExceeded("the answer was read too slowly, and there is no room to keep the rest of it")
        self._tell()
        return True

    def end(self) -> None:
        """Nothing is put in any more."""
        with self._changed:
            self._ended = True
            self._release()
        self._tell()

    @property
    def on_disk(self) -> bool:
        """Whether the next piece is there, so that to take it may take a while."""
        return self._read < self._written

    def take(self) -> bytes:
        """The next piece, or b"" when there is none just now."""
        with self._changed:
            if self.on_disk:
                assert self._file is not None
                piece = os.pread(self._file.fileno(), PIECE_BYTES, self._read)
                self._read += len(piece)
                if self._read == self._written and not self._moving:
                    self._file.truncate(0)
                    self._forget_file()
            elif self._memory:
                piece = self._memory.popleft()
                self._bytes -= len(piece)
            else:
                return b""
            self._changed.notify_all()
            return piece

    def close(self) -> None:
        """Nothing is taken out any more."""
        with self._changed:
            self._closed = True
            self._memory.clear()
            self._release()
            self._changed.notify_all()

    def _release(self) -> None:
        # By whoever comes last: the other one may be writing into the file.
        if self._ended and self._closed and self._file is not None:
            self._quota.close(self._client, self._file)
            self._file = None
            self._forget_file()

    def _forget_file(self) -> None:
        self._quota.release(self._client, self._taken)
        self._read = self._written = self._taken = 0

    def _fits(self) -> bool:
        return self._bytes < MEMORY_BYTES

    def _write(self, pieces: list[bytes]) -> int:
        """Append to the file; says how many bytes were written: all or, without room for them, none."""
        count = sum(map(len, pieces))
        if self._file is None:
            self._file = self._quota.open(self._client)
        if self._file is None or not self._quota.reserve(self._client, count):
            return 0
        place = self._written
        try:
            for piece in pieces:
                rest = memoryview(piece)
                while rest:
                    done = os.pwrite(self._file.fileno(), rest, place)
                    place, rest = place + done, rest[done:]
        except OSError:  # the disk is full after all
            self._quota.release(self._client, count)
            return 0
        self._taken += count
        return count
