"""The likelihood of a few events from a source among many from the background, maximised at many positions.

L(n_s) = Π [n_s/N S_i + (1 - n_s/N) B_i] (Braun et al. 2008, eq. 1). With R_i = S_i/B_i the test statistic is
TS(n_s) = 2 Σ ln(1 + n_s/N (R_i - 1)), a concave function of n_s. Events out of reach have R_i = 0.
"""

from __future__ import annotations

import math

import numpy as np

from km3vo.correlation.compiled import compiled
from km3vo.correlation.grid import Grid, runs, square_of_arc
from km3vo.correlation.sphere import Floats, Ints

# 2 Δ ln L of a one-sided upper limit of 90 percent: the square of 1.2816.
DROP = 1.642374415149818


@compiled
def statistic(excess: Floats, number: int, total: float, n_s: float) -> float:
    """TS(n_s). ``excess`` holds R_i - 1 of ``number`` events; the others of ``total`` have R_i = 0."""
    sum_of_logs = 0.0
    for i in range(number):
        sum_of_logs += math.log1p(n_s / total * excess[i])
    rest = total - number
    if rest > 0:
        sum_of_logs += rest * math.log1p(-n_s / total)
    return 2 * sum_of_logs


@compiled
def best_number(excess: Floats, number: int, total: float) -> float:
    """The n_s ≥ 0 of the largest TS, by Newton's method between bounds, to a millionth."""
    rest = total - number
    slope = -float(rest)
    for i in range(number):
        slope += excess[i]
    if slope <= 0:
        return 0.0
    low, high = 0.0, total * (1 - 1e-12)
    n_s = min(1.0, 0.5 * high)
    for _ in range(100):
        slope = -rest / (total - n_s)
        curve = -rest / (total - n_s) ** 2
        for i in range(number):
            share = excess[i] / (total + n_s * excess[i])
            slope += share
            curve -= share * share
        if slope > 0:
            low = n_s
        else:
            high = n_s
        following = n_s - slope / curve
        if not low < following < high:
            following = 0.5 * (low + high)
        moved = abs(following - n_s)
        n_s = following
        if moved < 1e-6 * (1 + n_s):
            break
    return n_s


@compiled
def limit(excess: Floats, number: int, total: float, n_s: float) -> float:
    """The n_s above the best one where TS has fallen by :data:`DROP`, by bisection: an upper limit of 90 percent."""
    wanted = statistic(excess, number, total, n_s) - DROP
    low, high = n_s, n_s + 4.0
    while high < total and statistic(excess, number, total, high) > wanted:
        low, high = high, n_s + 2 * (high - n_s)
    high = min(high, total * (1 - 1e-12))
    for _ in range(60):
        middle = 0.5 * (low + high)
        if statistic(excess, number, total, middle) > wanted:
            low = middle
        else:
            high = middle
        if high - low < 1e-6 * (1 + low):
            break
    return 0.5 * (low + high)


@compiled
def ratios(
    grid: Grid,
    events: tuple[Floats, Floats, Floats],
    position: tuple[float, float, float, float, float, float],
    widths: float,
    farthest: float,
    found: Ints,
    excess: Floats,
    times: Floats,
) -> tuple[int, Floats, Floats]:
    """R_i - 1 of all events within reach of a position and within its window, and their times.

    Args:
        grid: the events' cells.
        events: σ² in square radian, 1/B times weight in steradian, and time, in the order of the grid.
        position: right ascension, declination, σ² (square radian), start, stop, and what the window multiplies
            the density in time with.
        widths: reach in combined σ.
        farthest: longest reach, in degrees.
        found, excess, times: room to write to; larger room is made where it is not enough.

    Returns:
        The number of events, and the room they are written to.
    """
    squares, inverse, mjd = events
    ra, dec, square, start, stop, scale = position
    x = math.cos(math.radians(dec)) * math.cos(math.radians(ra))
    y = math.cos(math.radians(dec)) * math.sin(math.radians(ra))
    z = math.sin(math.radians(dec))
    grid_x, grid_y, grid_z = grid.x, grid.y, grid.z
    farthest_chord = (2 * math.sin(math.radians(farthest) / 2)) ** 2
    number = 0
    for run in range(runs(grid, ra, dec, farthest, found)):
        for k in range(found[2 * run], found[2 * run + 1]):
            # The square of the chord: cheap, and enough to leave most events out.
            apart = (grid_x[k] - x) ** 2 + (grid_y[k] - y) ** 2 + (grid_z[k] - z) ** 2
            if apart > farthest_chord:
                continue
            both = squares[k] + square
            # A chord is shorter than its arc, so this keeps all that count and spares most arcs.
            if apart > widths * widths * both:
                continue
            arc = square_of_arc(apart)
            if arc > widths * widths * both or mjd[k] < start or mjd[k] > stop:
                continue
            if number == len(excess):
                excess = np.concatenate((excess, np.empty_like(excess)))
                times = np.concatenate((times, np.empty_like(times)))
            density = math.exp(-0.5 * arc / both) / (2 * math.pi * both)
            excess[number] = density * inverse[k] * scale - 1
            times[number] = mjd[k]
            number += 1
    return number, excess, times


@compiled
def fit(
    grid: Grid,
    events: tuple[Floats, Floats, Floats],
    sources: tuple[Floats, Floats, Floats, Floats, Floats, Floats],
    total: float,
    reach: tuple[float, float, float],
    limits: bool,
    result: tuple[Floats, Floats, Ints, Floats],
    begin: int,
    end: int,
) -> None:
    """Maximise the likelihood at positions ``begin`` to ``end``, and write TS, n_s, number within reach, upper limit.

    Args:
        grid, events: as :func:`ratios` takes them.
        sources: right ascension, declination, σ² (square radian), start, stop and scale, in the order of the list.
        total: N.
        reach: largest σ² of an event, combined σ to look at, and the most degrees.
        limits: whether to compute upper limits, which takes as long as the rest.
        result: arrays to write to.
    """
    largest, widths, most = reach
    found = np.empty(4 * len(grid.first), np.int64)
    excess = np.empty(1024)
    times = np.empty(1024)
    ts, n_s, near, upper = result
    for j in range(begin, end):
        position = (sources[0][j], sources[1][j], sources[2][j], sources[3][j], sources[4][j], sources[5][j])
        farthest = min(most, math.degrees(widths * math.sqrt(largest + position[2])))
        number, excess, times = ratios(grid, events, position, widths, farthest, found, excess, times)
        near[j] = number
        n_s[j] = best_number(excess, number, total)
        ts[j] = max(0.0, statistic(excess, number, total, n_s[j])) if n_s[j] > 0 else 0.0
        if limits:
            upper[j] = limit(excess, number, total, n_s[j])
