"""Error circles: from "this radius holds that share" to the width of a Gaussian, and back.

An error circle is read as a two-dimensional Gaussian with the same width in both directions. The distance from its
centre then follows Rayleigh's distribution, and a circle of radius r holds the share 1 - exp(-r²/2σ²). The usual
"one sigma" of neutrino telescopes (``ang_err`` of IceCube, ``beta`` of ANTARES) is σ itself and holds 39.3 percent.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from km3vo.correlation.sphere import Floats
from km3vo.errors import ParameterError

# Widths below and above these are errors of the error: lists hold 0.0002 degrees and 30 degrees for single tracks.
FLOOR, CEILING = 0.2, 3.0


def factor(share: float) -> float:
    """How many σ the circle has that holds a share of the probability: 1.1774 for a half, 2.1460 for 90 percent.

    Raises ParameterError unless 0 < share < 1.
    """
    if not 0 < share < 1:
        raise ParameterError(f"A circle holds a share between 0 and 1, not {share:g}: write 0.9 for 90 percent.")
    return float(np.sqrt(-2 * np.log1p(-share)))


def sigma(radius: npt.ArrayLike, share: float) -> Floats:
    """σ of the Gaussian of which a circle of this radius holds the share; in the unit of the radius."""
    return np.asarray(np.asarray(radius, dtype=np.float64) / factor(share))


def converted(radius: npt.ArrayLike, share: float, wanted: float) -> Floats:
    """The radius that holds ``wanted``, where the given one holds ``share``: 50 → 90 percent is times 1.8226."""
    return np.asarray(np.asarray(radius, dtype=np.float64) * (factor(wanted) / factor(share)))


def contained(separation: npt.ArrayLike, sigma: npt.ArrayLike) -> Floats:
    """The share that a circle through a direction at this separation from the centre holds (``km3_containment``)."""
    scaled = np.asarray(separation, dtype=np.float64) / np.asarray(sigma, dtype=np.float64)
    return np.asarray(-np.expm1(-0.5 * scaled**2))


def of_ellipse(major: npt.ArrayLike, minor: npt.ArrayLike) -> Floats:
    """Radius of the circle with the area of an ellipse of these half axes."""
    return np.asarray(np.sqrt(np.multiply(major, minor)))


def event_widths(radius: npt.ArrayLike, share: float, floor: float = FLOOR, ceiling: float = CEILING) -> Floats:
    """σ of events, in degrees, held between a floor and a ceiling."""
    return np.asarray(np.clip(sigma(radius, share), floor, ceiling))
