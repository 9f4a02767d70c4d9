"""Bringing the metadata up to date with the data: coverages, editions, the ObsCore tables, the registry's records.

To be called after everything that can change what is public or how it is described: publishing, loading, a release;
the service does it when it starts and every so often, since loads and releases may be made by other processes. It
writes only what differs from what is stored.
"""

from __future__ import annotations

from km3vo.catalog.model import Catalog
from km3vo.database.logins import SERVICE, Database
from km3vo.errors import FullError
from km3vo.holdings import coverage, obscore
from km3vo.holdings.downloads import DownloadFiles
from km3vo.holdings.reader import read
from km3vo.registry import harvested
from km3vo.registry.records import records
from km3vo.settings import Settings


def refresh_metadata(settings: Settings, database: Database, catalog: Catalog, *, force: bool = False) -> list[str]:
    """Measure what may have changed and bring the records up to date.

    Args:
        catalog: all published tables, without TAP_SCHEMA.
        force: measure every table, also where nothing was loaded or released.

    Returns:
        the identifiers of the registry records that are new, changed or deleted.

    Raises:
        FullError: there is no room for a new edition; all else is up to date.
    """
    files = DownloadFiles(settings, database)
    full: FullError | None = None
    for table in catalog.tables:
        try:
            files.refresh(table, force=force or table.kept_by_service)
        except FullError as error:
            full = error
    coverage.forget(database, {table.qualified for table in catalog.tables})
    with database.connect(SERVICE, autocommit=True) as service:
        for table in obscore.refresh(service, read(service, settings, catalog)):
            files.refresh(table, force=True)
        changed = harvested.update(service, lambda: records(read(service, settings, catalog)))
    if full is not None:
        raise full
    return changed
