"""MOCs: what is in them by astropy-healpix and mocpy, how they are written, and what finds points in them."""

from __future__ import annotations

import os
from typing import Any

import astropy.units as u
import numpy as np
import psycopg
import pytest
from astropy.coordinates import Latitude, Longitude, offset_by
from astropy_healpix import HEALPix
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mocpy import MOC

from km3vo.adql import QueryTables, translate
from km3vo.errors import AdqlError

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("KM3VO_EXAMPLES", "20"))
_SETTINGS = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


# Events at poles and meridians, which others may put into another of the cells that meet there.
SPECIAL = set(range(20000, 20006))


def _rows(sky: psycopg.Connection, sources: QueryTables, query: str) -> list[Any]:
    return sky.execute(translate(query, sources).sql.encode()).fetchall()


def _positions(sky: psycopg.Connection) -> tuple[Any, Any, Any]:
    rows = sky.execute('SELECT event_id, ra, "dec" FROM km3net.events_public WHERE event_id < 20000').fetchall()
    ids, ra, dec = (np.array(column) for column in zip(*rows, strict=True))
    return ids, Longitude(ra, u.deg), Latitude(dec, u.deg)


Cells = list[tuple[int, list[tuple[int, int]]]]


@st.composite
def mocs(draw: st.DrawFn) -> Cells:
    """Orders with first and last cells of ranges: few or many, overlapping or not."""
    found: Cells = []
    for order in draw(st.lists(st.integers(0, 9) | st.sampled_from([18, 29]), min_size=1, max_size=3, unique=True)):
        firsts = draw(st.lists(st.integers(0, 12 * 4**order - 1), max_size=30))
        lengths = draw(st.lists(st.integers(0, 4 ** min(order, 6)), min_size=len(firsts), max_size=len(firsts)))
        pairs = zip(firsts, lengths, strict=True)
        found.append((order, [(first, min(first + length, 12 * 4**order - 1)) for first, length in pairs]))
    return found


@_SETTINGS
@given(cells=mocs(), blank=st.sampled_from([" ", ",", "\n "]))
def test_points_in_a_moc_are_those_of_healpix(
    sky: psycopg.Connection, sky_sources: QueryTables, cells: Cells, blank: str
) -> None:
    """With and without an index."""
    ids, ra, dec = _positions(sky)
    inside = np.zeros(len(ids), bool)
    for order, ranges in cells:
        pixels = HEALPix(2**order, order="nested").lonlat_to_healpix(ra, dec)
        for first, last in ranges:
            inside |= (pixels >= first) & (pixels <= last)
    wanted = set(ids[inside].tolist())
    shown = [(order, [f"{a}-{b}" if b > a else f"{a}" for a, b in ranges]) for order, ranges in cells]
    text = " ".join(f"{order}/{blank.join(numbers)}" for order, numbers in shown)
    for point in ("POINT(ra, dec)", "POINT(ra + 0, dec)"):
        for condition in (f"1 = CONTAINS({point}, MOC('{text}'))", f"INTERSECTS(MOC('{text}'), {point}) = 1"):
            query = f"SELECT event_id FROM events WHERE event_id < 20000 AND {condition}"
            assert {row[0] for row in _rows(sky, sky_sources, query)} == wanted


@_SETTINGS
@given(lon=st.floats(0, 360), lat=st.floats(-90, 90), radius=st.floats(0.01, 90), order=st.integers(0, 7))
@example(lon=0, lat=0, radius=59, order=7)
def test_a_moc_of_a_circle_holds_the_circle(
    sky: psycopg.Connection, sky_sources: QueryTables, lon: float, lat: float, radius: float, order: int
) -> None:
    circle = f"CIRCLE({lon:.6f}, {lat:.6f}, {radius:.6f})"
    query = f"SELECT event_id FROM events WHERE 1 = CONTAINS(POINT(ra, dec), MOC({order}, {circle}))"
    by_index = {row[0] for row in _rows(sky, sky_sources, query)}
    ((text,),) = _rows(sky, sky_sources, f"SELECT TOP 1 MOC({order}, {circle}) FROM events")
    ids, x, y = _positions(sky)
    assert by_index - SPECIAL == set(ids[MOC.from_string(text).contains_lonlat(x, y)].tolist())
    cone = f"SELECT event_id FROM events WHERE 1 = CONTAINS(POINT(ra, dec), {circle})"
    assert by_index >= {row[0] for row in _rows(sky, sky_sources, cone)}
    # Touched cells and their neighbours, no others: a cell is at most 97 degrees wide at order 0.
    far = (
        f"SELECT event_id FROM events WHERE DISTANCE(ra, dec, {lon:.6f}, {lat:.6f}) > {radius + 2.3 * 48.2 / 2**order}"
    )
    assert not by_index & {row[0] for row in _rows(sky, sky_sources, far)}


_MERIDIANS = [0, 1e-9, 5e-8, 1e-7, 22.5, 45, 90, 135, 180, 225, 270, 315, 360 - 5e-8, 360 - 1e-9, 360]
_PARALLELS = [0, 30, 41.8103148957786, 42, 60, 80, 89.9, 90 - 1e-6, 90 - 1e-7, 90 - 1e-9, 90]


@_SETTINGS
@given(
    lon=st.sampled_from(_MERIDIANS) | st.floats(0, 360, allow_subnormal=False),
    lat=st.sampled_from(_PARALLELS + [-lat for lat in _PARALLELS]) | st.floats(-90, 90, allow_subnormal=False),
    order=st.integers(0, 22),
)
@example(lon=77, lat=90, order=1)
@example(lon=0, lat=60, order=0)
@example(lon=180, lat=45, order=3)
@example(lon=45, lat=0, order=5)
def test_a_point_is_in_a_cell_that_touches_it(
    sky: psycopg.Connection, sky_sources: QueryTables, lon: float, lat: float, order: int
) -> None:
    """pgSphere alone is far off at the pole and on the meridians where the cells' borders are."""
    bearings, distances = np.meshgrid(np.arange(0, 360, 5), [0, 2e-7, 1e-6, 2e-6])
    x, y = offset_by(lon * u.deg, lat * u.deg, bearings.ravel() * u.deg, distances.ravel() * u.deg)
    right = set(HEALPix(2**order, order="nested").lonlat_to_healpix(x, np.clip(y, -90 * u.deg, 90 * u.deg)).tolist())
    where = f"{lon}, {lat}"
    items = f"ivo_healpix_index({order}, {where}), ivo_healpix_index({order}, POINT({lon} + 0 * ra, {lat})), "
    items += f"ivo_healpix_index({order}, CENTROID(CIRCLE({where}, 1))), MOC({order}, POINT({where}))"
    ((*indexes, text),) = _rows(sky, sky_sources, f"SELECT TOP 1 {items} FROM events")
    assert set(indexes) <= right and len(set(indexes)) == 1
    inside = f"CONTAINS(POINT({where}), MOC('{order}/{indexes[0]}'))"
    assert _rows(sky, sky_sources, f"SELECT TOP 1 {inside} FROM events") == [(1,)]
    assert set(MOC.from_string(text).flatten().tolist()) <= right


def test_mocs_with_one_another(sky: psycopg.Connection, sky_sources: QueryTables) -> None:
    items = (
        "CONTAINS(MOC('1/0'), MOC('0/0')), CONTAINS(MOC('0/0'), MOC('1/0')), INTERSECTS(MOC('0/0'), MOC('1/0')), "
        "INTERSECTS(MOC('0/1'), MOC('1/0')), gavo_mocunion(MOC('1/0-2'), MOC('1/3 5')), "
        "gavo_mocintersect(MOC('1/0-2 5'), MOC('0/0')), MOC(3, POINT(10, 20)), "
        "CONTAINS(MOC('9/1159266'), MOC(2, POLYGON(10, 0, 12, 0, 12, 2))), "
        "CONTAINS(POINT(NULL, 1), MOC('0/0')), COALESCE(MOC('0/3'), MOC('0/4')), CAST(MOC('0/3') AS VARCHAR)"
    )
    ((*found,),) = _rows(sky, sky_sources, f"SELECT TOP 1 {items} FROM events")
    assert found == [1, 0, 1, 0, "0/0 1/5", "1/0-2", "3/310", 1, None, "0/3", "0/3"]


def test_a_moc_is_a_column_of_its_own_kind(sky: psycopg.Connection, sky_sources: QueryTables) -> None:
    query = "SELECT DISTINCT q.m FROM (SELECT ra, dec, MOC('5/3-1000') AS m FROM events) AS q "
    query += "WHERE 1 = CONTAINS(POINT(q.ra, q.dec), q.m) AND 1 = INTERSECTS(q.m, MOC(1, POINT(45, 1)))"
    made = translate(query, sky_sources)
    (column,) = made.columns
    assert (column.name, column.datatype, column.arraysize, column.xtype) == ("m", "char", "*", "moc")
    ((text,),) = sky.execute(made.sql.encode()).fetchall()
    assert MOC.from_string(text) == MOC.from_string("5/3-1000")


@pytest.mark.parametrize(
    "moc",
    [
        "MOC('8/1000-1010')",
        "MOC('6/3 77 500-501 9/99999')",
        "MOC('29/100-1000000')",
        "MOC(9, CIRCLE(10, 20, 1))",
        "gavo_mocintersect(MOC('0/3-9'), MOC(6, CIRCLE(10, 20, 1)))",
        "gavo_mocunion(MOC('7/4444'), MOC(6, CIRCLE(10, 20, 1)))",
    ],
)
def test_a_search_in_a_small_moc_uses_the_index(sky: psycopg.Connection, sky_sources: QueryTables, moc: str) -> None:
    made = translate(f"SELECT event_id FROM events WHERE 1 = CONTAINS(POINT(ra, dec), {moc})", sky_sources)
    plan = "\n".join(row[0] for row in sky.execute(b"EXPLAIN " + made.sql.encode()))
    assert "Index Scan" in plan and "Seq Scan" not in plan, plan


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("MOC('')", "this MOC is empty"),
        ("MOC('4/30-33 x')", "a MOC cannot have 'x' at character 9"),
        ("MOC('30-33')", "a MOC begins with an order"),
        ("MOC('30/1')", "the order of a MOC is at most 29, not 30"),
        ("MOC('3/768')", "at order 3 the cells of a MOC are numbered 0 to 767"),
        ("MOC('3/5-4')", "at order 3 the cells"),
        ("MOC('3/1-2-3')", "a MOC cannot have '1-2-3' at character 3"),
        ("MOC(detector)", "moc needs a string in single quotes here"),
        ("MOC(nhits, CIRCLE(1, 2, 3))", "moc needs a whole number, written out, here"),
        ("MOC(29, CIRCLE(1, 2, 3))", "a MOC of a circle is made at an order between 0 and 14"),
        ("MOC(3, CIRCLE(1, 2, 100))", "up to 90 degrees"),
        ("MOC(3, 4)", "moc needs a point, circle or polygon here"),
        ("gavo_mocunion(MOC('0/1'), '0/2')", "gavo_mocunion needs a MOC here"),
        ("CONTAINS(CIRCLE(1, 2, 3), MOC('0/1'))", "a circle cannot be compared with a MOC"),
        ("AREA(MOC('0/1'))", "but this is a MOC"),
    ],
)
def test_what_is_no_moc_is_refused(sky_sources: QueryTables, written: str, message: str) -> None:
    with pytest.raises(AdqlError) as caught:
        translate(f"SELECT {written} FROM events", sky_sources)
    assert message in caught.value.message


def test_pixels_of_the_highest_order_are_those_of_astropy_on_borders_too(
    sky: psycopg.Connection, sky_sources: QueryTables
) -> None:
    """Meridians and parallels on which borders of cells meet, and places within a rounding of them."""
    rng = np.random.default_rng(1)
    edges = np.degrees(np.arcsin([0.1, 1 / 3, 0.5, 0.6, 0.7, 0.9, 0.99]))
    lats = [lat + step for lat in [*edges, *-edges, 0.0, 52.1, -31.1, 12.2, 89.99] for step in (0, 1e-9, -1e-7, 1e-3)]
    lons = [lon + step for lon in np.arange(0, 360, 15) for step in (0, 1e-9, 1e-6, -1e-3)]
    ra, dec = (grid.ravel() for grid in np.meshgrid(np.array(lons) % 360, lats))
    ra = np.concatenate([ra, np.round(rng.uniform(0, 360, 5000), 2), [0.0, 77.0, 0.0, 90.0, 45.0, 135.0]])
    dec = np.concatenate([dec, np.round(rng.uniform(-90, 90, 5000), 1), [90.0, 90.0, -90.0, 60.0, 0.0, 0.0]])
    with sky.cursor() as cursor:
        cursor.execute('CREATE TEMP TABLE places (number int, ra float8, "dec" float8)')
        with cursor.copy("COPY places FROM STDIN") as copy:
            for row in zip(range(len(ra)), ra.tolist(), dec.tolist(), strict=True):
                copy.write_row(row)
        cursor.execute('SELECT km3_healpix(29, radians(ra), radians("dec")) FROM places ORDER BY number')
        found = np.array([row[0] for row in cursor.fetchall()])
    wanted = HEALPix(2**29, order="nested").lonlat_to_healpix(ra * u.deg, dec * u.deg)
    wrong = found != wanted
    # At an odd multiple of 45 degrees corners of cells meet, and the rounding of astropy's arc tangent decides: there a
    # cell is right that holds the place or one within 1e-12 degrees, a hundred-thousandth of a cell.
    corners = ra % 90 == 45
    assert len(found) > 10_000
    assert list(zip(ra[wrong & ~corners].tolist(), dec[wrong & ~corners].tolist(), strict=True)) == []
    places = np.flatnonzero(wrong & corners)
    near = [
        HEALPix(2**29, order="nested").lonlat_to_healpix((ra[places] + x) * u.deg, (dec[places] + y) * u.deg)
        for x in (-1e-12, 0, 1e-12)
        for y in (-1e-12, 0, 1e-12)
    ]
    assert len(places) < 50
    assert (np.array(near) == found[places]).any(axis=0).all()
    items = (
        "ivo_healpix_index(5, NULL, 1), ivo_healpix_index(5, POINT(1, NULL)), ivo_healpix_index(nhits + 30, ra, dec)"
    )
    assert _rows(sky, sky_sources, f"SELECT TOP 1 {items} FROM events") == [(None, None, None)]


def test_the_middle_of_a_pixel_has_a_longitude_from_0_to_360(sky: psycopg.Connection, sky_sources: QueryTables) -> None:
    query = "SELECT TOP 1 COORD1(ivo_healpix_center(6, 13653)), ivo_healpix_center(6, 13653) FROM events"
    lon, lat = HEALPix(2**6, order="nested").healpix_to_lonlat(13653)  # 359.3 degrees, where pgSphere says -0.7
    ((ra, point),) = _rows(sky, sky_sources, query)
    assert ra == pytest.approx(lon.deg, abs=1e-9)
    assert point == pytest.approx([lon.deg, lat.deg], abs=1e-9)
