"""What `km3vo up` does before it serves: a database, tables, and events in them."""

from __future__ import annotations

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from rich.console import Console

from km3vo.alerts.intake import Sender, accept
from km3vo.alerts.records import newest
from km3vo.alerts.sending.outbox import Outgoing
from km3vo.alerts.tables import AlertTables
from km3vo.catalog.files import read_catalog
from km3vo.catalog.model import Table
from km3vo.cluster.place import find_database
from km3vo.commands import progress
from km3vo.database.logins import INGEST, OWNER, SERVICE, Database
from km3vo.embargo import release, statistics
from km3vo.loading import history, loads
from km3vo.loading.files import find_sources
from km3vo.publishing.publish import publish
from km3vo.publishing.upgrade import upgrade
from km3vo.registry.refresh import refresh_metadata
from km3vo.settings import Settings
from km3vo.simulation import is_known, simulate
from km3vo.simulation.alerts import demonstration

SEED = 1


def prepare(settings: Settings, console: Console) -> None:
    """Bring database, tables and events to the state in which they can be served. Safe to run again.

    Empty tables get the real lists from ``settings.data`` where it has them, and else look-alikes.

    Raises:
        Km3voError: one line says what is missing and what to type.
    """
    database = find_database(settings)
    create_database(database)
    console.print(upgrade(database), markup=False)
    catalog = read_catalog(settings.schemas)
    with database.connect(OWNER) as owner:
        for name in publish(owner, catalog):
            console.print(f"created {name}")
    for table in catalog.tables:
        if _fill(settings, database, table, console):
            with database.connect(OWNER) as owner:
                loads.analyze(owner, table)
        if table.release.embargoed:
            with database.connect(SERVICE, autocommit=True) as service:
                (done,) = release.run(service, [table], every=settings.release_every)
            if done.moved:
                console.print(f"released {done.moved} events of {table.qualified}")
    statistics.settle(database, catalog.tables)
    # Again, since what was loaded decides whether a list is the real one.
    catalog = history.as_loaded(database, catalog)
    with database.connect(OWNER) as owner:
        publish(owner, catalog)
    with database.connect(SERVICE, autocommit=True) as service:
        AlertTables(catalog).fill(service, settings)
        if settings.simulated_events and not newest(service, 1, test=True):
            for document in demonstration():
                accept(service, document, Sender("km3vo up"), outgoing=Outgoing(settings, tables=AlertTables(catalog)))
            console.print("published KM3-230213A and alerts that are tests")
    refresh_metadata(settings, database, catalog)


def create_database(database: Database) -> None:
    """Create the database itself, on a server that has none of that name. Needs the administrator."""
    name = str(conninfo_to_dict(database.admin)["dbname"])
    with Database(psycopg.conninfo.make_conninfo(database.admin, dbname="postgres"), {}).connect(
        autocommit=True
    ) as admin:
        if not admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _fill(settings: Settings, database: Database, table: Table, console: Console) -> bool:
    """Load what an empty table is to hold. False when there was nothing to do."""
    with database.connect(INGEST) as loader:
        if not history.is_empty(loader, table):
            return False
        loader.rollback()
        files = find_sources(table, settings.data) if settings.data else []
        rows = settings.simulated_events if table.simulated else min(settings.simulated_events, _rows(table))
        if not files and not (rows and is_known(table)):
            return False
        with progress.bar(console, table.qualified) as told:
            if files:
                loaded = loads.load(loader, table, files, progress=told)
            else:
                batches = simulate(table, rows, seed=SEED)
                loaded = loads.load_batches(
                    loader, table, batches, name=f"seed {SEED}, {rows} rows", rows=rows, progress=told
                )
    kind = "events" if files else "simulated events"
    console.print(f"loaded {loaded.rows} {kind} into {table.qualified}")
    return True


def _rows(table: Table) -> int:
    """How many rows the real list has."""
    parts = {source.part: source.rows or 0 for source in table.sources}
    return sum(parts.values())
