"""Maps, scrambles and pairs on artificial skies, each beside a careful program in numpy and scipy for the same.

`python -m benchmarks.skies CASE` measures one case in a process of its own, so that its peak of memory is its own, and
prints (seconds of the processor, seconds, bytes) as JSON. Skies are drawn from a seed: as many events, directions and
pairs as the released lists of IceCube and ANTARES have, without their files.
"""

from __future__ import annotations

import itertools
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.cases import Figure
from km3vo.correlation import background, likelihood, pairs, skymap
from km3vo.correlation.lists import Events, Sources
from km3vo.correlation.pairs import Circle
from km3vo.correlation.sphere import around, unit_vectors

Floats = npt.NDArray[np.float64]

# IceCube 2010-2012; ANTARES 2007-2017 and 4FGL-DR3; and the most that a correlation takes.
MAP_EVENTS, FEW_EVENTS, FEW_SOURCES, MOST_EVENTS, MOST_SOURCES = 334_677, 8_754, 6_659, 1_000_000, 100_000
SCRAMBLES, FLOOR_SCRAMBLES = 1_000, 20  # a tenth of what a correlation may have
FEW_ERROR = 0.4  # degrees, the median of ANTARES
RADIUS = 0.6  # degrees: nine million pairs of the most events and sources
THREADS = 2
NEWTON = 12  # steps of the floor, which all converge by then


class Cost(NamedTuple):
    """What a case took: seconds of the processor, seconds by the clock, and bytes at the peak."""

    processor: float
    seconds: float
    peak: int


def sky(seed: int, number: int, median: float = 0.6) -> Events:
    """Events from everywhere, with errors around a median in degrees as tracks have them."""
    random = np.random.default_rng(seed)
    sigma = np.clip(median * np.exp(random.normal(0, 0.5, number)), 0.2, 3.0)
    dec = np.degrees(np.arcsin(random.uniform(-1, 1, number)))
    return Events(ra=random.uniform(0, 360, number), dec=dec, sigma=sigma)


def points(seed: int, number: int) -> Sources:
    """Sources from everywhere."""
    drawn = sky(seed, number)
    return Sources.points(drawn.ra, drawn.dec)


def floor_of_fits(events: Events, inverse: Floats, at: Floats, total: int, widths: float, farthest: float) -> Floats:
    """TS at directions by numpy and scipy: a k-d tree finds the pairs, all of them are written down, and Newton's
    method goes on for all directions at once.

    Args:
        events: the list.
        inverse: as :meth:`km3vo.correlation.background.Background.inverse` gives it.
        at: unit vectors of the directions, of shape (n, 3).
        total: N.
        widths, farthest: how many σ and degrees from a direction events are looked at.
    """
    from scipy.spatial import cKDTree

    vectors, square = unit_vectors(events.ra, events.dec), np.radians(events.sigma) ** 2
    reach = 2 * np.sin(np.radians(np.minimum(widths * events.sigma, farthest)) / 2)
    tree = cKDTree(at)
    places, excesses = [], []
    for begin in range(0, len(vectors), 20_000):
        part = slice(begin, begin + 20_000)
        near = tree.query_ball_point(vectors[part], reach[part], return_sorted=False)
        event = begin + np.repeat(np.arange(len(near)), [len(one) for one in near])
        place = np.concatenate([np.asarray(one, dtype=np.int64) for one in near])
        apart = ((at[place] - vectors[event]) ** 2).sum(axis=1)
        density = np.exp(-0.5 * apart / square[event]) / (2 * np.pi * square[event])
        places.append(place.astype(np.int32))
        excesses.append(density * inverse[event] - 1)
    place, excess = np.concatenate(places), np.concatenate(excesses)
    order = np.argsort(place, kind="stable")
    place, excess = place[order], excess[order]
    number = np.bincount(place, minlength=len(at))
    known = np.flatnonzero(number)
    starts = np.searchsorted(place, known)
    rest = total - number

    def summed(values: Floats) -> Floats:
        sums = np.zeros(len(at))
        sums[known] = np.add.reduceat(values, starts)
        return sums

    rising = summed(excess) > rest
    n_s = np.where(rising, 1.0, 0.0)
    for _ in range(NEWTON):
        share = excess / (total + n_s[place] * excess)
        slope = summed(share) - rest / (total - n_s)
        curve = -summed(share**2) - rest / (total - n_s) ** 2
        step = np.where(rising, -slope / curve, 0.0)
        n_s = np.clip(n_s + np.clip(step, -0.7 * n_s, n_s + 20), 0, 0.2 * total)
    statistic = 2 * (summed(np.log1p(n_s[place] / total * excess)) + rest * np.log1p(-n_s / total))
    return np.where(rising, statistic, 0.0)


def floor_of_map(nside: int) -> Callable[[], object]:
    """A map in bands of declination, so that not all pairs are in memory at once, and as many directions on finer
    grids as are looked at around the hottest spots.
    """
    events = sky(1, MAP_EVENTS)
    known = background.of_list(events)
    inverse = known.inverse(events)
    ra, dec = skymap.centres(nside)
    spots = points(7, 2 * skymap.SPOTS)
    fine = [around(*spot, skymap.AROUND, skymap.FINE) for spot in zip(spots.ra, spots.dec, strict=True)]
    ra = np.concatenate([ra, *(one for one, _ in fine)])
    dec = np.concatenate([dec, *(one for _, one in fine)])
    vectors = unit_vectors(ra, dec)
    edges = np.degrees(np.arcsin(np.linspace(-1, 1, max(9, nside // 4))))
    reach = skymap.NEAR

    def work() -> None:
        for low, high in itertools.pairwise(edges):
            here = np.flatnonzero((dec >= low) & (dec < high) & (np.abs(dec) < background.POLE))
            near = np.flatnonzero((events.dec > low - reach.degrees) & (events.dec < high + reach.degrees))
            part = Events(ra=events.ra[near], dec=events.dec[near], sigma=events.sigma[near])
            floor_of_fits(part, inverse[near], vectors[here], known.total, reach.sigmas, reach.degrees)

    return work


def our_map(nside: int) -> Callable[[], object]:
    """A map, its hottest spots refined."""
    events = sky(1, MAP_EVENTS)
    known = background.of_list(events)
    return lambda: skymap.make(events, known, skymap.Recipe(nside=nside), threads=THREADS)


def floor_of_scrambles() -> Callable[[], object]:
    """A few scrambles of a short list with a catalogue."""
    events, sources = sky(2, FEW_EVENTS, FEW_ERROR), points(3, FEW_SOURCES)
    known = background.of_list(events)
    inverse, at = known.inverse(events), unit_vectors(sources.ra, sources.dec)
    random = np.random.default_rng(4)

    def work() -> None:
        for _ in range(FLOOR_SCRAMBLES):
            moved = Events(ra=random.uniform(0, 360, len(events)), dec=events.dec, sigma=events.sigma)
            floor_of_fits(moved, inverse, at, known.total, 5.0, 15.0)

    return work


def our_scrambles() -> Callable[[], object]:
    """A tenth of what a correlation may have."""
    events, sources = sky(2, FEW_EVENTS, FEW_ERROR), points(3, FEW_SOURCES)
    known = background.of_list(events)
    fit = likelihood.search(events, sources, known)
    return lambda: likelihood.scramble(events, sources, known, fit, seed=1, number=SCRAMBLES, threads=THREADS)


def floor_of_pairs() -> Callable[[], object]:
    """Pairs by a k-d tree."""
    from scipy.spatial import cKDTree

    events, sources = sky(5, MOST_EVENTS), points(6, MOST_SOURCES)
    chord = float(2 * np.sin(np.radians(RADIUS) / 2))

    def work() -> None:
        tree = cKDTree(unit_vectors(events.ra, events.dec))
        found = tree.query_ball_point(unit_vectors(sources.ra, sources.dec), chord, return_sorted=True)
        np.concatenate([np.asarray(one, dtype=np.int64) for one in found])

    return work


def our_pairs() -> Callable[[], object]:
    """The same, with their separations."""
    events, sources = sky(5, MOST_EVENTS), points(6, MOST_SOURCES)
    return lambda: pairs.find(events, sources, Circle(None, RADIUS), threads=THREADS)


CASES: dict[str, Callable[[], Callable[[], object]]] = {
    "floor of map": lambda: floor_of_map(64),
    "map 64": lambda: our_map(64),
    "map 128": lambda: our_map(128),
    "floor of scrambles": floor_of_scrambles,
    "scrambles": our_scrambles,
    "floor of pairs": floor_of_pairs,
    "pairs": our_pairs,
}
# Which are done twice, so that the second time counts; scrambles have read theirs by their first fit.
COMPILED = ("map 64", "map 128", "pairs")


def measured(case: str) -> Cost:
    """Measure a case in a process of its own."""
    printed = subprocess.run(
        [sys.executable, "-m", "benchmarks.skies", case], capture_output=True, text=True, check=True
    ).stdout
    return Cost(*json.loads(printed))


def skies() -> Iterator[Figure]:
    """Maps, scrambles and pairs. Ratios are of seconds of the processor: those of the clock say who else is there."""
    floor, map64, map128 = (measured(case) for case in ("floor of map", "map 64", "map 128"))
    yield Figure("map in numpy, nside 64", floor.processor, "s", note=f"{floor.peak / 1e6:.0f} MB")
    yield _figure("map, nside 64", map64, map64.processor / floor.processor, "numpy")
    yield Figure("map, nside 64: memory", map64.peak / 1e6, "MB", note="of the process")
    yield _figure("map, nside 128", map128, map128.processor / map64.processor, "nside64")
    yield Figure("map, nside 128: memory", map128.peak / 1e6, "MB", note="of the process")
    floor, ours = measured("floor of scrambles"), measured("scrambles")
    per_scramble = floor.processor / FLOOR_SCRAMBLES
    yield Figure("one scramble in numpy", per_scramble * 1e3, "ms")
    ten = Cost(10 * ours.processor, 10 * ours.seconds, ours.peak)  # every scramble is like another
    yield _figure("10,000 scrambles", ten, ours.processor / (SCRAMBLES * per_scramble), "numpy")
    floor, ours = measured("floor of pairs"), measured("pairs")
    yield Figure("pairs by a k-d tree", floor.processor, "s", note=f"{floor.peak / 1e6:.0f} MB")
    yield _figure("pairs of 10⁶ and 10⁵", ours, ours.processor / floor.processor, "scipy")


def _figure(case: str, cost: Cost, ratio: float, floor: str) -> Figure:
    return Figure(case, cost.seconds, "s", ratio, floor, f"{cost.processor:.1f} s of processor")


def main() -> None:
    """Measure the case that is named."""
    work = CASES[sys.argv[1]]()
    if sys.argv[1] in COMPILED:
        work()  # reads the machine code
    began, before = time.perf_counter(), time.process_time()
    work()
    took = Cost(
        time.process_time() - before,
        time.perf_counter() - began,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )
    sys.stdout.write(json.dumps(took))


if __name__ == "__main__":
    main()
