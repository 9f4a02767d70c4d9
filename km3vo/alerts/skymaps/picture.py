"""A sky map as a picture: the surroundings of the direction, with the borders of the regions of 50 and 90 per cent."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from km3vo.alerts.revision import Revision
from km3vo.alerts.skymaps import files, shapes
from km3vo.alerts.skymaps.cells import Cells, Floats, order
from km3vo.correlation import picture

SIZE = 480  # pixels
SHOWN = 2.0  # radii that hold 90 per cent, from the middle to the edge
BORDERS = ((0.5, (255, 255, 255, 255)), (0.9, (220, 60, 50, 255)))


def document(revision: Revision, given: bytes | None = None) -> bytes:
    """The picture as a PNG: north is up and east is left, distances from the middle are true.

    Args:
        revision: with a position.
        given: a map that the pipeline sent with it.
    """
    cells = files.read(given) if given else files.of(revision)
    ra, dec, err90 = revision.ra, revision.dec, revision.err90
    assert ra is not None and dec is not None and err90 is not None
    places = around(ra, dec, min(180.0, SHOWN * err90))
    density = densities(cells, places)
    shown = np.full((SIZE, SIZE, 4), 255, dtype=np.uint8)
    shown[..., :3] = picture.colours(density, float(cells.density.max()))
    for containment, colour in BORDERS:
        shown[border(density >= least(cells, containment))] = colour
    return picture.png(shown)


def around(ra: float, dec: float, radius: float) -> Floats:
    """Unit vectors to the pixels of a square whose sides are ``radius`` degrees from the direction in its middle."""
    steps = (np.arange(SIZE) + 0.5) / SIZE * 2 - 1
    left, up = np.meshgrid(-steps, -steps)
    away = np.radians(radius) * np.hypot(left, up)
    turned = np.arctan2(left, up)
    # Beyond the antipode there is nothing new: the corners of a picture of the whole sky repeat its rim.
    away = np.minimum(away, np.pi)[..., None]
    north, east = shapes.plane(ra, dec)
    sideways = np.cos(turned)[..., None] * north + np.sin(turned)[..., None] * east
    return np.asarray(np.cos(away) * shapes.vector(ra, dec) + np.sin(away) * sideways)


def densities(cells: Cells, places: Floats) -> Floats:
    """The density of probability at places, shape (…, 3)."""
    from astropy_healpix import healpy

    found = np.zeros(places.shape[:-1])
    levels = order(cells.uniq)
    x, y, z = np.moveaxis(places, -1, 0)
    ra, dec = np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arcsin(np.clip(z, -1, 1)))
    for level in np.unique(levels):
        mine = np.flatnonzero(levels == level)
        asked = healpy.ang2pix(2 ** int(level), ra, dec, nest=True, lonlat=True) + 4 * 4 ** int(level)
        place = np.minimum(np.searchsorted(cells.uniq[mine], asked), len(mine) - 1)
        there = cells.uniq[mine][place] == asked
        found[there] = cells.density[mine][place][there]
    return found


def least(cells: Cells, containment: float) -> float:
    """The density at the border of the smallest region that holds the direction with a probability."""
    densest = np.argsort(-cells.density, kind="stable")
    held = np.cumsum(cells.probabilities[densest])
    return float(cells.density[densest[min(int(np.searchsorted(held, containment)), len(densest) - 1)]])


def border(inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The pixels of a region beside which one is that does not belong to it."""
    padded = np.pad(inside, 1, mode="edge")
    middle = slice(1, -1)
    others = (padded[:-2, middle], padded[2:, middle], padded[middle, :-2], padded[middle, 2:])
    return np.asarray(inside & ~np.logical_and.reduce(others))
