"""When a direction can be observed from which observatory: altitudes through a night, and windows in the dark."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from km3vo import times
from km3vo.followup import sky
from km3vo.settings import Settings
from km3vo.yamlfiles import entries

OURS = Path(__file__).with_name("observatories.yaml")
STEP = 1 / 96  # days
STEPS = 97  # of a night, from noon to noon
AIRMASS = 3.0  # at most, unless another is chosen
DARK = -18.0  # altitude of the Sun, degrees
TWILIGHTS = {"sunset": -0.833, "civil": -6.0, "nautical": -12.0, "astronomical": DARK}
NIGHTS = 7  # that are looked through for the next windows


class Site(BaseModel):
    """An observatory.

    Attributes:
        longitude: degrees east of Greenwich.
        latitude: degrees north (geodetic).
        height: metres.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1)]
    longitude: Annotated[float, Field(ge=-180, le=360)]
    latitude: Annotated[float, Field(ge=-90, le=90)]
    height: Annotated[float, Field(ge=-500, le=9000)] = 0.0


def read(settings: Settings) -> tuple[Site, ...]:
    """The observatories that the settings name. Raises SetupError when the file cannot be read, or is wrong."""
    return entries(settings.followup.observatories or OURS, "KM3VO_FOLLOWUP_OBSERVATORIES", Site)


@dataclass(frozen=True, slots=True)
class Moment:
    """Altitudes in degrees at a time (MJD, UTC)."""

    mjd: float
    target: float
    sun: float
    moon: float


Window = tuple[float, float]  # from when to when, MJD


@dataclass(frozen=True)
class Night:
    """A night at an observatory, from local noon to local noon.

    Attributes:
        day: of the evening, there.
        radius: of the circle around the direction, degrees; 0 for the direction alone.
        airmass: at most, for windows.
        moments: every quarter of an hour.
        moon_distance: degrees between direction and Moon when the direction is highest in the dark, else at midnight.
        moon_lit: part of the Moon's disc that is lit then.
    """

    site: Site
    day: date
    radius: float
    airmass: float
    moments: tuple[Moment, ...]
    moon_distance: float
    moon_lit: float

    @cached_property
    def lowest(self) -> float:
        """The altitude that has the airmass, degrees."""
        low, high = 0.0, 90.0
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (middle, high) if sky.airmass(middle) > self.airmass else (low, middle)
        return high

    @cached_property
    def windows(self) -> list[Window]:
        """When the direction is high enough in the dark."""
        return self._windows(0)

    @cached_property
    def whole(self) -> list[Window]:
        """When the lowest part of the circle is high enough in the dark."""
        return self._windows(-self.radius)

    @cached_property
    def highest(self) -> Moment | None:
        """When the direction is highest in the dark; None where it is never dark."""
        dark = [one for one in self.moments if one.sun <= DARK]
        return max(dark, key=lambda one: one.target, default=None)

    def twilight(self, name: str) -> list[Window]:
        """When the Sun is lower than at a twilight of that name."""
        return _spans((one.mjd, TWILIGHTS[name] - one.sun) for one in self.moments)

    def circle(self, moment: Moment) -> tuple[float, float]:
        """The lowest and the highest altitude within the circle, degrees."""
        return max(-90.0, moment.target - self.radius), min(90.0, moment.target + self.radius)

    def _windows(self, lower: float) -> list[Window]:
        return _spans((one.mjd, min(one.target + lower - self.lowest, DARK - one.sun)) for one in self.moments)


def _spans(values: Iterable[tuple[float, float]]) -> list[Window]:
    """Where a function is not negative, of which these are values; between them it is taken for a line."""
    spans: list[Window] = []
    begin, before = None, None
    for time, value in values:
        if value >= 0 and begin is None:
            begin = time if before is None else _zero(before, (time, value))
        elif value < 0 and begin is not None:
            assert before is not None
            spans.append((begin, _zero(before, (time, value))))
            begin = None
        before = time, value
    if begin is not None and before is not None:
        spans.append((begin, before[0]))
    return spans


def _zero(a: tuple[float, float], b: tuple[float, float]) -> float:
    return a[0] + (b[0] - a[0]) * a[1] / (a[1] - b[1])


def night(site: Site, day: date, ra: float, dec: float, radius: float = 0.0, airmass: float = AIRMASS) -> Night:
    """The night that begins on a day at an observatory, for a direction (degrees, ICRS) and a circle around it."""
    ground = sky.Ground(site.longitude, site.latitude, site.height)
    midnight = (day - times.MJD_ZERO.date()).days
    # Sun and Moon are worked out once for all observatories: two days hold every night that begins on one.
    bodies = sky.bodies(float(midnight), 2 * STEPS, STEP)
    first = round(((0.5 - site.longitude / 360) % 1) / STEP)
    place = sky.target(ra, dec, midnight + 1.0)
    moments = []
    for number in range(first, first + STEPS):
        mjd, (sun, moon) = midnight + number * STEP, bodies[number]
        zenith = ground.zenith(mjd)
        moments.append(
            Moment(
                mjd,
                sky.altitude(place, zenith),
                sky.altitude(sun, zenith),
                sky.altitude(ground.seen(moon, mjd), zenith),
            )
        )
    dark = [one for one in range(STEPS) if moments[one].sun <= DARK]
    best = max(dark, key=lambda one: moments[one].target, default=STEPS // 2)
    sun, moon = bodies[first + best]
    distance = sky.separation(place, ground.seen(moon, moments[best].mjd))
    return Night(site, day, radius, airmass, tuple(moments), distance, sky.illuminated(sun, moon))


def next_nights(site: Site, day: date, ra: float, dec: float, radius: float, airmass: float) -> Sequence[Night]:
    """The nights of a week in which the direction can be observed."""
    nights = (night(site, day + timedelta(days=later), ra, dec, radius, airmass) for later in range(NIGHTS))
    return [one for one in nights if one.windows]


def staralt(name: str, site: Site, day: date, ra: float, dec: float) -> dict[str, str]:
    """The parameters with which ING's STARALT shows the same, for an observatory of any place."""
    longitude = (site.longitude + 180) % 360 - 180
    return {
        "action": "showImage",
        "form[mode]": "1",
        "form[day]": f"{day:%d}",
        "form[month]": f"{day:%m}",
        "form[year]": f"{day:%Y}",
        "form[obs_name]": "Other",
        "form[sitecoord]": f"{longitude:.4f} {site.latitude:.4f} {site.height:.0f} 0",
        "form[coordlist]": f"{'_'.join(name.split())[:40]} {ra:.5f} {dec:+.5f}",
        "form[paramdist]": "2",
    }


def hours(mjd: float) -> str:
    """A time of day, to the minute: 21:07."""
    minutes = round(math.modf(mjd)[0] * 1440) % 1440
    return f"{minutes // 60:02}:{minutes % 60:02}"
