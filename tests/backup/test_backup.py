"""Backups of a running database, restored into an empty one and compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from km3vo.backup.contents import MANIFEST
from km3vo.backup.restore import compare, restore, verify
from km3vo.backup.take import complete, prune, take
from km3vo.catalog.files import read_catalog
from km3vo.cluster.embedded import Cluster
from km3vo.database.logins import OWNER, SERVICE, Database
from km3vo.embargo import clock, decisions, release
from km3vo.errors import SetupError
from km3vo.settings import Settings
from tests.support import changes
from tests.support.databases import database_of, drop
from tests.support.folders import ROOT

pytestmark = pytest.mark.slow
CATALOG = read_catalog(ROOT / "schemas")
EVENTS = CATALOG.table("km3net.events")


def silent(_: str) -> None:
    """Nobody watches."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    home = tmp_path / "home"
    for name in ("results/a1", "downloads"):
        (home / name).mkdir(parents=True)
    (home / "results/a1/result.vot").write_text("rows")
    (home / "downloads/events.parquet").write_bytes(b"\0" * 1000)
    return Settings(home=home, schemas=ROOT / "schemas")


@pytest.fixture
def fresh(cluster: Cluster) -> Iterator[Callable[[], Database]]:
    """Makes databases that hold nothing at all."""
    made: list[Database] = []

    def make() -> Database:
        name = f"restored_{len(made)}_{datetime.now().timestamp():.0f}"
        with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as admin:
            admin.execute(f'CREATE DATABASE "{name}"')
        made.append(database_of(cluster, cluster.conninfo(name)))
        return made[-1]

    yield make
    for database in made:
        drop(database)


def elsewhere(settings: Settings, tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "new home", schemas=settings.schemas)


def decide(database: Database) -> None:
    """Leave traces in every room: a hold, a change of latency, a grant."""
    with database.connect(OWNER) as owner:
        event = owner.execute("SELECT event_id FROM km3net.events_embargo ORDER BY 1 LIMIT 1").fetchone()
        assert event is not None
        decisions.hold(owner, EVENTS, str(event[0]), until=None, reason="looks odd", who="ada")


def test_a_restored_database_is_the_same(
    copy_published: Database, settings: Settings, fresh: Callable[[], Database], tmp_path: Path
) -> None:
    decide(copy_published)
    place = take(settings, copy_published, tmp_path / "backups", silent)
    assert verify(place, silent).tables["km3net.events_embargo"].rows > 500
    database, home = fresh(), elsewhere(settings, tmp_path)
    restored = restore(home, database, place, silent)
    assert restored.differences == []
    assert (home.results / "a1/result.vot").read_text() == "rows"
    with copy_published.connect() as before, database.connect() as after:
        for question in (
            "SELECT count(*), sum(energy) FROM (SELECT energy FROM km3net.events_public ORDER BY event_id) AS ordered",
            "SELECT published, event, kind, reason FROM km3vo.release_exception ORDER BY 1, 2",
            "SELECT table_name, column_name, unit, ucd FROM tap_schema.columns ORDER BY 1, 2",
        ):
            assert after.execute(question).fetchall() == before.execute(question).fetchall()


def test_no_password_is_in_a_backup(copy_published: Database, settings: Settings, tmp_path: Path) -> None:
    place = take(settings, copy_published, tmp_path / "backups", silent)
    contents = b"".join(path.read_bytes() for path in place.rglob("*") if path.is_file())
    for password in copy_published.passwords.values():
        assert password.encode() not in contents


def test_nothing_is_released_after_a_restore_until_a_person_has_looked(
    copy_published: Database, settings: Settings, fresh: Callable[[], Database], tmp_path: Path
) -> None:
    with copy_published.connect(OWNER) as owner:
        decisions.set_latency(owner, EVENTS.release.stream, "P0D", reason="all at once", who="ada")
    place = take(settings, copy_published, tmp_path / "backups", silent)
    database = fresh()
    restore(elsewhere(settings, tmp_path), database, place, silent)
    with database.connect(SERVICE, autocommit=True) as service:
        with pytest.raises(SetupError, match="--clock-checked"):
            release.run(service, [EVENTS])
        with database.connect(OWNER) as owner:
            clock.vouch(owner, "me")
        assert release.run(service, [EVENTS])[0].moved > 500


def test_what_changed_in_a_restored_database_is_told(
    copy_published: Database, settings: Settings, fresh: Callable[[], Database], tmp_path: Path
) -> None:
    place = take(settings, copy_published, tmp_path / "backups", silent)
    manifest = verify(place, silent)
    with copy_published.connect() as admin:
        assert compare(admin, manifest) == []
        changes.unguarded(admin)
        admin.execute("UPDATE ant20_01.main SET nhit = nhit + 1 WHERE id = (SELECT min(id) FROM ant20_01.main)")
        admin.execute("GRANT SELECT ON km3net.events_embargo TO km3vo_public")
        told = "\n".join(compare(admin, manifest))
    assert "ant20_01.main has other contents than it had" in told
    assert "added: right km3net.events_embargo km3vo_public SELECT" in told


def test_damage_is_found_before_anything_is_done(
    copy_published: Database, settings: Settings, fresh: Callable[[], Database], tmp_path: Path
) -> None:
    place = take(settings, copy_published, tmp_path / "backups", silent)
    (place / "downloads/events.parquet").write_bytes(b"\1" * 1000)
    database = fresh()
    with pytest.raises(SetupError, match=r"downloads/events\.parquet is not what it was"):
        restore(elsewhere(settings, tmp_path), database, place, silent)
    with database.connect() as admin:
        assert admin.execute("SELECT to_regnamespace('km3vo')").fetchone() == (None,)
    (place / MANIFEST).write_text(json.dumps({"format": 1}))
    with pytest.raises(SetupError, match="cannot be read"):
        verify(place, silent)
    with pytest.raises(SetupError, match="holds no backup"):
        verify(tmp_path, silent)


def test_a_database_that_is_in_use_is_not_restored_into(
    copy_published: Database, settings: Settings, tmp_path: Path
) -> None:
    place = take(settings, copy_published, tmp_path / "backups", silent)
    with pytest.raises(SetupError, match="not empty"):
        restore(elsewhere(settings, tmp_path), copy_published, place, silent)


def test_old_backups_go_but_never_the_newest(copy_published: Database, settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    first = take(settings, copy_published, folder, silent)
    old = folder / "km3vo-20200101T000000Z"
    first.rename(old)
    assert prune(folder, 30, datetime.now(UTC)) == []
    second = take(settings, copy_published, folder, silent)
    # What had not changed takes no room again.
    assert (second / "downloads/events.parquet").samefile(old / "downloads/events.parquet")
    assert prune(folder, 30, datetime.now(UTC) + timedelta(days=1)) == [old]
    assert complete(folder) == [second]
    assert verify(second, silent)


def test_a_backup_that_fails_leaves_nothing(copy_published: Database, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="cannot be written"):
        take(settings, copy_published, tmp_path / "file", silent)
