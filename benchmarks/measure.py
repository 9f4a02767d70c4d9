"""Ways to measure: one client's latency, many clients' rate, a download, a process's memory and processor time."""

from __future__ import annotations

import http.client
import re
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from urllib.parse import quote, urlencode, urlsplit

import psutil


def latency(url: str, parameters: Callable[[Random], dict[str, object]], times: int = 100) -> float:
    """Median seconds of a request over one kept connection; the parameters vary from one to the next."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=120)
    random, taken = Random(1), []
    for number in range(times + 3):
        started = time.perf_counter()
        connection.request("GET", f"{parts.path}?{urlencode(parameters(random), quote_via=quote)}")
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise SystemExit(f"{url} answered {response.status}: {body[:500].decode(errors='replace')}")
        if number >= 3:
            taken.append(time.perf_counter() - started)
    connection.close()
    return statistics.median(taken)


def post(url: str, body: bytes, content_type: str, times: int = 15) -> float | None:
    """Median seconds of a POST; None if it takes longer than the service allows."""
    parts = urlsplit(url)
    taken = []
    for number in range(times + 2):
        connection = http.client.HTTPConnection(parts.netloc, timeout=300)
        started = time.perf_counter()
        connection.request("POST", parts.path, body, {"Content-Type": content_type})
        response = connection.getresponse()
        answer = response.read()
        if response.status == 408:
            return None
        if response.status != 200:
            raise SystemExit(f"{url} answered {response.status}: {answer[:500].decode(errors='replace')}")
        if number >= 2:
            taken.append(time.perf_counter() - started)
        connection.close()
    return statistics.median(taken)


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests per second of several clients together, and their median latency in seconds."""

    per_second: float
    median: float


CONES = """
math.randomseed(1)
request = function()
  local ra, dec = 360 * math.random(), math.deg(math.asin(1.4 * math.random() - 0.9))
  return wrk.format("GET", string.format("%s?RA=%.4f&DEC=%.4f&SR=%s", wrk.path, ra, dec, wrk.headers["X-Radius"]))
end
"""


def rate(url: str, clients: int, radius: float | None = None, seconds: int = 5) -> Rate:
    """The rate that wrk reaches with so many clients; with a radius, of cone searches at random places."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing, which plays the clients: apt-get install wrk")
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}", "--latency", url]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if radius is not None:
            script.write(CONES)
            script.flush()
            command += ["-s", script.name, "-H", f"X-Radius: {radius}"]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in printed:
        raise SystemExit(f"{url} failed under load:\n{printed}")
    per_second = float(re.search(r"Requests/sec:\s+([\d.]+)", printed)[1])  # type: ignore[index]
    number, unit = re.search(r"50%\s+([\d.]+)(us|ms|s)", printed).groups()  # type: ignore[union-attr]
    return Rate(per_second, float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[unit])


def seconds(command: Sequence[str], times: int = 3) -> float:
    """Median seconds that a command takes."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


@dataclass(frozen=True, slots=True)
class Download:
    """A download: seconds until the first byte of the body and until the last, bytes, and what it cost the server.

    ``grown`` is how many bytes the server's resident memory grew at most, ``cpu`` its processor seconds; both None
    for a server that is not ours.
    """

    first: float
    total: float
    size: int
    grown: int | None = None
    cpu: float | None = None


def download(url: str, parameters: dict[str, object], process: psutil.Process | None) -> Download:
    """Fetch a document and throw it away."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=600)
    with Watch(process) as watch:
        started = time.perf_counter()
        connection.request("GET", f"{parts.path}?{urlencode(parameters, quote_via=quote)}")
        response = connection.getresponse()
        size = len(response.read(1))
        first = time.perf_counter() - started
        buffer = bytearray(1 << 20)
        while count := response.readinto(buffer):
            size += count
        total = time.perf_counter() - started
    if response.status != 200:
        raise SystemExit(f"{url} answered {response.status}")
    connection.close()
    return Download(first, total, size, watch.grown, watch.cpu)


class Watch:
    """Watches a process: how much its memory grows, and its processor time."""

    def __init__(self, process: psutil.Process | None) -> None:
        self.grown: int | None = None
        self.cpu: float | None = None
        self._process = process
        self._stop = threading.Event()

    def __enter__(self) -> Watch:
        if self._process:
            self._before = self._memory()
            self._cpu = self._time()
            self._peak = self._before
            self._thread = threading.Thread(target=self._sample)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._stop.set()
            self._thread.join()
            self.grown = max(self._peak - self._before, 0)
            self.cpu = self._time() - self._cpu

    def _sample(self) -> None:
        while not self._stop.wait(0.02):
            self._peak = max(self._peak, self._memory())

    def _memory(self) -> int:
        assert self._process
        return int(self._process.memory_info().rss)

    def _time(self) -> float:
        assert self._process
        times = self._process.cpu_times()
        return float(times.user + times.system)


def positions(count: int, folder: Path) -> Path:
    """A CSV file of random positions for uploads."""
    random, file = Random(2), folder / f"positions-{count}.csv"
    lines = [f"{i},{360 * random.random():.5f},{90 * (1.4 * random.random() - 0.9):.5f}" for i in range(count)]
    file.write_text("\n".join(["id,ra,dec", *lines, ""]))
    return file
