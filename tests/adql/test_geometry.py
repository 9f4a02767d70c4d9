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

from km3vo.adql import QueryTables, translate
from km3vo.errors import AdqlError

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("KM3VO_EXAMPLES", "20"))
_SETTINGS = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

Ask = Callable[[str], Any]
sizes = st.floats(0.01, 170)
# pgSphere takes what is within 1e-9 rad of a polygon's side for inside: no test of those is closer than that.
EDGE = 1e-6
# Of points and circles (degrees).
EXACT = 1e-9


def _settled(degrees: float) -> float:
    return degrees if abs(degrees) > EDGE else 0.0


longitudes = st.floats(0, 360).map(_settled)
latitudes = st.floats(-90, 90).map(_settled)


@pytest.fixture(scope="module")
def ask(sky: psycopg.Connection, sky_sources: QueryTables) -> Ask:
    """The values of a SELECT list, one row."""

    def answer(items: str) -> Any:
        row = sky.execute(translate(f"SELECT TOP 1 {items} FROM events", sky_sources).sql.encode()).fetchone()
        assert row is not None
        return row

    return answer


def separation(lon1: float, lat1: float, lon2: float, lat2: float) -> float:
    """By astropy, degrees."""
    return float(np.degrees(angular_separation(*np.radians([lon1, lat1, lon2, lat2]))))


# PostgreSQL's radians() ends in an underflow for subnormal numbers; there are none among coordinates.
anywhere = st.tuples(st.floats(0, 360, allow_subnormal=False), st.floats(-90, 90, allow_subnormal=False))
# A point and another: anywhere, next to it, opposite to it, at the poles, across the meridian.
bearings = st.floats(0, 360)
apart = (
    st.floats(0, 180, allow_subnormal=False)
    | st.floats(0, 1e-7, allow_subnormal=False)
    | st.floats(180 - 1e-7, 180)
    | st.sampled_from([1e-9, 1e-6, 90, 180])
)
margins = st.floats(2 * EXACT, 1e-4)
special = st.tuples(st.sampled_from([0, 1e-9, 180, 360 - 1e-9, 360]), st.sampled_from([-90, -90 + 1e-8, 0, 1e-300, 90]))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[float, float, float, float]:
    """Two points."""
    lon, lat = draw(anywhere | special)
    if draw(st.booleans()):
        return (lon, lat, *draw(anywhere | special))
    return (lon, lat, *_beside(lon, lat, draw(bearings), draw(apart)))


def _beside(lon: float, lat: float, bearing: float, distance: float) -> tuple[float, float]:
    there = offset_by(lon * u.deg, lat * u.deg, bearing * u.deg, distance * u.deg)
    return float(there[0].to_value(u.deg)) % 360, max(-90.0, min(90.0, float(there[1].to_value(u.deg))))


@_SETTINGS
@given(points=pairs())
@example(points=(0, 90, 180, 90))
@example(points=(359.9999999, 0, 1e-7, 0))
@example(points=(10, -90, 200, 90))
@example(points=(10, 20, 190, -20))
@example(points=(10, 20, 190, -20 + 1e-8))
@example(points=(1e-170, 0, 0, 1e-200))
def test_distances_are_those_of_astropy(ask: Ask, points: tuple[float, float, float, float]) -> None:
    """However the points are written: as constants, from columns, worked out in the query, in DALI's form."""
    lon1, lat1, lon2, lat2 = map(float, points)
    forms = [
        "DISTANCE({}, {}, {}, {})",
        "DISTANCE(POINT({}, {}), POINT({}, {}))",
        "DISTANCE(POINT({} + 0 * ra, {} + 0 * ra), POINT({}, {}))",
        "DISTANCE(POINT({}, {}), CAST('{} {}' AS POINT))",
        "DISTANCE(CENTROID(CIRCLE({}, {}, 1)), CENTROID(CIRCLE({} + 0 * ra, {}, 1)))",
        "DISTANCE(POINT({}, {}), POINT({} + 0 * (" + " + ".join(["ra"] * 40) + "), {}))",
    ]
    found = ask(", ".join(form.format(lon1, lat1, lon2, lat2) for form in forms))
    assert found == pytest.approx([separation(lon1, lat1, lon2, lat2)] * len(forms), abs=EXACT, rel=0)
    # The same number, not just a similar one: all forms find the same rows.
    assert len(set(found)) == 1 or 360 in (lon1, lon2)
    assert ask(f"DISTANCE({lon2}, {lat2}, {lon1}, {lat1})") == found[:1]


@_SETTINGS
@given(place=anywhere | special, radius=apart, bearing=bearings, off=margins)
@example(place=(0, 90), radius=90, bearing=0, off=2 * EXACT)
@example(place=(359.9999, 0), radius=0.001, bearing=90, off=2 * EXACT)
@example(place=(77, -89.9), radius=179.5, bearing=10, off=2 * EXACT)
@example(place=(77, 20), radius=1e-8, bearing=10, off=2 * EXACT)
def test_circles_of_any_radius_end_where_they_should(
    ask: Ask, place: tuple[float, float], radius: float, bearing: float, off: float
) -> None:
    lon, lat = map(float, place)
    for distance in (radius - off, radius + off):
        if not 0 <= distance <= 180:
            continue
        x, y = _beside(lon, lat, bearing, distance)
        actual = separation(lon, lat, x, y)
        if abs(actual - radius) < EXACT:
            continue  # offset_by has only half of the digits at the poles
        inside = int(actual <= radius)
        circle, point = f"CIRCLE({lon}, {lat}, {radius})", f"POINT({x}, {y})"
        # The same with a centre and a radius that are not constant.
        other = f"CIRCLE({lon} + 0 * ra, {lat}, {radius} + 0 * ra)"
        found = ask(
            f"CONTAINS({point}, {circle}), INTERSECTS({circle}, {point}), CONTAINS({point}, {other}), "
            f"CONTAINS(POINT({x}, {y} + 0 * ra), {other}), CONTAINS({point}, CAST('{lon} {lat} {radius}' AS CIRCLE))"
        )
        assert found == (inside,) * 5


@_SETTINGS
@given(one=anywhere | special, r1=apart, bearing=bearings, apart=apart, off=margins)
@example(one=(0, 90), r1=1, bearing=0, apart=120, off=2 * EXACT)
def test_circles_in_and_across_circles(
    ask: Ask, one: tuple[float, float], r1: float, bearing: float, apart: float, off: float
) -> None:
    """A circle with one that all but touches it, from inside and from outside."""
    x, y = map(float, one)
    p, q = _beside(x, y, bearing, apart)
    distance = separation(x, y, p, q)
    for r2 in (distance + r1 + off, distance + r1 - off, distance - r1 + off, distance - r1 - off):
        if not 0 <= r2 < 180 or min(abs(distance + r1 - r2), abs(distance - r1 - r2)) < EXACT:
            continue
        for small, large in ((f"{r1}", f"{r2}"), (f"({r1} + 0 * ra)", f"{r2}"), (f"{r1}", f"({r2} + 0 * dec)")):
            circles = f"CIRCLE({x}, {y}, {small}), CIRCLE({p}, {q}, {large})"
            found = ask(f"CONTAINS({circles}), INTERSECTS({circles})")
            assert found == (int(distance + r1 <= r2), int(distance <= r1 + r2))


# Of the sky's events, those at the poles, beside them, at the meridian, and any.
rows = st.sampled_from([0, 20000, 20001, 20002, 20003, 20004, 20005]) | st.integers(0, 19999)


@_SETTINGS
@given(
    row=rows, bearing=bearings, radius=st.sampled_from([0, 1e-8]) | st.floats(0, 180), off=margins, near=st.booleans()
)
def test_stored_positions_are_found_to_a_billionth_of_a_degree(
    sky: psycopg.Connection, sky_sources: QueryTables, row: int, bearing: float, radius: float, off: float, near: bool
) -> None:
    """By the index, in every form, against constants and against another table; and so are stored error circles."""
    stored = sky.execute(
        'SELECT ra, "dec", err50::float8 FROM km3net.events_public WHERE event_id = %s', [row]
    ).fetchone()
    assert stored is not None
    lon, lat, error = stored
    for r, forms in ((radius, _CONES), (error, _ERROR_CIRCLES)):
        x, y = _beside(lon, lat, bearing, min(180, max(0, r - off if near else r + off)))
        actual = separation(lon, lat, x, y)
        if abs(actual - r) < EXACT:
            continue
        for form in forms:
            condition = form.format(x=x, y=y, r=r)
            query = f"SELECT event_id FROM events, (SELECT {x} AS x, {y} AS y FROM events WHERE event_id = 0) AS my "
            query += f"WHERE event_id = {row} AND {condition}"
            found = sky.execute(translate(query, sky_sources).sql.encode()).fetchall()
            assert found == ([(row,)] if actual < r else []), (condition, actual)


_CONES = [
    "DISTANCE(ra, dec, {x}, {y}) < {r}",
    "NOT DISTANCE(ra, dec, {x}, {y}) > {r}",
    "DISTANCE(my.x, my.y, ra, dec) <= {r}",
    "1 = CONTAINS(POINT(ra, dec), CIRCLE({x}, {y}, {r}))",
    "1 = CONTAINS(POINT(my.x, my.y), CIRCLE(ra, dec, {r}))",
    "1 = CONTAINS(POINT(ra, dec), CIRCLE(my.x, my.y, {r} + 0 * my.x))",
]
_ERROR_CIRCLES = [
    "DISTANCE(ra, dec, {x}, {y}) < err50",
    "DISTANCE(my.x, my.y, ra, dec) <= err50",
    "1 = CONTAINS(POINT({x}, {y}), CIRCLE(ra, dec, err50))",
    "1 = INTERSECTS(CIRCLE(ra, dec, err50), CIRCLE({x}, {y}, 0))",
    "1 = CONTAINS(CIRCLE(my.x, my.y, 0), CIRCLE(ra, dec, err50))",
]


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
            assert separation(center[0], center[1], lon, lat) < 1e-6
            assert found == pytest.approx(area, rel=1e-6, abs=1e-6)
        for fraction, inside in ((0.999, 1), (1.001, 0)):
            p, q = offset_by(lon * u.deg, lat * u.deg, (turn + 180 / count) * u.deg, inner * fraction * u.deg)
            point = f"POINT({float(p.to_value(u.deg)) % 360}, {float(np.clip(q.to_value(u.deg), -90, 90))})"
            assert ask(f"CONTAINS({point}, POLYGON({constant}))") == (inside,)


@pytest.mark.parametrize("system", ["GALACTIC", "FK5"])
@_SETTINGS
@given(place=anywhere | special)
@example(place=(266.4049882865447, -28.936177761791473))
@example(place=(122.93191857, 27.1283362))
def test_other_coordinate_systems_are_converted(ask: Ask, system: str, place: tuple[float, float]) -> None:
    lon, lat = map(float, place)
    wanted = SkyCoord(lon * u.deg, lat * u.deg, frame=system.lower()).icrs
    for written in (f"POINT('{system}', {lon}, {lat})", f"POINT('{system}', {lon} + 0 * ra, {lat})"):
        ((ra, dec),) = ask(written)
        assert separation(ra, dec, wanted.ra.deg, wanted.dec.deg) < EXACT
    for written in (f"POINT({lon}, {lat})", f"POINT({lon} + 0 * ra, {lat})"):
        for other in ("GALACTIC", "FK5"):
            ((x, y),) = ask(f"ivo_geom_transform('{system}', '{other}', {written})")
            there = wanted.transform_to(other.lower())
            assert separation(x, y, *_degrees(there)) < EXACT


def _degrees(place: SkyCoord) -> tuple[float, float]:
    found = place.represent_as("unitspherical")
    return float(found.lon.deg), float(found.lat.deg)


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
        ("ivo_geom_transform('galactic', 'ICRS', POINT(1, 2))", "unknown coordinate system 'galactic'"),
        ("ivo_epoch_prop_pos(NULL, 1, 2, 3, 4, 5, 6, 7)", "this cannot be NULL"),
    ],
)
def test_impossible_shapes_are_refused_before_the_database_sees_them(
    sky_sources: QueryTables, written: str, message: str
) -> None:
    with pytest.raises(AdqlError) as caught:
        translate(f"SELECT {written} FROM events", sky_sources)
    assert message in caught.value.message


def test_a_latitude_beyond_the_pole_in_a_column_is_an_error(ask: Ask) -> None:
    # pgSphere would fold it to the other side of the sky.
    with pytest.raises(psycopg.errors.DataError):
        ask("POINT(ra, dec + 200)")


def test_a_negative_radius_in_a_column_is_an_error(ask: Ask) -> None:
    for point in ("POINT(1, 2)", "POINT(ra, dec)"):
        with pytest.raises(psycopg.errors.DataError):
            ask(f"CONTAINS({point}, CIRCLE(3, 4, ra - 400))")
    with pytest.raises(psycopg.errors.DataError):
        ask("INTERSECTS(CIRCLE(ra, dec, err50), CIRCLE(3, 4, ra - 400))")


@pytest.mark.parametrize("radius", [0.5, 1, 2, 3, 5, 7, 10, 20, 45, 60, 89, 90, 91, 120, 179])
def test_the_border_belongs_to_a_circle(ask: Ask, radius: float) -> None:
    assert ask(
        f"CONTAINS(POINT({radius}, 0), CIRCLE(0, 0, {radius})), CONTAINS(POINT(0, 0), CIRCLE({radius}, 0, {radius})), "
        f"INTERSECTS(CIRCLE(0, 0, 1), CIRCLE({radius + 1}, 0, {radius})), "
        f"CONTAINS(CIRCLE(0, 0, {radius / 2}), CIRCLE({radius / 2}, 0, {radius}))"
    ) == (1, 1, 1, 1)


@pytest.mark.parametrize("place", range(6))
def test_a_polygon_without_a_vertex_is_null(ask: Ask, place: int) -> None:
    """A first one that is missing ends pgSphere 1.2's server, when it gets that far."""
    numbers = [1, 2, 3, 4, 5, 9]
    missing = [f"{n} + CAST(NULL AS REAL)" if i == place else str(n) for i, n in enumerate(numbers)]
    polygon = f"POLYGON({', '.join(missing)})"
    assert ask(f"{polygon}, AREA({polygon}), CONTAINS(POINT(1, 2), {polygon})") == (None, None, None)


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


@pytest.mark.parametrize("limit", ["2 / 1e-308", "1e200 * 1e200", "-1e308 - 1e308"])
def test_a_limit_that_overflows_is_an_error_of_the_query(
    sky: psycopg.Connection, sky_sources: QueryTables, limit: str
) -> None:
    made = translate(f"SELECT TOP 1 ra FROM events WHERE DISTANCE(ra, dec, 10, 20) < {limit}", sky_sources)
    with pytest.raises(psycopg.errors.NumericValueOutOfRange):
        sky.execute(made.sql.encode())
