"""Plots and statistics of a result on the query page, in a real browser, against numpy and the server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from tests.support.axe import violations
from tests.support.chromium import Page, look, needs_chromium
from tests.support.server import Server
from tests.web.queries import click, edit, run

pytestmark = [pytest.mark.client, needs_chromium]
QUERY = "SELECT ra, decl, beta, nhit FROM ant20_01.main"
FIGURES = "[...document.querySelectorAll('.plots figure h3')].map(title => title.textContent)"
CHOSEN = "document.querySelector('.plots > [role=status]').textContent"


async def plotted(page: Page, server: Server, query: str = QUERY) -> None:
    await run(page, server, query)
    await drawn(page)


async def drawn(page: Page) -> None:
    await page.value("document.querySelector('.pictures').open = true")
    await page.until("document.querySelectorAll('.plots canvas').length > 0")


def rows(server: Server, query: str) -> list[list[Any]]:
    answer = httpx.post(f"{server.tap}/sync", data={"LANG": "ADQL", "QUERY": query, "RESPONSEFORMAT": "json"}).json()
    return list(answer["data"])


def fill(label: str, value: float) -> str:
    """Fill a field as a keyboard does."""
    return (
        "(() => { const label = [...document.querySelectorAll('.plots label')]"
        f".find(one => one.textContent === {json.dumps(label)}); const field = label.querySelector('input');"
        f"field.value = {value}; field.dispatchEvent(new Event('change')) }})()"
    )


def numbers_of(title: str) -> str:
    return (
        f"[...[...document.querySelectorAll('.plots figure')].find(one => one.querySelector('h3').textContent === "
        f"{json.dumps(title)}).querySelectorAll('table tr')].slice(1)"
        ".map(row => [...row.cells].map(cell => Number(cell.textContent)))"
    )


def test_p1_the_first_plots_follow_from_what_the_columns_are(server: Server, browser: str) -> None:
    async def visit(page: Page) -> None:
        await plotted(page, server)
        assert await page.value(FIGURES) == ["Sky", "Distribution", "Two columns"]
        await plotted(page, server, "SELECT nhit FROM ant20_01.main")
        assert await page.value(FIGURES) == ["Distribution"]
        assert page.complaints == []

    look(browser, visit)


@pytest.mark.parametrize("ra", [(60.5, 200.25), (300, 40)])
def test_p2_a_box_on_the_sky_has_as_many_rows_as_the_server_says(
    server: Server, browser: str, ra: tuple[float, float]
) -> None:
    async def visit(page: Page) -> None:
        await plotted(page, server)
        for label, value in (("RA from", ra[0]), ("RA to", ra[1]), ("Dec from", -40), ("Dec to", 10.5)):
            await page.value(fill(label, value))
        count = int((await page.value(CHOSEN)).split(" of ")[0])
        inside = f"ra BETWEEN {ra[0]} AND {ra[1]}" if ra[0] < ra[1] else f"(ra >= {ra[0]} OR ra <= {ra[1]})"
        where = f"{inside} AND decl BETWEEN -40 AND 10.5"
        assert [[count]] == rows(server, f"SELECT COUNT(*) FROM ant20_01.main WHERE {where}")
        assert 0 < count < 300
        await click(page, ".plots .tools button")
        assert len(rows(server, await page.value("document.getElementById('query').value"))) == count
        assert page.complaints == []

    look(browser, visit)


def test_p2_a_drag_on_one_plot_chooses_in_all(server: Server, browser: str) -> None:
    async def visit(page: Page) -> None:
        await plotted(page, server)
        canvas = "[...document.querySelectorAll('.plots canvas')][1]"
        before = await page.value("document.querySelector('.plots canvas').toDataURL()")
        await page.value(f"{canvas}.scrollIntoView({{ block: 'center', behavior: 'instant' }})")
        box = await page.value(
            f"(({{x, y, width, height}}) => ({{x, y, width, height}}))({canvas}.getBoundingClientRect())"
        )
        x, y = box["x"] + box["width"] * 0.2, box["y"] + box["height"] / 2
        for kind, at in (("mousePressed", x), ("mouseMoved", x + 40), ("mouseReleased", x + box["width"] * 0.3)):
            await page.call("Input.dispatchMouseEvent", type=kind, x=at, y=y, button="left", buttons=1, clickCount=1)
        await page.until(f"!{CHOSEN}.startsWith('300 of')")
        assert await page.value("document.querySelector('.plots canvas').toDataURL()") != before

    look(browser, visit)


@pytest.mark.parametrize("bins", [None, 7])
def test_p3_the_histogram_is_that_of_numpy(server: Server, browser: str, bins: int | None) -> None:
    values = np.array([row[0] for row in rows(server, "SELECT beta FROM ant20_01.main")], float)

    async def visit(page: Page) -> None:
        await plotted(page, server, "SELECT beta FROM ant20_01.main")
        if bins:
            await page.value(fill("Bins", bins))
        shown = np.array(await page.value(numbers_of("Distribution")))
        counts, edges = np.histogram(values, len(shown))
        assert len(shown) == bins or bins is None
        assert shown[:, 2].tolist() == counts.tolist()
        assert np.allclose(shown[:, 0], edges[:-1])

    look(browser, visit)


def test_p6_p10_statistics_count_what_is_no_number(server: Server, browser: str, tmp_path: Path) -> None:
    values = np.array([1.5, 2.5, 4.0, np.nan, np.inf, 0.0])
    mine = Table({"x": MaskedColumn(values, mask=[False] * 5 + [True]), "big": np.arange(6) + 2**60})
    mine.write(tmp_path / "mine.vot", format="votable")

    async def visit(page: Page) -> None:
        await edit(page, server, "SELECT x, big FROM TAP_UPLOAD.mine")
        root = (await page.call("DOM.getDocument"))["root"]["nodeId"]
        field = (await page.call("DOM.querySelector", nodeId=root, selector=".uploads input[type=file]"))["nodeId"]
        await page.call("DOM.setFileInputFiles", nodeId=field, files=[str(tmp_path / "mine.vot")])
        await page.until("document.querySelector('.uploads [role=status]').textContent.includes('mine')")
        await click(page, "form.query button:not([formaction]):not([type])")
        await page.until("document.querySelector('.outcome h2')")
        await drawn(page)
        cells = "row => [...row.cells].map(cell => cell.textContent)"
        x, big = await page.value(f"[...document.querySelectorAll('.statistics tbody tr')].map({cells})")
        # In a VOTable of doubles NaN is what is missing.
        assert int(x[1]) == 3
        assert int(x[2]) + int(x[3]) == 2
        assert x[4] == "1"
        assert [float(one) for one in x[7:10]] == pytest.approx([8 / 3, 2.5, np.std(values[:3])], rel=1e-5)
        assert big[5:7] == [str(2**60), str(2**60 + 5)]
        assert "infinite" in await page.value("document.querySelector('.plots figcaption').textContent")
        assert page.complaints == []

    look(browser, visit)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_p8_plots_are_told_in_words(server: Server, browser: str, width: int, scheme: str) -> None:
    async def visit(page: Page) -> None:
        await page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        await page.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False
        )
        await plotted(page, server)
        await page.value("document.querySelectorAll('.plots details').forEach(one => { one.open = true })")
        for words in ("Distribution of", "300 values from", "Sky: 300 positions"):
            assert words in " ".join(
                await page.value("[...document.querySelectorAll('canvas')].map(one => one.getAttribute('aria-label'))")
            )
        assert await violations(page) == []
        assert await page.value("document.documentElement.scrollWidth") <= width
        assert page.complaints == []

    look(browser, visit)


def test_p4_a_part_of_the_rows_is_said_to_be_one(server: Server, browser: str) -> None:
    async def visit(page: Page) -> None:
        await edit(page, server, QUERY)
        await page.value("document.querySelector('[name=MAXREC]').value = '50'")
        await click(page, "form.query button:not([formaction]):not([type])")
        await page.until("document.querySelector('.outcome h2')")
        await drawn(page)
        assert "a part of the rows only" in await page.value("document.querySelector('.plots .warning').textContent")

    look(browser, visit)
