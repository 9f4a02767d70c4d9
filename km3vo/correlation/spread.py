"""Point spread functions: how likely it is to see an event at some distance from its source, per steradian."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from km3vo.correlation.sphere import Floats


def gaussian(separation: npt.ArrayLike, sigma: npt.ArrayLike) -> Floats:
    """exp(-θ²/2σ²) / 2πσ², with θ the great-circle distance (``km3_psf``; Braun et al. 2008, eq. 2).

    Integrated over the sphere it is 1 - σ²/3 (σ in radian): 0.999 for 3 degrees.

    Args:
        separation, sigma: in degrees.

    Returns:
        Density per steradian.
    """
    width = np.radians(sigma)
    return np.asarray(np.exp(-0.5 * (np.radians(separation) / width) ** 2) / (2 * np.pi * width**2))


def king(separation: npt.ArrayLike, sigma: npt.ArrayLike, gamma: float) -> Floats:
    """King's function, a core with a tail: (1 - 1/γ)/2πσ² (1 + θ²/2γσ²)^-γ (Ackermann et al. 2013, eq. 2).

    For γ → ∞ it is the Gaussian.

    Args:
        separation, sigma: in degrees.
        gamma: how steep the tail is, above 1.

    Returns:
        Density per steradian.
    """
    width = np.radians(sigma)
    tail = (1 + (np.radians(separation) / width) ** 2 / (2 * gamma)) ** -gamma
    return np.asarray((1 - 1 / gamma) / (2 * np.pi * width**2) * tail)


def king_contained(separation: npt.ArrayLike, sigma: npt.ArrayLike, gamma: float) -> Floats:
    """The share of King's function within a separation: 1 - (1 + θ²/2γσ²)^(1-γ)."""
    return np.asarray(1 - (1 + np.divide(separation, sigma) ** 2 / (2 * gamma)) ** (1 - gamma))
