"""p-values are what they say: uniform where there is no source, and small where there is one.

A few lists here; `make test-statistics` tries as many as docs/correlate.md speaks of.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from km3vo.correlation import background, counting, exposure, flare, likelihood, skymap
from km3vo.correlation.exposure import Exposure
from km3vo.correlation.flare import Scan
from km3vo.correlation.lists import Events, Sources
from km3vo.correlation.pairs import Circle
from km3vo.correlation.sphere import separation
from tests.correlation.skies import injected, isotropic

LISTS = int(os.environ.get("KM3VO_TEST_NULL", "24"))
SCRAMBLES = 99
LIVE = exposure.of_runs([57000.0], [58000.0], "runs")
SOURCES = Sources.points(np.arange(0, 360, 18), np.degrees(np.arcsin(np.linspace(-0.95, 0.95, 20))))
TRANSIENTS = Sources.transient(SOURCES.ra, SOURCES.dec, np.full(20, 3.0), np.linspace(57050, 57950, 20), 50.0, 50.0)


def rank(observed: float, scrambled: np.ndarray, seed: int) -> float:
    """The part of all lists that are as large as the one observed; equal ones are put in order by chance."""
    larger = np.count_nonzero(scrambled > observed)
    equal = np.count_nonzero(scrambled == observed) + 1
    return float((larger + np.random.default_rng((seed, 1)).uniform() * equal) / (len(scrambled) + 1))


def by_count(seed: int) -> float:
    events, circle = isotropic(seed, 600), Circle(0.9)
    counted = counting.count(events, TRANSIENTS, circle, LIVE)
    found = counting.scramble(events, TRANSIENTS, circle, counted, seed=seed, number=SCRAMBLES)
    return rank(float(counted.number.sum()), found.totals, seed)


def by_likelihood(
    seed: int, sources: Sources = SOURCES, live: Exposure | None = None, *, stacked: bool = False
) -> float:
    events = isotropic(seed, 600)
    known = background.of_list(events)
    fit = likelihood.search(events, sources, known, exposure=live)
    found = likelihood.scramble(events, sources, known, fit, seed=seed, number=SCRAMBLES, exposure=live)
    if stacked:
        return rank(float(fit.ts.sum()), found.stacked, seed)
    return rank(float(fit.ts.max()), found.largest, seed)


def by_likelihood_in_time(seed: int) -> float:
    return by_likelihood(seed, TRANSIENTS, LIVE)


def by_stack(seed: int) -> float:
    return by_likelihood(seed, stacked=True)


def by_flare(seed: int) -> float:
    events, scan = isotropic(seed, 400), Scan(shortest=10.0, growth=1.5)
    known, few = background.of_list(events), Sources.points(SOURCES.ra[::4], SOURCES.dec[::4])
    found = flare.search(events, few, known, LIVE, scan=scan)
    scrambled = flare.scramble(events, few, known, LIVE, found, seed=seed, number=SCRAMBLES, scan=scan)
    return rank(float(found.ts.max()), scrambled.largest, seed)


def by_map(seed: int) -> float:
    events = isotropic(seed, 300)
    recipe = skymap.Recipe(nside=8, spots=3)
    made = skymap.make(events, background.of_list(events), recipe, seed=seed, scrambles=SCRAMBLES)
    return rank(made.spots[0].statistic, made.hottest, seed)


@pytest.mark.slow
@pytest.mark.parametrize("method", [by_count, by_likelihood, by_likelihood_in_time, by_stack, by_flare, by_map])
def test_p_is_uniform_where_there_is_no_source(method: Callable[[int], float]) -> None:
    # A map takes as long as ten other searches.
    p = [method(seed) for seed in range(max(8, LISTS // 4) if method is by_map else LISTS)]
    uniform = stats.kstest(p, "uniform").pvalue
    sys.stdout.write(f"{method.__name__}: {len(p)} lists, p of uniformity {uniform:.3f}\n")
    assert uniform > 0.005


def test_the_tail_of_half_a_chi2_is_not_underestimated() -> None:
    """P(TS > 9) must not be above the 0.00135 that is printed for it."""
    sources = Sources.points(np.arange(0, 360, 2), np.tile([-60.0, -20.0, 15.0, 50.0], 45))
    large = total = 0
    for seed in range(60):
        events = isotropic(1000 + seed, 2000)
        ts = likelihood.search(events, sources, background.of_list(events)).ts
        large += int(np.count_nonzero(ts > 9))
        total += len(ts)
    # Three standard deviations of a count above what may be.
    assert large < total * 0.00135 + 3 * np.sqrt(total * 0.00135)


def found_where_put(seed: int) -> bool:
    """Whether a source of 20 events of 0.3 degrees is the hottest spot, within 0.3 degrees and with 20 ± 5 events."""
    random = np.random.default_rng(seed)
    ra, dec = random.uniform(0, 360), float(np.degrees(np.arcsin(random.uniform(-0.9, 0.9))))
    events: Events = injected(isotropic(seed, 8000, (0.2, 1.0)), seed, 20, ra, dec, 0.3)
    hottest = skymap.make(events, background.of_list(events), skymap.Recipe(spots=2)).spots[0]
    near = separation(ra, dec, hottest.ra, hottest.dec) < 0.3
    return bool(near and abs(hottest.n_s - 20) <= 5)


@pytest.mark.slow
def test_a_source_is_found_where_it_was_put() -> None:
    lists = 100 if LISTS >= 100 else 12
    found = sum(found_where_put(seed) for seed in range(lists))
    sys.stdout.write(f"sources found: {found} of {lists}\n")
    assert found >= 0.95 * lists - (lists < 100)
