"""How the service is, for its operator, whom it tells of embargoed events: `km3vo status` and the metrics show it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import psycopg

from km3vo.catalog.model import Catalog
from km3vo.database.logins import OWNER, Database
from km3vo.embargo import clock, release
from km3vo.embargo.release import Status
from km3vo.errors import Km3voError
from km3vo.settings import Settings

JOBS = """
SELECT phase, lane, count(*)::int, coalesce(extract(epoch FROM now() - min(queued)), 0)::float8
FROM km3vo.job GROUP BY phase, lane
"""
LOADS = """
SELECT published, sum(rows)::bigint, max(loaded_at) FROM km3vo.load WHERE unloaded IS NULL
GROUP BY published ORDER BY published
"""
RELEASED = "SELECT max(at) FROM km3vo.release_log WHERE what = 'release'"
CHANNELS = """
SELECT channel, count(*) FILTER (WHERE sent IS NULL AND failed IS NULL)::int,
    coalesce(extract(epoch FROM now() - min(created) FILTER (WHERE sent IS NULL AND failed IS NULL)), 0)::float8,
    count(*) FILTER (WHERE failed > now() - interval '1 day')::int
FROM km3vo.alert_delivery GROUP BY channel ORDER BY channel
"""
ACCEPTED = (
    "SELECT document ->> 'tense', count(*)::int FROM km3vo.alert WHERE document IS NOT NULL GROUP BY 1 ORDER BY 1"
)
REFUSED = "SELECT count(*)::int FROM km3vo.alert_log WHERE what = 'refused'"
# How many were acknowledged within so many seconds, and how long all took together.
DELIVERED = """
SELECT channel, array_agg(within ORDER BY bound), min(whole)::int, min(total)::float8 FROM (
    SELECT channel, bound, count(*) FILTER (WHERE seconds <= bound)::int AS within, count(*) AS whole,
        sum(seconds) AS total
    FROM (SELECT channel, extract(epoch FROM sent - created) AS seconds FROM km3vo.alert_delivery
        WHERE sent IS NOT NULL) AS one, unnest(%s::float8[]) AS bound
    GROUP BY channel, bound
) AS each GROUP BY channel ORDER BY channel
"""
BOUNDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 30.0, 300.0, 3600.0)  # of the histogram, in seconds
HELD = "SELECT count(*)::int FROM km3vo.alert_held WHERE ended IS NULL"
HEARTBEATS = """
SELECT pipeline, detector, extract(epoch FROM clock_timestamp() - heard)::float8
FROM km3vo.alert_heartbeat ORDER BY pipeline, detector
"""
SIZE = "SELECT pg_database_size(current_database())"
SESSIONS = """
SELECT count(*)::int, current_setting('max_connections')::int, coalesce(max(extract(epoch FROM now() - query_start))
    FILTER (WHERE state = 'active' AND backend_type = 'client backend'), 0)::float8 FROM pg_catalog.pg_stat_activity
"""
REPLICAS = """
SELECT application_name, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0)::float8
FROM pg_catalog.pg_stat_replication
"""


@dataclass(slots=True)
class State:
    """How the service is.

    Attributes:
        jobs: (phase, lane, how many, seconds that the oldest has been there).
        loads: (table, rows, when the last of them came).
        tables: of the embargoed ones, how many events are in which state.
        channels: (channel, alerts that wait, seconds that the oldest has, alerts that were given up within a day).
        accepted: (tense, revisions of alerts that were accepted).
        refused: standard events that were not.
        delivered: (channel, alerts that were acknowledged within each of ``BOUNDS`` since they were accepted, all that
            were, seconds together).
        held: alerts that wait for a person.
        heartbeats: (pipeline, detector, seconds since it was heard).
        released_at: when the last events became public.
        clock: why the database's clock is not trusted, or None.
        size: bytes of the database.
        sessions, most_sessions: connections to the server, and how many there may be.
        longest: seconds that the longest statement has run.
        replicas: (name, bytes that it is behind).
        free: bytes that are free where the service keeps its files.
        wrong: what could not be found out.
    """

    jobs: Sequence[tuple[str, str, int, float]] = ()
    loads: Sequence[tuple[str, int, datetime]] = ()
    tables: list[Status] = field(default_factory=list)
    channels: Sequence[tuple[str, int, float, int]] = ()
    accepted: Sequence[tuple[str, int]] = ()
    refused: int = 0
    delivered: Sequence[tuple[str, list[int], int, float]] = ()
    held: int = 0
    heartbeats: Sequence[tuple[str, str, float]] = ()
    released_at: datetime | None = None
    clock: str | None = None
    size: int = 0
    sessions: int = 0
    most_sessions: int = 0
    longest: float = 0
    replicas: Sequence[tuple[str, float]] = ()
    free: int = 0
    wrong: list[str] = field(default_factory=list)


def look(settings: Settings, database: Database, catalog: Catalog) -> State:
    """How the service is just now; never raises for what is away, but says so."""
    state = State()
    with contextlib.suppress(OSError):
        state.free = shutil.disk_usage(settings.home).free
    try:
        with database.connect(OWNER, autocommit=True) as owner:
            state.jobs = owner.execute(JOBS).fetchall()
            state.loads = owner.execute(LOADS).fetchall()
            state.channels = owner.execute(CHANNELS).fetchall()
            state.accepted = owner.execute(ACCEPTED).fetchall()
            ((state.refused,),) = owner.execute(REFUSED).fetchall()
            state.delivered = owner.execute(DELIVERED, (list(BOUNDS),)).fetchall()
            ((state.held,),) = owner.execute(HELD).fetchall()
            state.heartbeats = owner.execute(HEARTBEATS).fetchall()
            ((state.released_at,),) = owner.execute(RELEASED).fetchall()
            state.clock = clock.read(owner).stopped
            state.tables = [release.status(owner, table) for table in catalog.tables if table.release.embargoed]
        with database.connect(autocommit=True) as admin:
            ((state.size,),) = admin.execute(SIZE).fetchall()
            ((state.sessions, state.most_sessions, state.longest),) = admin.execute(SESSIONS).fetchall()
            state.replicas = admin.execute(REPLICAS).fetchall()
    except (Km3voError, psycopg.Error) as error:
        state.wrong.append(str(error) if isinstance(error, Km3voError) else f"the database said {error.sqlstate}")
    return state
