"""A whole catalogue as one question: do its sources together have more than chance gives them?

The statistic is the weighted sum of the sources' TS. What it is worth, only scrambles can say: sources share events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from km3vo.correlation.likelihood import Fit, Scrambled
from km3vo.correlation.sphere import Floats
from km3vo.correlation.trials import scrambled_p
from km3vo.errors import ParameterError


@dataclass(frozen=True, slots=True)
class Stack:
    """The catalogue as a whole.

    Attributes:
        ts: weighted sum of the sources' TS.
        n_s: sum of their events, without weights.
        scrambles: how many it was compared with.
        reached: how many of them gave as large a sum.
        p: their part; NaN where too few did, see :func:`km3vo.correlation.trials.scrambled_p`.
    """

    ts: float
    n_s: float
    scrambles: int
    reached: int
    p: float


def weights(values: npt.ArrayLike | None, number: int) -> Floats:
    """Weights with mean 1: equal ones, or in proportion to a column such as a flux.

    Raises:
        ParameterError: a value is missing or negative, or all are 0.
    """
    if values is None:
        return np.ones(number)
    column = np.asarray(values, dtype=np.float64)
    if len(column) != number or not (np.isfinite(column) & (column >= 0)).all() or not column.any():
        raise ParameterError("Weights are numbers, none missing, none negative, and not all 0.")
    return np.asarray(column / column.mean())


def stack(fitted: Fit, scrambled: Scrambled, weight: Floats) -> Stack:
    """Sum the sources of a fit. ``scrambled`` must have been made with the same weights."""
    ts = float(weight @ fitted.ts)
    reached = int(np.count_nonzero(scrambled.stacked >= ts))
    return Stack(ts, float(fitted.n_s.sum()), scrambled.number, reached, float(scrambled_p(reached, scrambled.number)))
