"""Where programs of the Virtual Observatory exchange a password for a token (SSO 2.1): /login."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from km3vo.errors import Km3voError
from km3vo.identity.credentials import account_in, token_in
from km3vo.protocols.dali.forms import read_parameters
from km3vo.protocols.http.authentication import header_text
from km3vo.protocols.http.denial import Denials
from km3vo.protocols.http.scope import USER_KEY
from km3vo.service import Service


def router(running: Service) -> APIRouter:
    """The route where programs log in."""
    routes = APIRouter(tags=["Identity"])
    denials = Denials(running.settings, running.access, running.failures)

    async def log_in(request: Request) -> Response:
        """Hand a token back to whoever sent it as a password.

        With the method ``tls-with-password`` programs post a form with ``username`` and ``password``, with ``BasicAA``
        they send both in the header; the answer's header ``x-vo-bearer`` is what they send from then on. The user name
        is free.
        """
        credentials = request.headers.getlist("authorization")
        account = account_in(credentials)
        if not credentials and request.method == "POST":
            given = await read_parameters(request, running)
            account, password = given.one("username"), given.one("password")
            credentials = [f"Bearer {password}"] if password else []
        try:
            user = request.scope[USER_KEY] = await running.authenticator.identify(credentials, required=True)
        except Km3voError as error:
            return await denials.refuse(request, error, account)
        token = token_in(credentials[0])
        return PlainTextResponse(
            f"{token}\n",
            headers={
                "X-VO-Bearer": token,
                "X-VO-Authenticated": header_text(user.name or ""),
                "Cache-Control": "no-store",
            },
        )

    routes.add_api_route(
        "/login",
        log_in,
        methods=["GET", "POST"],
        summary="Exchange a password (a personal token) for a bearer token",
        response_class=Response,
    )
    return routes
