"""Flares: events of one direction that come close in time, at a time and for a time that nobody knew before.

Braun et al. 2010 (arXiv:0912.1572). The likelihood of :mod:`km3vo.correlation.likelihood` gets a factor in time, whose
centre T₀ and width T_W are scanned. There are more short windows than long ones, so short ones win by chance; the
statistic is therefore lowered by 2 ln(T/T_W), with T the whole time of the list (their eq. 5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from km3vo.correlation import likelihood
from km3vo.correlation.background import Background
from km3vo.correlation.compiled import compiled
from km3vo.correlation.exposure import Exposure
from km3vo.correlation.fit import best_number, ratios, statistic
from km3vo.correlation.grid import Grid
from km3vo.correlation.likelihood import Reach, Ready
from km3vo.correlation.lists import Events, Sources
from km3vo.correlation.parts import Progress, in_parts, silent
from km3vo.correlation.scrambles import scrambled
from km3vo.correlation.sphere import Floats, Ints
from km3vo.errors import ParameterError

# "gaussian": T_W is twice the standard deviation. "box": T_W is the length.
Shape = Literal["gaussian", "box"]
CUT = 4.0  # standard deviations of a Gaussian that are looked at


@dataclass(frozen=True, slots=True)
class Scan:
    """Which windows are tried.

    Attributes:
        shape: of the window in time.
        shortest, longest: T_W in days; None for the longest takes half of the list's time.
        growth: of T_W from one width to the next.
        step: of T₀, as a part of T_W.
    """

    shape: Shape = "gaussian"
    shortest: float = 1.0
    longest: float | None = None
    growth: float = 1.2
    step: float = 0.125

    def widths(self, live: float) -> Floats:
        """All T_W, in days. Raises ParameterError when there are none, or too many windows."""
        longest = live / 2 if self.longest is None else self.longest
        if not 0 < self.shortest <= longest:
            raise ParameterError(
                f"Windows of {self.shortest:g} to {longest:g} days cannot be: write the shorter first."
            )
        if not (self.growth > 1.01 and 0.01 <= self.step <= 1):
            raise ParameterError("Widths grow by more than 1.01, and windows move by 0.01 to 1 of their width.")
        if live / self.shortest / self.step > 1e6:
            raise ParameterError(f"Windows of {self.shortest:g} days are too short for {live:.0f} days of data.")
        number = int(math.log(longest / self.shortest) / math.log(self.growth)) + 1
        return np.asarray(self.shortest * self.growth ** np.arange(number))


@dataclass(frozen=True, slots=True)
class Flares:
    """The best window at each position.

    Attributes:
        ts: the statistic after its penalty, 0 where no window is above it.
        n_s: events in the flare.
        t0, width: T₀ (MJD) and T_W (days), NaN where there is no flare.
        near: events within reach, at all times.
    """

    ts: Floats
    n_s: Floats
    t0: Floats
    width: Floats
    near: Ints


@dataclass(frozen=True, slots=True)
class ScrambledFlares:
    """The same on scrambled lists; fields as in :class:`km3vo.correlation.likelihood.Scrambled`."""

    seed: int
    number: int
    reached: Ints
    surpassed: Ints
    largest: Floats


def search(
    events: Events,
    sources: Sources,
    background: Background,
    exposure: Exposure,
    *,
    scan: Scan | None = None,
    shares: Floats | None = None,
    reach: Reach | None = None,
    threads: int = 1,
    progress: Progress = silent,
) -> Flares:
    """Look for a flare at each source. Windows of the sources limit where it may lie."""
    ready = likelihood.prepared(events, background.inverse(events, shares))
    return scanned(ready, sources, background.total, exposure, scan or Scan(), reach or Reach(), threads, progress)


def scanned(
    ready: Ready,
    sources: Sources,
    total: int,
    exposure: Exposure,
    scan: Scan,
    reach: Reach,
    threads: int = 1,
    progress: Progress = silent,
) -> Flares:
    """Look for flares in a list that was prepared."""
    start, stop = sources.window()
    squares = np.radians(sources.sigma) ** 2
    bounds = reach.bounds(ready.largest)
    span = (float(exposure.start[0]), float(exposure.stop[-1]), exposure.total)
    widths = scan.widths(exposure.total)
    best = np.zeros((4, len(sources)))
    near = np.zeros(len(sources), dtype=np.int64)

    def part(one: int) -> None:
        place = (sources.ra[one], sources.dec[one], squares[one], start[one], stop[one], 1.0)
        excess, times = gather(ready.grid, ready.events, place, bounds)
        order = np.argsort(times, kind="stable")
        near[one] = len(order)
        best[:, one] = best_window(
            excess[order], times[order], float(total), span, widths, float(scan.step), scan.shape == "gaussian"
        )

    for _ in in_parts(part, len(sources), threads, progress):
        pass
    ts, n_s, t0, width = best
    return Flares(ts, n_s, np.where(ts > 0, t0, np.nan), np.where(ts > 0, width, np.nan), near)


def scramble(
    events: Events,
    sources: Sources,
    background: Background,
    exposure: Exposure,
    observed: Flares,
    *,
    seed: int,
    number: int,
    scan: Scan | None = None,
    shares: Floats | None = None,
    reach: Reach | None = None,
    threads: int = 1,
    progress: Progress = silent,
) -> ScrambledFlares:
    """Look for flares in scrambled lists: right ascensions drawn anew and times permuted."""
    inverse = background.inverse(events, shares)

    def one(which: int) -> Floats:
        ready = likelihood.prepared(scrambled(events, "both", seed, which), inverse)
        return scanned(ready, sources, background.total, exposure, scan or Scan(), reach or Reach()).ts

    reached, surpassed = np.zeros((2, len(sources)), dtype=np.int64)
    largest = np.zeros(number)
    for which, ts in in_parts(one, number, threads, progress):
        largest[which] = ts.max(initial=0)
        reached += ts >= observed.ts
        surpassed += largest[which] >= observed.ts
    return ScrambledFlares(seed, number, reached, surpassed, largest)


@compiled
def penalised(
    excess: Floats,
    times: Floats,
    total: float,
    t0: float,
    width: float,
    live: float,
    gaussian: bool,
    room: Floats,
) -> tuple[float, float]:
    """TS less its penalty, and n_s, for one window. ``room`` is as long as the list of events within reach."""
    half = CUT * 0.5 * width if gaussian else 0.5 * width
    inside = 0
    for k in range(np.searchsorted(times, t0 - half), len(times)):
        if times[k] > t0 + half:
            break
        if gaussian:
            # T_W is twice the standard deviation.
            scaled = 2 * (times[k] - t0) / width
            density = math.exp(-0.5 * scaled * scaled) / (math.sqrt(2 * math.pi) * 0.5 * width)
        else:
            density = 1 / width
        # The density of the background is one in all the live-time.
        room[inside] = (excess[k] + 1) * density * live - 1
        inside += 1
    n_s = best_number(room, inside, total)
    if n_s <= 0:
        return 0.0, 0.0
    return statistic(room, inside, total, n_s) - 2 * math.log(live / width), n_s


@compiled
def gather(
    grid: Grid,
    events: tuple[Floats, Floats, Floats],
    place: tuple[float, float, float, float, float, float],
    reach: tuple[float, float, float],
) -> tuple[Floats, Floats]:
    """R_i - 1 and times of the events within reach of a position (see :func:`km3vo.correlation.fit.ratios`)."""
    largest, sigmas, most = reach
    farthest = min(most, math.degrees(sigmas * math.sqrt(largest + place[2])))
    found = np.empty(4 * len(grid.first), np.int64)
    number, excess, times = ratios(grid, events, place, sigmas, farthest, found, np.empty(256), np.empty(256))
    return excess[:number].copy(), times[:number].copy()


@compiled
def best_window(
    excess: Floats,
    times: Floats,
    total: float,
    span: tuple[float, float, float],
    widths: Floats,
    step: float,
    gaussian: bool,
) -> tuple[float, float, float, float]:
    """The best of all windows of one position: TS, n_s, T₀ and T_W; zeros where none is above 0.

    Args:
        excess, times: R_i - 1 of the events within reach, and their times, increasing.
        total: N.
        span: first and last day of the list, and its live-time.
        widths: T_W to be tried, increasing.
        step: of T₀, as a part of T_W.
        gaussian: shape of the window.
    """
    start, stop, live = span
    number = len(times)
    room = np.empty(number)
    best, best_n, best_t0, best_width = 0.0, 0.0, 0.0, 0.0
    for width in widths:
        half = CUT * 0.5 * width if gaussian else 0.5 * width
        following = 0
        for s in range(int((stop - start) / (step * width)) + 1):
            t0 = start + s * step * width
            # Most short windows hold no event.
            while following < number and times[following] < t0 - half:
                following += 1
            if following == number:
                break
            if times[following] > t0 + half:
                continue
            ts, n_s = penalised(excess, times, total, t0, width, live, gaussian, room)
            if ts > best:
                best, best_n, best_t0, best_width = ts, n_s, t0, width
    if best == 0:
        return 0.0, 0.0, 0.0, 0.0
    # Around the best one, in steps that get smaller by half.
    move, grow = step * best_width, 0.2
    for _ in range(6):
        centre, middle = best_t0, best_width
        for shift in range(-2, 3):
            for wider in range(-2, 3):
                t0 = centre + 0.5 * shift * move
                width = middle * (1 + 0.5 * grow) ** wider
                if width < widths[0] or width > widths[-1]:
                    continue
                ts, n_s = penalised(excess, times, total, t0, width, live, gaussian, room)
                if ts > best:
                    best, best_n, best_t0, best_width = ts, n_s, t0, width
        move *= 0.5
        grow *= 0.5
    return best, best_n, best_t0, best_width
