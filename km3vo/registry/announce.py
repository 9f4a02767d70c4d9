"""Keeping what we tell about the data true: coverages, editions, the ObsCore tables, and the registry's records.

To be called after everything that can change what is public or how it is described: publishing, loading, a release,
the start of the service. It looks before it writes: called for nothing, it changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from km3vo.catalog.model import Catalog, Table
from km3vo.catalog.tap_schema import TAP_SCHEMA
from km3vo.registry import store
from km3vo.registry.records import Shelf, records
from km3vo.settings import Settings
from km3vo.store import coverage, editions
from km3vo.store.database import SERVICE, Database


def announce(
    settings: Settings, database: Database, catalog: Catalog, tables: Iterable[Table] | None = None
) -> list[str]:
    """Measure what is public and bring the records up to date.

    Args:
        catalog: all published tables, without TAP_SCHEMA.
        tables: those whose rows may have changed; all unless given.

    Returns:
        the identifiers of the registry records that are new, changed or deleted.
    """
    for table in catalog.tables if tables is None else tables:
        coverage.refresh(database, table)
    coverage.forget(database, {table.qualified for table in catalog.tables})
    with database.connect(SERVICE, autocommit=True) as service:
        coverages = coverage.read(service)
        latest = {name: editions.find(service, name) for name in coverages}
        shelf = Shelf(
            settings=settings,
            published=catalog,
            catalog=Catalog((*catalog.schemas, TAP_SCHEMA)),
            coverages=coverages,
            editions={name: edition for name, edition in latest.items() if edition},
        )
        return store.agree(service, records(shelf))
