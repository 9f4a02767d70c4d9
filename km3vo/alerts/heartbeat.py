"""Heartbeats: a pipeline says once a minute that it looks, so that silence without events differs from a failure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import psycopg
from pydantic import Field, ValidationError

from km3vo.alerts import profile
from km3vo.alerts.intake import CLOCK, Sender, check_clock
from km3vo.alerts.mistakes import AlertError
from km3vo.alerts.standard import Moment, Number, Part, Word
from km3vo.database import failures
from km3vo.database.pool import Pool
from km3vo.errors import ForbiddenError

# Whoever sends more often than it should writes the same row again.
NOTE = (
    "INSERT INTO km3vo.alert_heartbeat AS old (pipeline, detector, status, latency, heard) "
    "VALUES (%(pipeline)s, %(detector)s, %(status)s, %(latency)s, %(now)s) ON CONFLICT (pipeline, detector) "
    "DO UPDATE SET status = excluded.status, latency = excluded.latency, heard = excluded.heard"
)
COUNT = (
    "INSERT INTO km3vo.alert_heartbeat_count AS old (pipeline, detector, hour, beats, beats_on) "
    "VALUES (%(pipeline)s, %(detector)s, date_trunc('hour', %(now)s), 1, (%(status)s = 'on')::int) "
    "ON CONFLICT (pipeline, detector, hour) "
    "DO UPDATE SET beats = old.beats + 1, beats_on = old.beats_on + excluded.beats_on"
)
# Per detector alone: which pipelines there are is nobody's business.
DETECTORS = (
    "SELECT detector, extract(epoch FROM clock_timestamp() - max(heard))::float8, "
    "bool_or(status = 'on' AND heard > clock_timestamp() - make_interval(secs => %(silent)s)) "
    "FROM km3vo.alert_heartbeat GROUP BY detector ORDER BY detector"
)


class Heartbeat(Part):
    """That a pipeline looks."""

    pipeline: Annotated[Word, Field(description="the analysis, as in its alerts")]
    detector: Annotated[Literal["ARCA", "ORCA"], Field(description="whose events it gets")]
    time: Annotated[Moment, Field(description="when this was sent, UTC")]
    status: Annotated[Literal["on", "off", "degraded"], Field(description="whether it would find an alert")]
    latency_s: Annotated[Number, Field(ge=0, description="from an event to its analysis, seconds")] | None = None


@dataclass(frozen=True, slots=True)
class Detector:
    """Whether alerts of a detector can be expected.

    Attributes:
        seconds: since one of its pipelines was heard.
        looks: whether one said lately that it is on.
    """

    detector: str
    seconds: float
    looks: bool


def accept(connection: psycopg.Connection, document: bytes, sender: Sender) -> Heartbeat:
    """Write a heartbeat down.

    Args:
        connection: the service's, in autocommit mode.
        document: JSON, as it came.

    Raises:
        AlertError: it is none; all mistakes are told.
        ForbiddenError: the sender speaks for other pipelines.
        UnavailableError: the database is away.
    """
    beat = _read(document)
    if sender.pipelines and beat.pipeline not in sender.pipelines:
        raise ForbiddenError(f"this token speaks for {', '.join(sender.pipelines)}, not for {beat.pipeline}")
    try:
        with connection.transaction():
            row = connection.execute(CLOCK).fetchone()
            assert row is not None
            (now,) = row
            check_clock("time", beat.time, now)
            values = {"pipeline": beat.pipeline, "detector": beat.detector, "status": beat.status, "now": now}
            connection.execute(NOTE, {**values, "latency": beat.latency_s})
            connection.execute(COUNT, values)
    except psycopg.Error as error:
        raise failures.explain(error.sqlstate) from None
    return beat


async def detectors(pool: Pool, silent: float) -> Sequence[Detector]:
    """The detectors whose pipelines were ever heard.

    Args:
        silent: seconds for which a heartbeat holds.

    Raises:
        UnavailableError: the database is away.
    """
    return [Detector(*row) for row in await pool.rows(DETECTORS, {"silent": silent})]


def schema() -> dict[str, Any]:
    """A heartbeat as a JSON Schema."""
    return Heartbeat.model_json_schema()


def _read(document: bytes) -> Heartbeat:
    message = profile.parse(document)
    found = profile.nulls(message)
    try:
        beat = Heartbeat.model_validate(message)
    except ValidationError as error:
        found += [profile.mistake(each, schema()) for each in error.errors(include_url=False)]
    if found:
        raise AlertError(found)
    return beat
