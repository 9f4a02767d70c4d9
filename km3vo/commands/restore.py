"""`km3vo restore`: a backup becomes a service again."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from km3vo.commands.opening import FOLDER
from km3vo.terminal import tell


@click.command("restore")
@click.argument("folder", type=FOLDER)
@click.option("--verify", is_flag=True, help="Check the backup's files, and restore nothing.")
def command(folder: Path, verify: bool) -> None:
    """Restore the backup in FOLDER into an empty home.

    Every table is compared with what was backed up. Set KM3VO_HOME to a new folder (or KM3VO_DATABASE_URL to an empty
    database) first. Releases wait until you have looked whether anything was decided after the backup, a hold above
    all, and then said so with `km3vo release run --clock-checked`. Ends with status 1 when the restored database
    differs from the backup.

    \b
    Examples:
      km3vo restore /backup/km3vo-20261127T020000Z --verify
      KM3VO_HOME=/srv/new km3vo restore /backup/km3vo-20261127T020000Z
    """
    from km3vo.backup import restore as restoring
    from km3vo.cluster.place import find_database, running
    from km3vo.commands.progress import on_terminal
    from km3vo.settings import Settings

    settings = Settings()
    with on_terminal().status("backup") as status:
        if verify:
            manifest = restoring.verify(folder, status.update)
            tell(f"{folder} is whole: {len(manifest.tables)} tables of {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC")
            return
        with running(settings):
            restored = restoring.restore(settings, find_database(settings), folder, status.update)
    for difference in restored.differences:
        tell(difference, err=True)
    manifest = restored.manifest
    rows = sum(table.rows for table in manifest.tables.values())
    if restored.differences:
        tell(f"{len(restored.differences)} differences from the backup: do not serve this", err=True)
        sys.exit(1)
    tell(f"{len(manifest.tables)} tables with {rows} rows are as they were at {manifest.made_at:%Y-%m-%d %H:%M} UTC")
    tell(
        "releases wait: see `km3vo release log`, repeat what was decided since (holds first), then type "
        "`km3vo release run --clock-checked`"
    )
