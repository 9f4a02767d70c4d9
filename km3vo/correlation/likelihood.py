"""Unbinned likelihood in space, or in space and time: how many events a source has, and how sure that is.

Braun et al. 2008 (arXiv:0801.1604). The background is that of the list itself, and the p-value comes from scrambles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from km3vo.correlation import fit
from km3vo.correlation.background import Background
from km3vo.correlation.exposure import Exposure
from km3vo.correlation.grid import Grid, lay_out, suitable_height
from km3vo.correlation.lists import Events, Sources
from km3vo.correlation.parts import Progress, in_parts, silent
from km3vo.correlation.scrambles import Kind, scrambled
from km3vo.correlation.significance import half_chi2_p
from km3vo.correlation.sphere import Floats, Ints
from km3vo.errors import ParameterError

POSITIONS = 1024  # of a part


@dataclass(frozen=True, slots=True)
class Reach:
    """How far from a position events are looked at: so many combined σ, but not farther than so many degrees."""

    sigmas: float = 5.0
    degrees: float = 15.0

    def __post_init__(self) -> None:
        if not (0 < self.sigmas <= 10 and 0 < self.degrees <= 60):
            raise ParameterError("Events are looked at within up to 10 sigma and up to 60 degrees of a position.")

    def bounds(self, largest: float) -> tuple[float, float, float]:
        """As the compiled loops want it, with the largest σ² of an event. Floats, since they are compiled by type."""
        return largest, float(self.sigmas), float(self.degrees)


class Ready(NamedTuple):
    """A list as the compiled loops want it: cells, and per event in their order σ², 1/B and time."""

    grid: Grid
    events: tuple[Floats, Floats, Floats]
    largest: float


@dataclass(frozen=True, slots=True)
class Fit:
    """What the likelihood says at each position.

    Attributes:
        ts: test statistic, 2 ln L(n_s)/L(0).
        n_s: number of events of the source.
        near: events within reach.
        upper: upper limit of 90 percent on n_s, NaN where it was not asked for.
    """

    ts: Floats
    n_s: Floats
    near: Ints
    upper: Floats

    @property
    def p_local(self) -> Floats:
        """p-value by half a χ² distribution, before any trial factor."""
        return half_chi2_p(self.ts)


def search(
    events: Events,
    sources: Sources,
    background: Background,
    *,
    shares: Floats | None = None,
    exposure: Exposure | None = None,
    reach: Reach | None = None,
    limits: bool = False,
    threads: int = 1,
    progress: Progress = silent,
) -> Fit:
    """Fit n_s at each source.

    Args:
        events: the list.
        sources: positions; with windows the events must lie in them, and their density in time counts.
        background: of the list.
        shares: see :meth:`Background.inverse`.
        exposure: live-time, needed with windows.
        reach: how far to look.
        limits: whether to compute upper limits.
        threads, progress: see :mod:`km3vo.correlation.parts`.
    """
    ready = prepared(events, background.inverse(events, shares))
    return fitted(ready, places(sources, exposure), background.total, reach or Reach(), limits, threads, progress)


def prepared(events: Events, inverse: Floats) -> Ready:
    """Put a list into cells. ``inverse`` is that of :meth:`Background.inverse`."""
    if not len(events):
        raise ParameterError("There are no events to look at.")
    squares = np.radians(events.sigma) ** 2
    grid = lay_out(events.ra, events.dec, suitable_height(len(events)))
    mjd = np.zeros(len(events)) if events.mjd is None else events.mjd
    return Ready(grid, (squares[grid.order], inverse[grid.order], mjd[grid.order]), float(squares.max()))


def places(sources: Sources, exposure: Exposure | None) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
    """Sources as the compiled loops want them: the last array is (live-time) / (live-time in the window)."""
    start, stop = sources.window()
    if sources.start is None:
        scale = np.ones(len(sources))
    elif exposure is None:
        raise ParameterError("A search in time needs the live-time of the list.")
    else:
        live = exposure.live(start, stop)
        # Nothing can be seen while no data are taken.
        scale = np.where(live > 0, exposure.total / np.where(live > 0, live, 1), 0.0)
    return sources.ra, sources.dec, np.radians(sources.sigma) ** 2, start, stop, scale


def fitted(
    ready: Ready,
    at: tuple[Floats, Floats, Floats, Floats, Floats, Floats],
    total: int,
    reach: Reach,
    limits: bool = False,
    threads: int = 1,
    progress: Progress = silent,
) -> Fit:
    """Fit n_s at positions that :func:`places` made ready."""
    number = len(at[0])
    ts, n_s, upper = np.zeros(number), np.zeros(number), np.full(number, np.nan)
    near = np.zeros(number, dtype=np.int64)
    bounds = reach.bounds(ready.largest)

    def part(one: int) -> None:
        begin, end = one * POSITIONS, min((one + 1) * POSITIONS, number)
        fit.fit(ready.grid, ready.events, at, float(total), bounds, limits, (ts, n_s, near, upper), begin, end)

    for _ in in_parts(part, -(-number // POSITIONS), threads, progress):
        pass
    return Fit(ts, n_s, near, upper)


@dataclass(frozen=True, slots=True)
class Scrambled:
    """What the same fit gives on scrambled lists.

    Attributes:
        seed, number: of the scrambles.
        reached: for each source, how many scrambles gave as large a TS there as was observed.
        surpassed: for each source, how many gave as large a TS anywhere.
        largest: of each scramble, the largest TS of all sources.
        stacked: of each scramble, the weighted sum of TS over all sources.
    """

    seed: int
    number: int
    reached: Ints
    surpassed: Ints
    largest: Floats
    stacked: Floats


def scramble(
    events: Events,
    sources: Sources,
    background: Background,
    observed: Fit,
    *,
    seed: int,
    number: int,
    weights: Floats | None = None,
    shares: Floats | None = None,
    exposure: Exposure | None = None,
    reach: Reach | None = None,
    threads: int = 1,
    progress: Progress = silent,
) -> Scrambled:
    """Fit scrambled lists as :func:`search` fitted the list itself.

    Right ascensions are drawn anew; with windows, times are permuted too. The background, which depends on
    declination alone, is the same for all. ``weights`` are those of the sum over sources, None for 1.
    """
    reach = reach or Reach()
    kind: Kind = "ra" if sources.start is None else "both"
    inverse, at = background.inverse(events, shares), places(sources, exposure)
    factors = np.ones(len(sources)) if weights is None else weights

    def one(which: int) -> Floats:
        ready = prepared(scrambled(events, kind, seed, which), inverse)
        return fitted(ready, at, background.total, reach).ts

    reached, surpassed = np.zeros((2, len(sources)), dtype=np.int64)
    largest, stacked = np.zeros((2, number))
    for which, ts in in_parts(one, number, threads, progress):
        largest[which] = ts.max(initial=0)
        stacked[which] = factors @ ts
        reached += ts >= observed.ts
        surpassed += largest[which] >= observed.ts
    return Scrambled(seed, number, reached, surpassed, largest, stacked)
