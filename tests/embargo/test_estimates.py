"""How long a query is expected to take, and where it stands in the queue, follow from what is public."""

from __future__ import annotations

import itertools
import random
import re
import time
from datetime import UTC, datetime, timedelta

import pytest

from km3vo.database.logins import OWNER, Database
from tests.embargo.differential.pair import Pair
from tests.embargo.differential.queries import Queries
from tests.embargo.differential.question import Question, tap

pytestmark = pytest.mark.slow

SEED = 1
Databases = tuple[Database, Database]


HEAVY = (
    "SELECT COUNT(*) FROM lab.events AS a, lab.events AS b, lab.events AS c, lab.events AS d "
    "WHERE a.ra + b.ra < c.ra + d.ra"
)


def test_what_the_planner_expects_of_public_queries(databases: Databases, pair: Pair) -> None:
    """It decides how long a query waits, and is told to whoever asks (km3vo/database/planner.py)."""
    chooser, queries = random.Random(SEED), Queries(SEED)
    told = 0
    for query in (HEAVY, *itertools.islice(queries, 150)):
        made = tap(query, chooser)
        made.method, made.path = "POST", "/tap/async"
        jobs = ["/tap/async/" + made.ask(client).header("location").rpartition("/")[2] for client in pair.clients]
        for client, job in zip(pair.clients, jobs, strict=True):
            for phase in ("RUN", "ABORT"):
                Question("POST", f"{job}/phase", {"PHASE": phase}).ask(client)
        seen = []
        for database, job in zip(databases, jobs, strict=True):
            with database.connect() as admin:
                asked = "SELECT lane, estimate FROM km3vo.job WHERE id = %s"
                seen.append(admin.execute(asked, [job.rpartition("/")[2]]).fetchone())
        assert seen[0] == seen[1], query
        told += seen[0] is not None and seen[0][1] is not None
    assert told > 50, "of the others it knows nothing"


def test_where_a_public_job_stands(databases: Databases, pair: Pair) -> None:
    """Members have much to do with the embargoed events, and nothing in the public's queue tells of it."""
    with databases[1].connect(OWNER, autocommit=True) as owner:
        owner.execute(
            "INSERT INTO km3vo.job (id, kind, audience, owner, phase, queued, lane, parameters, seconds, destruction) "
            "SELECT 'member' || n, 'none', 'member', 'ada', 'QUEUED', now() - interval '1 day', 'long', '[]', 3600, "
            "now() + interval '1 day' FROM generate_series(1, 20) AS n"
        )
    try:
        seen = []
        for client in pair.clients:
            given = {"LANG": "ADQL", "QUERY": HEAVY, "PHASE": "RUN"}
            made = Question("POST", "/tap/async", given)
            jobs = [made.ask(client).header("location").rpartition("/")[2] for _ in range(3)]
            paths = [f"/tap/async/{job}" for job in jobs]
            while client.ask("GET", f"{paths[0]}/phase").body == b"QUEUED":
                time.sleep(0.02)
            documents = [client.ask("GET", path).body for path in paths]
            quotes = [datetime.fromisoformat(client.ask("GET", f"{path}/quote").body.decode()) for path in paths]
            seen.append(
                (
                    [re.findall(rb"<(?:position|queue|expectedSeconds)>[^<]*", document) for document in documents],
                    [round((quote - datetime.now(UTC)) / timedelta(minutes=3)) for quote in quotes],
                )
            )
            for path in paths:
                client.ask("DELETE", path)
        assert seen[0] == seen[1]
        assert [len(found) for found in seen[0][0]] == [0, 3, 3]
    finally:
        with databases[1].connect(OWNER, autocommit=True) as owner:
            owner.execute("DELETE FROM km3vo.job WHERE owner = 'ada'")
