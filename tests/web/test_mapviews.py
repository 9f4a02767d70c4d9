"""Directions in pictures of maps: everywhere on the sky, in each projection and frame, against astropy."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy_healpix import healpy
from mocpy import MOC

from km3vo.correlation import picture
from km3vo.web import mapviews
from km3vo.web.mapviews import Map, View

# Both poles, where longitudes begin, and the Galactic plane with its centre and poles.
PLACES = [(10.0, 89.0), (200.0, -89.5), (0.05, 3.0), (359.95, -20.0), (266.4, -28.9), (86.4, 28.9), (192.9, 27.1)]


@pytest.mark.parametrize("projection", ["hammer", "mollweide"])
@pytest.mark.parametrize("frame", mapviews.FRAMES)
@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_x1_an_injected_source_is_where_it_is_on_the_sky(ra: float, dec: float, projection: str, frame: str) -> None:
    """Looked for in the picture: it shows there, and nowhere else."""
    shown = Map(np.zeros(12 * 32**2))
    shown.values[shown.pixel(ra, dec)] = 5
    view = View(projection=projection, frame=frame)
    content = mapviews.png(shown, view, times=1)
    width, height = struct.unpack(">II", content[16:24])
    lines = zlib.decompress(content[content.index(b"IDAT") + 4 :])
    pixels = np.frombuffer(lines, np.uint8).reshape(height, 1 + 4 * width)[:, 1:].reshape(height, width, 4)
    hot = picture.colours(np.array([5.0]), 5.0)[0]
    rows, columns = np.nonzero((pixels[..., :3] == hot).all(-1) & (pixels[..., 3] == 255))
    assert len(rows)
    found = SkyCoord(*view.directions((columns + 0.5) / width, (rows + 0.5) / height), unit="deg")
    assert (
        found.separation(SkyCoord(ra, dec, unit="deg")).deg.max() < 3
    )  # the diagonal of a pixel of nside 32, which is longest at the poles


@pytest.mark.parametrize("frame", mapviews.FRAMES)
@pytest.mark.parametrize(("lon", "lat"), [(10.0, 89.0), (200.0, -90.0), (0.0, 0.0), (123.0, 45.0)])
def test_x1_a_part_of_the_sky_has_north_up_and_east_to_the_left(frame: str, lon: float, lat: float) -> None:
    view = View("zoom", frame, lon, lat, 10.0)
    middle = SkyCoord(lon * u.deg, lat * u.deg, frame="icrs" if frame == "equatorial" else "galactic")
    for x, y, angle in ((0.5, 0.25, 0), (0.25, 0.5, 90), (0.5, 0.75, 180), (0.75, 0.5, 270)):
        ra, dec = view.directions(x, y)
        wanted = middle.directional_offset_by(angle * u.deg, 5 * u.deg).icrs
        assert wanted.separation(SkyCoord(ra, dec, unit="deg")).deg < 1e-3


def test_x1_nothing_is_outside_the_sky() -> None:
    for projection in ("hammer", "mollweide"):
        ra, dec = View(projection).directions([0.0, 0.5, 1.0], [0.0, 0.5, 1.0])
        assert np.isnan(ra[[0, 2]]).all() and np.isnan(dec[[0, 2]]).all()
        assert (ra[1], dec[1]) == pytest.approx((180, 0))


def test_x2_the_hottest_hundredth() -> None:
    values = np.arange(12 * 16**2, dtype=float)
    values[:100] = np.nan
    moc = MOC.from_fits(io.BytesIO(mapviews.hottest(Map(values))))
    assert moc.sky_fraction == pytest.approx(30 / len(values))
    lon, lat = healpy.pix2ang(16, np.array([len(values) - 1, 200]), nest=True, lonlat=True)
    assert moc.contains_lonlat(lon * u.deg, lat * u.deg).tolist() == [True, False]
