"""The significance of every direction of a list: a map before trials, its hottest spots, and what they are worth.

docs/skymaps.md describes the three methods. Directions are the centres of HEALPix pixels (nested order). Pixels alone
miss peaks, so the hottest ones are looked at again on a finer grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from km3vo.correlation import likelihood
from km3vo.correlation.background import Background
from km3vo.correlation.band import counted, smoothed
from km3vo.correlation.likelihood import Reach
from km3vo.correlation.lists import Events, Sources
from km3vo.correlation.parts import Progress, in_parts, silent
from km3vo.correlation.scrambles import scrambled
from km3vo.correlation.significance import one_sided_p
from km3vo.correlation.sphere import Floats, around, separation
from km3vo.correlation.trials import scrambled_p
from km3vo.errors import ParameterError

Method = Literal["likelihood", "count", "kernel"]
Evaluate = Callable[[Floats, Floats], "Significances"]

# "Hottest of each hemisphere": the sky above the horizon of a polar detector and below it, with the usual margin.
EQUATOR = -5.0
NEAR = Reach(sigmas=4.0, degrees=6.0)
SPOTS = 25  # of each hemisphere that are refined
FINE, AROUND = 0.1, 1.0  # degrees: the grid around a hot pixel, and how far it goes
APART = 3.0  # degrees between two spots of the list


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a map is made.

    Attributes:
        method: "likelihood" (Braun et al. 2008), "count" (Li & Ma in a disc against its band of declination), or
            "kernel" (a map smoothed with a Gaussian, against its mean and spread).
        nside: of the HEALPix pixels, a power of 2.
        radius: of the disc, or standard deviation of the kernel, in degrees; for these two methods.
        reach: of the likelihood.
        spots: hottest pixels of each hemisphere that are looked at on a finer grid.
    """

    method: Method = "likelihood"
    nside: int = 64
    radius: float = 2.0
    reach: Reach = NEAR
    spots: int = SPOTS

    def __post_init__(self) -> None:
        if self.nside not in (8, 16, 32, 64, 128, 256, 512):
            raise ParameterError(f"nside is a power of 2 from 8 to 512, not {self.nside}.")
        if not 0.1 <= self.radius <= 20:
            raise ParameterError("The radius of a disc or kernel is 0.1 to 20 degrees.")


@dataclass(frozen=True, slots=True)
class Significances:
    """The statistic, the number of excess events, and the p-value before trials, at some directions.

    The statistic is the likelihood's TS, or the significance in standard deviations of the other methods.
    """

    statistic: Floats
    n_s: Floats
    p_local: Floats


@dataclass(frozen=True, slots=True)
class Spot:
    """A hot spot: direction (degrees), statistic, excess events and p-value before trials.

    ``p_post`` is the part of scrambled maps with a spot as hot anywhere, NaN where too few were.
    """

    ra: float
    dec: float
    statistic: float
    n_s: float
    p_local: float
    p_post: float = math.nan


@dataclass(frozen=True, slots=True)
class SignificanceMap:
    """A map.

    Attributes:
        recipe: how it was made.
        statistic, n_s, log10_p: for each pixel in nested order; NaN where it is not searched. log10_p is
            -log10 p_local.
        spots: hottest first.
        seed: of the scrambles.
        hottest: the largest statistic of each scrambled map, empty where none were made.
    """

    recipe: Recipe
    statistic: Floats
    n_s: Floats
    log10_p: Floats
    spots: tuple[Spot, ...]
    seed: int
    hottest: Floats

    @property
    def p_global(self) -> float:
        """The part of scrambled maps that are as hot somewhere; NaN where too few are."""
        return self.spots[0].p_post if self.spots else math.nan


def make(
    events: Events,
    background: Background,
    recipe: Recipe | None = None,
    *,
    shares: Floats | None = None,
    seed: int = 1,
    scrambles: int = 0,
    threads: int = 1,
    progress: Progress = silent,
) -> SignificanceMap:
    """The map of a list, and, when asked, how hot scrambled lists get in the same search.

    Args:
        events: the list.
        background: of the list.
        recipe: the method and its numbers.
        shares: see :meth:`km3vo.correlation.background.Background.inverse`.
        seed, scrambles: right ascensions are drawn anew this many times.
        threads, progress: see :mod:`km3vo.correlation.parts`.

    Raises:
        ParameterError: there is no direction with enough events at its declination.
    """
    recipe = recipe or Recipe()
    ra, dec = centres(recipe.nside)
    searched = background.covers(dec)
    if not searched.any():
        raise ParameterError("Nowhere are there enough events at the same declination to make a map of.")
    ra, dec = ra[searched], dec[searched]

    def look(listed: Events, threads: int, progress: Progress = silent) -> tuple[Significances, list[Spot]]:
        evaluate = evaluator(listed, background, recipe, shares, threads, progress)
        values = evaluate(ra, dec)
        return values, hot_spots(ra, dec, values, evaluate, background, recipe.spots)

    values, spots = look(events, threads, progress)

    def one(which: int) -> float:
        _, found = look(scrambled(events, "ra", seed, which), 1)
        return found[0].statistic if found else 0.0

    hottest = np.zeros(scrambles)
    for which, statistic in in_parts(one, scrambles, threads, progress if scrambles else silent):
        hottest[which] = statistic
    columns = np.full((3, 12 * recipe.nside**2), np.nan)
    columns[:, searched] = values.statistic, values.n_s, -np.log10(values.p_local)
    judged = tuple(replace(spot, p_post=post_trial(spot.statistic, hottest)) for spot in spots)
    return SignificanceMap(recipe, columns[0], columns[1], columns[2], judged, seed, hottest)


def post_trial(statistic: float, hottest: Floats) -> float:
    """The part of scrambled maps that are as hot somewhere, NaN where too few are."""
    if not len(hottest):
        return math.nan
    return float(scrambled_p(int(np.count_nonzero(hottest >= statistic)), len(hottest)))


def centres(nside: int) -> tuple[Floats, Floats]:
    """Right ascension and declination of the pixels in nested order, in degrees."""
    from astropy_healpix import healpy

    longitude, latitude = healpy.pix2ang(nside, np.arange(12 * nside**2), nest=True, lonlat=True)
    return np.asarray(longitude), np.asarray(latitude)


def evaluator(
    events: Events,
    background: Background,
    recipe: Recipe,
    shares: Floats | None = None,
    threads: int = 1,
    progress: Progress = silent,
) -> Evaluate:
    """The method of a recipe as a function of directions."""
    if recipe.method == "likelihood":
        ready = likelihood.prepared(events, background.inverse(events, shares))

        def by_likelihood(ra: Floats, dec: Floats) -> Significances:
            at = likelihood.places(Sources.points(ra, dec), None)
            found = likelihood.fitted(ready, at, background.total, recipe.reach, False, threads, progress)
            return Significances(found.ts, found.n_s, found.p_local)

        return by_likelihood
    method = counted if recipe.method == "count" else smoothed

    def by_band(ra: Floats, dec: Floats) -> Significances:
        z, excess = method(events, ra, dec, recipe.radius)
        return Significances(z, excess, one_sided_p(z))

    return by_band


def hot_spots(
    ra: Floats, dec: Floats, values: Significances, evaluate: Evaluate, background: Background, number: int
) -> list[Spot]:
    """The hottest spots of a map, hottest first and not closer to each other than 3 degrees.

    The ``number`` hottest pixels of each hemisphere, not closer than a degree, are looked at on a finer grid.
    """
    pixels = [
        int(half[which])
        for half in (np.flatnonzero(dec > EQUATOR), np.flatnonzero(dec <= EQUATOR))
        for which in separate(ra[half], dec[half], values.statistic[half], number, AROUND)
    ]
    if not pixels:
        return []
    grids = [around(float(ra[pixel]), float(dec[pixel]), AROUND, FINE) for pixel in pixels]
    grids = [(x[inside], y[inside]) for x, y in grids for inside in [background.covers(y)]]
    # The pixel itself is one of them, so that nothing is lost where the grid leaves the searched sky.
    fine_ra = np.concatenate([np.append(x, ra[pixel]) for (x, _), pixel in zip(grids, pixels, strict=True)])
    fine_dec = np.concatenate([np.append(y, dec[pixel]) for (_, y), pixel in zip(grids, pixels, strict=True)])
    fine = evaluate(fine_ra, fine_dec)
    spots: list[Spot] = []
    end = 0
    for x, _ in grids:
        begin, end = end, end + len(x) + 1
        best = begin + int(np.argmax(fine.statistic[begin:end]))
        spots.append(
            Spot(
                float(fine_ra[best]),
                float(fine_dec[best]),
                float(fine.statistic[best]),
                float(fine.n_s[best]),
                float(fine.p_local[best]),
            )
        )
    ras, decs, heights = (np.array([getattr(spot, name) for spot in spots]) for name in ("ra", "dec", "statistic"))
    return [spots[which] for which in separate(ras, decs, heights, len(spots), APART)]


def separate(ra: Floats, dec: Floats, height: Floats, number: int, apart: float) -> list[int]:
    """The places of the highest values above 0, highest first, not closer to each other than ``apart`` degrees."""
    chosen: list[int] = []
    left = np.flatnonzero(height > 0)
    left = left[np.argsort(-height[left], kind="stable")]
    while len(chosen) < number and len(left):
        highest = int(left[0])
        chosen.append(highest)
        left = left[separation(ra[highest], dec[highest], ra[left], dec[left]) > apart]
    return chosen
