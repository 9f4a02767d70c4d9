"""Many looks at the sky: what a small p-value is worth after them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from km3vo.correlation.sphere import Floats, Ints
from km3vo.errors import ParameterError

# A p-value from scrambles is printed once this many of them reached what was observed.
REACHED = 10


def after_trials(p: npt.ArrayLike, looks: int) -> Floats:
    """Šidák's correction for independent looks: 1 - (1 - p)^m."""
    p = np.asarray(p, dtype=np.float64)
    with np.errstate(divide="ignore"):
        return np.asarray(-np.expm1(looks * np.log1p(-p)))


def false_discovery(p: npt.ArrayLike) -> Floats:
    """q-values of Benjamini & Hochberg 1995: the share of false ones among all that are at least as significant.

    Values that are missing stay missing and do not count as looks.
    """
    p = np.asarray(p, dtype=np.float64)
    q = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    scaled = p[order] * len(order) / np.arange(1, len(order) + 1)
    q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return q


def scrambled_p(reached: Ints | int, scrambles: int) -> Floats:
    """The p-value (k + 1)/(n + 1) when k of n scrambles reached what was observed (Davison & Hinkley 1997, eq. 4.11).

    NaN where k is below 10: such a p says more about the number of scrambles than about the sky. All that is known
    then is that p is about 10/n or smaller.
    """
    p = (np.asarray(reached) + 1) / (scrambles + 1)
    return np.asarray(np.where(np.asarray(reached) >= REACHED, p, np.nan))


def fisher(p: npt.ArrayLike) -> float:
    """One p-value of several independent ones: -2 Σ ln p follows χ² with 2k degrees of freedom (Fisher 1932).

    Raises ParameterError unless all are in (0, 1].
    """
    p = np.asarray(p, dtype=np.float64)
    if not len(p) or not ((p > 0) & (p <= 1)).all():
        raise ParameterError("p-values to be joined lie above 0 and not above 1.")
    return float(special.chdtrc(2 * len(p), -2 * np.log(p).sum()))
