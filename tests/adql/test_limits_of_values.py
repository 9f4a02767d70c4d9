"""Values at the edge of what is allowed, and units worked out from others."""

from __future__ import annotations

import pytest

from km3vo.adql import QueryTables, parse, translate
from km3vo.adql.units import factor, quotient
from km3vo.errors import AdqlError


def test_numbers_of_rows_have_at_most_eighteen_digits() -> None:
    assert parse(f"SELECT TOP {'9' * 18} ra FROM events")
    with pytest.raises(AdqlError, match="too large"):
        parse(f"SELECT TOP 1{'0' * 18} ra FROM events")


@pytest.mark.parametrize(("radius", "accepted"), [("0", True), ("-0.1", False)])
def test_a_circle_may_be_a_point_but_not_less(sky_sources: QueryTables, radius: str, accepted: bool) -> None:
    query = f"SELECT ra FROM events WHERE 1 = CONTAINS(POINT(ra, dec), CAST('10 20 {radius}' AS CIRCLE))"
    if accepted:
        assert "scircle" in translate(query, sky_sources).sql
        return
    with pytest.raises(AdqlError, match="negative"):
        translate(query, sky_sources)


@pytest.mark.parametrize(("have", "want"), [("deg", "nonsense"), ("nonsense", "deg"), ("nonsense", "rubbish")])
def test_what_is_no_unit_is_converted_neither_from_nor_to(have: str, want: str) -> None:
    assert factor(have, want) is None


def test_units_of_quotients() -> None:
    assert quotient("m", "s") == "m.s**-1"
    assert quotient(None, "s") == "s**-1"
    assert quotient("m", None) == "m"
    assert quotient("m", "m") is None


def test_coordinates_of_a_constant_point(sky_sources: QueryTables) -> None:
    query = "SELECT COORD1(POINT(370, 20)) AS lon, COORD2(POINT(370, 20)) AS lat FROM events"
    assert "10.0" in translate(query, sky_sources).sql and "20.0" in translate(query, sky_sources).sql
