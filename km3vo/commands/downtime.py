"""`km3vo downtime`: announcing when the service is going to be away."""

from __future__ import annotations

import getpass
from datetime import datetime

import click

from km3vo.commands.opening import WHEN, WRITTEN, opened, utc, when
from km3vo.errors import SetupError
from km3vo.terminal import quoted, tell


@click.command("downtime")
@click.option("--from", "begins", type=WHEN, help="When it begins, UTC.")
@click.option("--to", "ends", type=WHEN, help="When it ends, UTC.")
@click.option("--note", help="What happens, for whoever uses the service.")
@click.option("--by", type=WRITTEN, default=getpass.getuser, show_default="your account", help="Who announces it.")
@click.option("--withdraw", type=click.IntRange(1), metavar="NUMBER", help="Take an announcement back.")
def command(begins: datetime | None, ends: datetime | None, note: str | None, by: str, withdraw: int | None) -> None:
    """Announce a downtime, list what is announced, or withdraw it.

    Pages show it, and /availability tells it to clients, within half a minute and without a restart.

    \b
    Examples:
      km3vo downtime --from 2027-03-01T06:00 --to 2027-03-01T09:00 --note "PostgreSQL is upgraded"
      km3vo downtime
      km3vo downtime --withdraw 3
    """
    from km3vo import downtime
    from km3vo.database.logins import OWNER

    first, last = utc(begins), utc(ends)
    with opened() as (_settings, database), database.connect(OWNER) as owner:
        if withdraw is not None:
            downtime.withdraw(owner, withdraw)
            tell(f"downtime {withdraw} is withdrawn")
        elif first and last and note:
            tell(f"downtime {downtime.announce(owner, first, last, note, by)} is announced")
        elif first or last or note:
            raise SetupError("a downtime needs --from, --to and --note")
        for one in downtime.read(owner):
            tell(f"{one.number:>4}  {when(one.begins)} to {when(one.ends)}  {quoted(one.note)}")
