"""The energy of an event as a weight: how much more often a source makes such an event than the background does.

This needs a response: which values of the energy proxy a neutrino of some energy gives. A response that is made up
does harm (docs/correlate.md), so there is none by default, and a result says which one was used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from km3vo.correlation.sphere import Floats


@dataclass(frozen=True, slots=True)
class LogNormal:
    """A proxy x with a Gaussian spread around a straight line of log10 E.

    Attributes:
        slope, offset: x = slope · log10(E/GeV) + offset.
        spread: standard deviation of x.
    """

    slope: float
    offset: float
    spread: float

    def density(self, proxy: Floats, energy: Floats, area: Floats, index: float) -> Floats:
        """How the proxy is distributed for a power law.

        Args:
            proxy: values of x.
            energy: GeV, evenly spaced in the logarithm.
            area: effective area at these energies, in any unit.
            index: γ of the spectrum E^-γ.

        Returns:
            Density per unit of x.
        """
        seen = area * energy ** (1 - index)
        seen = seen / seen.sum()
        centre = self.slope * np.log10(energy) + self.offset
        result = np.zeros(len(proxy))
        for share, middle in zip(seen, centre, strict=True):
            result += share * np.exp(-0.5 * ((proxy - middle) / self.spread) ** 2)
        return np.asarray(result / (np.sqrt(2 * np.pi) * self.spread))


def weight(signal: npt.ArrayLike, background: npt.ArrayLike, most: float = 1e6) -> Floats:
    """The ratio of two densities, held between 1/most and most."""
    signal, background = np.asarray(signal, dtype=np.float64), np.asarray(background, dtype=np.float64)
    return np.asarray(np.clip(signal / np.maximum(background, 1e-300), 1 / most, most))
