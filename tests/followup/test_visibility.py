"""Altitudes of target, Sun and Moon against astropy, windows in the dark, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import AltAz, EarthLocation, SkyCoord, get_body
from astropy.time import Time
from astropy.utils import iers

from km3vo.errors import SetupError
from km3vo.followup import sky, visibility
from km3vo.followup.visibility import STEP, Night, Site, night
from km3vo.settings import Followup, Settings

CASES = 500


@pytest.fixture(scope="module")
def cases() -> Iterator[dict[str, Any]]:
    """Directions, sites and times by chance, poles among them, with what astropy says of them."""
    random = np.random.default_rng(7)
    ra, dec = random.uniform(0, 360, CASES), np.degrees(np.arcsin(random.uniform(-1, 1, CASES)))
    lon, lat = random.uniform(-180, 180, CASES), np.degrees(np.arcsin(random.uniform(-1, 1, CASES)))
    lat[:10], lat[10:20], lat[20:40], dec[40:45] = 90, -90, random.uniform(-90, -80, 20), (90, -90, 89.9, -89.9, 0)
    height, mjd = random.uniform(0, 5000, CASES), random.uniform(57400, 61400, CASES)  # 2016 to 2026
    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("auto_max_age", None):
        at = Time(mjd, format="mjd", scale="utc")
        where = EarthLocation(lon * u.deg, lat * u.deg, height * u.m)
        frame = AltAz(obstime=at, location=where)
        seen = SkyCoord(ra, dec, unit="deg").transform_to(frame)
        sun, moon = (get_body(body, at, where).transform_to(frame) for body in ("sun", "moon"))
        yield {
            "given": list(zip(ra, dec, lon, lat, height, mjd, strict=True)),
            "target": seen.alt.deg,
            "sun": sun.alt.deg,
            "moon": moon.alt.deg,
            "apart": seen.separation(moon).deg,
        }


def test_e8_altitudes_are_those_of_astropy(cases: dict[str, Any]) -> None:
    ours: dict[str, list[float]] = {"target": [], "sun": [], "moon": [], "apart": []}
    for ra, dec, lon, lat, height, mjd in cases["given"]:
        ground, place = sky.Ground(lon, lat, height), sky.target(ra, dec, mjd)
        zenith, moon = ground.zenith(mjd), ground.seen(sky.moon(mjd), mjd)
        ours["target"].append(sky.altitude(place, zenith))
        ours["sun"].append(sky.altitude(sky.sun(mjd), zenith))
        ours["moon"].append(sky.altitude(moon, zenith))
        ours["apart"].append(sky.separation(place, moon))
    worst = {name: float(np.abs(np.array(values) - cases[name]).max()) for name, values in ours.items()}
    assert worst["target"] <= 0.1 and worst["sun"] <= 0.1, worst
    assert worst["moon"] <= 0.5 and worst["apart"] <= 0.5, worst


def test_e8_a_night_at_the_poles() -> None:
    """There the target stays as high as it is; it is dark for months, or never."""
    pole = Site(name="South Pole", longitude=-45, latitude=-90, height=2835)
    winter, summer = (night(pole, date(2026, month, 21), 10, -60) for month in (6, 12))
    assert {round(one.target, 2) for one in winter.moments} == {59.85}  # precession has moved it
    assert len(winter.windows) == 1 and winter.windows[0][1] - winter.windows[0][0] == pytest.approx(1)
    assert summer.windows == [] and summer.twilight("sunset") == [] and summer.highest is None
    assert night(pole, date(2026, 6, 21), 10, 60).windows == []


def test_e8_windows_in_the_dark() -> None:
    site = visibility.read(Settings())[0]
    found = night(site, date(2026, 1, 15), 83.63, 22.01, airmass=2.0)
    ((begin, end),) = found.windows
    assert 4 / 24 < end - begin < 12 / 24
    for one in found.moments:
        inside = begin <= one.mjd <= end
        assert (
            inside == (sky.airmass(one.target) <= 2.0 and one.sun <= -18)
            or min(abs(one.mjd - begin), abs(one.mjd - end)) < STEP
        )
    assert found.highest is not None and begin < found.highest.mjd < end and found.highest.target > 80
    evening = found.twilight("sunset")[0][0]
    assert (
        evening
        < found.twilight("civil")[0][0]
        < found.twilight("nautical")[0][0]
        < found.twilight("astronomical")[0][0]
    )
    assert visibility.hours(evening) == "18:36"


def test_e9_the_lowest_and_the_highest_altitude_in_a_circle() -> None:
    site = visibility.read(Settings())[2]
    found = night(site, date(2026, 3, 1), 150.0, -40.0, radius=5)
    angles = np.arange(0, 360, 5.0)
    here = SkyCoord(150 * u.deg, -40 * u.deg)
    edge = here.directional_offset_by(angles * u.deg, 5 * u.deg)
    ground = sky.Ground(site.longitude, site.latitude, site.height)
    for one in found.moments[::12]:
        zenith = ground.zenith(one.mjd)
        altitudes = [
            sky.altitude(sky.target(ra, dec, one.mjd), zenith)
            for ra, dec in zip(edge.ra.deg, edge.dec.deg, strict=True)
        ]
        low, high = found.circle(one)
        assert low == pytest.approx(min(altitudes), abs=0.05)
        assert high == pytest.approx(90 if one.target > 85 else max(altitudes), abs=0.05)
    assert sum(b - a for a, b in found.whole) < sum(b - a for a, b in found.windows)
    assert found.circle(type(found.moments[0])(0, 88, -30, 0)) == (83, 90)


def test_e8_it_takes_less_than_a_tenth_of_a_second() -> None:
    def all_sites() -> list[Night]:
        return [night(site, date(2026, 1, 15), 83.63, 22.01, 2.0) for site in visibility.read(Settings())]

    began = time.process_time()
    assert len(all_sites()) == 13
    assert time.process_time() - began < 0.3  # three times what it may take on an idle machine


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- {name: x, longitude: 400, latitude: 0}", "longitude: Input should be less than or equal to 360"),
        ("- {name: x}", "longitude: Field required"),
        ("name: x", "holds no list"),
        ("[", "cannot be read as YAML"),
    ],
)
def test_observatories_of_an_operator(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "sites.yaml"
    settings = Settings()
    settings.__dict__["followup"] = Followup(observatories=file)
    file.write_text("- {name: Mine, longitude: 10, latitude: 50}")
    assert [site.name for site in visibility.read(settings)] == ["Mine"]
    file.write_text(text)
    with pytest.raises(SetupError, match=told):
        visibility.read(settings)
