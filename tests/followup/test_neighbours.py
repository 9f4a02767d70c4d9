"""How far is looked around an event: as far as a density needs, and no further."""

from __future__ import annotations

import math

import pytest

from km3vo.followup import neighbours
from km3vo.followup.neighbours import ENOUGH
from km3vo.followup.places import Place


def test_long_lists_are_looked_through_nearby() -> None:
    search = neighbours.search(Place(10, 20, 0.5), None, None)
    assert search.radius == pytest.approx(0.5 * math.sqrt(2 * math.log(10))) and search.field == pytest.approx(
        5.89, abs=0.01
    )
    assert search.reach(None) == search.reach(0) == search.reach(2000) == search.field
    reach = search.reach(3_000_000)
    assert search.radius < reach < search.field
    # As many rows as are enough, were they spread evenly.
    assert 3_000_000 * (1 - math.cos(math.radians(reach))) / 2 == pytest.approx(ENOUGH)
    assert search.reach(10**9) == 1.5 * search.radius


@pytest.mark.parametrize(("sigma", "radius"), [(None, None), (0.001, None), (30.0, None), (60.0, None), (None, 45.0)])
def test_the_field_is_larger_than_the_circle(sigma: float | None, radius: float | None) -> None:
    search = neighbours.search(Place(0, 90, sigma), None, None, radius)
    assert 0 < search.radius <= 45 and 2 * search.radius <= search.field <= 90 and search.field >= 1
