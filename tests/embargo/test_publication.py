"""A public-only database elsewhere: embargoed rows are physically not there, and follow when they are released."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from km3vo.catalog.model import Catalog, Table
from km3vo.cluster.embedded import Cluster
from km3vo.database.logins import PUBLIC, REPLICA, SERVICE, Database
from km3vo.embargo import partitions
from km3vo.publishing import replication
from tests.embargo.differential.servers import fill, hide
from tests.embargo.lab import PASSWORDS, add_alert
from tests.support.databases import make_tables

pytestmark = pytest.mark.slow


@pytest.fixture
def outside(catalog: Catalog) -> Iterator[Database]:
    """An empty published database in a cluster of its own."""
    folder = Path(tempfile.mkdtemp(prefix="km3vo-outside-"))
    cluster = Cluster(folder, throwaway=True)
    cluster.start()
    database = Database(cluster.conninfo(), PASSWORDS)
    make_tables(database, catalog)
    yield database
    cluster.stop()
    shutil.rmtree(folder)


def wait_for_rows(connection: psycopg.Connection, relation: str, count: int) -> None:
    until = time.monotonic() + 60
    query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*relation.split(".")))
    while (found := connection.execute(query).fetchone()) != (count,):
        assert time.monotonic() < until, f"{relation} has {found} rows, not {count}"
        time.sleep(0.1)


def test_public_rows_follow_and_no_others(
    database: Database, outside: Database, catalog: Catalog, alerts: Table, owner: psycopg.Connection
) -> None:
    fill(database)
    hide(database)
    published = replication.publish(database, catalog)
    assert published == replication.publish(database, catalog)  # safe to run again
    assert published == [
        *("km3net.alert_links_public", "km3net.candidates_public"),
        *("lab.events_public", "lab.alerts_public", "lab.known"),
    ]
    with outside.connect(autocommit=True) as there:
        there.execute(replication.subscription(database))
        try:
            for relation, count in (("lab.events_public", 400), ("lab.alerts_public", 100), ("lab.known", 400)):
                wait_for_rows(there, relation, count)
            wait_for_rows(there, "km3net.alert_links_public", 1)
            add_alert(owner, 777_777, "2020-01-01")
            with database.connect(SERVICE, autocommit=True) as service:
                assert partitions.promote(service, alerts).moved == 1
            wait_for_rows(there, "lab.alerts_public", 101)
            for relation in ("lab.events_embargo", "lab.alerts_embargo"):
                wait_for_rows(there, relation, 0)
            with outside.connect(PUBLIC) as reader:  # with positions, which the other database computes itself
                cone = "SELECT count(*) FROM lab.events_public WHERE _pos <@ scircle(spoint(0.17, 0.34), 0.1)"
                assert reader.execute(cone).fetchone() != (0,)
        finally:
            there.execute(sql.SQL("DROP SUBSCRIPTION {}").format(sql.Identifier(replication.NAME)))


def test_the_following_login_reads_public_rows_only(database: Database, catalog: Catalog) -> None:
    replication.publish(database, catalog)
    with database.connect(REPLICA, autocommit=True) as follower:
        assert follower.execute("SELECT count(*) FROM lab.events_public").fetchone() == (0,)
        for relation in ("lab.events", "lab.events_embargo", "km3vo.stream"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                follower.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*relation.split("."))))
