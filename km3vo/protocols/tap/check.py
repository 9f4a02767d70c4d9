"""/tap/check: what is wrong with a query, and what it would give, without running it; for editors and scripts."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from km3vo.errors import Km3voError
from km3vo.protocols.dali.forms import read_parameters
from km3vo.protocols.dali.work import in_thread
from km3vo.protocols.http.authentication import user_of
from km3vo.protocols.http.scope import UNLOGGED_KEY
from km3vo.protocols.tap.execution import expected_seconds, is_long
from km3vo.protocols.tap.mistakes import described
from km3vo.protocols.tap.query import TapQuery, read
from km3vo.service import Service

WAIT_SECONDS = 5.0  # for the planner: who checks a query has time


def router(running: Service, prefix: str) -> APIRouter:
    """The routes of the service at ``prefix``."""
    routes = APIRouter(prefix=prefix, tags=["TAP"])

    @routes.post("/check", summary="Check a query without running it", response_class=Response)
    async def check(request: Request) -> Response:
        """Check a query that has no uploads: the parameters are those of /sync.

        The answer is JSON: ``ok``; ``errors`` with their places in the query; ``columns`` and ``tables`` of the result;
        ``class``, how long it is going to take: "at once", "seconds", "minutes", or null where that is not told.
        """
        request.scope[UNLOGGED_KEY] = True  # editors ask with nearly every key, and no row is read
        try:
            parameters = await read_parameters(request, running)
            told = await _checked(running, request, read(running.settings.limits, parameters))
        except Km3voError as error:
            if error.status >= 500:
                raise
            told = {"ok": False, "errors": [described(error)], "columns": [], "tables": [], "class": None}
        headers = {"Cache-Control": "private, no-store"}
        return Response(json.dumps(told, ensure_ascii=False), headers=headers, media_type="application/json")

    return routes


async def _checked(running: Service, request: Request, query: TapQuery) -> dict[str, Any]:
    audience = user_of(request).audience
    translation = await in_thread(running, running.translate, query.adql, query.version, query.maxrec, audience)
    columns = [
        {"name": column.name, "datatype": column.datatype, "unit": column.unit, "ucd": column.ucd}
        for column in translation.columns
    ]
    return {
        "ok": True,
        "errors": [],
        "columns": columns,
        "tables": sorted(".".join(name) for name in translation.tables),
        "class": _class(running, await expected_seconds(running, query, audience, WAIT_SECONDS)),
    }


def _class(running: Service, seconds: float | None) -> str | None:
    if seconds is None:
        return None
    if seconds < 1:
        return "at once"
    return "minutes" if is_long(running.settings.limits, seconds) else "seconds"
