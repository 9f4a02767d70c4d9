"""Pages of alerts: /alerts with filters, and /alerts/{name} with its contours, sources in them, and all revisions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlencode

from fastapi import APIRouter
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from km3vo import times
from km3vo.alerts import attached, chosen, heartbeat, tables
from km3vo.alerts.chosen import EACH, FIELDS, ORDERS, STATES, Chosen
from km3vo.alerts.documents import FORMS
from km3vo.alerts.heartbeat import Detector
from km3vo.alerts.messages import notice, places
from km3vo.alerts.records import Record
from km3vo.alerts.revision import Revision
from km3vo.catalog.model import Position
from km3vo.followup import elsewhere, neighbours
from km3vo.followup.places import Place, sexagesimal, sigma_of
from km3vo.protocols.alerts.routes import LATEST, document, wants_tests
from km3vo.protocols.dali import work
from km3vo.protocols.dali.parameters import query_parameters
from km3vo.protocols.http.authentication import user_of
from km3vo.protocols.http.documents import respond
from km3vo.service import Service
from km3vo.settings import Settings
from km3vo.web import fieldview
from km3vo.web.contours import Contours
from km3vo.web.describe import Page
from km3vo.web.events import address, near, statement
from km3vo.web.pages import html
from km3vo.web.revisions import documents, flat, link, revision_page, side_by_side
from km3vo.web.visibility import Asked, Observatories, draw

MOST = 1000  # alerts that are looked through for a page
# The radii of alerts are of 50 %; their rows are neighbours of others, and no neighbours of themselves.
MEDIAN = Position(ra="ra", dec="dec", error="err50", share=0.5)
OWN = f"{tables.SCHEMA}.{tables.LATEST}"
CIRCULARS = "https://gcn.nasa.gov/circulars"
OFFLINE = "SELECT {id} FROM {relation} WHERE {id} = ANY(%s)"
_ACCEPTED = {"application/json": "json", "application/xml": "xml", "text/xml": "xml"}


def router(running: Service) -> APIRouter:
    """The routes of the pages."""
    routes = APIRouter(tags=["Alerts"])
    settings, known, contours = running.settings, Observatories(running.sites), Contours()

    async def listed(request: Request) -> tuple[Chosen, list[Record]]:
        wanted = chosen.read(request.query_params)
        return wanted, wanted.of(await running.alerts.latest(MOST, test=wants_tests(request)))

    async def heard() -> Sequence[Detector]:
        return await heartbeat.detectors(running.pages, settings.alerts.silent_seconds)

    async def around(request: Request, one: Revision, asked: Asked) -> Page:
        """The sky around an alert: contours, what lies in them, and when they can be observed."""
        assert one.ra is not None and one.dec is not None
        place = Place(one.ra, one.dec, sigma_of(MEDIAN, one.err50))
        shape = one.skymap
        skymap = await attached.find(running.pool, shape.file) if shape and shape.file else None
        rings = await work.in_thread(running, contours.of, one, skymap)
        own = next((table for table in running.published.tables if table.qualified == OWN), None)
        radius = min(rings[-1].radius, neighbours.WIDEST)
        search = neighbours.search(place, one.mjd, (own, one.key) if own else None, radius)
        found = await near(running, request, search)
        view = fieldview.View(place, search.field)
        title = f"The sky around {one.event_name}, out to {search.field:.3g} degrees"
        areas = [ring.area(view) for ring in reversed(rings)]
        words = f"Altitude of {one.event_name} at {asked.site.name} in the night of {asked.day}"
        night, drawn = await work.in_thread(running, known.page, asked, place, radius, one.event_name)
        return {
            "picture": Markup(fieldview.draw(view, areas, found, title).decode()),
            "field": search.field,
            "radius": radius,
            "shaped": shape is not None,
            "near": [
                {
                    "title": table.table.title,
                    "within": table.within,
                    "expected": table.expected,
                    "rows": [
                        {
                            "id": source.id,
                            "url": address(settings, source.table, source.id),
                            "distance": source.distance,
                            "embargo": source.hidden,
                            "level": next(
                                (ring.level for ring in rings if ring.holds(place, source.ra, source.dec)), None
                            ),
                        }
                        for source in table.nearest
                        if source.distance <= radius
                    ],
                }
                for table in found
            ],
            "visibility": night,
            "night": Markup(draw(drawn, words).decode()),
            "elsewhere": elsewhere.links(running.elsewhere, place, radius),
            "sexagesimal": sexagesimal(one.ra, one.dec),
            "galactic": place.galactic,
        }

    @routes.get("/alerts", summary="Alerts, the newest first: page with filters", response_class=Response)
    async def alerts(request: Request) -> Response:
        (wanted, found), detectors = await listed(request), await heard()
        return html(request, settings, "alerts.html", _list_page(wanted, found, detectors, request, settings))

    @routes.get("/alerts.json", summary="The same as GCN notices in JSON", response_class=Response)
    async def alerts_json(request: Request) -> Response:
        wanted, found = await listed(request)
        notices = [notice.notice(record.said, settings) for record in wanted.shown(found)]
        detectors = [
            {"detector": one.detector, "heard_seconds_ago": round(one.seconds), "looks": one.looks}
            for one in await heard()
        ]
        content = {"detectors": detectors, "alerts": notices}
        return respond(request, json.dumps(content, ensure_ascii=False).encode(), "application/json")

    @routes.get(
        "/alerts/{alert}",
        summary="An alert: page, or with .json, .xml, .txt, .fits, .fits.gz, .moc.fits, .png its newest revision",
        response_class=Response,
    )
    async def alert(request: Request, alert: str) -> Response:
        name, _, form = alert.partition(".")
        negotiated = _ACCEPTED.get(request.headers.get("accept", "").partition(",")[0].partition(";")[0].strip())
        if not form and negotiated:
            form = negotiated
        revisions = await running.alerts.named(name if form in ("", *FORMS) else alert)
        if form:
            answer = await document(running, request, revisions, len(revisions), form, LATEST)
        else:
            page = _alert_page(revisions, settings) | {"offline": await _offline(running, request, revisions)}
            asked = known.asked(query_parameters(request))
            if revisions[-1].said.ra is not None:
                page |= await around(request, revisions[-1].said, asked)
            answer = html(request, settings, "alert.html", page)
        answer.headers.add_vary_header("Accept")
        return answer

    return routes


async def _offline(running: Service, request: Request, found: Sequence[Record]) -> list[Page]:
    """The events of an alert that are in the lists of events as well, of those that the asker sees: under embargo they
    are there for members alone.
    """
    ids = list(dict.fromkeys(event.id for one in found if one.found is not None for event in one.found.events))
    audience, shown = user_of(request).audience, []
    for table in running.published.tables:
        if not ids or table.schema != tables.SCHEMA or table.observation is None or table.id is None:
            continue
        rows = await running.readers[audience].rows(statement(OFFLINE, table, audience), (ids,))
        shown += [{"id": id, "title": table.title, "url": address(running.settings, table, id)} for (id,) in rows]
    return shown


def _list_page(
    wanted: Chosen, found: list[Record], detectors: Sequence[Detector], request: Request, settings: Settings
) -> Page:
    query = f"?{request.url.query}" if request.url.query else ""
    given = {name: request.query_params.get(name, "") for name in FIELDS}
    kept = {name: value for name, value in given.items() if value} | ({"test": "1"} if wants_tests(request) else {})
    number, pages = wanted.page or 1, max(1, -(-len(found) // EACH))
    shown = replace(wanted, page=number).shown(found)
    feed = f"{settings.base_url}/alerts/feed.atom{f'?{urlencode(kept)}' if kept else ''}"

    def at(page: int) -> str:
        return f"{settings.base_url}/alerts?{urlencode(kept | {'page': page})}"

    return {
        "total": len(found),
        "page": number,
        "pages": pages,
        "before": at(number - 1) if 1 < number <= pages else None,
        "after": at(number + 1) if number < pages else None,
        "states": STATES,
        "orders": tuple(ORDERS),
        "url": f"{settings.base_url}/alerts",
        "description": "Neutrino alerts, public seconds after they were recognised.",
        "detectors": detectors,
        "alerts": [_summary(record.said, settings) for record in shown],
        "asked": given,
        "tests": wants_tests(request),
        "feed": feed,
        "stream": f"{settings.base_url}/alerts/stream",
        "twins": [
            link("These alerts as GCN notices", f"{settings.base_url}/alerts.json{query}", "application/json"),
            link("Atom feed", feed, "application/atom+xml"),
        ],
    }


def _summary(one: Revision, settings: Settings) -> Page:
    position = None if one.ra is None else {"ra": one.ra, "dec": one.dec, "err50": one.err50, "err90": one.err90}
    return {
        "name": one.event_name,
        "url": places.page(one, settings),
        "revision": one.revision,
        "type": one.type,
        "tense": one.tense,
        "is_test": one.is_test,
        "time": f"{one.time:%Y-%m-%d %H:%M:%S}",
        "position": position,
        "detector": one.detector,
        "configuration": one.configuration,
        "topology": one.topology,
        "energy": one.energy,
        "far": one.far,
        "far_per_year": None if one.far is None else one.far * 365.25 * 86400,
        "p_astro": one.p_astro,
        "pipeline": one.pipeline,
        "counterparts": None if isinstance(one.counterparts, str) else len(one.counterparts),
    }


def _alert_page(found: list[Record], settings: Settings) -> Page:
    newest = found[-1].said
    links = documents(newest, settings)
    values = {**flat(newest), "received": times.full(newest.received)}
    return {
        **_summary(newest, settings),
        "description": f"KM3NeT/{newest.detector} neutrino alert of {newest.time:%Y-%m-%d %H:%M:%S} UTC.",
        "text": newest.text,
        "values": {name: value for name, value in values.items() if value not in (None, "")},
        "counterparts": newest.counterparts if isinstance(newest.counterparts, str) else list(newest.counterparts),
        "events": list(newest.events),
        "documents": links,
        "revisions": [revision_page(found, place, settings) for place in reversed(range(len(found)))],
        "ivoid": places.ivoid(newest, settings),
        "citation": f"{settings.publisher.name} ({newest.time:%Y}), alert {newest.event_name}, revision "
        f"{newest.revision}, {places.page(newest, settings)}, {places.ivoid(newest, settings)}",
        "table": side_by_side(found),
        "published": [f"{one.published:%Y-%m-%d %H:%M:%S}" for one in found],
        "offline": [],
        "circulars": f"{CIRCULARS}?{urlencode({'query': newest.event_name})}",
        "twins": links,
    }
