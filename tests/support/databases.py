"""Databases in the run's cluster: empty ones with pgSphere, and published ones with simulated events."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
from psycopg import sql

from km3vo.catalog.files import read_catalog
from km3vo.catalog.model import Catalog
from km3vo.cluster.embedded import Cluster
from km3vo.database import pgsphere
from km3vo.database import statistics as functions
from km3vo.database.logins import INGEST, OWNER, SERVICE, Database, read_passwords
from km3vo.embargo import partitions, statistics
from km3vo.loading import loads
from km3vo.publishing.publish import publish
from km3vo.publishing.upgrade import upgrade
from km3vo.simulation import simulate
from tests.support.folders import ROOT

TEMPLATE = "km3vo_template"
PUBLISHED = "km3vo_published"

# How many events the published tables hold in tests.
ROWS = {"ant20_01.main": 300, "antares.data": 200, "icecube.ps3yr": 2000, "km3net.events": 2000}


def make_template(cluster: Cluster) -> None:
    """Make the database that others are copied from: with pgSphere and statistics, and nothing else."""

    def fill(conninfo: str) -> None:
        read_passwords(cluster.folder)  # makes them, of which two workers would each make their own
        with psycopg.connect(conninfo) as inside:
            pgsphere.ensure(inside)
            functions.ensure(inside)

    _make_once(cluster, TEMPLATE, fill)


def make_published(cluster: Cluster) -> str:
    """Make the database that is published and holds `ROWS` simulated events; its name."""
    return _make_once(cluster, PUBLISHED, lambda conninfo: _publish(database_of(cluster, conninfo)))


def database_of(cluster: Cluster, conninfo: str) -> Database:
    """A database of the run's cluster with km3vo's logins, which all databases share."""
    return Database(conninfo, read_passwords(cluster.folder))


def drop(database: Database) -> None:
    """Drop a database, whoever is connected to it."""
    name = psycopg.conninfo.conninfo_to_dict(database.admin)["dbname"]
    with psycopg.connect(database.admin, dbname="postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(str(name))))


def make_tables(database: Database, catalog: Catalog) -> None:
    """Bring a new database up to date and publish tables in it, without rows."""
    upgrade(database)
    with database.connect(OWNER) as owner:
        publish(owner, catalog)


def _publish(database: Database) -> None:
    catalog = read_catalog(ROOT / "schemas")
    make_tables(database, catalog)
    for table in catalog.tables:
        if (rows := ROWS.get(table.qualified)) is None:
            continue
        with database.connect(INGEST) as loader:
            loads.load_batches(loader, table, simulate(table, rows, seed=1), name="tests", rows=rows)
        with database.connect(OWNER) as owner:
            loads.analyze(owner, table)
        if table.release.embargoed:
            with database.connect(SERVICE, autocommit=True) as service:
                partitions.promote(service, table)
            statistics.settle(database, [table])


def _make_once(cluster: Cluster, name: str, fill: Callable[[str], None]) -> str:
    """Make and fill a database unless it is there; of several workers one makes it, the others wait."""
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(1)")
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
            return name
        making = sql.Identifier(f"{name}_making")
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(making))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(making))
        fill(cluster.conninfo(f"{name}_making"))
        connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(making, sql.Identifier(name)))
    return name
