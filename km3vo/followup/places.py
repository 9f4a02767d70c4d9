"""A direction in every way that people write it, and the circle around it in which the true one is to be expected."""

from __future__ import annotations

import math
from dataclasses import dataclass

from km3vo.adql.frames import ECLIPTIC, GALACTIC, ICRS, direction, vector
from km3vo.catalog.model import Position
from km3vo.correlation import containment
from km3vo.correlation.roles import ONE_SIGMA


@dataclass(frozen=True, slots=True)
class Place:
    """A direction.

    Attributes:
        ra, dec: degrees, ICRS.
        sigma: standard deviation along one axis of a Gaussian error, in degrees; None where no error is known.
    """

    ra: float
    dec: float
    sigma: float | None = None

    def radius(self, share: float) -> float:
        """Radius of the circle that holds the true direction with a probability, in degrees; 0 without an error."""
        return min(180.0, (self.sigma or 0.0) * containment.factor(share))

    @property
    def galactic(self) -> tuple[float, float]:
        """Galactic longitude and latitude, degrees."""
        return ICRS.to(GALACTIC).of(self.ra, self.dec)

    @property
    def ecliptic(self) -> tuple[float, float]:
        """Longitude and latitude in the mean ecliptic of J2000, degrees."""
        return ICRS.to(ECLIPTIC).of(self.ra, self.dec)

    def separation(self, ra: float, dec: float) -> float:
        """Degrees to another direction (exact for small and for large angles)."""
        a, b = vector(self.ra, self.dec), vector(ra, dec)
        cross = (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
        return math.degrees(math.atan2(math.hypot(*cross), math.fsum(x * y for x, y in zip(a, b, strict=True))))

    def towards(self, angle: float, distance: float) -> tuple[float, float]:
        """Right ascension and declination of what lies so many degrees away; ``angle`` counts from north over east."""
        a, d, dec = math.radians(angle), math.radians(distance), math.radians(self.dec)
        north = math.sin(d) * math.cos(a)
        x = math.cos(d) * math.cos(dec) - north * math.sin(dec)
        lon, lat = direction(x, math.sin(d) * math.sin(a), math.cos(d) * math.sin(dec) + north * math.cos(dec))
        return (lon + self.ra) % 360, lat


def sigma_of(position: Position, error: float | None) -> float | None:
    """The standard deviation that an error circle of a table means, in degrees."""
    if position.error is None or error is None or not error > 0:
        return None
    return error / containment.factor(ONE_SIGMA if position.share is None else position.share)


def sexagesimal(ra: float, dec: float) -> tuple[str, str]:
    """Hours and degrees with minutes and seconds, to about 0.1": 05:34:31.95 and +22:00:52.2."""
    hundredths = round(ra % 360 / 15 * 360_000) % (24 * 360_000)
    tenths = round(abs(dec) * 36_000)
    sign = "-" if dec < 0 and tenths else "+"
    return (
        f"{hundredths // 360_000:02}:{hundredths // 6000 % 60:02}:{hundredths % 6000 / 100:05.2f}",
        f"{sign}{tenths // 36_000:02}:{tenths // 600 % 60:02}:{tenths % 600 / 10:04.1f}",
    )
