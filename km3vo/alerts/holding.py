"""Alerts that wait for a person: since their pipeline is paused, always has to be confirmed, or sends too many.

They are accepted, and nobody outside hears of them: they get their name when they are published.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from km3vo.alerts.standard import StandardEvent
from km3vo.errors import NotFoundError
from km3vo.settings import Settings

PAUSED = "SELECT reason FROM km3vo.alert_pause WHERE pipeline IN ('', %s) ORDER BY pipeline DESC"
# A message that waits is told the same when it comes again.
WAITS = (
    "SELECT CASE content_hash WHEN %s THEN why ELSE 'what it revises waits' END FROM km3vo.alert_held "
    "WHERE alert_id = %s AND pipeline = %s AND ended IS NULL ORDER BY content_hash = %s DESC LIMIT 1"
)
PUBLIC = "SELECT FROM km3vo.alert WHERE alert_id = %s LIMIT 1"
COUNT = (
    "SELECT count(*) FROM km3vo.alert WHERE type = 'initial' AND NOT is_test AND document ->> 'tense' = 'current' "
    "AND published > clock_timestamp() - interval '1 day'"
)
HOLD = (
    "INSERT INTO km3vo.alert_held (sender, alert_id, pipeline, content_hash, document, why) "
    "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (alert_id, content_hash) WHERE ended IS NULL DO NOTHING"
)
FIND = (
    "SELECT id, at, sender, alert_id, pipeline, why, document FROM km3vo.alert_held WHERE ended IS NULL "
    "AND (%(alert)s::text IS NULL OR alert_id = %(alert)s) "
    "AND (%(pipeline)s::text IS NULL OR pipeline = %(pipeline)s) ORDER BY id"
)
END = "UPDATE km3vo.alert_held SET ended = clock_timestamp() WHERE id = %s"
PAUSE = (
    "INSERT INTO km3vo.alert_pause (pipeline, decided_by, reason) VALUES (%s, %s, %s) ON CONFLICT (pipeline) DO NOTHING"
)
RESUME = "DELETE FROM km3vo.alert_pause WHERE pipeline = %s"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that waits.

    Attributes:
        why: it does.
        document: as it came.
    """

    id: int
    at: datetime
    sender: str
    alert_id: str
    pipeline: str
    why: str
    document: bytes


def reason(connection: psycopg.Connection, event: StandardEvent, content: str, settings: Settings | None) -> str | None:
    """Why an event has to wait, or None. A retraction of what is public never does.

    Args:
        content: hash of what the event says.
    """
    retracts = event.type == "retraction"
    if retracts and connection.execute(PUBLIC, (event.alert_id,)).fetchone() is not None:
        return None
    if waits := connection.execute(WAITS, (content, event.alert_id, event.pipeline, content)).fetchone():
        return str(waits[0])
    if retracts:
        return None
    if paused := connection.execute(PAUSED, (event.pipeline,)).fetchone():
        return f"paused: {paused[0]}"
    if settings is None or event.is_test:
        return None
    if event.pipeline in settings.alerts.confirm:
        return "alerts of this pipeline are confirmed by a person"
    if event.tense == "current" and event.type == "initial":
        row = connection.execute(COUNT).fetchone()
        if row and row[0] >= settings.alerts.most_a_day:
            return f"there were {row[0]} current alerts within a day"
    return None


def hold(
    connection: psycopg.Connection, event: StandardEvent, document: bytes, *, sender: str, content: str, why: str
) -> None:
    """Keep a message. Left uncommitted; one that waits already is kept once."""
    connection.execute(HOLD, (sender, event.alert_id, event.pipeline, content, document, why))


def waiting(connection: psycopg.Connection, *, alert: str | None = None, pipeline: str | None = None) -> list[Waiting]:
    """What waits, the oldest first.

    Args:
        alert: of this alert_id alone.
        pipeline: of this pipeline alone.
    """
    with connection.cursor(row_factory=class_row(Waiting)) as cursor:
        return cursor.execute(FIND, {"alert": alert, "pipeline": pipeline}).fetchall()


def end(connection: psycopg.Connection, one: Waiting) -> None:
    """It waits no more: it was published, or dropped."""
    connection.execute(END, (one.id,))


def pause(connection: psycopg.Connection, pipeline: str, *, reason: str, by: str) -> None:
    """Let alerts of a pipeline wait from now on; of all pipelines when it is empty."""
    connection.execute(PAUSE, (pipeline, by, reason))


def resume(connection: psycopg.Connection, pipeline: str) -> None:
    """Let them wait no more. What waits already goes on waiting until it is published or dropped.

    Raises:
        NotFoundError: it was not paused.
    """
    if not connection.execute(RESUME, (pipeline,)).rowcount:
        raise NotFoundError(f"{pipeline or 'publication'} was not paused")
