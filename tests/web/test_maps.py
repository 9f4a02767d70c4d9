"""Maps of significance: the files, the page, when they are made anew, and the command."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import time
import zlib
from pathlib import Path
from types import SimpleNamespace

import html5lib
import httpx
import numpy as np
import pytest
from astropy import units
from astropy.io import fits
from astropy.io.votable import parse_single_table
from astropy_healpix import HEALPix, healpy
from click.testing import CliRunner
from lxml import etree
from mocpy import MOC

from km3vo.commands.main import main
from km3vo.correlation import mapfiles, picture, process, publicmaps
from km3vo.database.logins import Database
from km3vo.web import maps, mapviews
from km3vo.web.configurations import asking
from tests.support.axe import violations
from tests.support.chromium import Page, look, needs_chromium
from tests.support.server import Server

LIST = "ant20_01/main"


def made(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the map of one list, coarsely."""
    monkeypatch.setattr(publicmaps, "NSIDE", 16)
    mapped = publicmaps.mapped
    monkeypatch.setattr(
        publicmaps, "mapped", lambda tables: [one for one in mapped(tables) if one.schema == "ant20_01"]
    )
    maps.refresh(server.app.state.service)


def test_the_maps_of_public_lists(registered: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "There is no map as yet." in httpx.get(f"{registered.url}/skymaps").text
    assert httpx.get(f"{registered.url}/skymaps/{LIST}.fits").status_code == 404
    made(registered, monkeypatch)
    page = httpx.get(f"{registered.url}/skymaps")
    assert "Pre-trial" in page.text and "300 public events" in page.text
    told = {name: httpx.get(f"{registered.url}/skymaps/{LIST}.{name}") for name in mapfiles.FILES}
    assert {answer.status_code for answer in told.values()} == {200}
    with fits.open(io.BytesIO(told["fits"].content)) as opened:
        header, table = opened[1].header, opened[1].data
        assert (header["NSIDE"], header["ORDERING"], header["NEVENTS"]) == (16, "NESTED", 300)
        assert "Pre-trial" in str(header["COMMENT"]) and header["AUDIENCE"] == "public"
        searched = np.isfinite(table["TS"])
        _, dec = healpy.pix2ang(16, np.arange(len(table)), nest=True, lonlat=True)
        assert searched.any() and (np.abs(dec[searched]) < 85).all()
        np.testing.assert_allclose(table["LOG10P"][table["TS"] == 0], 0, atol=1e-12)
    covered = MOC.from_fits(io.BytesIO(told["moc.fits"].content))
    assert covered.sky_fraction == pytest.approx(searched.mean())
    spots = parse_single_table(io.BytesIO(told["spots.vot"].content), verify="exception").array
    assert (np.diff(spots["ts"]) <= 0).all() and spots["ts"][0] >= np.nanmax(table["TS"])
    drawn = etree.fromstring(told["svg"].content)
    assert "pre-trial" in "".join(drawn.itertext()) and len(drawn.findall(".//{*}g/{*}circle")) == min(10, len(spots))
    assert told["png"].content.startswith(b"\x89PNG")
    again = httpx.get(f"{registered.url}/skymaps/{LIST}.fits", headers={"If-None-Match": told["fits"].headers["etag"]})
    assert again.status_code == 304
    assert httpx.get(f"{registered.url}/skymaps/{LIST}.exe").status_code == 404


def test_x1_the_page_reads_the_values_of_the_map(registered: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the FITS file, at a thousand directions and where somebody clicks."""
    made(registered, monkeypatch)
    address = f"{registered.url}/maps/{LIST}"
    with fits.open(io.BytesIO(httpx.get(f"{registered.url}/skymaps/{LIST}.fits").content)) as opened:
        values = np.array(opened[1].data["LOG10P"])
    folder = publicmaps.folder(
        registered.settings.skymaps, registered.app.state.service.published.table("ant20_01.main")
    )
    assert folder is not None
    known, random = mapviews.of_file(folder / "map.fits"), np.random.default_rng(3)
    ra, dec = random.uniform(0, 360, 1000), np.degrees(np.arcsin(random.uniform(-1, 1, 1000)))
    wanted = values[HEALPix(16, order="nested").lonlat_to_healpix(ra * units.deg, dec * units.deg)]
    np.testing.assert_array_equal(known.values[known.pixel(ra, dec)], wanted)
    for number in np.flatnonzero(np.isfinite(wanted))[:3].tolist():
        at = httpx.get(f"{address}.json", params={"ra": ra[number], "dec": dec[number]}).json()["at"]
        assert at["value"] == wanted[number] and at["statistic"] is not None
        assert httpx.get(registered.url + at["search"], follow_redirects=True, timeout=60).status_code == 200
    middle = httpx.get(address, params={"at.x": "320", "at.y": "160", "projection": "mollweide"}).text
    assert "At RA 180.0000°, Dec +0.0000°" in middle and "<strong>Pre-trial.</strong>" in middle
    assert "At RA" not in httpx.get(address, params={"at.x": "1", "at.y": "1"}).text
    galactic = httpx.get(f"{address}.json", params={"at.x": "320", "at.y": "160", "frame": "galactic"}).json()["at"]
    assert (galactic["ra"], galactic["dec"]) == pytest.approx((266.405, -28.936), abs=0.01)
    html5lib.HTMLParser(strict=True).parse(middle)
    for query in ("", "?of=density", "?projection=zoom&lon=10&lat=80&reach=5&frame=galactic"):
        assert opened_size(httpx.get(f"{address}.png{query}").content) in ((1280, 640), (1280, 1280))
        html5lib.HTMLParser(strict=True).parse(httpx.get(address + query).text)
    for wrong in ("of=x", "projection=x", "lon=400", "ra=1", "ra=1&dec=x", "at.x=y"):
        assert httpx.get(f"{address}?{wrong}").status_code == 400, wrong
    assert httpx.get(f"{registered.url}/maps/cat/gamma_cat").status_code == 404


def test_x2_how_it_was_made(registered: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    made(registered, monkeypatch)
    page = httpx.get(f"{registered.url}/maps/{LIST}")
    for words in ("300 public rows", "likelihood", "seed", "km3vo ", "Hottest hundredth (MOC)", "HEALPix FITS"):
        assert words in page.text, words
    told = httpx.get(f"{registered.url}/maps/{LIST}.json").json()
    assert all(httpx.get(file["url"]).status_code == 200 for file in told["files"])
    moc = MOC.from_fits(io.BytesIO(httpx.get(f"{registered.url}/maps/{LIST}.hottest.moc.fits").content))
    assert moc.sky_fraction == pytest.approx(0.01 * told["made"]["pixels"] / 3072, rel=0.05)


@pytest.mark.client
@needs_chromium
def test_x1_the_value_under_the_pointer(registered: Server, browser: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made(registered, monkeypatch)

    async def visit(page: Page) -> None:
        for width in (320, 1280):
            await page.call(
                "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500
            )
            await page.open(f"{registered.url}/maps/{LIST}?ra=10&dec=-20")
            assert await page.value("document.documentElement.scrollWidth") <= width
            assert await violations(page) == []
        place = "(box => [box.left + 320, box.top + 160])(document.querySelector('.sky').getBoundingClientRect())"
        x, y = await page.value(place)
        await page.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        await page.until("document.getElementById('value').textContent.startsWith('RA 180.')")
        assert page.complaints == []

    look(browser, visit)


def test_a_map_is_made_anew_when_rows_have_moved_and_a_day_has_passed(
    registered: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(registered, monkeypatch)
    home, table = registered.settings.skymaps, registered.app.state.service.published_table("ant20_01", "main")
    first = publicmaps.folder(home, table)
    assert first is not None

    def refreshed(fingerprint: str) -> bool:
        service = registered.app.state.service
        files = {f"map.{extension}": fingerprint.encode() for extension in mapfiles.FILES}
        monkeypatch.setattr(process.Map, "work_out", lambda task, progress: files)
        monkeypatch.setattr(publicmaps, "Work", lambda task: SimpleNamespace(run=lambda: task.work_out(None)))
        ask = asking(service, "public", 60)
        return publicmaps.refresh(home, table, fingerprint, ask, lambda: False)

    assert not refreshed("others")  # it is not a day old
    os.utime(first, (time.time() - 2 * 86400,) * 2)
    assert refreshed("others")
    assert httpx.get(f"{registered.url}/skymaps/{LIST}.png").content == b"others"
    assert not refreshed("others")
    shutil.rmtree(home / table.qualified)  # what was no map


def test_tiles_hold_the_values_of_the_map(registered: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pixel of a tile has the colour of the map there; where it is on the sky, astropy-healpix says."""
    made(registered, monkeypatch)
    with fits.open(io.BytesIO(httpx.get(f"{registered.url}/skymaps/{LIST}.fits").content)) as opened:
        values = np.array(opened[1].data["LOG10P"])
    colours = picture.colours(values, max(3.0, float(np.nanmax(values))))
    address = f"{registered.url}/hips/{LIST}"
    told = dict(line.split(" = ") for line in httpx.get(f"{address}/properties").text.splitlines())
    assert (told["hips_tile_width"], told["hips_order"], told["hips_frame"]) == ("512", "0", "equatorial")
    assert told["hips_service_url"].endswith(f"/hips/{LIST}")
    random = np.random.default_rng(1)
    base, one = HEALPix(1, order="nested"), HEALPix(16, order="nested")
    for number in range(12):
        pixels = opened_png(httpx.get(f"{address}/Norder0/Dir0/Npix{number}.png").content)
        assert pixels.shape == (512, 512, 4)
        row, column = random.integers(0, 512, (2, 200))
        # A tile begins in the south: rows go to the east of it, columns to the west.
        longitude, latitude = base.healpix_to_lonlat(
            np.full(200, number), dx=(row + 0.5) / 512, dy=(column + 0.5) / 512
        )
        place = one.lonlat_to_healpix(longitude, latitude)
        searched = np.isfinite(values[place])
        np.testing.assert_array_equal(pixels[row, column, 3] == 255, searched)
        np.testing.assert_array_equal(pixels[row, column, :3][searched], colours[place][searched])
    covered = httpx.get(f"{address}/Moc.fits").content
    assert covered == httpx.get(f"{registered.url}/skymaps/{LIST}.moc.fits").content
    assert httpx.get(f"{address}/Norder3/Allsky.png").status_code == 404


def opened_size(content: bytes) -> tuple[int, int]:
    """Width and height of a PNG."""
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def opened_png(content: bytes) -> np.ndarray:
    """The pixels of a PNG of ours: no filters, one piece of data."""
    width, height = struct.unpack(">II", content[16:24])
    begin = content.index(b"IDAT") + 4
    lines = zlib.decompress(content[begin:])
    return np.frombuffer(lines, np.uint8).reshape(height, 1 + 4 * width)[:, 1:].reshape(height, width, 4)


def test_marks_of_a_picture_lie_where_they_are() -> None:
    ra, dec, values = np.array([30.0, 200.0, 200.0]), np.array([-40.0, 60.0, 60.0]), np.array([1.0, 3.0, 0.5])
    pixels = opened_png(picture.png_of_marks(ra, dec, values, 3.0))
    assert pixels.shape == (500, 1000, 4)
    marks = picture.colours(values, 3.0)
    for place, colour in ((0, marks[0]), (1, marks[1]), (2, marks[1])):
        x, y = picture.hammer(ra[place], dec[place])
        assert pixels[int(y * 500), int(x * 1000), :3].tolist() == colour.tolist()
    assert pixels[0, 0, 3] == 0 and pixels[250, 500].tolist() == list(picture.SEA)


def test_queries_for_pages_give_their_connections_back(registered: Server) -> None:
    service = registered.app.state.service
    free = service.readers["public"]._streams._free
    before = free._value
    ask = asking(service, "public", 60)
    assert sum(len(batch) for batch in ask("SELECT TOP 3 id FROM ant20_01.main").batches) == 3
    assert free._value == before


def test_the_command(published: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "passwords.json").write_text(json.dumps(published.passwords))
    monkeypatch.setenv("KM3VO_HOME", str(tmp_path))
    monkeypatch.setenv("KM3VO_DATABASE_URL", published.admin)
    words = ["skymap", "ant20_01.main", "--nside", "8", "--scrambles", "3", "--select", "decl < 20"]
    for name in ("one", "two"):
        done = CliRunner().invoke(main, [*words, "-o", str(tmp_path / f"{name}.fits")])
        assert done.exit_code == 0, done.output
        assert "pre-trial" in done.stdout
    for extension in mapfiles.FILES:
        assert (tmp_path / f"one.{extension}").read_bytes() == (tmp_path / f"two.{extension}").read_bytes()
    wrong = CliRunner().invoke(main, ["skymap", "ant20_01.main", "--method", "magic", "-o", str(tmp_path / "x.fits")])
    assert wrong.exit_code == 1


def test_the_projection_goes_there_and_back() -> None:
    ra, dec = picture.directions(200, 100)
    row, column = np.nonzero(~np.isnan(ra))
    x, y = picture.hammer(ra[row, column], dec[row, column])
    np.testing.assert_allclose([x * 200 - 0.5, y * 100 - 0.5], [column, row], atol=1e-9)
    assert [float(value) for value in picture.hammer(180, 0)] == [0.5, 0.5]
    assert picture.hammer(90, 0)[0] > 0.5  # to the left it grows
