"""When a detector took data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from km3vo.correlation.sphere import Floats
from km3vo.errors import ParameterError


@dataclass(frozen=True, slots=True)
class Exposure:
    """Intervals of live-time, in MJD, that do not overlap.

    Attributes:
        start, stop: of the intervals, in order.
        origin: where they come from, in words for the report: "the good runs of icecube.runs", "from the first to the
            last event, since no runs are known".
    """

    start: Floats
    stop: Floats
    origin: str

    @property
    def total(self) -> float:
        """Days of live-time."""
        return float((self.stop - self.start).sum())

    def live(self, start: npt.ArrayLike, stop: npt.ArrayLike) -> Floats:
        """Days of live-time within windows."""
        return self._until(stop) - self._until(start)

    def share(self, start: npt.ArrayLike, stop: npt.ArrayLike) -> Floats:
        """The part of all live-time that lies within windows."""
        return self.live(start, stop) / self.total

    def _until(self, mjd: npt.ArrayLike) -> Floats:
        passed = np.concatenate([[0.0], np.cumsum(self.stop - self.start)])
        ends = np.column_stack([self.start, self.stop]).ravel()
        lived = np.column_stack([passed[:-1], passed[1:]]).ravel()
        return np.asarray(np.interp(np.asarray(mjd, dtype=np.float64), ends, lived))


# Runs are released with rounded times: IceCube's overlap by up to 0.87 seconds.
ROUNDING = 1 / 86400


def of_runs(start: npt.ArrayLike, stop: npt.ArrayLike, origin: str) -> Exposure:
    """Live-time of runs, in whatever order.

    A run that starts up to a second before another stops is cut there.

    Raises:
        ParameterError: runs overlap by more, or end before they start.
    """
    start, stop = np.asarray(start, dtype=np.float64), np.asarray(stop, dtype=np.float64)
    if not len(start):
        raise ParameterError("Live-time needs at least one run.")
    order = np.lexsort((stop, start))
    start, stop = start[order], stop[order]
    if not (stop >= start).all():
        raise ParameterError(f"The run that starts at MJD {start[np.argmin(stop >= start)]:.6f} ends before it starts.")
    overlapping = np.flatnonzero(start[1:] < stop[:-1] - ROUNDING)
    if len(overlapping):
        raise ParameterError(f"Two runs overlap at MJD {start[1:][overlapping[0]]:.6f}.")
    start = np.concatenate([start[:1], np.maximum(start[1:], stop[:-1])])
    return Exposure(start, np.maximum(start, stop), origin)


def of_span(mjd: Floats) -> Exposure:
    """All time between the first event and the last: what is left when no runs are known."""
    if not len(mjd) or mjd.min() == mjd.max():
        raise ParameterError("A span of time needs events at two times.")
    origin = "all time from the first event to the last, since no runs are known"
    return Exposure(np.array([mjd.min()]), np.array([mjd.max()]), origin)
