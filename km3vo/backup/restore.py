"""Restoring a backup into an empty home, and comparing what came out with what went in."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psycopg

from km3vo.backup.contents import DUMP, Manifest, read_manifest, rules, sha256, sums
from km3vo.backup.take import Progress
from km3vo.cluster import programs
from km3vo.database import pgsphere
from km3vo.database.logins import LOGINS, OBSERVERS, OWNER, REPLICA, Database
from km3vo.embargo import clock, roles
from km3vo.errors import SetupError
from km3vo.publishing.upgrade import upgrade
from km3vo.settings import Settings


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did.

    Attributes:
        manifest: of the backup.
        differences: where the restored database is not what the backup says; empty when all is well.
    """

    manifest: Manifest
    differences: list[str]


def verify(folder: Path, progress: Progress) -> Manifest:
    """Check every file of a backup against its manifest.

    Raises
    ------
    SetupError
        A file is missing or is not what it was.
    """
    manifest = read_manifest(folder)
    for file in manifest.files:
        progress(f"checking {file.path}")
        path = folder / file.path
        if not path.is_file():
            raise SetupError(f"the backup is not whole: {file.path} is missing")
        if path.stat().st_size != file.bytes or sha256(path) != file.sha256:
            raise SetupError(f"the backup is damaged: {file.path} is not what it was when it was written")
    return manifest


def restore(settings: Settings, database: Database, folder: Path, progress: Progress) -> Restored:
    """Bring the database and the files of a backup into an empty home.

    Releases wait afterwards until a person has looked (`km3vo release run --clock-checked`): what was decided after the
    backup was taken, a hold above all, is not in it.

    Raises
    ------
    SetupError
        The backup is damaged, the database is not empty, or PostgreSQL is older than the one that was backed up.
    """
    manifest = verify(folder, progress)
    _check_empty(settings, database)
    with database.connect() as admin:
        if admin.info.server_version // 10000 < manifest.postgres // 10000:
            raise SetupError(
                f"the backup is of PostgreSQL {manifest.postgres // 10000} and the server is older: install that one"
            )
        _make_roles(admin, database, manifest)
        pgsphere.ensure(admin)
    progress("restoring the database")
    _load(database, folder / DUMP)
    progress("comparing every table")
    with database.connect() as admin:
        differences = compare(admin, manifest)
    upgrade(database)
    _stop_releases(database)
    with database.connect(autocommit=True) as admin:
        progress("collecting statistics")
        admin.execute("ANALYZE")
    for name, target in (("results", settings.results), ("downloads", settings.downloads)):
        if (folder / name).is_dir():
            progress(f"copying {name}")
            shutil.copytree(folder / name, target, dirs_exist_ok=True)
            target.chmod(0o700)
    return Restored(manifest, differences)


def compare(connection: psycopg.Connection, manifest: Manifest) -> list[str]:
    """Where a database differs from what the manifest says, in sentences. ``connection`` is the administrator's."""
    restored = dict(sums(connection))
    differences = [f"{table} is not there" for table in manifest.tables.keys() - restored.keys()]
    differences += [f"{table} is new" for table in restored.keys() - manifest.tables.keys()]
    for table in manifest.tables.keys() & restored.keys():
        was, now = manifest.tables[table], restored[table]
        if was.rows != now.rows:
            differences.append(f"{table} has {now.rows} rows and had {was.rows}")
        elif was.digest != now.digest:
            differences.append(f"{table} has other contents than it had")
    before, after = set(manifest.rules), set(rules(connection))
    differences += [f"missing: {' '.join(rule)}" for rule in before - after]
    differences += [f"added: {' '.join(rule)}" for rule in after - before]
    return sorted(differences)


def _check_empty(settings: Settings, database: Database) -> None:
    with database.connect() as admin:
        if admin.execute("SELECT to_regnamespace('km3vo') IS NOT NULL").fetchone() == (True,):
            raise SetupError(
                "the database is not empty, and a restore would mix two states: give KM3VO_HOME a new folder, "
                "or KM3VO_DATABASE_URL an empty database"
            )
    for folder in (settings.results, settings.downloads):
        if folder.is_dir() and any(folder.iterdir()):
            raise SetupError(f"{folder} is not empty: give KM3VO_HOME a new folder")


def _make_roles(admin: psycopg.Connection, database: Database, manifest: Manifest) -> None:
    roles.ensure(admin, database)
    for role in manifest.roles:
        if role not in (*LOGINS, OBSERVERS, REPLICA, admin.info.user):
            roles.ensure_observer(admin, database, role)


def _load(database: Database, dump: Path) -> None:
    installed = programs.find()
    contents = subprocess.run([installed["pg_restore"], "--list", dump], capture_output=True, text=True)
    # The extension is there already, in the version that this server has.
    wanted = [line for line in contents.stdout.splitlines() if " EXTENSION " not in line]
    with tempfile.NamedTemporaryFile("w", suffix=".list") as chosen:
        chosen.write("\n".join(wanted))
        chosen.flush()
        command = [installed["pg_restore"], "--single-transaction", "--exit-on-error", f"--use-list={chosen.name}"]
        done = subprocess.run(
            [*command, "-d", database.admin, dump], capture_output=True, text=True, env=os.environ | {"LC_ALL": "C"}
        )
    if contents.returncode or done.returncode:
        reason = ((contents.stderr + done.stderr).strip().splitlines() or ["it does not say why"])[0]
        raise SetupError(f"pg_restore failed, and nothing was restored: {reason}")


def _stop_releases(database: Database) -> None:
    """Release nothing until a person has looked."""
    with database.connect(OWNER) as owner:
        clock.stop(owner, "look whether anything was decided after the backup was taken, a hold above all")
