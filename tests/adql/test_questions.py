"""What people type, right and wrong: accepted.txt runs on the database, refused.txt is told why, line by line.

Each line has the version and a query; the tables are those of the sky database.
"""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from km3vo.adql import QueryTables, parse, translate
from km3vo.adql.unparse import unparse
from km3vo.errors import AdqlError

_HERE = Path(__file__).parent


def _lines(name: str) -> list[tuple[str, str]]:
    lines = (_HERE / name).read_text(encoding="utf-8").splitlines()
    return [(version, query) for version, _, query in (line.partition(":") for line in lines)]


@pytest.mark.parametrize(("version", "query"), _lines("accepted.txt"))
def test_what_is_adql_runs(sky: psycopg.Connection, sky_sources: QueryTables, version: str, query: str) -> None:
    made = translate(query, sky_sources, version=version, maxrec=5)
    with sky.transaction(force_rollback=True):
        sky.execute("SET LOCAL statement_timeout = '30s'")
        cursor = sky.execute(made.sql.encode())
        assert [column.sql for column in made.columns] == [column.name for column in cursor.description or ()]
        assert len(cursor.fetchall()) <= 6
    tree = parse(query, version)
    assert parse(unparse(tree), version) == tree


@pytest.mark.parametrize(("version", "query"), _lines("refused.txt"))
def test_what_is_not_is_refused_with_its_place(sky_sources: QueryTables, version: str, query: str) -> None:
    with pytest.raises(AdqlError) as caught:
        translate(query, sky_sources, version=version)
    error = caught.value
    assert error.message and error.line == 1 and 1 <= error.column <= len(query) + 1
    assert "postgres" not in (error.message + error.hint).lower()
