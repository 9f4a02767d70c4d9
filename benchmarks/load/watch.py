"""What the service and its PostgreSQL take of the machine, looked at every second."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import psutil


class Watch:
    """Looks at the processes of one service.

    Attributes:
        first: bytes of memory that the service had at rest.
        service, database: most bytes of memory of each, all processes together.
        processor: seconds of processor that each has taken since the start of the watch.
    """

    def __init__(self, pid: int, home: Path) -> None:
        self._service = psutil.Process(pid)
        self._home = str(home)
        self._postmaster: psutil.Process | None = None
        self._began: dict[str, float] = {}
        self.service = self.database = self.first = 0
        self.processor: dict[str, float] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(1)

    def look(self) -> None:
        """Look once."""
        family = [self._service, *self._service.children(recursive=True)]
        cluster = self._cluster()
        ours = [one for one in family if one not in cluster]
        here = sum(_proportional(one.pid) for one in ours)
        self.first = self.first or here
        self.service = max(self.service, here)
        self.database = max(self.database, sum(_proportional(one.pid) for one in cluster))
        for name, processes in (("service", ours), ("PostgreSQL", cluster)):
            spent = sum(_spent(one) for one in processes)
            began = self._began.setdefault(name, spent)
            self.processor[name] = max(self.processor.get(name, 0.0), spent - began)

    def _cluster(self) -> list[psutil.Process]:
        """The processes of the service's own PostgreSQL."""
        if self._postmaster is None:
            for one in psutil.process_iter(["name", "cmdline"]):
                if one.info["name"] == "postgres" and any(self._home in word for word in one.info["cmdline"] or ()):
                    self._postmaster = one
                    break
        if self._postmaster is None:
            return []
        with contextlib.suppress(psutil.Error):
            return [self._postmaster, *self._postmaster.children(recursive=True)]
        return []


def _spent(process: psutil.Process) -> float:
    """Seconds of processor, those of ended children too."""
    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0


def _proportional(pid: int) -> int:
    """Bytes of memory of a process, with its part of what is shared."""
    with contextlib.suppress(OSError, ValueError, IndexError, StopIteration):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return 1024 * int(next(line.split()[1] for line in text.splitlines() if line.startswith("Pss:")))
    return 0
