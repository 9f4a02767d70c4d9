"""What all tests share: one throw-away PostgreSQL, fresh databases in it, and the folders of real data."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import uvicorn
from fastapi import FastAPI
from psycopg import sql

from km3vo.app import SERVER, create_app
from km3vo.catalog.files import read_catalog
from km3vo.settings import Settings
from km3vo.simulation import simulate
from km3vo.store import embargo, ingest, migrate, pgsphere, publish, roles
from km3vo.store.cluster import Cluster
from km3vo.store.database import INGEST, OWNER, SERVICE, Database, read_passwords

ROOT = Path(__file__).parent.parent
FOLDER = "KM3VO_TEST_CLUSTER"
PREFIX = "km3vo-test-"
TEMPLATE = "km3vo_template"
PUBLISHED = "km3vo_published"

# How many events the published tables hold in tests.
ROWS = {"ant20_01.main": 300, "antares.data": 200, "icecube.ps3yr": 2000, "km3net.events": 2000}


def pytest_configure(config: pytest.Config) -> None:
    """Choose the folder of the run's cluster; workers of pytest-xdist find it in their environment."""
    if not hasattr(config, "workerinput"):
        # Not below pytest's own folder: only its owner may enter that, and under root PostgreSQL is somebody else.
        os.environ[FOLDER] = tempfile.mkdtemp(prefix=PREFIX)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the cluster after the last worker, and clusters of earlier runs that were killed."""
    if hasattr(config, "workerinput"):
        return
    own = Path(os.environ[FOLDER])
    Cluster(own, throwaway=True).destroy()
    for left in own.parent.glob(f"{PREFIX}*"):
        told = left.stat()
        if told.st_uid == os.geteuid() and time.time() - told.st_mtime > 3600:
            Cluster(left, throwaway=True).destroy()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running throw-away cluster, one for the whole test run, also with several workers.

    It holds a template with pgSphere (see `new_database`) and nothing else. Logins belong to the cluster, not to a
    database, and workers share it: tests that make some need names of their own.
    """
    shared = Cluster(Path(os.environ[FOLDER]), throwaway=True)
    # Until this run is over, so that PostgreSQL stays up between the workers' first and last tests.
    shared.start()
    _make_template(shared)
    yield shared
    shared.stop()


@pytest.fixture(scope="session")
def new_database(cluster: Cluster) -> Callable[[str], str]:
    """A function that makes a database with pgSphere, in about 40 ms, and returns the superuser's conninfo.

    Its argument is the name of a database to copy, as `new_database(loaded)`, or nothing. A database that is copied
    must have no open connections.
    """

    def make(template: str = TEMPLATE) -> str:
        name = f"test_{uuid4().hex[:12]}"
        with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
            create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            connection.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
        return cluster.conninfo(name)

    return make


@pytest.fixture
def empty_database(new_database: Callable[[], str]) -> Iterator[str]:
    """The superuser's conninfo of a fresh database with pgSphere and nothing else; dropped after the test."""
    conninfo = new_database()
    yield conninfo
    name = psycopg.conninfo.conninfo_to_dict(conninfo)["dbname"]
    with psycopg.connect(conninfo, dbname="postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(str(name))))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real event lists: KM3VO_DATA, or shared/data beside the repository."""
    return _folder("KM3VO_DATA", "data")


@pytest.fixture(scope="session")
def adql_cases_dir() -> Path:
    """The folder of ADQL queries with their verdicts: KM3VO_ADQL_CASES, or shared/adql beside the repository."""
    return _folder("KM3VO_ADQL_CASES", "adql")


@pytest.fixture(scope="session")
def published_name(cluster: Cluster) -> str:
    """Name of a database that is published and holds simulated events; to be copied, not to be changed."""
    return _make_once(cluster, PUBLISHED, lambda conninfo: _publish(database_of(cluster, conninfo)))


@pytest.fixture(scope="module")
def published(cluster: Cluster, published_name: str, new_database: Callable[[str], str]) -> Iterator[Database]:
    """A published database with `ROWS` simulated events, half of those of km3net.events under embargo.

    Each module has a copy of its own; tests that change events should make theirs with `copy_published`.
    """
    database = database_of(cluster, new_database(published_name))
    _close(database)
    yield database
    drop(database)


@pytest.fixture
def copy_published(cluster: Cluster, published_name: str, new_database: Callable[[str], str]) -> Iterator[Database]:
    """As `published`, for one test that changes it."""
    database = database_of(cluster, new_database(published_name))
    _close(database)
    yield database
    drop(database)


@dataclass(frozen=True)
class Server:
    """A real server on loopback, in a thread."""

    url: str
    settings: Settings
    app: FastAPI

    @property
    def tap(self) -> str:
        return f"{self.url}/tap"


@pytest.fixture(scope="module")
def server(published: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """uvicorn on a free port, serving `published`."""
    with serve(published, tmp_path_factory.mktemp("home")) as running:
        yield running


@contextmanager
def serve(database: Database, home: Path, **changes: Any) -> Iterator[Server]:
    """Serve a database meanwhile; ``changes`` are settings by name."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        settings = Settings(home=home, port=listening.getsockname()[1], **changes)
        app = create_app(settings, database)
        config = uvicorn.Config(
            app, log_level="warning", server_header=False, headers=[("Server", SERVER)], timeout_graceful_shutdown=2
        )
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, args=([listening],))
        thread.start()
        try:
            while not running.started:
                assert thread.is_alive(), "the server did not start"
                time.sleep(0.01)
            yield Server(settings.base_url, settings, app)
        finally:
            running.should_exit = True
            thread.join(20)


def database_of(cluster: Cluster, conninfo: str) -> Database:
    """A database of the run's cluster with km3vo's logins, which all databases share."""
    return Database(conninfo, read_passwords(cluster.folder))


def drop(database: Database) -> None:
    """Drop a database, whoever is connected to it."""
    name = psycopg.conninfo.conninfo_to_dict(database.admin)["dbname"]
    with psycopg.connect(database.admin, dbname="postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(str(name))))


def _close(database: Database) -> None:
    """What a copy does not take over: the rights to the database itself."""
    with database.connect() as admin:
        roles.lock_down(admin)


def _publish(database: Database) -> None:
    migrate.upgrade(database)
    catalog = read_catalog(ROOT / "schemas")
    with database.connect(OWNER) as owner:
        publish.publish(owner, catalog)
    for table in catalog.tables:
        if (rows := ROWS.get(table.qualified)) is None:
            continue
        with database.connect(INGEST) as loader:
            ingest.load_batches(loader, table, simulate(table, rows, seed=1), name="tests", rows=rows)
        with database.connect(OWNER) as owner:
            ingest.analyze(owner, table)
        if table.release.embargoed:
            with database.connect(SERVICE, autocommit=True) as service:
                embargo.promote(service, table)


def _folder(variable: str, name: str) -> Path:
    folder = Path(os.environ.get(variable) or ROOT.parent / "shared" / name)
    if not folder.is_dir():
        pytest.skip(f"there is no folder {folder}; {variable} names another one")
    return folder


def _make_template(cluster: Cluster) -> None:
    def fill(conninfo: str) -> None:
        with psycopg.connect(conninfo) as inside:
            pgsphere.ensure(inside)

    _make_once(cluster, TEMPLATE, fill)


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
