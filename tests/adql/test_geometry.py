"""Geometry on the database agrees with astropy: all over the sky, at the poles, across the meridian, at any radius."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import astropy.units as u
import numpy as np
import psycopg
import pytest
from astropy.coordinates import SkyCoord, angular_separation, offset_by
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from km3vo.adql import Sources, translate
from km3vo.errors import AdqlError

EXAMPLES = int(os.environ.get("KM3VO_EXAMPLES", "20"))
_SETTINGS = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

Ask = Callable[[str], Any]
sizes = st.floats(0.01, 170)
# pgSphere takes points within 1e-9 rad for the same, and so does CONTAINS with a border: no test is closer than that.
EDGE = 1e-6


def _settled(degrees: float) -> float:
    return degrees if abs(degrees) > EDGE else 0.0


longitudes = st.floats(0, 360).map(_settled)
latitudes = st.floats(-90, 90).map(_settled)


@pytest.fixture(scope="module")
def ask(sky: psycopg.Connection, sky_sources: Sources) -> Ask:
    """The values of a SELECT list, one row."""

    def answer(items: str) -> Any:
        row = sky.execute(translate(f"SELECT TOP 1 {items} FROM events", sky_sources).sql.encode()).fetchone()
        assert row is not None
        return row

    return answer


def separation(lon1: float, lat1: float, lon2: float, lat2: float) -> float:
    """By astropy, degrees."""
    return float(np.degrees(angular_separation(*np.radians([lon1, lat1, lon2, lat2]))))


@_SETTINGS
@given(lon1=longitudes, lat1=latitudes, lon2=longitudes, lat2=latitudes)
@example(lon1=0, lat1=90, lon2=180, lat2=90)
@example(lon1=359.9999999, lat1=0, lon2=1e-7, lat2=0)
@example(lon1=10, lat1=-90, lon2=200, lat2=90)
@example(lon1=10, lat1=20, lon2=190, lat2=-20)
def test_distance(ask: Ask, lon1: float, lat1: float, lon2: float, lat2: float) -> None:
    wanted = separation(lon1, lat1, lon2, lat2)
    assume(wanted == 0 or wanted > EDGE)
    four, two = ask(f"DISTANCE({lon1}, {lat1}, {lon2}, {lat2}), DISTANCE(POINT({lon1}, {lat1}), POINT({lon2}, {lat2}))")
    assert four == two == pytest.approx(wanted, abs=1e-9)


@_SETTINGS
@given(lon=longitudes, lat=latitudes, radius=st.floats(0, 180), bearing=st.floats(0, 360), off=st.floats(EDGE, 10))
@example(lon=0, lat=90, radius=90, bearing=0, off=EDGE)
@example(lon=359.9999, lat=0, radius=0.001, bearing=90, off=EDGE)
@example(lon=77, lat=-89.9, radius=179.5, bearing=10, off=EDGE)
def test_circles_of_any_radius_end_where_they_should(
    ask: Ask, lon: float, lat: float, radius: float, bearing: float, off: float
) -> None:
    for distance in (radius - off, radius + off):
        if not 0 <= distance <= 180:
            continue
        there = offset_by(lon * u.deg, lat * u.deg, bearing * u.deg, distance * u.deg)
        x, y = (float(c.to_value(u.deg)) for c in there)
        y = max(-90.0, min(90.0, y))
        inside = int(separation(lon, lat, x, y) <= radius)
        circle, point = f"CIRCLE({lon}, {lat}, {radius})", f"POINT({x % 360}, {y})"
        assert ask(f"CONTAINS({point}, {circle}), INTERSECTS({circle}, {point})") == (inside, inside)


@_SETTINGS
@given(lon1=longitudes, lat1=latitudes, r1=st.floats(0, 180), lon2=longitudes, lat2=latitudes, r2=st.floats(0, 180))
def test_circles_in_and_across_circles(
    ask: Ask, lon1: float, lat1: float, r1: float, lon2: float, lat2: float, r2: float
) -> None:
    distance = separation(lon1, lat1, lon2, lat2)
    assume(abs(distance + r1 - r2) > EDGE and abs(distance - r1 - r2) > EDGE)
    within, across = ask(
        f"CONTAINS(CIRCLE({lon1}, {lat1}, {r1}), CIRCLE({lon2}, {lat2}, {r2})), "
        f"INTERSECTS(CIRCLE({lon1}, {lat1}, {r1}), CIRCLE({lon2}, {lat2}, {r2}))"
    )
    assert within == int(distance + r1 <= r2 or r2 == 180)
    assert across == int(distance <= r1 + r2)


@_SETTINGS
@given(lon=longitudes, lat=latitudes, radius=st.floats(0, 180))
def test_areas_of_circles(ask: Ask, lon: float, lat: float, radius: float) -> None:
    wanted = 2 * math.pi * (1 - math.cos(math.radians(radius))) * math.degrees(1) ** 2
    assert ask(f"AREA(CIRCLE({lon}, {lat}, {radius}))")[0] == pytest.approx(wanted, abs=1e-9)


def test_the_box_of_the_recommendation(ask: Ask) -> None:
    # ADQL 2.1 §4.2.10: great circles at right angles with the arms of a cross; not stretched by 1/cos(dec).
    (corners,) = ask("BOX(0, 60, 10, 10)")
    found = sorted(zip(corners[::2], corners[1::2], strict=True))
    wanted = [(8.6401, 54.6922), (11.6526, 64.5399), (348.3474, 64.5399), (351.3599, 54.6922)]
    assert np.allclose(found, wanted, atol=5e-5)


@_SETTINGS
@given(lon=longitudes, lat=latitudes, width=sizes, height=sizes, x=st.floats(-1, 1), y=st.floats(-1, 1))
@example(lon=0, lat=90, width=10, height=20, x=0.5, y=0.5)
@example(lon=359.999, lat=-90, width=10, height=20, x=-0.5, y=0.5)
def test_boxes(ask: Ask, lon: float, lat: float, width: float, height: float, x: float, y: float) -> None:
    """A box is what a telescope there would see between four great circles; also when its centre is not constant."""
    center = SkyCoord(lon * u.deg, lat * u.deg)
    frame = center.skyoffset_frame()
    dx, dy = x * min(width, 80), y * min(height, 80)
    point = SkyCoord(dx * u.deg, dy * u.deg, frame=frame).icrs
    # Across the arms: longitude along the equator of the offset frame, and the same for the other axis.
    across = math.degrees(
        math.atan2(math.sin(math.radians(dy)), math.cos(math.radians(dy)) * math.cos(math.radians(dx)))
    )
    edges = (abs(dx) - width / 2, abs(across) - height / 2)
    assume(all(abs(edge) > EDGE for edge in edges))
    inside = int(all(edge < 0 for edge in edges))
    ra, dec = float(point.ra.deg), max(-90.0, min(90.0, float(point.dec.deg)))
    boxes = [f"BOX({lon}, {lat}, {width}, {height})", f"BOX(POINT({lon} + 0 * ra, {lat}), {width}, {height} + 0 * ra)"]
    for box in boxes:
        assert ask(f"CONTAINS(POINT({ra}, {dec}), {box})") == (inside,), box


@_SETTINGS
@given(lon=longitudes, lat=latitudes, size=st.floats(0.1, 40), count=st.integers(3, 7), turn=st.floats(0, 360))
@example(lon=0, lat=90, size=5, count=4, turn=0)
@example(lon=0, lat=0, size=5, count=4, turn=45)
def test_polygons_with_constant_and_with_computed_vertices(
    ask: Ask, lon: float, lat: float, size: float, count: int, turn: float
) -> None:
    """Regular polygons in either direction: what is in them, their area, their centroid, and their vertices."""
    bearings = (turn + 360 * np.arange(count) / count) * u.deg
    x, y = offset_by(lon * u.deg, lat * u.deg, bearings, size * u.deg)
    pairs = zip(x.to_value(u.deg), y.to_value(u.deg), strict=True)
    corners = [(_settled(float(a) % 360), _settled(float(np.clip(b, -90, 90)))) for a, b in pairs]
    inner = math.degrees(math.atan(math.tan(math.radians(size)) * math.cos(math.pi / count)))
    # Spherical excess of the triangles from the centre.
    angle = math.atan2(1, math.cos(math.radians(size)) * math.tan(math.pi / count))
    area = (2 * count * angle - (count - 2) * math.pi) * math.degrees(1) ** 2
    for vertices in (corners, corners[::-1]):
        constant = ", ".join(f"{a!r}, {b!r}" for a, b in vertices)
        computed = ", ".join(f"{a!r} + 0 * ra, {b!r}" for a, b in vertices)
        for polygon in (f"POLYGON({constant})", f"POLYGON({computed})"):
            out, center, found, whole = ask(
                f"{polygon}, CENTROID({polygon}), AREA({polygon}), CONTAINS(POINT({lon}, {lat}), {polygon})"
            )
            assert whole == 1
            assert np.allclose(np.reshape(out, (-1, 2)), vertices, atol=1e-9, rtol=0)
            assert separation(*center, lon, lat) < 1e-6
            assert found == pytest.approx(area, rel=1e-6, abs=1e-6)
        for fraction, inside in ((0.999, 1), (1.001, 0)):
            p, q = offset_by(lon * u.deg, lat * u.deg, (turn + 180 / count) * u.deg, inner * fraction * u.deg)
            point = f"POINT({float(p.to_value(u.deg)) % 360}, {float(np.clip(q.to_value(u.deg), -90, 90))})"
            assert ask(f"CONTAINS({point}, POLYGON({constant}))") == (inside,)


@pytest.mark.parametrize("system", ["GALACTIC", "FK5"])
@_SETTINGS
@given(lon=longitudes, lat=latitudes)
def test_other_coordinate_systems_are_converted(ask: Ask, system: str, lon: float, lat: float) -> None:
    wanted = SkyCoord(lon * u.deg, lat * u.deg, frame=system.lower()).icrs
    # Coordinates below 1e-9 rad are 0 to pgSphere.
    assume(abs(wanted.dec.deg) > EDGE and EDGE < wanted.ra.deg < 360 - EDGE)
    for written in (f"POINT('{system}', {lon}, {lat})", f"POINT('{system}', {lon} + 0 * ra, {lat})"):
        ((ra, dec),) = ask(written)
        assert separation(ra, dec, wanted.ra.deg, wanted.dec.deg) < 1e-9
    ((back_lon, back_lat),) = ask(f"ivo_geom_transform('ICRS', '{system}', POINT({wanted.ra.deg}, {wanted.dec.deg}))")
    assert separation(back_lon, back_lat, lon, lat) < 1e-9


@_SETTINGS
@given(lon=longitudes, lat=latitudes)
def test_points_come_out_as_they_went_in(ask: Ask, lon: float, lat: float) -> None:
    point, computed, back, x, y = ask(
        f"POINT({lon}, {lat}), POINT({lon} + 0 * ra, {lat}), CAST('{lon} {lat}' AS POINT), "
        f"COORD1(POINT({lon}, {lat})), COORD2(POINT({lon}, {lat}))"
    )
    assert point == computed == back == [x, y] == [lon % 360, lat]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("POINT(10, 91)", "a latitude of 91 degrees"),
        ("POINT(10, -90.001)", "a latitude of -90.001 degrees"),
        ("CIRCLE(10, 20, -1)", "a radius cannot be negative"),
        ("POLYGON(0, 0, 10, 10, 10, 0, 0, 10)", "must not cross"),
        ("POLYGON(0, 0, 120, 0, 240, 0)", "smaller than half of the sky"),
        ("POLYGON(1, 1, 1, 1, 2, 2)", "three different vertices"),
        ("POLYGON(POINT(1, 2), POINT(3, 4), ra)", "not of both"),
        ("BOX(180, 0, 360, 90)", "less than 180 degrees"),
        ("REGION('CIRCLE FK4 1 2 3')", "does not know the coordinate system"),
        ("REGION('ELLIPSE 1 2 3 4')", "does not know ELLIPSE"),
        ("CAST('1 2 3' AS POINT)", "this string is not a point"),
        ("DISTANCE(POINT(1, 2), CENTROID(5))", "CENTROID needs a geometry here"),
        ("ivo_healpix_center(0, 12)", "the pixels are numbered 0 to 11"),
        ("ivo_healpix_center(17, 23.2)", "needs a whole number here"),
    ],
)
def test_impossible_shapes_are_refused_before_the_database_sees_them(
    sky_sources: Sources, written: str, message: str
) -> None:
    with pytest.raises(AdqlError) as caught:
        translate(f"SELECT {written} FROM events", sky_sources)
    assert message in caught.value.message


def test_a_latitude_beyond_the_pole_in_a_column_is_an_error(ask: Ask) -> None:
    # pgSphere would fold it to the other side of the sky.
    with pytest.raises(psycopg.errors.DataError):
        ask("POINT(ra, dec + 200)")


def test_a_radius_out_of_range_in_a_column_is_an_error(ask: Ask) -> None:
    with pytest.raises(psycopg.errors.DataError):
        ask("CONTAINS(POINT(1, 2), CIRCLE(3, 4, ra + 400))")


def test_nothing_is_known_of_null(ask: Ask) -> None:
    assert (
        ask(
            "CONTAINS(POINT(1, 2), CIRCLE(3, 4, NULL)), CONTAINS(POINT(NULL, 2), CIRCLE(3, 4, 5)), "
            "INTERSECTS(CIRCLE(NULL, 1, 2), CIRCLE(3, 4, 170)), DISTANCE(1, 2, 3, NULL), AREA(POINT(NULL, 1)), "
            "POINT(NULL, 1), POLYGON(1, 2, 3, 4, 5, NULL), CONTAINS(CIRCLE(1, 2, 3), POINT(NULL, 1)), "
            "COORDSYS(POINT(1, NULL)), CENTROID(POLYGON(1, 2, 3, 4, 5, NULL)), CIRCLE(NULL, 1, 2), CIRCLE(1, 2, NULL)"
        )
        == (None,) * 12
    )
