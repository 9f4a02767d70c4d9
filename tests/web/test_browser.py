"""The pages in a real browser, at the width of a desk and of a phone."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.conftest import Server

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.client,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]
PAGES = [
    "/",
    "/tap",
    "/browse/km3net",
    "/browse/km3net/events",
    "/browse/ivoa/obscore",
    "/download/ant20_01/main",
    "/nowhere",
]
# Elements that stick out of the window, without those inside a box that scrolls.
WIDE = """
[...document.querySelectorAll("body *")].filter(element =>
    element.getBoundingClientRect().right > document.documentElement.clientWidth + 1
    && !element.closest(".wide, pre, .skip, svg")
).map(element => element.outerHTML.slice(0, 120))
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Chromium without a window; the address of its debugger."""
    profile = tmp_path_factory.mktemp("profile")
    running = subprocess.Popen(
        [
            str(CHROMIUM),
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--disable-dev-shm-usage", "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{_port(profile, running)}"
    finally:
        running.terminate()
        running.wait(10)


def _port(profile: Path, running: subprocess.Popen[bytes]) -> int:
    import time

    file = profile / "DevToolsActivePort"
    for _ in range(300):
        assert running.poll() is None, "the browser did not start"
        if file.exists() and (lines := file.read_text().splitlines()):
            return int(lines[0])
        time.sleep(0.1)
    raise AssertionError("the browser has no debugger")


class Page:
    """A page of the browser, spoken to by the DevTools protocol."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._number = 0
        self.complaints: list[str] = []
        self._loaded = False

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        await self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(await self._socket.recv())
            self._note(message)
            if message.get("id") == self._number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    async def open(self, url: str) -> None:
        self._loaded = False
        await self.call("Page.navigate", url=url)
        while not self._loaded:
            self._note(json.loads(await self._socket.recv()))

    async def value(self, expression: str) -> Any:
        result = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def _note(self, message: dict[str, Any]) -> None:
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(parameters["exceptionDetails"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.complaints.append(str(parameters["entry"]))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"):
            self.complaints.append(str(parameters["args"]))


def look(browser: str, visit: Any) -> None:
    """Run ``visit(page)`` with a fresh page."""

    async def run() -> None:
        target = httpx.put(f"{browser}/json/new?about:blank").json()
        async with connect(target["webSocketDebuggerUrl"], max_size=None, proxy=None) as socket:
            page = Page(socket)
            for domain in ("Page", "Runtime", "Log"):
                await page.call(f"{domain}.enable")
            async with asyncio.timeout(60):
                await visit(page)
        httpx.get(f"{browser}/json/close/{target['id']}")

    asyncio.run(run())


@pytest.mark.parametrize("width", [1280, 375, 320])
@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_and_nothing_complains(announced: Server, browser: str, path: str, width: int) -> None:
    async def visit(page: Page) -> None:
        await page.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500
        )
        await page.open(announced.url + path)
        assert await page.value("document.documentElement.scrollWidth") <= width
        assert await page.value(WIDE) == []
        assert (
            await page.value("[...document.images].filter(image => image.complete && !image.naturalWidth).length") == 0
        )
        if path != "/nowhere":  # where the status itself is told
            assert page.complaints == []

    look(browser, visit)


def test_buttons_copy_what_stands_beside_them(announced: Server, browser: str) -> None:
    async def visit(page: Page) -> None:
        await page.call(
            "Browser.grantPermissions",
            origin=announced.url,
            permissions=["clipboardReadWrite", "clipboardSanitizedWrite"],
        )
        await page.open(announced.url)
        await page.call("Page.bringToFront")
        await page.call("Emulation.setFocusEmulationEnabled", enabled=True)
        assert await page.value("document.querySelectorAll('.copyable button').length") >= 6
        await page.value("document.querySelector('.copyable button').click()")
        assert await page.value(
            "new Promise(done => setTimeout(done, 300)).then(() => navigator.clipboard.readText())"
        ) == (announced.tap)
        assert page.complaints == []

    look(browser, visit)


def test_all_is_there_without_scripts(announced: Server, browser: str) -> None:
    async def visit(page: Page) -> None:
        await page.call("Emulation.setScriptExecutionDisabled", value=True)
        await page.open(f"{announced.url}/browse/ant20_01/main")
        text = (await page.call("DOM.getDocument", depth=-1))["root"]
        words = json.dumps(text)
        for wanted in (f"{announced.url}/scs/ant20_01/main?", "@misc{", "SELECT", "Search the cone", "pos.eq.ra"):
            assert wanted in words
        assert '"BUTTON"' in words  # the form's
        assert words.count('"BUTTON"') == 1  # and none that copies

    look(browser, visit)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(announced: Server, browser: str, scheme: str) -> None:
    """WCAG 2.2, 1.4.3: a contrast of 4.5 to 1."""
    contrast = """
    (() => {
      const channel = c => { c /= 255; return c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4 };
      const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
      const light = ([r, g, b]) => .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
      const behind = element => {
        for (; element; element = element.parentElement) {
          const colour = parse(getComputedStyle(element).backgroundColor);
          if (colour.length === 3 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
      };
      const bad = [];
      for (const element of document.querySelectorAll("main *, header *, footer *")) {
        const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
        if (!own) continue;
        const a = light(parse(getComputedStyle(element).color)), b = light(behind(element));
        const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
        if (ratio < 4.5) bad.push([ratio, element.outerHTML.slice(0, 80)]);
      }
      return bad;
    })()
    """

    async def visit(page: Page) -> None:
        await page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        for path in ("/", "/browse/km3net/events"):
            await page.open(announced.url + path)
            assert await page.value(contrast) == []

    look(browser, visit)
