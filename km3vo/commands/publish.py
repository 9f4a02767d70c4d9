"""`km3vo publish`: what schemas/ describes becomes what is in the database."""

from __future__ import annotations

import click

from km3vo.commands.opening import opened
from km3vo.terminal import tell


@click.command("publish")
@click.option("--new-meaning", is_flag=True, help="Columns with values may get another unit, UCD or xtype.")
def command(new_meaning: bool) -> None:
    """Make the database agree with schemas/*.yaml.

    New tables and columns are made, TAP_SCHEMA is written, rights are set, registry records are renewed. Safe to run
    again. A service that runs serves new tables and descriptions after its next start. Tables and columns are added,
    never removed; where a column has another type than its description says, or has values that would get another
    unit, UCD or xtype, nothing is changed and you are told. docs/tables.md says how a table is described.

    \b
    Examples:
      km3vo publish
      KM3VO_SCHEMAS=/srv/km3vo/schemas km3vo publish
    """
    from km3vo.alerts.tables import AlertTables
    from km3vo.catalog.files import read_catalog
    from km3vo.database.logins import OWNER, SERVICE
    from km3vo.loading.history import as_loaded
    from km3vo.publishing.publish import publish
    from km3vo.registry.refresh import refresh_metadata

    with opened() as (settings, database):
        catalog = as_loaded(database, read_catalog(settings.schemas))
        with database.connect(OWNER) as owner:
            created = publish(owner, catalog, new_meaning=new_meaning)
        with database.connect(SERVICE, autocommit=True) as service:
            AlertTables(catalog).fill(service, settings)
        changed = refresh_metadata(settings, database, catalog, force=True)
    for name in created:
        tell(f"created {name}")
    tell(
        f"{len(catalog.tables)} tables are published; restart the service to serve new tables and changed descriptions"
    )
    tell(f"{len(changed)} registry records have changed")
