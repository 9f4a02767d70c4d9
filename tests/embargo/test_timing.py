"""How long a public answer takes does not depend on embargoed events beyond noise.

Three servers are asked in turn: one without embargoed events, its twin, and one with 20,000 of them in the cone that is
asked for. The first two tell what noise is: in blocks of requests, the medians of equal servers differ by so much.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import httpx
import pytest
from psycopg import sql

from km3vo.catalog.model import Catalog
from km3vo.store.cluster import Cluster
from km3vo.store.database import OWNER, PUBLIC, Database
from km3vo.store.queries import Stream
from tests.conftest import Server
from tests.embargo.differential import Question, fill, served
from tests.embargo.test_noninterference import MARK, copy

pytestmark = pytest.mark.slow

BLOCKS, REQUESTS = 40, 15
HIDDEN = """
INSERT INTO lab.events (event_id, mjd, obs_time, ra, dec, err50, energy, nhits, tag)
SELECT 'h' || n, 60000.5, '2090-01-01', 200 + n % 100 * 0.003, -40 + n / 100 * 0.003, 0.5, 5, 7, 'x'
FROM generate_series(1, 20000) AS n
"""
CONE = "FROM lab.events WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(200.15, -39.7, 1))"
QUESTIONS = {
    "cone": Question("GET", "/scs/lab/events", {"RA": "200.15", "DEC": "-39.7", "SR": "1"}),
    "query": Question("GET", "/tap/sync", {"LANG": "ADQL", "QUERY": f"SELECT * {CONE} AND nhits = 7"}),
    "all": Question(
        "GET", "/tap/sync", {"LANG": "ADQL", "QUERY": "SELECT COUNT(*), MAX(energy) FROM lab.events WHERE nhits = 7"}
    ),
}


@pytest.fixture(scope="module")
def databases(new_published: Callable[[], Database], own_cluster: Cluster) -> list[Database]:
    """Without, without, and with embargoed events."""
    bare = new_published()
    fill(bare)
    twin, loaded = copy(bare, own_cluster), copy(bare, own_cluster)
    with loaded.connect(OWNER, autocommit=True) as owner:
        owner.execute(HIDDEN)
        owner.execute("SELECT km3vo.set_quality('lab.events', 'passed', NULL, '', '')")
    for one in (bare, twin, loaded):
        with one.connect(OWNER, autocommit=True) as owner:
            owner.execute("VACUUM ANALYZE")
    return [bare, twin, loaded]


@pytest.fixture
def servers(databases: list[Database], tmp_path: Path, catalog: Catalog) -> Iterator[list[httpx.Client]]:
    """A client of a server on each."""
    for name in "abc":
        (tmp_path / name).mkdir()
    with (
        served(databases[0], tmp_path / "a", catalog) as bare,
        served(databases[1], tmp_path / "b", catalog) as twin,
        served(databases[2], tmp_path / "c", catalog) as loaded,
        client(bare) as one,
        client(twin) as two,
        client(loaded) as three,
    ):
        yield [one, two, three]


def client(server: Server) -> httpx.Client:
    return httpx.Client(base_url=f"http://127.0.0.1:{server.settings.port}", timeout=60)


def measure(servers: list[httpx.Client], question: Question) -> tuple[float, float]:
    """(noise, difference) in seconds: between equal servers, and between those without and with embargoed events.

    The noise is what 19 of 20 blocks of equal servers stay below; the difference is the median over all blocks.
    """
    for _ in range(20):
        for one in servers:
            question.ask(one)
    equal, unequal = [], []
    for block in range(BLOCKS):
        times: list[list[float]] = [[], [], []]
        for request in range(REQUESTS):
            for turn in range(3):
                place = (turn + request + block) % 3  # nobody is always asked first
                began = time.perf_counter()
                question.ask(servers[place])
                times[place].append(time.perf_counter() - began)
        bare, twin, loaded = map(median, times)
        equal.append(abs(bare - twin))
        unequal.append(loaded - (bare + twin) / 2)
    return sorted(equal)[int(0.95 * BLOCKS)], abs(median(unequal))


@pytest.mark.parametrize("name", QUESTIONS)
def test_time_does_not_tell(servers: list[httpx.Client], name: str) -> None:
    noise, difference = measure(servers, QUESTIONS[name])
    assert difference < noise, f"{difference * 1e3:.3f} ms between them, {noise * 1e3:.3f} ms between equals"


def test_a_condition_would_tell(
    databases: list[Database], servers: list[httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that we know that this can see: with a condition instead of partitions the time tells at once."""
    for one in databases:
        with one.connect(OWNER, autocommit=True) as owner:
            owner.execute("CREATE OR REPLACE VIEW lab.weak AS " + MARK)
            owner.execute(sql.SQL("GRANT SELECT ON lab.weak TO {}").format(sql.Identifier(PUBLIC)))
    start = Stream.start
    monkeypatch.setattr(
        Stream, "start", lambda stream, text: start(stream, text.replace('"lab"."events_public"', "lab.weak"))
    )
    noise, difference = measure(
        servers, Question("GET", "/tap/sync", {"LANG": "ADQL", "QUERY": f"SELECT COUNT(*), MAX(SQRT(energy)) {CONE}"})
    )
    assert difference > noise, f"{difference * 1e3:.3f} ms, {noise * 1e3:.3f} ms between equals"
