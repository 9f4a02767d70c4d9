"""Two simpler searches: what is around a direction, against what is east and west of it at the same declination."""

from __future__ import annotations

import math

import numpy as np

from km3vo.correlation import pairs
from km3vo.correlation.compiled import compiled
from km3vo.correlation.grid import Grid, lay_out, runs, suitable_height
from km3vo.correlation.lists import Events, Sources
from km3vo.correlation.pairs import Circle
from km3vo.correlation.significance import li_ma
from km3vo.correlation.sphere import Floats, band_solid_angle, solid_angle

CUT = 5.0  # standard deviations of the kernel that are summed
STEP = 0.1  # degrees of declination within which events count as equal in the kernel's mean


def counted(events: Events, ra: Floats, dec: Floats, radius: float) -> tuple[Floats, Floats]:
    """Li & Ma's significance of the events in a disc, against those of its band of declination outside the disc.

    Args:
        events: the list.
        ra, dec: centres, in degrees.
        radius: of the discs, and half the height of the bands, in degrees.

    Returns:
        Standard deviations, and the excess n_on - α n_off.
    """
    on = pairs.counts(events, Sources.points(ra, dec), Circle(None, radius)).astype(np.float64)
    ordered = np.sort(events.dec)
    in_band = np.searchsorted(ordered, dec + radius, side="right") - np.searchsorted(ordered, dec - radius)
    off = np.maximum(in_band - on, 0)
    disc = float(solid_angle(radius))
    alpha = disc / np.maximum(band_solid_angle(dec - radius, dec + radius) - disc, 1e-12)
    return li_ma(on, off, alpha), on - alpha * off


def smoothed(events: Events, ra: Floats, dec: Floats, radius: float) -> tuple[Floats, Floats]:
    """A map smoothed with exp(-θ²/2s²), in standard deviations from what it is on average in right ascension.

    Mean and spread are exact sums over the events, each at all right ascensions; the statistic is close to Gaussian
    where many events add up, and skewed where few do.

    Args:
        events: the list.
        ra, dec: directions, in degrees.
        radius: standard deviation s of the kernel, in degrees.

    Returns:
        Standard deviations, and the sum less its mean: the number of events of a source much narrower than the kernel.
    """
    grid = lay_out(events.ra, events.dec, suitable_height(len(events)))
    sums = np.zeros(len(ra))
    kernel_sums(grid, (ra, dec), radius, sums)
    # Sums over bins of declination; directions share them by the same step.
    place = np.floor((events.dec + 90) / STEP).astype(np.int64)
    number = np.bincount(place)
    filled = np.flatnonzero(number)
    centre = np.bincount(place, weights=events.dec)[filled] / number[filled]
    step = 0.02 * radius
    distinct, back = np.unique(np.round(dec / step).astype(np.int64), return_inverse=True)
    wanted = np.asarray(distinct * step)
    mean, variance = np.zeros((2, len(distinct)))
    kernel_moments(centre, number[filled].astype(np.float64), wanted, radius, mean, variance)
    excess = sums - mean[back]
    spread = np.sqrt(variance[back])
    return np.where(spread > 0, excess / np.where(spread > 0, spread, 1), 0.0), excess


@compiled
def kernel_sums(grid: Grid, places: tuple[Floats, Floats], radius: float, sums: Floats) -> None:
    """Write the sum of exp(-θ²/2s²) over the events around each direction."""
    ra, dec = places
    found = np.empty(4 * len(grid.first), np.int64)
    grid_x, grid_y, grid_z = grid.x, grid.y, grid.z
    reach = min(90.0, CUT * radius)
    chord = (2 * math.sin(math.radians(reach) / 2)) ** 2
    square = math.radians(radius) ** 2
    for j in range(len(ra)):
        x = math.cos(math.radians(dec[j])) * math.cos(math.radians(ra[j]))
        y = math.cos(math.radians(dec[j])) * math.sin(math.radians(ra[j]))
        z = math.sin(math.radians(dec[j]))
        total = 0.0
        for run in range(runs(grid, ra[j], dec[j], reach, found)):
            for k in range(found[2 * run], found[2 * run + 1]):
                apart = (grid_x[k] - x) ** 2 + (grid_y[k] - y) ** 2 + (grid_z[k] - z) ** 2
                if apart <= chord:
                    theta = 2 * math.asin(0.5 * math.sqrt(apart))
                    total += math.exp(-0.5 * theta * theta / square)
        sums[j] = total


@compiled
def kernel_moments(dec: Floats, number: Floats, wanted: Floats, radius: float, mean: Floats, variance: Floats) -> None:
    """Write mean and variance of the kernel's sum when the right ascensions of all events are drawn anew.

    Args:
        dec, number: declinations of events, increasing, and how many there are of each.
        wanted: declinations of the directions.
        radius: of the kernel.
        mean, variance: arrays to write to.
    """
    square = math.radians(radius) ** 2
    reach = math.radians(min(90.0, CUT * radius))
    for j in range(len(wanted)):
        delta0 = math.radians(wanted[j])
        first = np.searchsorted(dec, wanted[j] - math.degrees(reach))
        last = np.searchsorted(dec, wanted[j] + math.degrees(reach), side="right")
        total, spread = 0.0, 0.0
        for k in range(first, last):
            delta = math.radians(dec[k])
            product = math.cos(delta) * math.cos(delta0)
            base = math.sin(delta) * math.sin(delta0)
            cosine = (math.cos(reach) - base) / max(product, 1e-15)
            if cosine >= 1:
                continue
            half = math.pi if cosine <= -1 else math.acos(cosine)
            # The midpoint rule in right ascension: the kernel is smooth, 64 points are exact to 1e-6.
            one, two = 0.0, 0.0
            for s in range(64):
                turn = (s + 0.5) / 64 * half
                theta = math.acos(max(-1.0, min(1.0, base + product * math.cos(turn))))
                value = math.exp(-0.5 * theta * theta / square)
                one += value
                two += value * value
            one *= half / math.pi / 64
            two *= half / math.pi / 64
            total += number[k] * one
            spread += number[k] * (two - one * one)
        mean[j] = total
        variance[j] = spread
