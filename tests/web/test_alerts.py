"""Pages of alerts in a real browser: for everybody, at any width, and without moving under the reader's hand."""

from __future__ import annotations

import json

import pytest

from km3vo.alerts.intake import Sender, accept
from km3vo.database.logins import SERVICE, Database
from tests.support import samples
from tests.support.axe import violations
from tests.support.chromium import Page, look, needs_chromium
from tests.support.server import Server

pytestmark = [pytest.mark.client, needs_chromium]


@pytest.mark.parametrize("width", [1280, 320])
def test_the_pages_are_for_everybody(registered: Server, browser: str, width: int) -> None:
    async def visit(page: Page) -> None:
        await page.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500
        )
        await page.call("Network.enable")
        # A circle, and the contours of a map.
        for path in ("/alerts", "/alerts/KM3-230213A", "/alerts/KM3-230213B"):
            await page.open(registered.url + path)
            assert await page.value("document.documentElement.scrollWidth") <= width, path
            assert await violations(page) == [], path
        assert page.complaints == []
        assert all(address.startswith((registered.url, "data:")) for address in page.asked)

    look(browser, visit)


def test_a7_new_alerts_are_announced_and_move_nothing(registered: Server, browser: str, published: Database) -> None:
    async def visit(page: Page) -> None:
        await page.open(f"{registered.url}/alerts")
        rows = await page.value("document.querySelectorAll('tbody tr').length")
        await page.value("document.querySelector('[name=far]').focus()")
        await page.until("document.getElementById('new').dataset.following")
        with published.connect(SERVICE, autocommit=True) as service:
            message = samples.km3_230213a() | {"alert_id": "new", "event_name": "KM3-230213N"}
            accept(
                service, json.dumps(message).encode(), Sender("tests"), outgoing=registered.app.state.service.outgoing
            )
        await page.until("document.getElementById('new').textContent.includes('There is a new alert')")
        assert await page.value("document.activeElement.name") == "far"
        assert await page.value("document.querySelectorAll('tbody tr').length") == rows
        await page.value("document.querySelector('#new button').click()")
        await page.until(f"document.querySelectorAll('tbody tr').length === {rows + 1}")

    look(browser, visit)
