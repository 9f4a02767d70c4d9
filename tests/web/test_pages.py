"""Pages for people: complete, valid, usable without scripts, with twins for programs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from urllib.parse import urldefrag, urljoin

import html5lib
import httpx
import pytest
from lxml import etree

from km3vo.database.logins import SERVICE, Database
from km3vo.web import skymap
from tests.support.server import Server

PAGES = [
    "/",
    "/tap",
    "/query",
    "/browse/km3net",
    "/browse/ant20_01/main",
    "/browse/km3net/events",
    "/browse/ivoa/obscore",
    "/download/ant20_01/main",
]
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


class Elements(HTMLParser):
    """All elements of a page: tag and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.found if name == tag)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_html_and_accessible(registered: Server, path: str) -> None:
    answer = httpx.get(registered.url + path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    html5lib.HTMLParser(strict=True).parse(answer.text)
    page = Elements(answer.text)
    assert next(page.all("html"))["lang"] == "en"
    assert [tag for tag, _ in page.found].count("h1") == 1
    levels = [int(tag[1]) for tag, _ in page.found if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels
    assert all("alt" in image for image in page.all("img"))
    assert [tag for tag, _ in page.found].count("main") == 1
    assert not list(page.all("style"))
    assert all(not name.startswith("on") and name != "style" for _, attributes in page.found for name in attributes)
    names = [attributes["id"] for _, attributes in page.found if "id" in attributes]
    assert len(names) == len(set(names))
    assert next(page.all("link"))["href"]
    twins = [link for link in page.all("link") if link.get("rel") == "alternate"]
    assert any(link["type"] == "application/json" for link in twins)


@pytest.mark.parametrize("path", PAGES)
def test_every_link_leads_somewhere(registered: Server, path: str) -> None:
    page = Elements(httpx.get(registered.url + path).text)
    addresses = {attributes["href"] for tag in ("a", "link") for attributes in page.all(tag) if attributes.get("href")}
    addresses |= {
        attributes["src"] for tag in ("img", "script") for attributes in page.all(tag) if attributes.get("src")
    }
    ours = {urldefrag(urljoin(registered.url + path, str(address)))[0] for address in addresses}
    with httpx.Client(timeout=60) as client:
        for address in sorted(address for address in ours if address.startswith(registered.url)):
            assert client.get(address).status_code == 200, address


def test_example_queries_run(registered: Server) -> None:
    for path in ("/tap", "/browse/km3net"):
        page = Elements(httpx.get(registered.url + path).text)
        runs = [str(link["href"]) for link in page.all("a") if "/tap/sync?" in str(link.get("href"))]
        assert len(runs) >= 6
        for run in runs:
            answer = httpx.get(run)
            assert answer.status_code == 200
            assert 'value="ERROR"' not in answer.text


def test_a_table_page_says_all_that_is_known(registered: Server) -> None:
    text = httpx.get(f"{registered.url}/browse/ant20_01/main").text
    page = httpx.get(f"{registered.url}/browse/ant20_01/main.json").json()
    for column in registered.app.state.service.published.table("ant20_01.main").columns:
        assert f"<code>{column.name}</code>" in text
        assert str(column.description).split(",")[0] in text
        assert str(column.ucd).replace(";", "; ") in text
    for words in (
        page["citation"]["text"],
        f"{page['rows']:,}",
        "CC BY 4.0",
        f"{registered.url}/scs/ant20_01/main?",
        "2007-",
    ):
        assert words in text
    assert "Simulated" not in text


def test_simulated_tables_say_so_before_all_else(registered: Server) -> None:
    text = httpx.get(f"{registered.url}/browse/km3net/events").text
    assert text.index("<strong>Simulated.</strong>") < text.index('class="lead"')
    assert "Released up to" in text
    assert "Simulated events." in httpx.get(registered.url).text


def test_the_page_of_an_embargoed_table_counts_public_rows_alone(registered: Server, published: Database) -> None:
    with published.connect(SERVICE) as service:
        row = service.execute("SELECT rows FROM km3vo.coverage WHERE published = 'km3net.events'").fetchone()
    assert httpx.get(f"{registered.url}/browse/km3net/events.json").json()["rows"] == row[0] < 2000  # type: ignore[index]


def test_what_is_not_there_has_a_page_for_people_and_a_line_for_programs(registered: Server) -> None:
    for path in ("/nowhere", "/browse/none", "/browse/km3net/none", "/coverage/km3net/none"):
        page = httpx.get(registered.url + path, headers=BROWSER)
        assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "There is no such page" in page.text
        line = httpx.get(registered.url + path)
        assert line.status_code == 404
        assert line.headers["content-type"].startswith("text/plain")


def test_protocols_keep_their_answers(registered: Server) -> None:
    cone = httpx.get(f"{registered.url}/scs/ant20_01/main", headers=BROWSER)
    assert cone.status_code == 200
    assert cone.headers["content-type"].startswith("text/xml")
    assert b'name="Error"' in cone.content
    assert (
        httpx.get(f"{registered.url}/tap/sync", headers=BROWSER)
        .headers["content-type"]
        .startswith("application/x-votable+xml")
    )


def test_a_page_is_not_sent_twice(registered: Server) -> None:
    first = httpx.get(f"{registered.url}/browse/ant20_01")
    assert (
        httpx.get(f"{registered.url}/browse/ant20_01", headers={"If-None-Match": first.headers["etag"]}).status_code
        == 304
    )


def test_names_are_found_in_any_case(registered: Server) -> None:
    assert httpx.get(f"{registered.url}/browse/ANT20_01/Main").status_code == 200


def test_the_map_shows_where_the_events_are(registered: Server) -> None:
    answer = httpx.get(f"{registered.url}/coverage/ant20_01/main?format=svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    root = etree.fromstring(answer.content)
    assert root.findtext("{*}title") == "Public events of ant20_01.main"
    assert b"<script" not in answer.content
    density = [0] * 3072
    density[0] = 7  # right ascension 45, declination 2.4 degrees: right of the middle, near the equator
    from km3vo.holdings.coverage import Coverage

    picture = skymap.draw(Coverage(published="a.b", rows=7, fingerprint="", density=density), "One cell")
    (cell,) = re.findall(rb'<path d="M(-?\d+) (-?\d+)l[^"]*" class="d\d"', picture or b"")
    assert 1600 < int(cell[0]) < 1900
    assert 400 < int(cell[1]) < 500


def test_few_events_are_shown_in_larger_cells() -> None:
    assert len(skymap.picture([1] * 3072)) == 768
    assert len(skymap.picture([10] * 3072)) == 3072
    assert skymap.cell([10] * 3072) == pytest.approx(13.43, abs=0.01)
