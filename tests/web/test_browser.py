"""The pages in a real browser, at the width of a desk and of a phone."""

from __future__ import annotations

import json

import pytest

from tests.support.chromium import Page, look, needs_chromium
from tests.support.server import Server

pytestmark = [pytest.mark.client, needs_chromium]
PAGES = [
    "/",
    "/tap",
    "/query?sql=SELECT%20TOP%203%20id%20FROM%20ant20_01.main",
    "/tap/sync?LANG=ADQL&FORMAT=html&QUERY=SELECT%20TOP%203%20*%20FROM%20ant20_01.main",
    "/browse/km3net",
    "/browse/km3net/events",
    "/browse/ivoa/obscore",
    "/download/ant20_01/main",
    "/nowhere",
]
# Elements that stick out of the window, without those inside a box that scrolls, or in a closed disclosure.
WIDE = """
[...document.querySelectorAll("body *")].filter(element =>
    element.getBoundingClientRect().right > document.documentElement.clientWidth + 1
    && !element.closest(".wide, pre, .skip, svg") && element.checkVisibility()
).map(element => element.outerHTML.slice(0, 120))
"""


@pytest.mark.parametrize("width", [1280, 375, 320])
@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_and_nothing_complains(registered: Server, browser: str, path: str, width: int) -> None:
    async def visit(page: Page) -> None:
        await page.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500
        )
        await page.open(registered.url + path)
        assert await page.value("document.documentElement.scrollWidth") <= width
        assert await page.value(WIDE) == []
        assert (
            await page.value("[...document.images].filter(image => image.complete && !image.naturalWidth).length") == 0
        )
        if path != "/nowhere":  # where the status itself is told
            assert page.complaints == []

    look(browser, visit)


def test_buttons_copy_what_stands_beside_them(registered: Server, browser: str) -> None:
    async def visit(page: Page) -> None:
        await page.call(
            "Browser.grantPermissions",
            origin=registered.url,
            permissions=["clipboardReadWrite", "clipboardSanitizedWrite"],
        )
        await page.open(registered.url)
        await page.call("Page.bringToFront")
        await page.call("Emulation.setFocusEmulationEnabled", enabled=True)
        assert await page.value("document.querySelectorAll('.copyable button').length") >= 6
        await page.value("document.querySelector('.copyable button').click()")
        assert await page.value(
            "new Promise(done => setTimeout(done, 300)).then(() => navigator.clipboard.readText())"
        ) == (registered.tap)
        assert page.complaints == []

    look(browser, visit)


def test_all_is_there_without_scripts(registered: Server, browser: str) -> None:
    async def visit(page: Page) -> None:
        await page.call("Emulation.setScriptExecutionDisabled", value=True)
        await page.open(f"{registered.url}/browse/ant20_01/main")
        text = (await page.call("DOM.getDocument", depth=-1))["root"]
        words = json.dumps(text)
        for wanted in (f"{registered.url}/scs/ant20_01/main?", "@misc{", "SELECT", "Search the cone", "pos.eq.ra"):
            assert wanted in words
        assert words.count('"BUTTON"') == 2  # those of the forms, and none that copies

    look(browser, visit)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(registered: Server, browser: str, scheme: str) -> None:
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
            await page.open(registered.url + path)
            assert await page.value(contrast) == []

    look(browser, visit)
