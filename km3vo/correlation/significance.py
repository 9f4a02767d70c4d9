"""How unlikely a count is, by the formulas of the field, and what it leaves room for."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import special

from km3vo.correlation.sphere import Floats
from km3vo.errors import ParameterError


def poisson_p(observed: npt.ArrayLike, expected: npt.ArrayLike) -> Floats:
    """Chance of this many events or more where ``expected`` are expected (``km3_poisson_p``).

    1 for none observed; 0 expected and some observed gives 0.
    """
    observed, expected = np.asarray(observed, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    # P(N ≥ n | μ) is the regularised lower incomplete gamma function P(n, μ).
    return np.asarray(np.where(observed > 0, special.gammainc(np.maximum(observed, 1), expected), 1.0))


def binomial_p(on: npt.ArrayLike, off: npt.ArrayLike, tau: float | Floats) -> Floats:
    """Chance of ``on`` events or more, where ``off`` were counted in an exposure τ times as large (``km3_binomial_p``).

    P = I_{1/(1+τ)}(n_on, n_off + 1): Cousins, Linnemann & Tucker 2008, eq. 14. It holds the uncertainty of the
    background, which :func:`poisson_p` takes as known.
    """
    on, off = np.asarray(on, dtype=np.float64), np.asarray(off, dtype=np.float64)
    return np.asarray(np.where(on > 0, special.betainc(np.maximum(on, 1), off + 1, 1 / (1 + np.asarray(tau))), 1.0))


def li_ma(on: npt.ArrayLike, off: npt.ArrayLike, alpha: npt.ArrayLike) -> Floats:
    """Significance of ``on`` events against ``off`` in an exposure 1/α times as large (``km3_lima``).

    Li & Ma 1983, eq. 17, in standard deviations; negative where fewer were seen than expected.
    """
    on, off, alpha = (np.asarray(value, dtype=np.float64) for value in (on, off, alpha))
    total = on + off
    with np.errstate(divide="ignore", invalid="ignore"):
        first = special.xlogy(on, (1 + alpha) / alpha * on / total)
        second = special.xlogy(off, (1 + alpha) * off / total)
        # Rounding leaves a few 1e-16 below zero where both agree.
        size = np.sqrt(2 * np.maximum(first + second, 0))
    return np.asarray(np.where(total > 0, np.copysign(size, on - alpha * off), 0.0))


def standard_deviations(p: npt.ArrayLike) -> Floats:
    """The one-sided Gaussian significance of a p-value: 0.00135 → 3."""
    return np.asarray(-special.ndtri(np.asarray(p, dtype=np.float64)))


def one_sided_p(deviations: npt.ArrayLike) -> Floats:
    """The p-value of so many standard deviations upwards: 3 → 0.00135."""
    return np.asarray(special.ndtr(-np.asarray(deviations, dtype=np.float64)))


def half_chi2_p(ts: npt.ArrayLike) -> Floats:
    """p-value of a test statistic by Wilks' theorem at a border: half of a χ² with one degree of freedom.

    It is conservative for the lists at hand, see docs/correlate.md; 1 where the statistic is 0.
    """
    ts = np.asarray(ts, dtype=np.float64)
    return np.asarray(np.where(ts > 0, 0.5 * special.chdtrc(1, np.maximum(ts, 0)), 1.0))


@lru_cache(maxsize=4096)
def upper_limit(observed: int, expected: float, level: float = 0.9) -> float:
    """Upper end of the interval of Feldman & Cousins 1998 for a signal: 2.44 for nothing seen, nothing expected.

    Args:
        observed: number of events.
        expected: background, taken as known.
        level: of confidence.

    Raises:
        ParameterError: the numbers are negative, or so large that the construction would take minutes.
    """
    if observed < 0 or expected < 0 or observed > 1000 or expected > 1000:
        raise ParameterError("An upper limit needs 0 to 1000 events, observed and expected.")
    # The signal that fits best is always accepted. From far above it, walk down to the last one that is.
    best = max(0.0, observed - expected)
    signal = best + 6 * math.sqrt(observed + 1) + 6
    for step in (1.0, 0.1, 0.01, 0.001):
        while signal > best and not _accepts(observed, expected, signal, level):
            signal = max(best, signal - step)
        signal += step
    return round(signal - 0.001, 3)


def _accepts(observed: int, background: float, signal: float, level: float) -> bool:
    """Whether the counts that a signal accepts, ordered by likelihood ratio, hold the one observed."""
    mean = background + signal
    counts = np.arange(int(mean + 10 * math.sqrt(mean + 1) + 20))
    chance = np.exp(_log_poisson(counts, mean))
    best = np.maximum(0.0, counts - background) + background
    order = np.argsort(-(_log_poisson(counts, mean) - _log_poisson(counts, best)), kind="stable")
    within = np.cumsum(chance[order])
    accepted = order[: int(np.searchsorted(within, level)) + 1]
    return observed in accepted


def _log_poisson(counts: npt.NDArray[np.int64], mean: float | Floats) -> Floats:
    return np.asarray(special.xlogy(counts, mean) - mean - special.gammaln(counts + 1))
