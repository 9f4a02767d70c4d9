"""What a result says about its columns, and how TOP, MAXREC and names go through."""

from __future__ import annotations

import astropy.units as u
import psycopg
import pytest
from astropy.coordinates import Distance, SkyCoord
from astropy.time import Time

from km3vo.adql import FEATURES, FUNCTIONS, QueryTables, translate
from km3vo.adql.udf import FUNCTIONS as UDFS
from km3vo.catalog.model import Column
from km3vo.errors import AdqlError
from tests.adql.tables import EVENTS, UPLOAD


def _columns(items: str, sources: QueryTables, table: str = "events") -> tuple[Column, ...]:
    return translate(f"SELECT {items} FROM {table}", sources).columns


def test_a_plain_column_keeps_all_it_has(sky_sources: QueryTables) -> None:
    assert translate("SELECT * FROM events", sky_sources).columns == EVENTS.columns
    assert translate("SELECT * FROM TAP_UPLOAD.mine", sky_sources).columns == UPLOAD.columns
    for query in (
        "SELECT q.* FROM (SELECT * FROM events) AS q",
        "WITH c AS (SELECT * FROM events) SELECT * FROM c",
        "SELECT * FROM events UNION ALL SELECT * FROM events",
        "SELECT DISTINCT * FROM events",
    ):
        assert translate(query, sky_sources).columns == EVENTS.columns


@pytest.mark.parametrize(
    ("one", "other", "unit", "ucd"),
    [
        ("ra", "ra", "deg", "pos.eq.ra;meta.main"),
        ("ra", "MAX(ra)", "deg", "pos.eq.ra"),
        ("ra", "dec", "deg", None),
        ("ra", "IN_UNIT(ra, 'rad')", None, None),
        ("energy", "ra", None, None),
        ("energy", "nhits", None, None),
        ("mjd", "ivo_to_jd(obs_time)", "d", None),
        ("POINT(ra, dec)", "POINT(dec, dec)", "deg", "pos.eq"),
    ],
)
def test_a_union_says_what_both_sides_say(
    sky_sources: QueryTables, one: str, other: str, unit: str | None, ucd: str | None
) -> None:
    sides = (f"SELECT {item} AS x FROM events" for item in (one, other))
    (column,) = translate(" UNION ALL ".join(sides), sky_sources).columns
    assert (column.unit, column.ucd) == (unit, ucd)
    assert (column.frame is None) == (ucd is None) and column.time is None
    (column,) = translate(f"SELECT {one} AS x FROM events EXCEPT SELECT {one} FROM events", sky_sources).columns
    assert column.unit == _columns(one, sky_sources)[0].unit
    if one != other and "(" not in one + other:
        sides = (f"(SELECT {item} AS x FROM events) AS {item}" for item in (one, other))
        (column,) = translate("SELECT x FROM {} FULL JOIN {} USING (x)".format(*sides), sky_sources).columns
        assert (column.unit, column.ucd, column.frame, column.time) == (unit, ucd, None, None)


def test_an_alias_changes_the_name_only(sky_sources: QueryTables) -> None:
    renamed, quoted = _columns('ra AS Alpha, dec "my dec"', sky_sources)
    assert (renamed.name, renamed.unit, renamed.ucd) == ("Alpha", "deg", "pos.eq.ra;meta.main")
    assert quoted.name == "my dec"


@pytest.mark.parametrize(
    ("item", "datatype", "unit", "ucd"),
    [
        ("COUNT(*)", "long", None, "meta.number"),
        ("AVG(ra)", "double", "deg", "pos.eq.ra;stat.mean"),
        ("MAX(nhits)", "short", None, "meta.number;stat.max"),
        ("MIN(energy)", "float", "GeV", "phys.energy;stat.min"),
        ("SUM(nhits)", "long", None, None),
        ("AVG(event_id)", "double", None, "meta.id;stat.mean"),
    ],
)
def test_aggregates(sky_sources: QueryTables, item: str, datatype: str, unit: str | None, ucd: str | None) -> None:
    (column,) = _columns(item, sky_sources)
    assert (column.datatype, column.unit) == (datatype, unit)
    if item != "SUM(nhits)":
        assert column.ucd == ucd


@pytest.mark.parametrize(
    ("item", "datatype", "arraysize", "unit"),
    [
        ("2 * ra", "double", None, "deg"),
        ("energy / mjd", "double", None, "GeV.d**-1"),
        ("energy * energy", "float", None, "GeV**2"),
        ("ra / dec", "double", None, None),
        ("ra + 0.5", "double", None, "deg"),
        ("ra + energy", "double", None, None),
        ("SQRT(POWER(ra, 2) + POWER(dec, 2))", "double", None, "deg"),
        ("RADIANS(ra)", "double", None, "rad"),
        ("IN_UNIT(energy, 'TeV')", "double", None, "TeV"),
        ("IN_UNIT(ra + 10, 'rad')", "double", None, "rad"),
        ("DISTANCE(ra, dec, 1, 2)", "double", None, "deg"),
        ("AREA(CIRCLE(ra, dec, 1))", "double", None, "deg**2"),
        ("POINT(ra, dec)", "double", "2", "deg"),
        ("CIRCLE(ra, dec, 1)", "double", "3", "deg"),
        ("BOX(ra, dec, 1, 1)", "double", "*", "deg"),
        ("CAST(ra AS REAL)", "float", None, "deg"),
        ("CAST(ra AS VARCHAR(7))", "char", "7*", None),
        ("'é'", "unicodeChar", "*", None),
        ("'e'", "char", "*", None),
        ("LOWER(author)", "unicodeChar", "*", None),
        ("detector || author", "unicodeChar", "*", None),
        ("detector || 'x'", "char", "*", None),
        ("COALESCE(detector, 'é')", "unicodeChar", "*", None),
        ("MIN(author)", "unicodeChar", "*", None),
        ("MAX(obs_time)", "char", "*", None),
        ("nhits + 1", "int", None, None),
        ("event_id + nhits", "long", None, None),
        ("1", "int", None, None),
        ("10000000000", "long", None, None),
        ("1.5", "double", None, None),
        ("NULL", "char", "*", None),
        ("CONTAINS(POINT(1, 2), CIRCLE(1, 2, 3))", "int", None, None),
        ("ivo_healpix_index(5, ra, dec)", "long", None, None),
        ("ivo_histogram(ra, 0, 360, 10)", "int", "12", None),
    ],
)
def test_computed_columns(
    sky: psycopg.Connection, sky_sources: QueryTables, item: str, datatype: str, arraysize: str | None, unit: str | None
) -> None:
    made = translate(f"SELECT TOP 1 {item} FROM events", sky_sources)
    (column,) = made.columns
    assert (column.datatype, column.arraysize, column.unit) == (datatype, arraysize, unit)
    cursor = sky.execute(made.sql.encode())
    assert cursor.description is not None
    scalar = {
        "int": "int4",
        "long": "int8",
        "float": "float4",
        "double": "float8",
        "char": "text",
        "unicodeChar": "text",
    }
    wanted = scalar[datatype] + ("[]" if arraysize and "har" not in datatype else "")
    if item == "MAX(obs_time)":
        wanted = "timestamp"
        assert column.xtype == "timestamp"
    assert cursor.description[0].type_display == wanted


def test_geometries_say_what_they_are(sky_sources: QueryTables) -> None:
    columns = _columns("POINT(1, 2), CIRCLE(1, 2, 3), POLYGON(1, 2, 3, 4, 5, 7), BOX(1, 2, 3, 4)", sky_sources)
    assert [column.xtype for column in columns] == ["point", "circle", "polygon", "polygon"]


def test_names_are_unique_and_fit_the_database(sky: psycopg.Connection, sky_sources: QueryTables) -> None:
    long = "x" * 100
    items = f'ra, dec AS RA, ra AS ra_2, MAX(nhits), MAX(nhits), 1+1, nhits AS {long}, ra AS "_pos", 1 AS "a""b"'
    made = translate(f"SELECT TOP 1 {items} FROM events GROUP BY ra, dec, nhits", sky_sources)
    names = [column.name for column in made.columns]
    assert names == ["ra", "RA_2", "ra_2_2", "max", "max_2", "col6", long, "_pos", 'a"b']
    cursor = sky.execute(made.sql.encode())
    assert [column.name for column in cursor.description or ()] == [column.sql for column in made.columns]
    assert all(len(column.sql) <= 63 and not column.sql.startswith("_") for column in made.columns)


def test_two_columns_of_one_name_in_a_subquery_may_not_be_named(sky_sources: QueryTables) -> None:
    query = "SELECT {} FROM (SELECT ra, dec AS ra FROM events) AS q"
    assert len(translate(query.format("*"), sky_sources).columns) == 2
    with pytest.raises(AdqlError, match="more than one column"):
        translate(query.format("ra"), sky_sources)


def test_regular_names_match_in_any_case_and_delimited_ones_exactly(sky_sources: QueryTables) -> None:
    for name in ("RA", "Ra", '"ra"', "EVENTS.rA", "Km3Net.Events.RA"):
        assert _columns(name, sky_sources)[0].name == "ra"
    with pytest.raises(AdqlError):
        _columns('"RA"', sky_sources)
    query = 'SELECT q.{} FROM (SELECT ra AS Alpha, dec AS "Delta" FROM events) AS q'
    for name in ("alpha", "ALPHA", '"alpha"', '"Delta"'):
        translate(query.format(name), sky_sources)
    for name in ('"Alpha"', "delta", "Delta"):
        with pytest.raises(AdqlError):
            translate(query.format(name), sky_sources)


def test_uploaded_names_match_in_any_case(sky_sources: QueryTables) -> None:
    assert [column.name for column in _columns('ra, "RA", "my flux"', sky_sources, "tap_upload.Mine")][:2] == [
        "RA",
        "RA_2",
    ]


def test_top_and_maxrec(sky_sources: QueryTables) -> None:
    def limit(query: str, maxrec: int | None) -> str:
        return translate(query, sky_sources, maxrec=maxrec).sql.rsplit(" LIMIT ", 1)[-1]

    assert limit("SELECT TOP 5 ra FROM events", 10) == "5"
    assert limit("SELECT TOP 50 ra FROM events", 10) == "11"
    assert limit("SELECT ra FROM events", 10) == "11"
    assert limit("SELECT ra FROM events", 0) == "0"
    assert limit("SELECT TOP 5 ra FROM events ORDER BY ra OFFSET 3", 10) == "5 OFFSET 3"
    assert limit("SELECT TOP 5 ra FROM events UNION SELECT ra FROM events", 3) == "4"
    assert translate("SELECT TOP 5 ra FROM events", sky_sources).top == 5
    assert translate("SELECT TOP 5 ra FROM events UNION SELECT ra FROM events", sky_sources).top is None


def test_the_tables_that_are_read(sky_sources: QueryTables) -> None:
    query = """WITH c AS (SELECT * FROM events) SELECT * FROM c
               WHERE EXISTS (SELECT 1 FROM TAP_UPLOAD.mine WHERE id = c.event_id)"""
    assert translate(query, sky_sources).tables == {("km3net", "events"), ("TAP_UPLOAD", "mine")}


def test_uploads_are_there_for_one_query() -> None:
    published = QueryTables([EVENTS])
    with_uploads = published.with_uploads([UPLOAD])
    translate("SELECT * FROM TAP_UPLOAD.mine", with_uploads)
    with pytest.raises(AdqlError):
        translate("SELECT * FROM TAP_UPLOAD.mine", published)


def test_grouping_is_checked_before_the_database(sky: psycopg.Connection, sky_sources: QueryTables) -> None:
    good = [
        "SELECT ra+1, COUNT(*) FROM events GROUP BY ra",
        "SELECT ROUND(ra) AS r FROM events GROUP BY r HAVING MAX(dec) > 0 ORDER BY ROUND(ra), COUNT(*)",
        "SELECT e.ra FROM events e GROUP BY e.ra HAVING EXISTS (SELECT 1 FROM TAP_UPLOAD.mine m WHERE m.ra = e.ra)",
        'SELECT "region", AREA("region"), CENTROID("region") FROM events GROUP BY "region"',
        "SELECT p, COORD1(p) FROM (SELECT POINT(ra, dec) AS p FROM events) AS q GROUP BY p",
        "SELECT DISTANCE(ra, dec, 1, 2) FROM events GROUP BY DISTANCE(ra, dec, 1, 2)",
        'SELECT AVG(DISTANCE(ra, dec, 1, 2)), MAX(AREA("region")) FROM events GROUP BY detector',
        "SELECT MAX(ra) - MIN(ra) FROM events",
        "SELECT POINT(ra, dec) FROM events GROUP BY ra, dec",
        "SELECT DISTANCE(ra, dec, 1, 2) AS d FROM events GROUP BY ra, dec ORDER BY d",
        "SELECT 'x', 1 FROM events GROUP BY detector",
        "SELECT 1 FROM events HAVING COUNT(*) > 1",
    ]
    for query in good:
        sky.execute(translate(query, sky_sources, maxrec=1).sql.encode())
    bad = [
        "SELECT ra, COUNT(*) FROM events",
        "SELECT ra FROM events GROUP BY dec",
        "SELECT ra+1 FROM events GROUP BY ra+2",
        "SELECT dec FROM events GROUP BY ra HAVING MAX(ra) > 1",
        "SELECT ra FROM events GROUP BY ra HAVING dec > 1",
        "SELECT ra FROM events GROUP BY ra ORDER BY dec",
        "SELECT * FROM events GROUP BY ra",
        "SELECT ra FROM events HAVING COUNT(*) > 1",
        "SELECT ra FROM events GROUP BY MAX(ra)",
        "SELECT e.ra FROM events e GROUP BY e.ra HAVING EXISTS (SELECT 1 FROM TAP_UPLOAD.mine WHERE id = e.nhits)",
    ]
    for query in bad:
        with pytest.raises(AdqlError):
            translate(query, sky_sources)


def test_joins_by_common_columns_name_them_once(sky: psycopg.Connection, sky_sources: QueryTables) -> None:
    made = translate("SELECT * FROM events a JOIN events b USING (event_id, ra)", sky_sources, maxrec=1)
    names = [column.name for column in made.columns]
    assert names[:3] == ["event_id", "ra", "mjd"] and len(names) == 2 * len(EVENTS.columns) - 2
    sky.execute(made.sql.encode())
    for kind in ("", "LEFT", "RIGHT", "FULL"):
        natural = translate(f"SELECT * FROM events a NATURAL {kind} JOIN events b", sky_sources, maxrec=1)
        assert [column.name for column in natural.columns] == [column.name for column in EVENTS.columns]
        sky.execute(natural.sql.encode())
        assert "_pos" not in natural.sql


def test_every_function_is_declared_and_every_declaration_works() -> None:
    # TAPRegExt's own spelling, the only one in which Debian 12's TOPCAT knows geometry and functions.
    prefix, names = "ivo://ivoa.net/std/TAPRegExt#features-", [feature.type for feature in FEATURES]
    assert names[:2] == [prefix + "udf", prefix + "adqlgeo"]
    assert all(name.startswith(prefix) for name in names)
    declared = {signature.split("(")[0].upper() for signature, _ in FUNCTIONS}
    assert declared == set(UDFS)


# Of the IVOA's catalogue (EN-UDF 1.2) and of its definitions.
@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("ivo_healpix_index(0, 1, 1)", 4),
        ("ivo_healpix_index(17, 1, 1)", 81609757711),
        ("ivo_healpix_index(17, 359, -1)", 73009064944),
        ("ivo_healpix_index(17, POINT('ICRS', 1, 1))", 81609757711),
        ("ivo_healpix_index(17, CENTROID(CIRCLE(359, -1, 3)))", 73009064944),
        ("ivo_healpix_center(0, 6)", [180, 0]),
        ("ivo_healpix_center(17, ivo_healpix_index(17, 23.4, 56.7))", [23.399843462947466, 56.70016214363192]),
        ("ivo_nocasematch('abcabc', 'ab%')", 1),
        ("ivo_nocasematch('ABcabc', 'ab__bc')", 1),
        ("ivo_nocasematch('abcabc', '%BC')", 1),
        ("ivo_nocasematch('abcabc', 'ABCABC')", 1),
        ("ivo_nocasematch('abcabc', 'abcab')", 0),
        ("ivo_hasword('Miller and Urey have', 'miller')", 1),
        ("ivo_hasword('shows that a primordial', 'showing')", 1),
        ("ivo_hasword('shown that a primordial', 'soup')", 0),
        ("ivo_hasword('shown that a primordial', 'shown primordial')", 1),
        ("ivo_hasword('shown that a primordial', 'shown soup')", 0),
        ("ivo_hashlist_has('red#green#blue', 'red')", 1),
        ("ivo_hashlist_has('Red#green#blue', 'red')", 1),
        ("ivo_hashlist_has('red#green#blue', 're')", 0),
        ("ivo_hashlist_has('red#green#blue', 'red#green')", 0),
        ("ivo_interval_overlaps(-2, -3, 2, 3)", 0),
        ("ivo_interval_overlaps(-2, 55.3, 2, 3)", 1),
        ("ivo_interval_overlaps(2, 3, -2, 55.3)", 1),
        ("ivo_interval_overlaps(-2, 55.3, 3, 2)", 0),
        ("ivo_interval_overlaps(-2, 2, 2, 3)", 1),
        ("ivo_to_jd(CAST('2000-01-01T12:00:00' AS TIMESTAMP))", 2451545.0),
        ("ivo_to_mjd('2000-01-01T12:00:00')", 51544.5),
        ("ivo_hms_to_degrees('12:34:56.7')", 188.73625),
        ("ivo_hms_to_degrees('12h34m56.7s')", 188.73625),
        ("ivo_dms_to_degrees('-00 30 00')", -0.5),
        ("ivo_dms_to_degrees('+12:30')", 12.5),
        ("ivo_hms_to_degrees('3:34:45.4')", 53.689166666666667),
        ("ivo_hms_to_degrees('3H34M45.4S')", 53.689166666666667),
        ("ivo_hms_to_degrees('033445.4')", 53.689166666666667),
        ("ivo_dms_to_degrees('-0d15m0s')", -0.25),
        ("ivo_dms_to_degrees('420906.768')", 42.15188),
        ("ivo_dms_to_degrees('-1200906.768')", -120.15188),
        ("ivo_hms_to_degrees('half past three')", None),
        ("ivo_hms_to_degrees('12:61:00')", None),
        ("ivo_dms_to_degrees('')", None),
        ("ivo_dms_to_degrees('1:2:3:4')", None),
        ("ivo_to_jd(NULL)", None),
        ("ivo_to_mjd('1910-12-31T06:00:00')", 19036.25),
        (
            "ivo_epoch_prop_pos(7.606083572, 11.79044105, 125, 300, -428.8, 52.51, 2016.0, 1992.25)",
            [7.604061404627978, 11.7932703828279],
        ),
        (
            "ivo_epoch_prop_pos(7.606083572, 11.79044105, 125, 300, NULL, NULL, 2016.0, 1875.0)",
            [7.594080321498365, 11.790440798509207],
        ),
        (
            "ivo_epoch_prop_pos(7.606083572, 11.79044105, NULL, 300, -428.8, 52.51, 2016.0, 1875.0)",
            [7.594079587020846, 11.807235464339055],
        ),
    ],
)
def test_functions_of_the_ivoa(sky: psycopg.Connection, sky_sources: QueryTables, call: str, value: object) -> None:
    made = translate(f"SELECT TOP 1 {call} FROM events", sky_sources)
    row = sky.execute(made.sql.encode()).fetchone()
    assert row is not None
    assert row[0] == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("ivo_geom_transform('ICRS', 'GALACTIC', POINT(120, -23))", [241.121831182, 3.62785788087]),
        ("ivo_geom_transform('ICRS', 'GALACTIC', CIRCLE(120, -23, 3))", [241.121831182, 3.62785788087, 3]),
        ("ivo_geom_transform('ICRS', 'GALACTIC', CIRCLE(120 + 0 * ra, -23, 3))", [241.121831182, 3.62785788087, 3]),
        (
            "ivo_geom_transform('GALACTIC', 'FK5', POLYGON(5, 3, 4, 4, 4.5, 2))",
            [266.44721, -23.107310, 264.95088, -23.434037, 267.09936, -24.051919],
        ),
        (
            "ivo_geom_transform('GALACTIC', 'FK5', POLYGON(5 + 0 * ra, 3, 4, 4, 4.5, 2))",
            [266.44721, -23.107310, 264.95088, -23.434037, 267.09936, -24.051919],
        ),
    ],
)
def test_shapes_of_any_kind_change_their_coordinate_system(
    sky: psycopg.Connection, sky_sources: QueryTables, call: str, value: list[float]
) -> None:
    row = sky.execute(translate(f"SELECT TOP 1 {call} FROM events", sky_sources).sql.encode()).fetchone()
    assert row is not None
    # The catalogue's numbers are those of an older rotation, 0.02 arc seconds away.
    assert row[0] == pytest.approx(value, abs=2e-5)


@pytest.mark.parametrize(
    ("parallax", "motion", "radial"),
    [(549.01, (-797.84, 10326.93), -110.51), (10.0, (1000.0, -2000.0), 50.0), (20.0, (0.0, 5000.0), 0.0)],
)
def test_stars_move_as_in_astropy(
    sky: psycopg.Connection, sky_sources: QueryTables, parallax: float, motion: tuple[float, float], radial: float
) -> None:
    star = SkyCoord(
        269.45402305 * u.deg,
        4.66828815 * u.deg,
        distance=Distance(parallax=parallax * u.mas),
        pm_ra_cosdec=motion[0] * u.mas / u.yr,
        pm_dec=motion[1] * u.mas / u.yr,
        radial_velocity=radial * u.km / u.s,
        obstime=Time(1990, format="jyear"),
    )
    wanted = star.apply_space_motion(Time(2020, format="jyear"))
    call = f"ivo_epoch_prop_pos(269.45402305, 4.66828815, {parallax}, {motion[0]}, {motion[1]}, {radial}, 1990, 2020)"
    row = sky.execute(translate(f"SELECT TOP 1 {call} FROM events", sky_sources).sql.encode()).fetchone()
    assert row is not None
    # astropy's routine (ERFA's starpm) adds the light's travel time and relativity: some milliarcseconds.
    assert SkyCoord(*row[0], unit="deg").separation(wanted) < 20 * u.mas


def test_aggregates_of_the_ivoa(sky: psycopg.Connection, sky_sources: QueryTables) -> None:
    query = "SELECT ivo_string_agg(detector, '/'), ivo_histogram(event_id, 2, 6, 2) FROM events WHERE event_id < 8"
    row = sky.execute(translate(query, sky_sources).sql.encode()).fetchone()
    assert row is not None
    assert sorted(row[0].split("/")) == ["ARCA"] * 5 + ["ORCA"] * 3
    assert row[1] == [2, 2, 2, 2]
    # NULL counts as being below.
    query = "SELECT ivo_histogram(ra + CAST(NULL AS REAL), 2, 6, 2) FROM events WHERE event_id < 8"
    assert sky.execute(translate(query, sky_sources).sql.encode()).fetchone() == ([8, 0, 0, 0],)


def test_adql_differs_from_postgresql(sky: psycopg.Connection, sky_sources: QueryTables) -> None:
    query = """SELECT TOP 1 LOG(10), LOG10(1000), ROUND(2.5), ROUND(-2.5), ROUND(2.345, 2), ROUND(1250, -2),
        TRUNCATE(-2.7), MOD(-7.5, 2), 7/2, -7/2, 1./2, 'a\\' || 'b' FROM events
        WHERE 'a\\b' LIKE 'a\\%' AND NOT 'A' LIKE 'a' AND 'A' ILIKE 'a'"""
    row = sky.execute(translate(query, sky_sources).sql.encode()).fetchone()
    assert row is not None
    assert row[:-1] == pytest.approx((2.302585092994046, 3, 3, -3, 2.35, 1300, -2, -1.5, 3, -3, 0.5))
    assert row[-1] == "a\\b"
