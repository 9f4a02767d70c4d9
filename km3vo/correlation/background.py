"""What a list looks like without sources, taken from the list itself.

A detector turns with the Earth, so its background depends on declination and not on right ascension. How it depends
on declination is read from the list; that it does not depend on right ascension is tested (:func:`rayleigh_p`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from km3vo.correlation.lists import Events
from km3vo.correlation.sphere import Floats, Ints
from km3vo.errors import ParameterError

BINS = 2000  # of sin(dec), much finer than what the smoothing leaves
FEWEST = 10  # events that must lie about as far north or south as a position, for scrambles to say something
BAND = 3.0  # degrees north and south that count for it
POLE = 85.0  # beyond, moving in right ascension hardly moves


@dataclass(frozen=True, slots=True)
class Background:
    """Density of the background over declination, for each configuration.

    Attributes:
        densities: for each configuration, events per steradian at the centres of :data:`BINS` bins of sin(dec); its
            integral over the sphere is the number of events of this configuration.
        total: number of events.
        searched: for each degree of declination from -90, whether positions there are searched at all.
    """

    densities: Floats
    total: int
    searched: npt.NDArray[np.bool_]

    def density(self, dec: npt.ArrayLike, group: Ints | None = None) -> Floats:
        """Events per steradian at declinations, of one configuration each or (None) of all together."""
        centres = (np.arange(BINS) + 0.5) * 2 / BINS - 1
        sines = np.sin(np.radians(dec))
        if group is None:
            return np.asarray(np.interp(sines, centres, self.densities.sum(axis=0)))
        result = np.empty(len(sines))
        for number, density in enumerate(self.densities):
            mine = group == number
            result[mine] = np.interp(sines[mine], centres, density)
        return result

    def inverse(self, events: Events, shares: Floats | None = None) -> Floats:
        """What the density of a signal is multiplied with to get R_i = S_i/B_i, in steradian.

        Args:
            events: the list this background was made from.
            shares: for each event, the share of a signal of its declination that its configuration sees; None where
                this is not known: then signal is divided among configurations as background is.
        """
        weight = 1.0 if events.weight is None else events.weight
        if shares is None or events.group is None:
            return np.asarray(weight * self.total / self.density(events.dec))
        return np.asarray(weight * shares * self.total / self.density(events.dec, events.group))

    def covers(self, dec: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether positions are far enough from the poles, and have enough events to their east and west."""
        degree = np.clip(np.floor(np.asarray(dec) + 90).astype(np.int64), 0, 179)
        return np.asarray(self.searched[degree] & (np.abs(dec) <= POLE))


def of_list(events: Events, bandwidth: float | None = None) -> Background:
    """The background of a list: a histogram of sin(dec), smoothed with a Gaussian and reflected at the poles.

    Args:
        events: the list.
        bandwidth: of the Gaussian, in sin(dec). None for half of Silverman's rule, 0.53 s N^(-1/5) with s the standard
            deviation, for each configuration: the rule itself blurs the horizon.

    Raises:
        ParameterError: there are no events.
    """
    if not len(events):
        raise ParameterError("A background needs events, and the list is empty.")
    group = np.zeros(len(events), dtype=np.int64) if events.group is None else events.group
    sines = np.sin(np.radians(events.dec))
    densities = np.zeros((int(group.max()) + 1, BINS))
    for number in range(len(densities)):
        mine = sines[group == number]
        if not len(mine):
            continue
        width = bandwidth or max(0.53 * float(mine.std()) * len(mine) ** -0.2, 2 / BINS)
        counts, _ = np.histogram(mine, BINS, (-1, 1))
        densities[number] = smooth(counts.astype(np.float64), width * BINS / 2) * BINS / (4 * np.pi)
    return Background(densities, len(events), _searched(events.dec))


def smooth(counts: Floats, width: float) -> Floats:
    """Convolve with a Gaussian, ``width`` bins wide; what leaves at one end comes back there. Keeps the sum."""
    reach = min(len(counts), int(np.ceil(5 * width)) + 1)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    padded = np.pad(counts, reach, mode="symmetric")
    smoothed = np.convolve(padded, kernel / kernel.sum(), mode="valid")
    return np.asarray(smoothed * (counts.sum() / max(smoothed.sum(), 1e-300)))


def _searched(dec: Floats) -> npt.NDArray[np.bool_]:
    """For each degree of declination, whether its band holds events on either side of it, and enough of them."""
    ordered = np.sort(dec)
    centres = np.arange(180) - 89.5
    below, above = np.searchsorted(ordered, centres - BAND), np.searchsorted(ordered, centres + BAND)
    inside = (centres > ordered[0] - 0.5) & (centres < ordered[-1] + 0.5)
    return np.asarray((above - below >= FEWEST) & inside)


def rayleigh_p(ra: npt.ArrayLike) -> float:
    """p-value of Rayleigh's test that right ascensions are uniform (Mardia & Jupp 2000, eq. 6.3.5).

    Small values say that scrambling in right ascension is not allowed: the detector was off at certain hours, or few
    days were taken.
    """
    angles = np.radians(ra)
    number = angles.size
    if number == 0:
        return 1.0
    z = float(np.hypot(np.cos(angles).sum(), np.sin(angles).sum()) ** 2 / number)
    # The next order in 1/n, for short lists.
    p = np.exp(-z) * (1 + (2 * z - z * z) / (4 * number))
    return float(np.clip(p, 0, 1))


def shares_of_signal(events: Events, dec: Floats, accepted: Floats) -> Floats:
    """For each event, the share of a signal of its declination that its configuration sees.

    Args:
        events: with configurations.
        dec: increasing declinations, in degrees.
        accepted: (configurations, len(dec)): expected events of a source of unit flux, acceptance times live-time.

    Raises:
        ParameterError: the events tell no configurations.
    """
    if events.group is None:
        raise ParameterError("Shares of configurations need the configuration of each event.")
    sines = np.sin(np.radians(dec))
    at = np.stack([np.interp(np.sin(np.radians(events.dec)), sines, row) for row in accepted])
    return np.asarray(at[events.group, np.arange(len(events))] / np.maximum(at.sum(axis=0), 1e-300))


def weights_in_bands(events: Events, weight: Floats, bands: int = 20) -> Floats:
    """Weights whose mean is 1 in every band of sin(dec), so that they do not change the number of background events."""
    band = np.minimum(((np.sin(np.radians(events.dec)) + 1) / 2 * bands).astype(np.int64), bands - 1)
    number = np.bincount(band, minlength=bands)
    mean = np.bincount(band, weights=weight, minlength=bands) / np.maximum(number, 1)
    return np.asarray(weight / np.where(mean > 0, mean, 1)[band])
