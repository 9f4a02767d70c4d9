"""The metrics on a port of their own, for the operator's Prometheus: they tell of embargoed events.

One server adds up what all server processes count, and asks the database for what is in it.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from km3vo.catalog.model import Catalog
from km3vo.database.logins import Database
from km3vo.metrics import FOLDER
from km3vo.operating.state import BOUNDS, State, look
from km3vo.settings import Settings

_OF_PROCESS = re.compile(r"_(\d+)\.db$")
LOOK_SECONDS = 10.0  # the database is asked no more often, however many ask for the metrics


class FromDatabase(Collector):
    """What is in the database and on the disk."""

    def __init__(self, settings: Settings, database: Database, catalog: Catalog) -> None:
        self._settings = settings
        self._database = database
        self._catalog = catalog
        self._lock = threading.Lock()
        self._looked = -LOOK_SECONDS
        self._state = State()

    def collect(self) -> Iterator[Metric]:
        """The figures as they are now."""
        with self._lock:
            if time.monotonic() - self._looked >= LOOK_SECONDS:
                self._state, self._looked = look(self._settings, self._database, self._catalog), time.monotonic()
            state, now = self._state, time.time()
        yield _gauge("km3vo_up", "Whether the database could be asked", 0 if state.wrong else 1)
        yield _gauge("km3vo_disk_free_bytes", "Free where the service keeps its files", state.free)
        if state.wrong:
            return
        yield _gauge("km3vo_database_bytes", "Size of the database", state.size)
        yield _gauge("km3vo_sessions", "Connections to PostgreSQL", state.sessions)
        yield _gauge("km3vo_sessions_most", "Connections that there may be", state.most_sessions)
        yield _gauge("km3vo_longest_statement_seconds", "How long the longest statement has run", state.longest)
        yield _gauge("km3vo_clock_trusted", "Whether the database's clock is trusted", 0 if state.clock else 1)
        jobs = GaugeMetricFamily("km3vo_jobs", "Jobs by phase and lane", labels=["phase", "lane"])
        age = GaugeMetricFamily("km3vo_oldest_job_seconds", "Since the oldest was queued", labels=["phase", "lane"])
        for phase, lane, count, seconds in state.jobs:
            jobs.add_metric([phase, lane], count)
            if phase in ("QUEUED", "EXECUTING"):
                age.add_metric([phase, lane], seconds)
        outbox = GaugeMetricFamily("km3vo_outbox_depth", "Alerts that wait to be sent", labels=["channel"])
        oldest = GaugeMetricFamily("km3vo_outbox_oldest_seconds", "Since the oldest was accepted", labels=["channel"])
        for channel, waiting, seconds, _ in state.channels:
            outbox.add_metric([channel], waiting)
            oldest.add_metric([channel], seconds)
        accepted = CounterMetricFamily("km3vo_alerts_accepted", "Revisions of alerts accepted", labels=["tense"])
        for tense, count in state.accepted:
            accepted.add_metric([tense], count)
        refused = CounterMetricFamily("km3vo_alerts_refused", "Standard events refused", state.refused)
        delivery = HistogramMetricFamily("km3vo_delivery_seconds", "Until alerts were acknowledged", labels=["channel"])
        for channel, within, count, total in state.delivered:
            bounds = [(str(bound), number) for bound, number in zip(BOUNDS, within, strict=True)]
            delivery.add_metric([channel], buckets=[*bounds, ("+Inf", count)], sum_value=total)
        yield _gauge("km3vo_alerts_held", "Alerts that wait for a person", state.held)
        heard = GaugeMetricFamily("km3vo_heartbeat_age_seconds", "Since a pipeline was heard", labels=["source"])
        for pipeline, detector, seconds in state.heartbeats:
            heard.add_metric([f"{detector} {pipeline}"], seconds)
        loaded = GaugeMetricFamily("km3vo_last_load_timestamp_seconds", "When rows were last loaded", labels=["table"])
        for table, _, at in state.loads:
            loaded.add_metric([table], at.timestamp())
        events = GaugeMetricFamily("km3vo_events", "Events of embargoed tables", labels=["table", "state"])
        lag = GaugeMetricFamily("km3vo_promotion_lag_seconds", "Since due events were looked for", labels=["table"])
        for one in state.tables:
            for name in ("public", "embargoed", "pending", "failed", "due", "held"):
                events.add_metric([one.table, name], getattr(one, name))
            if one.checked_at:
                lag.add_metric([one.table], now - one.checked_at.timestamp())
        behind = GaugeMetricFamily("km3vo_replication_lag_bytes", "How far replicas are behind", labels=["replica"])
        for name, missing in state.replicas:
            behind.add_metric([name], missing)
        yield from (accepted, refused, delivery)
        yield from (jobs, age, outbox, oldest, heard, loaded, events, lag, behind)


class Processes(MultiProcessCollector):
    """What the server processes count, without the gauges of those that are gone."""

    def collect(self) -> Iterator[Metric]:
        """The figures as they are now."""
        for entry in os.scandir(os.environ[FOLDER]):
            found = _OF_PROCESS.search(entry.name)
            if found and not os.path.exists(f"/proc/{found[1]}"):
                mark_process_dead(int(found[1]))  # type: ignore[no-untyped-call]
        return super().collect()  # type: ignore[no-any-return,no-untyped-call]


def serve(settings: Settings, database: Database, catalog: Catalog) -> None:
    """Begin to give the metrics, at the settings' port; before server processes start, which count from then on."""
    folder = settings.home / "metrics"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    os.environ[FOLDER] = str(folder)
    registry = CollectorRegistry()
    Processes(registry)  # type: ignore[no-untyped-call]
    registry.register(FromDatabase(settings, database, catalog))
    start_http_server(settings.metrics_port, settings.metrics_host, registry)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value)
