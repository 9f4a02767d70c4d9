"""The likelihood, against the plain formula and a general minimiser."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize

from km3vo.correlation import background, exposure, likelihood, stacking
from km3vo.correlation.background import Background
from km3vo.correlation.likelihood import Reach
from km3vo.correlation.lists import Events, Sources
from km3vo.correlation.sphere import separation
from km3vo.errors import ParameterError
from tests.correlation.skies import injected, isotropic


def plain(events: Events, known: Background, ra: float, dec: float, sigma: float = 0.0) -> tuple[float, float]:
    """TS and n_s from the formula, with all events at once."""
    reach = Reach()
    apart = np.radians(separation(ra, dec, events.ra, events.dec))
    square = np.radians(events.sigma) ** 2 + np.radians(sigma) ** 2
    signal = np.exp(-0.5 * apart**2 / square) / (2 * np.pi * square)
    signal[(apart**2 > reach.sigmas**2 * square) | (apart > np.radians(reach.degrees))] = 0
    ratio = signal / (known.density(events.dec) / known.total)

    def minus(n_s: float) -> float:
        return -2 * float(np.log1p(n_s / len(events) * (ratio - 1)).sum())

    found = optimize.minimize_scalar(minus, bounds=(0, 0.9 * len(events)), method="bounded", options={"xatol": 1e-9})
    return max(0.0, -found.fun), found.x


@pytest.mark.parametrize("sigma", [0.0, 1.0])
def test_fits_are_those_of_a_general_minimiser(sigma: float) -> None:
    events = injected(isotropic(1, 1500), 1, 15, 120.0, -35.0, 0.5)
    known = background.of_list(events)
    positions = [(120.0, -35.0), (120.4, -34.8), (0.1, 60.0), (359.9, 60.0), (200.0, 88.0), (77.0, -89.0)]
    sources = Sources(
        ra=np.array([p[0] for p in positions]), dec=np.array([p[1] for p in positions]), sigma=np.full(6, sigma)
    )
    fit = likelihood.search(events, sources, known)
    for number, (ra, dec) in enumerate(positions):
        ts, n_s = plain(events, known, ra, dec, sigma)
        assert fit.ts[number] == pytest.approx(ts, rel=1e-6, abs=1e-6)
        assert fit.n_s[number] == pytest.approx(n_s, rel=1e-3, abs=1e-3)
    assert fit.ts[0] > 30


def test_the_upper_limit_lies_where_the_statistic_has_fallen() -> None:
    events = injected(isotropic(2, 1500), 2, 10, 120.0, -35.0, 0.5)
    known = background.of_list(events)
    sources = Sources.points([120.0, 300.0], [-35.0, 10.0])
    fit = likelihood.search(events, sources, known, limits=True)
    assert (fit.upper > fit.n_s).all()
    for number in range(2):
        apart = np.radians(separation(sources.ra[number], sources.dec[number], events.ra, events.dec))
        square = np.radians(events.sigma) ** 2
        near = (apart**2 <= 25 * square) & (apart <= np.radians(15))
        signal = np.where(near, np.exp(-0.5 * apart**2 / square) / (2 * np.pi * square), 0)
        ratio = signal / (known.density(events.dec) / known.total)
        at_limit = 2 * np.log1p(fit.upper[number] / len(events) * (ratio - 1)).sum()
        assert fit.ts[number] - at_limit == pytest.approx(1.6424, abs=1e-3)


def test_seasons_with_their_own_backgrounds_share_a_signal_by_acceptance() -> None:
    events = isotropic(3, 2000)
    group = (np.arange(2000) % 4 == 0).astype(np.int64)
    # The second season sees the north only.
    events = replace(events, group=group, dec=np.where(group == 1, np.abs(events.dec), events.dec))
    known = background.of_list(events)
    dec = np.linspace(-90, 90, 181)
    accepted = np.stack([np.full(181, 3.0), np.where(dec > 0, 1.0, 0.0)])
    shares = background.shares_of_signal(events, dec, accepted)
    assert shares[(group == 0) & (events.dec < -1)] == pytest.approx(1.0)
    assert shares[(group == 0) & (events.dec > 1)] == pytest.approx(0.75)
    assert shares[(group == 1) & (events.dec > 1)] == pytest.approx(0.25)
    ratio = known.inverse(events, shares) / known.total
    assert ratio == pytest.approx(shares / known.density(events.dec, group))
    with pytest.raises(ParameterError, match="configuration of each event"):
        background.shares_of_signal(isotropic(3, 10), dec, accepted)


def test_weights_make_a_source_of_rare_events_stand_out() -> None:
    events = injected(isotropic(4, 3000, 0.6), 4, 6, 50.0, 30.0, 0.6)
    weight = np.ones(3000)
    weight[-6:] = 20.0
    known = background.of_list(events)
    plainly = likelihood.search(events, Sources.points(50.0, 30.0), known)
    weighted = replace(events, weight=background.weights_in_bands(events, weight))
    assert weighted.weight is not None
    assert weighted.weight[events.dec > 24].mean() == pytest.approx(1, abs=0.1)
    better = likelihood.search(weighted, Sources.points(50.0, 30.0), known)
    assert better.ts[0] > plainly.ts[0] + 5


def test_a_window_sharpens_what_lies_in_it() -> None:
    events = injected(isotropic(5, 4000), 5, 4, 80.0, 10.0, 0.5, times=(57500.0, 0.5))
    known, live = background.of_list(events), exposure.of_runs([57000.0], [58000.0], "runs")
    always = likelihood.search(events, Sources.points(80.0, 10.0), known)
    window = Sources.transient(np.array([80.0]), np.array([10.0]), np.zeros(1), np.array([57500.0]), 1.0, 1.0)
    then = likelihood.search(events, window, known, exposure=live)
    assert then.n_s[0] == pytest.approx(4, abs=0.6)
    assert then.ts[0] > always.ts[0] + 20
    # While no data are taken nothing can be seen.
    off = replace(window, start=np.array([60000.0]), stop=np.array([60001.0]))
    assert likelihood.search(events, off, known, exposure=live).ts[0] == 0
    with pytest.raises(ParameterError, match="live-time"):
        likelihood.search(events, window, known)


def test_same_seed_same_bytes_with_any_number_of_threads() -> None:
    events = isotropic(6, 1000)
    known = background.of_list(events)
    sources = Sources.points(np.arange(0, 360, 3), np.linspace(-80, 80, 120))
    fit = likelihood.search(events, sources, known)
    again = likelihood.search(events, sources, known, threads=2)
    assert fit.ts.tobytes() == again.ts.tobytes()
    one, two, other = (
        likelihood.scramble(events, sources, known, fit, seed=seed, number=20, threads=threads)
        for seed, threads in ((7, 1), (7, 2), (8, 1))
    )
    for name in ("reached", "surpassed", "largest", "stacked"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()
    assert one.largest.tobytes() != other.largest.tobytes()


def test_work_ends_when_progress_says_so() -> None:
    events = isotropic(6, 1000)
    known = background.of_list(events)
    sources = Sources.points(np.arange(0, 360, 3), np.linspace(-80, 80, 120))
    fit = likelihood.search(events, sources, known)
    told = []

    def stop(done: int, total: int) -> None:
        told.append(done)
        if done == 5:
            raise KeyboardInterrupt

    for threads in (1, 2):
        told.clear()
        with pytest.raises(KeyboardInterrupt):
            likelihood.scramble(events, sources, known, fit, seed=1, number=10_000, threads=threads, progress=stop)
        assert told == [0, 1, 2, 3, 4, 5]


def test_many_weak_sources_are_seen_together() -> None:
    events = isotropic(9, 4000, 0.5)
    ra, dec = np.arange(0, 360, 6.0), np.linspace(-70, 70, 60)
    for number in range(60):
        moved = injected(events, number, 1, float(ra[number]), float(dec[number]), 0.5)
        order = np.roll(np.arange(4000), 1)
        events = Events(ra=moved.ra[order], dec=moved.dec[order], sigma=moved.sigma[order])
    known, sources = background.of_list(events), Sources.points(ra, dec)
    fit = likelihood.search(events, sources, known)
    assert fit.ts.max() < 16
    weight = stacking.weights(None, 60)
    scrambled = likelihood.scramble(events, sources, known, fit, seed=1, number=300, weights=weight)
    stack = stacking.stack(fit, scrambled, weight)
    assert stack.ts == pytest.approx(fit.ts.sum())
    assert stack.reached < 3
    assert np.isnan(stack.p)


def test_weights_of_a_stack() -> None:
    assert stacking.weights([1.0, 3.0], 2).tolist() == [0.5, 1.5]
    for wrong in ([1.0, -1.0], [0.0, 0.0], [1.0, np.nan], [1.0]):
        with pytest.raises(ParameterError, match="Weights are numbers"):
            stacking.weights(wrong, 2)


def test_reach_is_bounded() -> None:
    with pytest.raises(ParameterError, match="up to 10 sigma"):
        Reach(sigmas=0)
