"""What holds for every page: who may use them, what may be loaded, how long it is kept."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from km3vo.web.query import HUB
from tests.support.axe import violations
from tests.support.chromium import Page, look, needs_chromium
from tests.support.server import Server

ROUTES = [
    "/",
    "/api",
    "/tap",
    "/tap/examples",
    "/tap/tables",
    "/tap/async",
    "/tap/sync?LANG=ADQL&FORMAT=html&QUERY=SELECT%20TOP%203%20*%20FROM%20ant20_01.main",
    "/tap/sync?LANG=ADQL&FORMAT=csv&QUERY=SELECT%20TOP%203%20*%20FROM%20ant20_01.main",
    "/tap/sync?LANG=ADQL&FORMAT=html&QUERY=SELECT",
    "/scs/ant20_01/main?RA=1&DEC=2&SR=3",
    "/oai?verb=Identify",
    "/query",
    "/browse/km3net",
    "/browse/km3net/events",
    "/browse/km3net/events.json",
    "/coverage/ant20_01/main?format=svg",
    "/download/ant20_01/main",
    "/static/style.css",
    "/nowhere",
]
PAGES = [route for route in ROUTES if route in ("/", "/api", "/tap", "/query", "/nowhere") or "browse" in route]
SIZES = {"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": False}
PHONE = SIZES | {"width": 400, "mobile": True}
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
TEMPLATES = sorted((Path(__file__).parents[2] / "km3vo" / "web" / "templates").glob("*.html"))


@pytest.mark.parametrize("route", ROUTES)
def test_b10_headers_of_every_answer(registered: Server, route: str) -> None:
    answer = httpx.get(registered.url + route, headers=BROWSER)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    page = answer.headers["content-type"].partition(";")[0] in ("text/html", "application/xhtml+xml")
    assert answer.headers.get("cross-origin-resource-policy") == ("same-origin" if page else None)
    assert "strict-transport-security" not in answer.headers  # the address of this service is http


@pytest.mark.parametrize("route", [*PAGES, "/tap/sync?LANG=ADQL&FORMAT=html&QUERY=SELECT"])
def test_b5_pages_load_nothing_from_elsewhere(registered: Server, route: str) -> None:
    answer = httpx.get(registered.url + route, headers=BROWSER)
    if answer.headers["content-type"].startswith("text/html"):
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        assert policy.pop("img-src") == "'self' data:"
        if "FORMAT=html" in route or route == "/query":  # which send a result to the reader's SAMP hub, if told to
            assert policy.pop("connect-src") == f"'self' {HUB}"
        assert {policy.pop(name) for name in ("default-src", "base-uri", "frame-ancestors")} == {"'none'"}
        assert set(policy.values()) == {"'self'"}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: str(template.name))
def test_b5_nothing_is_styled_or_run_within_a_page(template: Path) -> None:
    text = template.read_text()
    assert not re.search(r"<[^>]*\s(style|on[a-z]+)\s*=", text)
    assert not re.search(r"<style|<script(?![^>]*(src=|application/ld\+json))", text)


def test_d6_stamped_files_are_kept_for_good(registered: Server) -> None:
    page = httpx.get(registered.url).text
    stamped = re.findall(r'(?:href|src)="(/static/[^"]+\?[0-9a-f]{8})"', page)
    assert len(stamped) == 2
    for path in stamped:
        assert httpx.get(registered.url + path).headers["cache-control"] == "public, max-age=31536000, immutable"
        other = httpx.get(registered.url + path.partition("?")[0], params={"0": "0"})
        assert other.headers["cache-control"] == "no-cache"


@pytest.mark.client
@needs_chromium
@pytest.mark.parametrize("size", [SIZES, PHONE], ids=["desk", "phone"])
def test_d4_examples_are_for_everybody(registered: Server, browser: str, size: dict[str, object]) -> None:
    async def visit(page: Page) -> None:
        await page.call("Emulation.setDeviceMetricsOverride", **size)
        await page.open(f"{registered.url}/tap/examples")
        assert await violations(page) == []
        assert page.complaints == []

    look(browser, visit)


@pytest.mark.client
@needs_chromium
@pytest.mark.parametrize("script", [False, True], ids=["plain", "script"])
@pytest.mark.parametrize("table", ["km3net/events", "icecube/ps3yr", "ant20_01/main", "ivoa/obscore"])
def test_t5_d5_a_table_fits_a_phone(registered: Server, browser: str, table: str, script: bool) -> None:
    async def visit(page: Page) -> None:
        await page.call("Emulation.setDeviceMetricsOverride", **PHONE)
        if not script:
            await page.call("Emulation.setScriptExecutionDisabled", value=True)
        await page.open(f"{registered.url}/browse/{table}")
        box = (await page.call("Page.getLayoutMetrics"))["cssContentSize"]
        assert box["width"] == 400
        assert box["height"] < 4500
        if script:
            meanings = "[...document.querySelectorAll('.columns td:last-child')].map(cell => {"
            meanings += "const box = cell.getBoundingClientRect(); return box.left >= 0 && box.right <= 400})"
            assert set(await page.value(meanings)) == {True}
            assert await violations(page) == []

    look(browser, visit)
