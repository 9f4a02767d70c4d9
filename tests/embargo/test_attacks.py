"""Ways to learn something early, tried one by one over HTTP. Rights in the database are tried in test_rights.py, the
answers to thousands of queries in test_noninterference.py, timing in test_timing.py.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from km3vo.catalog.model import Catalog
from km3vo.cluster.embedded import Cluster
from km3vo.database.logins import OWNER, Database
from km3vo.embargo import tokens
from tests.embargo.differential.question import UPLOAD
from tests.embargo.differential.servers import fill, hide, served
from tests.embargo.lab import SCHEMAS
from tests.support.server import Server, serve

pytestmark = pytest.mark.slow

SECRET = "SELECT event_id, tag FROM lab.events WHERE tag = 'secret' ORDER BY event_id"


@pytest.fixture(scope="module")
def database(new_published: Callable[[], Database]) -> Database:
    """Public and embargoed events."""
    made = new_published()
    fill(made)
    hide(made)
    return made


@pytest.fixture(scope="module")
def server(database: Database, tmp_path_factory: pytest.TempPathFactory, catalog: Catalog) -> Iterator[Server]:
    with served(database, tmp_path_factory.mktemp("home"), catalog) as running:
        yield running


def client(server: Server, token: str = "") -> httpx.Client:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(base_url=f"http://127.0.0.1:{server.settings.port}", headers=headers, timeout=60)


@pytest.fixture
def anybody(server: Server) -> Iterator[httpx.Client]:
    with client(server) as one:
        yield one


@pytest.fixture
def member(server: Server, database: Database) -> Iterator[Callable[[str], httpx.Client]]:
    """A function that makes a member of that name, with a token."""
    with ExitStack() as clients:

        def log_in(name: str) -> httpx.Client:
            with database.connect(OWNER) as owner:
                token = tokens.create(owner, name, audience="member", label="", valid=timedelta(hours=1), by="me")[1]
            return clients.enter_context(client(server, token))

        yield log_in


def sync(who: httpx.Client, query: str, **parameters: str) -> httpx.Response:
    return who.get("/tap/sync", params={"LANG": "ADQL", "QUERY": query, "RESPONSEFORMAT": "csv", **parameters})


def job(who: httpx.Client, query: str) -> str:
    """The path of a finished job."""
    made = who.post("/tap/async", data={"QUERY": query, "PHASE": "RUN", "RESPONSEFORMAT": "csv", "LANG": "ADQL"})
    assert made.status_code == 303, made.text
    path = httpx.URL(made.headers["location"]).path
    for _ in range(200):
        if who.get(f"{path}/phase").text in ("COMPLETED", "ERROR", "ABORTED"):
            return path
        time.sleep(0.05)
    raise AssertionError("the job does not end")


def test_jobs_of_members_are_theirs(anybody: httpx.Client, member: Callable[[str], httpx.Client]) -> None:
    ada, bob = member("ada"), member("bob")
    path = job(ada, SECRET)
    assert "secret" in ada.get(f"{path}/results/result").text
    nothing = anybody.get("/tap/async/" + "x" * len(path.rpartition("/")[2]))
    for other in (anybody, bob):
        assert path.rpartition("/")[2] not in other.get("/tap/async").text
        for part in ("", "/phase", "/results", "/results/result", "/parameters", "/owner", "/error", "/destruction"):
            answer = other.get(path + part)
            assert answer.status_code == 404, part
            # As if there were none: not even that it exists can be seen.
            assert answer.text == nothing.text
        assert other.post(f"{path}/phase", data={"PHASE": "ABORT"}).status_code == 404
        assert other.delete(path).status_code == 404
    assert ada.get(path).status_code == 200


def test_jobs_of_former_members_are_out_of_reach(
    database: Database, anybody: httpx.Client, member: Callable[[str], httpx.Client]
) -> None:
    cy = member("cy")
    path = job(cy, SECRET)
    with database.connect(OWNER) as owner:
        tokens.revoke(owner, owner="cy")
        observer = tokens.create(owner, "cy", audience="observer", label="", valid=timedelta(hours=1), by="me")[1]
    assert cy.get(f"{path}/results/result").status_code == 401
    cy.headers["Authorization"] = f"Bearer {observer}"
    assert cy.get(f"{path}/results/result").status_code == 403
    assert anybody.get(f"{path}/results/result").status_code == 404


def test_anonymous_jobs_read_public_rows_whoever_fetches_them(
    anybody: httpx.Client, member: Callable[[str], httpx.Client]
) -> None:
    path = job(anybody, SECRET)
    for who in (anybody, member("ada")):
        assert "secret" not in who.get(f"{path}/results/result").text


def test_identifiers_of_jobs_cannot_be_guessed_and_tell_no_number(anybody: httpx.Client) -> None:
    made = [
        anybody.post("/tap/async", data={"LANG": "ADQL", "QUERY": SECRET}).headers["location"].rpartition("/")[2]
        for _ in range(20)
    ]
    assert len(set(made)) == 20
    assert all(len(one) >= 20 for one in made)
    assert not any(one[:6] == two[:6] for one in made for two in made if one is not two)


def test_the_same_query_is_answered_to_each_as_is_right(
    anybody: httpx.Client, member: Callable[[str], httpx.Client]
) -> None:
    """Nothing that is remembered of a query (its translation, its plan, its answer) passes from one to another."""
    ada = member("ada")
    for _ in range(3):
        assert "secret" in sync(ada, SECRET).text
        assert "secret" not in sync(anybody, SECRET).text
        cone = {"RA": "10", "DEC": "20", "SR": "1", "RESPONSEFORMAT": "csv"}
        assert "secret" in ada.get("/scs/lab/events", params=cone).text
        assert "secret" not in anybody.get("/scs/lab/events", params=cone).text


@pytest.mark.parametrize(
    "parameters",
    [
        {"audience": "member"},
        {"role": "km3vo_member"},
        {"access_token": "km3vo_x"},
        {"user": "ada"},
        {"options": "-c role=km3vo_member"},
        {"SET": "role"},
    ],
)
def test_parameters_do_not_change_who_asks(anybody: httpx.Client, parameters: dict[str, str]) -> None:
    assert sync(anybody, SECRET, **parameters).text == sync(anybody, SECRET).text


@pytest.mark.parametrize(
    "query",
    [
        "SELECT pg_sleep(5) FROM lab.events",
        "SET ROLE km3vo_member",
        "RESET ROLE",
        "EXPLAIN SELECT * FROM lab.events",
        "SELECT 'lab.events_embargo'::regclass FROM lab.events",
        "SELECT CAST('lab.events_embargo' AS regclass) FROM lab.events",
        "SELECT * FROM lab.events_embargo",
        'SELECT * FROM lab."events_embargo"',
        'SELECT * FROM "lab"."events_embargo"',
        'SELECT * FROM "lab.events_embargo"',
        "SELECT * FROM lab.events_public",
        "SELECT * FROM lab.events_observed",
        'SELECT "_access" FROM lab.events',
        'SELECT e."_release_time" FROM lab.events AS e',
        "SELECT tableoid, ctid, xmin FROM lab.events",
        "SELECT * FROM pg_stats",
        "SELECT * FROM pg_catalog.pg_statistic",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM km3vo.stream",
        "SELECT nextval('x') FROM lab.events",
        "SELECT current_setting('role') FROM lab.events",
        "SELECT * FROM lab.events TABLESAMPLE SYSTEM (10)",
        "SELECT * FROM lab.events FOR UPDATE",
        "SELECT * INTO x FROM lab.events",
        "WITH x AS (DELETE FROM lab.events RETURNING *) SELECT * FROM x",
        "COPY lab.events TO STDOUT",
        "SELECT 1; SELECT * FROM lab.events_embargo",
        "SELECT * FROM lab.events WHERE 1 = 1 UNION SELECT * FROM lab.events_embargo",
        "SELECT event_id FROM lab.events WHERE event_id = '\\' OR 1 = 1 --'",
        "SELECT (SELECT COUNT(*) FROM lab.events_embargo) FROM lab.events",
        'SELECT "event_id"" FROM lab.events_embargo --" FROM lab.events',
        "SELECT * FROM tap_upload.lab_events_embargo",
    ],
)
def test_queries_that_reach_for_more(anybody: httpx.Client, query: str) -> None:
    answer = sync(anybody, query)
    assert "secret" not in answer.text and "h5," not in answer.text
    if answer.status_code == 200:
        assert query.startswith("SELECT event_id FROM lab.events WHERE event_id = '\\'")
    else:
        assert answer.status_code == 400
        # In ADQL's words, not PostgreSQL's.
        assert not re.search(r"relation|permission|syntax error at|SQLSTATE|psycopg|_embargo_pkey", answer.text)


@pytest.mark.parametrize(
    "expression",
    [
        "1 / (nhits - 210)",
        "CAST(event_id AS INTEGER)",
        "CAST(tag || 'x' AS DOUBLE PRECISION)",
        "SQRT(-energy)",
        "LOG(energy - 411)",
        "POWER(energy, 5000)",
        "CAST(energy * 1e6 AS SMALLINT)",
    ],
)
def test_errors_quote_no_value(anybody: httpx.Client, expression: str) -> None:
    """Not even of public rows: for a member the same text would quote an embargoed one, and logs would keep it."""
    answer = sync(anybody, f"SELECT {expression} FROM lab.events")
    assert answer.status_code == 400
    message = answer.text
    assert not re.search(r"\be\d+|\d{3,}", message.replace(expression, "").partition('value="ERROR">')[2]), message


@pytest.mark.parametrize("name", ["lab.events", "events_embargo; DROP TABLE x", "x.y", "_access", "pg_class", "select"])
def test_names_of_uploads(anybody: httpx.Client, name: str) -> None:
    answer = anybody.post(
        "/tap/sync",
        data={"QUERY": f"SELECT * FROM tap_upload.{name}", "UPLOAD": f"{name},param:mine", "LANG": "ADQL"},
        files={"mine": ("x.vot", UPLOAD.encode())},
    )
    assert answer.status_code in (200, 400)
    assert "secret" not in answer.text
    if answer.status_code == 200:
        assert name == "pg_class"  # a name like any other: the upload


def test_uploads_of_others_are_not_there(anybody: httpx.Client, member: Callable[[str], httpx.Client]) -> None:
    ada = member("ada")
    ada.post(
        "/tap/sync",
        data={"QUERY": "SELECT * FROM tap_upload.mine", "UPLOAD": "mine,param:mine", "LANG": "ADQL"},
        files={"mine": ("x.vot", UPLOAD.encode())},
    )
    assert sync(anybody, "SELECT * FROM tap_upload.mine").status_code == 400
    assert sync(ada, "SELECT * FROM tap_upload.mine").status_code == 400


def test_metadata_count_what_the_public_sees(anybody: httpx.Client, server: Server) -> None:
    for path in ("/index.json", "/tap/tables", "/coverage/lab/events", "/coverage/lab/events?format=json"):
        text = anybody.get(path).text
        assert "2400" not in text and "2000" not in text, path
    covered = anybody.get("/coverage/lab/events", params={"format": "json"})
    if covered.headers["content-type"].startswith("application/json"):
        assert "65535" not in json.dumps(covered.json())


def test_logs_carry_no_values(
    server: Server, own_cluster: Cluster, member: Callable[[str], httpx.Client], caplog: pytest.LogCaptureFixture
) -> None:
    """A member's mistakes raise errors on embargoed rows; neither the service nor PostgreSQL writes down which."""
    ada = member("ada")
    with caplog.at_level(logging.DEBUG):
        for query in (
            "SELECT CAST(tag AS INTEGER) FROM lab.events",
            "SELECT CAST(event_id AS DOUBLE PRECISION) FROM lab.events WHERE tag = 'secret'",
            "SELECT 1 / (nhits - 123) FROM lab.events WHERE event_id LIKE 'secret%'",
        ):
            assert sync(ada, query).status_code == 400
            assert ada.get(job(ada, query) + "/error").status_code == 200
    told = "".join(one.getMessage() for one in caplog.records if one.name.startswith(("km3vo", "uvicorn")))
    for file in own_cluster.log.glob("*.log"):
        told += file.read_text()
    assert "99999999999" not in told
    assert not re.search(r"secret\d", told)
    assert 'invalid input syntax for type integer: "' not in told


@pytest.mark.client
@pytest.mark.skipif(shutil.which("stilts") is None, reason="STILTS is not installed")
@pytest.mark.parametrize("mode", ["sync=true", "sync=false"])
def test_stilts_logs_in_with_a_password(new_published: Callable[[], Database], mode: str, tmp_path: Path) -> None:
    """As TOPCAT 4.8 does: Java sends a password when it is asked for one, so it goes to the address that asks."""
    database = new_published()
    fill(database)
    hide(database)
    with database.connect(OWNER) as owner:
        token = tokens.create(owner, "ada", audience="member", label="", valid=timedelta(hours=1), by="me")[1]
    with serve(database, tmp_path, schemas=SCHEMAS, promote_seconds=0, metadata_seconds=0) as server:
        for password, rows in ((token, 2400), ("wrong", 0)):
            out = tmp_path / f"{rows}.csv"
            done = subprocess.run(
                [
                    *("stilts", "-Dstar.basicauth.user=ada", f"-Dstar.basicauth.password={password}", "tapquery"),
                    *(f"tapurl={server.url}/auth/tap", "adql=SELECT event_id FROM lab.events", mode),
                    *("ofmt=csv", "parse=false", f"out={out}"),
                ],
                capture_output=True,
                text=True,
                timeout=120,
            )
            found = len(out.read_text().split()) - 1 if out.exists() else 0
            assert found == rows, done.stderr[-2000:]
