"""What HTTP wants of every address, whatever lies there: HEAD, OPTIONS, a truthful 405, and patience with slashes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, HTTPException
from fastapi.routing import APIRoute
from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from km3vo.protocols.http.addresses import base_url
from km3vo.protocols.http.scope import PREFIX_KEY
from km3vo.settings import Settings

_METHODS = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}


def others(routes: APIRouter) -> APIRouter:
    """Routes for the methods that those of ``routes`` leave out, at the same paths (RFC 9110 §9.1, §15.5.6).

    FastAPI has no HEAD beside GET, and names one method only where several routes share a path.
    """
    known: dict[str, dict[str, APIRoute]] = {}
    for route in routes.routes:
        if isinstance(route, APIRoute):
            known.setdefault(route.path, {}).update(dict.fromkeys(route.methods or (), route))
    found = APIRouter()
    for path, methods in known.items():
        if "HEAD" not in methods and (get := methods.get("GET")):
            found.add_api_route(
                path, get.endpoint, methods=["HEAD"], response_class=get.response_class, include_in_schema=False
            )
        allowed = sorted({*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set()))
        rest = sorted(_METHODS - set(methods) - {"HEAD"})
        found.add_api_route(path, _told(", ".join(allowed)), methods=rest, include_in_schema=False)
    return found


def _told(allowed: str) -> Any:
    async def tell(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": allowed})
        raise HTTPException(405, f"{request.method} is not possible here; what is: {allowed}", {"Allow": allowed})

    return tell


class Direct:
    """Answers GET before FastAPI's own layers, where endpoints take a request and give a response (ASGI middleware).

    Those layers take a fifth of a small cone search.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._routes = {route.path: route for route in routes if isinstance(route, APIRoute)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes.get(scope["path"]) if scope["type"] == "http" else None
        if route is None or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        response = await route.endpoint(Request(scope, receive, send))
        await response(scope, receive, send)


class Slashes:
    """Answers what no route does: an address with slashes too many is taken for the one without.

    Whoever is given ``…/tap/`` asks for ``…/tap//sync`` (pyvo, astroquery, STILTS); others write ``…/sync/``. A GET of
    the latter is sent on, so that links in a page still lead where they should; a POST is not, since clients lose the
    body or their way.
    """

    def __init__(self, router: APIRouter, settings: Settings) -> None:
        self._settings = settings
        self._router = router
        self._missing = router.default
        router.redirect_slashes = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = re.sub("//+", "/", scope["path"]).rstrip("/") or "/"
        if scope["type"] != "http" or path == scope["path"]:
            await self._missing(scope, receive, send)
        elif scope["method"] == "GET" and path == scope["path"].rstrip("/"):
            request = Request(scope)
            target = URL(base_url(request, self._settings) + scope.get(PREFIX_KEY, "") + path).replace(
                query=request.url.query
            )
            await RedirectResponse(target)(scope, receive, send)
        else:
            scope["path"] = path  # in place: the layers around look for the route in it
            await self._router(scope, receive, send)
