"""What plans of public queries hang on changes with releases, and with nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import psycopg
import pytest

from km3vo.catalog.model import Table
from km3vo.cluster.embedded import Cluster
from km3vo.database.logins import INGEST, OWNER, SERVICE, Database
from km3vo.embargo import partitions, statistics
from km3vo.loading import loads

pytestmark = pytest.mark.slow

PUBLIC, MORE = 40_000, 4_000  # more than the 30,000 rows that ANALYZE looks at
ROWS = """
INSERT INTO lab.events (event_id, mjd, obs_time, ra, dec, err50, energy, nhits, tag)
SELECT %(prefix)s || n, 57000 + n %% 1000, %(observed)s, n * 0.37 %% 360, n * 0.11 %% 90, 1, n, n %% 50, n %% 30
FROM generate_series(1, %(rows)s) AS n
"""
# The public partition, its indexes, and its texts that are kept apart.
RELATIONS = """
WITH partition AS (SELECT oid, reltoastrelid FROM pg_class WHERE oid = 'lab.events_public'::regclass),
own AS (
    SELECT oid FROM partition
    UNION SELECT reltoastrelid FROM partition
    UNION SELECT indexrelid FROM pg_index, partition WHERE indrelid IN (partition.oid, reltoastrelid)
)
SELECT relname, relpages, reltuples, relallvisible, relfrozenxid::text, pg_relation_filepath(oid)
FROM pg_class JOIN own USING (oid) ORDER BY relname
"""


@pytest.fixture
def filled(database: Database, events: Table) -> Database:
    """Many public events, released and settled."""
    load(database, "p", PUBLIC, "2015-01-01")
    release(database, events)
    assert statistics.settle(database, [events]) == [events.qualified]
    return database


def load(database: Database, prefix: str, rows: int, observed: str) -> None:
    with database.connect(INGEST) as loader:
        loader.execute(ROWS, {"prefix": prefix, "rows": rows, "observed": observed})


def release(database: Database, table: Table) -> None:
    with database.connect(OWNER) as owner:
        owner.execute("SELECT km3vo.set_quality(%s, 'passed', NULL, '', '')", (table.qualified,))
    with database.connect(SERVICE, autocommit=True) as service:
        partitions.promote(service, table)


def state(database: Database, folder: Path) -> dict[str, Any]:
    """All that there is of the public partition, by the names of its parts: figures, statistics, and every byte."""
    with database.connect(autocommit=True) as admin:
        admin.execute("CHECKPOINT")
        relations = admin.execute(RELATIONS).fetchall()
        found: dict[str, Any] = {name: figures for name, *figures, _ in relations}
        found["statistics"] = admin.execute(
            "SELECT md5(s::text) FROM pg_statistic AS s WHERE starelid = 'lab.events_public'::regclass "
            "ORDER BY staattnum"
        ).fetchall()
    for name, *_, place in relations:
        for file in sorted((folder / place).parent.glob(f"{Path(place).name}*")):
            found[f"{name} {file.suffix} {file.name}"] = hashlib.sha256(file.read_bytes()).hexdigest()
    assert len(found) > 15
    return found


def test_a_load_leaves_the_public_partition_as_it_was(filled: Database, events: Table, own_cluster: Cluster) -> None:
    folder = data(filled)
    before = state(filled, folder)
    load(filled, "h", MORE, "2090-01-01")
    with filled.connect(OWNER) as owner:
        loads.analyze(owner, events)
    assert statistics.settle(filled, [events]) == []
    assert state(filled, folder) == before


def test_and_this_is_seen_when_it_does_not(filled: Database, events: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = data(filled)
    before = state(filled, folder)
    monkeypatch.setattr(statistics, "ANALYZE_HIDDEN", "ANALYZE {parent}")
    with filled.connect(OWNER) as owner:
        loads.analyze(owner, events)
    assert state(filled, folder)["statistics"] != before["statistics"]


def data(database: Database) -> Path:
    """The folder of PostgreSQL's files."""
    with database.connect() as admin:
        (folder,) = admin.execute("SHOW data_directory").fetchone() or ("",)
    return Path(folder)


def test_autovacuum_keeps_away_from_public_rows(database: Database) -> None:
    with database.connect() as admin:
        found = admin.execute(
            "SELECT relname FROM pg_class "
            "WHERE 'autovacuum_enabled=off' = ANY (reloptions) AND relkind = 'r' ORDER BY relname"
        ).fetchall()
    names = ("alert_links_public", "alerts_public", "candidates_public", "events_public", "known")
    assert found == [(name,) for name in names]


def test_an_empty_public_partition_is_known_to_be_empty(database: Database) -> None:
    """Never analysed, it would be taken for ten pages of rows until something in it, or around it, is analysed."""
    with database.connect() as admin:
        assert admin.execute("SELECT reltuples FROM pg_class WHERE relname = 'events_public'").fetchone() == (0,)


def test_statistics_follow_releases(filled: Database, events: Table) -> None:
    def tuples(connection: psycopg.Connection) -> float:
        (found,) = connection.execute("SELECT reltuples FROM pg_class WHERE relname = 'events_public'").fetchone() or (
            0,
        )
        return float(found)

    for number, (rows, expected) in enumerate(((100, PUBLIC), (MORE, PUBLIC + MORE + 100))):
        load(filled, f"n{number}", rows, "2015-01-01")
        release(filled, events)
        settled = statistics.settle(filled, [events])
        assert bool(settled) == (expected > PUBLIC)
        with filled.connect() as admin:
            assert tuples(admin) == pytest.approx(expected, rel=0.01)


def test_public_pages_are_known_to_be_visible_to_all(filled: Database) -> None:
    with filled.connect() as admin:
        found = admin.execute("SELECT relpages, relallvisible FROM pg_class WHERE relname = 'events_public'").fetchone()
    assert found is not None and found[0] == found[1] > 100


def test_plans_do_not_depend_on_what_vacuum_has_seen(filled: Database) -> None:
    """A vacuum after a release passes over pages while a load is open; that must not turn any plan."""
    asked = [
        f"SELECT mjd FROM lab.events_public WHERE mjd BETWEEN {start} AND {start + length}"
        for length in (0, 1, 3, 10, 30, 60, 100, 150, 200, 300, 500)
        for start in (57010, 57300)
    ]

    def answers(setting: str) -> list[list[Any]]:
        with filled.connect("km3vo_public") as reader:
            reader.execute(setting)
            return [reader.execute(query).fetchall() for query in asked]

    ours, others = "SELECT", "SET enable_indexonlyscan = on"
    seen, weaker = answers(ours), answers(others)
    with filled.connect(autocommit=True) as admin:
        admin.execute("UPDATE pg_class SET relallvisible = 0 WHERE relname = 'events_public'")
    assert answers(ours) == seen
    assert answers(others) != weaker  # so that we know that this can see


def test_estimates_do_not_tell_whether_a_load_was_open_at_a_release(filled: Database, events: Table) -> None:
    """Which pages VACUUM could not see then changes no figure of a plan; they decide on lanes and expected times."""
    columns = ("mjd", "event_id", "COUNT(*)", "COUNT(mjd)", "MIN(mjd)")
    asked = [
        f"EXPLAIN SELECT {column} FROM lab.events_public WHERE mjd BETWEEN 57010 AND {57010 + length}"
        for column in columns
        for length in (0, 10, 100, 500, 1000)
    ]
    visible = "SELECT relallvisible::float / relpages FROM pg_class WHERE relname = 'events_public'"

    def plans(setting: str) -> list[Any]:
        with filled.connect("km3vo_public") as reader:
            reader.execute(setting)
            return [reader.execute(query).fetchall() for query in asked]

    with filled.connect(autocommit=True) as admin:
        with filled.connect(INGEST) as loader:
            loader.execute("CREATE TEMPORARY TABLE staging AS SELECT 1 AS x")
            load(filled, "n", PUBLIC // 5, "2015-01-01")
            release(filled, events)
            assert statistics.settle(filled, [events])
            (share,) = admin.execute(visible).fetchone() or (1,)
            assert share < 0.9
            ours, others = "SELECT", "SET enable_indexonlyscan = on"
            seen, weaker = plans(ours), plans(others)
        # As if it had not been; another VACUUM would estimate the number of rows anew, and so turn plans by itself.
        admin.execute("UPDATE pg_class SET relallvisible = relpages WHERE relname = 'events_public'")
    assert plans(ours) == seen
    assert plans(others) != weaker  # so that we know that this can see


def test_the_planner_knows_of_a_load_while_its_rows_are_checked(filled: Database) -> None:
    """Of a partition that releases have emptied it expects one row, and would compare each new one with all others."""
    figures = "SELECT reltuples FROM pg_class WHERE oid = 'lab.events_embargo'::regclass"
    with filled.connect(OWNER, autocommit=True) as owner:
        owner.execute("ANALYZE lab.events_embargo")
        assert owner.execute(figures).fetchone() == (0,)
        load(filled, "h", MORE, "2090-01-01")
        assert owner.execute(figures).fetchone() == (MORE,)
