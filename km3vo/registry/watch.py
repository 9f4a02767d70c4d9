"""What is made from public rows follows them at once: whoever changes them, in whatever process.

And is looked at every so often all the same: descriptions change, too.
"""

from __future__ import annotations

import contextlib
import time

import psycopg

from km3vo.catalog.model import Catalog
from km3vo.database.logins import SERVICE, Database
from km3vo.registry.refresh import refresh_metadata
from km3vo.settings import Settings

# Changes with releases, with loads into tables without embargo, and with corrections of public rows. Loads of embargoed
# events have no share in it: that something is measured anew must not tell of them.
STAMP = """
SELECT string_agg(concat_ws(' ', published, at), ',' ORDER BY published, at) FROM (
    SELECT published, released_at FROM km3vo.embargoed
    UNION ALL SELECT published, changed_at FROM km3vo.versioned
    UNION ALL SELECT published, max(loaded_at) FROM km3vo.load
        WHERE published NOT IN (SELECT published FROM km3vo.embargoed) GROUP BY published
) AS changes (published, at)
"""
SECONDS = 1.0  # pages, records and counts are to agree with the rows within two


class Watch:
    """Looks again and again whether public rows have changed, and has everything made anew that is made from them;
    and does so every ``metadata_seconds`` of the settings without a change.
    """

    def __init__(self, settings: Settings, database: Database, catalog: Catalog) -> None:
        self._settings, self._database, self._catalog = settings, database, catalog
        self._connection: psycopg.Connection | None = None
        self._seen: object = None
        self._refreshed = 0.0  # by the monotonic clock

    def look(self) -> None:
        """Bring the metadata up to date if public rows have changed, or it is time. For one thread only.

        Raises:
            SetupError, psycopg.Error: the database is away; the next look makes up for it.
        """
        try:
            found = self._stamp()
        except psycopg.OperationalError:  # PostgreSQL was restarted, or ended this session: once more with another
            self.close()
            found = self._stamp()
        if found != self._seen or time.monotonic() - self._refreshed >= self._settings.metadata_seconds:
            refresh_metadata(self._settings, self._database, self._catalog)
            self._seen, self._refreshed = found, time.monotonic()

    def _stamp(self) -> object:
        if self._connection is None or self._connection.closed:
            self._connection = self._database.connect(SERVICE, autocommit=True)
        return self._connection.execute(STAMP).fetchone()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()
