"""`km3vo grant`: single people who see more than the public."""

from __future__ import annotations

import getpass
from datetime import datetime

import click

from km3vo.commands.opening import WHEN, WRITTEN, embargoed, opened, utc, when
from km3vo.terminal import quoted, tell


@click.group("grant")
def command() -> None:
    """Let single people see embargoed events until a date.

    They are no members of the Collaboration. An observer is known by the name in the token (`km3vo token create
    --observer NAME`), or as SUB@ISSUER by the identity provider. What they ask is logged (`km3vo access list`).

    \b
    From the first to the last day:
      km3vo token create grace --observer
      km3vo grant add grace km3net.events --until 2030-01-01 --reason "joint paper"
      km3vo grant list
      km3vo grant revoke 3
    """


@command.command("add")
@click.argument("observer", type=WRITTEN)
@click.argument("table")
@click.option("--until", required=True, type=WHEN, help="When the grant ends, UTC.")
@click.option("--observed-from", type=WHEN, help="Events observed from this time on, UTC.")
@click.option("--observed-to", type=WHEN, help="Events observed before this time, UTC.")
@click.option("--reason", type=WRITTEN, required=True, help="Why; it is kept with the grant.")
@click.option("--by", type=WRITTEN, default=getpass.getuser, show_default="your account", help="Who decided.")
def add_(
    observer: str,
    table: str,
    until: datetime,
    observed_from: datetime | None,
    observed_to: datetime | None,
    reason: str,
    by: str,
) -> None:
    """Let OBSERVER see embargoed events of TABLE.

    \b
    Examples:
      km3vo grant add grace km3net.events --until 2030-01-01 --reason "joint paper"
      km3vo grant add grace km3net.events --until 2030-01-01 --reason "blazar flare" \\
          --observed-from 2027-03-01 --observed-to 2027-04-01
    """
    from km3vo.embargo import grants

    ends_at = utc(until)
    assert ends_at is not None
    with opened() as (settings, database):
        (target,) = embargoed(settings, table)
        number = grants.add(
            database,
            target,
            observer,
            observed_from=observed_from,
            observed_to=observed_to,
            ends_at=ends_at,
            reason=reason,
            by=by,
        )
    tell(f"grant {number}: {observer} sees embargoed events of {target.qualified} until {when(ends_at)}")


@command.command("list")
def grants_() -> None:
    """Tell who was granted what, until when, by whom and why.

    \b
    Example:
      km3vo grant list
    """
    from km3vo.embargo import grants

    with opened() as (_settings, database):
        for one in grants.find_all(database):
            period = f"{one.observed_from or 'the beginning'} to {one.observed_to or 'the end'}"
            tell(
                f"{one.id}  {quoted(one.observer)}  {one.published}, observed {period}  {one.state}, "
                f"until {when(one.ends_at)}  by {quoted(one.decided_by)}: {quoted(one.reason)}"
            )


@command.command("revoke")
@click.argument("number", type=int)
def end_(number: int) -> None:
    """End the grant with this NUMBER now.

    \b
    Example:
      km3vo grant revoke 3
    """
    from km3vo.embargo import grants

    with opened() as (_settings, database):
        grants.revoke(database, number)
    tell(f"grant {number} is revoked")
