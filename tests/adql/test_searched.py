"""A translation says which stored positions it searches: so uploads know whether an index is worth its making."""

from __future__ import annotations

from dataclasses import replace

import pytest

from km3vo.adql import QueryTables, translate
from tests.adql.tables import EVENTS, UPLOAD

_EVENTS = (("km3net", "events"), ("ra", "dec"))
_ERRORS = (("km3net", "events"), ("ra", "dec", "err50"))
_MINE = (("TAP_UPLOAD", "mine"), ("RA", "DEC"))
_PLACES = (("TAP_UPLOAD", "mine"), ("place",))


@pytest.fixture(scope="module")
def sources() -> QueryTables:
    indexed = replace(UPLOAD, positions={("RA", "DEC"): "_place"}, geometries={"place": "_place_c7"})
    return QueryTables([EVENTS]).with_uploads([indexed])


@pytest.mark.parametrize(
    ("tables", "searched"),
    [
        ("events WHERE DISTANCE(ra, dec, 10, 20) < 1", {_EVENTS}),
        ("events WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 1))", {_EVENTS}),
        ("events WHERE 1 = CONTAINS(POINT(ra, dec), POLYGON(1, 1, 2, 1, 2, 2))", {_EVENTS}),
        ("events WHERE 1 = CONTAINS(POINT(ra, dec), MOC('4/30-33'))", {_EVENTS}),
        ("events WHERE 1 = CONTAINS(POINT(10, 20), CIRCLE(ra, dec, err50))", {_ERRORS}),
        ("events e, mine m WHERE DISTANCE(e.ra, e.dec, m.ra, m.dec) < 1", {_EVENTS, _MINE}),
        ("mine m WHERE DISTANCE(m.place, POINT(10, 20)) < 1", {_PLACES}),
        ("mine m JOIN mine n ON DISTANCE(m.ra, m.dec, n.ra, n.dec) < n.radius", {_MINE}),
        ("(SELECT ra AS x, dec AS y FROM mine) AS q WHERE DISTANCE(x, y, 10, 20) < 1", {_MINE}),
        ("(SELECT place AS p FROM mine) AS q WHERE DISTANCE(p, POINT(10, 20)) < 1", {_PLACES}),
        # No index helps here.
        ("(SELECT TOP 10 ra AS x, dec AS y FROM mine) AS q WHERE DISTANCE(x, y, 10, 20) < 1", set()),
        ("(SELECT ra AS x, dec AS y FROM mine OFFSET 3) AS q WHERE DISTANCE(x, y, 10, 20) < 1", set()),
        ("events WHERE ra > 10", set()),
        ("events WHERE DISTANCE(ra, dec, 10, 20) > 1", set()),
        ("events WHERE 0 = CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 1))", set()),
        ("events WHERE DISTANCE(ra + 1, dec, 10, 20) < 1", set()),
        ("events WHERE '\"_pos\" <@' = detector", set()),
    ],
)
def test_the_positions_that_are_searched(sources: QueryTables, tables: str, searched: set[object]) -> None:
    assert translate(f"SELECT COUNT(*) FROM {tables}", sources).searched == searched
