"""`km3vo db`: the database itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from km3vo.commands.opening import opened
from km3vo.terminal import tell, tell_lines

if TYPE_CHECKING:
    from km3vo.database.logins import Database


@click.group("db")
def command() -> None:
    """Bring the database up to date; feed a public copy of it.

    \b
    With a PostgreSQL server of your own, after an upgrade of km3vo:
      km3vo backup /backup
      km3vo db upgrade
      km3vo publish
      km3vo serve
    """


@command.command()
@click.option("--new-passwords", is_flag=True, help="Replace passwords that another KM3VO_HOME made.")
def upgrade(new_passwords: bool) -> None:
    """Bring logins, tables and functions up to date. Safe to run again.

    Make a backup first (`km3vo backup`): there is no way back to an earlier revision but to restore it.

    \b
    Example:
      km3vo db upgrade
    """
    from km3vo.publishing.upgrade import upgrade as bring_up_to_date

    with opened() as (_settings, database):
        tell_lines(bring_up_to_date(database, new_passwords=new_passwords))
        _tell_revision(database)


@command.command()
def current() -> None:
    """Tell the revision of the database and the newest there is.

    \b
    Example:
      km3vo db current
    """
    with opened() as (_settings, database):
        _tell_revision(database)


@command.command()
@click.option("--subscription", is_flag=True, help="Print the statement for the other database; it holds a password.")
def publication(subscription: bool) -> None:
    """Offer the public rows to a public-only database elsewhere.

    It follows by logical replication. Make the other database with `km3vo db upgrade` and `km3vo publish`, and run
    there, as its administrator, what --subscription prints. Run this again after publishing new tables.
    docs/embargo.md says whom to trust with it.

    \b
    Examples:
      km3vo db publication
      km3vo db publication --subscription | psql postgresql://admin@public.example.org/km3vo
    """
    from km3vo.catalog.files import read_catalog
    from km3vo.publishing import replication

    with opened() as (settings, database):
        for name in replication.publish(database, read_catalog(settings.schemas)):
            tell(f"published {name}", err=True)
    if subscription:
        tell_lines(replication.subscription(database))


@command.command()
def status() -> None:
    """Tell where the embedded cluster is and whether it runs.

    \b
    Example:
      km3vo db status
    """
    from km3vo.cluster.embedded import Cluster
    from km3vo.settings import Settings

    settings = Settings()
    if settings.database_url:
        tell("KM3VO_DATABASE_URL is set: the embedded cluster is not used")
    else:
        tell_lines(Cluster(settings.home / "cluster").describe())


def _tell_revision(database: Database) -> None:
    from km3vo.database import migrations

    found, newest = migrations.check_known(database), migrations.revisions()[-1]
    tell(f"revision {found or 'none'} of {newest}" + ("" if found == newest else ": type `km3vo db upgrade`"))
