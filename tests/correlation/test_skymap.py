"""Maps of significance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from km3vo.correlation import background, band, skymap
from km3vo.correlation.lists import Events
from km3vo.correlation.skymap import Method, Recipe
from km3vo.correlation.sphere import separation
from km3vo.errors import ParameterError
from tests.correlation.skies import injected, isotropic


@pytest.mark.parametrize("method", ["likelihood", "count", "kernel"])
def test_every_method_finds_a_source(method: Method) -> None:
    events = injected(isotropic(1, 6000), 1, 40, 222.0, -41.0, 0.6)
    made = skymap.make(events, background.of_list(events), Recipe(method, nside=32, radius=1.0))
    hottest = made.spots[0]
    assert separation(222.0, -41.0, hottest.ra, hottest.dec) < 0.4
    assert 20 < hottest.n_s < 60
    assert hottest.p_local < 1e-8
    assert np.isnan(hottest.p_post)
    pixel = np.nanargmax(made.statistic)
    ra, dec = skymap.centres(32)
    assert separation(222.0, -41.0, ra[pixel], dec[pixel]) < 2
    # Between the pixels it is hotter.
    assert hottest.statistic >= made.statistic[pixel]
    assert made.log10_p[pixel] > 6


def test_poles_and_the_unseen_sky_are_not_filled() -> None:
    events = isotropic(2, 3000)
    events = replace(events, dec=-np.abs(events.dec))
    made = skymap.make(events, background.of_list(events), Recipe(nside=16))
    _, dec = skymap.centres(16)
    for column in (made.statistic, made.n_s, made.log10_p):
        assert np.isnan(column[(dec > 2) | (dec < -85)]).all()
        assert np.isfinite(column[(dec < -2) & (dec > -84)]).all()


def test_spots_are_apart_and_in_order() -> None:
    events = isotropic(3, 4000)
    spots = skymap.make(events, background.of_list(events), Recipe(nside=32)).spots
    heights = [spot.statistic for spot in spots]
    assert heights == sorted(heights, reverse=True)
    for number, spot in enumerate(spots):
        others = spots[:number]
        assert all(separation(spot.ra, spot.dec, other.ra, other.dec) > 3 for other in others)


def test_a_scrambled_map_says_what_the_hottest_spot_is_worth() -> None:
    quiet = isotropic(11, 500)
    made = skymap.make(quiet, background.of_list(quiet), Recipe(nside=16, spots=3), seed=3, scrambles=60)
    assert 0.02 < made.p_global <= 1
    loud = injected(quiet, 4, 15, 100.0, 20.0, 0.4)
    made = skymap.make(loud, background.of_list(loud), Recipe(nside=16, spots=3), seed=3, scrambles=60, threads=2)
    assert (made.hottest < made.spots[0].statistic).all()
    # None of 60 is as hot: the p is below 1/60, and that is not printed as one.
    assert np.isnan(made.p_global)


def test_same_seed_same_bytes() -> None:
    events = isotropic(5, 800)
    known = background.of_list(events)
    one, two = (
        skymap.make(events, known, Recipe(nside=16), seed=2, scrambles=8, threads=threads) for threads in (1, 2)
    )
    assert one.statistic.tobytes() == two.statistic.tobytes()
    assert one.hottest.tobytes() == two.hottest.tobytes()
    assert repr(one.spots) == repr(two.spots)  # NaN is not equal to itself


def test_progress_comes_to_its_end() -> None:
    events, told = isotropic(6, 800), []
    skymap.make(
        events,
        background.of_list(events),
        Recipe(nside=16),
        scrambles=3,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told[-1] == (3, 3)


def test_a_list_without_neighbours_has_no_map() -> None:
    few = Events(ra=np.arange(3.0), dec=np.array([-60.0, 0.0, 60.0]), sigma=np.ones(3))
    with pytest.raises(ParameterError, match="enough events at the same declination"):
        skymap.make(few, background.of_list(few))


@pytest.mark.parametrize(("changes", "words"), [({"nside": 65}, "power of 2"), ({"radius": 0.0}, "0.1 to 20")])
def test_recipes_that_are_none(changes: dict[str, float], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        Recipe(**changes)  # type: ignore[arg-type]


def test_counts_in_discs_are_normal_where_there_is_no_source() -> None:
    events = isotropic(7, 20_000)
    ra, dec = skymap.centres(16)
    z, excess = band.counted(events, ra[np.abs(dec) < 80], dec[np.abs(dec) < 80], 5.0)
    assert z.mean() == pytest.approx(0, abs=0.1)
    assert z.std() == pytest.approx(1, abs=0.1)
    assert excess.mean() == pytest.approx(0, abs=0.5)


def test_kernels_have_the_mean_and_spread_of_scrambled_lists() -> None:
    events = isotropic(8, 3000)
    events = replace(events, dec=np.where(events.dec > 0, events.dec / 2, events.dec))
    ra, dec = np.arange(0, 360, 24.0), np.linspace(-84, 40, 15)
    random = np.random.default_rng(80)
    z = np.stack([band.smoothed(replace(events, ra=random.uniform(0, 360, 3000)), ra, dec, 4.0)[0] for _ in range(80)])
    assert z.mean(axis=0) == pytest.approx(np.zeros(15), abs=0.4)
    assert z.std(axis=0) == pytest.approx(np.ones(15), abs=0.3)
