"""`km3vo unload`: a load is undone."""

from __future__ import annotations

import click

from km3vo.commands.opening import decision, opened
from km3vo.terminal import tell


@click.command("unload")
@click.argument("load", type=int)
@click.option("--public", is_flag=True, help="Events that are public may go, or change back.")
@decision
def command(load: int, public: bool, reason: str, by: str) -> None:
    """Undo the LOAD of that number.

    Its events go, the versions that they superseded come back, and the file may be loaded again. `km3vo history TABLE`
    lists the loads.

    \b
    Example:
      km3vo unload 271828 --reason "wrong file"
    """
    from km3vo.database.logins import OWNER
    from km3vo.embargo import corrections

    with opened() as (_settings, database), database.connect(OWNER) as owner:
        table, gone, back = corrections.unload(owner, load, public=public, reason=reason, who=by)
    tell(f"{gone} events of {table} are gone, and {back} earlier versions are back")
