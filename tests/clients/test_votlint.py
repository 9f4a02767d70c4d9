"""votlint, the field's validator of VOTables, has nothing to say about any kind of answer that TAP gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import pyvo

from tests.support.server import Server
from tests.support.tap import Client

pytestmark = [pytest.mark.client, pytest.mark.slow]

SERIALIZATIONS = ("votable", "votable/td", "votable/b")
ANSWERS: dict[str, dict[str, Any]] = {
    "rows": {"QUERY": "SELECT TOP 20 * FROM km3net.events"},
    "old names": {"QUERY": "SELECT TOP 20 * FROM ant20_01.main"},
    "no rows": {"QUERY": "SELECT * FROM km3net.events WHERE energy < 0"},
    "too many rows": {"QUERY": "SELECT * FROM antares.data", "MAXREC": "3"},
    "no rows wanted": {"QUERY": "SELECT * FROM antares.data", "MAXREC": "0"},
    "metadata": {"QUERY": "SELECT * FROM tap_schema.columns"},
    "observations": {"QUERY": "SELECT * FROM ivoa.obscore"},
    "shapes": {"QUERY": "SELECT TOP 5 POINT(ra, dec) AS p, CIRCLE(ra, dec, 1) AS c, DISTANCE(ra, dec, 1, 2) AS d"
               " FROM km3net.events"},
    "arrays": {"QUERY": "SELECT ivo_histogram(energy, 0, 1000, 5) AS h FROM km3net.events"},
    "times": {"QUERY": "SELECT TOP 5 obs_time, CAST('1969-12-31T23:59:59.123456' AS TIMESTAMP) AS early"
              " FROM km3net.events"},
    "letters": {"QUERY": "SELECT 'Kπ🔭 <&>' AS t, '' AS u, 'a' AS \"x & y\" FROM tap_schema.schemas"},
    "nothing at all": {"QUERY": "SELECT CAST(NULL AS BIGINT) AS a, CAST(NULL AS REAL) AS b, CAST(NULL AS VARCHAR) AS c,"
                       " CAST(NULL AS TIMESTAMP) AS d, CAST(NULL AS SMALLINT) AS e FROM tap_schema.schemas"},
    "groups": {"QUERY": "SELECT topology, COUNT(*), MAX(energy) FROM km3net.events GROUP BY topology"},
    "a mistake": {"QUERY": "SELECT <b>&\"' FROM nowhere"},
    "no query": {"QUERY": ""},
    "a format that is none": {"QUERY": "SELECT 1 AS a FROM tap_schema.schemas", "RESPONSEFORMAT": "a&<b>"},
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_votlint_finds_nothing(server: Server, stilts: Callable[..., str], tmp_path: Path, name: str) -> None:
    for number, form in enumerate(SERIALIZATIONS):
        parameters = {"LANG": "ADQL", "RESPONSEFORMAT": form, **ANSWERS[name]}
        answer = httpx.post(f"{server.tap}/sync", data=parameters, timeout=60)
        document = tmp_path / f"{number}.vot"
        document.write_bytes(answer.content)
        assert stilts("votlint", f"votable={document}", "validate=true", "ucd=true", "unit=true") == "", form


def test_votlint_finds_nothing_in_the_error_of_a_job(
    server: Server, stilts: Callable[..., str], tmp_path: Path
) -> None:
    client = Client(server)
    job = client.job("SELECT <b>&\"' FROM nowhere", PHASE="RUN")
    job.end()
    document = tmp_path / "error.vot"
    document.write_bytes(job.get("/error").content)
    client.http.close()
    assert stilts("votlint", f"votable={document}", "validate=true") == ""


def test_datalinklint_finds_nothing(server: Server, stilts: Callable[..., str], tmp_path: Path) -> None:
    document = tmp_path / "links.vot"
    answer = httpx.get(f"{server.url}/datalink", params={"ID": "ivo://km3net.org/antares/data"}, timeout=60)
    document.write_bytes(answer.content)
    said = [
        line for line in stilts("datalinklint", f"votable={document}", "report=EWF").splitlines() if line[1:2] == "-"
    ]
    # A word of the vocabulary that came after STILTS 3.4.
    assert [line for line in said if "predicate 'documentation'" not in line] == []


def test_rows_say_where_all_is_that_belongs_to_them(server: Server) -> None:
    service = pyvo.dal.TAPService(server.tap)
    (descriptor,) = service.search("SELECT TOP 2 ra, decl FROM antares.data").iter_adhocservices()
    assert descriptor.params[0].value == "ivo://ivoa.net/std/DataLink#links-1.1"
    assert next(iter(descriptor.groups[0].entries)).value == "ivo://km3net.org/antares/data"
    (descriptor,) = service.search("SELECT obs_title, obs_publisher_did FROM ivoa.obscore").iter_adhocservices()
    assert next(iter(descriptor.groups[0].entries)).ref == "obs_publisher_did"
    for query in ("SELECT obs_title FROM ivoa.obscore", "SELECT COUNT(*) FROM tap_schema.tables"):
        assert list(service.search(query).iter_adhocservices()) == []
