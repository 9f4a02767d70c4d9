"""Flares."""

from __future__ import annotations

import numpy as np
import pytest

from km3vo.correlation import background, exposure, flare
from km3vo.correlation.flare import Scan, Shape
from km3vo.correlation.lists import Events, Sources
from km3vo.correlation.sphere import separation
from km3vo.errors import ParameterError
from tests.correlation.skies import injected, isotropic

LIVE = exposure.of_runs([57000.0], [58000.0], "runs")


def plain(events: Events, dec: float, ra: float, t0: float, width: float, shape: Shape) -> float:
    """TS less its penalty at the best n_s, from the formula with all events."""
    known = background.of_list(events)
    apart = np.radians(separation(ra, dec, events.ra, events.dec))
    square = np.radians(events.sigma) ** 2
    signal = np.where(apart**2 <= 25 * square, np.exp(-0.5 * apart**2 / square) / (2 * np.pi * square), 0)
    delay = events.timed() - t0
    if shape == "gaussian":
        density = np.exp(-0.5 * (2 * delay / width) ** 2) / (np.sqrt(2 * np.pi) * width / 2)
        density[np.abs(delay) > 2 * width] = 0
    else:
        density = np.where(np.abs(delay) <= width / 2, 1 / width, 0)
    ratio = signal / (known.density(events.dec) / known.total) * density * 1000
    numbers = np.linspace(0, 40, 40_001)[:, None]
    ratio_near = ratio[ratio > 0]
    rest = len(events) - len(ratio_near)
    ts = 2 * np.log1p(numbers / len(events) * (ratio_near - 1)).sum(axis=1) + 2 * rest * np.log1p(
        -numbers[:, 0] / len(events)
    )
    return float(ts.max() - 2 * np.log(1000 / width))


@pytest.mark.parametrize("shape", ["gaussian", "box"])
def test_a_flare_is_found_with_its_time_and_length(shape: Shape) -> None:
    events = injected(isotropic(1, 4000), 1, 8, 120.0, -35.0, 0.5, times=(57400.0, 20.0))
    known, source = background.of_list(events), Sources.points(120.0, -35.0)
    found = flare.search(events, source, known, LIVE, scan=Scan(shape, shortest=2.0))
    assert found.t0[0] == pytest.approx(57400, abs=12)
    assert 8 < found.width[0] < 60
    assert found.n_s[0] == pytest.approx(8, abs=2)
    assert found.ts[0] > 30
    assert found.ts[0] == pytest.approx(
        plain(events, -35.0, 120.0, float(found.t0[0]), float(found.width[0]), shape), abs=1e-4
    )


def test_no_window_of_the_grid_is_better_than_the_one_that_was_found() -> None:
    events = injected(isotropic(2, 2000), 2, 4, 10.0, 50.0, 0.5, times=(57800.0, 10.0))
    scan = Scan("gaussian", shortest=4.0, longest=100.0)
    found = flare.search(events, Sources.points(10.0, 50.0), background.of_list(events), LIVE, scan=scan)
    for width in scan.widths(1000.0)[::3]:
        for t0 in np.arange(57000.0, 58000.0, 25.0):
            assert plain(events, 50.0, 10.0, float(t0), float(width), "gaussian") <= found.ts[0] + 1e-6


def test_where_nothing_is_there_is_no_time() -> None:
    events = isotropic(3, 20)
    empty = Sources.points(np.arange(0, 360, 30), np.full(12, -89.0))
    found = flare.search(events, empty, background.of_list(events), LIVE)
    nothing = found.ts == 0
    assert nothing.any()
    assert np.isnan(found.t0[nothing]).all() and (found.n_s[nothing] == 0).all()


def test_same_seed_same_bytes() -> None:
    events, source = isotropic(4, 500), Sources.points([10.0, 200.0], [-20.0, 40.0])
    known = background.of_list(events)
    found = flare.search(events, source, known, LIVE)
    one, two = (
        flare.scramble(events, source, known, LIVE, found, seed=5, number=12, threads=threads) for threads in (1, 2)
    )
    assert one.largest.tobytes() == two.largest.tobytes()
    assert one.reached.tolist() == two.reached.tolist()


def test_windows_that_are_none() -> None:
    with pytest.raises(ParameterError, match="write the shorter first"):
        Scan(shortest=10.0, longest=5.0).widths(1000.0)
    with pytest.raises(ParameterError, match="too short for 1000 days"):
        Scan(shortest=0.001).widths(1000.0)
    with pytest.raises(ParameterError, match="Widths grow"):
        Scan(growth=1.0).widths(1000.0)
