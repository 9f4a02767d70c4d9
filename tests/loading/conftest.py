"""A database with the tables of lab.py, and files to load into them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from km3vo.catalog.files import read_catalog
from km3vo.catalog.model import Catalog, Table
from km3vo.cluster.embedded import Cluster
from km3vo.database.logins import Database
from tests.loading.lab import SCHEMA, Write
from tests.support.changes import unguarded
from tests.support.databases import database_of, drop, make_tables
from tests.support.folders import ROOT


@pytest.fixture(scope="module")
def lab(
    cluster: Cluster, new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """A database with the tables of lab.py."""
    folder = tmp_path_factory.mktemp("schemas")
    (folder / "lab.yaml").write_text(SCHEMA)
    database = database_of(cluster, new_database())
    make_tables(database, read_catalog(folder))
    yield database
    drop(database)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Table]:
    folder = tmp_path_factory.mktemp("schemas")
    (folder / "lab.yaml").write_text(SCHEMA)
    return {table.name: table for table in read_catalog(folder).tables}


@pytest.fixture
def hits(lab: Database, tables: dict[str, Table]) -> Table:
    """The table lab.hits, empty."""
    with lab.connect() as admin:
        unguarded(admin)
        admin.execute("TRUNCATE lab.hits, lab.late, km3vo.load")
    return tables["hits"]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A function that writes a text file and returns its path."""

    def write(text: str | bytes, name: str = "events.csv") -> Path:
        file = tmp_path / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    return write


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """All that is published."""
    return read_catalog(ROOT / "schemas")


@pytest.fixture(scope="module")
def database(cluster: Cluster, new_database: Callable[[], str], catalog: Catalog) -> Iterator[Database]:
    """A published database without events."""
    database = database_of(cluster, new_database())
    make_tables(database, catalog)
    yield database
    drop(database)
