"""What all tests share: one throw-away PostgreSQL, fresh databases in it, and the folders of real data."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import certifi
import psycopg
import pytest
from hypothesis import Phase, settings
from psycopg import sql

from km3vo.check.schemas import FOLDER as SCHEMATA
from km3vo.check.schemas import Schemas
from km3vo.cluster.embedded import Cluster
from km3vo.database.logins import OWNER, Database
from km3vo.embargo import roles
from tests.support.databases import TEMPLATE, database_of, drop, make_published, make_template
from tests.support.folders import ROOT, shared
from tests.support.registry import Registry, tell
from tests.support.samples import send_alerts
from tests.support.server import Server, serve

FOLDER = "KM3VO_TEST_CLUSTER"
PREFIX = "km3vo-test-"
HOME = "-home"

# CI says which example fails first. To look for a smaller one takes minutes where each goes through a service.
settings.register_profile(
    "ci",
    settings.get_profile("ci"),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    report_multiple_bugs=False,
)
if os.environ.get("CI"):
    settings.load_profile("ci")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the folder of the run's cluster; workers of pytest-xdist find it in their environment."""
    if not hasattr(config, "workerinput"):
        # Not below pytest's own folder: only its owner may enter that, and under root PostgreSQL is somebody else.
        os.environ[FOLDER] = tempfile.mkdtemp(prefix=PREFIX)
        os.environ.setdefault("KM3VO_HOME", f"{os.environ[FOLDER]}{HOME}")  # for settings that name no home
    # Servers of tests make no maps beside what is tested.
    os.environ.setdefault("KM3VO_SKYMAP_SECONDS", "0")


# Files of some minutes, the longest first. Begun last, one would keep a worker busy while the other has nothing to do.
LONGEST = (
    "embargo/test_while_both_answer.py",
    "embargo/test_crowd.py",
    "embargo/test_noninterference.py",
    "tap/test_jobs_survive.py",
    "correlation/test_examples.py",
    "registry/test_downloads.py",
    "tap/test_fuzz.py",
    "embargo/test_timing.py",
    "clients/test_votlint.py",
    "registry/test_check.py",
    "alerts/test_kill.py",
    "embargo/test_kill.py",
    "web/test_session.py",
    "test_site.py",
    "package/test_wheel.py",
    "registry/test_one_truth.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files: workers take files in this order (`--no-loadscope-reorder`)."""
    places = {ROOT / "tests" / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the cluster after the last worker, and clusters of earlier runs that were killed."""
    if hasattr(config, "workerinput"):
        return
    own = Path(os.environ[FOLDER])
    Cluster(own, throwaway=True).destroy()
    shutil.rmtree(f"{own}{HOME}", ignore_errors=True)
    for left in own.parent.glob(f"{PREFIX}*"):
        told = left.stat()
        if told.st_uid == os.geteuid() and time.time() - told.st_mtime > 3600:
            Cluster(left, throwaway=True).destroy()


@pytest.fixture(scope="session", autouse=True)
def one_certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One certificate for httpx, which reads all that there are for each request: no test asks strangers."""
    first, end, _ = Path(certifi.where()).read_text().partition("-----END CERTIFICATE-----\n")
    file = tmp_path_factory.mktemp("certificates") / "one.pem"
    file.write_text(first + end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        yield


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running throw-away cluster, one for the whole test run, also with several workers.

    It holds a template with pgSphere (see `new_database`) and nothing else. Logins belong to the cluster, not to a
    database, and workers share it: tests that make some need names of their own.
    """
    running = Cluster(Path(os.environ[FOLDER]), throwaway=True, connections=400)
    # Until this run is over, so that PostgreSQL stays up between the workers' first and last tests.
    running.start()
    make_template(running)
    yield running
    running.stop()


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
    return shared("KM3VO_DATA", "data")


@pytest.fixture(scope="session")
def adql_cases_dir() -> Path:
    """The folder of ADQL queries with their verdicts: KM3VO_ADQL_CASES, or shared/adql beside the repository."""
    return shared("KM3VO_ADQL_CASES", "adql")


@pytest.fixture(scope="session")
def reader_cases_dir() -> Path:
    """The folder of files that were once read wrongly: KM3VO_READER_CASES, or shared/cases/readers."""
    return shared("KM3VO_READER_CASES", "cases/readers")


@pytest.fixture(scope="session")
def published_name(cluster: Cluster) -> str:
    """Name of a database that is published and holds simulated events; to be copied, not to be changed."""
    return make_published(cluster)


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


@pytest.fixture(scope="module")
def server(published: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """uvicorn on a free port, serving `published`."""
    with serve(published, tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture(scope="session")
def schemas() -> Schemas:
    """The IVOA's XML Schemas."""
    if not SCHEMATA.is_dir():
        pytest.skip(f"no XML Schemas in {SCHEMATA}: install python3-gavo")
    return Schemas()


@pytest.fixture(scope="module")
def registered(published: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that tells what is public, five records a page, and changes nothing by itself."""
    home = tmp_path_factory.mktemp("home")
    with published.connect(OWNER) as owner:  # what was simulated passes for the real lists here, and is cited as such
        owner.execute("UPDATE km3vo.load SET file = 'released.dat' WHERE published <> 'km3net.events'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KM3VO_LIMITS_OAI_RECORDS", "5")
        with serve(published, home, metadata_seconds=0, promote_seconds=0) as running:
            send_alerts(published, running.app.state.service.outgoing)
            tell(running, published)
            yield running


@pytest.fixture
def registry(registered: Server) -> Registry:
    """The registry of the registered service."""
    return Registry(registered.url)


def _close(database: Database) -> None:
    """What a copy does not take over: the rights to the database itself."""
    with database.connect() as admin:
        roles.lock_down(admin)
