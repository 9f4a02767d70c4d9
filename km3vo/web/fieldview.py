"""The sky around an event as SVG: error circles, neighbours, the Galactic plane; north up and east to the left.

Zenithal equidistant: circles around the middle are circles, and distances from it are true.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lxml import etree
from lxml.builder import ElementMaker

from km3vo.adql.frames import GALACTIC, ICRS
from km3vo.followup.neighbours import Found, Neighbour
from km3vo.followup.places import Place

SVG = "http://www.w3.org/2000/svg"
SIZE = 500.0  # radius of the field in the picture's own units
MARGIN = 40
SHARES = (0.5, 0.9)
STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30)  # degrees between lines
tag = ElementMaker(namespace=SVG, nsmap={None: SVG})
Point = tuple[float, float]


class View:
    """A field around a direction."""

    def __init__(self, place: Place, field: float) -> None:
        """``field`` is its radius in degrees, up to 90."""
        self.place = place
        self.field = field
        self._scale = SIZE / field

    def point(self, ra: float, dec: float) -> Point:
        """Where a direction is in the picture."""
        a, d, d0 = (math.radians(angle) for angle in (ra - self.place.ra, dec, self.place.dec))
        east = math.cos(d) * math.sin(a)
        north = math.sin(d) * math.cos(d0) - math.cos(d) * math.sin(d0) * math.cos(a)
        along = math.sin(d) * math.sin(d0) + math.cos(d) * math.cos(d0) * math.cos(a)
        size = math.hypot(east, north)
        if not size:
            return 0.0, 0.0 if along > 0 else -180 * self._scale
        far = math.degrees(math.atan2(size, along)) * self._scale / size
        return -east * far, -north * far

    def radius(self, degrees: float) -> float:
        """The radius of a circle around the middle, in the picture."""
        return degrees * self._scale

    def path(self, directions: Iterable[tuple[float, float]]) -> str:
        """A line through directions, without what lies far outside."""
        pieces, drawn = [], False
        for (x, y), (u, v) in pairwise(self.point(*one) for one in directions):
            if min(math.hypot(x, y), math.hypot(u, v)) < 1.1 * SIZE and math.hypot(x - u, y - v) < SIZE:
                pieces.append(f"{'' if drawn else f'M{x:.1f} {y:.1f}'}L{u:.1f} {v:.1f}")
                drawn = True
            else:
                drawn = False
        return "".join(pieces)


@dataclass(frozen=True, slots=True)
class Area:
    """A part of the picture that holds the direction with some probability.

    Attributes:
        title: what it is, in words.
        kind: names of its styles.
        radius: of a circle around the middle, degrees; or
        path: its outline.
    """

    title: str
    kind: str
    radius: float = 0.0
    path: str = ""


def circles(place: Place) -> list[Area]:
    """The error circles of an event; none without an error."""
    sizes = [(share, place.radius(share)) for share in SHARES if place.sigma]
    return [Area(f"{share:.0%} error circle", f"p{100 * share:.0f}", radius) for share, radius in sizes]


def draw(view: View, areas: Sequence[Area], found: Sequence[Found], title: str) -> bytes:
    """The picture. Its colours are the pages' (static/style.css)."""
    root = tag.svg(
        tag.title(title),
        {"class": "field", "role": "img", "aria-label": title},
        viewBox=f"{-SIZE - MARGIN:g} {-SIZE - MARGIN:g} {2 * (SIZE + MARGIN):g} {2 * (SIZE + MARGIN):g}",
    )
    disc = {"cx": "0", "cy": "0", "r": f"{SIZE:g}"}
    root.append(tag.defs(tag.clipPath(tag.circle(disc), id="field")))
    root.append(tag.circle(disc, {"class": "sea"}))
    inside = tag.g({"clip-path": "url(#field)"})
    for path in _grid(view):
        inside.append(tag.path(d=path, **{"class": "grid"}))
    if plane := _galactic_plane(view):
        inside.append(tag.path(tag.title("Galactic plane"), d=plane, **{"class": "plane"}))
    for area in areas:
        kind, words = {"class": f"error {area.kind}"}, tag.title(area.title)
        if area.path:
            inside.append(tag.path(words, kind, d=area.path))
        else:
            inside.append(tag.circle(words, kind, cx="0", cy="0", r=f"{view.radius(area.radius):.1f}"))
    for one in (neighbour for table in found for neighbour in reversed(table.nearest)):
        inside.append(_mark(view, one))
    inside.append(tag.path(d="M-14 0H-4M4 0H14M0 -14V-4M0 4V14", **{"class": "centre"}))
    root.append(inside)
    root.append(tag.circle(disc, {"class": "rim"}))
    root.extend(_labels(view))
    return bytes(etree.tostring(root))


def _mark(view: View, one: Neighbour) -> etree._Element:
    x, y = view.point(one.ra, one.dec)
    told = f"{one.id}, {one.table.title}, {one.distance:.2f}° away{', under embargo' if one.hidden else ''}"
    if one.hidden:
        return tag.path(tag.title(told), d=f"M{x:.1f} {y - 10:.1f}l8 15h-16z", **{"class": "hidden"})
    if one.table.observation is not None:
        return tag.circle(tag.title(told), cx=f"{x:.1f}", cy=f"{y:.1f}", r="5", **{"class": "event"})
    return tag.path(tag.title(told), d=f"M{x - 7:.1f} {y:.1f}l7 -7l7 7l-7 7z", **{"class": "source"})


def _step(wanted: float) -> float:
    return next((step for step in STEPS if step >= wanted), STEPS[-1])


def _grid(view: View) -> Iterator[str]:
    """Parallels and meridians."""
    ra, dec, field = view.place.ra, view.place.dec, view.field
    step = _step(field / 3)
    low, high = max(-90.0, dec - field), min(90.0, dec + field)
    pole = max(abs(low), abs(high)) > 89.9
    wide = (
        180.0
        if pole
        else math.degrees(math.asin(min(1.0, math.sin(math.radians(field)) / math.cos(math.radians(dec)))))
    )
    wide = 180.0 if field >= 90 - abs(dec) else wide
    for number in range(math.ceil(low / step), math.floor(high / step) + 1):
        if abs(number * step) < 90:
            yield view.path((ra + wide * part / 40, number * step) for part in range(-40, 41))
    across = 30.0 if pole else _step(wide / 3)
    for number in range(math.ceil((ra - wide) / across), math.floor((ra + wide - 1e-9) / across) + 1):
        yield view.path((number * across, low + (high - low) * part / 40) for part in range(41))


def _galactic_plane(view: View) -> str:
    lon, lat = view.place.galactic
    if abs(lat) > view.field:
        return ""
    reach = min(180.0, 1.3 * view.field)
    back = GALACTIC.to(ICRS)
    return view.path(back.of(lon + reach * part / 60, 0) for part in range(-60, 61))


def _labels(view: View) -> Iterator[etree._Element]:
    middle = {"text-anchor": "middle"}
    yield tag.text("N", middle, x="0", y=f"{-SIZE - 10:g}")
    yield tag.text("E", {"text-anchor": "end"}, x=f"{-SIZE - 8:g}", y="9")
    length = _step(view.field / 5)
    end = view.radius(length)
    left, low = -SIZE, SIZE + 12
    yield tag.path(d=f"M{left:g} {low:g}v12M{left:g} {low + 6:g}h{end:.1f}v-6v12", **{"class": "scale"})
    yield tag.text(f"{length:g}°", x=f"{left + end + 10:.1f}", y=f"{low + 15:g}")
