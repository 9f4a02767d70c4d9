"""Readers may call what their queries become: their logins have the right to listed functions only."""

from __future__ import annotations

import psycopg
import pytest

from km3vo.adql import translate
from km3vo.catalog.files import read_catalog
from km3vo.database.logins import PUBLIC, Database
from km3vo.embargo import partitions
from km3vo.settings import Settings

pytestmark = pytest.mark.slow

_VALUES = [
    *("DISTANCE(ra, dec, 10, 20)", "DISTANCE(POINT(ra + 0 * (energy + energy + energy + energy), dec), POINT(1, 2))"),
    *("POINT('GALACTIC', ra, dec)", "CIRCLE('FK5', ra, dec, err50)", "BOX(1, 2, 3, 4)", "BOX(ra, dec, 3, 4)"),
    *("POLYGON(ra, dec, ra + 1, dec, ra + 1, dec * 0.9)", "AREA(POLYGON(1, 2, 3, 4, 5, 2))", "AREA(CIRCLE(1, 2, 3))"),
    *(
        "CENTROID(POLYGON(1, 2, 3, 4, 5 + err50, 2))",
        "COORD1(POINT(ra, dec))",
        "MOC('3/1-5')",
        "MOC(4, CIRCLE(1, 2, 3))",
    ),
    *("MOC(4, POINT(ra, dec))", "gavo_mocunion(MOC('3/1'), MOC(3, POLYGON(1, 2, 3, 4, 5, 2)))"),
    *(
        "ivo_healpix_index(6, ra, dec)",
        "ivo_healpix_center(6, 100)",
        "ivo_to_mjd(obs_time)",
        "ivo_hms_to_degrees('1:2:3')",
    ),
    *("ivo_normal_random(1, 2)", "ivo_geom_transform('ICRS', 'GALACTIC', POINT(ra, dec))", "ivo_hasword('a b', 'a')"),
    "ivo_epoch_prop_pos(ra, dec, 1, 2, 3, 4, 2000, 2010)",
    *("ROUND(ra, 2)", "TRUNCATE(2.5)", "MOD(ra, 7)", "POWER(ra, 2)", "LOG10(10)", "RAND()", "COALESCE(ra, dec)"),
    *(
        "CAST(5 AS VARCHAR)",
        "CAST('5' AS INTEGER)",
        "CAST('5.5' AS REAL)",
        "CAST('2020-01-01' AS TIMESTAMP)",
        "'a' || 5",
    ),
    *(
        "CAST(obs_time AS VARCHAR)",
        "CAST(ra AS VARCHAR(3))",
        "CAST('1 2' AS POINT)",
        "CAST(CAST(ra AS VARCHAR) AS REAL)",
    ),
    *("CAST('5' || '6' AS INTEGER)", "CAST('2020-01-0' || '1' AS TIMESTAMP)", "'a' || 1.5 || ra"),
    *("ivo_histogram(ra, 0, 360, 3)", "ivo_string_agg('a', ',')", "COUNT(DISTINCT ivo_healpix_index(3, ra, dec))"),
]
_CONDITIONS = [
    "DISTANCE(ra, dec, 10, 20) < 100 AND DISTANCE(ra, dec, 10, 20) > 1",
    "DISTANCE(ra, dec, 10, 20) < err50 OR 1 = CONTAINS(POINT(10, 20), CIRCLE(ra, dec, err50))",
    "1 = CONTAINS(POINT(ra, dec), CIRCLE(10, 20, energy)) OR 1 = INTERSECTS(CIRCLE(ra, dec, err50), CIRCLE(1, 2, 99))",
    "1 = CONTAINS(POINT(ra, dec), MOC('3/1-50')) OR 1 = INTERSECTS(MOC('3/1-5'), MOC('2/1'))",
    "1 = CONTAINS(POINT(ra, dec), POLYGON(10, 20, 11, 20, 11, 21))",
    "1 = INTERSECTS(CIRCLE(ra, dec, err50), BOX(1, 2, 3, 4))",
    "1 = ivo_nocasematch(detector, 'a%') OR 1 = ivo_hashlist_has(detector, 'a')",
    "1 = ivo_interval_overlaps(1, 2, 3, ra)",
]


@pytest.mark.parametrize(
    "query",
    [
        *(f"SELECT TOP 3 {value} FROM km3net.events" for value in _VALUES),
        *(f"SELECT COUNT(*) FROM km3net.events WHERE {condition}" for condition in _CONDITIONS),
    ],
)
def test_the_public_login_may_run_what_is_made_of_a_query(published: Database, query: str) -> None:
    sources = partitions.sources(read_catalog(Settings().schemas), "public")
    with psycopg.connect(published.conninfo(PUBLIC)) as connection:
        assert connection.execute(translate(query, sources).sql.encode()).fetchall()
