"""Events in zones of declination and cells of right ascension, so that a neighbourhood is found without looking at all.

Zones have the same height everywhere, as those of Gray et al. 2006 (MSR-TR-2006-52); the cells of a zone are about as
wide as high. Events of neighbouring cells of a zone follow each other, so what is near a position is one run of
events in each zone, or two where right ascension begins anew.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from km3vo.correlation.compiled import compiled
from km3vo.correlation.sphere import Floats, Ints

SQUARE_DEGREES = 41253.0  # of the whole sky


class Grid(NamedTuple):
    """Events in the order of their cells.

    Attributes:
        height: of a zone, in degrees.
        first: number of the first cell of each zone, and one more at the end.
        starts: where each cell starts among the events, and one more at the end.
        order: place of each event in the list that was given.
        x, y, z: unit vectors.
    """

    height: float
    first: Ints
    starts: Ints
    order: Ints
    x: Floats
    y: Floats
    z: Floats


def suitable_height(number: int) -> float:
    """Height of zones, in degrees, for which a cell holds about four events of a list: fewer, and finding the runs
    takes longer than looking at what is in them.
    """
    return float(np.clip(np.sqrt(4 * SQUARE_DEGREES / max(number, 1)), 0.25, 6.0))


def lay_out(ra: Floats, dec: Floats, height: float) -> Grid:
    """Put events into zones of that height, in degrees."""
    first = cells(height)
    return Grid(height, first, *place(ra, dec, height, first))


def cells(height: float) -> Ints:
    """Number of the first cell of each zone, and one more at the end."""
    zones = max(1, math.ceil(180 / height))
    low = np.abs(np.arange(zones) * height - 90)
    high = np.abs(np.minimum(np.arange(1, zones + 1) * height, 180) - 90)
    widest = np.cos(np.radians(np.minimum(low, high)))
    numbers = np.maximum(1, (360 * widest / height).astype(np.int64))
    return np.concatenate([[0], np.cumsum(numbers)]).astype(np.int64)


@compiled
def place(ra: Floats, dec: Floats, height: float, first: Ints) -> tuple[Ints, Ints, Floats, Floats, Floats]:
    """The rest of a :class:`Grid`: starts, order and unit vectors, by counting how many events each cell has."""
    number = len(ra)
    zones = len(first) - 1
    cell = np.empty(number, np.int64)
    starts = np.zeros(first[zones] + 1, np.int64)
    for i in range(number):
        zone = min(int((dec[i] + 90) / height), zones - 1)
        wide = first[zone + 1] - first[zone]
        cell[i] = first[zone] + min(int(ra[i] / 360 * wide), wide - 1)
        starts[cell[i] + 1] += 1
    for c in range(first[zones]):
        starts[c + 1] += starts[c]
    order = np.empty(number, np.int64)
    filled = starts.copy()
    x = np.empty(number)
    y = np.empty(number)
    z = np.empty(number)
    for i in range(number):
        k = filled[cell[i]]
        filled[cell[i]] += 1
        order[k] = i
        alpha = math.radians(ra[i])
        delta = math.radians(dec[i])
        x[k] = math.cos(delta) * math.cos(alpha)
        y[k] = math.cos(delta) * math.sin(alpha)
        z[k] = math.sin(delta)
    return starts, order, x, y, z


@compiled
def square_of_arc(chord: float) -> float:
    """The square of the angle between two unit vectors (square radian), from the square of their distance.

    Up to 17 degrees by its series, θ² = 2 Σ c^2n / (n² C(2n, n)), to a part in 10¹²: an arc sine takes as long as all
    else that is computed for a pair.
    """
    if chord > 0.09:
        arc = 2 * math.asin(min(1.0, 0.5 * math.sqrt(chord)))
        return arc * arc
    series = 1 / 560 + chord * (1 / 3150 + chord * (1 / 16632 + chord / 84084))
    return chord * (1 + chord * (1 / 12 + chord * (1 / 90 + chord * series)))


@compiled
def half_width(dec: float, reach: float) -> float:
    """How far a circle extends in right ascension, in degrees; 180 where it holds a pole (Gray et al. 2006)."""
    if abs(dec) + reach >= 90:
        return 180.0
    return math.degrees(math.asin(math.sin(math.radians(reach)) / math.cos(math.radians(dec))))


@compiled
def runs(grid: Grid, ra: float, dec: float, reach: float, found: Ints) -> int:
    """Write the runs of events (start, stop) that may lie within reach of a position into ``found``, two numbers each.

    Returns:
        How many runs there are: up to two for each zone, so ``found`` needs four numbers for each.
    """
    first, starts, height = grid.first, grid.starts, grid.height
    zones = len(first) - 1
    low = max(0, int((dec - reach + 90) / height))
    high = min(zones - 1, int((dec + reach + 90) / height))
    # Slightly wider, since cells are found from rounded numbers.
    wide = half_width(dec, reach) + 1e-9
    number = 0
    for zone in range(low, high + 1):
        across = first[zone + 1] - first[zone]
        left = math.floor((ra - wide) / 360 * across)
        right = math.floor((ra + wide) / 360 * across)
        if right - left + 1 >= across:
            left, right = 0, across - 1
        base = first[zone]
        if left < 0:
            found[2 * number] = starts[base + left + across]
            found[2 * number + 1] = starts[base + across]
            number += 1
            left = 0
        elif right >= across:
            found[2 * number] = starts[base]
            found[2 * number + 1] = starts[base + right - across + 1]
            number += 1
            right = across - 1
        found[2 * number] = starts[base + left]
        found[2 * number + 1] = starts[base + right + 1]
        number += 1
    return number
