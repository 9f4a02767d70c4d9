"""TAP, cones, pages, counts, lists, ObsCore, maps and records tell the same soon after any change of public rows."""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from mocpy import MOC

from km3vo.catalog.model import Table
from km3vo.database.logins import INGEST, OWNER, PUBLIC, SERVICE, Database
from km3vo.embargo import corrections, decisions, release
from km3vo.embargo.corrections import ByIds
from km3vo.holdings import reader
from km3vo.loading import loads
from km3vo.simulation import simulate
from tests.support.registry import Registry
from tests.support.server import Server, serve

pytestmark = pytest.mark.slow

SECONDS = 60  # two on a quiet machine; tests share theirs


@pytest.fixture
def running(copy_published: Database, tmp_path: Path) -> Iterator[tuple[Server, Database]]:
    """A service that looks for changes by itself, of a database that the test may change."""
    with serve(copy_published, tmp_path, promote_seconds=0) as server:
        yield server, copy_published


def told(server: Server, database: Database, table: Table) -> dict[str, int]:
    """How many public rows each of them says that there are."""

    def query(text: str) -> int:
        answer = httpx.get(f"{server.tap}/sync", params={"LANG": "ADQL", "QUERY": text, "FORMAT": "csv"}, timeout=60)
        return int(answer.text.splitlines()[1])

    path = f"{table.schema}/{table.name}"
    cone = httpx.get(
        f"{server.url}/scs/{path}", params={"RA": "0", "DEC": "0", "SR": "180", "MAXREC": "9000"}, timeout=60
    )
    page = httpx.get(f"{server.url}/browse/{path}", timeout=60).text
    listed = httpx.get(f"{server.url}/download/{path}.csv", timeout=60)
    shown = re.search(r"<dt>Public rows</dt><dd>([\d,]+)", page)
    record = Registry(server.url).get(verb="GetRecord", metadataPrefix="ivo_vor", identifier=f"ivo://km3net.org/{path}")
    spatial = record.find(".//coverage/spatial")
    with database.connect(SERVICE) as service, database.connect(PUBLIC) as public:
        found = reader.read(service, server.settings, server.app.state.service.catalog).coverages[table.qualified]
        name = f"{table.name}_public" if table.release.embargoed else table.name
        inside = public.execute(
            f"SELECT count(DISTINCT healpix_nest({found.moc_order}, _pos)) FROM {table.schema}.{name}"
        ).fetchone()
    moc = MOC.from_string(spatial.text if spatial is not None else "0/")
    assert inside is not None and moc == MOC.from_string(str(found.moc))
    assert len(moc.flatten()) == inside[0]
    return {
        "TAP": query(f"SELECT COUNT(*) FROM {table.qualified}"),
        "cone": cone.text.count("<TR>"),
        "page": int(shown[1].replace(",", "")) if shown else -1,
        "list": len(list(csv.reader(io.StringIO(listed.text)))) - 1,
        "ObsCore": query(f"SELECT ev_xel FROM ivoa.obscore_hea WHERE obs_publisher_did = 'ivo://km3net.org/{path}'"),
        "measured": found.rows,
    }


def test_they_agree_after_every_change(running: tuple[Server, Database]) -> None:
    server, database = running
    known = server.app.state.service.published
    plain, events = known.table("antares.data"), known.table("km3net.events")

    def agree(table: Table, rows: int) -> None:
        until = time.monotonic() + SECONDS
        found: dict[str, int] = {}
        while time.monotonic() < until:
            try:
                found = told(server, database, table)
            except (AssertionError, KeyError):  # the map is of another moment than the rows
                found = {}
            if set(found.values()) == {rows}:
                return
            time.sleep(0.1)
        raise AssertionError(f"{table.qualified} has {rows} rows, and {found}")

    with database.connect(OWNER) as owner:
        ((first, shown),) = owner.execute(
            "SELECT (SELECT count(*) FROM antares.data), (SELECT count(*) FROM km3net.events_public)"
        ).fetchall()
    agree(plain, first)
    agree(events, shown)
    with database.connect(OWNER) as owner:
        ids = [id for (id,) in owner.execute("SELECT id FROM antares.data ORDER BY id LIMIT 20")]
        released = [id for (id,) in owner.execute("SELECT event_id FROM km3net.events_public ORDER BY 1 LIMIT 30")]
        owner.rollback()
        why = {"reason": "a test", "who": "tests"}
        corrections.withdraw(owner, plain, ByIds(ids), public=True, **why)
        agree(plain, first - 20)
        corrections.reinstate(owner, plain, ByIds(ids), **why)
        agree(plain, first)
        ((number,),) = owner.execute("SELECT number FROM km3vo.load WHERE published = 'antares.data'").fetchall()
        owner.rollback()
        corrections.unload(owner, number, public=True, **why)
        with database.connect(INGEST) as loader:
            loads.load_batches(loader, plain, simulate(plain, 150, seed=2), name="again", rows=150)
        agree(plain, 150)
        corrections.withdraw(owner, events, ByIds(released), public=True, **why)
        agree(events, shown - 30)
        corrections.reinstate(owner, events, ByIds(released), **why)
        with database.connect(SERVICE, autocommit=True) as service:
            assert release.run(service, [events])[0].moved == 30
            agree(events, shown)
            decisions.set_latency(owner, "offline", "P0D", **why)
            moved = release.run(service, [events])[0].moved
        assert moved > 100
        agree(events, shown + moved)
