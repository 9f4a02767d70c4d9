"""Running queries on the query page, and where what comes of them can go, in a real browser."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet
import pytest
from astropy.table import Table

from tests.support.axe import violations
from tests.support.chromium import Page, look, needs_chromium
from tests.support.server import Server
from tests.support.tap import late_mistake
from tests.web.queries import LONG, READY, RIGHT, click, edit, run, write
from tests.web.samp import JAVA, hub, needs_jsamp

pytestmark = [pytest.mark.client, needs_chromium]
SAID = "document.querySelector('.said').textContent"
CELLS = "[...document.querySelectorAll('.result tbody tr')].map(row => [...row.cells].map(cell => cell.textContent))"
# Texts that a shell, a program or an address could mistake for something else.
HARD = [
    "SELECT 'it''s' AS a FROM ant20_01.main",
    'SELECT TOP 4 ra AS "a b" FROM ant20_01.main',
    "SELECT TOP 5 ra\nFROM ant20_01.main\nWHERE ra > 1",
    "SELECT TOP 3 '100%25 %41 %' AS a FROM ant20_01.main",
    "SELECT TOP 2 'é ∞ 😀' AS a FROM ant20_01.main",
    "SELECT TOP 6 '$HOME `id` $(id) \\ !' AS a FROM ant20_01.main",
    "SELECT TOP 3 'a&b=c;d+e#f' AS a FROM ant20_01.main",
    "SELECT TOP 2 '<b>{x}</b>' AS a FROM ant20_01.main -- \"comment\"",
    'SELECT TOP 7 \'@file\' AS "quo""ted" FROM ant20_01.main',
    "SELECT TOP 0 ra FROM ant20_01.main",
]


def test_q11_a_query_runs_and_says_how_many_rows(server: Server, browser: str) -> None:
    async def visit(page: Page) -> None:
        await edit(page, server, RIGHT)
        await page.press("Enter", "Enter", modifiers=2)
        await page.until(f"{SAID}.startsWith('3 rows in')")
        assert len(await page.value(CELLS)) == 3
        assert page.complaints == []

    look(browser, visit)


def test_q11_cancel_ends_it_in_the_database(server: Server, browser: str) -> None:
    database = server.app.state.service.database

    def at_work() -> int:
        with database.connect() as admin:
            asked = (
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%cancelled_by_a_click%'"
            )
            ((count,),) = admin.execute(f"{asked} AND pid <> pg_backend_pid()").fetchall()
        return int(count)

    async def visit(page: Page) -> None:
        await edit(page, server, LONG.replace("COUNT(*)", "COUNT(*) AS cancelled_by_a_click"))
        await click(page, "form.query button:not([formaction]):not([type])")
        await page.until("/[1-9]\\d*\\.\\d s/.test(document.querySelector('.running').textContent)")
        end = time.monotonic() + 10
        while not at_work():
            assert time.monotonic() < end
            await page.pause(0.1)
        await click(page, ".running button")
        await page.until(f"{SAID} === 'The query was stopped.'")
        end = time.monotonic() + 5
        while at_work():
            assert time.monotonic() < end
            await page.pause(0.1)

    look(browser, visit)


def test_q12_what_takes_long_goes_on_as_a_job(server: Server, browser: str) -> None:
    async def visit(page: Page) -> None:
        await edit(page, server, LONG)
        await click(page, "form.query button:not([formaction]):not([type])")
        await page.until(
            "[...document.querySelectorAll('.running button')].some(one => one.textContent === 'Continue as job')", 40
        )
        await click(page, ".running span button")
        await page.until("document.querySelector('.jobs li[data-phase]')")
        assert await page.value("document.getElementById('query').value") == LONG
        await click(page, ".jobs li button")
        await page.until("document.querySelector('.jobs li').dataset.phase === 'ABORTED'")

    look(browser, visit)


def test_q13_jobs_are_there_after_a_reload(server: Server, browser: str) -> None:
    async def visit(page: Page) -> None:
        await edit(page, server, RIGHT)
        await click(page, "form.query button[formaction]")
        await page.until("document.querySelector('.jobs li[data-phase=COMPLETED]')?.textContent.includes('3 rows')")
        (job,) = await page.value("JSON.parse(localStorage['km3vo.jobs'])")
        await page.open(f"{server.url}/query")
        await page.until(f"document.querySelector('.jobs li[data-job=\"{job}\"][data-phase=COMPLETED]')")
        await page.value("document.querySelector('.jobs').open = true")
        assert await violations(page) == []
        await page.value(
            "[...document.querySelectorAll('.jobs li button')].find(one => one.textContent === 'Delete').click()"
        )
        await page.until("JSON.parse(localStorage['km3vo.jobs']).length === 0")
        assert httpx.get(f"{server.tap}/async/{job}").status_code == 404
        assert page.complaints == []

    look(browser, visit)


def test_q2_q3_an_address_brings_a_query_back(server: Server, browser: str) -> None:
    long = f"SELECT TOP 3 id FROM ant20_01.main WHERE id NOT IN ({', '.join(str(n) for n in range(-17000, -1))})"
    assert len(long) > 100_000

    async def visit(page: Page) -> None:
        await page.call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
        for query in (RIGHT, long):
            await edit(page, server)
            await write(page, query)
            await click(page, ".tools button")
            await page.until(f"{SAID} === 'The address of this query is copied.'")
            link = await page.value("navigator.clipboard.readText()")
            assert len(link.partition("#")[0]) < 4100
            await page.open("about:blank")
            await page.open(link)
            await page.until(READY)
            assert await page.value("document.getElementById('query').value") == query
            assert await page.value("document.querySelector('.outcome').childElementCount") == 0  # it runs nothing
        assert page.complaints == []

    look(browser, visit)


def test_q2_back_gives_the_same_page(server: Server, browser: str) -> None:
    async def visit(page: Page) -> None:
        await run(page, server, RIGHT)
        where = await page.value("location.href")
        await page.open(server.url)
        await page.open(where)
        await page.until(READY)
        assert await page.value("document.getElementById('query').value") == RIGHT

    look(browser, visit)


def test_q15_history_holds_queries_and_no_results(server: Server, browser: str) -> None:
    async def visit(page: Page) -> None:
        await run(page, server, RIGHT)
        (cell, _), *_ = await page.value(CELLS)
        kept = await page.value("JSON.stringify(localStorage)")
        assert cell not in json.loads(json.loads(kept)["km3vo.history"])[0].values()
        assert RIGHT in kept
        await page.value("document.querySelector('.history').open = true")
        await page.until("document.querySelectorAll('.history li').length === 1")
        await click(page, ".history li button[aria-pressed]")
        assert await page.value("document.querySelector('.history li [aria-pressed]').ariaPressed") == "true"
        await page.value("[...document.querySelectorAll('.history > button')].at(-1).click()")
        assert await page.value("localStorage['km3vo.history']") == "[]"

    look(browser, visit)


def test_q16_an_example_is_inserted_and_undone(server: Server, browser: str) -> None:
    async def visit(page: Page) -> None:
        await edit(page, server, RIGHT)
        await page.value(
            "[...document.querySelectorAll('.buttons button')].find(one => one.textContent === 'Insert').click()"
        )
        text = "document.getElementById('query').value"
        example = await page.value("document.querySelector('#examples ~ .copyable code').textContent")
        assert await page.value(text) == example
        await page.press("z", "KeyZ", modifiers=2)
        await page.until(f"{text} === {json.dumps(RIGHT)}")

    look(browser, visit)


def test_q17_names_are_inserted(server: Server, browser: str) -> None:
    async def visit(page: Page) -> None:
        await edit(page, server, "SELECT ")
        await page.value(
            "(() => { const box = [...document.querySelectorAll('#tables ~ details')]"
            ".find(one => one.textContent.includes('ant20_01.main')); box.open = true;"
            "[...box.querySelectorAll('.name')].find(one => one.textContent === 'decl').click() })()"
        )
        assert await page.value("document.getElementById('query').value") == "SELECT decl"

    look(browser, visit)


@pytest.mark.parametrize("form", ["csv", "ecsv", "votable", "fits", "parquet"])
def test_q18_a_table_goes_along(server: Server, browser: str, tmp_path: Path, form: str) -> None:
    mine = Table({"ra": [1.5, 2.5], "dec": [3.0, 4.0]})
    ending, written = {"csv": (".csv", "csv"), "ecsv": (".ecsv", "ascii.ecsv")}.get(form, (f".{form}", form))
    mine.write(tmp_path / f"mine{ending}", format=written)

    async def visit(page: Page) -> None:
        await edit(page, server, "SELECT ra, dec FROM TAP_UPLOAD.mine")
        root = (await page.call("DOM.getDocument"))["root"]["nodeId"]
        field = (await page.call("DOM.querySelector", nodeId=root, selector=".uploads input[type=file]"))["nodeId"]
        await page.call("DOM.setFileInputFiles", nodeId=field, files=[str(tmp_path / f"mine{ending}")])
        told = "document.querySelector('.uploads [role=status]').textContent"
        await page.until(f"{told}.includes('TAP_UPLOAD.mine')")
        if form != "parquet":
            assert "2 rows" in await page.value(told)
            assert "position in ra and dec" in await page.value(told)
        await click(page, "form.query button:not([formaction]):not([type])")
        await page.until(f"{SAID}.startsWith('2 rows in')")
        assert await page.value(CELLS) == [["1.5", "3"], ["2.5", "4"]]
        assert page.complaints == []

    look(browser, visit)


def test_q18_a_file_above_the_limit_is_not_sent(server: Server, browser: str, tmp_path: Path) -> None:
    (tmp_path / "large.csv").write_text("a\n" + "1\n" * 1_000_001)

    async def visit(page: Page) -> None:
        await edit(page, server, RIGHT)
        root = (await page.call("DOM.getDocument"))["root"]["nodeId"]
        field = (await page.call("DOM.querySelector", nodeId=root, selector=".uploads input[type=file]"))["nodeId"]
        await page.call("DOM.setFileInputFiles", nodeId=field, files=[str(tmp_path / "large.csv")])
        await page.until(
            "document.querySelector('.uploads .mistake')?.textContent.replace(/\\D/g, '').includes('10000011000000')"
        )
        assert await page.value("document.querySelector('[name=UPLOAD]').disabled")

    look(browser, visit)


def test_q19_a_cut_result_says_so(server: Server, browser: str) -> None:
    async def visit(page: Page) -> None:
        await edit(page, server, "SELECT id, ra, NULL AS nothing FROM icecube.ps3yr")
        await page.value("document.querySelector('[name=MAXREC]').value = '600'")
        await click(page, "form.query button:not([formaction]):not([type])")
        await page.until("document.querySelector('.outcome .warning')?.textContent.includes('Cut at MAXREC: 600 rows')")
        rows = await page.value(CELLS)
        assert 0 < len(rows) < 200  # those in sight, of 600
        assert rows[1][2] == "–"
        assert await page.value("document.querySelector('.result table').getAttribute('aria-rowcount')") == "601"
        await click(page, ".result th:nth-child(2) button")
        await page.until("document.querySelector('.result th:nth-child(2)').ariaSort === 'ascending'")
        ras = [float(row[1]) for row in await page.value(CELLS) if len(row) == 3]
        assert ras == sorted(ras)
        assert "deg" in await page.value("document.querySelector('.result th:nth-child(2)').textContent")
        await page.value("document.querySelector('.result').scrollTop = 1e6")
        await page.until("[...document.querySelectorAll('.result tr')].some(row => row.ariaRowIndex === '601')")
        assert "publisher" in await page.value(
            "document.querySelector('.outcome > details:not(.pictures)').textContent"
        )
        assert await violations(page) == []
        await page.value("[...document.querySelectorAll('.warning button')][0].click()")
        await page.until(f"{SAID}.startsWith('2\u202f000 rows') && !document.querySelector('.outcome .warning')")
        assert page.complaints == []

    look(browser, visit)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_w1_w5_a_result_is_for_everybody(server: Server, browser: str, width: int, scheme: str) -> None:
    async def visit(page: Page) -> None:
        await page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        await page.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False
        )
        await run(page, server, "SELECT TOP 60 * FROM ant20_01.main")
        await page.value("document.querySelectorAll('details').forEach(one => { one.open = true })")
        await page.pause(0.5)
        assert await violations(page) == []
        assert await page.value("document.documentElement.scrollWidth") <= width
        assert page.complaints == []

    look(browser, visit)


def test_q20_downloads_open(server: Server, browser: str) -> None:
    links: list[list[str]] = []

    async def visit(page: Page) -> None:
        await run(page, server, RIGHT)
        links.extend(
            await page.value("[...document.querySelectorAll('.downloads a')].map(one => [one.textContent, one.href])")
        )

    look(browser, visit)
    readers: dict[str, Any] = {
        "VOTable": "votable",
        "FITS": "fits",
        "CSV": "csv",
        "ECSV": "ascii.ecsv",
    }
    assert [label.split()[0] for label, _ in links] == ["VOTable", "FITS", "Parquet", "CSV", "ECSV", "JSON", "Arrow"]
    for label, address in links:
        assert "B" in label.split("≈")[1]
        content = httpx.get(address).content
        if label.startswith("Parquet"):
            assert pyarrow.parquet.read_table(io.BytesIO(content)).num_rows == 3
        elif reader := readers.get(label.split()[0]):
            assert len(Table.read(io.BytesIO(content), format=reader)) == 3


def test_q21_snippets_run_as_they_are(server: Server, browser: str) -> None:
    """What the page offers for other programs, run as a reader would, for texts that are easily mistaken."""
    offered: list[dict[str, str]] = []

    async def visit(page: Page) -> None:
        for query in HARD:
            await edit(page, server, query)
            await click(page, "form.query button:not([formaction]):not([type])")
            await page.until("document.querySelector('.elsewhere')")
            texts = "Object.fromEntries([...document.querySelectorAll('.elsewhere details')].map("
            offered.append(
                await page.value(f"{texts}one => [one.dataset.tool, one.querySelector('pre').textContent]))")
            )

    look(browser, visit)
    for query, texts in zip(HARD, offered, strict=True):
        asked = {"LANG": "ADQL", "QUERY": query, "RESPONSEFORMAT": "json"}
        rows = len(httpx.get(f"{server.tap}/sync", params=asked).json()["data"])
        got = subprocess.run(["sh", "-c", texts["curl"]], capture_output=True, text=True, check=True).stdout
        assert got.count("\n") == rows + 1, (query, got)
        if query in HARD[1:6:2]:  # each takes seconds to start
            done = subprocess.run(
                [sys.executable, "-c", texts["Python, pyvo"]], capture_output=True, text=True, check=True
            )
            assert int(done.stdout.split()[-1]) == rows
            done = subprocess.run(
                [sys.executable, "-c", texts["Python, astroquery"]], capture_output=True, text=True, check=True
            )
            assert int(done.stdout.split()[-1]) == rows
            got = subprocess.run(["sh", "-c", texts["STILTS"]], capture_output=True, text=True, check=True).stdout
            assert got.count("\n") == rows + 1, (query, got)
        assert query in texts["TOPCAT"]


def test_q23_without_a_hub_there_is_a_sentence(server: Server, browser: str) -> None:
    async def visit(page: Page) -> None:
        await run(page, server, RIGHT)
        began = time.monotonic()
        await click(page, ".samp button")
        await page.until("document.querySelector('.samp p').textContent.includes('no SAMP hub')")
        assert time.monotonic() - began < 10
        assert await page.value("document.querySelector('.downloads a').textContent.startsWith('VOTable')")

    look(browser, visit)


@needs_jsamp
def test_q22_a_hub_gets_the_table(server: Server, browser: str, tmp_path: Path) -> None:
    """A hub and a program that listens, as TOPCAT does: twice the same result are two tables."""
    heard = tmp_path / "heard"

    async def visit(page: Page) -> None:
        await run(page, server, RIGHT)
        for _ in range(2):
            await page.value("document.querySelector('.samp p').textContent = ''")
            await click(page, ".samp button")
            await page.until("document.querySelector('.samp p').textContent.startsWith('Sent to ')", 40)
            assert "listener" in await page.value("document.querySelector('.samp p').textContent")
        assert page.complaints == []

    with hub(tmp_path) as surroundings, heard.open("w") as out:
        command = [*JAVA, "snooper", "-clientname", "listener", "-mtype", "table.load.votable"]
        listener = subprocess.Popen(command, env=surroundings, stdout=out, stderr=subprocess.STDOUT)
        try:
            time.sleep(5)  # until it has told the hub what it takes
            look(browser, visit)
            time.sleep(2)
        finally:
            listener.terminate()
            listener.wait(10)
    text = heard.read_text()
    assert len(set(re.findall(r"km3vo-[0-9a-f-]{36}", text))) == 2, text
    (address,) = set(re.findall(r"http://127[^\"<> ]+/tap/sync[^\"<> ]+", text))
    assert len(Table.read(io.BytesIO(httpx.get(address).content), format="votable")) == 3


def test_p9_a_stream_that_breaks_off_is_not_whole(server: Server, browser: str) -> None:
    async def visit(page: Page) -> None:
        await edit(page, server, late_mistake(server.app.state.service.database))
        await page.value("document.querySelector('[name=MAXREC]').value = '1000000'")
        await click(page, "form.query button:not([formaction]):not([type])")
        await page.until(
            "document.querySelector('.outcome .warning')?.textContent.includes('The result is incomplete')", 50
        )
        await page.value("document.querySelector('.pictures').open = true")
        await page.until("document.querySelector('.plots .warning')?.textContent.includes('a part of the rows')")

    look(browser, visit)


def test_b2_nothing_is_asked_of_others(server: Server, browser: str) -> None:
    """Neither by the page, nor by an editor, a result or its plots."""

    async def visit(page: Page) -> None:
        await page.call("Network.enable")
        await run(page, server, "SELECT TOP 30 ra, decl, beta FROM ant20_01.main")
        await page.value("document.querySelectorAll('details').forEach(one => { one.open = true })")
        await page.until("document.querySelector('.plots canvas')")
        await page.pause(0.5)
        assert len(page.asked) > 8
        assert [url for url in page.asked if not url.startswith((server.url, "data:", "blob:"))] == []
        await click(page, ".samp button")  # which says where it goes
        await page.until("document.querySelector('.samp p').textContent.includes('no SAMP hub')")
        others = {url for url in page.asked if not url.startswith((server.url, "data:", "blob:"))}
        assert others == {"http://localhost:21012/"}

    look(browser, visit)
