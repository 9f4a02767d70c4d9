"""Taking a backup of a running service: one moment of the database, and the files that belong to it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from km3vo import __version__
from km3vo.backup.contents import DUMP, MANIFEST, ROLES, THROWN_AWAY, File, Manifest, Sum, rules, sha256, sums
from km3vo.cluster import programs
from km3vo.database import migrations
from km3vo.database.logins import Database
from km3vo.errors import FullError, SetupError
from km3vo.settings import Settings

PREFIX = "km3vo-"
STAMP = f"{PREFIX}%Y%m%dT%H%M%SZ"
PARTIAL = ".partial"

# Is told what is being done.
Progress = Callable[[str], None]


def take(settings: Settings, database: Database, folder: Path, progress: Progress) -> Path:
    """Write a backup into a new folder below ``folder``, while the service runs.

    The database is dumped as it is at one moment; sums of every table are taken at the same moment, so that a restored
    database can be compared. Results of jobs and whole lists are copied; files that have not changed since the last
    backup are hard links to its copies. No password and no key is in a backup: a restored database gets new ones.

    Returns
    -------
    Path
        The folder of the backup. It has its final name only when it is complete.

    Raises
    ------
    SetupError
        The folder cannot be written, or `pg_dump` is missing or fails.
    FullError
        There is no room on the disk.
    """
    name = datetime.now(UTC).strftime(STAMP)
    before = next(reversed(complete(folder)), None)
    place = folder / f"{name}{PARTIAL}"
    try:
        place.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise SetupError(f"{folder} cannot be written: {error.strerror}") from None
    try:
        manifest = _fill(settings, database, place, before, progress)
        (place / MANIFEST).write_text(manifest.model_dump_json(indent=1))
        place.rename(folder / name)
    except OSError as error:
        raise FullError(f"the backup could not be written: {error.strerror}; nothing of it was kept") from None
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return folder / name


def complete(folder: Path) -> list[Path]:
    """The complete backups below ``folder``, oldest first."""
    return sorted(path.parent for path in folder.glob(f"{PREFIX}*Z/{MANIFEST}"))


def prune(folder: Path, days: int, now: datetime) -> list[Path]:
    """Delete backups of more than ``days`` days ago, but never the newest, and what unfinished ones left behind.

    Returns
    -------
    list of Path
        What was deleted.
    """
    old = []
    for path in complete(folder)[:-1]:
        if datetime.strptime(path.name, STAMP).replace(tzinfo=UTC) < now - timedelta(days=days):
            old.append(path)
    for path in folder.glob(f"{PREFIX}*{PARTIAL}"):
        if path.stat().st_mtime < now.timestamp() - 86400:
            old.append(path)
    for path in old:
        shutil.rmtree(path)
    return old


def _fill(settings: Settings, database: Database, place: Path, before: Path | None, progress: Progress) -> Manifest:
    with database.connect() as admin:
        admin.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        admin.read_only = True
        row = admin.execute("SELECT pg_export_snapshot(), transaction_timestamp()").fetchone()
        assert row is not None
        snapshot, moment = row
        progress("dumping the database")
        _dump(database, snapshot, admin.info.server_version // 10000, place / DUMP)
        tables: dict[str, Sum] = {}
        for table, contents in sums(admin):
            progress(f"{table}: {contents.rows} rows")
            tables[table] = contents
        manifest = Manifest(
            made_at=moment.astimezone(UTC),
            km3vo=__version__,
            postgres=admin.info.server_version,
            revision=migrations.current(database) or "none",
            roles=[name for (name,) in admin.execute(ROLES)],
            tables=tables,
            rules=rules(admin),
            files=[],
        )
    manifest.files.append(_file(place, place / DUMP))
    known = _links(before)
    for source, copied in _files(settings, place):
        progress(f"copying {source.name}")
        if _copy(source, copied, known.get(str(copied.relative_to(place)))):
            manifest.files.append(_file(place, copied))
    return manifest


def _dump(database: Database, snapshot: str, major: int, target: Path) -> None:
    installed = programs.find(major)
    command = [installed["pg_dump"], "--format=custom", "--compress=1", f"--snapshot={snapshot}"]
    command += [f"--exclude-table={THROWN_AWAY}.*", f"--file={target}", database.admin]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"LC_ALL": "C"})
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it does not say why"])[-1]
        raise SetupError(f"pg_dump failed: {reason}")


def _files(settings: Settings, place: Path) -> Iterator[tuple[Path, Path]]:
    """The files to copy, and where to."""
    local = settings.home / "cluster" / "postgresql.local.conf"
    if local.is_file():
        yield local, place / local.name
    for name, folder in (
        ("schemas", settings.schemas),
        ("results", settings.results),
        ("downloads", settings.downloads),
    ):
        for source in sorted(folder.rglob("*")):
            if source.is_file():
                yield source, place / name / source.relative_to(folder)


def _links(before: Path | None) -> dict[str, Path]:
    """The files of the last backup, by their paths in it."""
    if before is None:
        return {}
    return {str(path.relative_to(before)): path for path in before.rglob("*") if path.is_file()}


def _copy(source: Path, target: Path, before: Path | None) -> bool:
    """Copy one file, or link the last backup's copy if it is the same. False: it was deleted meanwhile."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        now = source.stat()
        if before is not None:
            then = before.stat()
            if (now.st_size, now.st_mtime_ns) == (then.st_size, then.st_mtime_ns):
                os.link(before, target)
                return True
        shutil.copy2(source, target)
    except FileNotFoundError:
        return False
    return True


def _file(place: Path, path: Path) -> File:
    return File(path=str(path.relative_to(place)), bytes=path.stat().st_size, sha256=sha256(path))
