"""Room on disk: how many bytes of requests and of results are kept, so that nobody fills the disk for everybody.

What is counted is counted for one process; the results folder, which processes share, is measured again and again.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from km3vo.errors import FullError

# PostgreSQL may lie on the same disk, and stops when there is no room left.
RESERVE = 2**30
OLD_SECONDS = 60.0  # after that what other processes wrote is looked at, too
YOUNG_SECONDS = 1.0  # a folder that is full is not measured more often than that

# Is told how many bytes are about to be kept; raises FullError when there is no room for them.
Take = Callable[[int], None]


class Folder:
    """The folder of the jobs' files, which holds ``most`` bytes and leaves `RESERVE` bytes of the disk free."""

    def __init__(self, place: Path, most: int) -> None:
        self._place = place
        self._most = most
        self._left = 0
        self._measured = -OLD_SECONDS
        self._lock = threading.Lock()

    def take(self, count: int) -> None:
        """Say that ``count`` bytes are about to be written; 0 asks whether there is room at all.

        Raises:
            FullError: there is no room for them.
        """
        with self._lock:
            age = time.monotonic() - self._measured
            if age >= OLD_SECONDS or (self._left <= count and age >= YOUNG_SECONDS):
                self._measure()
            if self._left <= count:
                raise FullError(
                    "the service has no room for more results just now: delete jobs that you do not need any more, "
                    "or try again in an hour, when others have been removed"
                )
            self._left -= count

    def _measure(self) -> None:
        self._place.mkdir(mode=0o700, parents=True, exist_ok=True)
        used = sum(_size(Path(folder, file)) for folder, _, files in os.walk(self._place) for file in files)
        self._left = min(self._most - used, shutil.disk_usage(self._place).free - RESERVE)
        self._measured = time.monotonic()


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # removed meanwhile
        return 0


class Spool:
    """What this process keeps of requests until they are answered, ``most`` bytes at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._used = 0

    def hold(self) -> Hold:
        """The share of one request, empty as yet."""
        return Hold(self)

    def change(self, count: int) -> None:
        """Count bytes in or out; on the event loop only."""
        if count > 0 and self._used + count > self._most:
            raise FullError("the service holds as many uploaded tables as it can just now; try again in a minute")
        self._used += count


class Hold:
    """The share of one request."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._held = 0

    def take(self, count: int) -> None:
        """Count ``count`` more bytes.

        Raises:
            FullError: the process holds as many as it may.
        """
        self._spool.change(count)
        self._held += count

    def release(self) -> None:
        """The request has been answered."""
        self._spool.change(-self._held)
        self._held = 0
