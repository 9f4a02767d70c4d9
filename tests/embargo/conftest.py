"""A PostgreSQL of these tests' own: they lock databases down, kill servers, and open a second cluster."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from km3vo.catalog.files import read_catalog
from km3vo.catalog.model import Catalog, Table
from km3vo.cluster.embedded import Cluster
from km3vo.database.logins import INGEST, OWNER, SERVICE, Database
from km3vo.embargo import roles
from tests.embargo.differential.pair import Pair
from tests.embargo.differential.servers import crowd, fill, hide, served, sizes
from tests.embargo.lab import PASSWORDS, SCHEMAS, copy
from tests.support.databases import make_tables
from tests.support.issuer import Issuer
from tests.support.server import Server


@pytest.fixture(scope="session")
def own_cluster() -> Iterator[Cluster]:
    """A throw-away cluster of this worker alone."""
    folder = Path(tempfile.mkdtemp(prefix="km3vo-embargo-"))
    folder.chmod(0o711)
    # Statistics renewed in the background would change plans, and with them the order of rows.
    (folder / "postgresql.local.conf").write_text("autovacuum = off\n")
    cluster = Cluster(folder, throwaway=True)
    cluster.start()
    yield cluster
    cluster.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """The tables of schemas/lab.yaml."""
    return read_catalog(SCHEMAS)


@pytest.fixture(scope="session")
def template(own_cluster: Cluster, catalog: Catalog) -> str:
    """The name of a database with the published tables, empty."""
    name = "template_published"
    with psycopg.connect(own_cluster.conninfo("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    database = Database(own_cluster.conninfo(name), PASSWORDS)
    make_tables(database, catalog)
    return name


@pytest.fixture(scope="session")
def new_published(own_cluster: Cluster, template: str) -> Callable[[], Database]:
    """A function that makes a database with the published tables, empty."""

    def make() -> Database:
        name = f"test_{uuid4().hex[:12]}"
        with psycopg.connect(own_cluster.conninfo("postgres"), autocommit=True) as admin:
            admin.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
            )
        fresh = Database(own_cluster.conninfo(name), PASSWORDS)
        with fresh.connect() as admin:
            roles.lock_down(admin)  # rights on the database itself are not copied with it
        return fresh

    return make


@pytest.fixture
def database(new_published: Callable[[], Database], own_cluster: Cluster) -> Iterator[Database]:
    """A database with the tables of schemas/lab.yaml, empty; dropped after the test."""
    fresh = new_published()
    yield fresh
    name = psycopg.conninfo.conninfo_to_dict(fresh.admin)["dbname"]
    with psycopg.connect(own_cluster.conninfo("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(str(name))))


@pytest.fixture
def owner(database: Database) -> Iterator[psycopg.Connection]:
    """A connection of the owner, in autocommit mode."""
    with database.connect(OWNER, autocommit=True) as connection:
        yield connection


@pytest.fixture
def service(database: Database) -> Iterator[psycopg.Connection]:
    """A connection of the service's login, in autocommit mode."""
    with database.connect(SERVICE, autocommit=True) as connection:
        yield connection


@pytest.fixture
def ingest(database: Database) -> Iterator[psycopg.Connection]:
    """A connection of the loader's login, in autocommit mode."""
    with database.connect(INGEST, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def events(catalog: Catalog) -> Table:
    """The table with a latency of two years, whose events wait for quality control."""
    return catalog.table("lab.events")


@pytest.fixture(scope="session")
def alerts(catalog: Catalog) -> Table:
    """The table with a latency of an hour, whose events need no quality control."""
    return catalog.table("lab.alerts")


@pytest.fixture(scope="module")
def databases(new_published: Callable[[], Database], own_cluster: Cluster) -> tuple[Database, Database]:
    """One without and one with embargoed events; what is public lies on the same pages in both."""
    bare = new_published()
    fill(bare)
    loaded = copy(bare, own_cluster)
    hide(loaded)
    assert sizes(bare) == (400, 400)
    assert sizes(loaded) == (2400, 400)
    return bare, loaded


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """An identity provider."""
    one = Issuer()
    yield one
    one.close()


@pytest.fixture(scope="module")
def crowded(new_published: Callable[[], Database], own_cluster: Cluster) -> list[Database]:
    """Without, without, and with 20,000 embargoed events in one cone."""
    bare = new_published()
    fill(bare)
    twin, loaded = copy(bare, own_cluster), copy(bare, own_cluster)
    crowd(loaded)
    for one in (bare, twin, loaded):
        with one.connect(OWNER, autocommit=True) as owner:
            owner.execute("VACUUM ANALYZE")
    return [bare, twin, loaded]


@pytest.fixture
def crowded_servers(crowded: list[Database], tmp_path: Path, catalog: Catalog) -> Iterator[list[Server]]:
    """A server on each."""
    with (
        served(crowded[0], tmp_path / "a", catalog) as bare,
        served(crowded[1], tmp_path / "b", catalog) as twin,
        served(crowded[2], tmp_path / "c", catalog) as loaded,
    ):
        yield [bare, twin, loaded]


@pytest.fixture
def pair(databases: tuple[Database, Database], tmp_path: Path, catalog: Catalog) -> Iterator[Pair]:
    """A server on each."""
    with served(databases[0], tmp_path / "a", catalog) as bare, served(databases[1], tmp_path / "b", catalog) as loaded:
        both = Pair(bare, loaded)
        yield both
        both.close()
