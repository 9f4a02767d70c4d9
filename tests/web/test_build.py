"""What the pages load is made from islands/, small, free, and not needed."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from km3vo.web.islands import FOLDER
from tests.support.chromium import Page, look, needs_chromium
from tests.support.folders import ROOT
from tests.support.server import Server

MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(
    NODE is None or not (ROOT / "node_modules" / "esbuild").is_dir(),
    reason="node is not installed, or npm ci to be run",
)
EDITOR, PLOTS, TOTAL = 145_000, 85_000, 260_000


def made(*arguments: Path) -> subprocess.CompletedProcess[str]:
    command = [str(NODE), str(ROOT / "scripts" / "build.mjs"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def sizes(*names: str) -> int:
    """Bytes, as sent with gzip, of entries and what comes along with them."""
    files: set[str] = set()
    waiting = [MANIFEST[name] for name in names]
    while waiting:
        entry = waiting.pop()
        files.add(entry["file"])
        waiting += [
            other for other in MANIFEST.values() if other["file"] in entry["now"] and other["file"] not in files
        ]
    return sum(len(gzip.compress((FOLDER / file).read_bytes(), 9)) for file in files)


@needs_node
def test_b1_the_files_are_those_of_the_sources(tmp_path: Path) -> None:
    done = made(ROOT / "islands", tmp_path / "build")
    assert done.returncode == 0, done.stderr
    new = {file.name: file.read_bytes() for file in (tmp_path / "build").iterdir()}
    assert new == {file.name: file.read_bytes() for file in FOLDER.iterdir()}, "npm run build, and commit what it makes"


@needs_node
@pytest.mark.parametrize(("licence", "ends"), [("MIT", 0), ("GPL-3.0-only", 1)])
def test_b9_no_licence_is_shipped_that_asks_for_more(tmp_path: Path, licence: str, ends: int) -> None:
    (package := tmp_path / "islands" / "node_modules" / "foreign").mkdir(parents=True)
    (package / "package.json").write_text(json.dumps({"name": "foreign", "version": "1.0.0", "license": licence}))
    (package / "index.js").write_text("export const it = () => document.title;")
    (tmp_path / "islands" / "query.js").write_text('import { it } from "foreign"; console.log(it());')
    done = made(tmp_path / "islands", tmp_path / "build")
    assert done.returncode == ends, done.stderr
    assert ("foreign has the licence GPL" in done.stderr) == bool(ends)


def test_b9_a_page_names_what_is_shipped(server: Server) -> None:
    page = httpx.get(f"{server.url}/licences").text
    packages = json.loads((FOLDER / "licences.json").read_text())
    assert len(packages) > 10
    for package in packages:
        assert f"{package['name']} {package['version']}, {package['licence']}" in page
        assert package["text"], package["name"]


def test_b1_the_lock_names_no_host() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]
    assert all(package.get("integrity") for name, package in lock["packages"].items() if name)


def test_b3_what_is_loaded_is_small() -> None:
    css = gzip.compress((FOLDER.parent / "style.css").read_bytes(), 9)
    copy = gzip.compress((FOLDER.parent / "copy.js").read_bytes(), 9)
    assert len(css) <= 12_000
    assert sizes("query") + len(copy) <= 15_000
    assert sizes("editor") <= EDITOR
    assert sizes("plots", "arrow") <= PLOTS
    assert sizes(*MANIFEST) + len(copy) <= TOTAL


def test_b3_every_file_is_named_by_its_content() -> None:
    assert {entry["file"] for entry in MANIFEST.values()} == {file.name for file in FOLDER.glob("*.js")}


@pytest.mark.client
@needs_chromium
@pytest.mark.parametrize("blocked", sorted(name for name in MANIFEST if not name.startswith("chunk-")))
def test_b4_a_script_that_does_not_come_takes_nothing_away(server: Server, browser: str, blocked: str) -> None:
    """The query page without each of its scripts in turn: the form is sent as ever."""

    async def visit(page: Page) -> None:
        await page.call("Network.enable")
        await page.call("Network.setBlockedURLs", urls=[f"*{MANIFEST[blocked]['file']}"])
        await page.open(f"{server.url}/query?sql=SELECT%20TOP%203%20id%20FROM%20ant20_01.main&RESPONSEFORMAT=html")
        if blocked == "editor":
            await page.until("document.querySelector('.said').textContent.includes('could not be loaded')")
        assert await page.value("document.getElementById('query').checkVisibility()")
        await page.value("HTMLFormElement.prototype.submit.call(document.querySelector('form.query'))")
        await page.until("document.querySelectorAll('tbody tr').length === 3")

    look(browser, visit)
