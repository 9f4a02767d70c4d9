"""Every address with its parameters, and forms to try them, from the OpenAPI description: /api. Nothing is loaded from
elsewhere: on this origin browsers hold credentials.
"""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from km3vo.protocols.http.documents import respond
from km3vo.service import Service
from km3vo.web.pages import html


def router(running: Service) -> APIRouter:
    """The route of the page."""
    routes = APIRouter(tags=["Pages"])

    @routes.get("/api", include_in_schema=False)
    async def api(request: Request) -> Response:
        base = running.settings.base_url
        page = {
            "url": f"{base}/api",
            "paths": [
                {"path": path, "operations": list(map(_operation, operations.items()))}
                for path, operations in request.app.openapi()["paths"].items()
            ],
            "twins": [
                {"title": "This page as OpenAPI", "url": f"{base}/openapi.json", "type": "application/json"},
            ],
        }
        return html(request, running.settings, "api.html", page)

    written: list[bytes] = []

    @routes.get("/openapi.json", include_in_schema=False)
    async def openapi(request: Request) -> Response:
        if not written:  # half a megabyte: to write it for each request would stop everybody meanwhile
            written.append(orjson.dumps(request.app.openapi()))
        return respond(request, written[0], "application/json")

    return routes


def _operation(described: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    method, operation = described
    parameters = [
        {"name": one["name"], "where": one["in"], "description": one.get("description", "")}
        for one in operation.get("parameters", ())
    ]
    tried = method == "get" and parameters and all(one["where"] == "query" for one in parameters)
    return {
        "method": method.upper(),
        "summary": operation.get("summary", ""),
        "parameters": parameters,
        "form": bool(tried),
    }
