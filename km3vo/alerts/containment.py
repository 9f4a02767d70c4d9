"""Error circles of different containment: how a radius that was not given follows from one that was."""

from __future__ import annotations

import math

WIDEST = 180.0


def ratio(containment: float) -> float:
    """The radius that holds the true direction with a probability, over the one that holds it with 50 %.

    For a Gaussian in two dimensions: 1.2821 for 68 %, 1.8226 for 90 %, 2.5776 for 99 %. Those of KM3-230213A
    (1.2, 1.5, 2.2 and 3.0°) are 1.25, 1.83 and 2.5.
    """
    return math.sqrt(math.log(1 - containment) / math.log(0.5))


def radii(err50: float, err68: float | None, err90: float | None) -> tuple[float, float, bool]:
    """The radii for 68 and 90 % in degrees, and whether one of them had to be derived.

    A derived radius stays between its neighbours, whatever the Gaussian says.
    """
    derived = err68 is None or err90 is None
    if err90 is None:
        err90 = min(WIDEST, max(err50 * ratio(0.9), err68 or 0.0))
    if err68 is None:
        err68 = min(err50 * ratio(0.68), err90)
    return err68, err90, derived
