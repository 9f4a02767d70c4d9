"""Reference frames are part of a geometry: whatever is compared is in one frame, and what comes out says which."""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg
import pytest
from astropy import units as u
from astropy.coordinates import FK5, ICRS, BarycentricMeanEcliptic, FK4NoETerms, Galactic, SkyCoord

from km3vo.adql import QueryTables, translate
from km3vo.column import Column
from km3vo.errors import AdqlError

# What the catalogue (EN-UDF 1.2) means, as astropy has it: rotations, of these equinoxes.
ASTROPY: dict[str, Any] = {
    "ICRS": ICRS(),
    "FK5": FK5(equinox="J2000"),
    "FK4": FK4NoETerms(equinox="B1950"),
    "GALACTIC": Galactic(),
    "ECLIPTIC": BarycentricMeanEcliptic(equinox="J2000"),
}
GALACTIC = "ivo_geom_transform('ICRS', 'GALACTIC', {})"


@pytest.fixture(scope="module")
def places(sky: psycopg.Connection) -> SkyCoord:
    rows = sky.execute("SELECT ra, dec FROM km3net.events_public ORDER BY event_id").fetchall()
    return SkyCoord(np.array(rows) * u.deg)


def _rows(sky: psycopg.Connection, sources: QueryTables, query: str) -> list[Any]:
    return sky.execute(translate(query, sources).sql.encode()).fetchall()


def _columns(query: str, sources: QueryTables) -> tuple[Column, ...]:
    return translate(query, sources).columns


def _degrees(place: SkyCoord) -> tuple[Any, Any]:
    sphere = place.represent_as("unitspherical")
    return sphere.lon.deg, sphere.lat.deg


@pytest.mark.parametrize(
    "condition",
    [
        "1 = CONTAINS(ivo_geom_transform('ICRS', 'GALACTIC', POINT(ra, dec)), CIRCLE('GALACTIC', 0, 0, 5))",
        "1 = CONTAINS(POINT(ra, dec), ivo_geom_transform('ICRS', 'GALACTIC', CIRCLE('GALACTIC', 0, 0, 5)))",
        "1 = CONTAINS(POINT(ra, dec), ivo_geom_transform('GALACTIC', 'FK5', CIRCLE(0, 0, 5)))",
        "DISTANCE(POINT('GALACTIC', 0, 0), ivo_geom_transform('ICRS', 'FK4', POINT(ra, dec))) <= 5",
        "1 = INTERSECTS(ivo_geom_transform('GALACTIC', 'ECLIPTIC', CIRCLE(0, 0, 5)), POINT(ra + 0, dec))",
        "DISTANCE(POINT(ra, dec), ivo_geom_transform('GALACTIC', 'ECLIPTIC', POINT(0, 0))) < 5",
    ],
)
def test_shapes_in_different_frames_are_compared_where_they_are(
    sky: psycopg.Connection, sky_sources: QueryTables, places: SkyCoord, condition: str
) -> None:
    center = SkyCoord(0 * u.deg, 0 * u.deg, frame="galactic").icrs
    rows = _rows(sky, sky_sources, f"SELECT event_id FROM events WHERE {condition}")
    inside = np.flatnonzero(places.separation(center).deg < 5)
    assert len(inside) > 30
    assert sorted(row[0] for row in rows) == inside.tolist()


@pytest.mark.parametrize("old", ASTROPY)
@pytest.mark.parametrize("new", ASTROPY)
def test_transforms_are_those_of_astropy(sky: psycopg.Connection, sky_sources: QueryTables, old: str, new: str) -> None:
    for lon, lat in ((120, -23), (0, 90), (266.4, -28.9), (192.25, 27.4), (359.999, 0.001)):
        for written in (f"POINT({lon}, {lat})", f"POINT({lon} + 0 * nhits, {lat})"):
            query = f"SELECT TOP 1 ivo_geom_transform('{old}', '{new}', {written}) FROM events"
            ((point,),) = _rows(sky, sky_sources, query)
            wanted = SkyCoord(lon * u.deg, lat * u.deg, frame=ASTROPY[old]).transform_to(ASTROPY[new])
            x, y = _degrees(wanted)
            apart = SkyCoord(point[0] * u.deg, point[1] * u.deg).separation(SkyCoord(x * u.deg, y * u.deg))
            assert apart.deg < 1e-9, (written, point, x, y)


def test_fk4_is_that_of_the_catalogue(sky: psycopg.Connection, sky_sources: QueryTables) -> None:
    # EN-UDF 1.2 gives this example.
    query = "SELECT TOP 1 ivo_geom_transform('FK4', 'GALACTIC', CIRCLE(189.70303055, 22.96240006, 3)) FROM events"
    ((circle,),) = _rows(sky, sky_sources, query)
    assert circle == pytest.approx([275.00025405, 84.99996154, 3], abs=1e-8)


def test_what_was_written_in_a_frame_is_converted_once(sky: psycopg.Connection, sky_sources: QueryTables) -> None:
    center = SkyCoord(0 * u.deg, 0 * u.deg, frame="galactic").icrs
    for written in (
        "ivo_geom_transform('GALACTIC', 'ICRS', POINT('GALACTIC', 0, 0))",
        "ivo_geom_transform('GALACTIC', 'ICRS', POINT(0, 0))",
        "ivo_geom_transform('ICRS', 'ICRS', POINT('GALACTIC', 0, 0))",
        "CENTROID(ivo_geom_transform('GALACTIC', 'ICRS', CIRCLE(POINT('GALACTIC', 0, 0), 1)))",
        "ivo_geom_transform('GALACTIC', 'ICRS', CENTROID(REGION('CIRCLE GALACTIC 0 0 1')))",
        "ivo_geom_transform('GALACTIC', 'ICRS', ivo_geom_transform('ICRS', 'GALACTIC', POINT('GALACTIC', 0, 0)))",
    ):
        ((point,),) = _rows(sky, sky_sources, f"SELECT TOP 1 {written} FROM events")
        assert point == pytest.approx([center.ra.deg, center.dec.deg], abs=1e-9), written


@pytest.mark.parametrize(
    ("value", "ucd", "frame"),
    [
        ("POINT(ra, dec)", "pos.eq", "ICRS"),
        ("POINT('GALACTIC', 1, 2)", "pos.eq", "ICRS"),
        ("COORD2(POINT(ra, dec))", "pos.eq.dec", "ICRS"),
        ("CENTROID(CIRCLE(ra, dec, 1))", "pos.eq", "ICRS"),
        (GALACTIC.format("POINT(ra, dec)"), "pos.galactic", "GALACTIC"),
        (GALACTIC.format("CIRCLE(ra, dec, 1)"), None, "GALACTIC"),
        (f"COORD1({GALACTIC.format('POINT(ra, dec)')})", "pos.galactic.lon", "GALACTIC"),
        (f"COORD2({GALACTIC.format('POINT(ra, dec)')})", "pos.galactic.lat", "GALACTIC"),
        ("COORD1(ivo_geom_transform('ICRS', 'ECLIPTIC', POINT(ra, dec)))", "pos.ecliptic.lon", "ECLIPTIC"),
        ("COORD1(ivo_geom_transform('ICRS', 'FK4', POINT(ra, dec)))", "pos.eq.ra", "FK4"),
        (f"CENTROID({GALACTIC.format('CIRCLE(ra, dec, 1)')})", "pos.galactic", "GALACTIC"),
        (f"CIRCLE({GALACTIC.format('POINT(ra, dec)')}, 1)", None, "GALACTIC"),
        (
            f"COALESCE({GALACTIC.format('POINT(ra, dec)')}, {GALACTIC.format('POINT(dec, ra)')})",
            "pos.galactic",
            "GALACTIC",
        ),
        (f"COALESCE({GALACTIC.format('POINT(ra, dec)')}, POINT(ra, dec))", "pos.eq", "ICRS"),
        ("ra", "pos.eq.ra;meta.main", "ICRS"),
        ("MIN(ra)", "pos.eq.ra;stat.min", "ICRS"),
        ("ROUND(ra, 2)", "pos.eq.ra;meta.main", "ICRS"),
        ("COALESCE(ra, 0)", "pos.eq.ra;meta.main", "ICRS"),
        ("COALESCE(ra, NULL)", "pos.eq.ra;meta.main", "ICRS"),
        ("mjd", "time.epoch", None),
        ("err50", "stat.error;pos.eq", None),
    ],
)
def test_what_comes_out_says_its_frame(
    sky: psycopg.Connection, sky_sources: QueryTables, value: str, ucd: str | None, frame: str | None
) -> None:
    queries = [f"SELECT {value} AS x FROM events", f"SELECT x FROM (SELECT {value} AS x FROM events) AS q"]
    queries.append(f"WITH q AS (SELECT {value} AS x FROM events) SELECT * FROM q UNION ALL SELECT * FROM q")
    for query in queries:
        (column,) = _columns(query, sky_sources)
        assert (column.ucd, column.frame) == (ucd, frame), query


def test_what_is_worked_out_of_different_meanings_has_none(sky_sources: QueryTables) -> None:
    for value in ("COALESCE(ra, mjd)", "COALESCE(ra, dec)", "ra * 2", "SUM(ra)", "SIN(ra)"):
        (column,) = _columns(f"SELECT {value} AS x FROM events", sky_sources)
        assert not (column.ucd and column.ucd.startswith("pos")), value
    (column,) = _columns("SELECT ra FROM events UNION ALL SELECT mjd FROM events", sky_sources)
    assert column.frame is None


def test_coordinates_keep_their_frame_on_the_way(
    sky: psycopg.Connection, sky_sources: QueryTables, places: SkyCoord
) -> None:
    center = SkyCoord(0 * u.deg, 0 * u.deg, frame="galactic").icrs
    inside = np.flatnonzero(places.separation(center).deg < 5).tolist()
    inner = f"SELECT event_id, {GALACTIC.format('POINT(ra, dec)')} AS g FROM events"
    coordinates = f"SELECT event_id, COORD1(g) AS l, COORD2(g) AS b FROM ({inner}) AS q"
    for condition, table in (
        ("DISTANCE(g, POINT('GALACTIC', 0, 0)) < 5", inner),
        ("1 = CONTAINS(g, CIRCLE('GALACTIC', 0, 0, 5))", f"{inner} UNION {inner}"),
        ("DISTANCE(POINT(l, b), POINT('GALACTIC', 0, 0)) < 5", coordinates),
        ("DISTANCE(l, b, COORD1(POINT('GALACTIC', 0, 0)), COORD2(POINT('GALACTIC', 0, 0))) < 5", coordinates),
        ("DISTANCE(POINT('GALACTIC', 0, 0), POINT(l - 0, ROUND(b, 10))) < 5", coordinates),
        ("1 = CONTAINS(POINT('GALACTIC', l, b), CIRCLE('GALACTIC', 0, 0, 5))", coordinates),
        ("DISTANCE(ivo_geom_transform('GALACTIC', 'FK5', POINT(l, b)), POINT('GALACTIC', 0, 0)) < 5", coordinates),
        ("DISTANCE(POINT(MOD(l, 360), COALESCE(b, 0)), POINT('GALACTIC', 0, 0)) < 5", coordinates),
    ):
        rows = _rows(sky, sky_sources, f"SELECT event_id FROM ({table}) AS r WHERE {condition}")
        assert sorted(row[0] for row in rows) == inside, condition


def test_a_transformed_search_uses_the_index(sky: psycopg.Connection, sky_sources: QueryTables) -> None:
    query = (
        "SELECT event_id FROM events WHERE 1 = CONTAINS("
        "ivo_geom_transform('ICRS', 'GALACTIC', POINT(ra, dec)), CIRCLE('GALACTIC', 0, 0, 5))"
    )
    plan = "\n".join(row[0] for row in sky.execute(b"EXPLAIN " + translate(query, sky_sources).sql.encode()))
    assert "Index Scan" in plan


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (f"ivo_geom_transform('FK5', 'ICRS', {GALACTIC.format('POINT(ra, dec)')})", "this is in GALACTIC, not in FK5"),
        ("ivo_geom_transform('FK5', 'ICRS', POINT('GALACTIC', 1, 2))", "this is in ICRS, not in FK5"),
        (f"POINT('ICRS', COORD1({GALACTIC.format('POINT(ra, dec)')}), 1)", "in GALACTIC, not in ICRS"),
        (f"POINT(COORD1({GALACTIC.format('POINT(ra, dec)')}), dec)", "these coordinates are in different frames"),
        (f"CIRCLE('FK5', {GALACTIC.format('POINT(ra, dec)')}, 1)", "this is in GALACTIC, not in FK5"),
        (f"BOX('FK5', {GALACTIC.format('POINT(ra, dec)')}, 1, 1)", "this is in GALACTIC, not in FK5"),
        ("ivo_geom_transform('SUPER_GALACTIC', 'ICRS', POINT(1, 2))", "unknown coordinate system 'SUPER_GALACTIC'"),
    ],
)
def test_what_contradicts_itself_is_refused(sky_sources: QueryTables, value: str, message: str) -> None:
    with pytest.raises(AdqlError) as caught:
        translate(f"SELECT {value} FROM events", sky_sources)
    assert message in caught.value.message


def test_set_operations_do_not_mix_frames(sky_sources: QueryTables) -> None:
    inner = GALACTIC.format("POINT(ra, dec)")
    for items in ((inner, "POINT(ra, dec)"), (f"COORD1({inner})", "ra")):
        with pytest.raises(AdqlError) as caught:
            translate("SELECT {} AS x FROM events UNION SELECT {} AS x FROM events".format(*items), sky_sources)
        assert "in GALACTIC on one side of UNION, and in ICRS" in caught.value.message


def test_mocs_are_in_icrs(sky: psycopg.Connection, sky_sources: QueryTables) -> None:
    for shape in ("CIRCLE(266.4, -28.9, 2)", "POINT(266.4, -28.9)"):
        query = f"SELECT TOP 1 MOC(6, {shape}), MOC(6, {GALACTIC.format(shape)}) FROM events"
        ((one, other),) = _rows(sky, sky_sources, query)
        assert one == other


def test_times_say_what_they_count_from(sky_sources: QueryTables) -> None:
    def time(value: str) -> tuple[float | None, str] | None:
        (column,) = _columns(f"SELECT {value} AS x FROM events", sky_sources)
        return (column.time.origin, column.time.scale) if column.time else None

    assert time("mjd") == time("MAX(mjd)") == time("ROUND(mjd)") == time("COALESCE(mjd, 0)") == (2400000.5, "UTC")
    assert time("IN_UNIT(mjd, 's')") == time("CAST(mjd AS REAL)") == time("ivo_to_mjd(obs_time)") == (2400000.5, "UTC")
    assert time("ivo_to_jd(obs_time)") == time("MIN(ivo_to_jd('2020-01-01'))") == (0, "UTC")
    assert time("COALESCE(ivo_to_jd(obs_time), mjd)") is None
    assert time("mjd - 59000") is None and time("SUM(mjd)") is None and time("ra") is None
    both = "SELECT mjd AS x FROM events UNION ALL SELECT ivo_to_jd(obs_time) FROM events"
    assert _columns(both, sky_sources)[0].time is None
