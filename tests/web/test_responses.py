"""Responses as files, made of the published tables."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from astropy.io import fits

from km3vo.catalog.files import read_catalog
from km3vo.database.logins import INGEST, Database
from km3vo.loading import loads
from km3vo.loading.files import find_sources
from tests.support.folders import ROOT
from tests.support.registry import tell
from tests.support.server import Server, serve

TABLES = ("effective_area", "angular_resolution")


@pytest.fixture
def server(copy_published: Database, tmp_path: Path, data_dir: Path) -> Iterator[Server]:
    """With the response of IceCube."""
    catalog = read_catalog(ROOT / "schemas")
    for name in TABLES:
        table = catalog.table(f"icecube.{name}")
        with copy_published.connect(INGEST) as loader:
            loads.load(loader, table, find_sources(table, data_dir))
    with serve(copy_published, tmp_path, data=data_dir, metadata_seconds=0, promote_seconds=0) as running:
        tell(running, copy_published)
        yield running


def test_a_response_of_each_season(server: Server) -> None:
    answer = httpx.get(f"{server.url}/response/icecube/IC86-2012.fits", timeout=60)
    assert answer.status_code == 200, answer.text
    with fits.open(io.BytesIO(answer.content)) as opened:
        assert [unit.header.get("HDUCLAS4") for unit in opened[1:]] == ["AEFF_2D", "PSF_TABLE"]
        assert opened[1].header["INSTRUME"] == "IC86-2012" and opened[1].data["EFFAREA"].shape == (1, 200, 70)
    other = httpx.get(f"{server.url}/response/icecube/IC79-2010.fits", timeout=60)
    assert other.status_code == 200 and other.content != answer.content
    for wrong in ("icecube/IC40.fits", "icecube/IC86-2012.csv", "ant20_01/x.fits"):
        assert httpx.get(f"{server.url}/response/{wrong}").status_code == 404
    # Nothing of ARCA is loaded here.
    assert httpx.get(f"{server.url}/response/km3net/track.fits").status_code == 404
    named = httpx.get(f"{server.url}/datalink", params={"ID": server.settings.ivoid("icecube", "ps3yr")}).text
    assert "/response/icecube/IC86-2012.fits" in named and "IC86-2012-TabulatedAeff.txt.gz" in named
    assert named.count("#auxiliary") >= 9
