"""Nobody learns anything early: the answers to the public are the same whether embargoed events exist or not.

`KM3VO_DIFFERENTIAL` is the number of queries (default 1500); `KM3VO_SEED` where to begin.
"""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg import sql

from km3vo.catalog.model import Catalog
from km3vo.store.cluster import Cluster
from km3vo.store.database import OWNER, PUBLIC, Database
from km3vo.store.queries import Stream
from tests.embargo import differential
from tests.embargo.differential import Pair, Question, fill, hide, normal, questions, served, tap
from tests.embargo.lab import paths
from tests.embargo.queries import Queries

pytestmark = pytest.mark.slow

QUERIES = int(os.environ.get("KM3VO_DIFFERENTIAL", "1500"))
SEED = int(os.environ.get("KM3VO_SEED", "1"))

Databases = tuple[Database, Database]
LISTS = (
    {},
    {"verb": "ListRecords", "metadataPrefix": "ivo_vor"},
    {"verb": "ListIdentifiers", "metadataPrefix": "oai_dc"},
)


@pytest.fixture(scope="module")
def databases(new_published: Callable[[], Database], own_cluster: Cluster) -> Databases:
    """One without and one with embargoed events; what is public lies on the same pages in both."""
    bare = new_published()
    fill(bare)
    loaded = copy(bare, own_cluster)
    hide(loaded)
    assert differential.sizes(bare) == (400, 400)
    assert differential.sizes(loaded) == (2400, 400)
    return bare, loaded


def copy(database: Database, cluster: Cluster) -> Database:
    name, source = f"test_{uuid4().hex[:12]}", psycopg.conninfo.conninfo_to_dict(database.admin)["dbname"]
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(str(source)))
        )
    made = Database(cluster.conninfo(name), database.passwords)
    from km3vo.store import roles

    with made.connect() as connection:
        roles.lock_down(connection)
    return made


@pytest.fixture
def pair(databases: Databases, tmp_path: Path, catalog: Catalog) -> Iterator[Pair]:
    """A server on each."""
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    with served(databases[0], tmp_path / "a", catalog) as bare, served(databases[1], tmp_path / "b", catalog) as loaded:
        both = Pair(bare, loaded)
        yield both
        both.close()


VALUES = {
    "schema": ("lab", "none"),
    "table": ("events", "alerts", "known", "none", "events_embargo"),
    "file": ("events.vot", "events.fits", "events.csv", "events.parquet", "events.bib", "alerts.csv", "1.csv", "none"),
    "name": ("lab.events", "events", "SHA256SUMS", "none"),
    "id": ("0", "x"),
}


def fillings(path: str) -> Iterator[str]:
    """A path with every value in its braces."""
    start, brace, rest = path.partition("{")
    if not brace:
        yield path
        return
    name, _, rest = rest.partition("}")
    for value in VALUES.get(name.partition(":")[0], ("lab.events", "0")):
        yield from fillings(start + value + rest)


def test_queries_and_cones(pair: Pair) -> None:
    found = list(itertools.islice(pair.differences(questions(QUERIES, SEED)), 3))
    assert not found, "\n\n".join(found)
    # A test that only sees errors, or none, sees nothing.
    answered, refused = pair.statuses.get(200, 0), pair.statuses.get(400, 0)
    assert answered > QUERIES / 4 and refused > QUERIES / 20, pair.statuses
    assert set(pair.statuses) <= {200, 400, 408}, pair.statuses


def test_every_other_route(pair: Pair) -> None:
    asked = []
    for path in sorted({filled for pattern in pair.paths for filled in fillings(pattern)}):
        asked += [Question(method, path) for method in ("GET", "POST", "HEAD", "DELETE", "PUT", "OPTIONS")]
        for parameters in (
            {"ID": "ivo://km3net.org/lab/events"},
            {"verb": "ListRecords", "metadataPrefix": "ivo_vor"},
            {"verb": "Identify"},
            {"q": "events", "table": "lab.events", "detail": "max"},
            {"RA": "10", "DEC": "20", "SR": "5"},
        ):
            asked.append(Question("GET", path, parameters))
    asked += [
        Question("GET", path) for path in ("/", "/no/such/page", "/openapi.json", "/api", "/robots.txt", "/favicon.ico")
    ]
    unique = list({repr(one): one for one in asked}.values())
    found = list(itertools.islice(pair.differences(unique), 3))
    assert not found, "\n\n".join(found)
    assert pair.statuses.get(200, 0) > 30, pair.statuses


def test_asynchronous_jobs(pair: Pair) -> None:
    """The same queries as jobs: their documents, results and errors."""
    chooser, queries = random.Random(SEED), Queries(SEED)
    for query in itertools.islice(queries, 25):
        made = tap(query, chooser)
        made.method, made.path, made.parameters["PHASE"] = "POST", "/tap/async", "RUN"
        jobs = [httpx.URL(made.ask(client).headers["location"]).path for client in pair.clients]
        for client, job in zip(pair.clients, jobs, strict=True):
            while client.get(f"{job}/phase").text in ("QUEUED", "EXECUTING"):
                time.sleep(0.02)
        for part in ("", "/phase", "/results", "/results/result", "/error", "/parameters", "/quote"):
            answers = [client.get(job + part) for client, job in zip(pair.clients, jobs, strict=True)]
            seen = [
                (answer.status_code, normal(answer.content.replace(job.rpartition("/")[2].encode(), b"ID"), pair.ports))
                for answer, job in zip(answers, jobs, strict=True)
            ]
            assert seen[0] == seen[1], f"{query} {part}\n{differential.first(*map(repr, seen))}"


def test_headers(pair: Pair) -> None:
    query = {"LANG": "ADQL", "QUERY": "SELECT * FROM lab.events WHERE 1 / (nhits - 123) < 2"}
    headers = [
        {"Range": "bytes=0-100"},
        {"If-None-Match": '"x"'},
        {"If-Modified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"},
        {"Accept": "application/json"},
        {"Accept-Language": "xx"},
        {"Authorization": "Bearer wrong"},
        {"Cookie": "session=1"},
        {"Origin": "https://example.org"},
        {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-User": "ada", "Remote-User": "ada"},
        {"Prefer": "respond-async"},
    ]
    asked = [Question("GET", "/tap/sync", query, one) for one in headers]
    asked += [
        Question("GET", path, {}, one)
        for one in headers
        for path in ("/tap/capabilities", "/tap/tables", "/scs/lab/events")
    ]
    found = list(pair.differences(asked))
    assert not found, "\n\n".join(found)


def test_loading_embargoed_events_changes_nothing(
    new_published: Callable[[], Database], tmp_path: Path, catalog: Catalog
) -> None:
    """The same server before and after: stamps, ETags, coverage and the registry do not move either."""
    from km3vo.registry.announce import announce

    database = new_published()
    fill(database)
    with served(database, tmp_path, catalog) as server:
        one = Pair(server, server)
        asked = [
            Question("GET", filled, parameters)
            for path in paths(server.app)
            for filled in fillings(path)
            for parameters in (LISTS if path == filled else LISTS[:1])
        ]
        asked += list(questions(60, SEED))

        def snapshot() -> list[tuple[int, str | None, bytes]]:
            answers = [question.ask(one.clients[0]) for question in asked]
            # Without the clocks of the moment, but with every stamp that the registry gives to what it knows.
            return [(a.status_code, a.headers.get("etag"), differential.undated(a.content)) for a in answers]

        before = snapshot()
        hide(database)
        announce(server.settings, database, catalog)
        after = snapshot()
        one.close()
    changed = [
        f"{question}\n{differential.first(repr(old), repr(new))}"
        for question, old, new in zip(asked, before, after, strict=True)
        if old != new
    ]
    assert not changed, "\n\n".join(changed[:3])


# Builds that are weaker than ours, to know that these tests can see. Many services do so: a condition on the
# date, or on a mark, in a view or added to the query.

DATE = "SELECT * FROM lab.events WHERE _qc = 'passed' AND _release_time <= statement_timestamp()"
# With this seed the twelfth query tells; with others it takes up to a thousand.
TELLING = 15
MARK = "SELECT * FROM lab.events WHERE _access::text <> 'e'"


@pytest.mark.parametrize("condition", [DATE, MARK], ids=["date", "mark"])
@pytest.mark.parametrize("how", ["view", "injected"])
def test_a_weaker_build_is_found_out(
    how: str,
    condition: str,
    databases: Databases,
    own_cluster: Cluster,
    tmp_path: Path,
    catalog: Catalog,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copies = [copy(one, own_cluster) for one in databases]
    for one in copies:
        with one.connect(OWNER, autocommit=True) as owner:
            owner.execute("CREATE VIEW lab.weak AS " + condition)  # type: ignore[arg-type]
            owner.execute(sql.SQL("GRANT SELECT ON lab.weak, lab.events TO {}").format(sql.Identifier(PUBLIC)))
    start = Stream.start
    relation = "lab.weak" if how == "view" else f"({condition})"

    def weak(stream: Stream, statement: str) -> None:
        start(stream, statement.replace('"lab"."events_public"', relation))

    monkeypatch.setattr(Stream, "start", weak)
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    with served(copies[0], tmp_path / "a", catalog) as bare, served(copies[1], tmp_path / "b", catalog) as loaded:
        both = Pair(bare, loaded)
        try:
            assert next(both.differences(questions(QUERIES, TELLING)), None), "nothing was found"
        finally:
            both.close()


def test_the_generator_repeats_itself() -> None:
    one, two = questions(50, 7), questions(50, 7)
    assert list(one) == list(two)
    assert list(questions(50, 8)) != list(questions(50, 7))
    assert random.Random(1).random() == random.Random(1).random()
