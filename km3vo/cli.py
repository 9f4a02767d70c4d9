"""The command `km3vo`. Each command does one thing, says what it did, and fails with one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from km3vo import __version__
from km3vo.adql.command import command as adql
from km3vo.check.command import check
from km3vo.errors import Km3voError, SetupError
from km3vo.settings import Settings
from km3vo.store.access_command import access, grant, token
from km3vo.store.release_command import release

if TYPE_CHECKING:
    from km3vo.store.database import Database

console = Console(stderr=True, highlight=False, soft_wrap=True)


class Commands(click.Group):
    """The commands, imported when they are called: `km3vo --help` need not load a database driver."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super().__call__(*arguments, **options)
        except Km3voError as error:
            console.print(f"km3vo: {error}", style="red", markup=False, soft_wrap=True)
            sys.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="km3vo")
def main() -> None:
    """The Virtual Observatory service for the events of KM3NeT.

    \b
    Start here:
      km3vo up                          make a database, load events, serve them
      km3vo load km3net.events my.csv   add your own events
      km3vo adql "SELECT ..."           see what a query becomes

    Settings are environment variables that begin with KM3VO_; docs/settings.md lists them.
    """


@main.command()
@click.option("--port", type=int, help="Port to listen on (default: KM3VO_PORT, or 8000).")
@click.option("--workers", type=int, help="Server processes (default: KM3VO_WORKERS, or 1).")
def up(port: int | None, workers: int | None) -> None:
    """Make the database if there is none, load events, and serve until Ctrl-C.

    Run again, it starts in seconds and keeps what is there. Real event lists are loaded from the folder that
    KM3VO_DATA names; without it their look-alikes are simulated, and say so.
    """
    from km3vo import demo

    settings = _settings(port, workers)
    with _cluster(settings):
        demo.prepare(settings, console)
        _serve(settings)


@main.command()
@click.option("--port", type=int, help="Port to listen on (default: KM3VO_PORT, or 8000).")
@click.option("--workers", type=int, help="Server processes (default: KM3VO_WORKERS, or 1).")
def serve(port: int | None, workers: int | None) -> None:
    """Serve what is published, and change nothing in the database.

    The database must be up to date (`km3vo db upgrade`) and published (`km3vo publish`).
    """
    settings = _settings(port, workers)
    with _cluster(settings):
        _serve(settings)


@main.command()
def publish() -> None:
    """Make the database agree with schemas/*.yaml: new tables, TAP_SCHEMA, rights."""
    from km3vo.app import find_database
    from km3vo.catalog.files import read_catalog
    from km3vo.registry.announce import announce
    from km3vo.store import publish as publishing
    from km3vo.store.database import OWNER
    from km3vo.store.ingest_log import as_loaded

    settings = Settings()
    catalog = read_catalog(settings.schemas)
    with _cluster(settings):
        database = find_database(settings)
        catalog = as_loaded(database, catalog)
        with database.connect(OWNER) as owner:
            created = publishing.publish(owner, catalog)
        changed = announce(settings, database, catalog, force=True)
    for name in created:
        click.echo(f"created {name}")
    click.echo(f"{len(catalog.tables)} tables are published; restart the service to show changed descriptions")
    click.echo(f"{len(changed)} registry records have changed")


@main.command()
@click.argument("table")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def load(table: str, files: tuple[Path, ...]) -> None:
    """Load FILES of events into the published TABLE: all rows of all files, or none.

    CSV, TSV, ECSV, VOTable, FITS and Parquet are read, compressed or not; columns are matched by name. Every row is
    checked first, and mistakes are told with file, line, column and value. Loading a file again does nothing.

    \b
    Example:
      km3vo load km3net.events arca21.parquet orca18.csv
    """
    from km3vo import demo
    from km3vo.app import find_database
    from km3vo.catalog.files import read_catalog
    from km3vo.store import ingest
    from km3vo.store.database import INGEST, OWNER

    settings = Settings()
    catalog = read_catalog(settings.schemas)
    try:
        target = catalog.table(table)
    except KeyError:
        known = ", ".join(published.qualified for published in catalog.tables)
        raise SetupError(f"there is no table {table}: published are {known}") from None
    with _cluster(settings):
        database = find_database(settings)
        with database.connect(INGEST) as loader, demo.progress_bar(console, target.qualified) as progress:
            loaded = ingest.load(loader, target, files, progress=progress)
        with database.connect(OWNER) as owner:
            ingest.analyze(owner, target)
    for file in loaded.files:
        before = f"was loaded before, on {file.before:%Y-%m-%d}: nothing done" if file.before else f"{file.rows} rows"
        click.echo(f"{file.name}: {before}")


for group in (adql, release, token, grant, access, check):
    main.add_command(group)


@main.group()
def db() -> None:
    """Look after the database."""


@db.command("upgrade")
def db_upgrade() -> None:
    """Bring logins, tables and functions up to date. Safe to run again."""
    from km3vo.app import find_database
    from km3vo.store import migrate

    settings = Settings()
    with _cluster(settings):
        database = find_database(settings)
        click.echo(migrate.upgrade(database))
        _tell_revision(database)


@db.command("current")
def db_current() -> None:
    """Tell the revision of the database and the newest there is."""
    from km3vo.app import find_database

    settings = Settings()
    with _cluster(settings):
        _tell_revision(find_database(settings))


@db.command("publication")
@click.option("--subscription", is_flag=True, help="Print the statement for the other database; it holds a password.")
def db_publication(subscription: bool) -> None:
    """Offer the public rows to a public-only database elsewhere, by logical replication.

    Make the other database with `km3vo db upgrade` and `km3vo publish`, and run there, as its administrator, what
    --subscription prints. Run this again after publishing new tables. docs/embargo.md says whom to trust with it.
    """
    from km3vo.app import find_database
    from km3vo.catalog.files import read_catalog
    from km3vo.store import publication

    settings = Settings()
    with _cluster(settings):
        database = find_database(settings)
        for name in publication.publish(database, read_catalog(settings.schemas)):
            click.echo(f"published {name}", err=True)
    if subscription:
        click.echo(publication.subscription(database))


@db.command("status")
def db_status() -> None:
    """Tell where the embedded cluster is and whether it runs."""
    from km3vo.store.cluster import Cluster

    settings = Settings()
    if settings.database_url:
        click.echo("KM3VO_DATABASE_URL is set: the embedded cluster is not used")
    else:
        click.echo(Cluster(settings.home / "cluster").describe())


def _tell_revision(database: Database) -> None:
    from km3vo.store import migrate

    found, newest = migrate.current(database)
    click.echo(f"revision {found} of {newest}" + ("" if found == newest else ": type `km3vo db upgrade`"))


def _settings(port: int | None, workers: int | None) -> Settings:
    # Through the environment, so that the server's own processes see the same.
    if port is not None:
        os.environ["KM3VO_PORT"] = str(port)
    if workers is not None:
        os.environ["KM3VO_WORKERS"] = str(workers)
    return Settings()


@contextmanager
def _cluster(settings: Settings) -> Iterator[None]:
    """The embedded cluster running meanwhile, unless the settings name a server."""
    if settings.database_url:
        yield
        return
    from km3vo.store.cluster import Cluster

    with Cluster(settings.home / "cluster").kept():
        yield


def _serve(settings: Settings) -> None:
    import uvicorn

    from km3vo.app import SERVER

    console.print(f"\n[bold]km3vo is at {settings.base_url}[/bold]  (Ctrl-C stops it)")
    console.print(f"  TAP, for TOPCAT and pyvo   {settings.base_url}/tap")
    console.print(f"  Cone search                {settings.base_url}/scs/ant20_01/main?RA=43&DEC=35&SR=3\n")
    uvicorn.run(
        "km3vo.app:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        access_log=False,
        server_header=False,
        headers=[("Server", SERVER)],
        log_level="warning",
        timeout_graceful_shutdown=5,
    )
