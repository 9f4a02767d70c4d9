"""TAP 1.1: /tap/sync here; /tap/async in uws/, /tap/examples in examples.py, the rest in vosi.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from km3vo.database.turns import Turn
from km3vo.embargo import marking
from km3vo.errors import Km3voError
from km3vo.identity.user import User
from km3vo.protocols.dali.forms import read_parameters, share_of
from km3vo.protocols.dali.parameters import Parameters
from km3vo.protocols.dali.streams import ByteStream
from km3vo.protocols.dali.work import client_of, moving, turn_of, unless_gone
from km3vo.protocols.http.addresses import asked_url
from km3vo.protocols.http.authentication import user_of
from km3vo.protocols.http.exchange import POLICY
from km3vo.protocols.tap import upload
from km3vo.protocols.tap.execution import Execution, expected_seconds, is_long
from km3vo.protocols.tap.mistakes import ErrorPage, error_response
from km3vo.protocols.tap.query import LANGUAGES, TapQuery, read
from km3vo.protocols.tap.upload import Reference
from km3vo.service import Service

# What stands above a page with rows: of the request, and whether events under embargo may be among them.
Banner = Callable[[Request, bool], str]
SCRIPTED = f"{POLICY.decode()}; script-src 'self'"


def router(running: Service, prefix: str, page: ErrorPage, banner: Banner) -> APIRouter:
    """The routes of the service at ``prefix``; ``page`` shows mistakes to people, and ``banner`` who they are."""
    routes = APIRouter(prefix=prefix, tags=["TAP"])

    async def sync(request: Request) -> Response:
        """Run a query and answer with its rows (TAP 1.1 §2.2)."""
        limits = running.settings.limits
        parameters = Parameters([])
        try:
            parameters = await read_parameters(request, running)
            # As TAP 1.0 §2.2 had it.
            if parameters.one("REQUEST").lower() == "getcapabilities" and not parameters.all("QUERY"):
                service = asked_url(request, running.settings).partition("/sync")[0]
                return RedirectResponse(f"{service}/capabilities", status_code=303)
            query = read(limits, parameters, request.headers.get("accept", ""))
            user = user_of(request)

            async def opened(reference: Reference) -> BinaryIO:
                return upload.inline(parameters, reference)

            files = await upload.collect(
                query.uploads, limits, opened, lambda count: share_of(request, running).reserve(count)
            )
            execution = Execution(
                running, query, user, asked_url(request, running.settings), limits.sync_seconds, files
            )
            try:
                turn = await _turn(running, request, query, user, execution)
            except BaseException:
                execution.close()
                raise
            try:
                result = await unless_gone(request, running.writers, execution.start, execution.cancel)
            except BaseException:
                turn.end()
                raise
        except Km3voError as error:
            return error_response(request, parameters, error, page)
        name = marking.file_name(execution.name, query.format.extension, marked=execution.marked)
        headers = {
            "Content-Disposition": f'inline; filename="{name}"',
            "Vary": "Accept",
        }
        if query.format.name == "html" and (who := banner(request, execution.marked)):
            result.banner, headers["Content-Security-Policy"] = who, SCRIPTED
        if request.method == "HEAD":
            execution.close()
            turn.end()
            told = Response(headers=headers, media_type=query.format.content_type)
            del told.headers["content-length"]  # which nobody knows as yet
            return told
        return ByteStream(running, query.format.write(result), execution, turn, query.format.content_type, headers)

    routes.add_api_route(
        "/sync",
        sync,
        methods=["GET", "POST"],
        summary="Run a query and wait for its rows",
        response_class=Response,
        openapi_extra=PARAMETERS,
    )
    return routes


async def _turn(running: Service, request: Request, query: TapQuery, user: User, execution: Execution) -> Turn:
    """A turn for a query: one for long work if one is free. Only where there is none need the planner be asked in which
    lane the query belongs, which takes longer than many a query.
    """
    lanes = running.lanes[user.audience]
    turn = lanes.long.take_now(client_of(request, user))
    if turn is None:
        expected = await expected_seconds(running, query, user.audience)
        execution.long = is_long(running.settings.limits, expected)
        turn = await turn_of(request, lanes.long if execution.long else lanes.short, user)
    if not execution.long:
        execution.outlived = moving(turn, lanes.long, lambda: execution)
    return turn


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
