"""The page for queries, the pages of mistakes and jobs, and the check of a query that does not run it."""

from __future__ import annotations

import re
import time
from html import unescape
from typing import Any

import httpx
import pytest

from tests.support.server import Server

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
NAVIGATION = BROWSER | {"Sec-Fetch-Mode": "navigate"}
JAVA = {"Accept": "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"}
WRONG = "SELECT TOP 3 id,\n  decc FROM ant20_01.main"
RIGHT = "SELECT TOP 3 id, ra FROM ant20_01.main"


def written(page: str) -> str:
    """What stands in the page's field for the query."""
    found = re.search(r"<textarea[^>]*>(.*?)</textarea>", page, re.DOTALL)
    assert found
    return unescape(found[1])


@pytest.mark.parametrize("name", ["sql", "QUERY"])
def test_the_address_fills_the_form_and_runs_nothing(server: Server, name: str) -> None:
    text = "SELECT \"a\" FROM t WHERE x < 1 AND y = 'é&amp;%'"
    page = httpx.get(f"{server.url}/query", params={name: text, "RESPONSEFORMAT": "csv"}, headers=BROWSER)
    assert page.status_code == 200
    assert written(page.text) == text
    assert '<option value="csv" selected>' in page.text


@pytest.mark.parametrize(
    ("headers", "form", "kind"),
    [
        (BROWSER, "html", "text/html"),
        (NAVIGATION, "", "text/html"),
        (BROWSER, "", "application/x-votable+xml"),
        (JAVA, "", "application/x-votable+xml"),
        ({"Accept": "*/*"}, "html", "application/x-votable+xml"),
        (NAVIGATION, "votable", "application/x-votable+xml"),
        (NAVIGATION, "json", "application/json"),
        ({}, "json", "application/json"),
        ({}, "nonsense", "application/x-votable+xml"),
    ],
)
def test_a_mistake_comes_in_the_form_that_was_asked_for(
    server: Server, headers: dict[str, str], form: str, kind: str
) -> None:
    asked = {"LANG": "ADQL", "QUERY": WRONG} | ({"FORMAT": form} if form else {})
    answer = httpx.get(f"{server.url}/tap/sync", params=asked, headers=headers)
    assert answer.status_code == 400
    assert answer.headers["content-type"].partition(";")[0] == kind
    assert "Accept" in answer.headers["vary"]
    if kind == "application/json":
        told = answer.json()
        if form == "json":
            assert (told["code"], told["line"], told["column"], told["length"]) == ("adql", 2, 3, 4)
            assert "decl" in told["hint"]
    if kind == "text/html":
        assert written(answer.text) == WRONG
        assert "did you mean decl?" in answer.text
        assert answer.headers["content-security-policy"].startswith("default-src 'none';")


def test_a_result_leads_back_to_its_query(server: Server) -> None:
    asked = {"LANG": "ADQL", "QUERY": RIGHT, "FORMAT": "html"}
    result = httpx.get(f"{server.url}/tap/sync", params=asked, headers=BROWSER).text
    link = re.search(r'href="(/query\?[^"]+)"', result)
    assert link
    assert written(httpx.get(server.url + unescape(link[1]), headers=BROWSER).text) == RIGHT


@pytest.mark.parametrize(
    ("query", "ending"), [(RIGHT, "3 rows are there"), ("SELECT 1/0 AS n FROM ant20_01.main", "It ended")]
)
def test_a_job_has_a_page(server: Server, query: str, ending: str) -> None:
    form = {"LANG": "ADQL", "QUERY": query, "RESPONSEFORMAT": "csv", "MAXREC": ""}
    answer = httpx.post(f"{server.url}/query", data=form)
    assert answer.status_code == 303
    end = time.monotonic() + 60
    while 'http-equiv="refresh"' in (page := httpx.get(server.url + answer.headers["location"], headers=BROWSER)).text:
        assert time.monotonic() < end
        time.sleep(0.2)
    assert ending in page.text
    if "/results/result" in page.text:
        assert httpx.get(f"{server.url}/tap/async{answer.headers['location'][5:]}/results/result").text.count("\n") == 4


def test_a_job_without_a_query_is_a_mistake_to_mend(server: Server) -> None:
    answer = httpx.post(f"{server.url}/query", data={"LANG": "ADQL", "QUERY": " "}, headers=BROWSER)
    assert (answer.status_code, "QUERY is missing" in answer.text) == (400, True)


def test_a_job_that_is_not_there_is_not_found(server: Server) -> None:
    assert httpx.get(f"{server.url}/jobs/nothing", headers=BROWSER).status_code == 404


def check(server: Server, query: str, **others: str) -> dict[str, Any]:
    answer = httpx.post(f"{server.url}/tap/check", data={"LANG": "ADQL", "QUERY": query, **others})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "private, no-store"
    told: dict[str, Any] = answer.json()
    return told


def test_a_query_that_is_right(server: Server) -> None:
    told = check(server, RIGHT)
    assert told["ok"] is True
    assert [(column["name"], column["unit"]) for column in told["columns"]] == [("id", None), ("ra", "deg")]
    assert told["tables"] == ["ant20_01.main"]
    assert told["class"] == "at once"


def test_a_query_that_would_take_long(server: Server) -> None:
    crossed = ", ".join(f"ant20_01.main AS {name}" for name in "abcd")
    assert check(server, f"SELECT COUNT(*) FROM {crossed} WHERE a.ra + b.ra + c.ra < d.ra")["class"] == "minutes"


@pytest.mark.parametrize(
    ("query", "place"),
    [
        (WRONG, (2, 3, 4)),
        ("SELECT id FROM ant20_01.main WHERE", (1, 35, 0)),
        ("SELECT ’a’ FROM ant20_01.main", (1, 8, 1)),
        ("", (0, 0, 0)),
    ],
)
def test_mistakes_are_told_with_their_places(server: Server, query: str, place: tuple[int, int, int]) -> None:
    told = check(server, query)
    assert told["ok"] is False
    (mistake,) = told["errors"]
    assert (mistake["line"], mistake["column"], mistake["length"]) == place
    assert mistake["message"]
