"""Every type in every format by both ways into the database: km3vo load, and uploads to TAP."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import orjson
import pyarrow as pa
import pytest

from km3vo.catalog.files import read_catalog
from km3vo.catalog.model import Table
from km3vo.cluster.embedded import Cluster
from km3vo.column import Column
from km3vo.database.logins import INGEST, Database
from km3vo.loading import loads
from km3vo.results import formats
from tests.support import kept
from tests.support.cells import CELLS, Sample
from tests.support.changes import unguarded
from tests.support.databases import database_of, drop, make_tables
from tests.support.round_trip import AWKWARD, check_inferred, compare, each_format, written
from tests.support.server import Server

pytestmark = pytest.mark.slow

_ID = Column(name="n", datatype="int", ucd="meta.id;meta.main", nullable=False, description="Number of the row.")
# What may not be published: infinities, blanks alone.
_REFUSED = ("ra", "float", "matrix", "ascii")


def awkward(without: tuple[str, ...] = ()) -> Sample:
    """A table of all types, whose first and last cells are missing."""
    columns = [column for column in CELLS if column.name not in without]
    rows = max(len(AWKWARD[column.name]) for column in columns) + 2
    cells = [[None, *AWKWARD[column.name], *[None] * rows][:rows] for column in columns]
    # Names of our own, as those of types are reserved in ADQL.
    named = [replace(column, name=f"c_{column.name}", sql=f"c_{column.name}") for column in columns]
    return kept.sampled([_ID, *named], [list(range(rows)), *cells])


@each_format
def test_uploads_come_back_from_the_database(server: Server, name: str) -> None:
    table = awkward()
    answer = httpx.post(
        f"{server.tap}/sync",
        data={
            "LANG": "ADQL",
            "QUERY": "SELECT * FROM TAP_UPLOAD.t ORDER BY n",
            "RESPONSEFORMAT": "arrow",
            "UPLOAD": "t,param:f",
        },
        files={"f": written(table, name)},
        timeout=120,
    )
    assert answer.status_code == 200, answer.text
    found = pa.ipc.open_stream(io.BytesIO(answer.content)).read_all()
    assert found.column_names == [column.name for column in table.columns]
    for column, field, values in zip(table.columns, found.schema, table.cells, strict=True):
        cells = found[column.name].to_pylist()
        wanted = kept.cells(column, values, name, alone=False)
        told = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        if name in ("csv", "tsv"):
            check_inferred(column, cells, wanted)
            continue
        assert (told.get("unit"), told.get("ucd")) == (column.unit, column.ucd), column.name
        compare(cells, wanted, f"{name}, {column.name}")


@pytest.fixture(scope="module")
def shop(
    cluster: Cluster, new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Database, Table]]:
    """A database that publishes a table of all types."""
    folder = tmp_path_factory.mktemp("schemas")
    about = ("name", "datatype", "arraysize", "xtype", "unit", "ucd", "nullable")
    columns = [
        {key: value for key in about if (value := getattr(column, key)) is not None} | {"description": "A column."}
        for column in awkward(_REFUSED).columns
    ]
    citation = {"creators": ["Nobody"], "reference_url": "https://shop.example", "text": "Nobody (2025)"}
    table = {"name": "types", "title": "All types", "description": "A table of all types.", "id": "n"}
    table |= {"citation": citation, "columns": columns}  # type: ignore[dict-item]
    schema = {"schema": "shop", "title": "Shop", "description": "A shop.", "tables": [table]}
    (folder / "shop.yaml").write_bytes(orjson.dumps(schema))
    catalog = read_catalog(folder)
    database = database_of(cluster, new_database())
    make_tables(database, catalog)
    yield database, catalog.table("shop.types")
    drop(database)


@each_format
def test_loads_come_back_from_the_database(shop: tuple[Database, Table], name: str, tmp_path: Path) -> None:
    database, published = shop
    table = awkward(_REFUSED)
    file = tmp_path / f"file.{formats.find(name).extension}"
    file.write_bytes(written(table, name))
    with database.connect() as admin:
        unguarded(admin)
        admin.execute("TRUNCATE shop.types, km3vo.load")
    with database.connect(INGEST) as loader:
        assert loads.load(loader, published, [file]).rows == len(table.cells[0])
    with database.connect() as admin:
        names = ", ".join(column.sql for column in table.columns)
        rows = admin.execute(f"SELECT {names} FROM shop.types ORDER BY n").fetchall()
    for column, cells, values in zip(table.columns, zip(*rows, strict=True), table.cells, strict=True):
        compare(cells, kept.cells(column, values, name, alone=False), f"{name}, {column.name}")
