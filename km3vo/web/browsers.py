"""Logging in with a browser, and out: /auth/login, /auth/callback, /auth/logout, /auth/view.

Who comes back from the identity provider is met by a page that leads on by itself: browsers count what follows a
redirection as asked for by the site where it began, and the session counts for our own pages alone (visits.py).
"""

from __future__ import annotations

import hmac
import logging
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from km3vo.errors import CredentialsError, ForbiddenError, Km3voError, NotFoundError
from km3vo.identity.attempt import Attempt
from km3vo.identity.credentials import KnownError
from km3vo.identity.sessions import ID, Sessions
from km3vo.protocols.dali.forms import read_parameters
from km3vo.protocols.http.addresses import asked_url, base_url
from km3vo.protocols.http.authentication import visit_of, wants_page
from km3vo.protocols.http.record import Asked
from km3vo.protocols.http.scope import ASKED_KEY, USER_KEY, VISIT_KEY
from km3vo.protocols.http.visits import Cookies, cookie_in, is_ours
from km3vo.service import Service
from km3vo.web import banner
from km3vo.web.describe import Page
from km3vo.web.pages import POLICY, render

if TYPE_CHECKING:
    from km3vo.identity.login import Login

log = logging.getLogger(__name__)

ATTEMPT_SECONDS = 600
CLEAR = '"cache", "storage"'  # Clear Site Data §3.1: what was shown, and the queries that were kept


def router(running: Service) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["Identity"])
    settings, cookies = running.settings, Cookies(running.settings)

    def possible() -> tuple[Login, Sessions]:
        if running.login is None or running.sessions is None:
            raise NotFoundError("Nobody can sign in with a browser here.")
        return running.login, running.sessions

    @routes.get("/auth/login", summary="Sign in with a browser", response_class=Response)
    async def log_in(request: Request, next: str = "/") -> Response:
        login, sessions = possible()
        place = banner.safe_place(next)
        if base_url(request, settings) != settings.base_url:
            # The provider sends people back to one address alone, and there the cookie has to be.
            return RedirectResponse(f"{settings.base_url}/auth/login?{urlencode({'next': place})}", 303)
        attempt = Attempt.new()
        try:
            address = await login.address(attempt)
            await sessions.note(attempt, place)
        except Km3voError as error:
            return _told(running, request, "It is not possible to sign in just now", str(error), error.status, place)
        answer = RedirectResponse(address, 303, headers={"Cache-Control": "no-store"})
        cookies.give(answer, cookies.attempt, attempt.secret, ATTEMPT_SECONDS)
        return answer

    @routes.get("/auth/callback", summary="Where the identity provider sends browsers back", response_class=Response)
    async def back(request: Request) -> Response:
        login, sessions = possible()
        try:
            answer = await _signed_in(running, request, login, sessions)
        except KnownError as error:
            text = (
                f"The identity provider knows you as {error.name}, and so you have no access beyond the public data: "
                "ask for membership, or for a grant under that name."
            )
            answer = _told(running, request, "You may see what everybody sees", text, 403)
        except CredentialsError as error:
            log.info("nobody was logged in: %s", error)
            text = "Nothing came back from the identity provider that belongs to an attempt of this browser. Try again."
            answer = _told(running, request, "You are not signed in", text, 400)
        except Km3voError as error:
            answer = _told(running, request, "It is not possible to sign in just now", str(error), error.status)
        cookies.take(answer, cookies.attempt)
        return answer

    async def _signed_in(running: Service, request: Request, login: Login, sessions: Sessions) -> Response:
        secret, given = cookie_in(request.scope["headers"], cookies.attempt), request.query_params
        if secret is None or not ID.fullmatch(secret):
            raise CredentialsError("no attempt of this browser is under way")
        attempt = Attempt(secret)
        if not hmac.compare_digest(attempt.state.encode(), given.get("state", "").encode()):
            raise CredentialsError("the state is not the one of this browser's attempt")
        place = await sessions.take(attempt)
        if place is None:
            raise CredentialsError("the attempt has ended")
        if "code" not in given:
            raise CredentialsError(f"the identity provider says {given.get('error', 'nothing')[:60]}")
        person = await login.person(attempt, given["code"], given.get("iss"))
        user = await running.authenticator.of_person(person)
        # The session of before: its cookie does not count when one comes from another site, and goes all the same.
        await sessions.end_of(cookie_in(request.scope["headers"], cookies.session) or "")
        id = await sessions.begin(person)
        request.scope[USER_KEY], request.scope[ASKED_KEY] = user, Asked(())
        request.scope.pop(VISIT_KEY, None)
        page = {"url": asked_url(request, settings).partition("?")[0], "twins": [], "place": place}
        answer = _page(running, "signedin.html", page)
        cookies.give(answer, cookies.session, id)
        return answer

    @routes.post("/auth/logout", summary="Sign out", response_class=Response)
    async def log_out(request: Request) -> Response:
        _, sessions = possible()
        _of_ours(request)
        visit = visit_of(request)
        if visit is not None and visit.session is not None:
            await sessions.end(visit.session.number)
        request.scope.pop(VISIT_KEY, None)
        answer = _page(running, "signedout.html", {"url": asked_url(request, settings), "twins": []})
        answer.headers["Clear-Site-Data"] = CLEAR
        cookies.take(answer, cookies.session)
        return answer

    @routes.post("/auth/view", summary="See what the public sees, or what you may see", response_class=Response)
    async def view(request: Request) -> Response:
        _, sessions = possible()
        _of_ours(request)
        given, visit = await read_parameters(request, running), visit_of(request)
        if visit is not None and visit.session is not None:
            await sessions.show(visit.session.number, as_public=given.one("as") == "public")
        return RedirectResponse(banner.safe_place(given.one("next")), 303)

    def _of_ours(request: Request) -> None:
        if not is_ours(request.scope, settings):
            raise ForbiddenError("this can be done from a page of this service alone")

    return routes


def ended(running: Service, request: Request) -> Response:
    """The answer to a browser whose session has ended: nothing, since what it asks for would not be what it was."""
    if request.method == "GET" and wants_page(request):
        text = "Your session has ended. Sign in again, or go on and see what the public sees."
        answer = _told(running, request, "You are signed out", text, 401, banner.place_of(request))
    else:
        answer = PlainTextResponse("the session has ended: sign in again\n", 401)
    answer.headers["WWW-Authenticate"] = 'Bearer realm="km3vo"'
    return answer


def _told(running: Service, request: Request, title: str, text: str, status: int, place: str = "/") -> Response:
    page = {
        "url": asked_url(request, running.settings).partition("?")[0],
        "twins": [],
        "title": title,
        "text": text,
        "login": banner.login_address(place),
        "place": place,
    }
    return _page(running, "told.html", page, status)


def _page(running: Service, template: str, page: Page, status: int = 200) -> Response:
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "private, no-store"}
    return Response(render(running.settings, template, page, running.downtimes), status, headers, "text/html")
