"""A probability on the sky in HEALPix cells of many orders: small where it changes, large where there is nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]

SUB = 2  # a cell's density is the mean of 4**SUB places in it
DEEPEST = 24  # order of the smallest cells, 0.01 arc seconds
_DEG2 = (180 / np.pi) ** 2


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells that cover the whole sky once, with the density of probability in each.

    Attributes:
        uniq: order and number of a cell in one (NUNIQ), ascending.
        density: probability per steradian.
    """

    uniq: Integers
    density: Floats

    @property
    def areas(self) -> Floats:
        """Of each cell, in steradians."""
        return np.asarray(4 * np.pi / 12 / 4.0 ** order(self.uniq))

    @property
    def probabilities(self) -> Floats:
        """Of each cell."""
        return np.asarray(self.density * self.areas)

    def area_within(self, containment: float) -> float:
        """The smallest area that holds the direction with a probability, in square degrees."""
        densest = np.argsort(-self.density, kind="stable")
        held = np.cumsum(self.probabilities[densest])
        return float(np.interp(containment, held, np.cumsum(self.areas[densest]))) * _DEG2


def order(uniq: Integers) -> Integers:
    """The order of cells given by their NUNIQ numbers."""
    # Shifts, since logarithms round near powers of four.
    found = np.zeros_like(uniq)
    left = uniq >> 2
    for bits in (32, 16, 8, 4, 2):
        above = left >> bits > 0
        found[above] += bits // 2
        left = np.where(above, left >> bits, left)
    return found


def normalised(uniq: Integers, density: Floats) -> Cells:
    """Cells in ascending order with a total probability of 1."""
    ascending = np.argsort(uniq)
    cells = Cells(uniq[ascending], density[ascending])
    return Cells(cells.uniq, cells.density / cells.probabilities.sum())


def directions(level: int, pixels: Integers) -> Floats:
    """Unit vectors to the middles of cells, shape (n, 3)."""
    import astropy_healpix

    lon, lat = astropy_healpix.healpix_to_lonlat(pixels, 1 << level, order="nested")
    lon, lat = lon.to_value("rad"), lat.to_value("rad")
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def within(level: int, pixels: Integers) -> Floats:
    """Unit vectors to places evenly spread in each cell, shape (n, 4**SUB, 3)."""
    inside = pixels[:, None] * 4**SUB + np.arange(4**SUB)
    return directions(level + SUB, inside.ravel()).reshape(*inside.shape, 3)


def size(level: int) -> float:
    """The side of a cell of an order, in radians."""
    return float(np.sqrt(4 * np.pi / 12) / 2**level)


def refine(split: Callable[[int, Integers], npt.NDArray[np.bool_]], deepest: int) -> list[tuple[int, Integers]]:
    """Cells from the twelve of order 0 downwards, as pairs of an order and the numbers of its cells.

    Args:
        split: which of some cells of an order are to be divided.
        deepest: order of cells that are not divided any more.
    """
    level, pixels, found = 0, np.arange(12, dtype=np.int64), []
    while len(pixels):
        parted = split(level, pixels) if level < deepest else np.zeros(len(pixels), bool)
        found.append((level, pixels[~parted]))
        pixels = (pixels[parted][:, None] * 4 + np.arange(4)).ravel()
        level += 1
    return [(level, pixels) for level, pixels in found if len(pixels)]


def filled(grid: list[tuple[int, Integers]], density: Callable[[Floats], Floats]) -> Cells:
    """Cells of a grid with the mean of a density in each.

    Args:
        grid: as ``refine`` makes it.
        density: of unit vectors, shape (..., 3), up to a factor.
    """
    uniq = [4 * 4**level + pixels for level, pixels in grid]
    means = [density(within(level, pixels)).mean(axis=-1) for level, pixels in grid]
    return normalised(np.concatenate(uniq), np.concatenate(means))
