"""Which events lie in which error circles: pairs, and how many of them chance makes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from km3vo.correlation.circle import Circle as Circle
from km3vo.correlation.compiled import compiled
from km3vo.correlation.grid import Grid, lay_out, runs, suitable_height
from km3vo.correlation.lists import Events, Sources
from km3vo.correlation.parts import Progress, in_parts, silent
from km3vo.correlation.sphere import Floats, Ints
from km3vo.errors import TooLargeError

SOURCES = 1024  # of a part
MOST_PAIRS = 50_000_000


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs, ordered by source and event.

    Attributes:
        source, event: places in the two lists.
        separation: degrees.
        sigma: combined width of the two, in degrees.
        delay: days from the source's time to the event's, or None.
    """

    source: Ints
    event: Ints
    separation: Floats
    sigma: Floats
    delay: Floats | None

    def __len__(self) -> int:
        return len(self.source)


def find(
    events: Events,
    sources: Sources,
    circle: Circle,
    *,
    most: int = MOST_PAIRS,
    threads: int = 1,
    progress: Progress = silent,
) -> Pairs:
    """All pairs of a source and an event within the circle and the source's window.

    Raises:
        TooLargeError: there are more than ``most``.
    """
    grid, squares, mjd = _prepared(events)
    start, stop = sources.window()
    widths = np.radians(sources.sigma) ** 2
    parts: dict[int, tuple[Ints, Ints, Floats]] = {}

    def part(one: int) -> tuple[Ints, Ints, Floats]:
        begin, end = one * SOURCES, min((one + 1) * SOURCES, len(sources))
        return in_order(
            *write(
                grid,
                (squares, mjd),
                (sources.ra, sources.dec, widths, start, stop),
                circle.bounds(squares),
                begin,
                end,
            )
        )

    number = 0
    for which, matched in in_parts(part, -(-len(sources) // SOURCES), threads, progress):
        parts[which] = matched
        number += len(matched[0])
        if number > most:
            raise TooLargeError(f"There are more than {most:,} pairs: choose a smaller radius, window or selection.")
    source, event = np.empty((2, number), dtype=np.int64)
    separation = np.empty(number)
    begin = 0
    for which in sorted(parts):
        matched = parts.pop(which)
        end = begin + len(matched[0])
        source[begin:end], event[begin:end], separation[begin:end] = matched
        begin = end
    return Pairs(
        source,
        event,
        separation,
        np.hypot(events.sigma[event], sources.sigma[source]),
        None if sources.mjd is None or events.mjd is None else events.mjd[event] - sources.mjd[source],
    )


def in_order(source: Ints, event: Ints, separation: Floats) -> tuple[Ints, Ints, Floats]:
    """Pairs by source and event, their numbers in half the bytes: a million events make many millions of pairs."""
    order = np.lexsort((event, source))
    return source[order].astype(np.int32), event[order].astype(np.int32), separation[order]


def counts(events: Events, sources: Sources, circle: Circle) -> Ints:
    """How many events each source has, without listing them."""
    grid, squares, mjd = _prepared(events)
    start, stop = sources.window()
    result = np.zeros(len(sources), dtype=np.int64)
    count(
        grid,
        (squares, mjd),
        (sources.ra, sources.dec, np.radians(sources.sigma) ** 2, start, stop),
        circle.bounds(squares),
        result,
        0,
        len(sources),
    )
    return result


def expected(events: Events, sources: Sources, circle: Circle) -> Floats:
    """How many events each source has on average when right ascensions are drawn anew, at all times.

    Each event adds the part of its circle of declination that lies within its reach of the source
    (:func:`km3vo.correlation.sphere.share_of_circle`), so no density has to be estimated. Events of nearly the same
    declination (0.1 degrees) and error (5 percent) are counted together.
    """
    band = np.floor((events.dec + 90) / 0.1).astype(np.int64)
    size = np.floor(np.log(events.sigma) / 0.05).astype(np.int64)
    _, place, number = np.unique(np.stack([band, size]), axis=1, return_inverse=True, return_counts=True)
    place = place.ravel()
    dec = np.bincount(place, weights=events.dec) / number
    square = np.bincount(place, weights=np.radians(events.sigma) ** 2) / number
    order = np.argsort(dec, kind="stable")
    result = np.zeros(len(sources))
    average(
        (dec[order], square[order], number[order].astype(np.float64)),
        (sources.dec, np.radians(sources.sigma) ** 2),
        circle.bounds(square),
        result,
    )
    return result


def _prepared(events: Events) -> tuple[Grid, Floats, Floats]:
    grid = lay_out(events.ra, events.dec, suitable_height(len(events)))
    mjd = np.zeros(len(events)) if events.mjd is None else events.mjd
    return grid, np.radians(events.sigma)[grid.order] ** 2, mjd[grid.order]


@compiled
def farthest(square: float, bounds: tuple[float, float, float]) -> float:
    """The longest separation, in degrees, that makes a pair with a source of that σ² (square radian).

    ``bounds`` are the largest σ² of an event, the combined σ of the radius (0 for a fixed one), and the most degrees.
    """
    largest, sigmas, most = bounds
    if sigmas == 0:
        return most
    return min(most, math.degrees(sigmas * math.sqrt(largest + square)))


@compiled
def near(
    grid: Grid,
    events: tuple[Floats, Floats],
    source: tuple[float, float, float, float, float],
    bounds: tuple[float, float, float],
    room: tuple[Ints, Ints, Floats],
) -> int:
    """Write the events of one source, and how far they are (radian), into the room; returns how many they are.

    The room holds what :func:`km3vo.correlation.grid.runs` needs, and events and separations as long as the list.
    """
    squares, mjd = events
    ra, dec, square, start, stop = source
    found, event, separation = room
    x = math.cos(math.radians(dec)) * math.cos(math.radians(ra))
    y = math.cos(math.radians(dec)) * math.sin(math.radians(ra))
    z = math.sin(math.radians(dec))
    grid_x, grid_y, grid_z, order = grid.x, grid.y, grid.z, grid.order
    reach = farthest(square, bounds)
    longest = math.radians(reach)
    chord = (2 * math.sin(longest / 2)) ** 2 * (1 + 1e-12)
    number = 0
    for run in range(runs(grid, ra, dec, reach, found)):
        for k in range(found[2 * run], found[2 * run + 1]):
            apart = (grid_x[k] - x) ** 2 + (grid_y[k] - y) ** 2 + (grid_z[k] - z) ** 2
            if apart > chord or mjd[k] < start or mjd[k] > stop:
                continue
            theta = 2 * math.asin(0.5 * math.sqrt(apart))
            if bounds[1] > 0 and theta > bounds[1] * math.sqrt(squares[k] + square):
                continue
            if theta <= longest:
                event[number] = order[k]
                separation[number] = theta
                number += 1
    return number


@compiled
def write(
    grid: Grid,
    events: tuple[Floats, Floats],
    sources: tuple[Floats, Floats, Floats, Floats, Floats],
    bounds: tuple[float, float, float],
    begin: int,
    end: int,
) -> tuple[Ints, Ints, Floats]:
    """Pairs of the sources ``begin`` to ``end``: source, event, separation in degrees."""
    room = (np.empty(4 * len(grid.first), np.int64), np.empty(len(grid.x), np.int64), np.empty(len(grid.x)))
    source = np.empty(4096, np.int64)
    event = np.empty(4096, np.int64)
    separation = np.empty(4096)
    total = 0
    for j in range(begin, end):
        one = (sources[0][j], sources[1][j], sources[2][j], sources[3][j], sources[4][j])
        number = near(grid, events, one, bounds, room)
        while total + number > len(source):
            source = np.concatenate((source, np.empty_like(source)))
            event = np.concatenate((event, np.empty_like(event)))
            separation = np.concatenate((separation, np.empty_like(separation)))
        for k in range(number):
            source[total + k] = j
            event[total + k] = room[1][k]
            separation[total + k] = math.degrees(room[2][k])
        total += number
    return source[:total].copy(), event[:total].copy(), separation[:total].copy()


@compiled
def count(
    grid: Grid,
    events: tuple[Floats, Floats],
    sources: tuple[Floats, Floats, Floats, Floats, Floats],
    bounds: tuple[float, float, float],
    result: Ints,
    begin: int,
    end: int,
) -> None:
    """How many events the sources ``begin`` to ``end`` have."""
    room = (np.empty(4 * len(grid.first), np.int64), np.empty(len(grid.x), np.int64), np.empty(len(grid.x)))
    for j in range(begin, end):
        one = (sources[0][j], sources[1][j], sources[2][j], sources[3][j], sources[4][j])
        result[j] = near(grid, events, one, bounds, room)


@compiled
def average(
    events: tuple[Floats, Floats, Floats],
    sources: tuple[Floats, Floats],
    bounds: tuple[float, float, float],
    result: Floats,
) -> None:
    """The means of :func:`expected`. ``events`` are declination (increasing), σ² and number of events alike."""
    dec, squares, numbers = events
    for j in range(len(result)):
        square = sources[1][j]
        delta0 = math.radians(sources[0][j])
        reach = farthest(square, bounds)
        first = np.searchsorted(dec, sources[0][j] - reach)
        last = np.searchsorted(dec, sources[0][j] + reach, side="right")
        mean = 0.0
        for k in range(first, last):
            radius = math.radians(reach)
            if bounds[1] > 0:
                radius = min(radius, bounds[1] * math.sqrt(squares[k] + square))
            delta = math.radians(dec[k])
            product = math.cos(delta) * math.cos(delta0)
            needed = math.cos(radius) - math.sin(delta) * math.sin(delta0)
            if needed >= product:
                continue
            share = 1.0 if needed <= -product else math.acos(needed / product) / math.pi
            mean += numbers[k] * share
        result[j] = mean
