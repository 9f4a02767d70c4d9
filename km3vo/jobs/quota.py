"""The bytes of the jobs' files, counted, so that nobody fills the disk for everybody.

The results folder, which processes share, is measured again and again.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path

from km3vo.errors import FullError

# PostgreSQL may lie on the same disk, and stops when there is no room left.
RESERVE = 2**30
OLD_SECONDS = 60.0  # after that what other processes wrote is looked at, too
YOUNG_SECONDS = 1.0  # a folder that is full is not measured more often than that


class ResultsQuota:
    """The folder of the jobs' files, which holds ``most`` bytes and leaves `RESERVE` bytes of the disk free."""

    def __init__(self, place: Path, most: int) -> None:
        self._place = place
        self._most = most
        self._left = 0
        self._measured = -OLD_SECONDS
        self._lock = threading.Lock()

    def reserve(self, count: int) -> None:
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

    def measure_anew(self) -> None:
        """Look at the folder again: files were removed."""
        with self._lock:
            self._measured = -OLD_SECONDS

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
