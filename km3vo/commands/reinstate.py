"""`km3vo reinstate`: withdrawn events come back."""

from __future__ import annotations

import click

from km3vo.commands.opening import decision, identifiers, opened, published
from km3vo.errors import SetupError
from km3vo.terminal import tell


@click.command("reinstate")
@click.argument("table")
@click.option("--ids", metavar="ID,…", help='These events; "-" reads them from the standard input.')
@click.option("--change", type=int, metavar="N", help="All events that went by a change (`km3vo history TABLE`).")
@decision
def command(table: str, ids: str | None, change: int | None, reason: str, by: str) -> None:
    """Put withdrawn events back into TABLE.

    They come back in their newest version. Where there is an embargo they go into it, and become public again when they
    are due; a table without embargo shows them at once.

    \b
    Examples:
      km3vo reinstate km3net.offline --ids KM3-1,KM3-2 --reason "the time was right"
      km3vo reinstate km3net.offline --change 42 --reason "withdrawn by mistake"
    """
    from km3vo.database.logins import OWNER
    from km3vo.embargo import corrections

    if (ids is None) == (change is None):
        raise SetupError("say which events with --ids or --change")
    choice = change if change is not None else corrections.ByIds(identifiers(str(ids)))
    with opened() as (settings, database), database.connect(OWNER) as owner:
        target = published(settings, table)
        back = corrections.reinstate(owner, target, choice, reason=reason, who=by)
    tell(f"{back} events of {target.qualified} are back")
