"""Pages of correlations: /correlate with the form, and /correlate/{id} with how far one is and what came out."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from km3vo.correlation import question as questions
from km3vo.jobs import files
from km3vo.jobs.job import Job
from km3vo.protocols.correlate import KIND, SUMMARY, expected
from km3vo.protocols.dali.forms import read_parameters
from km3vo.protocols.tap.upload import split
from km3vo.protocols.uws import access
from km3vo.protocols.uws.routes import JobRoutes
from km3vo.service import Service
from km3vo.web.describe import Page
from km3vo.web.pages import html

HEADINGS = ("Source", "Events", "Expected", "TS", "n_s", "p", "p after trials", "q")
DESCRIPTION = (
    "Do events come from the sources of a catalogue, more often than chance would have it? Choose two tables; the "
    "background is the list of events itself, and p-values come from scrambling it."
)


def router(running: Service) -> APIRouter:
    """The routes of the pages."""
    routes = APIRouter(tags=["Correlations"])
    settings, jobs = running.settings, JobRoutes(running, KIND, expected)

    @routes.get("/correlate", summary="Correlate events with a catalogue: the form", response_class=Response)
    async def form(request: Request) -> Response:
        page = _page(running, request) | {"tables": _tables(running), "methods": questions.METHODS}
        return html(request, settings, "correlate.html", page)

    @routes.post("/correlate", summary="Begin a correlation", response_class=Response)
    async def begin(request: Request) -> Response:
        parameters = await read_parameters(request, running)
        tables = {one.label.upper() for one in split(parameters.all("UPLOAD")) if one.label is not None}
        questions.read({name: parameters.one(name) for name in parameters.values.keys() - tables - {"UPLOAD"}})
        job = await jobs.make(request, parameters, run=True)
        return RedirectResponse(f"/correlate/{job.id}", status_code=303)

    @routes.get("/correlate/{id}", summary="A correlation: how far it is, what came out", response_class=Response)
    async def one(request: Request, id: str) -> Response:
        job = await access.find(running, request, KIND.name)
        told = await asyncio.to_thread(_summary, running, job) if job.phase == "COMPLETED" else None
        page = _page(running, request) | {
            "id": job.id,
            "phase": job.phase,
            "active": job.active,
            "steps": job.rows,
            "error": job.error,
            "asked": [pair for pair in job.parameters if pair[0] != "UPLOAD" and pair[1]],
            "report": told,
            "headings": HEADINGS,
            "others": [other.name for other in KIND.others if other.name != "summary"],
        }
        answer = html(request, settings, "correlation.html", page)
        answer.headers["Cache-Control"] = "private, no-store"
        return answer

    return routes


def _page(running: Service, request: Request) -> Page:
    address = f"{running.settings.base_url}{request.url.path}"
    return {"url": address, "description": DESCRIPTION, "twins": []}


def _tables(running: Service) -> list[str]:
    return [table.qualified for table in running.published.tables if table.position]


def _summary(running: Service, job: Job) -> dict[str, Any] | None:
    """The report of a job; None when its files are gone."""
    file = files.result_file(running.settings.results, job.id, SUMMARY)
    if not file.is_file():
        return None
    summary: dict[str, Any] = json.loads(file.read_text())
    summary["rows"] = list(zip(summary["rows"], summary["marked"], strict=True))
    return summary
