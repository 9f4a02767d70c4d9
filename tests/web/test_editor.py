"""The editor of the query page, in a real browser."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from lxml import etree

from tests.support.axe import violations
from tests.support.chromium import Page, look, needs_chromium
from tests.support.server import Server
from tests.web.queries import LONG, RIGHT, ROOT, edit, write

pytestmark = [pytest.mark.client, needs_chromium]
REFUSED = (Path(__file__).parents[1] / "adql" / "refused.txt").read_text().splitlines()
MARKED = f"[...{ROOT}.querySelectorAll('.cm-lintRange-error')].map(mark => mark.textContent).join('')"
PROPOSED = f"[...{ROOT}.querySelectorAll('.cm-tooltip-autocomplete li')].map(one => one.innerText)"
TOLD = "(document.querySelector('.estimate[aria-busy=false]')?.innerText ?? '')"
TEXT = "document.getElementById('query').value"


def test_q4_columns_by_alias_are_proposed(server: Server, browser: str) -> None:
    async def visit(page: Page) -> None:
        await edit(page, server, "SELECT  FROM km3net.events AS e")
        await page.press("Home", "Home")
        for _ in range(7):
            await page.press("ArrowRight", "ArrowRight")
        await page.call("Input.insertText", text="e.")
        await page.press(" ", "Space", modifiers=2)
        await page.until(f"{PROPOSED}.length >= 20 && {PROPOSED}.some(one => one.startsWith('ra'))")
        proposed = await page.value(PROPOSED)
        assert any(one.startswith("ra") and "deg" in one for one in proposed)
        assert page.complaints == []

    look(browser, visit)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("SELECT TOP 5 * FROM km3", "km3net"),
        ("SELECT TOP 5 * FROM ant20_01.", "main"),
        ("SELECT ra FROM ant20_01.main WHERE bet", "beta"),
        ("SELECT ivo_heal", "ivo_healpix_index"),
        ("SELECT ra FRO", "FROM"),
    ],
)
def test_q4_tables_functions_and_words_are_proposed(server: Server, browser: str, text: str, wanted: str) -> None:
    async def visit(page: Page) -> None:
        await edit(page, server, text)
        await page.press(" ", "Space", modifiers=2)
        await page.until(f"{PROPOSED}.some(one => one.startsWith({json.dumps(wanted)}))")

    look(browser, visit)


def test_q5_mistakes_are_underlined_where_the_server_says(server: Server, browser: str) -> None:
    """Wrong queries one after the other: the text that is marked is the text that /tap/check means."""
    queries = [line.partition(":")[2].replace("FROM events", "FROM km3net.events") for line in REFUSED[:40]]

    async def visit(page: Page) -> None:
        await edit(page, server)
        compared = 0
        for query in queries:
            told = httpx.post(f"{server.url}/tap/check", data={"LANG": "ADQL", "QUERY": query}).json()
            if told["ok"] or not told["errors"][0]["line"]:
                continue
            (error,) = told["errors"]
            meant = query[error["column"] - 1 : error["column"] - 1 + error["length"]]
            await write(page, query)
            await page.until(f"{TOLD}.includes({json.dumps(error['message'])})")
            # An error at the end of the text has no character: the last one is marked, with a line after it.
            assert (query, await page.value(MARKED)) == (query, meant or query.rstrip()[-1:])
            compared += 1
        assert compared > 20
        assert page.complaints == []

    look(browser, visit)


def test_q5_what_was_meant_is_a_button(server: Server, browser: str) -> None:
    async def visit(page: Page) -> None:
        await edit(page, server, "SELECT TOP 3 id,\n  decc FROM ant20_01.main")
        await page.until("document.querySelector('.mistake button')?.textContent === 'Write decl'")
        assert await page.value("document.querySelector('.estimate').getAttribute('role')") == "status"
        await page.value("document.querySelector('.mistake button').click()")
        await page.until(f"{TOLD}.includes('at once')")
        assert await page.value(TEXT) == "SELECT TOP 3 id,\n  decl FROM ant20_01.main"

    look(browser, visit)


def test_q6_a_late_answer_marks_nothing(server: Server, browser: str) -> None:
    async def visit(page: Page) -> None:
        await edit(page, server)
        await page.value(
            """(() => {
              const fetched = window.fetch;
              window.asked = 0;
              window.fetch = async (...all) => {
                if (!String(all[0]).endsWith("/check")) return fetched(...all);
                const number = ++window.asked;
                const answer = await fetched(all[0], { ...all[1], signal: undefined });
                if (number === 1) await new Promise(done => setTimeout(done, 1500));
                return answer;
              };
            })()"""
        )
        await write(page, "SELECT decc FROM ant20_01.main")
        await page.until("window.asked === 1")
        await write(page, RIGHT)
        await page.until(f"{TOLD}.includes('at once')")
        await page.pause(1.6)
        assert await page.value(MARKED) == ""
        assert "at once" in await page.value(TOLD)

    look(browser, visit)


def test_q7_characters_of_texts_are_marked_with_their_repair(server: Server, browser: str) -> None:
    text = "SELECT id FROM ant20_01.main\u00a0WHERE id = \u2018a\u2019 AND id <> '\u2018';"
    repaired = "SELECT id FROM ant20_01.main WHERE id = 'a' AND id <> '\u2018'"

    async def visit(page: Page) -> None:
        await edit(page, server, text)
        await page.until(f"{ROOT}.querySelectorAll('.cm-lintRange-warning').length >= 1")
        await page.until("document.querySelectorAll('.repairs').length === 3")
        assert await page.value(TEXT) == text  # nothing is changed by itself
        for left in (2, 1, 0):
            await page.value("document.querySelector('.repairs button').click()")
            await page.until(f"document.querySelectorAll('.repairs').length === {left}")
        assert await page.value(TEXT) == repaired

    look(browser, visit)


def test_q8_the_keyboard_is_enough(server: Server, browser: str) -> None:
    async def visit(page: Page) -> None:
        await edit(page, server, "SELECT TOP 5 * FROM km3")
        await page.press(" ", "Space", modifiers=2)
        await page.until(f"{PROPOSED}.length > 0")
        await page.press("Escape", "Escape")
        await page.until(f"{PROPOSED}.length === 0")
        await page.press("Tab", "Tab")
        assert await page.value("document.activeElement.name") == "RESPONSEFORMAT"
        assert "Ctrl-Enter" in await page.value("document.querySelector('.keys').textContent")

    look(browser, visit)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (RIGHT, "at once"),
        (LONG, "run it as a job"),
    ],
)
def test_q9_how_long_it_takes_is_told_in_words(server: Server, browser: str, query: str, words: str) -> None:
    async def visit(page: Page) -> None:
        await edit(page, server, query)
        await page.until(f"{TOLD}.includes({json.dumps(words)})")

    look(browser, visit)


def test_q10_a_whole_table_is_better_downloaded(registered: Server, browser: str) -> None:
    async def visit(page: Page) -> None:
        await edit(page, registered)
        await page.value("document.querySelector('[name=MAXREC]').value = '10'")
        await write(page, "SELECT * FROM ant20_01.main")
        await page.until(f"{TOLD}.includes('cut at 10')")
        assert (await page.value("document.querySelector('.cut a').pathname")) == "/download/ant20_01/main"

    look(browser, visit)


def test_s2_the_schema_is_that_of_vosi(server: Server) -> None:
    answer = httpx.get(f"{server.tap}/schema.json", headers={"Accept-Encoding": "gzip"})
    told = answer.json()
    tables = etree.fromstring(httpx.get(f"{server.tap}/tables").content)
    assert {table["name"]: [column["name"] for column in table["columns"]] for table in told["tables"]} == {
        table.findtext("name"): [column.findtext("name") for column in table.iterfind("column")]
        for table in tables.iter("table")
    }
    assert any(one["form"].startswith("ivo_healpix_index(") for one in told["functions"])
    assert int(answer.headers.get("content-length", len(answer.content))) <= 40_000
    again = httpx.get(f"{server.tap}/schema.json", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("text", ["", RIGHT, "SELECT decc FROM ant20_01.main"], ids=["empty", "right", "wrong"])
def test_w1_the_query_page_is_for_everybody(server: Server, browser: str, text: str, width: int, scheme: str) -> None:
    async def visit(page: Page) -> None:
        await page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        await page.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False
        )
        await edit(page, server, text)
        await page.pause(0.8)
        assert await violations(page) == []
        assert await page.value("document.documentElement.scrollWidth") <= width
        assert page.complaints == []

    look(browser, visit)
