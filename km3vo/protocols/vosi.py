"""VOSI 1.1: what a service is (capabilities), whether it works (availability), and what tables it has.

The documents follow from the catalogue and the settings, test queries from what is public; those that do not change
from one moment to the next have an ETag.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from fastapi import APIRouter
from lxml import etree
from lxml.builder import ElementMaker
from starlette.requests import Request
from starlette.responses import Response

from km3vo import times
from km3vo.catalog.model import Catalog, Table
from km3vo.downtime import Downtime
from km3vo.errors import NotFoundError, ParameterError
from km3vo.protocols import tapplus
from km3vo.protocols.dali.parameters import query_parameters
from km3vo.protocols.http.addresses import base_url
from km3vo.protocols.http.documents import respond
from km3vo.registry import capabilities
from km3vo.registry.elements import NAMESPACES, document, root
from km3vo.registry.tableset import table_document, tableset
from km3vo.results.xmltext import permitted
from km3vo.service import Service

STARTED = times.now()

# From the address of the whole service.
Capabilities = Callable[[str], Awaitable[list[etree._Element]]]


def of_tap(running: Service, prefix: str) -> Capabilities:
    """What the TAP service at ``prefix`` declares."""

    async def declared(base: str) -> list[etree._Element]:
        return capabilities.tap_capabilities(running.settings, base + prefix, running.published)

    return declared


def of_cone(running: Service, table: Table, prefix: str) -> Capabilities:
    """What the cone search at ``prefix`` declares; its test query is made where rows are public just now."""

    async def declared(base: str) -> list[etree._Element]:
        # What the service can do is told also while its database is away.
        found = (await running.holdings.read_if_there()).of(table).coverage
        return capabilities.cone_capabilities(running.settings, base + prefix, found)

    return declared


def availability(available: bool, note: str, downtimes: Sequence[Downtime] = ()) -> bytes:
    """The availability document (VOSI 1.1 §5), with the next downtime and a note for each that is announced."""
    top = root("avail", "availability")
    maker = ElementMaker(namespace=NAMESPACES["avail"])
    top.append(maker.available("true" if available else "false"))
    top.append(maker.upSince(times.seconds(STARTED)))
    for downtime in downtimes[:1]:
        top.append(maker.downAt(times.seconds(downtime.begins)))
        top.append(maker.backAt(times.seconds(downtime.ends)))
    top.append(maker.note(note))
    for downtime in downtimes:
        begins, ends = times.seconds(downtime.begins), times.seconds(downtime.ends)
        top.append(maker.note(permitted(f"{begins} to {ends}: {downtime.note}")))
    return document(top)


def router(running: Service, prefix: str, declared: Capabilities, catalog: Catalog) -> APIRouter:
    """The VOSI resources of a service at ``prefix`` with these capabilities and tables."""
    routes = APIRouter(prefix=prefix, tags=["VOSI"])
    whole, names = tableset(catalog), tableset(catalog, columns=False)

    @routes.get("/capabilities", summary="What the service can do", response_class=Response)
    async def get_capabilities(request: Request) -> Response:
        base = base_url(request, running.settings)
        return respond(request, capabilities.capabilities(await declared(base)))

    @routes.get("/tables", summary="The tables; detail=min leaves out the columns", response_class=Response)
    async def get_tables(request: Request) -> Response:
        parameters = query_parameters(request)
        # astroquery's TapPlus has a name of its own for it.
        brief = parameters.one("ONLY_TABLES").lower() == "true"
        detail = parameters.one("DETAIL", "min" if brief else "max").lower()
        if detail not in ("min", "max"):
            raise ParameterError(f"detail={detail[:40]} is not min or max")
        body = whole if detail == "max" else names
        if parameters.all("TABLES"):
            try:
                body = tableset(tapplus.selected(catalog, parameters.one("TABLES").split(",")), columns=detail == "max")
            except KeyError:
                raise NotFoundError(f"there is no table {parameters.one('TABLES')[:80]}: see {prefix}/tables") from None
        answer = respond(request, tapplus.flagged(body) if tapplus.is_client(request) else body)
        answer.headers.add_vary_header("User-Agent")
        return answer

    @routes.get("/tables/{name}", summary="One table", response_class=Response)
    async def get_table(request: Request, name: str) -> Response:
        try:
            return respond(request, table_document(catalog.table(name.replace('"', ""))))
        except KeyError:
            raise NotFoundError(f"there is no table {name[:80]}: see {prefix}/tables") from None

    @routes.get("/availability", summary="Whether the service works", response_class=Response)
    async def get_availability() -> Response:
        alive = await running.pulse.alive()
        note = "The service is at work." if alive else "The database does not answer."
        return Response(
            availability(alive, note, running.downtimes), media_type="text/xml", headers={"Cache-Control": "no-store"}
        )

    return routes
