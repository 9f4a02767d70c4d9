"""Backgrounds of lists."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from km3vo.correlation import background
from km3vo.correlation.lists import Events
from km3vo.errors import ParameterError
from tests.correlation.skies import isotropic


def test_a_background_holds_all_events() -> None:
    events = replace(isotropic(1, 5000), group=np.arange(5000) % 3)
    known = background.of_list(events)
    sin_dec = np.linspace(-1, 1, 20001)
    for group, number in ((None, 5000), (0, 1667), (2, 1666)):
        at = None if group is None else np.full(20001, group)
        density = known.density(np.degrees(np.arcsin(sin_dec)), at)
        assert 2 * np.pi * np.trapezoid(density, sin_dec) == pytest.approx(number, rel=1e-3)


def test_an_isotropic_sky_is_flat_up_to_the_poles() -> None:
    known = background.of_list(isotropic(2, 40_000))
    density = known.density(np.linspace(-90, 90, 181))
    assert density == pytest.approx(40_000 / (4 * np.pi), rel=0.12)


def test_a_horizon_is_not_blurred_away() -> None:
    random = np.random.default_rng(3)
    sin_dec = np.concatenate([random.uniform(-1, 0, 90_000), random.uniform(0, 1, 10_000)])
    dec = np.degrees(np.arcsin(sin_dec))
    events = Events(ra=random.uniform(0, 360, 100_000), dec=dec, sigma=np.ones(100_000))
    known = background.of_list(events)
    assert known.density(-5.0) == pytest.approx(90_000 / (2 * np.pi), rel=0.05)
    assert known.density(5.0) == pytest.approx(10_000 / (2 * np.pi), rel=0.1)


def test_smoothing_keeps_the_sum_at_the_ends() -> None:
    counts = np.zeros(50)
    counts[0] = 7
    assert background.smooth(counts, 4.0).sum() == pytest.approx(7)


def test_poles_and_empty_declinations_are_not_searched() -> None:
    events = replace(isotropic(4, 5000), dec=np.random.default_rng(4).uniform(-80, 40, 5000))
    covered = background.of_list(events).covers(np.array([-89.0, -79.0, 0.0, 39.0, 45.0, 86.0]))
    assert covered.tolist() == [False, True, True, True, False, False]


def test_a_list_that_knows_the_hour_is_found_out() -> None:
    random = np.random.default_rng(5)
    assert background.rayleigh_p(random.uniform(0, 360, 500)) > 0.01
    assert background.rayleigh_p(random.normal(180, 60, 500)) < 1e-10
    assert background.rayleigh_p([]) == 1
    p = [background.rayleigh_p(random.uniform(0, 360, 40)) for _ in range(400)]
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_an_empty_list_has_no_background() -> None:
    with pytest.raises(ParameterError, match="the list is empty"):
        background.of_list(Events(ra=np.empty(0), dec=np.empty(0), sigma=np.empty(0)))
