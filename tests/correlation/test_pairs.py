"""Pairs, counts and their means, against looking at every event with every source."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from km3vo.correlation import counting, exposure, pairs
from km3vo.correlation.lists import Events, Sources
from km3vo.correlation.pairs import Circle
from km3vo.correlation.significance import poisson_p
from km3vo.correlation.sphere import separation
from km3vo.errors import ParameterError, TooLargeError
from tests.correlation.skies import isotropic


def brute(events: Events, sources: Sources, circle: Circle) -> npt.NDArray[np.bool_]:
    """(sources, events): whether they make a pair."""
    apart = separation(sources.ra[:, None], sources.dec[:, None], events.ra[None], events.dec[None])
    radius = np.full(apart.shape, circle.degrees)
    if circle.share is not None:
        both = np.hypot(sources.sigma[:, None], events.sigma[None])
        radius = np.minimum(radius, np.sqrt(-2 * np.log(1 - circle.share)) * both)
    start, stop = sources.window()
    mjd = np.zeros(len(events)) if events.mjd is None else events.mjd
    return (apart <= radius) & (mjd >= start[:, None]) & (mjd <= stop[:, None])


def sources_of(events: Events, sigma: float = 0.5) -> Sources:
    """The directions of events as sources of a day."""
    return Sources.transient(events.ra, events.dec, np.full(len(events), sigma), events.timed(), 100.0, 200.0)


@pytest.mark.parametrize(
    "circle", [Circle(0.9), Circle(0.5, 1.0), Circle(None, 3.0), Circle(None, 60.0), Circle(0.99, 60.0)]
)
def test_pairs_are_those_of_all_with_all(circle: Circle) -> None:
    events, sources = isotropic(1, 3000), sources_of(isotropic(2, 200), 4.0)
    expected = brute(events, sources, circle)
    found = pairs.find(events, sources, circle)
    assert list(zip(found.source, found.event, strict=True)) == list(zip(*np.nonzero(expected), strict=True))
    assert pairs.counts(events, sources, circle).tolist() == expected.sum(axis=1).tolist()
    assert found.separation == pytest.approx(
        separation(
            sources.ra[found.source], sources.dec[found.source], events.ra[found.event], events.dec[found.event]
        ),
        abs=1e-9,
    )
    assert found.sigma == pytest.approx(np.hypot(events.sigma[found.event], 4.0))
    assert found.delay is not None
    assert found.delay == pytest.approx(events.timed()[found.event] - sources.start[found.source] - 100)  # type: ignore[index]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 360), st.floats(-90, 90)), min_size=1, max_size=40),
    st.floats(0, 360),
    st.floats(-90, 90),
    st.floats(0.05, 60),
    st.sampled_from([0.25, 1.0, 5.9]),
)
def test_nothing_near_is_overlooked_at_poles_and_where_ra_begins_anew(
    directions: list[tuple[float, float]], ra: float, dec: float, radius: float, height: float
) -> None:
    array = np.array(directions)
    events = Events(ra=array[:, 0], dec=array[:, 1], sigma=np.ones(len(array)))
    apart = separation(ra, dec, events.ra, events.dec)
    if (np.abs(apart - radius) < 1e-9).any():
        return
    sources = Sources.points(ra, dec)
    assert pairs.counts(events, sources, Circle(None, radius))[0] == (apart < radius).sum()


def test_many_pairs_are_written_in_order_with_any_number_of_threads() -> None:
    events, sources = isotropic(3, 2000), sources_of(isotropic(4, 3000))
    one, two = (pairs.find(events, sources, Circle(None, 12.0), threads=threads) for threads in (1, 2))
    assert len(one) > 10_000
    assert one.source.tobytes() == two.source.tobytes()
    assert one.separation.tobytes() == two.separation.tobytes()


def test_more_pairs_than_allowed_are_refused_with_the_number() -> None:
    with pytest.raises(TooLargeError, match="more than 100 pairs: choose a smaller radius"):
        pairs.find(isotropic(1, 500), sources_of(isotropic(2, 100)), Circle(None, 60.0), most=100)


@pytest.mark.parametrize(("share", "degrees"), [(None, 0.0), (None, 61.0), (1.5, 1.0), (0.9, -1.0)])
def test_circles_that_are_none(share: float | None, degrees: float) -> None:
    with pytest.raises(ParameterError):
        Circle(share, degrees)


@pytest.mark.parametrize("circle", [Circle(0.9), Circle(None, 4.0)])
def test_the_mean_is_what_drawing_anew_gives_on_average(circle: Circle) -> None:
    events = isotropic(5, 1500)
    # A list that sees one half of the sky, and sources up to its poles.
    events = replace(events, dec=-np.abs(events.dec))
    sources = Sources.points(np.arange(0, 360, 12), np.linspace(-90, 30, 30))
    counted = counting.count(events, sources, circle)
    scrambled = counting.scramble(events, sources, circle, counted, seed=1, number=400)
    error = np.sqrt(np.maximum(counted.mean, 0.01) / 400)
    assert (np.abs(scrambled.mean - counted.mean) < 4.5 * error).all()
    assert scrambled.totals.mean() == pytest.approx(counted.mean.sum(), rel=0.02)


def test_windows_take_their_part_of_the_live_time() -> None:
    events, sources = isotropic(6, 4000), sources_of(isotropic(7, 100))
    # Off half of the time: events of those days are not in the list.
    kept = np.floor(events.timed() / 50) % 2 == 0
    events = Events(ra=events.ra[kept], dec=events.dec[kept], sigma=events.sigma[kept], mjd=events.timed()[kept])
    starts = np.arange(57000, 58000, 100.0)
    live = exposure.of_runs(starts, starts + 50, "runs")
    counted = counting.count(events, sources, Circle(None, 10.0), live)
    scrambled = counting.scramble(events, sources, Circle(None, 10.0), counted, seed=1, number=100)
    assert scrambled.kind == "both"
    assert counted.mean.sum() == pytest.approx(scrambled.totals.mean(), rel=0.03)
    assert counted.p_local == pytest.approx(poisson_p(counted.number, counted.mean))
    with pytest.raises(ParameterError, match="live-time"):
        counting.count(events, sources, Circle(None, 10.0))


def test_scrambles_in_time_keep_positions() -> None:
    events, sources = isotropic(8, 500), sources_of(isotropic(9, 50))
    everywhere = Sources(ra=sources.ra, dec=sources.dec, sigma=sources.sigma)
    circle = Circle(None, 5.0)
    counted = counting.count(events, everywhere, circle)
    scrambled = counting.scramble(events, everywhere, circle, counted, seed=1, number=5, kind="time")
    assert scrambled.totals.tolist() == [counted.number.sum()] * 5


def test_an_excess_is_seen() -> None:
    events, sources = isotropic(10, 1000), Sources.points([100.0, 250.0], [20.0, -50.0])
    crowd = replace(
        events, ra=np.r_[events.ra[:-12], np.full(12, 100.2)], dec=np.r_[events.dec[:-12], np.full(12, 20.1)]
    )
    circle = Circle(None, 1.0)
    counted = counting.count(crowd, sources, circle)
    scrambled = counting.scramble(crowd, sources, circle, counted, seed=3, number=500)
    assert counted.number[0] >= 12
    assert counted.p_local[0] < 1e-10
    assert scrambled.reached[0] == 0 and scrambled.surpassed[0] == 0
    assert scrambled.reached[1] > 10
