"""TAP, cones, pages, counts, lists, ObsCore, maps and records tell the same soon after any change of public rows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from km3vo.catalog.model import Table
from km3vo.database.logins import INGEST, OWNER, SERVICE, Database
from km3vo.embargo import corrections, decisions, release
from km3vo.embargo.corrections import ByIds
from km3vo.loading import loads
from km3vo.simulation import simulate
from tests.support.server import Server, serve
from tests.support.truth import told

pytestmark = pytest.mark.slow

SECONDS = 60  # two on a quiet machine; tests share theirs


@pytest.fixture
def running(copy_published: Database, tmp_path: Path) -> Iterator[tuple[Server, Database]]:
    """A service that looks for changes by itself, of a database that the test may change."""
    with serve(copy_published, tmp_path, promote_seconds=0) as server:
        yield server, copy_published


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
