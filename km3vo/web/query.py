"""/query: a page to write ADQL and run it, /jobs/{id}: how far a job is; both without scripts."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from km3vo.catalog.model import Table
from km3vo.errors import Km3voError
from km3vo.logs import text_of
from km3vo.protocols.dali.forms import read_parameters
from km3vo.protocols.dali.parameters import Parameters
from km3vo.protocols.tap.jobs import KIND, expected
from km3vo.protocols.tap.mistakes import VARY
from km3vo.protocols.tap.query import read
from km3vo.protocols.uws import access
from km3vo.protocols.uws.routes import JobRoutes
from km3vo.service import Service
from km3vo.web import banner, describe
from km3vo.web.describe import Page
from km3vo.web.pages import POLICY, html, render

DESCRIPTION = "Ask all public tables in ADQL, the Astronomical Data Query Language. Nothing runs until you say so."
# A click on this page may send a result to the SAMP hub of the reader's computer (SAMP 1.3, section 5).
HUB = "http://localhost:21012"
WITH_SAMP = POLICY.replace("connect-src 'self'", f"connect-src 'self' {HUB}")
# What most people want, in this order: the value of RESPONSEFORMAT, and what it is called.
CHOICES = {
    "html": "a page",
    "votable": "VOTable",
    "csv": "CSV",
    "fits": "FITS",
    "parquet": "Parquet",
    "ecsv": "ECSV",
    "tsv": "tsv",
    "json": "json",
    "arrow": "arrow",
}


def router(running: Service) -> APIRouter:
    """The routes of the pages."""
    routes = APIRouter(tags=["Query"])
    settings, jobs = running.settings, JobRoutes(running, KIND, expected)

    @routes.get("/query", summary="Write a query and run it", response_class=Response)
    async def query(request: Request) -> Response:
        parameters = await read_parameters(request, running)
        answer = html(request, settings, "query.html", _page(running, parameters))
        answer.headers["Content-Security-Policy"] = WITH_SAMP
        return answer

    @routes.post("/query", summary="Run a query as a job", response_class=Response)
    async def begin(request: Request) -> Response:
        parameters = await read_parameters(request, running)
        try:
            read(settings.limits, parameters)
            job = await jobs.make(request, parameters, run=True)
        except Km3voError as error:
            return mistaken(running, request, parameters, error)
        return RedirectResponse(f"/jobs/{job.id}", status_code=303)

    @routes.get("/jobs/{id}", summary="A job: how far it is, and its result", response_class=Response)
    async def one(request: Request, id: str) -> Response:
        job = await access.find(running, request, KIND.name)
        asked = dict(job.parameters)
        page = {
            "url": f"{settings.base_url}{request.url.path}",
            "twins": [{"title": "This job (UWS)", "url": f"/tap/async/{job.id}", "type": "text/xml"}],
            "id": job.id,
            "job": job,
            "query": asked.get("QUERY", ""),
            "format": asked.get("RESPONSEFORMAT") or asked.get("FORMAT") or "votable",
        }
        answer = html(request, settings, "job.html", page)
        answer.headers["Cache-Control"] = "private, no-store"
        return answer

    return routes


def mistaken(running: Service, request: Request, parameters: Parameters, error: Km3voError) -> Response:
    """The page of a query that cannot be answered: what is wrong, and the query to mend."""
    told = _page(running, parameters) | {"mistake": text_of(error)}
    shown = banner.of(request, running.settings)
    headers = {**error.headers, **VARY, "Content-Security-Policy": WITH_SAMP, "Cache-Control": "private, no-store"}
    return Response(
        render(running.settings, "query.html", told, running.downtimes, shown), error.status, headers, "text/html"
    )


def _page(running: Service, parameters: Parameters) -> Page:
    base = running.settings.base_url
    examples = [example for schema in running.published.schemas for example in schema.examples]
    return {
        "url": f"{base}/query",
        "description": DESCRIPTION,
        "twins": [{"title": "All tables as JSON", "url": f"{base}/index.json", "type": "application/json"}],
        "mistake": "",
        "query": _last(parameters, "SQL") or _last(parameters, "QUERY"),
        "format": _last(parameters, "RESPONSEFORMAT") or _last(parameters, "FORMAT") or "html",
        "maxrec": _last(parameters, "MAXREC"),
        "most": running.settings.limits.maxrec_hard,
        "choices": CHOICES,
        "tables": [_table(base, table) for table in running.published.tables],
        "examples": [describe.example(base, example) for example in examples],
    }


def _last(parameters: Parameters, name: str) -> str:
    """A value for the form; one that was given twice is a mistake that is told elsewhere."""
    return (parameters.all(name) or [""])[-1].strip()


def _table(base: str, table: Table) -> Page:
    return {
        "name": table.qualified,
        "url": f"{base}/browse/{table.schema}/{table.name}",
        "title": table.title,
        "columns": [{"name": column.name, "unit": column.unit or ""} for column in table.columns],
    }
