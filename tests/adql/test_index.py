"""What is searched by position is found by the index."""

from __future__ import annotations

import psycopg
import pytest

from km3vo.adql import QueryTables, translate

pytestmark = pytest.mark.slow

_CROSSMATCHES = [
    "DISTANCE(e.ra, e.dec, m.ra, m.dec) < 0.1",
    "0.1 > DISTANCE(m.ra, m.dec, e.ra, e.dec)",
    "DISTANCE(POINT(m.ra, m.dec), POINT(e.ra, e.dec)) <= 6/60.",
    "1 = CONTAINS(POINT(e.ra, e.dec), CIRCLE(m.ra, m.dec, 0.1))",
    "CONTAINS(POINT(m.ra, m.dec), CIRCLE(e.ra, e.dec, 0.1)) = 1",
    "1 = CONTAINS(POINT(e.ra, e.dec), CIRCLE(m.ra, m.dec, m.radius))",
    "1 = CONTAINS(POINT('', e.ra, e.dec), CIRCLE('', POINT(m.ra, m.dec), 0.1))",
    "1 = CONTAINS(m.place, CIRCLE(POINT(e.ra, e.dec), 0.1))",
    "1 = INTERSECTS(POINT(e.ra, e.dec), CIRCLE(m.ra, m.dec, 0.1))",
    # Radii of either side.
    "DISTANCE(e.ra, e.dec, m.ra, m.dec) < m.radius",
    "2 * m.radius + 0.01 >= DISTANCE(m.place, POINT(e.ra, e.dec))",
    "DISTANCE(e.ra, e.dec, m.ra, m.dec) BETWEEN 0.01 AND m.radius",
    "1 = CONTAINS(POINT(e.ra, e.dec), m.field)",
    "DISTANCE(e.ra, e.dec, m.ra, m.dec) <= e.err50",
    "e.err50 > DISTANCE(m.place, POINT(e.ra, e.dec))",
    "1 = INTERSECTS(CIRCLE(e.ra, e.dec, e.err50), CIRCLE(m.ra, m.dec, m.radius))",
    "1 = CONTAINS(CIRCLE(e.ra, e.dec, e.err50), CIRCLE(m.ra, m.dec, 20 * m.radius))",
    "1 = CONTAINS(m.field, CIRCLE(e.ra, e.dec, e.err50))",
]
_SAME = _CROSSMATCHES[:5] + _CROSSMATCHES[6:7] + _CROSSMATCHES[8:9]


@pytest.mark.parametrize(
    "condition",
    [
        "1 = CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 1))",
        "CONTAINS(POINT('ICRS', ra, dec), CIRCLE('ICRS', 10, 20, 1/2.)) = 1",
        "CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 1)) <> 0",
        "1 = CONTAINS(POINT(10, 20), CIRCLE(ra, dec, 1))",
        "1 = INTERSECTS(CIRCLE(10, 20, 1), POINT(ra, dec))",
        "DISTANCE(ra, dec, 10, 20) < 1",
        "DISTANCE(POINT(10, 20), POINT(ra, dec)) <= 1",
        "1 > DISTANCE(10, 20, ra, dec)",
        "DISTANCE(ra, dec, 10, 20) BETWEEN 0.1 AND 1",
        "1 = CONTAINS(POINT(ra, dec), BOX(10, 20, 1, 1))",
        "1 = CONTAINS(POINT(ra, dec), POLYGON(10, 20, 11, 20, 11, 21))",
        "1 = CONTAINS(POINT(ra, dec), REGION('CIRCLE ICRS 10 20 1'))",
        "1 = CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 1)) AND energy > 10",
        "1 = CONTAINS(POINT(ra, dec), CIRCLE(1, 2, 1)) OR 1 = CONTAINS(POINT(ra, dec), CIRCLE(9, 9, 1))",
        # My source inside the event's error circle.
        "1 = CONTAINS(POINT(10, 20), CIRCLE(ra, dec, err50))",
        "CONTAINS(POINT(10, 20), CIRCLE('', ra, dec, err50)) = 1",
        "1 = CONTAINS(POINT(10, 20), CIRCLE(POINT(ra, dec), err50))",
        "DISTANCE(ra, dec, 10, 20) <= err50",
        "err50 > DISTANCE(POINT(10, 20), POINT(ra, dec))",
        "1 = INTERSECTS(CIRCLE(ra, dec, err50), CIRCLE(10, 20, 0.1))",
        "1 = CONTAINS(CIRCLE(10, 20, 0.1), CIRCLE(ra, dec, err50))",
    ],
)
def test_a_search_uses_the_index(sky: psycopg.Connection, sky_sources: QueryTables, condition: str) -> None:
    for table in ("events", "(SELECT * FROM events WHERE nhits > 3) AS q"):
        plan = _plan(sky, sky_sources, f"SELECT event_id, ra, dec FROM {table} WHERE {condition}")
        assert "Index Scan" in plan and "Seq Scan" not in plan, plan


def test_a_search_in_a_common_table_uses_the_index(sky: psycopg.Connection, sky_sources: QueryTables) -> None:
    query = """WITH bright AS (SELECT event_id, ra AS alpha, dec AS delta FROM events WHERE energy > 100)
               SELECT * FROM bright WHERE DISTANCE(alpha, delta, 10, 20) < 1"""
    assert "Index Scan" in _plan(sky, sky_sources, query)


@pytest.mark.parametrize("condition", _CROSSMATCHES)
@pytest.mark.parametrize(
    "tables", ["events AS e JOIN TAP_UPLOAD.mine AS m ON {}", "TAP_UPLOAD.mine m, events e WHERE {}"]
)
def test_a_crossmatch_uses_the_index(
    sky: psycopg.Connection, sky_sources: QueryTables, tables: str, condition: str
) -> None:
    plan = _plan(sky, sky_sources, f"SELECT * FROM {tables.format(condition)}")
    assert "Index Scan" in plan and "Seq Scan on events_public" not in plan, plan


def test_the_forms_of_a_crossmatch_find_the_same_rows(sky: psycopg.Connection, sky_sources: QueryTables) -> None:
    # ADQL 2.1 §4.2.8
    found = set()
    for condition in _SAME:
        query = f"SELECT event_id, id FROM events e JOIN TAP_UPLOAD.mine m ON {condition}"
        found.add(frozenset(sky.execute(translate(query, sky_sources).sql.encode()).fetchall()))
    (rows,) = found
    assert len(rows) >= 200


@pytest.mark.parametrize("radius", ["-m.radius", "0 * m.radius", "m.radius", "600 * m.radius", "4000 * m.radius"])
@pytest.mark.parametrize("operator", ["<", "<=", ">", ">="])
def test_a_radius_from_a_column_may_be_any(
    sky: psycopg.Connection, sky_sources: QueryTables, radius: str, operator: str
) -> None:
    """What the index finds is what measuring each distance finds, also with radii below 0 and beyond 90 degrees."""
    apart = "DISTANCE(e.ra, e.dec, m.ra, m.dec)"
    found: list[int] = []
    for condition in (f"{apart} {operator} {radius}", f"{apart} - ({radius}) {operator} 0"):
        query = f"SELECT COUNT(*) FROM events e JOIN TAP_UPLOAD.mine m ON {condition} WHERE m.id < 1000"
        found += sky.execute(translate(query, sky_sources).sql.encode()).fetchone() or ()
    assert found[0] == found[1]


def test_a_radius_that_is_not_known_finds_nothing(sky: psycopg.Connection, sky_sources: QueryTables) -> None:
    for shape in (
        "DISTANCE(e.ra, e.dec, m.ra, m.dec) < {}",
        "1 = CONTAINS(POINT(e.ra, e.dec), CIRCLE(m.ra, m.dec, {}))",
    ):
        for condition in (shape, "NOT " + shape):
            condition = condition.format("m.radius + CAST(NULL AS DOUBLE PRECISION)")
            query = f"SELECT COUNT(*) FROM events e JOIN TAP_UPLOAD.mine m ON {condition} WHERE m.id < 1000"
            assert sky.execute(translate(query, sky_sources).sql.encode()).fetchone() == (0,)


def test_strings_numbers_and_times_keep_their_indexes(sky: psycopg.Connection, sky_sources: QueryTables) -> None:
    with sky.transaction(force_rollback=True):
        for column in ("energy", "obs_time", "detector", "event_id"):
            sky.execute(f"CREATE INDEX ON km3net.events_public ({column})".encode())
        sky.execute("SET LOCAL enable_seqscan = off")
        for condition in ("energy > 99999", "obs_time > '2022-09-01'", "detector = 'X'", "event_id IN (1, 2, 3)"):
            plan = _plan(sky, sky_sources, f"SELECT event_id FROM events WHERE {condition}")
            assert "Index Cond" in plan, plan


def _plan(sky: psycopg.Connection, sources: QueryTables, query: str) -> str:
    made = translate(query, sources)
    return "\n".join(row[0] for row in sky.execute(b"EXPLAIN " + made.sql.encode()))
