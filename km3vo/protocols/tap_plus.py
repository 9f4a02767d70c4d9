"""What astroquery's TapPlus expects beyond TAP, because the archives of ESA, which it was written for, have it.

It reads no column without an attribute of ESA's, asks for one table with ``tables=name``, and removes jobs at an
address of its own. All else that it does is TAP.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from fastapi import APIRouter
from lxml import etree
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from km3vo.catalog.model import Catalog
from km3vo.protocols import uws
from km3vo.protocols.dali import parameters
from km3vo.protocols.uws_access import find

_ESA = "http://esa.int/xml/EsaTapPlus"


def is_client(request: Request) -> bool:
    """Whether TapPlus asks: its GET is one of the very few without a name (User-Agent).

    Everybody else gets the document that validators like; they do not know the attribute.
    """
    return request.headers.get("user-agent", "astroquery/").startswith("astroquery/")


def flagged(document: bytes) -> bytes:
    """A tables document with the attribute; the prefix counts, too, since its reader knows no namespaces."""
    found = etree.fromstring(document)
    root = etree.Element(found.tag, found.attrib, nsmap={**found.nsmap, "esatapplus": _ESA})
    root.extend(found)
    for column in root.iter("column"):
        column.set(f"{{{_ESA}}}flags", "0")
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def selected(catalog: Catalog, names: Iterable[str]) -> Catalog:
    """The catalogue with these tables only.

    Raises:
        KeyError: there is no such table.
    """
    tables = [catalog.table(name.strip()) for name in names]
    schemas = (
        replace(schema, tables=tuple(table for table in schema.tables if table in tables)) for schema in catalog.schemas
    )
    return Catalog(tuple(schema for schema in schemas if schema.tables))


async def delete_jobs(request: Request) -> Response:
    """Remove the jobs whose ids JOB_IDS lists, with commas between: all of them, or none when one is not there."""
    given = await parameters(request)
    ids = [id.strip() for id in given.one("JOB_IDS").split(",") if id.strip()]
    for job in [await find(request, id) for id in ids]:
        await uws.remove(request, job)
    return PlainTextResponse("")


def router(prefix: str) -> APIRouter:
    """The address at which TapPlus removes jobs of the service at ``prefix``."""
    routes = APIRouter(prefix=prefix, tags=["UWS"])
    routes.add_api_route(
        "/deletejobs", delete_jobs, methods=["POST"], summary="Remove jobs: JOB_IDS=a,b", response_class=Response
    )
    return routes
