"""Directions in other frames and notations, and circles around them, against astropy."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from km3vo.catalog.model import Position
from km3vo.followup.places import Place, sexagesimal, sigma_of


@pytest.mark.parametrize(
    ("ra", "dec", "written"),
    [
        (83.6331, 22.0145, ("05:34:31.94", "+22:00:52.2")),
        (359.99999999, -89.99999999, ("00:00:00.00", "-90:00:00.0")),
        (14.9999999, -0.00001, ("01:00:00.00", "+00:00:00.0")),
        (0.0, -0.99999, ("00:00:00.00", "-01:00:00.0")),
    ],
)
def test_sexagesimal(ra: float, dec: float, written: tuple[str, str]) -> None:
    assert sexagesimal(ra, dec) == written


def test_directions_and_distances() -> None:
    random = np.random.default_rng(1)
    ra, dec = random.uniform(0, 360, 40), np.degrees(np.arcsin(random.uniform(-1, 1, 40)))
    dec[:3], ra[3:5] = (90, -90, 89.9999), (0, 359.9999)
    for first, second in zip(range(40), reversed(range(40)), strict=True):
        place, other = Place(ra[first], dec[first]), SkyCoord(ra[second], dec[second], unit="deg")
        here = SkyCoord(place.ra, place.dec, unit="deg")
        assert place.separation(ra[second], dec[second]) == pytest.approx(here.separation(other).deg, abs=1e-9)
        reached = SkyCoord(*place.towards(here.position_angle(other).deg, here.separation(other).deg), unit="deg")
        assert reached.separation(other).deg < 1e-6


def test_error_circles() -> None:
    median = Position(ra="ra", dec="dec", error="err50", share=0.5)
    assert Place(0, 0, sigma_of(median, 1.5)).radius(0.5) == pytest.approx(1.5)
    assert Place(0, 0, sigma_of(Position(ra="ra", dec="dec", error="beta"), 1.5)).sigma == pytest.approx(1.5)
    assert sigma_of(median, None) is None and sigma_of(Position(ra="ra", dec="dec"), 1.0) is None
    assert Place(0, 0).radius(0.9) == 0
