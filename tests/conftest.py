"""What all tests share: one throw-away PostgreSQL, fresh databases in it, and the folders of real data."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from km3vo.store import pgsphere
from km3vo.store.cluster import Cluster

ROOT = Path(__file__).parent.parent
FOLDER = "KM3VO_TEST_CLUSTER"
PREFIX = "km3vo-test-"
TEMPLATE = "km3vo_template"


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


def _folder(variable: str, name: str) -> Path:
    folder = Path(os.environ.get(variable) or ROOT.parent / "shared" / name)
    if not folder.is_dir():
        pytest.skip(f"there is no folder {folder}; {variable} names another one")
    return folder


def _make_template(cluster: Cluster) -> None:
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
        # One worker makes it, the others wait.
        connection.execute("SELECT pg_advisory_lock(1)")
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (TEMPLATE,)).fetchone():
            return
        making = sql.Identifier(f"{TEMPLATE}_making")
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(making))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(making))
        with psycopg.connect(cluster.conninfo(f"{TEMPLATE}_making")) as inside:
            pgsphere.ensure(inside)
        connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(making, sql.Identifier(TEMPLATE)))
