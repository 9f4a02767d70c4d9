"""How long a public answer takes does not depend on embargoed events beyond noise.

Three servers are asked in turn: one without embargoed events, its twin, and one with 20,000 of them in the cone that is
asked for. The first two tell what noise is: in blocks of requests, the medians of equal servers differ by so much.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest
from psycopg import sql

from km3vo.catalog.model import Catalog
from km3vo.database.logins import OWNER, PUBLIC, Database
from km3vo.database.queries import RowStream
from tests.embargo.differential.client import Client
from tests.embargo.differential.question import Question
from tests.embargo.differential.servers import served
from tests.embargo.lab import MARK

pytestmark = pytest.mark.slow

BLOCKS, REQUESTS = 40, 15
CONE = "FROM lab.events WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(200.15, -39.7, 1))"
QUESTIONS = {
    "cone": Question("GET", "/scs/lab/events", {"RA": "200.15", "DEC": "-39.7", "SR": "1"}),
    "query": Question("GET", "/tap/sync", {"LANG": "ADQL", "QUERY": f"SELECT * {CONE} AND nhits = 7"}),
    "all": Question(
        "GET", "/tap/sync", {"LANG": "ADQL", "QUERY": "SELECT COUNT(*), MAX(energy) FROM lab.events WHERE nhits = 7"}
    ),
}


@pytest.fixture
def servers(crowded: list[Database], tmp_path: Path, catalog: Catalog) -> Iterator[list[Client]]:
    """A client of a server on each."""
    with (
        served(crowded[0], tmp_path / "a", catalog) as bare,
        served(crowded[1], tmp_path / "b", catalog) as twin,
        served(crowded[2], tmp_path / "c", catalog) as loaded,
    ):
        clients = [Client(one.settings.port) for one in (bare, twin, loaded)]
        yield clients
        for client in clients:
            client.close()


def measure(servers: list[Client], question: Question) -> tuple[float, float]:
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
def test_time_does_not_tell(servers: list[Client], name: str) -> None:
    noise, difference = measure(servers, QUESTIONS[name])
    assert difference < noise, f"{difference * 1e3:.3f} ms between them, {noise * 1e3:.3f} ms between equals"


def test_a_condition_would_tell(
    crowded: list[Database], servers: list[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that we know that this can see: with a condition instead of partitions the time tells at once."""
    for one in crowded:
        with one.connect(OWNER, autocommit=True) as owner:
            owner.execute("CREATE OR REPLACE VIEW lab.weak AS " + MARK)
            owner.execute(sql.SQL("GRANT SELECT ON lab.weak TO {}").format(sql.Identifier(PUBLIC)))
    start = RowStream.start
    monkeypatch.setattr(
        RowStream, "start", lambda stream, text: start(stream, text.replace('"lab"."events_public"', "lab.weak"))
    )
    noise, difference = measure(
        servers, Question("GET", "/tap/sync", {"LANG": "ADQL", "QUERY": f"SELECT COUNT(*), MAX(SQRT(energy)) {CONE}"})
    )
    assert difference > noise, f"{difference * 1e3:.3f} ms, {noise * 1e3:.3f} ms between equals"
