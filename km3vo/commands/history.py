"""`km3vo history`: what became of a table's rows, or of one event."""

from __future__ import annotations

import click

from km3vo.commands.opening import opened, published, when
from km3vo.terminal import quoted, tell


@click.command("history")
@click.argument("table")
@click.argument("event", required=False)
def command(table: str, event: str | None) -> None:
    """Show the loads and changes of TABLE, or the versions of one EVENT.

    It tells of embargoed events.

    \b
    Examples:
      km3vo history km3net.offline
      km3vo history km3net.offline KM3-1
    """
    from km3vo.database.logins import OWNER
    from km3vo.embargo import corrections

    with opened() as (settings, database), database.connect(OWNER) as owner:
        target = published(settings, table)
        if event is not None:
            for one in corrections.of_event(owner, target, event):
                until = f" to {when(one.until)}, {one.ended}: {quoted(one.reason or '')}" if one.until else ""
                came = f"load {one.load}" if one.load else "an older load"
                start = when(one.since) if one.since else "its load"
                tell(f"version {one.number}, {'public' if one.public else 'embargoed'}, {came}: {start}{until}")
            return
        for number, at, file, rows, by, superseding, undone in corrections.loads(owner, target):
            more = (" superseding others" if superseding else "") + (f", undone {when(undone)}" if undone else "")
            tell(f"load {number}  {when(at)}  {quoted(file)}: {rows} rows by {quoted(by or 'somebody')}{more}")
        for number, at, what, count, reason, by in corrections.changes(owner, target):
            tell(f"change {number}  {when(at)}  {what}: {count or 0} events by {quoted(by)}, {quoted(reason or '')}")
