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
from km3vo.protocols.dali.forms import read_parameters
from km3vo.protocols.tap.jobs import KIND
from km3vo.protocols.uws import access
from km3vo.service import Service

_ESA = "http://esa.int/xml/EsaTapPlus"


def is_client(request: Request) -> bool:
    """Whether TapPlus asks: its GET is one of the very few without a name (User-Agent).

    Everybody else gets the document that validators like; they do not know the attribute.
    """
    return request.headers.get("user-agent", "astroquery/").startswith("astroquery/")


def flagged(document: bytes) -> bytes:
    """A tables document with the attribute; the prefix counts, too, since its reader knows no namespaces."""
    plain = etree.fromstring(document)
    root = etree.Element(plain.tag, plain.attrib, nsmap={**plain.nsmap, "esatapplus": _ESA})
    root.extend(plain)
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


def router(running: Service, prefix: str) -> APIRouter:
    """The address at which TapPlus removes jobs of the service at ``prefix``."""
    routes = APIRouter(prefix=prefix, tags=["UWS"])

    @routes.post("/deletejobs", summary="Remove jobs: JOB_IDS=a,b", response_class=Response)
    async def delete_jobs(request: Request) -> Response:
        parameters = await read_parameters(request, running)
        ids = [id.strip() for id in parameters.one("JOB_IDS").split(",") if id.strip()]
        # All of them, or none when one is not there.
        for job in [await access.find(running, request, KIND.name, id) for id in ids]:
            await access.remove(running, job)
        return PlainTextResponse("")

    return routes
