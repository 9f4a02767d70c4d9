"""Pages for people, and their twins for programs: /, /browse/{schema}/{table}, /tap, /cite/…"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from km3vo import __version__
from km3vo.catalog.model import Schema, Table
from km3vo.errors import NotFoundError, UnavailableError
from km3vo.protocols.dali import service
from km3vo.protocols.vosi import respond
from km3vo.registry import citation
from km3vo.registry.holdings import Known
from km3vo.service import Service
from km3vo.settings import Settings
from km3vo.web import describe
from km3vo.web.describe import Page, View

# Scripts, styles and pictures come from here or not at all.
POLICY = "default-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'self'"


async def look(running: Service) -> View:
    """What there is to describe just now; without numbers when the database does not answer."""
    try:
        known = await running.holdings.known()
    except UnavailableError:
        known = Known()
    return View(running.settings, running.published, known)


def find_schema(running: Service, name: str) -> Schema:
    """The published schema of that name. Raises NotFoundError."""
    for schema in running.published.schemas:
        if schema.name == name.lower():
            return schema
    raise NotFoundError(f"There is no schema {name[:80]}.")


def find_table(running: Service, schema: str, name: str) -> Table:
    """The published table of that name. Raises NotFoundError."""
    try:
        return running.published.table(f"{schema}.{name}")
    except KeyError:
        raise NotFoundError(f"There is no table {schema[:80]}.{name[:80]}.") from None


def render(settings: Settings, template: str, page: Page) -> bytes:
    """A page as HTML."""
    publisher = settings.publisher
    site = {
        "title": publisher.title,
        "publisher": publisher.name,
        "publisher_url": publisher.reference_url,
        "contact_name": publisher.contact_name,
        "contact_email": publisher.contact_email,
        "software": f"km3vo {__version__}",
        "stamp": _stamp(),
    }
    return _templates().get_template(template).render(site=site, page=page).encode()


def html(request: Request, template: str, page: Page) -> Response:
    """Answer with a page."""
    answer = respond(request, render(service(request).settings, template, page), "text/html")
    answer.headers["Content-Security-Policy"] = POLICY
    return answer


def json_document(request: Request, content: Any, media_type: str = "application/json") -> Response:
    """Answer with a page's twin for programs."""
    return respond(request, json.dumps(content, ensure_ascii=False, indent=1).encode(), media_type)


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("km3vo.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _stamp() -> str:
    """Changes when the styles or scripts do, so that no browser keeps old ones."""
    static = resources.files("km3vo.web").joinpath("static")
    content = b"".join(file.read_bytes() for file in sorted(static.iterdir(), key=lambda file: file.name))
    return hashlib.sha256(content).hexdigest()[:8]


def wants_page(request: Request) -> bool:
    """Whether a browser asks, with a person before it."""
    return "text/html" in request.headers.get("accept", "")


def not_found(request: Request, message: str) -> Response:
    """The page for an address where there is nothing."""
    running = service(request)
    view = View(running.settings, running.published, Known())
    page = {
        "url": str(request.url),
        "message": message,
        "tables": [describe.summary(view, table) for table in running.published.tables],
        "twins": [],
    }
    answer = Response(render(running.settings, "notfound.html", page), status_code=404, media_type="text/html")
    answer.headers["Content-Security-Policy"] = POLICY
    return answer


def router() -> APIRouter:
    """The routes of all pages."""
    routes = APIRouter(tags=["Pages"])

    @routes.get("/", summary="All data and services", response_class=Response)
    async def home(request: Request) -> Response:
        return html(request, "home.html", describe.home(await look(service(request))))

    @routes.get("/index.json", summary="All data and services, as JSON", response_class=Response)
    async def home_json(request: Request) -> Response:
        return json_document(request, describe.home(await look(service(request))))

    @routes.get("/tap", summary="The TAP service, for people", response_class=Response)
    async def tap(request: Request) -> Response:
        return html(request, "tap.html", describe.tap(await look(service(request))))

    @routes.get("/browse", include_in_schema=False)
    async def browse() -> Response:
        return RedirectResponse("/")

    @routes.get("/browse/{schema}", summary="A schema; with .json at the end as JSON", response_class=Response)
    async def schema(request: Request, schema: str) -> Response:
        running = service(request)
        found = find_schema(running, schema.removesuffix(".json"))
        page = describe.schema(await look(running), found)
        return json_document(request, page) if schema.endswith(".json") else html(request, "schema.html", page)

    @routes.get("/browse/{schema}/{table}", summary="A table; with .json at the end as JSON", response_class=Response)
    async def table(request: Request, schema: str, table: str) -> Response:
        running = service(request)
        found = find_table(running, schema, table.removesuffix(".json"))
        page = describe.table(await look(running), find_schema(running, schema), found)
        return json_document(request, page) if table.endswith(".json") else html(request, "table.html", page)

    @routes.get("/cite/{schema}/{file}", summary="How to cite: .bib, .datacite.json, .jsonld", response_class=Response)
    async def cite(request: Request, schema: str, file: str) -> Response:
        running = service(request)
        name, _, form = file.partition(".")
        view = await look(running)
        found = find_table(running, schema, name)
        cited = view.cited(found)
        if form == "bib":
            return respond(request, citation.bibtex(cited).encode(), "application/x-bibtex")
        if form == "datacite.json":
            return json_document(request, citation.datacite(cited), "application/vnd.datacite.datacite+json")
        if form == "jsonld":
            page = describe.table(view, find_schema(running, schema), found)
            return json_document(request, page["schema_org"], "application/ld+json")
        raise NotFoundError("A citation ends in .bib, .datacite.json or .jsonld.")

    routes.routes.append(Mount("/static", StaticFiles(directory=Path(__file__).parent.parent / "web" / "static")))
    return routes
