"""axe-core in a test's browser: what keeps people from using a page, by WCAG 2.2 AA and beyond."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.chromium import Page
from tests.support.folders import ROOT

FILE = Path(os.environ.get("KM3VO_TEST_AXE") or ROOT / "node_modules" / "axe-core" / "axe.min.js")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_RUN = (
    "axe.run(document, {runOnly: %s})"
    ".then(found => found.violations.map(one => [one.id, one.nodes.map(at => at.html)]))"
)


async def violations(page: Page) -> list[Any]:
    """What is wrong with the page that is open: the rule, and the elements that break it."""
    if not FILE.exists():
        pytest.skip("axe-core is not installed: npm ci, or KM3VO_TEST_AXE")
    await page.value(f"{FILE.read_text()};0")
    found: list[Any] = await page.value(_RUN % json.dumps(TAGS))
    return found
