"""Live-time and events of each configuration: derived, and of what whoever asks may see."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import html5lib
import httpx
import numpy as np
import pyarrow as pa
import pytest
from astropy.io.votable import parse_single_table
from astropy.time import Time

from km3vo.catalog.files import read_catalog
from km3vo.catalog.model import Table
from km3vo.database.logins import INGEST, OWNER, Database
from km3vo.embargo import partitions
from km3vo.errors import LoadError
from km3vo.loading import loads
from km3vo.loading.files import find_sources
from km3vo.simulation import simulate
from km3vo.web import configurations
from tests.support.folders import ROOT
from tests.support.server import Server, serve
from tests.support.tap import Client, member

# Days; the papers' are in ALERTS and docs: IC40 376, IC79 316, IC86-2011 333.
SEASONS = {
    "IC40": 376.36, "IC59": 353.58, "IC79-2010": 316.05, "IC86-2011": 332.96, "IC86-2012": 331.98, "IC86-2013": 362.94,
    "IC86-2014": 370.68, "IC86-2015": 365.35, "IC86-2016": 357.33, "IC86-2017": 410.64,
}  # fmt: skip


def table_of(name: str) -> Table:
    return read_catalog(ROOT / "schemas").table(name)


def load(database: Database, table: Table, batches: Iterator[pa.RecordBatch], rows: int, name: str = "runs") -> None:
    with database.connect(INGEST) as loader:
        loads.load_batches(loader, table, batches, name=name, rows=rows)


def by_name(server: Server, name: str, **headers: str) -> dict[str, dict[str, Any]]:
    found = httpx.get(f"{server.url}/configurations.json", headers=headers, timeout=60).json()["configurations"]
    return {row["configuration"]: row for row in found if row["table_name"] == name}


@pytest.fixture
def with_runs(copy_published: Database, tmp_path: Path) -> Iterator[tuple[Server, Database]]:
    """Events and runs of the simulation, which end now; of the events half are public."""
    load(copy_published, table_of("km3net.runs"), simulate(table_of("km3net.runs"), 1, seed=1), 11688)
    with serve(copy_published, tmp_path, metadata_seconds=0, promote_seconds=0) as server:
        yield server, copy_published


def test_numbers_are_those_that_adql_gives_to_whoever_asks(with_runs: tuple[Server, Database]) -> None:
    server, database = with_runs
    with database.connect(OWNER) as owner:  # of some events nobody has said it
        owner.execute("ALTER TABLE km3net.events ALTER configuration DROP NOT NULL")
        owner.execute("UPDATE km3net.events_embargo SET configuration = NULL WHERE multiplicity % 100 = 7")
    for headers in ({}, member(server, "ada")):
        found = by_name(server, "km3net.events", **headers)
        client = Client(server, **headers)
        counted = client.rows(
            "SELECT configuration, COUNT(*) AS n, SUM(up_going) AS u FROM km3net.events GROUP BY configuration"
        )
        assert {name: (row["n_events"], row["n_up"]) for name, row in found.items() if row["n_events"]} == {
            row["configuration"]: (int(row["n"]), int(row["u"])) for row in counted
        }
        lived = client.rows(
            "SELECT configuration, SUM(livetime) AS s FROM km3net.runs WHERE quality = 'good' GROUP BY configuration"
        )
        client.http.close()
        for row in lived:
            assert found[row["configuration"]]["livetime"] == pytest.approx(float(row["s"]) / 86400)
        assert all(row["n_events"] == row["n_up"] + row["n_down"] for row in found.values() if row["n_events"])
    public = by_name(server, "km3net.events")
    assert public["ARCA6"]["release_state"] == "public" and public["ARCA33"]["release_state"] == "embargoed"
    # Embargoed: live-time is told, and not whether there is an event.
    assert public["ARCA33"]["livetime"] > 200 and public["ARCA33"]["livetime_public"] == 0
    assert public["ARCA33"]["n_events"] is None and public["ARCA33"]["rate"] is None
    assert found[""]["n_events"] > 0 and found["ARCA33"]["n_events"] > 0 and found["ARCA33"]["rate"] > 0


def test_the_tables_hold_what_the_public_is_told(with_runs: tuple[Server, Database]) -> None:
    server, database = with_runs
    configurations.refresh(server.app.state.service)
    told = by_name(server, "km3net.events")
    query = "SELECT * FROM km3net.configurations ORDER BY configuration"
    client, member_client = Client(server), Client(server, **member(server, "ada"))
    rows = client.rows(query)
    assert [row["configuration"] for row in rows] == sorted(told)
    for row in rows:
        page = told[row["configuration"]]
        for name in ("livetime", "livetime_public", "n_up", "n_down", "n_events", "n_units", "rate"):
            wanted = None if page[name] is None else pytest.approx(page[name])
            assert (float(row[name]) if row[name] else None) == wanted, name
        assert row["release_state"] == page["release_state"]
        assert Time(row["start_time"]).mjd == pytest.approx(page["first"], abs=1e-8)
    before = client.sync(query).content
    with database.connect(OWNER, autocommit=True) as owner:
        owner.execute("TRUNCATE km3net.events_embargo")
    configurations.refresh(server.app.state.service)
    assert client.sync(query).content == before == member_client.sync(query).content
    for one in (client, member_client):
        one.http.close()


def test_embargoed_events_change_no_byte(with_runs: tuple[Server, Database]) -> None:
    server, database = with_runs
    paths = ("/configurations", "/configurations.json", "/configurations.csv", "/configurations.vot")
    before = [httpx.get(server.url + path).content for path in paths]
    with database.connect(OWNER, autocommit=True) as owner:
        owner.execute("TRUNCATE km3net.events_embargo")
    # Another server, which was not asked before, on the same database.
    with serve(database, server.settings.home / "other", metadata_seconds=0, promote_seconds=0) as other:
        after = [httpx.get(other.url + path).content for path in paths]
    here, there = (one.url.encode() for one in (server, other))
    assert [one.replace(there, here) for one in after] == before


def test_the_page_and_its_twins(with_runs: tuple[Server, Database]) -> None:
    server, _ = with_runs
    page = httpx.get(f"{server.url}/configurations")
    html5lib.HTMLParser(strict=True).parse(page.text)
    assert "cos_zenith &lt; 0" in page.text and "<meter" in page.text
    rows = list(csv.DictReader(io.StringIO(httpx.get(f"{server.url}/configurations.csv").text)))
    table = parse_single_table(
        io.BytesIO(httpx.get(f"{server.url}/configurations.vot").content), verify="exception"
    ).array
    assert len(rows) == len(table) > 12
    answer = httpx.get(f"{server.url}/configurations", headers=member(server, "ada"))
    assert answer.headers["cache-control"] == "private, no-store"
    assert httpx.get(f"{server.url}/configurations.exe").status_code == 400


def test_the_good_runs_of_icecube(copy_published: Database, tmp_path: Path, data_dir: Path) -> None:
    table = table_of("icecube.runs")
    files = find_sources(table, data_dir)
    assert len(files) == 10
    with copy_published.connect(INGEST) as loader:
        assert loads.load(loader, table, files).rows == 12906
    with serve(copy_published, tmp_path, metadata_seconds=0, promote_seconds=0) as server:
        found = by_name(server, "icecube.ps3yr")
    assert {name: round(row["livetime"], 2) for name, row in found.items()} == SEASONS
    assert found["IC40"]["n_events"] is None and found["IC86-2011"]["rate"] > 0


@pytest.mark.parametrize(
    ("start", "stop", "said"),
    [
        (10, 5, "is not after start_time"),
        (0, 0, "is not after start_time"),
        (3, 9, "is before an earlier run has ended"),
        (-2, 2, "is before an earlier run has ended"),
    ],
)
def test_wrong_runs_are_refused(copy_published: Database, start: int, stop: int, said: str) -> None:
    def run(number: int, start: int, stop: int) -> pa.RecordBatch:
        ends = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in (start, stop)]
        times = [pa.array([end.replace(tzinfo=None)], pa.timestamp("us")) for end in ends]
        return pa.RecordBatch.from_pydict(
            {
                "run_id": [f"ARCA-{number}"], "detector": ["ARCA"], "configuration": ["ARCA33"],
                "run": np.array([number], np.int32), "start_time": times[0], "stop_time": times[1],
                "livetime": [3600.0], "quality": ["good"], "n_units": np.array([33], np.int32),
            }
        )  # fmt: skip

    table = table_of("km3net.runs")
    load(copy_published, table, iter([run(1, 0, 4)]), 1)
    with pytest.raises(LoadError, match=said):
        load(copy_published, table, iter([run(2, start, stop)]), 1, "others")
    load(copy_published, table, iter([run(3, 4, 8)]), 1, "next")
    with copy_published.connect() as admin:
        assert admin.execute("SELECT count(*) FROM km3net.runs").fetchone() == (2,)


def test_tables_that_nobody_knows_are_not_simulated() -> None:
    from km3vo.simulation import is_known

    assert is_known(table_of("km3net.runs")) and not is_known(table_of("icecube.runs"))
    assert partitions.relation(table_of("km3net.runs"), "public") == ("km3net", "runs")
