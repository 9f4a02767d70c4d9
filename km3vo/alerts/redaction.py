"""Taking away what an alert says, for legal reasons: the one thing that can happen to a published revision."""

from __future__ import annotations

import psycopg

from km3vo.alerts.tables import AlertTables
from km3vo.errors import NotFoundError

REDACT = (
    "UPDATE km3vo.alert SET document = NULL, redacted = clock_timestamp() "
    "WHERE event_name = %s AND redacted IS NULL RETURNING revision"
)
EMPTY = (
    "UPDATE km3vo.alert_delivery SET payload = NULL, "
    "failed = CASE WHEN sent IS NULL THEN coalesce(failed, clock_timestamp()) ELSE failed END WHERE event_name = %s"
)
# Maps that no alert names any more, nor one that waits.
FORGET = (
    "DELETE FROM km3vo.alert_skymap AS map WHERE NOT EXISTS (SELECT FROM km3vo.alert "
    "WHERE document #>> '{skymap,file}' = map.sha256) AND NOT EXISTS (SELECT FROM km3vo.alert_held "
    "WHERE ended IS NULL AND position(convert_to(map.sha256, 'UTF8') IN document) > 0)"
)
LOG = "INSERT INTO km3vo.alert_log (who, what, event_name, revision, detail) VALUES (%s, 'redacted', %s, %s, %s)"


def redact(connection: psycopg.Connection, name: str, tables: AlertTables, *, reason: str, by: str) -> int:
    """Empty all revisions of an alert; their names and numbers stay. Returns how many there were.

    What was sent cannot be taken back: a retraction tells those who have it.

    Args:
        connection: of the owner; commits.
        tables: that are published.

    Raises:
        NotFoundError: there is no such alert that says something.
    """
    with connection.transaction():
        redacted = connection.execute(REDACT, (name,)).fetchall()
        connection.execute(EMPTY, (name,))
        connection.execute(FORGET)
        tables.forget(connection, name)
        for (revision,) in redacted:
            connection.execute(LOG, (by, name, revision, reason))
    if not redacted:
        raise NotFoundError(f"there is no alert {name} with anything to take away")
    return len(redacted)
