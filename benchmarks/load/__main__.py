"""`make load` runs it for a minute, `KM3VO_LOAD_SECONDS=600 make load` for ten, `KM3VO_WORKERS=4 make load` with four
server processes.

A service of its own is started in an empty home. Everybody has an address of their own, told in X-Forwarded-For as a
proxy tells it; each hog has one, too. ``KM3VO_LOAD_HOGS`` chooses hogs by their names, separated by commas ("none" for
none), and ``KM3VO_LOAD_SLOWER=4`` makes the pauses of the clients four times as long. Beside the service an application
that says hello is asked, as the floor: what it takes, the machine and the clients take.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import uvloop

from benchmarks.load import hogs
from benchmarks.load.asking import LAG, Kind
from benchmarks.load.clients import FLOOR, Clients
from benchmarks.load.watch import Watch
from benchmarks.target import free_port

SECONDS = float(os.environ.get("KM3VO_LOAD_SECONDS", "60"))
SLOWER = float(os.environ.get("KM3VO_LOAD_SLOWER", "1"))
CHOSEN = [one for one in os.environ.get("KM3VO_LOAD_HOGS", ",".join(hogs.KINDS)).split(",") if one != "none"]
REST_SECONDS = 20.0  # before the first request, in which a service that was just filled makes its descriptions
# Seconds within which 99 of 100 are wanted.
GOALS = {"cone": 0.15, "short TAP": 1.0, "availability": 0.1, "job starts": 1.0, "job ends": 3.0}


@contextlib.contextmanager
def service() -> Iterator[tuple[int, subprocess.Popen[bytes], Path]]:
    """A service in a home of its own; gives its port, its process and its home."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="km3vo-load-") as folder:
        os.chmod(folder, 0o711)
        home = Path(folder, "km3vo")
        command = [sys.executable, "-c", "from km3vo.commands.main import main; main()", "up", "--port", str(port)]
        with open(f"{folder}/log", "wb") as log:
            process = subprocess.Popen(command, env=os.environ | {"KM3VO_HOME": str(home)}, stderr=log)
        try:
            while not _listens(port):
                if process.poll() is not None:
                    sys.exit(Path(folder, "log").read_text())
                time.sleep(0.5)
            time.sleep(REST_SECONDS)
            yield port, process, home
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(120)


@contextlib.contextmanager
def floor() -> Iterator[int]:
    """An application that says hello; gives its port."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--log-level", "error", "--port", str(port), "benchmarks.hello:app"]
    process = subprocess.Popen(command)
    try:
        while not _listens(port):
            time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def table(kinds: dict[str, Kind], watch: Watch) -> bool:
    """Print what everybody met. Whether nothing was answered with a fault of ours."""
    least = kinds[FLOOR].quantile(0.99)
    print(f"{'':22}{'answered':>9}{'p50 s':>9}{'p99 s':>9}{'most s':>9}{'goal':>7}{'/ floor':>9}   statuses")
    well = True
    for name, kind in sorted(kinds.items()):
        goal = GOALS.get(name)
        missed = goal is not None and not kind.quantile(0.99) <= goal
        figures = "".join(f"{kind.quantile(part):9.3f}" for part in (0.5, 0.99, 1.0))
        ratio = kind.quantile(0.99) / least if least and not name.startswith("hog") else math.nan
        told = ", ".join(f"{count} x {status or 'broken'}" for status, count in sorted(kind.statuses.items()))
        without = f"; {kind.without} x 503 without Retry-After" if kind.without else ""
        print(
            f"{name:22}{len(kind.seconds):9}{figures}{goal or '':>7}{' !' if missed else '  '}{ratio:7.1f}   "
            f"{told}{without}"
        )
        faults = {status for status in kind.statuses if status >= 500}
        well = well and not kind.without and not (faults - {503} if name.startswith("hog") else faults)
    for name in ("cone", "short TAP", "job"):
        if counts := kinds[name].answered if name in kinds else None:
            share = min(counts.values()) / (sum(counts.values()) / len(counts))
            print(f"fairness, {name}: the least served of {len(counts)} had {share:.2f} of an equal share (goal 0.5)")
    print(
        f"memory: service {watch.first / 1e6:.0f} MB before, {watch.service / 1e6:.0f} MB at most (goal 600); "
        f"PostgreSQL {watch.database / 1e6:.0f} MB at most"
    )
    taken = ", ".join(f"{name} {spent:.0f} s" for name, spent in watch.processor.items())
    print(f"processor: {taken}")
    return well


def main() -> None:
    """Run the load, and print the table."""
    with service() as (port, process, home), floor() as other:
        until = time.monotonic() + SECONDS
        clients, watch = Clients(port, other, until, SLOWER), Watch(process.pid, home)

        async def work() -> None:
            watching = asyncio.create_task(watch.run())
            command = [sys.executable, "-m", "benchmarks.load.hogs", str(port), str(SECONDS), *CHOSEN]
            crowd = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, limit=2**30)
            await clients.run()
            told, _ = await crowd.communicate()
            clients.kinds |= {kind: Kind.heard(met) for kind, met in json.loads(told).items()}
            watching.cancel()

        said = ", ".join(CHOSEN) or "none"
        print(
            f"300 clients for {SECONDS:g} seconds, pauses x {SLOWER:g}; hogs: {said}; {os.cpu_count()} processors, "
            f"load of the machine {os.getloadavg()[0]:.1f} before",
            flush=True,
        )
        uvloop.run(work())
        well = table(clients.kinds, watch)
        print(f"load of the machine {os.getloadavg()[0]:.1f} after; {LAG} were late by as much as the table says")
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
