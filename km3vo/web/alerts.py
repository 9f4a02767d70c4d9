"""Pages of alerts: /alerts with filters, and /alerts/{name} with all revisions and what changed between them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from km3vo import times
from km3vo.alerts import heartbeat
from km3vo.alerts.documents import FORMS
from km3vo.alerts.heartbeat import Detector
from km3vo.alerts.messages import notice, places
from km3vo.alerts.records import Record
from km3vo.alerts.revision import Revision
from km3vo.errors import ParameterError
from km3vo.protocols.alerts.routes import LATEST, document, wants_tests
from km3vo.protocols.http.documents import respond
from km3vo.service import Service
from km3vo.settings import Settings
from km3vo.web.describe import Page
from km3vo.web.pages import html

FIELDS = ("since", "until", "detector", "topology", "far", "ra", "dec", "radius")  # of the form
MOST = 1000  # alerts that are looked through for a page
TITLES = {
    "json": "GCN notice (JSON)",
    "xml": "VOEvent 2.0",
    "txt": "Text",
    "fits": "Sky map (multi-order FITS)",
    "moc.fits": "90 % region (MOC)",
}
# What differs between any two revisions, or says the same in other words.
_EXPECTED = ("revision", "received", "type", "err_derived")
_ACCEPTED = {"application/json": "json", "application/xml": "xml", "text/xml": "xml"}


def router(running: Service) -> APIRouter:
    """The routes of the pages."""
    routes = APIRouter(tags=["Alerts"])
    settings = running.settings

    async def listed(request: Request) -> list[Record]:
        wanted = _filter(request)
        latest = await running.alerts.latest(MOST, test=wants_tests(request))
        return [record for record in latest if wanted(record.said)]

    async def heard() -> Sequence[Detector]:
        return await heartbeat.detectors(running.pages, settings.alerts.silent_seconds)

    @routes.get("/alerts", summary="Alerts, the newest first: page with filters", response_class=Response)
    async def alerts(request: Request) -> Response:
        found, detectors = await listed(request), await heard()
        return html(request, settings, "alerts.html", _list_page(found, detectors, request, settings))

    @routes.get("/alerts.json", summary="The same as GCN notices in JSON", response_class=Response)
    async def alerts_json(request: Request) -> Response:
        notices = [notice.notice(record.said, settings) for record in await listed(request)]
        detectors = [
            {"detector": one.detector, "heard_seconds_ago": round(one.seconds), "looks": one.looks}
            for one in await heard()
        ]
        content = {"detectors": detectors, "alerts": notices}
        return respond(request, json.dumps(content, ensure_ascii=False).encode(), "application/json")

    @routes.get(
        "/alerts/{alert}",
        summary="An alert: page, or with .json, .xml, .txt, .fits, .fits.gz, .moc.fits its newest revision",
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
            answer = html(request, settings, "alert.html", _alert_page(revisions, settings))
        answer.headers.add_vary_header("Accept")
        return answer

    return routes


def _filter(request: Request) -> Callable[[Revision], bool]:
    """What the form of the page asks for. Raises ParameterError."""
    asked = {name: value.strip() for name, value in request.query_params.items() if value.strip()}
    conditions: list[Callable[[Revision], bool]] = []
    for name in ("detector", "topology", "pipeline"):
        if value := asked.get(name):
            conditions.append(lambda one, name=name, value=value: getattr(one, name) == value)  # type: ignore[misc]
    if "since" in asked:
        since = _time("since", asked["since"])
        conditions.append(lambda one: one.time >= since)
    if "until" in asked:
        until = _time("until", asked["until"])
        conditions.append(lambda one: one.time < until)
    if "far" in asked:
        far = _number("far", asked["far"], 0, math.inf)
        conditions.append(lambda one: one.far is not None and one.far <= far)
    if place := [name for name in ("ra", "dec", "radius") if name in asked]:
        if len(place) < 3:
            raise ParameterError("ra, dec and radius go together: write all three, in degrees")
        ra, dec = _number("ra", asked["ra"], 0, 360), _number("dec", asked["dec"], -90, 90)
        radius = _number("radius", asked["radius"], 0, 180)
        conditions.append(lambda one: _separation(one, ra, dec) <= radius)
    return lambda one: all(condition(one) for condition in conditions)


def _number(name: str, text: str, least: float, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise ParameterError(f"{name}={text[:40]}: write a number from {least:g} to {most:g}")
    return number


def _time(name: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise ParameterError(f"{name}={text[:40]}: write a day or a time in UTC, as 2026-11-27") from None


def _separation(one: Revision, ra: float, dec: float) -> float:
    """Degrees between an alert and a place; infinite without a position."""
    if one.ra is None or one.dec is None:
        return math.inf
    a, b, between = math.radians(one.dec), math.radians(dec), math.radians(one.ra - ra)
    # Vincenty's formula, which is exact for small and for large angles.
    east = math.cos(b) * math.sin(between)
    north = math.cos(a) * math.sin(b) - math.sin(a) * math.cos(b) * math.cos(between)
    along = math.sin(a) * math.sin(b) + math.cos(a) * math.cos(b) * math.cos(between)
    return math.degrees(math.atan2(math.hypot(east, north), along))


def _list_page(found: list[Record], detectors: Sequence[Detector], request: Request, settings: Settings) -> Page:
    query = f"?{request.url.query}" if request.url.query else ""
    return {
        "url": f"{settings.base_url}/alerts",
        "description": "Neutrino alerts, public seconds after they were recognised.",
        "detectors": detectors,
        "alerts": [_summary(record.said, settings) for record in found],
        "asked": {name: request.query_params.get(name, "") for name in FIELDS},
        "tests": wants_tests(request),
        "feed": f"{settings.base_url}/alerts/feed.atom",
        "stream": f"{settings.base_url}/alerts/stream",
        "twins": [
            _link("These alerts as GCN notices", f"{settings.base_url}/alerts.json{query}", "application/json"),
            _link("Atom feed", f"{settings.base_url}/alerts/feed.atom", "application/atom+xml"),
        ],
    }


def _link(title: str, url: str, media_type: str) -> dict[str, str]:
    return {"title": title, "url": url, "type": media_type}


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
    }


def _alert_page(found: list[Record], settings: Settings) -> Page:
    newest = found[-1].said
    links = _documents(newest, settings)
    values = {**_flat(newest), "received": times.full(newest.received)}
    return {
        **_summary(newest, settings),
        "description": f"KM3NeT/{newest.detector} neutrino alert of {newest.time:%Y-%m-%d %H:%M:%S} UTC.",
        "text": newest.text,
        "pipeline": newest.pipeline,
        "values": {name: value for name, value in values.items() if value not in (None, "")},
        "counterparts": newest.counterparts if isinstance(newest.counterparts, str) else list(newest.counterparts),
        "events": list(newest.events),
        "documents": links,
        "revisions": [revision_page(found, place, settings) for place in reversed(range(len(found)))],
        "ivoid": places.ivoid(newest, settings),
        "citation": f"{settings.publisher.name} ({newest.time:%Y}), alert {newest.event_name}, revision "
        f"{newest.revision}, {places.page(newest, settings)}, {places.ivoid(newest, settings)}",
        "twins": links,
    }


def _documents(one: Revision, settings: Settings) -> list[dict[str, str]]:
    return [
        _link(title, places.document(one, settings, form), FORMS[form])
        for form, title in TITLES.items()
        if one.ra is not None or not form.endswith("fits")
    ]


def revision_page(found: list[Record], place: int, settings: Settings) -> Page:
    """What is said of a revision: the one at ``place`` of those of an alert, which are in order."""
    record, before = found[place], found[place - 1].found if place else None
    if record.found is None:
        return {"number": record.revision, "redacted": f"{record.redacted:%Y-%m-%d}"}
    said, now = _flat(before) if before else {}, _flat(record.found)
    changed = {
        name: (said.get(name), now.get(name))
        for name in dict.fromkeys((*said, *now))
        if name not in _EXPECTED and said.get(name) != now.get(name)
    }
    return {
        "number": record.revision,
        "redacted": None,
        "type": record.found.type,
        "published": f"{record.published:%Y-%m-%d %H:%M:%S}",
        "delay": round((record.published - record.found.time).total_seconds(), 3),
        "changed": changed if before else {},
        "text": record.found.text,
        "documents": _documents(record.found, settings),
    }


def _flat(one: Revision) -> dict[str, Any]:
    """The plain values of a revision by name."""
    return {
        name: value
        for name in Revision.__dataclass_fields__
        if isinstance(value := getattr(one, name), (str, int, float, bool))
    } | {"time": times.full(one.time), "number of events": len(one.events)}
