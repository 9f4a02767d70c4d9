"""Pages for people, and their twins for programs: /, /browse/{schema}/{table}, /tap, /cite/…"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount

from km3vo import __version__, times
from km3vo.catalog.model import Table
from km3vo.downtime import Downtime
from km3vo.errors import NotFoundError
from km3vo.holdings.holdings import Holdings
from km3vo.protocols.http.addresses import asked_url
from km3vo.protocols.http.documents import respond
from km3vo.registry import citation
from km3vo.service import Service
from km3vo.settings import Settings
from km3vo.web import banner, describe
from km3vo.web.describe import Page
from km3vo.web.statics import Statics, stamp
from km3vo.web.templating import templates

# Scripts, styles and pictures come from here or not at all; nothing stands in the page itself.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def render(
    settings: Settings, template: str, page: Page, downtimes: Sequence[Downtime] = (), banner: Page | None = None
) -> bytes:
    """A page as HTML, with the downtimes that are announced, and with who is before the browser (``banner``)."""
    publisher = settings.publisher
    site = {
        "title": publisher.title,
        "publisher": publisher.name,
        "publisher_url": publisher.reference_url,
        "contact_name": publisher.contact_name,
        "contact_email": publisher.contact_email,
        "software": f"km3vo {__version__}",
        "stamp": stamp(),
        "banner": banner,
        "downtimes": [
            {"begins": times.seconds(one.begins), "ends": times.seconds(one.ends), "note": one.note}
            for one in downtimes
        ],
    }
    return templates().get_template(template).render(site=site, page=page).encode()


def html(
    request: Request, settings: Settings, template: str, page: Page, tables: Sequence[Table] | None = None
) -> Response:
    """Answer with a page; whoever sees events under embargo is told how many, of all tables or of those named."""
    running: Service = request.app.state.service
    shown = banner.of(request, settings, tables)
    answer = respond(request, render(settings, template, page, running.downtimes, shown), "text/html")
    answer.headers["Content-Security-Policy"] = POLICY
    return answer


def json_document(request: Request, content: Any, media_type: str = "application/json") -> Response:
    """Answer with a page's twin for programs."""
    return respond(request, json.dumps(content, ensure_ascii=False, indent=1).encode(), media_type)


def not_found(running: Service, request: Request, message: str) -> Response:
    """The page for an address where there is nothing."""
    nothing = Holdings(running.settings, running.published)
    page = {
        "url": asked_url(request, running.settings),
        "message": message,
        "tables": [describe.summary(nothing.of(table)) for table in running.published.tables],
        "twins": [],
    }
    shown = banner.of(request, running.settings)
    body = render(running.settings, "notfound.html", page, banner=shown)
    answer = Response(body, status_code=404, media_type="text/html")
    answer.headers["Content-Security-Policy"] = POLICY
    return answer


def router(running: Service) -> APIRouter:
    """The routes of all pages."""
    routes = APIRouter(tags=["Pages"])
    settings, holdings = running.settings, running.holdings

    @routes.get("/", summary="All data and services", response_class=Response)
    async def home(request: Request) -> Response:
        return html(request, settings, "home.html", describe.home(await holdings.read_if_there()))

    @routes.get("/index.json", summary="All data and services, as JSON", response_class=Response)
    async def home_json(request: Request) -> Response:
        return json_document(request, describe.home(await holdings.read_if_there()))

    @routes.get("/tap", summary="The TAP service, for people", response_class=Response)
    async def tap(request: Request) -> Response:
        return html(request, settings, "tap.html", describe.tap(await holdings.read_if_there()))

    @routes.get("/browse", include_in_schema=False)
    async def browse() -> Response:
        return RedirectResponse("/")

    @routes.get("/browse/{schema}", summary="A schema; with .json at the end as JSON", response_class=Response)
    async def schema(request: Request, schema: str) -> Response:
        described = running.published_schema(schema.removesuffix(".json"))
        page = describe.schema(await holdings.read_if_there(), described)
        if schema.endswith(".json"):
            return json_document(request, page)
        return html(request, settings, "schema.html", page, described.tables)

    @routes.get("/browse/{schema}/{table}", summary="A table; with .json at the end as JSON", response_class=Response)
    async def table(request: Request, schema: str, table: str) -> Response:
        described = running.published_table(schema, table.removesuffix(".json"))
        page = describe.table((await holdings.read_if_there()).of(described), running.published_schema(schema))
        if table.endswith(".json"):
            return json_document(request, page)
        return html(request, settings, "table.html", page, [described])

    @routes.get("/cite/{schema}/{file}", summary="How to cite: .bib, .datacite.json, .jsonld", response_class=Response)
    async def cite(request: Request, schema: str, file: str) -> Response:
        name, _, form = file.partition(".")
        described = running.published_table(schema, name)
        holding = (await holdings.read_if_there()).of(described)
        if form == "bib":
            return respond(request, citation.bibtex(holding).encode(), "application/x-bibtex")
        if form == "datacite.json":
            return json_document(request, citation.datacite(holding), "application/vnd.datacite.datacite+json")
        if form == "jsonld":
            page = describe.table(holding, running.published_schema(schema))
            return json_document(request, page["schema_org"], "application/ld+json")
        raise NotFoundError("A citation ends in .bib, .datacite.json or .jsonld.")

    routes.routes.append(Mount("/static", Statics()))
    return routes
