"""Looking at processes through /proc, by what everybody may read, in containers and as any user."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path


def command(pid: int) -> list[str]:
    """The command line of a process; PostgreSQL's children put their title there. [] when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode(errors="surrogateescape").split("\0")
    except OSError:
        return []


def lives(pid: int) -> bool:
    """Whether a process is there and has not ended: one whose parent never asks stays listed as a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def titled(start: str) -> list[int]:
    """The numbers of the living processes whose title begins with `start`."""
    numbers = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [pid for pid in numbers if " ".join(command(pid)).startswith(start) and lives(pid)]


def signal_to(pid: int, what: signal.Signals) -> None:
    """Send a signal to a process, which may have gone meanwhile."""
    try:
        os.kill(pid, what)
    except ProcessLookupError:
        return


def wait(done: Callable[[], bool], seconds: float) -> bool:
    """Wait until `done()`, but no longer than this; returns whether it is."""
    until = time.monotonic() + seconds
    while not (over := done()) and time.monotonic() < until:
        time.sleep(0.02)
    return over
