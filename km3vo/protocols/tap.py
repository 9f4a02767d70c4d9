"""TAP 1.1: /tap/sync here; /tap/async in uws.py, /tap/examples in examples.py, the rest in vosi.py."""

from __future__ import annotations

from typing import BinaryIO

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from km3vo.errors import Km3voError
from km3vo.protocols import upload
from km3vo.protocols.dali import ByteStream, hold, parameters, service, unless_gone
from km3vo.protocols.execution import Execution
from km3vo.protocols.identity import asker
from km3vo.protocols.tap_query import LANGUAGES, read
from km3vo.protocols.upload import Reference
from km3vo.results import votable


async def sync(request: Request) -> Response:
    """Run a query and answer with its rows (TAP 1.1 §2.2)."""
    running = service(request)
    limits = running.settings.limits
    try:
        given = await parameters(request)
        if given.one("REQUEST").lower() == "getcapabilities" and not given.all("QUERY"):  # as TAP 1.0 §2.2 had it
            return RedirectResponse(f"{str(request.url).partition('/sync')[0]}/capabilities", status_code=303)
        wanted = read(limits, given, request.headers.get("accept", ""))

        async def opened(reference: Reference) -> BinaryIO:
            return upload.inline(given, reference)

        files = await upload.collect(wanted.uploads, limits, opened, lambda count: hold(request).take(count))
        execution = Execution(running, wanted, asker(request), str(request.url), limits.sync_seconds, files)
        result = await unless_gone(request, running.threads, execution.start, execution.cancel)
    except Km3voError as error:
        return error_response(error)
    headers = {
        "Content-Disposition": f'inline; filename="{execution.name}.{wanted.format.extension}"',
        "Vary": "Accept",
    }
    if request.method == "HEAD":
        execution.close()
        told = Response(headers=headers, media_type=wanted.format.content_type)
        del told.headers["content-length"]  # which nobody knows as yet
        return told
    return ByteStream(running, wanted.format.write(result), execution, wanted.format.content_type, headers)


def error_response(error: Km3voError) -> Response:
    """A DALI error document with the status that fits (DALI 1.1 §4.2)."""
    return Response(
        votable.error_document(str(error)), status_code=error.status, media_type="application/x-votable+xml"
    )


def router(prefix: str) -> APIRouter:
    """The routes of the service at ``prefix``."""
    routes = APIRouter(prefix=prefix, tags=["TAP"])
    routes.add_api_route(
        "/sync",
        sync,
        methods=["GET", "POST"],
        summary="Run a query and wait for its rows",
        response_class=Response,
        openapi_extra=PARAMETERS,
    )
    return routes


PARAMETERS = {
    "parameters": [
        {"name": "QUERY", "in": "query", "description": "A query in ADQL", "schema": {"type": "string"}},
        {"name": "LANG", "in": "query", "description": "ADQL", "schema": {"type": "string", "enum": list(LANGUAGES)}},
        {"name": "MAXREC", "in": "query", "description": "Most rows", "schema": {"type": "integer", "minimum": 0}},
        {"name": "RESPONSEFORMAT", "in": "query", "description": "A format", "schema": {"type": "string"}},
        {"name": "UPLOAD", "in": "query", "description": "A table: name,URI", "schema": {"type": "string"}},
        {"name": "RUNID", "in": "query", "description": "Shown in logs", "schema": {"type": "string"}},
    ]
}
