"""How long a public answer takes does not depend on embargoed events beyond noise.

Three servers are asked in turn, of which one has 20,000 of them in the cone that is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from psycopg import sql

from km3vo.database.logins import OWNER, PUBLIC, Database
from km3vo.database.queries import RowStream
from tests.embargo.differential.client import Client
from tests.embargo.differential.question import Question
from tests.embargo.differential.timing import told_apart
from tests.embargo.lab import MARK
from tests.support.server import Server

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
def clients(crowded_servers: list[Server]) -> Iterator[list[Client]]:
    """A client of each."""
    clients = [Client(one.settings.port) for one in crowded_servers]
    yield clients
    for client in clients:
        client.close()


def measure(clients: list[Client], question: Question) -> tuple[float, float]:
    return told_apart(lambda place: question.ask(clients[place]), BLOCKS, REQUESTS, warm=20)


@pytest.mark.parametrize("name", QUESTIONS)
def test_time_does_not_tell(clients: list[Client], name: str) -> None:
    noise, difference = measure(clients, QUESTIONS[name])
    assert difference < noise, f"{difference * 1e3:.3f} ms between them, {noise * 1e3:.3f} ms between equals"


def test_a_condition_would_tell(
    crowded: list[Database], clients: list[Client], monkeypatch: pytest.MonkeyPatch
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
        clients, Question("GET", "/tap/sync", {"LANG": "ADQL", "QUERY": f"SELECT COUNT(*), MAX(SQRT(energy)) {CONE}"})
    )
    assert difference > noise, f"{difference * 1e3:.3f} ms, {noise * 1e3:.3f} ms between equals"
