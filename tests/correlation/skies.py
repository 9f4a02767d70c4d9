"""Skies for tests: lists without sources, and lists with one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from km3vo.correlation.lists import Events

Floats = npt.NDArray[np.float64]


def isotropic(seed: int, number: int, sigma: float | tuple[float, float] = (0.3, 1.5), days: float = 1000) -> Events:
    """Events from everywhere at any time; their errors lie between two numbers, evenly in the logarithm."""
    random = np.random.default_rng(seed)
    low, high = (sigma, sigma) if isinstance(sigma, float) else sigma
    return Events(
        ra=random.uniform(0, 360, number),
        dec=np.degrees(np.arcsin(random.uniform(-1, 1, number))),
        sigma=np.exp(random.uniform(np.log(low), np.log(high), number)),
        mjd=random.uniform(57000, 57000 + days, number),
    )


def scattered(random: np.random.Generator, ra: float, dec: float, sigma: Floats) -> tuple[Floats, Floats]:
    """Directions around one, as a Gaussian scatters them on the sphere."""
    distance = np.radians(sigma * np.sqrt(-2 * np.log(random.uniform(size=len(sigma)))))
    angle = random.uniform(0, 2 * np.pi, len(sigma))
    delta = np.radians(dec)
    sin_dec = np.sin(delta) * np.cos(distance) + np.cos(delta) * np.sin(distance) * np.cos(angle)
    turn = np.arctan2(np.sin(angle) * np.sin(distance) * np.cos(delta), np.cos(distance) - np.sin(delta) * sin_dec)
    return (ra + np.degrees(turn)) % 360, np.degrees(np.arcsin(sin_dec))


def injected(
    events: Events,
    seed: int,
    number: int,
    ra: float,
    dec: float,
    sigma: float,
    times: tuple[float, float] | None = None,
) -> Events:
    """The list with its last events moved to a source; ``times`` are centre and width of a Gaussian flare."""
    random = np.random.default_rng((seed, 77))
    widths = np.full(number, sigma)
    new_ra, new_dec = scattered(random, ra, dec, widths)
    moved = replace(
        events,
        ra=np.concatenate([events.ra[:-number], new_ra]),
        dec=np.concatenate([events.dec[:-number], new_dec]),
        sigma=np.concatenate([events.sigma[:-number], widths]),
    )
    if times is None or events.mjd is None:
        return moved
    flare = random.normal(times[0], times[1] / 2, number)
    return replace(moved, mjd=np.concatenate([events.mjd[:-number], flare]))
