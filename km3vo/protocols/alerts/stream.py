"""Alerts as Server-Sent Events (HTML, section 9.2): who was cut off goes on where it was, without a gap."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from km3vo.alerts.tail import Item, Tail
from km3vo.errors import FullError, ParameterError, TooManyError
from km3vo.protocols.http.addresses import client_network
from km3vo.service import Service

MOST = 500  # followers of one server process
EACH = 50  # of one address, or of one network of IPv6
HEARTBEAT = 15.0  # seconds between comments, by which proxies and clients see that the connection lives
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def router(running: Service) -> APIRouter:
    """The route of the stream."""
    routes = APIRouter(tags=["Alerts"])

    @routes.get(
        "/alerts/stream",
        summary="Alerts as Server-Sent Events; last=number goes on after it, test=1 for tests, filter=name for those "
        "that a saved condition chooses, follow=0 ends",
        response_class=Response,
    )
    async def stream(request: Request) -> Response:
        tail = running.tail
        test = request.query_params.get("test", "0") not in ("", "0")
        follow = request.query_params.get("follow", "1") not in ("", "0")
        told = request.headers.get("last-event-id") or request.query_params.get("last")
        if told is not None and not (told.isascii() and told.isdigit() and len(told) < 18):
            raise ParameterError(f"last={told[:40]}: write the id of the last event that you have, or 0 for all")
        condition = ""
        if name := request.query_params.get("filter"):
            saved = await running.subscriptions.named(name)
            condition, test = saved.condition, test or saved.tests
        if tail.clients.total() >= MOST:
            raise FullError(f"{MOST} clients follow the alerts already: try again, or read /alerts/feed.atom")
        client = client_network(request)
        if tail.clients[client] >= EACH:
            raise TooManyError(f"{EACH} streams go to your address already: end one, or read /alerts/feed.atom")
        if told is None or not follow:
            await tail.look()  # else it would begin with what was published just before it asked
        last = await tail.last() if told is None else int(told)

        async def wanted(item: Item) -> bool:
            if not item.notice or (item.is_test and not test):
                return False
            return not condition or await running.filters.choose(condition, item.event_name, item.revision)

        events = _events(tail, client, last, wanted, follow=follow)
        return StreamingResponse(events, media_type="text/event-stream", headers=HEADERS)

    return routes


async def _events(
    tail: Tail, client: str, last: int, wanted: Callable[[Item], Awaitable[bool]], *, follow: bool
) -> AsyncIterator[bytes]:
    """Nothing is kept for a client but the number of its last event: a slow one lags behind and costs nothing."""
    tail.clients[client] += 1
    try:
        yield b"retry: 2000\n\n"
        while True:
            while found := await tail.after(last):
                last = found[-1].number
                if written := b"".join([_event(item) for item in found if await wanted(item)]):
                    yield written
            if not follow or tail.closing:
                return
            await tail.wait(HEARTBEAT)
            if not await tail.after(last):
                yield b": \n\n"
    finally:
        tail.clients[client] -= 1
        tail.clients += Counter()  # forgets those that follow no more


def _event(item: Item) -> bytes:
    return b"event: alert\nid: %d\ndata: %s\n\n" % (item.number, item.notice)
