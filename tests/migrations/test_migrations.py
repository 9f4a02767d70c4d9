"""One line of migrations, which brings every database that was ever released to what a fresh one is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from alembic.script import ScriptDirectory
from psycopg import sql

from km3vo.cluster.embedded import Cluster
from km3vo.database import migrations
from km3vo.database.logins import PUBLIC, Database
from km3vo.errors import SetupError
from tests.migrations import filled
from tests.support import catalogs
from tests.support.databases import database_of, drop

KEPT = sorted(filled.DATABASES.glob("*.sql"))
SCRIPTS = ScriptDirectory(str(migrations.FOLDER))


@pytest.fixture
def new(cluster: Cluster, new_database: Callable[[], str]) -> Iterator[Callable[[], Database]]:
    """A function that makes an empty database with pgSphere."""
    made = []

    def make() -> Database:
        made.append(database_of(cluster, new_database()))
        return made[-1]

    yield make
    for database in made:
        drop(database)


@pytest.fixture
def at(new: Callable[[], Database]) -> Callable[[str | None], Database]:
    """A function that makes a database which says that it has this revision."""

    def make(revision: str | None) -> Database:
        database = new()
        if revision is not None:
            with database.connect() as admin:
                admin.execute("CREATE SCHEMA km3vo CREATE TABLE migration (version_num text)")
                admin.execute("INSERT INTO km3vo.migration VALUES (%s)", (revision,))
        return database

    return make


def test_there_is_one_line_of_numbered_revisions() -> None:
    line = [script.revision for script in SCRIPTS.walk_revisions()][::-1]
    assert SCRIPTS.get_heads() == [line[-1]], "two migrations follow the same one: give the later one the next number"
    assert line == [f"{number:04}" for number in range(1, len(line) + 1)] == migrations.revisions()


def test_no_migration_runs_backwards() -> None:
    assert [script.path for script in SCRIPTS.walk_revisions() if hasattr(script.module, "downgrade")] == []


@pytest.mark.parametrize("kept", KEPT, ids=lambda path: path.stem)
def test_a_migrated_database_is_as_a_fresh_one(kept: Path, new: Callable[[], Database]) -> None:
    fresh, migrated = new(), new()
    filled.restore(migrated, kept)
    before = _rows(migrated)
    assert all(before.values()), "every table of a kept database has rows"
    filled.bring_up_to_date(migrated)
    assert {table: count for table, count in _rows(migrated).items() if table in before} == before

    filled.bring_up_to_date(fresh)
    filled.fill(fresh)
    with fresh.connect() as one, migrated.connect() as other:
        expected, found = catalogs.describe(one), catalogs.describe(other)
    for kind in expected:
        assert {"missing": expected[kind] - found[kind], "left over": found[kind] - expected[kind]} == {
            "missing": set(),
            "left over": set(),
        }, kind


def test_people_of_the_provider_get_names_of_their_own(
    new: Callable[[], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever never had a personal token was known by the provider's word."""
    database = new()
    filled.restore(database, KEPT[0])
    job = (
        "INSERT INTO km3vo.job (id, audience, owner, phase, parameters, seconds, destruction) "
        "VALUES (%s, 'member', %s, 'PENDING', '[]', 1, '2999-01-01')"
    )
    with database.connect() as admin:
        admin.execute(job, ("x", "8f3c"))
        admin.execute(job, ("y", filled.OBSERVER))
        admin.execute("INSERT INTO km3vo.observer VALUES ('9d2e', 'km3vo_observer_9d2e')")
        admin.execute(
            "INSERT INTO km3vo.observer_grant (observer, published, ends_at, reason, decided_by) "
            "VALUES ('9d2e', 'kept.events', '2999-01-01', '', '')"
        )
    monkeypatch.setenv("KM3VO_OIDC_ISSUER", "https://sso.example.org/realms/main")
    filled.bring_up_to_date(database)
    with database.connect() as admin:
        owners = admin.execute("SELECT owner FROM km3vo.job WHERE owner IS NOT NULL ORDER BY id").fetchall()
        observers = admin.execute("SELECT observer FROM km3vo.observer_grant ORDER BY id").fetchall()
    place = "@sso.example.org/realms/main"
    assert owners == [(f"8f3c{place}",), (filled.OBSERVER,)]
    assert observers == [(filled.OBSERVER,), (f"9d2e{place}",)]


def test_upgrading_again_changes_nothing(new: Callable[[], Database]) -> None:
    database = new()
    filled.bring_up_to_date(database)
    with database.connect() as admin:
        before = catalogs.describe(admin)
    filled.bring_up_to_date(database)
    with database.connect() as admin:
        assert catalogs.describe(admin) == before


@pytest.mark.parametrize(
    ("revision", "told"),
    [(None, "is empty: type `km3vo db upgrade`"), ("0000", "install the newer"), ("9999", "install the newer")],
)
def test_a_database_of_another_revision_is_not_served(
    at: Callable[[str | None], Database], revision: str | None, told: str
) -> None:
    with pytest.raises(SetupError, match=told):
        migrations.check_newest(at(revision))


def test_the_command_says_what_to_type(at: Callable[[str | None], Database], tmp_path: Path) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("km3vo"), "serve"],
        env=os.environ | {"KM3VO_HOME": str(tmp_path), "KM3VO_DATABASE_URL": at(None).admin},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "km3vo: the database is empty: type `km3vo db upgrade` and `km3vo publish`, or `km3vo up` for both\n"
    )


def test_an_older_database_is_served_after_an_upgrade(
    new: Callable[[], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = new()
    filled.bring_up_to_date(database)
    migrations.check_newest(database)
    newest = migrations.revisions()
    monkeypatch.setattr(migrations, "revisions", lambda: [*newest, "9998"])
    with pytest.raises(SetupError, match=f"has revision {newest[-1]}, and this km3vo needs 9998: type `km3vo db up"):
        migrations.check_newest(database)


def test_a_newer_database_is_not_touched(at: Callable[[str | None], Database]) -> None:
    database = at("9999")
    with database.connect() as admin:
        before = catalogs.describe(admin)
    with pytest.raises(SetupError, match="has revision 9999, and this km3vo knows none after"):
        filled.bring_up_to_date(database)
    with database.connect() as admin:
        assert catalogs.describe(admin) == before


def _rows(database: Database) -> dict[str, int]:
    """How many rows each table has, of the events also as the public sees them."""
    counts = {}
    with database.connect() as admin:
        names = admin.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('km3vo', 'kept') ORDER BY 1, 2"
        ).fetchall()
        for name in names:
            counts[".".join(name)] = _count(admin, *name)
    with database.connect(PUBLIC) as public:
        counts["what the public sees"] = _count(public, "kept", "events_public")
    return counts


def _count(connection: psycopg.Connection, schema: str, table: str) -> int:
    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table))).fetchone()
    assert row is not None
    return int(row[0])
