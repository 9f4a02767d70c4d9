"""What the public rows of a table cover, as a MOC that Aladin loads and as a picture: /coverage/{schema}/{table}."""

from __future__ import annotations

import json

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from km3vo.errors import NotFoundError, ParameterError
from km3vo.protocols.dali import in_thread, parameters, service
from km3vo.protocols.pages import find_table
from km3vo.protocols.vosi import respond
from km3vo.web import skymap

FORMATS = ("fits", "ascii", "json", "svg")


async def answer(request: Request, schema: str, table: str) -> Response:
    """The coverage, as a FITS MOC unless another format is asked for."""
    running = service(request)
    described = find_table(running, schema, table)
    form = (await parameters(request)).one("FORMAT", "fits").strip().lower()
    if form not in FORMATS:
        raise ParameterError(f"format={form[:40]} is not one of {', '.join(FORMATS)}")
    found = (await running.holdings.known()).coverages.get(described.qualified)
    if found is None or found.moc is None or found.moc_fits is None:
        raise NotFoundError(f"{described.qualified} has no public rows with a position.")
    if form == "fits":
        answer = respond(request, found.moc_fits, "application/fits")
        answer.headers["Content-Disposition"] = f'inline; filename="{described.qualified}.moc.fits"'
        return answer
    if form == "ascii":
        return respond(request, found.moc.encode(), "text/plain")
    if form == "json":
        return respond(request, json.dumps(cells(found.moc)).encode(), "application/json")
    picture = await in_thread(running, skymap.draw, found, f"Public events of {described.qualified}")
    assert picture is not None  # there is a MOC, so there are events
    return respond(request, picture, "image/svg+xml")


def cells(moc: str) -> dict[str, list[int]]:
    """An ASCII MOC as the JSON that Aladin Lite takes: order → cells (MOC 2.0 §4.3.3)."""
    found: dict[str, list[int]] = {}
    order = ""
    for word in moc.replace(",", " ").split():
        start, slash, rest = word.partition("/")
        if slash:
            order, word = start, rest
            found[order] = []
        if word:
            first, _, last = word.partition("-")
            found[order] += range(int(first), int(last or first) + 1)
    return found


def router() -> APIRouter:
    """The route of the coverages."""
    routes = APIRouter(tags=["Coverage"])
    routes.add_api_route(
        "/coverage/{schema}/{table}",
        answer,
        methods=["GET"],
        summary="Coverage of a table: format=fits, ascii, json or svg",
        response_class=Response,
    )
    return routes
