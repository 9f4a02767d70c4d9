"""When a position can be observed from where: a part of the pages of events and alerts, and /visibility.json."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from urllib.parse import quote, urlencode

from fastapi import APIRouter
from lxml import etree
from lxml.builder import ElementMaker
from starlette.requests import Request
from starlette.responses import Response

from km3vo import times
from km3vo.errors import ParameterError
from km3vo.followup import sky, visibility
from km3vo.followup.places import Place
from km3vo.followup.visibility import TWILIGHTS, Moment, Night, Site, Window
from km3vo.protocols.dali.parameters import Parameters, query_parameters
from km3vo.protocols.dali.work import in_thread
from km3vo.registry import citation
from km3vo.service import Service
from km3vo.web.describe import Page
from km3vo.web.fieldview import SVG
from km3vo.web.pages import json_document

STARALT = "https://astro.ing.iac.es/staralt/index.php"
FIRST, LAST = date(1990, 1, 1), date(2060, 1, 1)  # between which the formulae hold
WIDE, HIGH = 960, 400  # of the picture
WIDEST = 45.0  # degrees, of a circle around a position
tag = ElementMaker(namespace=SVG, nsmap={None: SVG})


@dataclass(frozen=True, slots=True)
class Asked:
    """From where, on which night, and how low over the horizon."""

    site: Site
    day: date
    airmass: float


class Observatories:
    """Those of the settings, and what is asked of them."""

    def __init__(self, sites: Sequence[Site]) -> None:
        self.sites = sites

    def asked(self, parameters: Parameters) -> Asked:
        """What a request wants to know: its parameters site, date and airmass. Raises ParameterError."""
        name = parameters.one("site").strip()
        known = {site.name.lower(): site for site in self.sites}
        if name and name.lower() not in known:
            raise ParameterError(f"site={name[:60]} is not one of {', '.join(site.name for site in self.sites)}")
        written = parameters.one("date").strip()
        try:
            day = date.fromisoformat(written) if written else datetime.now(UTC).date()
        except ValueError:
            day = date.min
        if not FIRST <= day <= LAST:
            raise ParameterError(f"date={written[:40]}: write the day of the evening, as 2026-11-27, in 1990 to 2060")
        airmass = parameters.number_or("airmass", visibility.AIRMASS, 1.0, 10.0)
        return Asked(known.get(name.lower(), self.sites[0]), day, airmass)

    def page(self, asked: Asked, place: Place, radius: float, name: str) -> tuple[Page, Night]:
        """What is said of a position and the circle around it, and the night of the observatory that was chosen.

        Args:
            name: of the position, for STARALT.
        """
        nights = [visibility.night(site, asked.day, place.ra, place.dec, radius, asked.airmass) for site in self.sites]
        chosen = nights[self.sites.index(asked.site)]
        later = visibility.next_nights(asked.site, asked.day, place.ra, place.dec, radius, asked.airmass)
        staralt = visibility.staralt(name, asked.site, asked.day, place.ra, place.dec)
        page = {
            "date": f"{asked.day}",
            "airmass": asked.airmass,
            "lowest": round(chosen.lowest, 1),
            "radius": round(radius, 6),
            "site": asked.site.name,
            "nights": [_night(night) for night in nights],
            "twilights": {one: _spans(chosen.twilight(one)) for one in TWILIGHTS},
            "moments": [_moment(chosen, moment) for moment in chosen.moments[::4]],
            "next": [{"date": f"{one.day}", "windows": _spans(one.windows)} for one in later],
            "staralt": f"{STARALT}?{urlencode(staralt, quote_via=quote)}",
        }
        return page, chosen


def router(running: Service) -> APIRouter:
    """The route for programs."""
    routes = APIRouter(tags=["Events"])
    known = Observatories(running.sites)

    @routes.get(
        "/visibility.json",
        summary="When a position can be observed: ra, dec, radius (deg), site, date, airmass",
        response_class=Response,
    )
    async def as_json(request: Request) -> Response:
        parameters = query_parameters(request)
        place = Place(parameters.number("ra", 0, 360), parameters.number("dec", -90, 90))
        radius = parameters.number_or("radius", 0, 0, WIDEST)
        page, _ = await in_thread(running, known.page, known.asked(parameters), place, radius, "position")
        return json_document(request, {"ra": place.ra, "dec": place.dec, **page})

    return routes


def _night(night: Night) -> Page:
    best = night.highest
    return {
        "site": night.site.name,
        "windows": _spans(night.windows),
        "whole": _spans(night.whole),
        "highest": None if best is None else _moment(night, best),
        "moon_distance": round(night.moon_distance, 1),
        "moon_lit": round(night.moon_lit, 2),
    }


def _moment(night: Night, moment: Moment) -> Page:
    low, high = night.circle(moment)
    airmass = sky.airmass(moment.target)
    return {
        "time": times.seconds(citation.date(moment.mjd)),
        "hour": visibility.hours(moment.mjd),
        "altitude": round(moment.target, 1),
        "low": round(low, 1),
        "high": round(high, 1),
        "airmass": round(airmass, 2) if airmass < 40 else None,
        "sun": round(moment.sun, 1),
        "moon": round(moment.moon, 1),
    }


def _spans(windows: Sequence[Window]) -> list[Page]:
    return [
        {
            "begin": times.seconds(citation.date(begin)),
            "end": times.seconds(citation.date(end)),
            "words": f"{visibility.hours(begin)}–{visibility.hours(end)}",
        }
        for begin, end in windows
    ]


def draw(night: Night, title: str) -> bytes:
    """Altitudes of direction, circle and Moon through a night, as SVG in the pages' colours; twilights are shaded."""
    first, last = night.moments[0].mjd, night.moments[-1].mjd

    def x(mjd: float) -> float:
        return (mjd - first) / (last - first) * WIDE

    def y(altitude: float) -> float:
        return HIGH * (1 - max(0.0, altitude) / 90)

    def line(values: Sequence[tuple[float, float]]) -> str:
        pieces, above = [], False
        for mjd, altitude in values:
            pieces.append(f"{'L' if above else 'M'}{x(mjd):.1f} {y(altitude):.1f}")
            above = True
        return "".join(pieces)

    root = tag.svg(
        tag.title(title),
        {"class": "night", "role": "img", "aria-label": title},
        viewBox=f"-50 -10 {WIDE + 70} {HIGH + 50}",
    )
    frame = {"x": "0", "y": "0", "width": f"{WIDE}", "height": f"{HIGH}"}
    root.append(tag.rect(frame, {"class": "day"}))
    for name in TWILIGHTS:
        for begin, end in night.twilight(name):
            place = {"x": f"{x(begin):.1f}", "y": "0", "width": f"{x(end) - x(begin):.1f}", "height": f"{HIGH}"}
            root.append(tag.rect(tag.title(name), place, {"class": "dark"}))
    root.append(tag.defs(tag.clipPath(tag.rect(frame), id="night")))
    inside = tag.g({"clip-path": "url(#night)"})
    moments = night.moments
    if night.radius:
        edges = [(one.mjd, night.circle(one)[1]) for one in moments]
        edges += [(one.mjd, night.circle(one)[0]) for one in reversed(moments)]
        inside.append(tag.path(tag.title("within the circle"), d=f"{line(edges)}z", **{"class": "circle"}))
    lowest = f"M0 {y(night.lowest):.1f}H{WIDE}"
    inside.append(tag.path(tag.title(f"airmass {night.airmass:g}"), d=lowest, **{"class": "lowest"}))
    inside.append(tag.path(tag.title("Moon"), d=line([(one.mjd, one.moon) for one in moments]), **{"class": "moon"}))
    track = line([(one.mjd, one.target) for one in moments])
    inside.append(tag.path(tag.title("direction"), d=track, **{"class": "track"}))
    root.append(inside)
    root.append(tag.rect(frame, {"class": "rim"}))
    middle, right = {"text-anchor": "middle"}, {"text-anchor": "end"}
    for altitude in (0, 30, 60, 90):
        root.append(tag.text(f"{altitude}°", right, x="-8", y=f"{y(altitude) + 7:.1f}"))
    for hour in range(math.ceil(first * 24), math.floor(last * 24) + 1):
        if hour % 3 == 0:
            root.append(tag.text(f"{hour % 24:02}", middle, x=f"{x(hour / 24):.1f}", y=f"{HIGH + 28}"))
    return bytes(etree.tostring(root))
