"""What the public rows of a table cover, as a MOC that Aladin loads and as a picture: /coverage/{schema}/{table}."""

from __future__ import annotations

import json

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from km3vo.errors import NotFoundError, ParameterError
from km3vo.protocols.dali.parameters import query_parameters
from km3vo.protocols.dali.work import in_thread
from km3vo.protocols.http.documents import respond
from km3vo.service import Service
from km3vo.web import skymap

FORMATS = ("fits", "ascii", "json", "svg")


def cells(moc: str) -> dict[str, list[int]]:
    """An ASCII MOC as the JSON that Aladin Lite takes: order → cells (MOC 2.0 §4.3.3)."""
    by_order: dict[str, list[int]] = {}
    order = ""
    for word in moc.replace(",", " ").split():
        start, slash, rest = word.partition("/")
        if slash:
            order, word = start, rest
            by_order[order] = []
        if word:
            first, _, last = word.partition("-")
            by_order[order] += range(int(first), int(last or first) + 1)
    return by_order


def router(running: Service) -> APIRouter:
    """The route of the coverages."""
    routes = APIRouter(tags=["Coverage"])

    async def answer(request: Request, schema: str, table: str) -> Response:
        """The coverage, as a FITS MOC unless another format is asked for."""
        described = running.published_table(schema, table)
        form = query_parameters(request).one("FORMAT", "fits").strip().lower()
        if form not in FORMATS:
            raise ParameterError(f"format={form[:40]} is not one of {', '.join(FORMATS)}")
        coverage = (await running.holdings.read()).of(described).coverage
        if coverage is None or coverage.moc is None or coverage.moc_fits is None:
            raise NotFoundError(f"{described.qualified} has no public rows with a position.")
        if form == "fits":
            answer = respond(request, coverage.moc_fits, "application/fits")
            answer.headers["Content-Disposition"] = f'inline; filename="{described.qualified}.moc.fits"'
            return answer
        if form == "ascii":
            return respond(request, coverage.moc.encode(), "text/plain")
        if form == "json":
            return respond(request, json.dumps(cells(coverage.moc)).encode(), "application/json")
        picture = await in_thread(running, skymap.draw, coverage, f"Public events of {described.qualified}")
        assert picture is not None  # there is a MOC, so there are events
        return respond(request, picture, "image/svg+xml")

    routes.add_api_route(
        "/coverage/{schema}/{table}",
        answer,
        methods=["GET"],
        summary="Coverage of a table: format=fits, ascii, json or svg",
        response_class=Response,
    )
    return routes
