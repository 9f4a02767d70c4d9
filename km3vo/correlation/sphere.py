"""Directions on the sky: unit vectors, distances, circles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def unit_vectors(ra: npt.ArrayLike, dec: npt.ArrayLike) -> Floats:
    """Directions in degrees as vectors of length one, of shape (n, 3)."""
    alpha, delta = np.radians(np.atleast_1d(ra)), np.radians(np.atleast_1d(dec))
    return np.stack([np.cos(delta) * np.cos(alpha), np.cos(delta) * np.sin(alpha), np.sin(delta)], axis=-1)


def separation(ra1: npt.ArrayLike, dec1: npt.ArrayLike, ra2: npt.ArrayLike, dec2: npt.ArrayLike) -> Floats:
    """Great-circle distance in degrees, exact for small and for opposite directions (Vincenty's formula)."""
    delta1, delta2 = np.radians(dec1), np.radians(dec2)
    turn = np.radians(np.subtract(ra2, ra1))
    across = np.hypot(
        np.cos(delta2) * np.sin(turn),
        np.cos(delta1) * np.sin(delta2) - np.sin(delta1) * np.cos(delta2) * np.cos(turn),
    )
    along = np.sin(delta1) * np.sin(delta2) + np.cos(delta1) * np.cos(delta2) * np.cos(turn)
    return np.asarray(np.degrees(np.arctan2(across, along)))


def solid_angle(radius: npt.ArrayLike) -> Floats:
    """Solid angle of a circle, in steradian. Its radius is in degrees."""
    # Written with the half angle, since 1 - cos(r) loses all digits for small circles.
    return np.asarray(4 * np.pi * np.sin(np.radians(radius) / 2) ** 2)


def band_solid_angle(low: npt.ArrayLike, high: npt.ArrayLike) -> Floats:
    """Solid angle between two declinations, in steradian."""
    low, high = np.clip(low, -90, 90), np.clip(high, -90, 90)
    return np.asarray(2 * np.pi * (np.sin(np.radians(high)) - np.sin(np.radians(low))))


def share_of_circle(dec: npt.ArrayLike, centre: npt.ArrayLike, radius: npt.ArrayLike) -> Floats:
    """Which part of all right ascensions at one declination lies within a circle.

    This is the chance that an event of that declination falls into the circle when its right ascension is drawn
    anew: what a scramble does.

    Args:
        dec: declination of the event, in degrees.
        centre: declination of the circle's centre, in degrees.
        radius: of the circle, in degrees.
    """
    delta, delta0 = np.radians(dec), np.radians(centre)
    product = np.cos(delta) * np.cos(delta0)
    needed = np.cos(np.radians(radius)) - np.sin(delta) * np.sin(delta0)
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = np.where(product > 1e-15, needed / product, np.where(needed <= 0, -1.0, 1.0))
    return np.asarray(np.arccos(np.clip(cosine, -1, 1)) / np.pi)


def around(ra: float, dec: float, reach: float, step: float) -> tuple[Floats, Floats]:
    """A square grid of directions around one, in degrees, right ascensions stretched so that steps are true angles.

    Directions beyond a pole are left out.
    """
    steps = np.linspace(-reach, reach, 2 * round(reach / step) + 1)
    across, up = (axis.ravel() for axis in np.meshgrid(steps, steps))
    decs = dec + up
    inside = np.abs(decs) < 90
    across, decs = across[inside], decs[inside]
    return (ra + across / np.cos(np.radians(decs))) % 360, decs
