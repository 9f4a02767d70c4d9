"""What the service counts for Prometheus: nothing unless its operator asks for it (KM3VO_METRICS_PORT).

Server processes count into files that one server, on a port of its own, adds up (operating/metrics_server.py). Labels
are few: a route as the routes have it, a status, an audience, a lane.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge, Histogram

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # by it prometheus-client knows that there are several processes
SECONDS = (0.005, 0.02, 0.05, 0.15, 0.5, 1, 3, 10, 30, 60, 300)


@dataclass(frozen=True, slots=True)
class Instruments:
    """What is counted.

    Attributes:
        requests: answered, by route, status and audience.
        seconds: until the last byte of an answer, by route.
        bytes: sent, by route.
        turns: queries and cones that have a connection, or wait for one, by audience, lane and state.
        kept: bytes that are kept of requests, and of answers for slow clients.
        memory: bytes of the server processes.
        slow: queries that took longer than short ones may, by audience.
    """

    requests: Counter
    seconds: Histogram
    bytes: Counter
    turns: Gauge
    kept: Gauge
    memory: Gauge
    slow: Counter


_made: list[Instruments] = []


def instruments() -> Instruments | None:
    """What is counted with; None when nothing is."""
    if not _made and os.environ.get(FOLDER):
        _made.append(_make())
    return _made[0] if _made else None


def _make() -> Instruments:
    from prometheus_client import Counter, Gauge, Histogram

    return Instruments(
        requests=Counter("km3vo_requests", "Requests that were answered", ["route", "status", "audience"]),
        seconds=Histogram("km3vo_request_seconds", "Time until the last byte", ["route"], buckets=SECONDS),
        bytes=Counter("km3vo_response_bytes", "Bytes of answers", ["route"]),
        turns=Gauge(
            "km3vo_turns",
            "Queries and cones that have a connection or wait for one",
            ["audience", "lane", "state"],
            multiprocess_mode="livesum",
        ),
        kept=Gauge("km3vo_kept_bytes", "Bytes kept of requests and answers", ["what"], multiprocess_mode="livesum"),
        memory=Gauge("km3vo_memory_bytes", "Memory of the server processes", multiprocess_mode="livesum"),
        slow=Counter("km3vo_slow_queries", "Queries that took longer than short ones may", ["audience"]),
    )


def resident_bytes() -> int:
    """Bytes of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
