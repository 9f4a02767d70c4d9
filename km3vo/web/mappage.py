"""/maps/{schema}/{table}: the map of a list, to be turned, zoomed and read, with how it was made."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlencode

import numpy as np
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from km3vo import __version__
from km3vo.catalog.model import Table
from km3vo.correlation import publicmaps
from km3vo.errors import NotFoundError, ParameterError
from km3vo.followup.places import Place
from km3vo.protocols.dali.parameters import Parameters, query_parameters
from km3vo.protocols.dali.work import in_thread
from km3vo.protocols.http.documents import respond
from km3vo.service import Service
from km3vo.web import mapviews
from km3vo.web.describe import Page
from km3vo.web.maps import describe_map
from km3vo.web.mapviews import FRAMES, PROJECTIONS, WIDE, Map, View
from km3vo.web.pages import html, json_document

KINDS = {"significance": "−log₁₀ p, before trials", "density": "public events in a cell of 13 square degrees"}
NEAR = 3.0  # degrees around a position, out to which events have most of their share in its value
COLOURS = 40  # of the bar
HOTTEST = "hottest.moc.fits"  # how the address of the hottest hundredth ends


@dataclass(frozen=True, slots=True)
class Asked:
    """What is shown of a map, and the position that is asked about (degrees, ICRS), or None."""

    kind: str
    view: View
    at: tuple[float, float] | None


def read(parameters: Parameters) -> Asked:
    """What a request asks for. Raises ParameterError.

    Whoever clicks into the picture sends where (HTML §4.10.5.1.19); others write ra and dec.
    """
    kind, projection, frame = (
        _one_of(parameters, name, known)
        for name, known in (("of", tuple(KINDS)), ("projection", PROJECTIONS), ("frame", FRAMES))
    )
    view = View(
        projection,
        frame,
        parameters.number_or("lon", 180.0, 0, 360),
        parameters.number_or("lat", 0.0, -90, 90),
        parameters.number_or("reach", 15.0, 1, 90),
    )
    if parameters.one("at.x"):
        x, y = (parameters.number_or(name, 0, -1, 5000) for name in ("at.x", "at.y"))
        ra, dec = view.directions(x / WIDE, y / view.height)
        return Asked(kind, view, (float(ra), float(dec)) if math.isfinite(float(ra)) else None)
    if not parameters.one("ra").strip():
        return Asked(kind, view, None)
    return Asked(kind, view, (parameters.number("ra", 0, 360), parameters.number("dec", -90, 90)))


def _one_of(parameters: Parameters, name: str, known: tuple[str, ...]) -> str:
    written = parameters.one(name, known[0]).strip() or known[0]
    if written not in known:
        raise ParameterError(f"{name}={written[:40]}: write one of {', '.join(known)}")
    return written


def router(running: Service) -> APIRouter:
    """The route of the pages and of their pictures."""
    routes = APIRouter(tags=["Sky maps"])
    settings = running.settings

    async def shown(table: Table, kind: str) -> Map | None:
        if kind == "significance":
            place = await in_thread(running, publicmaps.folder, settings.skymaps, table)
            return await in_thread(running, mapviews.of_file, place / "map.fits") if place else None
        found = (await running.holdings.read_if_there()).of(table).coverage
        return Map(np.array(found.density, dtype=float)) if found and found.density else None

    @routes.get(
        "/maps/{schema}/{file}",
        summary="A map to be read: page, or .png, .json with ra=, dec=, .hottest.moc.fits",
        response_class=Response,
    )
    async def page(request: Request, schema: str, file: str) -> Response:
        name, _, form = file.partition(".")
        table = running.published_table(schema, name)
        if table not in publicmaps.mapped(running.published.tables):
            raise NotFoundError(f"{table.qualified} is no list of events with directions, and has no map.")
        asked = read(query_parameters(request))
        known = await shown(table, "significance" if form == HOTTEST else asked.kind)
        if form == "png" and known is not None:
            return respond(request, await in_thread(running, mapviews.png, known, asked.view), "image/png")
        if form == HOTTEST and known is not None:
            return respond(request, await in_thread(running, mapviews.hottest, known), "application/fits")
        if form not in ("", "json"):
            raise NotFoundError("There is no map as yet, or it has no such file: .png, .json, .hottest.moc.fits.")
        described = _described(running, table, asked, known)
        if form == "json":
            return json_document(request, described)
        return html(request, settings, "map.html", described, [table])

    return routes


def _described(running: Service, table: Table, asked: Asked, known: Map | None) -> Page:
    base = f"{running.settings.base_url}/maps/{table.schema}/{table.name}"
    view = {"of": asked.kind} | {name: f"{value}" for name, value in asdict(asked.view).items()}
    told = describe_map(running, table)
    return {
        "url": base,
        "description": f"Map of the sky of {table.title}.",
        "title": table.title,
        "simulated": table.simulated,
        "table": {"name": table.qualified, "url": told["url"]},
        "kinds": KINDS,
        "projections": PROJECTIONS,
        "frames": FRAMES,
        "view": view,
        "size": [WIDE, asked.view.height],
        "picture": f"{base}.png?{urlencode(view)}" if known is not None else None,
        "bar": _bar(known) if known is not None else None,
        "at": _at(table, asked, known, base) if asked.at and known is not None else None,
        "made": told["made"],
        "software": f"km3vo {__version__}",
        "files": [
            *told["files"],
            {"url": f"{base}.{HOTTEST}", "title": "Hottest hundredth (MOC)"},
            {"url": f"{told['tiles']}/properties", "title": "Tiles (HiPS)"},
        ],
        "twins": [{"type": "application/json", "url": f"{base}.json", "title": "This page as JSON"}],
    }


def _bar(known: Map) -> Page:
    from km3vo.correlation.picture import colours

    steps = colours((np.arange(COLOURS) + 0.5) / COLOURS, 1.0)
    return {"colours": ["#{:02x}{:02x}{:02x}".format(*one) for one in steps], "largest": round(known.largest, 2)}


def _at(table: Table, asked: Asked, known: Map, base: str) -> Page:
    """What the map says of a position, and where the events around it are listed."""
    assert asked.at is not None
    ra, dec = asked.at
    pixel = int(known.pixel(ra, dec))

    def value(values: Any) -> float | None:
        return float(values[pixel]) if values is not None and np.isfinite(values[pixel]) else None

    zoom = {"of": asked.kind, "projection": "zoom", "lon": f"{ra:.4f}", "lat": f"{dec:.4f}"}
    search = {"target": f"{ra:.5f} {dec:+.5f}", "radius": f"{NEAR:g}", "unit": "deg", "run": "1"}
    return {
        "ra": round(ra, 5),
        "dec": round(dec, 5),
        "galactic": [round(angle, 5) for angle in Place(ra, dec).galactic],
        "value": value(known.values),
        "statistic": value(known.statistic),
        "events": value(known.events),
        "search": f"/browse/{table.schema}/{table.name}/search?{urlencode(search)}",
        "zoom": f"{base}?{urlencode(zoom)}",
    }
