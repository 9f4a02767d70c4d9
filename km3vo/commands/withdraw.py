"""`km3vo withdraw`: events are taken out of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from km3vo.commands.opening import catalog, decision, identifiers, opened, published
from km3vo.errors import SetupError
from km3vo.terminal import tell

if TYPE_CHECKING:
    from km3vo.catalog.model import Table
    from km3vo.database.logins import Database
    from km3vo.embargo.corrections import Choice
    from km3vo.settings import Settings


@click.command("withdraw")
@click.argument("table")
@click.option("--ids", metavar="ID,…", help='Events with these identifiers; "-" reads them from the standard input.')
@click.option("--run", metavar="[DETECTOR/]RUN", help="All events of a run.")
@click.option("--load", "number", type=int, metavar="N", help="All events that came by a load.")
@click.option("--select", metavar="ADQL", help="Events whose identifiers a query gives; it sees all events.")
@click.option("--public", is_flag=True, help="Events that are public may go.")
@decision
def command(
    table: str,
    ids: str | None,
    run: str | None,
    number: int | None,
    select: str | None,
    public: bool,
    reason: str,
    by: str,
) -> None:
    """Take events out of TABLE.

    Nobody sees them any more, members neither; the table's history keeps them, and `km3vo reinstate` brings them back.
    Events that are public go only when --public says so. What is made from public events follows: pages, downloads,
    records.

    \b
    Examples:
      km3vo withdraw km3net.offline --run ARCA/4711 --reason "sparking module"
      km3vo withdraw km3net.offline --ids KM3-1,KM3-2 --public --reason "wrong time"
      km3vo withdraw km3net.offline --load 271828 --reason "wrong calibration"
      km3vo withdraw km3net.offline --select "SELECT event_id FROM km3net.offline WHERE quality < 0" --reason "cut"
    """
    from km3vo.database.logins import OWNER
    from km3vo.embargo import corrections

    if [ids, run, number, select].count(None) != 3:
        raise SetupError("say which events with one of --ids, --run, --load and --select")
    with opened() as (settings, database):
        target = published(settings, table)
        choice = _chosen(settings, database, target, ids, run, number, select)
        with database.connect(OWNER) as owner:
            gone, were_public = corrections.withdraw(owner, target, choice, public=public, reason=reason, who=by)
    tell(f"{gone} events of {target.qualified} were withdrawn, {were_public} of them public")


def _chosen(
    settings: Settings,
    database: Database,
    table: Table,
    ids: str | None,
    run: str | None,
    number: int | None,
    select: str | None,
) -> Choice:
    from km3vo.embargo.corrections import ByIds, Equal
    from km3vo.embargo.versions import parts_of_run

    if ids is not None:
        return ByIds(identifiers(ids))
    if run is not None:
        return Equal(parts_of_run(table, run))
    if number is not None:
        return Equal({"_load": number})
    return ByIds(_selected(settings, database, table, str(select)))


def _selected(settings: Settings, database: Database, table: Table, query: str) -> list[str]:
    """The identifiers that a query gives, asked as a member."""
    from km3vo.commands.opening import asking

    with asking(settings, database, catalog(settings), "member") as ask:
        rows = ask(query)
        ids = [str(one) for batch in rows.batches for one in batch.column(0).to_pylist()]
    if [column.name for column in rows.columns] != [table.id]:
        raise SetupError(f"the query must give the column {table.id} and nothing else")
    return ids
