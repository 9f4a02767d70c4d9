"""Keeping what we tell about the data true: coverages, editions, the ObsCore tables, and the registry's records.

To be called after everything that can change what is public or how it is described: publishing, loading, a release;
the service does it when it starts and every so often (``Announcer``). It looks before it writes: called for nothing, it
changes nothing.
"""

from __future__ import annotations

import logging
import threading

import psycopg

from km3vo.catalog.model import Catalog
from km3vo.catalog.tap_schema import TAP_SCHEMA
from km3vo.errors import Km3voError
from km3vo.registry import store
from km3vo.registry.records import Shelf, records
from km3vo.settings import Settings
from km3vo.store import coverage, editions, obscore
from km3vo.store.database import SERVICE, Database

log = logging.getLogger(__name__)


def announce(settings: Settings, database: Database, catalog: Catalog, *, force: bool = False) -> list[str]:
    """Measure what may have changed and bring the records up to date.

    Args:
        catalog: all published tables, without TAP_SCHEMA.
        force: measure every table, also where nothing was loaded or released.

    Returns:
        the identifiers of the registry records that are new, changed or deleted.
    """
    for table in catalog.tables:
        coverage.refresh(database, table, force=force)
    coverage.forget(database, {table.qualified for table in catalog.tables})
    with database.connect(SERVICE, autocommit=True) as service:
        shelf = _shelf(service, settings, catalog)
        products = obscore.refresh(service, settings, catalog, shelf.coverages, shelf.editions)
        for table in products:
            coverage.refresh(database, table, force=True)
        return store.agree(service, lambda: records(_shelf(service, settings, catalog)))


def _shelf(service: psycopg.Connection, settings: Settings, catalog: Catalog) -> Shelf:
    """What the records are made from, as it is now."""
    coverages = coverage.read(service)
    latest = {name: editions.find(service, name) for name in coverages}
    return Shelf(
        settings=settings,
        published=catalog,
        catalog=Catalog((*catalog.schemas, TAP_SCHEMA)),
        coverages=coverages,
        editions={name: edition for name, edition in latest.items() if edition},
    )


class Announcer:
    """Announces every so often, in a thread of its own: loads and releases may be made by other processes.

    Those that serve the same database take turns, and find nothing left to do.
    """

    def __init__(self, settings: Settings, database: Database, catalog: Catalog) -> None:
        self._work = settings, database, catalog
        self._seconds = settings.announce_seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="announcing", daemon=True)

    def start(self) -> None:
        """Begin, unless it is switched off."""
        if self._seconds > 0:
            self._thread.start()

    def stop(self) -> None:
        """Stop when the table at hand is measured; waits a few seconds for it."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                if changed := announce(*self._work):
                    log.info("%d registry records changed", len(changed))
            except (psycopg.Error, Km3voError) as error:
                # Not the text of it: it could quote a row.
                log.warning(
                    "coverages and records are as they were (%s)", getattr(error, "sqlstate", None) or "no database"
                )
            self._stopped.wait(self._seconds)
