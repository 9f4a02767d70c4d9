"""Signals that are too weak each for itself: what several messengers say together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from km3vo.correlation.sphere import Floats, separation, unit_vectors
from km3vo.correlation.spread import gaussian
from km3vo.errors import ParameterError


def common_direction(ra: Floats, dec: Floats, sigma: Floats) -> tuple[float, float]:
    """The direction that Gaussian error circles agree on best, in degrees: where Σ θ²/σ² is smallest.

    Raises:
        ParameterError: the directions cancel each other.
    """
    vectors, weight = unit_vectors(ra, dec), 1 / np.asarray(sigma, dtype=np.float64) ** 2
    mean = weight @ vectors
    if np.linalg.norm(mean) < 1e-9 * weight.sum():
        raise ParameterError("The directions are opposite to each other: they have none in common.")
    mean /= np.linalg.norm(mean)
    for _ in range(50):
        # On the plane that touches the sphere at the mean, distances are arcs and the mean is exact.
        cosine = np.clip(vectors @ mean, -1, 1)
        along = vectors - np.outer(cosine, mean)
        length = np.linalg.norm(along, axis=1)
        arcs = along * np.where(length > 0, np.arccos(cosine) / np.where(length > 0, length, 1), 0)[:, None]
        step = weight @ arcs / weight.sum()
        moved = float(np.linalg.norm(step))
        if moved < 1e-12:
            break
        mean = mean * np.cos(moved) + step * np.sin(moved) / moved
    return float(np.degrees(np.arctan2(mean[1], mean[0])) % 360), float(np.degrees(np.arcsin(np.clip(mean[2], -1, 1))))


def coincidence(ra: Floats, dec: Floats, sigma: Floats, background: Floats) -> tuple[float, float, float]:
    """λ = Σ ln(S_i(x)/B_i) at the direction x where it is largest (Smith et al. 2013, eq. 4, as AMON uses it).

    Args:
        ra, dec, sigma: of one event of each messenger, in degrees.
        background: density of each messenger's background there, per steradian, as a probability.

    Returns:
        λ, and right ascension and declination of x.
    """
    if not (np.asarray(background) > 0).all():
        raise ParameterError("λ needs a background above 0 for each event.")
    at = common_direction(ra, dec, sigma)
    signal = gaussian(separation(ra, dec, *at), sigma)
    return float(np.log(signal / background).sum()), *at


def overlap(ra1: float, dec1: float, sigma1: float, ra2: float, dec2: float, sigma2: float) -> float:
    """I = 4π ∫ P₁ P₂ dΩ of two Gaussian error circles: 1 for maps that say nothing, large where both agree."""
    return float(4 * np.pi * gaussian(separation(ra1, dec1, ra2, dec2), np.hypot(sigma1, sigma2)))


def overlap_of_maps(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """I of two maps with the same HEALPix pixels, as probabilities per pixel."""
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if first.shape != second.shape or not (first.sum() > 0 and second.sum() > 0):
        raise ParameterError("The maps must have the same pixels and hold some probability.")
    return float(len(first) * (first * second).sum() / (first.sum() * second.sum()))


def joint_false_alarm_rate(rate1: float, rate2: float, window: float, overlap: float) -> float:
    """False alarm rate of a pair: FAR₁ R₂ Δt / I, with I that of :func:`overlap` (Urban 2016, as RAVEN uses it).

    Args:
        rate1: false alarm rate of the first, in Hz.
        rate2: rate of the second kind of event, in Hz.
        window: Δt in which a pair may lie, in s.
        overlap: I.

    Returns:
        Hz.
    """
    if min(rate1, rate2, window) < 0 or overlap <= 0:
        raise ParameterError("Rates and the window are 0 or more, and the overlap above 0.")
    return rate1 * rate2 * window / overlap
