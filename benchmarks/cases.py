"""What is measured, in order. Each case gives a figure and, where it has a floor, its ratio to that in the same run."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import httpx

from benchmarks import measure
from benchmarks.target import MILLION, Target

FORMATS = ("votable", "votable/td", "csv", "tsv", "fits", "parquet", "arrow", "json", "ecsv")
# What each case may cost, as the project set it: at most (ratio or figure), or at least.
BARS = {
    "1M rows votable": "≤ 2.0 × COPY",
    "1M rows votable/td": "≤ 3.5 × COPY",
    "1M rows csv": "≤ 3 × COPY",
    "1M rows parquet": "≤ 3 × COPY",
    "1M rows fits": "≤ 3 × COPY",
    "1M rows arrow": "≤ 3 × COPY",
    "1M rows votable: first byte": "≤ 300 ms",
    "1M rows votable: memory": "≤ 150 MB",
    "5M rows votable: memory": "≤ 150 MB",
    "cone 1°, 8 clients": "≥ 12 % of hello, p50 ≤ 15 ms",
    "TAP cone 1°": "≤ 10 ms",
    "upload 1000, count within 1°": "≤ 120 ms",
    "map, nside 64": "≤ 20 % of numpy",
    "map, nside 64: memory": "≤ 512 MB",
    "map, nside 128": "≤ 4 × nside64",
    "10,000 scrambles": "≤ 60 s",
    "pairs of 10⁶ and 10⁵": "≤ 20 s",
    # Of a million events on two quiet cores, where COPY takes 0.95 s: 8 s to load them, 10 s for the others.
    "load of embargoed events": "≤ 8.4 × COPY",
    "another latency": "≤ 10.5 × COPY",
    "another latency again": "≤ 10.5 × COPY",
    "release": "≤ 10.5 × COPY",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a case.

    Attributes:
        case: what was measured.
        value, unit: the figure; None when there is none.
        ratio: to the floor; a rate's is below 1, a duration's above.
        floor: what the ratio is to.
        note: what else was seen.
    """

    case: str
    value: float | None
    unit: str
    ratio: float | None = None
    floor: str = ""
    note: str = ""

    def as_row(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self) | {"bar": BARS.get(self.case, "")}


def cones(target: Target) -> Iterator[Figure]:
    """Cone searches at random places: one client's latency, and what 1, 8 and 32 clients get together.

    Of wide ones the service lets fewer of one address wait than 32.
    """
    hello = {n: measure.rate(target.hello, n) for n in (1, 8, 32)} if target.hello else {}
    for clients, floor in hello.items():
        yield Figure(f"hello world, {clients} clients", floor.per_second, "/s", note=f"p50 {floor.median * 1e3:.1f} ms")
    for radius in (0.1, 1, 10):
        place = _somewhere(radius)
        yield Figure(f"cone {radius}°", measure.latency(target.cone, place) * 1e3, "ms")
        for clients in (1, 8, 32) if radius < 10 else (1, 8):
            got = measure.rate(target.cone, clients, radius)
            yield Figure(
                f"cone {radius}°, {clients} clients",
                got.per_second,
                "/s",
                got.per_second / hello[clients].per_second if hello else None,
                "hello" if hello else "",
                f"p50 {got.median * 1e3:.1f} ms",
            )
    if target.rows:
        radius = round(math.sqrt(MILLION / target.rows), 4)
        yield Figure(
            "cone of 80 events", measure.latency(target.cone, _somewhere(radius), 300) * 1e3, "ms", note=f"{radius}°"
        )


def _somewhere(radius: float) -> Callable[[Random], dict[str, object]]:
    return lambda random: {"RA": _ra(random), "DEC": _dec(random), "SR": radius}


def _ra(random: Random) -> float:
    return round(360 * random.random(), 4)


def _dec(random: Random) -> float:
    return round(math.degrees(math.asin(1.4 * random.random() - 0.9)), 4)


def texts(target: Target) -> dict[str, Callable[[Random], str]]:
    """Small queries: what each is called, and its ADQL, at another place each time."""
    near = "CONTAINS(POINT({0.ra}, {0.dec}), CIRCLE({1}, {2}, {3}))"
    return {
        "TAP top-1": lambda random: f"SELECT TOP 1 * FROM {target.table}",
        "TAP cone 1°": lambda random: (
            f"SELECT {target.columns} FROM {target.table} WHERE 1 = {near.format(target, _ra(random), _dec(random), 1)}"
        ),
        "TAP cone 10°": lambda random: (
            f"SELECT {target.columns} FROM {target.table} "
            f"WHERE 1 = {near.format(target, _ra(random), _dec(random), 10)}"
        ),
        "TAP count": lambda random: f"SELECT COUNT(*) FROM {target.table}",
        "TAP group by": lambda random: f"SELECT {target.group}, COUNT(*) FROM {target.table} GROUP BY {target.group}",
    }


def asked(query: str, **more: object) -> dict[str, object]:
    """The parameters of a query."""
    return {"LANG": "ADQL", "REQUEST": "doQuery", "QUERY": query, **more}


def query_latency(target: Target, text: Callable[[Random], str], times: int) -> float:
    """Median milliseconds of a small query."""
    return measure.latency(f"{target.tap}/sync", lambda random: asked(text(random)), times) * 1e3


def queries(target: Target) -> Iterator[Figure]:
    """Small TAP queries, one client."""
    for case, text in texts(target).items():
        times = 100 if "cone 1°" in case or "top" in case else 20
        yield Figure(case, query_latency(target, text, times), "ms")


def download(target: Target, rows: int, form: str) -> measure.Download:
    """So many rows in a format."""
    query = f"SELECT TOP {rows} {target.columns} FROM {target.table}"
    return measure.download(f"{target.tap}/sync", asked(query, MAXREC=rows, FORMAT=form), target.process)


def downloads(target: Target) -> Iterator[Figure]:
    """A million rows in every format, against PostgreSQL's own binary COPY of them."""
    floor = measure.seconds(target.floor) if target.floor else None
    if floor:
        yield Figure("COPY of 1M rows to nowhere", floor, "s")

    for name in FORMATS:
        runs = [download(target, MILLION, name) for _ in range(3)]
        middle = sorted(runs, key=lambda run: run.total)[1]
        note = f"{middle.size / 1e6:.0f} MB, {middle.size / 1e6 / middle.total:.0f} MB/s"
        if middle.cpu is not None:
            note += f", {middle.cpu:.1f} s of processor"
        yield Figure(
            f"1M rows {name}", middle.total, "s", middle.total / floor if floor else None, "COPY" if floor else "", note
        )
        yield Figure(f"1M rows {name}: first byte", middle.first * 1e3, "ms")
        if middle.grown is not None:
            yield Figure(f"1M rows {name}: memory", max(run.grown or 0 for run in runs) / 1e6, "MB", note="above idle")
    if target.rows >= 5 * MILLION:
        run = download(target, 5 * MILLION, "votable")
        yield Figure("5M rows votable", run.total, "s", note=f"{run.size / 1e6:.0f} MB")
        yield Figure("5M rows votable: memory", (run.grown or 0) / 1e6, "MB", note="above idle")


def jobs(target: Target) -> Iterator[Figure]:
    """An asynchronous job from its creation to its result."""
    taken = []
    with httpx.Client(timeout=120) as client:
        for _ in range(20):
            started = time.perf_counter()
            asked = {"LANG": "ADQL", "QUERY": f"SELECT TOP 1 * FROM {target.table}", "PHASE": "RUN"}
            job = client.post(f"{target.tap}/async", data=asked).headers["location"]
            while not client.get(f"{job}?WAIT=10").text.count(">COMPLETED<"):
                continue
            client.get(f"{job}/results/result", follow_redirects=True).raise_for_status()
            taken.append(time.perf_counter() - started)
    yield Figure("async job, created → fetched", sorted(taken)[len(taken) // 2] * 1e3, "ms")


def upload(target: Target, table: Path, condition: str, times: int) -> float | None:
    """Median seconds of counting the pairs of uploaded positions ``u`` and events ``e``; None if it takes too long."""
    query = f"SELECT COUNT(*) FROM TAP_UPLOAD.mine AS u JOIN {target.table} AS e ON {condition}"
    request = httpx.Request(
        "POST",
        f"{target.tap}/sync",
        data=asked(query, UPLOAD="mine,param:table"),
        files={"table": (table.name, table.read_bytes(), "text/csv")},
    )
    return measure.post(str(request.url), request.read(), request.headers["content-type"], times)


def conditions(target: Target) -> dict[str, str]:
    """What makes a position and an event a pair."""
    return {
        "within 1°": f"DISTANCE(POINT(e.{target.ra}, e.{target.dec}), POINT(u.ra, u.dec)) < 1",
        "within 0.1°": f"DISTANCE(POINT(e.{target.ra}, e.{target.dec}), POINT(u.ra, u.dec)) < 0.1",
        "inside the event's error": f"1 = CONTAINS(POINT(u.ra, u.dec), CIRCLE(e.{target.ra}, e.{target.dec}, "
        f"e.{target.error}))",
    }


def uploads(target: Target, folder: Path) -> Iterator[Figure]:
    """Positions uploaded and crossmatched."""
    for count in (1000, 10_000):
        table = measure.positions(count, folder)
        for name, condition in conditions(target).items():
            seconds = upload(target, table, condition, 15 if count == 1000 else 3)
            yield Figure(
                f"upload {count}, count {name}",
                seconds and seconds * 1e3,
                "ms",
                note="" if seconds else "longer than the service allows",
            )


def ourselves(target: Target) -> Iterator[Figure]:
    """What only we can measure: translation, loading, starting, memory at rest."""
    if target.process is None:
        return
    code = (
        "import timeit; from pathlib import Path; from km3vo.adql import translate; from km3vo.store import embargo;"
        "from km3vo.catalog.files import read_catalog; from km3vo.settings import Settings;"
        "s = embargo.sources(read_catalog(Settings().schemas), 'public');"
        "q = 'SELECT * FROM km3net.events WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(10.5, 20.25, 1))';"
        "translate(q, s); print(min(timeit.repeat(lambda: translate(q, s), number=100, repeat=5)) * 10)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    yield Figure("ADQL: translating a cone", float(printed), "ms")
    if target.load_rate:
        yield Figure("loading", target.load_rate, "rows/s")
    if target.start_seconds:
        yield Figure("starting the service", target.start_seconds, "s", note="`km3vo serve`, the cluster runs already")
    yield Figure("memory of the server at rest", target.idle / 1e6, "MB")
