"""A session at the query page with the keyboard alone: a mistake, rows, plots, TOPCAT, a file, and back again."""

from __future__ import annotations

import io
import logging
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from astropy.table import Table

from tests.support.chromium import Page, look, needs_chromium
from tests.support.server import Server
from tests.web.queries import READY
from tests.web.samp import hub, needs_jsamp

pytestmark = [pytest.mark.client, needs_chromium, needs_jsamp, pytest.mark.slow]
FOCUSED = "document.activeElement"


async def tab_to(page: Page, condition: str) -> None:
    """Press Tab until the element with the focus fulfils a condition, named ``it``."""
    for _ in range(150):
        if await page.value(f"(it => !!({condition}))({FOCUSED})"):
            return
        await page.press("Tab", "Tab")
    raise AssertionError(f"no Tab leads to {condition}")


@pytest.mark.skipif(
    shutil.which("topcat") is None or shutil.which("xvfb-run") is None, reason="TOPCAT is not installed"
)
def test_w2_q22_a_session_with_the_keyboard_alone(
    server: Server, browser: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "km3vo.access")

    async def visit(page: Page) -> None:
        await page.call("Page.bringToFront")
        await page.call("Emulation.setFocusEmulationEnabled", enabled=True)
        await page.open(f"{server.url}/query")
        await page.until(READY)
        await tab_to(page, "it.shadowRoot")
        await page.call("Input.insertText", text="SELECT ra, decc FROM ant20_01.main")
        await page.until("document.querySelector('.mistake button')")
        await tab_to(page, "it.closest('.mistake')")
        await page.press("Enter", "Enter")
        await page.until("document.querySelector('.estimate[aria-busy=false]')?.innerText.includes('at once')")
        await page.press("Enter", "Enter", modifiers=2)
        await page.until("document.querySelector('.outcome h2')")
        where = await page.value("location.href")
        await tab_to(page, "it.closest('.pictures')")
        await page.press("Enter", "Enter")
        await page.until("document.querySelector('.plots canvas')")
        await tab_to(page, "it.parentElement.textContent === 'RA from'")
        await page.call("Input.insertText", text="100")
        await page.press("Tab", "Tab")
        chosen = "document.querySelector('.plots > [role=status]').textContent"
        await page.until(f"!{chosen}.startsWith('300 of') && {chosen}.includes('of 300 rows')")
        await tab_to(page, "it.closest('.downloads') && it.textContent.startsWith('FITS')")
        fits = await page.value(f"{FOCUSED}.href")
        assert len(Table.read(io.BytesIO(httpx.get(fits).content), format="fits")) == 300
        await tab_to(page, "it.closest('.samp')")
        before = len(_sent(caplog))
        await page.press("Enter", "Enter")
        await page.until("document.querySelector('.samp p').textContent.includes('topcat')", 30)
        end = time.monotonic() + 30
        while len(_sent(caplog)) == before:
            assert time.monotonic() < end, "TOPCAT did not fetch the table"
            await page.pause(0.3)
        await page.open("about:blank")
        await page.open(where)
        await page.until(READY)
        assert await page.value("document.getElementById('query').value") == "SELECT ra, decl FROM ant20_01.main"
        assert page.complaints == []

    with hub(tmp_path) as surroundings:
        command = ["xvfb-run", "-a", "topcat"]
        topcat = subprocess.Popen(
            command,
            env=surroundings | {"HOME": str(tmp_path)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            time.sleep(25)
            look(browser, visit)
        finally:
            os.killpg(topcat.pid, 15)
            topcat.wait(20)


def _sent(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The answers to GET /tap/sync."""
    fields = [getattr(record, "fields", {}) for record in caplog.records]
    return [
        one for one in fields if one.get("route") == "/tap/sync" and one.get("method") == "GET" and one["status"] == 200
    ]
