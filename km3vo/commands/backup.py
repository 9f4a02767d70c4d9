"""`km3vo backup`: the state of the service in a folder."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from km3vo.commands.opening import FOLDER, opened
from km3vo.terminal import tell


@click.command("backup")
@click.argument("folder", type=FOLDER)
@click.option("--keep", type=click.IntRange(1), help="Delete backups in FOLDER that are older than so many days.")
def command(folder: Path, keep: int | None) -> None:
    """Write a backup into FOLDER while the service runs.

    Each is a new folder below FOLDER. It holds the whole database as it is at one moment, the results of jobs, the
    editions of all lists, and schemas/. It holds no password and no key; a restored service makes new ones. Files that
    have not changed since the last backup in FOLDER are hard links, and take no room again. The newest backup is never
    deleted.

    \b
    Examples:
      km3vo backup /backup
      km3vo backup /backup --keep 30      from cron, every night
    """
    from km3vo.backup.take import prune, take
    from km3vo.commands.progress import on_terminal

    with opened() as (settings, database), on_terminal().status("backup") as status:
        place = take(settings, database, folder, status.update)
    tell(f"{place} is complete")
    if keep is not None:
        for old in prune(folder, keep, datetime.now(UTC)):
            tell(f"deleted {old}")
