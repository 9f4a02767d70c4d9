"""The record of who saw what, and of credentials that were refused: nothing hides from it, and nothing fills it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus, unquote_plus

import httpx
import pytest

from km3vo.commands.access import _parameters
from km3vo.database.logins import OWNER, Database
from km3vo.embargo import tokens
from km3vo.identity.failures import MOST_KEYS, Failures
from km3vo.protocols.http.record import Asked, recorded
from km3vo.protocols.http.scope import ASKED_KEY
from tests.embargo.differential.question import UPLOAD
from tests.embargo.lab import SCHEMAS
from tests.support.server import Server, serve

pytestmark = pytest.mark.slow

QUERY = "SELECT COUNT(*) AS n FROM lab.alerts"
ASKED = {"LANG": "ADQL", "QUERY": QUERY}
FREE = 5


@pytest.fixture(scope="module")
def lab(new_published: Callable[[], Database]) -> Database:
    return new_published()


@pytest.fixture(scope="module")
def server(lab: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("home")
    with serve(lab, home, wrong_credentials=FREE, schemas=SCHEMAS, promote_seconds=0) as running:
        yield running


@pytest.fixture
def token(lab: Database) -> str:
    with lab.connect(OWNER) as owner:
        return tokens.create(owner, "ada", audience="member", label="", valid=timedelta(hours=1), by="me")[1]


@pytest.fixture
def member(server: Server, token: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        yield client


@pytest.fixture
def logged(lab: Database) -> Callable[[], list[dict[str, Any]]]:
    """A function that says what was written since it was called last."""
    names = ("id", "who", "audience", "client", "path", "parameters", "status", "location")
    last = 0

    def since() -> list[dict[str, Any]]:
        nonlocal last
        with lab.connect(OWNER) as owner:
            rows = owner.execute(
                "SELECT id, who, audience, client, path, parameters, status, location FROM km3vo.access_log "
                "WHERE id > %s ORDER BY id",
                (last,),
            ).fetchall()
        last = max([last, *(row[0] for row in rows)])
        return [dict(zip(names, row, strict=True)) for row in rows]

    since()
    return since


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


# What was asked -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "padding",
    [
        [("X", "a" * 1_100_000)],
        [(f"X{n}", "b" * 2000) for n in range(900)],
        [("RUNID" + "c" * 1_100_000, "")],
        [("runidx", "d"), ("Query2", "e" * 1_500_000)],
    ],
    ids=["a long value", "many", "a long name", "a name that is like another"],
)
def test_nothing_hides_the_query(
    member: httpx.Client, logged: Callable[[], list[dict[str, Any]]], padding: Any
) -> None:
    body = httpx.QueryParams([*padding, *ASKED.items()])
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = member.post("/tap/sync", content=str(body), headers=form)
    assert answer.status_code == 200, answer.text[-300:]
    (entry,) = logged()
    first, *rest = entry["parameters"].split("&")
    assert unquote_plus(first) == f"QUERY={QUERY}"
    assert "LANG=ADQL" in rest
    assert len(entry["parameters"]) < 1000
    (others,) = [one for one in rest if one.startswith("*=")]
    assert others.startswith(f"*={len(padding)},")
    assert "others without effect" in " ".join(_parameters(entry["parameters"], 100))


def test_a_query_is_kept_whole(member: httpx.Client, logged: Callable[[], list[dict[str, Any]]]) -> None:
    query = f"{QUERY} WHERE number IN ({','.join(map(str, range(150_000)))})"
    assert member.post("/tap/sync", data={**ASKED, "QUERY": query}).status_code in (200, 400, 413)
    (entry,) = logged()
    assert len(query) > 900_000
    assert f"QUERY={query}" in unquote_plus(entry["parameters"])


def test_what_is_given_twice_is_kept_twice(member: httpx.Client, logged: Callable[[], list[dict[str, Any]]]) -> None:
    answer = member.get("/tap/sync", params=[*ASKED.items(), ("query", "SELECT 2"), ("Query", "SELECT 3")])
    assert answer.status_code == 400
    (entry,) = logged()
    told = unquote_plus(entry["parameters"])
    assert all(text in told for text in (f"QUERY={QUERY}", "query=SELECT 2", "Query=SELECT 3"))


def test_jobs_and_uploads(member: httpx.Client, logged: Callable[[], list[dict[str, Any]]]) -> None:
    content = UPLOAD.encode()
    asked = {**ASKED, "UPLOAD": "mine,param:mine", "RUNID": "r", "odd": "1"}
    made = member.post("/tap/async", data=asked, files={"mine": ("x.vot", content)})
    assert made.status_code == 303, made.text
    (entry,) = logged()
    told = entry["parameters"].split("&")
    assert f"mine=file:{len(content)},{hashlib.sha256(content).hexdigest()}" in told
    assert unquote_plus(told[0]) == f"QUERY={QUERY}" and "odd=1" in told and "RUNID=r" in told
    assert entry["location"] == made.headers["location"]
    shown = " ".join(_parameters(entry["parameters"], 1000))
    assert f"mine=(file, {len(content)} bytes, SHA-256" in shown
    member.post(httpx.URL(entry["location"]).path + "/parameters", data={"QUERY": "SELECT 2"})
    assert logged()[0]["parameters"] == "QUERY=SELECT+2"


@pytest.mark.parametrize("path", ["/correlate/async", "/correlate"])
def test_a_table_in_a_field_hides_nothing(
    member: httpx.Client, logged: Callable[[], list[dict[str, Any]]], path: str
) -> None:
    """The question of a correlation is kept whole, the table by its SHA-256, as if it had come as a file."""
    content = UPLOAD + " " * 1_900_000
    question = {
        "CATALOGUE": "TAP_UPLOAD.mine",
        "METHOD": "count",
        "EVENTS": f"SELECT * FROM lab.alerts -- {'x' * 200_000}",
    }
    made = member.post(path, data={"UPLOAD": "mine,param:mine", "mine": content, **question})
    assert made.status_code == 303, made.text
    (entry,) = logged()
    told = entry["parameters"].split("&")
    assert f"mine=file:{len(content.encode())},{hashlib.sha256(content.encode()).hexdigest()}" in told
    assert not [one for one in told if one.startswith("*=")]
    assert all(f"{name}={quote_plus(value)}" in told for name, value in question.items())


def test_what_is_a_question_and_a_table_is_kept_as_a_question(
    member: httpx.Client, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    member.post("/tap/sync", data={**ASKED, "UPLOAD": "mine,param:QUERY"})
    (entry,) = logged()
    assert unquote_plus(entry["parameters"]).startswith(f"QUERY={QUERY}&")


def test_short_values_are_kept_before_long_ones() -> None:
    asked = Asked([("A", "a" * 90), ("B", "b" * 80), ("C", "c"), ("QUERY", "q" * 5)], {"A", "B", "C"})
    told = recorded({"type": "http", ASKED_KEY: asked}, 100).split("&")
    assert told[:3] == ["QUERY=qqqqq", "C=c", f"B={'b' * 80}"]
    assert [one[:4] for one in told[3:]] == ["*=1,"]


def test_marks_cannot_be_forged(member: httpx.Client, logged: Callable[[], list[dict[str, Any]]]) -> None:
    member.get("/tap/sync", params={**ASKED, "RUNID": "file:1,2", "*": "3,4,5"})
    (entry,) = logged()
    shown = " ".join(_parameters(entry["parameters"], 1000))
    assert 'RUNID="file:1,2"' in shown
    assert "*=" in entry["parameters"] and "(1 others without effect, 13 characters" in shown


def test_a_fault_is_written_down(
    member: httpx.Client, server: Server, logged: Callable[[], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> None:
        raise ValueError("a value of an event")

    monkeypatch.setattr(server.app.state.service.holdings, "read_if_there", broken)
    assert member.get("/").status_code == 500
    (entry,) = logged()
    assert (entry["who"], entry["path"], entry["status"]) == ("ada", "/", 500)


def test_logging_in_by_a_form(server: Server, token: str, logged: Callable[[], list[dict[str, Any]]]) -> None:
    """It is written down, and the password is not."""
    answer = httpx.post(f"{server.url}/login", data={"username": "ada", "password": token})
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "private, no-store")
    assert answer.headers.get_list("x-vo-authenticated") == ["ada"]
    httpx.get(f"{server.url}/tap/sync", params={**ASKED, "password": token}, headers=basic("ada", token))
    first, second = logged()
    assert (first["who"], first["path"], first["status"]) == ("ada", "/login", 200)
    assert "username=ada" in first["parameters"]
    assert token not in first["parameters"] + second["parameters"]


# What was refused -----------------------------------------------------------------------------------------------------


@pytest.fixture
def forget(server: Server) -> Iterator[None]:
    """Nothing is remembered of what was wrong before."""
    server.app.state.service.failures._levels.clear()
    yield
    server.app.state.service.failures._levels.clear()


def wrong(server: Server, how: str, address: str, user: str = "ada") -> httpx.Response:
    """Wrong credentials, by way of a proxy that is believed."""
    proxy = {"X-Forwarded-For": address}
    if how == "form":
        return httpx.post(f"{server.url}/login", data={"username": user, "password": "guess"}, headers=proxy)
    credentials = basic(user, "guess") if how == "basic" else {"Authorization": "Bearer km3vo_guess"}
    return httpx.get(f"{server.url}/tap/sync", params=ASKED, headers=proxy | credentials)


@pytest.mark.parametrize("how", ["basic", "bearer", "form"])
@pytest.mark.usefixtures("forget")
def test_wrong_credentials_are_written_down_and_slowed(
    server: Server, token: str, logged: Callable[[], list[dict[str, Any]]], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    sleep = asyncio.sleep

    async def asleep(seconds: float) -> None:
        waited.append(seconds)
        await sleep(0)

    monkeypatch.setattr("km3vo.protocols.http.denial.asyncio.sleep", asleep)
    address = {"basic": "192.0.2.1", "bearer": "192.0.2.2", "form": "2001:db8:1:2::3"}[how]
    assert [wrong(server, how, address).status_code for _ in range(FREE)] == [401] * FREE
    slowed = wrong(server, how, address)
    assert slowed.status_code == 429
    assert 1 <= int(slowed.headers["retry-after"]) <= 60
    assert "wait" in slowed.text
    assert [one for one in waited if one == 2.0], "its answer is late"
    for _ in range(FREE):
        wrong(server, how, address)
    # The same client with right credentials, from the same address and under the same name, is not kept waiting.
    before = len(waited)
    for headers in ({"Authorization": f"Bearer {token}"}, basic("ada", token)):
        answer = httpx.get(f"{server.url}/tap/sync", params=ASKED, headers=headers | {"X-Forwarded-For": address})
        assert answer.status_code == 200
    assert httpx.post(f"{server.url}/login", data={"username": "ada", "password": token}).status_code == 200
    assert not [one for one in waited[before:] if one == 2.0]

    entries = [entry for entry in logged() if entry["audience"] == "refused"]
    assert {entry["who"] for entry in entries} == {"" if how == "bearer" else "ada"}
    assert {entry["client"] for entry in entries} == {"2001:db8:1:2::/64" if how == "form" else address}
    # Of those above the limit the second, fourth, eighth, … are written down.
    numbers = [int(entry["parameters"].removeprefix("attempt=")) for entry in entries]
    assert numbers == [*range(1, FREE + 1), 8]
    assert "guess" not in str(entries)


@pytest.mark.usefixtures("forget")
def test_an_account_is_slowed_from_wherever_it_is_guessed(server: Server) -> None:
    assert [wrong(server, "basic", f"198.51.100.{n}").status_code for n in range(FREE + 1)] == [401] * FREE + [429]
    assert wrong(server, "basic", "203.0.113.1", "bob").status_code == 401
    assert wrong(server, "bearer", "203.0.113.2").status_code == 401


@pytest.mark.usefixtures("forget")
def test_neighbours_in_ipv6_are_one_address(server: Server) -> None:
    found = [wrong(server, "bearer", f"2001:db8::{n:x}").status_code for n in range(FREE + 1)]
    assert found == [401] * FREE + [429]
    assert wrong(server, "bearer", "2001:db8:0:1::1").status_code == 401


@pytest.mark.usefixtures("forget")
def test_whoever_is_known_without_access_is_written_down(
    server: Server, lab: Database, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    with lab.connect(OWNER) as owner:
        _, token = tokens.create(owner, "olga", audience="observer", label="", valid=timedelta(hours=1), by="me")
    answer = httpx.get(f"{server.url}/tap/sync", params=ASKED, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 403
    assert "olga" in answer.text
    (entry,) = logged()
    assert (entry["who"], entry["audience"], entry["status"]) == ("olga", "refused", 403)


def test_counts_drain_and_are_bounded() -> None:
    now = [0.0]
    failures = Failures(6, clock=lambda: now[0])
    assert [failures.note("a").wait for _ in range(6)] == [0.0] * 6
    assert failures.note("a") == (7, 10.0)
    assert failures.note("a", "b").wait == 20.0
    for _ in range(50):
        failures.note("a")
    assert failures.note("a").wait == 60.0
    now[0] = 121.0
    assert failures.note("a") == (1, 0.0)
    for n in range(MOST_KEYS + 100):
        failures.note(f"x{n}")
    assert len(failures._levels) == MOST_KEYS
