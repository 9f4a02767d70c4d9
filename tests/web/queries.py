"""The query page in a test's browser."""

from __future__ import annotations

import json

from tests.support.chromium import Page
from tests.support.server import Server

RIGHT = "SELECT TOP 3 id, ra FROM ant20_01.main"
LONG = (
    "SELECT COUNT(*) FROM ant20_01.main a, ant20_01.main b, ant20_01.main c, ant20_01.main d "
    "WHERE a.ra + b.ra + c.ra < d.ra"
)
READY = "document.querySelector('form.query').dataset.edited === ''"
# What stands in the editor's shadow root.
ROOT = "document.querySelector('.editor').shadowRoot"


async def edit(page: Page, server: Server, text: str = "") -> None:
    """Open the query page, and write a query into its editor as a keyboard would."""
    await page.call("Page.bringToFront")
    await page.call("Emulation.setFocusEmulationEnabled", enabled=True)
    await page.open(f"{server.url}/query")
    await page.value("localStorage.clear()")
    await page.until(READY)
    await write(page, text)


async def write(page: Page, text: str) -> None:
    """Write a text in place of the one that is there."""
    await page.value(f"{ROOT}.querySelector('.cm-content').focus()")
    await page.press("a", "KeyA", modifiers=2)
    await page.press("Delete", "Delete")
    await page.call("Input.insertText", text=text)
    await page.until(f"document.getElementById('query').value === {json.dumps(text)}")


async def click(page: Page, selector: str) -> None:
    """Click the first element that a selector finds."""
    await page.until(f"document.querySelector({selector!r})")
    await page.value(f"document.querySelector({selector!r}).click()")


async def run(page: Page, server: Server, text: str) -> None:
    """Write a query, run it, and wait for its rows."""
    await edit(page, server, text)
    await click(page, "form.query button:not([formaction]):not([type])")
    await page.until("document.querySelector('.outcome h2')")
