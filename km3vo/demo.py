"""What `km3vo up` does before it serves: a database, tables, and events in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from km3vo.app import find_database
from km3vo.catalog.files import read_catalog
from km3vo.catalog.model import Table
from km3vo.registry.announce import announce
from km3vo.settings import Settings
from km3vo.simulation import simulate
from km3vo.store import embargo, ingest, ingest_log, migrate, publish
from km3vo.store.database import INGEST, OWNER, SERVICE, Database
from km3vo.store.ingest_files import find_sources

SEED = 1


def prepare(settings: Settings, console: Console) -> None:
    """Bring database, tables and events to the state in which they can be served. Safe to run again.

    Empty tables get the real lists from ``settings.data`` where it has them, and else look-alikes.

    Raises:
        Km3voError: one line says what is missing and what to type.
    """
    database = find_database(settings)
    create_database(database)
    console.print(migrate.upgrade(database))
    catalog = read_catalog(settings.schemas)
    with database.connect(OWNER) as owner:
        for name in publish.publish(owner, catalog):
            console.print(f"created {name}")
    for table in catalog.tables:
        changed = _fill(settings, database, table, console)
        if table.release.embargoed:
            with database.connect(SERVICE, autocommit=True) as service:
                done = embargo.promote(service, table)
            if done.moved:
                console.print(f"released {done.moved} events of {table.qualified}")
                changed = True
        if changed:
            with database.connect(OWNER) as owner:
                ingest.analyze(owner, table)
    # Again, since what was loaded decides whether a list is the real one.
    catalog = ingest_log.as_loaded(database, catalog)
    with database.connect(OWNER) as owner:
        publish.publish(owner, catalog)
    announce(settings, database, catalog)


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
        if not ingest_log.is_empty(loader, table):
            return False
        loader.rollback()
        files = find_sources(table, settings.data) if settings.data else []
        rows = settings.demo_events if table.simulated else min(settings.demo_events, _rows(table))
        if not files and not rows:
            return False
        with progress_bar(console, table.qualified) as progress:
            if files:
                loaded = ingest.load(loader, table, files, progress=progress)
            else:
                batches = simulate(table, rows, seed=SEED)
                loaded = ingest.load_batches(
                    loader, table, batches, name=f"seed {SEED}, {rows} rows", rows=rows, progress=progress
                )
    kind = "events" if files else "simulated events"
    console.print(f"loaded {loaded.rows} {kind} into {table.qualified}")
    return True


def _rows(table: Table) -> int:
    """How many rows the real list has."""
    parts = {source.part: source.rows or 0 for source in table.sources}
    return sum(parts.values())


@contextmanager
def progress_bar(console: Console, title: str) -> Iterator[ingest.Progress]:
    """A bar that shows how far a load is; yields what the load reports to."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)

        def report(phase: str, done: int, total: int) -> None:
            bar.update(task, description=f"{title}: {phase}", completed=done, total=total or None)

        yield report
