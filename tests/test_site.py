"""The documentation as a site: built without the net, links lead somewhere, and nothing comes from other hosts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from lxml import html

from tests.support.folders import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, built as by `make site`."""
    folder = tmp_path_factory.mktemp("site")
    # An address where nobody listens takes the net away.
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | nowhere | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, html.HtmlElement]:
    """The pages, parsed; the one for what is not found is written for any address and left out."""
    return {path: html.parse(path).getroot() for path in site.rglob("*.html") if path.name != "404.html"}


def test_every_link_leads_somewhere(site: Path, pages: dict[Path, html.HtmlElement]) -> None:
    anchors = {path: set(page.xpath("//@id | //a/@name")) for path, page in pages.items()}
    assert len(pages) > 40 and site / "python" / "adql" / "index.html" in pages
    for path, page in pages.items():
        for link in page.xpath("//@href | //@src"):
            address, anchor = urldefrag(link)
            if urlsplit(address).scheme:
                continue
            target = (path.parent / unquote(address)).resolve() if address else path
            target = target / "index.html" if target.is_dir() else target
            where = f"{path.relative_to(site)} links to {link}"
            assert target.is_file(), where
            assert not anchor or target not in anchors or unquote(anchor) in anchors[target], where


def test_nothing_is_fetched_from_other_hosts(site: Path, pages: dict[Path, html.HtmlElement]) -> None:
    for path, page in pages.items():
        fetched = page.xpath("//link/@href | //@src | //@srcset | //object/@data | //use/@href | //form/@action")
        assert not [link for link in fetched if urlsplit(link).netloc], path
        # With these the theme's script asks a host for stars, or loads a program that draws.
        assert not page.xpath("//*[@data-md-component='source'] | //*[contains(@class, 'mermaid')]"), path
    for sheet in site.rglob("*.css"):
        assert not re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//[^)]*", sheet.read_text()), sheet
