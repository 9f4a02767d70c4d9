"""Sky maps: areas as theory has them, reproducible bytes, and what other programs read out of them."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable, Table
from mocpy import MOC

from km3vo.alerts import profile, revision
from km3vo.alerts.containment import radii
from km3vo.alerts.revision import Revision
from km3vo.alerts.skymaps import cells, files, picture, shapes
from km3vo.alerts.skymaps.files import SkymapError
from km3vo.alerts.standard import Contour, Ellipse
from tests.support import samples
from tests.support.samples import NOW

DEG2 = (180 / np.pi) ** 2
CIRCLES = [(94.3, -7.8, 1.2), (10.82, 20.01, 0.49), (13.8, 18.9, 0.1), (0.02, 89.9, 3.0), (83.0, 22.0, 15.0)]
EDGES = [(0.0, 0.0, 0.01), (0.0, -90.0, 1.0), (359.9999, 45.0, 0.3)]


def fisher(err50: float, containment: float) -> float:
    """Area of the circle that holds the direction with a probability, in square degrees."""
    kappa = np.log(2) / (1 - np.cos(np.radians(err50)))
    return float(2 * np.pi * -np.log(1 - containment) / kappa * DEG2)


def whole(made: cells.Cells) -> None:
    """The sky is covered once, and the probabilities make 1."""
    assert made.areas.sum() == pytest.approx(4 * np.pi, rel=1e-6)
    assert made.probabilities.sum() == pytest.approx(1, rel=1e-9)
    assert (np.diff(made.uniq) > 0).all() and (made.density >= 0).all()


@pytest.mark.parametrize(("ra", "dec", "err50"), CIRCLES + EDGES)
def test_circles_have_the_areas_of_theory(ra: float, dec: float, err50: float) -> None:
    made = shapes.circle(ra, dec, err50)
    whole(made)
    for containment in (0.5, 0.68, 0.9):
        assert made.area_within(containment) == pytest.approx(fisher(err50, containment), rel=0.005)
    assert 1000 < len(made.uniq) < 10_000
    top = made.uniq[np.argmax(made.density)]
    level = cells.order(np.array([top]))
    peak = cells.directions(int(level[0]), np.array([top - 4 * 4 ** level[0]]))
    assert np.degrees(np.arccos(np.clip(peak @ shapes.vector(ra, dec), -1, 1))) < err50 / 4


@pytest.mark.parametrize(("major", "minor", "angle", "level"), [(2, 1, 30, 0.9), (5, 0.3, 120, 0.5), (1, 1, 0, 0.5)])
def test_ellipses_have_the_areas_of_theory(major: float, minor: float, angle: float, level: float) -> None:
    shape = Ellipse(containment=level, semi_major=major, semi_minor=minor, position_angle=angle)
    made = shapes.ellipse(94.3, -7.8, shape)
    whole(made)
    for containment in (0.5, 0.68, 0.9):
        wanted = np.pi * major * minor * np.log(1 - containment) / np.log(1 - level)
        assert made.area_within(containment) == pytest.approx(wanted, rel=0.005)


def test_an_ellipse_points_where_its_angle_says() -> None:
    made = shapes.ellipse(50, 10, Ellipse(containment=0.9, semi_major=4, semi_minor=0.5, position_angle=90))
    region = files.region(made, 0.9)
    inside = region.contains_lonlat(
        *[np.radians(each) * 57.29577951308232 * _deg() for each in ([53.5, 46.5, 50, 50], [10, 10, 13.5, 6.5])]
    )
    assert list(inside) == [True, True, False, False]


def _deg() -> Any:
    from astropy import units

    return units.deg


def _polygon(ra: float, dec: float, radius: float, corners: int) -> list[tuple[float, float]]:
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    lon = ra + radius * np.cos(angles) / np.cos(np.radians(dec))
    return [(float(x % 360), float(dec + 0.6 * radius * np.sin(a))) for x, a in zip(lon, angles, strict=True)]


def _area(ra: float, dec: float, polygon: list[tuple[float, float]]) -> float:
    """By the excess of the triangles around the middle (L'Huilier in vectors), in square degrees."""
    middle, corners = shapes.vector(ra, dec), [shapes.vector(*corner) for corner in polygon]
    total = 0.0
    for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
        triple = abs(middle @ np.cross(a, b))
        total += 2 * math.atan2(triple, 1 + middle @ a + a @ b + middle @ b)
    return total * DEG2


@pytest.mark.parametrize("corners", [6, 60, 400])
@pytest.mark.parametrize(("ra", "dec"), [(0.1, 40.0), (180.0, -70.0)])
def test_contours_keep_their_areas(ra: float, dec: float, corners: int) -> None:
    given = [
        Contour(containment=level, polygon=_polygon(ra, dec, radius, corners))
        for level, radius in ((0.5, 1.0), (0.68, 1.4), (0.9, 2.0))
    ]
    assert shapes.check_contours(ra, dec, given) is None
    made = shapes.contours(ra, dec, given)
    whole(made)
    for contour in given:
        wanted = _area(ra, dec, contour.polygon)
        assert made.area_within(contour.containment) == pytest.approx(wanted, rel=0.005)


def event(**changes: Any) -> Revision:
    checked = profile.check(samples.km3_230213a() | changes, now=NOW)
    return revision.first(checked, event_name="KM3-230213A", received=NOW)


def test_the_file_is_what_others_read_and_the_same_each_time() -> None:
    one = event()
    document = files.fits(files.of(one), one)
    assert document == files.fits(files.of(one), one)
    assert files.packed(document) == files.packed(document)
    table = QTable.read(io.BytesIO(document))
    assert table.colnames == ["UNIQ", "PROBDENSITY"] and str(table["PROBDENSITY"].unit) == "1 / sr"
    meta = table.meta
    assert (meta["PIXTYPE"], meta["ORDERING"], meta["COORDSYS"], meta["INDXSCHM"]) == (
        "HEALPIX",
        "NUNIQ",
        "C",
        "EXPLICIT",
    )
    assert (meta["OBJECT"], meta["RA"], meta["DEC"], meta["MJD-OBS"]) == ("KM3-230213A", 94.3, -7.8, one.mjd)
    assert meta["DATE-OBS"] == "2023-02-13T01:16:47.703000"
    assert meta["CONT90"] == pytest.approx(fisher(1.2, 0.9), rel=0.005)
    assert len(document) < 150_000
    assert files.name(one) == "KM3-230213A_1.multiorder.fits"


def test_the_region_is_a_moc_that_holds_what_it_says() -> None:
    one = event()
    document = files.region_document(one, 0.9)
    assert document == files.region_document(one, 0.9)
    moc = MOC.from_fits(io.BytesIO(document))
    assert moc.sky_fraction * 4 * np.pi * DEG2 == pytest.approx(fisher(1.2, 0.9), rel=0.02)


def _as_file(table: Table, **cards: Any) -> bytes:
    hdu = fits.BinTableHDU(table)
    hdu.header.update(PIXTYPE="HEALPIX", COORDSYS="C", **cards)
    out = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(out)
    return out.getvalue()


def test_maps_of_pipelines_are_read_in_the_unit_they_say() -> None:
    rng = np.random.default_rng(1)
    pixels = rng.random(12 * 16**2)
    pixels /= pixels.sum()
    per_sr = pixels * len(pixels) / (4 * np.pi)
    maps = [
        files.read(_as_file(Table({"PROB": values}, units={"PROB": unit}), ORDERING="NESTED", NSIDE=16))
        for values, unit in ((pixels, "pix-1"), (per_sr, "sr-1"), (per_sr / DEG2, "deg-2"))
    ]
    for made in maps:
        whole(made)
        assert made.density == pytest.approx(per_sr)
    with pytest.raises(SkymapError, match="no unit"):
        files.read(_as_file(Table({"PROB": per_sr}), ORDERING="NESTED", NSIDE=16))
    with pytest.raises(SkymapError, match="and not 1"):
        files.read(_as_file(Table({"PROB": per_sr}, units={"PROB": "deg-2"}), ORDERING="NESTED", NSIDE=16))


def test_a_map_of_many_orders_comes_back_as_it_was() -> None:
    made = files.of(event())
    again = files.read(files.fits(made, event()))
    assert (again.uniq == made.uniq).all()
    assert again.density == pytest.approx(made.density, rel=1e-12)


@pytest.mark.parametrize("broken", ["", "cut", "noise", "table"])
def test_broken_maps_are_refused_in_one_line(broken: str) -> None:
    whole_file = files.fits(files.of(event()), event())
    document = {
        "": b"",
        "cut": whole_file[:6000],
        "noise": bytes(np.random.default_rng(2).integers(0, 256, 5000, np.uint8)),
        "table": _as_file(Table({"X": [1.0]})),
    }[broken]
    with pytest.raises(SkymapError):
        files.read(document)


@pytest.mark.parametrize("err50", [0.01, 1.2, 60.0])
def test_a_picture_shows_the_regions_where_they_are(err50: float) -> None:
    """The direction in the middle, and as many pixels within the borders as the areas are large."""
    ra, dec = 359.9, 80.0
    cells = shapes.circle(ra, dec, err50)
    radius = min(180.0, 2 * radii(err50, None, None)[1])
    places = picture.around(ra, dec, radius)
    assert places[240, 240] @ shapes.vector(ra, dec) > np.cos(np.radians(radius / 200))
    density = picture.densities(cells, places)
    assert density.argmax() in np.flatnonzero(density == cells.density.max())
    inside = density >= picture.least(cells, 0.5)
    across = np.sqrt(inside.sum() / np.pi) / (picture.SIZE / 2) * radius
    assert across == pytest.approx(err50, rel=0.06)  # cells are coarse
    # East is left: a little more right ascension there.
    assert places[240, 0] @ shapes.vector(ra + 1, dec) > places[240, -1] @ shapes.vector(ra + 1, dec)
    assert picture.border(inside).sum() < inside.sum() / 4
