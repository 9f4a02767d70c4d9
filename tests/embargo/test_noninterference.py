"""Nobody learns anything early: the answers to the public are the same whether embargoed events exist or not.

`KM3VO_DIFFERENTIAL` is the number of answers that are compared in all (default 2000; most of them in
test_while_both_answer.py); `KM3VO_SEED` where to begin.
"""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from psycopg import sql

from km3vo.catalog.model import Catalog
from km3vo.cluster.embedded import Cluster
from km3vo.database.logins import OWNER, PUBLIC, Database
from km3vo.database.queries import RowStream
from km3vo.web import configurations
from tests.embargo.differential import routes, skies
from tests.embargo.differential.pair import Pair, first, undated
from tests.embargo.differential.queries import Queries
from tests.embargo.differential.question import Question, questions, tap
from tests.embargo.differential.servers import fill, hide, served
from tests.embargo.lab import MARK, copy
from tests.support.issuer import CLIENT, Issuer
from tests.support.server import patterns

pytestmark = pytest.mark.slow

QUERIES = max(600, int(os.environ.get("KM3VO_DIFFERENTIAL", "2000")) // 20)
SEED = int(os.environ.get("KM3VO_SEED", "1"))

Databases = tuple[Database, Database]


def test_queries_and_cones(pair: Pair) -> None:
    found = list(itertools.islice(pair.differences(questions(QUERIES, SEED)), 3))
    assert not found, "\n\n".join(found)
    # A test that only sees errors, or none, sees nothing.
    answered, refused = pair.statuses.get(200, 0), pair.statuses.get(400, 0)
    assert answered > QUERIES / 4 and refused > QUERIES / 20, pair.statuses
    assert set(pair.statuses) <= {200, 400, 408}, pair.statuses


def test_every_route_is_asked(pair: Pair) -> None:
    """A route that is not on the list fails; so does one whose questions find nothing."""
    unlisted = routes.unlisted(pair.apps[1])
    assert not unlisted, f"tests/embargo/differential/routes.py has no question for {unlisted}, and no reason why not"
    gone = set(routes.ROUTES) - patterns(pair.apps[1])
    assert not gone, f"these routes of tests/embargo/differential/routes.py are no more: {gone}"
    found = list(itertools.islice(pair.differences_of_routes(list(routes.questions())), 3))
    assert not found, "\n\n".join(found)
    answered = {
        routes.pattern_of(question.path)
        for question in routes.questions()
        if question.method in ("GET", "POST") and question.ask(pair.clients[1]).status in (200, 303, 307)
    }
    links = Question("GET", "/tap/sync", routes.ALERT_QUERIES[3] | {"RESPONSEFORMAT": "csv"})
    assert [line[:3] for line in links.ask(pair.clients[1]).body.splitlines()] == [b"lin", b"l1,"]
    silent = {path for path, given in routes.ROUTES.items() if not isinstance(given, str)} - answered
    assert silent == routes.NEVER_FOUND


def test_a_new_route_fails_until_it_is_on_the_list() -> None:
    app = FastAPI(docs_url=None, redoc_url=None)
    assert not routes.unlisted(app)
    app.add_api_route("/newest/{event}", lambda: "", include_in_schema=False)
    assert routes.unlisted(app) == {"/newest/{event}"}


def test_asynchronous_jobs(pair: Pair) -> None:
    """The same queries as jobs: their documents, results and errors."""
    chooser, queries = random.Random(SEED), Queries(SEED)
    parts = [path.partition(routes.JOB)[2] for path in routes.tap("/tap") if routes.JOB in path]
    assert "/results/result" in parts
    for query in itertools.islice(queries, 25):
        made = tap(query, chooser)
        made.method, made.path, made.parameters["PHASE"] = "POST", "/tap/async", "RUN"
        jobs = ["/tap/async/" + made.ask(client).header("location").rpartition("/")[2] for client in pair.clients]
        for client, job in zip(pair.clients, jobs, strict=True):
            while client.ask("GET", f"{job}/phase").body in (b"QUEUED", b"EXECUTING"):
                time.sleep(0.02)
        for part in parts:
            seen = []
            for client, job in zip(pair.clients, jobs, strict=True):
                answer = client.ask("GET", job + part.format(name="mine"))
                body = answer.body.replace(job.rpartition("/")[2].encode(), b"ID")
                seen.append(pair.seen(replace(answer, body=body), made)[::2])
            assert seen[0] == seen[1], f"{query} {part}\n{first(*map(repr, seen))}"


@pytest.mark.parametrize(
    "asked",
    [
        {"EVENTS": "SELECT * FROM lab.events WHERE energy < 0", "METHOD": "count"},
        {"EVENTS": "lab.events_embargo"},
    ],
    ids=str,
)
def test_correlations_that_fail(pair: Pair, asked: dict[str, str]) -> None:
    """What they say of a list without events; those of others, and maps, are in test_crowd.py."""
    phase, found = skies.correlated(pair, asked)
    assert not found, "\n\n".join(found)
    assert phase == "ERROR"


def test_configurations_of_all_rows_would_be_found_out(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is something to count here: numbers of what members see would tell in each form."""
    count = configurations._rows
    monkeypatch.setattr(configurations, "_rows", lambda running, _, until: count(running, "member", until))
    asked = [Question("GET", f"/configurations{ending}") for ending in ("", ".json", ".csv", ".vot")]
    assert len(list(pair.differences(asked))) == len(asked)


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
    from km3vo.registry.refresh import refresh_metadata

    database = new_published()
    fill(database)
    with served(database, tmp_path, catalog) as server:
        one = Pair(server, server)
        asked = [question for question in routes.questions() if question.method == "GET"]
        asked += list(questions(60, SEED))

        def snapshot() -> list[tuple[int | None, str, str, bytes]]:
            # Without the clocks of the moment, but with every stamp that the registry gives to what it knows.
            return [
                (answer.status, answer.header("etag"), answer.header("last-modified"), undated(answer.body))
                for answer in one.threads.map(lambda question: question.ask(one.clients[0]), asked)
            ]

        snapshot()  # makes the files of lists
        before = snapshot()
        hide(database)
        refresh_metadata(server.settings, database, catalog)
        after = snapshot()
        one.close()
    changed = [
        f"{question}\n{first(repr(old), repr(new))}"
        for question, old, new in zip(asked, before, after, strict=True)
        if old != new
    ]
    assert not changed, "\n\n".join(changed[:3])


def test_browsers_of_members(
    databases: tuple[Database, Database],
    tmp_path: Path,
    catalog: Catalog,
    issuer: Issuer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What another site makes a member's browser ask for, and what a member asks for who views as the public."""
    for name, value in {"issuer": issuer.url, "insecure_http": "true", **CLIENT}.items():
        monkeypatch.setenv(f"KM3VO_OIDC_{name.upper()}", value)
    with (
        served(databases[0], tmp_path / "a", catalog, url="") as bare,
        served(databases[1], tmp_path / "b", catalog, url="") as loaded,
    ):
        routed = (question for question in routes.one_of_each() if not question.path.startswith("/auth/"))
        asked = [*routed, *questions(24, SEED)]
        for site, viewed, differ in (
            ("cross-site", False, False),
            ("same-origin", True, False),
            ("same-origin", False, True),
        ):
            with httpx.Client(base_url=loaded.url, headers={"Sec-Fetch-Site": "same-origin"}) as browser:
                address = browser.get("/auth/login").headers["location"]
                browser.get(httpx.get(address).headers["location"])
                if viewed:
                    browser.post("/auth/view", data={"as": "public"})
                cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
            one = Pair(bare, loaded, {"Cookie": cookies, "Sec-Fetch-Site": site})
            found = list(one.differences_of_routes(asked[-24:] if differ else asked))
            one.close()
            if differ:
                assert len(found) > 5, "without either of them members see more: otherwise this test sees nothing"
            else:
                assert not found, f"{site} {viewed}\n" + "\n\n".join(found[:3])


# Builds that are weaker than ours, to know that these tests can see. Many services do so: a condition on the
# date, or on a mark, in a view or added to the query.

DATE = "SELECT * FROM lab.events WHERE _qc = 'passed' AND _release_time <= statement_timestamp()"
# With this seed the twelfth query tells; with others it takes up to a thousand.
TELLING = 15


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
            owner.execute("CREATE VIEW lab.weak AS " + condition)
            owner.execute(sql.SQL("GRANT SELECT ON lab.weak, lab.events TO {}").format(sql.Identifier(PUBLIC)))
    start = RowStream.start
    relation = "lab.weak" if how == "view" else f"({condition})"

    def weak(stream: RowStream, statement: str) -> None:
        start(stream, statement.replace('"lab"."events_public"', relation))

    monkeypatch.setattr(RowStream, "start", weak)
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
