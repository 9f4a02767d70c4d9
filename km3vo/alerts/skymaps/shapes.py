"""Sky maps from what a pipeline knows of a direction: a circle, an ellipse, or contours."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from km3vo.alerts import containment
from km3vo.alerts.skymaps import cells
from km3vo.alerts.skymaps.cells import DEEPEST, Cells, Floats, Integers
from km3vo.alerts.standard import Contour, Ellipse

_FINE = 6.0  # cells per sigma, inside three sigma
_FAR = 4.5  # beyond so many sigma cells are not divided
_BOUNDARY = 6  # how many orders finer than its own size a contour is drawn
_WIDEST = np.radians(75.0)  # of a contour, from the direction: it is drawn in a plane


def vector(ra: float, dec: float) -> Floats:
    """The unit vector to a position in degrees."""
    lon, lat = np.radians(ra), np.radians(dec)
    return np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def circle(ra: float, dec: float, err50: float) -> Cells:
    """A Fisher distribution (a Gaussian on the sphere).

    The direction is further away than r with a probability of exp(-kappa (1 - cos r)), and
    kappa = ln 2 / (1 - cos err50).

    Args:
        ra, dec: the most probable direction, ICRS, degrees.
        err50: radius that holds the direction with 50 %, degrees.
    """
    centre = vector(ra, dec)
    kappa = np.log(2) / (1 - np.cos(np.radians(err50)))
    sigma = np.radians(err50) / np.sqrt(2 * np.log(2))

    def split(level: int, pixels: Integers) -> npt.NDArray[np.bool_]:
        return _worth(level, _angle(cells.directions(level, pixels), centre) / sigma, sigma)

    def density(places: Floats) -> Floats:
        # 1 - cos from the chord, since cosines of small angles are all 1.
        return np.asarray(np.exp(-kappa * ((places - centre) ** 2).sum(-1) / 2))

    return cells.filled(cells.refine(split, _deepest(sigma)), density)


def ellipse(ra: float, dec: float, shape: Ellipse) -> Cells:
    """A Gaussian with two axes, in the angles from the direction along each of them."""
    centre = vector(ra, dec)
    scale = np.sqrt(-2 * np.log(1 - shape.containment))
    major, minor = np.radians(shape.semi_major) / scale, np.radians(shape.semi_minor) / scale
    # Cells by the smaller axis, but not so many that a thin ellipse takes seconds.
    fine = max(minor * (1.5 - minor / major / 2), major / 12)
    north, east = plane(ra, dec)
    turn = np.radians(shape.position_angle)
    along, across = np.cos(turn) * north + np.sin(turn) * east, np.cos(turn) * east - np.sin(turn) * north

    def deviation(places: Floats) -> Floats:
        angle = _angle(places, centre)
        # From the sine of an angle along an axis to the angle itself.
        stretch = angle / np.maximum(np.sin(angle), 1e-12)
        return np.asarray(np.hypot(places @ along * stretch / major, places @ across * stretch / minor))

    def split(level: int, pixels: Integers) -> npt.NDArray[np.bool_]:
        middle = cells.directions(level, pixels)
        near = np.minimum(deviation(middle), _angle(middle, centre) / fine)
        return _worth(level, near, fine)

    def density(places: Floats) -> Floats:
        opposite = _angle(places, centre) > np.pi / 2  # where the sine falls again
        return np.asarray(np.where(opposite, 0.0, np.exp(-(deviation(places) ** 2) / 2)))

    return cells.filled(cells.refine(split, _deepest(fine)), density)


def contours(ra: float, dec: float, regions: Sequence[Contour]) -> Cells:
    """A density in steps: as much probability between two contours as their containments say, evenly spread.

    What is left outside the last one lies in a border around it, as wide as a Gaussian's up to 99 %.

    Args:
        ra, dec: the most probable direction, ICRS, degrees.
        regions: from the inner outwards, as ``check_contours`` takes them.
    """
    centre, (north, east) = vector(ra, dec), plane(ra, dec)
    borders = [_projected(np.array(contour.polygon), centre, north, east) for contour in regions]
    levels = [contour.containment for contour in regions]
    if levels[-1] < 0.99:
        borders.append(borders[-1] * (containment.ratio(0.99) / containment.ratio(levels[-1])))
        levels.append(1.0)
    else:
        levels[-1] = 1.0

    def ring(places: Floats) -> npt.NDArray[np.int64]:
        """Which step a place is on: 0 inside the first contour, and so on; the last is outside all."""
        forward = places @ centre
        ahead = forward > np.cos(np.radians(89))
        safe = np.where(ahead, forward, 1.0)
        x, y = places @ east / safe, places @ north / safe
        found = np.full(forward.shape, len(borders), np.int64)
        for step in reversed(range(len(borders))):
            inside = ahead.copy()
            inside[ahead] = _inside(x[ahead], y[ahead], borders[step])
            found[inside] = step
        return found

    smallest = float(np.sqrt(_extent(borders[0])))
    deepest = min(DEEPEST, int(np.ceil(np.log2(cells.size(0) / smallest))) + _BOUNDARY)
    reach = np.arctan(max(float(np.hypot(*border.T).max()) for border in borders))

    def split(level: int, pixels: Integers) -> npt.NDArray[np.bool_]:
        near = _angle(cells.directions(level, pixels), centre) < reach + 2 * cells.size(level)
        parted = near.copy()
        # A corner of a contour must not slip through between the places that are looked at.
        if cells.size(level) < smallest / 8:
            rings = ring(cells.within(level, pixels[near]))
            parted[near] = (rings != rings[:, :1]).any(axis=1)
        return np.asarray(parted)

    grid = cells.refine(split, deepest)
    # A cell belongs to one step as a whole: shared out, those on a border would belong to no contour's area.
    steps = np.concatenate([ring(cells.directions(*part)) for part in grid])
    uniq = np.concatenate([4 * 4**level + pixels for level, pixels in grid])
    areas = np.bincount(steps, cells.size(0) ** 2 / 4.0 ** cells.order(uniq), len(borders) + 1)
    density = np.append(np.diff([0.0, *levels]) / np.maximum(areas[:-1], np.finfo(float).tiny), 0.0)
    return cells.normalised(uniq, density[steps])


def check_contours(ra: float, dec: float, given: Sequence[Contour]) -> str | None:
    """What is wrong with contours around a direction, or None."""
    centre, (north, east) = vector(ra, dec), plane(ra, dec)
    borders = []
    for place, contour in enumerate(given, start=1):
        corners = np.array(contour.polygon)
        if np.max(_angle(np.stack([vector(*corner) for corner in corners]), centre)) > _WIDEST:
            return f"contour {place} reaches further than {np.degrees(_WIDEST):g} degrees from the direction"
        borders.append(_projected(corners, centre, north, east))
        if _extent(borders[-1]) <= 0:
            return f"contour {place} has no area: write its corners in order, around the direction"
    for place, (inner, outer) in enumerate(pairwise(borders), start=1):
        if not _inside(inner[:, 0], inner[:, 1], outer).all():
            return f"contour {place + 1} does not hold all of contour {place}"
    return None


def _worth(level: int, deviation: Floats, sigma: float) -> npt.NDArray[np.bool_]:
    """Whether cells so many sigma away are to be divided."""
    side = cells.size(level)
    near = deviation - side / sigma < _FAR
    return np.asarray(near & (side > sigma / _FINE * np.maximum(1, deviation / 3)))


def _deepest(sigma: float) -> int:
    return max(3, min(DEEPEST, int(np.ceil(np.log2(cells.size(0) * _FINE / sigma)))))


def _angle(places: Floats, centre: Floats) -> Floats:
    chord = np.sqrt(((places - centre) ** 2).sum(-1))
    return np.asarray(2 * np.arcsin(np.minimum(chord / 2, 1)))


def plane(ra: float, dec: float) -> tuple[Floats, Floats]:
    """North and east at a position, as unit vectors."""
    lon, lat = np.radians(ra), np.radians(dec)
    north = np.array([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)])
    return north, np.array([-np.sin(lon), np.cos(lon), 0.0])


def _projected(corners: Floats, centre: Floats, north: Floats, east: Floats) -> Floats:
    """Corners in degrees as points of the plane that touches the sphere at the direction; great circles are lines."""
    places = np.stack([vector(*corner) for corner in corners])
    forward = places @ centre
    return np.stack([places @ east / forward, places @ north / forward], axis=-1)


def _extent(border: Floats) -> float:
    x, y = border.T
    return float(abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2)


def _inside(x: Floats, y: Floats, border: Floats) -> npt.NDArray[np.bool_]:
    """Whether points lie in a polygon of a plane: the line to the right crosses an odd number of sides."""
    # By height, so that each side is held only against the points that it passes.
    upwards = np.argsort(y)
    x, y = x[upwards], y[upwards]
    crossed = np.zeros(x.shape, bool)
    before = np.roll(border, 1, axis=0)
    low, high = np.searchsorted(y, np.sort(np.stack([before[:, 1], border[:, 1]]), axis=0))
    for (x1, y1), (x2, y2), first, last in zip(before, border, low, high, strict=True):
        if first < last:
            crossed[first:last] ^= x[first:last] < (x2 - x1) * (y[first:last] - y1) / (y2 - y1) + x1
    inside = np.empty_like(crossed)
    inside[upwards] = crossed
    return inside
