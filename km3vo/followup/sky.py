"""Where target, Sun and Moon stand at a place and time: formulae of low precision, in plain Python.

astropy took 2.0 s to import and 6.6 s for 12 sites and 145 times. Against it altitudes here are right to 0.1° for a
target and 0.5° for the Moon (tests/followup/test_visibility.py); without refraction, as there. Times are MJD in UTC.

Precession: Lieske (1979). Sidereal time: Aoki et al. (1982). Sun: Astronomical Almanac, page C5. Moon: the largest
terms of ELP-2000/82 as in Meeus, Astronomical Algorithms (1998), chapter 47. Airmass: Kasten and Young (1989).
"""

from __future__ import annotations

import math
from functools import lru_cache

Vector = tuple[float, float, float]

J2000 = 51544.5
TT_UTC = 69.2 / 86400  # days; it has been within a second of that since 2016
EARTH = 6378.137  # km, at the equator
FLATTENING = 1 / 298.257223563
OBLIQUITY = 23.4393

# Multiples of elongation, the Sun's and the Moon's anomaly, and the argument of latitude; amplitudes (degrees, km).
_LONGITUDE = (
    (0, 0, 1, 0, 6.288774), (2, 0, -1, 0, 1.274027), (2, 0, 0, 0, 0.658314), (0, 0, 2, 0, 0.213618),
    (0, 1, 0, 0, -0.185116), (0, 0, 0, 2, -0.114332), (2, 0, -2, 0, 0.058793), (2, -1, -1, 0, 0.057066),
    (2, 0, 1, 0, 0.053322), (2, -1, 0, 0, 0.045758), (0, 1, -1, 0, -0.040923), (1, 0, 0, 0, -0.034720),
    (0, 1, 1, 0, -0.030383), (2, 0, 0, -2, 0.015327),
)  # fmt: skip
_LATITUDE = (
    (0, 0, 0, 1, 5.128122), (0, 0, 1, 1, 0.280602), (0, 0, 1, -1, 0.277693), (2, 0, 0, -1, 0.173237),
    (2, 0, -1, 1, 0.055413), (2, 0, -1, -1, 0.046271), (2, 0, 0, 1, 0.032573), (0, 0, 2, 1, 0.017198),
)  # fmt: skip
_DISTANCE = ((0, 0, 1, 0, -20905.355), (2, 0, -1, 0, -3699.111), (2, 0, 0, 0, -2955.968), (0, 0, 2, 0, -569.925))


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _from(lon: float, lat: float, distance: float = 1.0) -> Vector:
    """A vector from angles in radians."""
    return (
        distance * math.cos(lat) * math.cos(lon),
        distance * math.cos(lat) * math.sin(lon),
        distance * math.sin(lat),
    )


def _equatorial(vector: Vector, centuries: float) -> Vector:
    """From the ecliptic of date to the equator of date."""
    tilt = math.radians(OBLIQUITY - 0.0130042 * centuries)
    x, y, z = vector
    return x, y * math.cos(tilt) - z * math.sin(tilt), y * math.sin(tilt) + z * math.cos(tilt)


def target(ra: float, dec: float, mjd: float) -> Vector:
    """A direction (degrees, ICRS) in the equator and equinox of a date."""
    t = (mjd - J2000) / 36525
    zeta = math.radians((2306.2181 * t + 0.30188 * t**2) / 3600)
    z = math.radians((2306.2181 * t + 1.09468 * t**2) / 3600)
    theta = math.radians((2004.3109 * t - 0.42665 * t**2) / 3600)
    x, y, up = _from(math.radians(ra) + zeta, math.radians(dec))
    x, up = x * math.cos(theta) - up * math.sin(theta), x * math.sin(theta) + up * math.cos(theta)
    return x * math.cos(z) - y * math.sin(z), x * math.sin(z) + y * math.cos(z), up


def sun(mjd: float) -> Vector:
    """The direction of the Sun, in the equator of date."""
    days = mjd + TT_UTC - J2000
    anomaly = math.radians(357.528 + 0.9856003 * days)
    lon = 280.460 + 0.9856474 * days + 1.915 * math.sin(anomaly) + 0.020 * math.sin(2 * anomaly)
    return _equatorial(_from(math.radians(lon), 0), days / 36525)


def moon(mjd: float) -> Vector:
    """Where the Moon is, in km from the middle of the Earth, in the equator of date."""
    t = (mjd + TT_UTC - J2000) / 36525
    elongation = math.radians(297.8501921 + 445267.1114034 * t)
    of_sun = math.radians(357.5291092 + 35999.0502909 * t)
    of_moon = math.radians(134.9633964 + 477198.8675055 * t)
    argument = math.radians(93.2720950 + 483202.0175233 * t)

    def angle(term: tuple[float, ...]) -> float:
        return term[0] * elongation + term[1] * of_sun + term[2] * of_moon + term[3] * argument

    lon = 218.3164477 + 481267.88123421 * t + sum(term[4] * math.sin(angle(term)) for term in _LONGITUDE)
    lat = sum(term[4] * math.sin(angle(term)) for term in _LATITUDE)
    distance = 385000.56 + sum(term[4] * math.cos(angle(term)) for term in _DISTANCE)
    return _equatorial(_from(math.radians(lon), math.radians(lat), distance), t)


@lru_cache(maxsize=32)
def bodies(begin: float, steps: int, step: float) -> tuple[tuple[Vector, Vector], ...]:
    """Sun and Moon from a time on, so many times, so many days apart: they do not hang on the site."""
    return tuple((sun(begin + number * step), moon(begin + number * step)) for number in range(steps))


def sidereal(mjd: float) -> float:
    """Greenwich mean sidereal time, radians; UTC is taken for UT1, which is within 0.9 s of it."""
    days = mjd - J2000
    return math.radians((280.46061837 + 360.98564736629 * days + 0.000387933 * (days / 36525) ** 2) % 360)


class Ground:
    """A place on the Earth."""

    def __init__(self, longitude: float, latitude: float, height: float) -> None:
        """Degrees east and north; metres above the ellipsoid."""
        self._lon, self._lat = math.radians(longitude), math.radians(latitude)
        flat = (1 - FLATTENING) ** 2
        c = 1 / math.sqrt(math.cos(self._lat) ** 2 + flat * math.sin(self._lat) ** 2)
        self._out = (EARTH * c + height / 1000) * math.cos(self._lat)
        self._up = (EARTH * c * flat + height / 1000) * math.sin(self._lat)

    def zenith(self, mjd: float) -> Vector:
        """The direction straight up, in the equator of date."""
        return _from(sidereal(mjd) + self._lon, self._lat)

    def seen(self, body: Vector, mjd: float) -> Vector:
        """A body at a distance (km), as it is seen from here."""
        turn = sidereal(mjd) + self._lon
        return (
            body[0] - self._out * math.cos(turn),
            body[1] - self._out * math.sin(turn),
            body[2] - self._up,
        )


def altitude(direction: Vector, zenith: Vector) -> float:
    """Degrees above the horizon."""
    return 90 - separation(direction, zenith)


def separation(a: Vector, b: Vector) -> float:
    """Degrees between two directions."""
    cosine = _dot(a, b) / math.sqrt(_dot(a, a) * _dot(b, b))
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine))))


def illuminated(sun: Vector, moon: Vector) -> float:
    """Which part of the Moon's disc is lit, 0 to 1."""
    return (1 - math.cos(math.radians(separation(sun, moon)))) / 2


def airmass(altitude: float) -> float:
    """Of a direction above the horizon (degrees); infinite below."""
    if altitude < 0:
        return math.inf
    return 1 / (math.sin(math.radians(altitude)) + 0.50572 * math.pow(altitude + 6.07995, -1.6364))
