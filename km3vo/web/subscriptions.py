"""Pages where people subscribe to alerts, say that they did, and end it again."""

from __future__ import annotations

import json

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from km3vo.alerts import filters
from km3vo.alerts.subscriptions import FORMATS, Subscription
from km3vo.errors import ParameterError
from km3vo.protocols.alerts.rate import Rate
from km3vo.protocols.dali.forms import read_form
from km3vo.protocols.http.addresses import client_network
from km3vo.service import Service
from km3vo.web.describe import Page
from km3vo.web.pages import html

MOST_BYTES = 64 * 1024  # of a form


def router(running: Service) -> APIRouter:
    """The routes of the pages."""
    routes = APIRouter(tags=["Alerts"])
    settings, rate = running.settings, Rate()
    mails = any(channel.kind == "subscriptions" for channel in running.outgoing.channels)

    def page(request: Request, template: str, content: Page) -> Response:
        answer = html(
            request, settings, template, {"url": f"{settings.base_url}/alerts/subscribe", "twins": [], **content}
        )
        answer.headers["Cache-Control"] = "no-store"
        return answer

    @routes.get("/alerts/subscribe", summary="Save a condition in ADQL, for mails or a stream", response_class=Response)
    async def form(request: Request) -> Response:
        return page(request, "subscribe.html", {"mails": mails, "saved": None})

    @routes.post(
        "/alerts/subscribe",
        summary="where=condition in ADQL over km3net.alerts; address=, format=txt, json or xml for mails; test=1",
        response_class=Response,
    )
    async def subscribe(request: Request) -> Response:
        rate.take(client_network(request))
        fields, _ = await read_form(request, running, MOST_BYTES)
        given = {name.lower(): value.strip() for name, value in fields}
        condition, address = given.get("where", ""), given.get("address") or None
        form = next((one for one in FORMATS if one == (given.get("format") or "txt")), None)
        if form is None:
            raise ParameterError(f"format: write {', '.join(FORMATS)}")
        if address and not mails:
            raise ParameterError("no mails are sent from here: leave address out, and follow the stream")
        if not address and not condition:
            raise ParameterError("where: write a condition such as far < 1e-7, or an address for mails of all alerts")
        filters.check(condition, running.sources["public"])
        tests = given.get("test", "0") not in ("", "0")
        name = await running.subscriptions.add(condition, tests=tests, address=address, form=form)
        saved = {"name": name, "stream": f"{settings.base_url}/alerts/stream?filter={name}", "confirm": bool(address)}
        if "application/json" in request.headers.get("accept", ""):
            return Response(json.dumps(saved).encode(), 201, {"Cache-Control": "no-store"}, "application/json")
        return page(request, "subscribe.html", {"mails": mails, "saved": saved})

    @routes.get("/alerts/subscriptions/{token}", summary="A subscription: confirm or end it", response_class=Response)
    async def shown(request: Request, token: str) -> Response:
        return page(request, "subscription.html", _state(await running.subscriptions.held(token), done=""))

    # Nothing is done by GET: programs that look through mails open every address.
    @routes.post(
        "/alerts/subscriptions/{token}",
        summary="do=confirm says that mails are wanted; anything else ends them (RFC 8058)",
        response_class=Response,
    )
    async def decided(request: Request, token: str) -> Response:
        fields, _ = await read_form(request, running, MOST_BYTES)
        await running.subscriptions.held(token)
        if ("do", "confirm") in fields:
            await running.subscriptions.confirm(token)
            return page(request, "subscription.html", _state(await running.subscriptions.held(token), done="confirmed"))
        await running.subscriptions.end(token)
        return page(request, "subscription.html", {"done": "ended", "path": ""})

    return routes


def _state(one: Subscription, *, done: str) -> Page:
    return {
        "done": done,
        "path": f"/alerts/subscriptions/{one.token}",
        "condition": one.condition,
        "confirmed": one.confirmed is not None,
        "refused": one.ended is not None,
        "tests": one.tests,
    }
