"""What is correlated: a list of events, and a list of sources."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from km3vo.correlation.sphere import Floats, Ints
from km3vo.errors import ParameterError


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """Events with directions, widths and, for searches in time, times. All arrays are of length n.

    Attributes:
        ra, dec: degrees, ICRS.
        sigma: width of the Gaussian error in degrees, see :mod:`km3vo.correlation.containment`.
        mjd: time in days, or None.
        group: number of the configuration an event was taken with, 0 … k - 1. Each has a background of its own.
        weight: how much more like a signal than like background an event is, from a response to the energy; None
            for 1. Its mean over the background of any declination must be 1.
    """

    ra: Floats
    dec: Floats
    sigma: Floats
    mjd: Floats | None = None
    group: Ints | None = None
    weight: Floats | None = None

    def __post_init__(self) -> None:
        _check(self, ("ra", "dec", "sigma", "mjd", "weight"), "events")
        if self.group is not None:
            _store(self, "group", np.ascontiguousarray(self.group, dtype=np.int64))
            if self.group.shape != self.ra.shape or (len(self) and self.group.min() < 0):
                raise ParameterError("Each event belongs to a configuration, numbered from 0.")
        if not (self.sigma > 0).all():
            raise ParameterError("The error of an event is above 0: give those without one a floor.")
        if self.weight is not None and not (self.weight >= 0).all():
            raise ParameterError("The weight of an event is 0 or more.")

    def __len__(self) -> int:
        return len(self.ra)

    def timed(self) -> Floats:
        """The times. Raises ParameterError when the list has none."""
        if self.mjd is None:
            raise ParameterError("A search in time needs the times of the events: name the column that holds them.")
        return self.mjd


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Positions to look at. All arrays are of length m.

    Attributes:
        ra, dec: degrees, ICRS.
        sigma: width of the source or of its error circle, in degrees; 0 for a point that is known exactly.
        start, stop: the window in which its events may lie, MJD; None for all times.
        mjd: time of a transient source, from which delays count; None where there is none.
    """

    ra: Floats
    dec: Floats
    sigma: Floats
    start: Floats | None = None
    stop: Floats | None = None
    mjd: Floats | None = None

    def __post_init__(self) -> None:
        _check(self, ("ra", "dec", "sigma", "start", "stop", "mjd"), "sources")
        if not (self.sigma >= 0).all():
            raise ParameterError("The error of a source is 0 or more.")
        if (self.start is None) != (self.stop is None):
            raise ParameterError("A window has a start and a stop.")
        if self.start is not None and self.stop is not None and not (self.stop > self.start).all():
            raise ParameterError("A window stops after it starts.")

    def __len__(self) -> int:
        return len(self.ra)

    @classmethod
    def points(cls, ra: npt.ArrayLike, dec: npt.ArrayLike) -> Sources:
        """Points without errors and at all times."""
        ra = np.atleast_1d(np.asarray(ra, dtype=np.float64))
        return cls(ra=ra, dec=np.atleast_1d(np.asarray(dec, dtype=np.float64)), sigma=np.zeros(len(ra)))

    @classmethod
    def transient(
        cls, ra: Floats, dec: Floats, sigma: Floats, mjd: Floats, before: float | Floats, after: float | Floats
    ) -> Sources:
        """Sources that shine from ``before`` days before a time to ``after`` days after it."""
        return cls(ra=ra, dec=dec, sigma=sigma, start=mjd - before, stop=mjd + after, mjd=mjd)

    def window(self) -> tuple[Floats, Floats]:
        """Start and stop of each, infinite where sources have none."""
        if self.start is None or self.stop is None:
            return np.full(len(self), -np.inf), np.full(len(self), np.inf)
        return self.start, self.stop


def _check(entries: Events | Sources, names: tuple[str, ...], what: str) -> None:
    """Make every array a contiguous one of doubles, and refuse what no direction or time can be."""
    for name in names:
        values = getattr(entries, name)
        if values is None:
            continue
        array = np.ascontiguousarray(values, dtype=np.float64)
        _store(entries, name, array)
        if array.ndim != 1 or array.shape != np.shape(entries.ra):
            raise ParameterError(f"The {what} need one value of {name} each.")
        bad = np.flatnonzero(~np.isfinite(array))
        if len(bad):
            raise ParameterError(
                f"{name} of the {what}: {len(bad)} values are missing or infinite, the first in row {bad[0] + 1}: "
                "leave these rows out."
            )
    if len(entries) and not (np.abs(entries.dec) <= 90).all():
        raise ParameterError(f"dec of the {what}: declinations lie between -90 and 90 degrees.")
    _store(entries, "ra", np.mod(entries.ra, 360.0))


def _store(entries: Events | Sources, name: str, value: object) -> None:
    object.__setattr__(entries, name, value)
