"""Databases to run translated queries on: the cases' own tables, and a sky full of events."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from km3vo.adql import QueryTables
from km3vo.adql.tables_file import read_groups, relation
from tests.adql.tables import EVENTS, UPLOAD

# One row of each type; geometries in pgSphere's own text, radians.
_CELLS: dict[str, object] = {
    "spoint": "(0.1, 0.2)",
    "scircle": "<(0.1, 0.2), 0.1>",
    "spoly": "{(0, 0), (0.1, 0), (0.1, 0.1)}",
    "timestamp": "2020-01-01T12:00:00",
    "bytea": b"x",
    "boolean": True,
}


@pytest.fixture(scope="session")
def cases(adql_cases_dir: Path) -> list[dict[str, Any]]:
    """Other people's conformance queries with their verdicts."""
    return [json.loads(line) for line in (adql_cases_dir / "cases.jsonl").read_text().splitlines()]


@pytest.fixture(scope="session")
def groups(adql_cases_dir: Path) -> dict[str, QueryTables]:
    """The tables that the cases speak of, by group."""
    return read_groups(adql_cases_dir / "schema.json")


@pytest.fixture(scope="session")
def group_database(
    new_database: Callable[[], str], adql_cases_dir: Path
) -> Iterator[Callable[[str], psycopg.Connection]]:
    """A function that gives a connection to a database with the tables of a group, one row in each."""
    described = json.loads((adql_cases_dir / "schema.json").read_text())["schemas"]
    connections: dict[str, psycopg.Connection] = {}

    def connect(group: str) -> psycopg.Connection:
        if group not in connections:
            connection = connections[group] = psycopg.connect(new_database(), autocommit=True)
            for table, columns in described[group].items():
                _create(connection, relation(table), {name: told["pg"] for name, told in columns.items()})
        return connections[group]

    yield connect
    for connection in connections.values():
        connection.close()


def _create(connection: psycopg.Connection, name: tuple[str, ...], columns: dict[str, str]) -> None:
    if len(name) == 2:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(name[0])))
    table = sql.Identifier(*name)
    parts = [sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(pg)) for column, pg in columns.items()]
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(table, sql.SQL(", ").join(parts)))
    cells = [
        _CELLS.get(pg) or ("a" if "char" in pg or pg == "text" else None if pg.endswith("range") else 1)
        for pg in columns.values()
    ]
    places = sql.SQL(", ").join(sql.SQL("%s") for _ in cells)
    connection.execute(sql.SQL("INSERT INTO {} VALUES ({})").format(table, places), cells)


# 20,000 events on a spiral, six where pgSphere would move them, 200 uploaded sources beside every hundredth of them.
_SKY = """
CREATE SCHEMA km3net;
CREATE SCHEMA upload;
CREATE TABLE km3net.events_public (
    event_id int8, mjd float8, ra float8, "dec" float8, err50 float4, energy float4, nhits int2, detector text,
    author text, obs_time timestamp, good bool, region float8[],
    _pos spoint GENERATED ALWAYS AS (spoint(radians(ra), radians("dec"))) STORED,
    _errc scircle GENERATED ALWAYS AS (scircle(spoint(radians(ra), radians("dec")), radians(err50))) STORED,
    _region spoly
);
INSERT INTO km3net.events_public
SELECT i, 59000 + i / 10.0, (i * 137.50776405) - 360 * floor(i * 137.50776405 / 360),
       degrees(asin(2 * (i + 0.5) / 20000 - 1)), 0.1 + (i % 50) / 25.0, 100 * (i % 1000 + 1), i % 300,
       CASE WHEN i % 3 = 0 THEN 'ORCA' ELSE 'ARCA' END, 'Çağrı', timestamp '2020-05-31' + i * interval '1 hour',
       i % 2 = 0, NULL
FROM generate_series(0, 19999) AS i;
INSERT INTO km3net.events_public
SELECT 19999 + n, 61000, ra, "dec", 0.7, 50, 5, 'ARCA', NULL, timestamp '2022-10-01', true, NULL
FROM (VALUES (1, 77, 90), (2, 0, -90), (3, 123, 90 - 2e-8), (4, 222, -90 + 3e-9), (5, 0, 4e-8), (6, 360 - 2e-8, -1e-9))
     AS special(n, ra, "dec");
UPDATE km3net.events_public
SET region = ARRAY[10, 0, 12, 0, 12, 2, 10, 2], _region = '{(10d,0d),(12d,0d),(12d,2d),(10d,2d)}'
WHERE event_id = 7;
CREATE INDEX ON km3net.events_public USING gist (_pos);
CREATE INDEX ON km3net.events_public USING gist (_errc);
CREATE TABLE upload.mine AS
SELECT event_id::int4 AS id, ra AS "RA", greatest(-90, "dec" - 0.01) AS "DEC", 0.05::float8 AS radius,
       1::float4 AS "my flux", ARRAY[1, 2, NULL]::float8[] AS spectrum, ARRAY[ra, "dec"] AS place,
       ARRAY[ra, "dec", 1] AS field, ARRAY[10, 0, 12, 0, 12, 2, 10, 2]::float8[] AS outline
FROM km3net.events_public WHERE event_id % 100 = 5;
ANALYZE;
"""


@pytest.fixture(scope="session")
def sky_sources() -> QueryTables:
    """The tables of the sky database."""
    return QueryTables([EVENTS]).with_uploads([UPLOAD])


@pytest.fixture(scope="session")
def sky(new_database: Callable[[], str]) -> Iterator[psycopg.Connection]:
    """A database with 20,000 events and 200 uploaded sources."""
    with psycopg.connect(new_database(), autocommit=True) as connection:
        connection.execute(_SKY)
        yield connection
