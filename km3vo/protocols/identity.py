"""Who is asking. Credentials are looked at once, before any route: wrong ones are refused everywhere with 401.

Anonymous requests pass without touching the database. The answers to others are logged (who, when, which query), are
not written down unless the log was, and must not be kept by caches.
"""

from __future__ import annotations

import base64
import binascii
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from fastapi import APIRouter, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from km3vo.errors import CredentialsError, Km3voError
from km3vo.protocols.dali import PARAMETERS_KEY, PREFIX_KEY, service
from km3vo.protocols.identity_oidc import NOBODY, Provider
from km3vo.service import Asker, Service
from km3vo.settings import Settings
from km3vo.store.tokens import PREFIX

ANYBODY = Asker()
KEY = "km3vo.asker"
PRIVATE = "/auth"  # the same service for programs that send credentials only when they are asked for them
PARAMETERS_KEPT = 1_000_000  # characters in the access log

LOG_IN = CredentialsError("this address needs credentials: a personal token as password, or a bearer token")
REFUSED = CredentialsError("the token is wrong, expired or revoked: make a new one with `km3vo token create`")
NOT_UNDERSTOOD = CredentialsError("these credentials are not understood: send one bearer token, or one as password")


def asker(request: Request) -> Asker:
    """Who asks. Credentials were checked before any route was called (``Identity``)."""
    who: Asker = request.scope.get(KEY, ANYBODY)
    return who


class Credentials:
    """What ``Authorization`` headers say. One per server process, since it keeps the identity provider's keys."""

    def __init__(self, running: Service) -> None:
        self.running = running
        self._provider = Provider(running.settings.oidc)

    async def identify(self, credentials: list[str], *, required: bool = False) -> Asker:
        """Who sends these ``Authorization`` headers.

        Raises:
            CredentialsError: they are wrong, expired, revoked, or missing where they are required.
            ForbiddenError: they are right, and give no access beyond the public data.
            UnavailableError: they cannot be checked just now.
        """
        if not credentials:
            if required:
                raise LOG_IN
            return ANYBODY
        if len(credentials) > 1:
            raise NOT_UNDERSTOOD
        token = _token(credentials[0])
        if token.startswith(PREFIX):
            found = await self.running.access.owner_of(token)
            if found is None:
                raise REFUSED
            name, member = found[0], found[1] == "member"
        else:
            name, member = await self._provider.subject(token)
        if member:
            return Asker("member", name)
        login = await self.running.access.observer(name)
        if login is None:
            raise NOBODY
        return Asker(login, name)


class Identity:
    """The layer around the application that knows who asks (ASGI middleware)."""

    def __init__(self, app: ASGIApp, credentials: Credentials) -> None:
        self._app = app
        self._credentials = credentials
        self._running = credentials.running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        private = scope["path"].startswith(PRIVATE + "/")
        if private:
            scope = {**scope, "path": scope["path"].removeprefix(PRIVATE), PREFIX_KEY: PRIVATE}
            scope.pop("raw_path", None)
        try:
            who = await self._credentials.identify(Headers(scope=scope).getlist("authorization"), required=private)
        except Km3voError as error:
            await _refuse(self._running.settings, error)(scope, receive, send)
            return
        scope[KEY] = who
        answer = _Answer(self._running, scope, who, send, PRIVATE if private else "")
        await self._app(scope, receive, answer)


def _token(credentials: str) -> str:
    """The token in an ``Authorization`` header: a bearer's, or a password (RFC 6750 §2.1, RFC 7617)."""
    scheme, _, value = credentials.strip().partition(" ")
    value = value.strip()
    if scheme.lower() == "basic":
        try:
            value = base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            raise NOT_UNDERSTOOD from None
        # An identity provider's token may be the password, too.
    elif scheme.lower() != "bearer":
        raise NOT_UNDERSTOOD
    if not value:
        raise NOT_UNDERSTOOD
    return value


class _Answer:
    """Sends an answer on, with the headers that say for whom it is, after it was logged."""

    def __init__(self, running: Service, scope: Scope, who: Asker, send: Send, prefix: str) -> None:
        self._running = running
        self._scope = scope
        self._who = who
        self._send = send
        self._prefix = prefix
        self._host = Headers(scope=scope).get("host", "")
        self._withheld = False

    async def __call__(self, message: Message) -> None:
        if message["type"] != "http.response.start":
            if not self._withheld:
                await self._send(message)
            return
        headers = MutableHeaders(raw=message["headers"])
        headers.append("Vary", "Accept-Encoding, Authorization")
        if self._who.name is None:
            headers.setdefault("Cache-Control", "no-cache")
            if self._scope["path"].endswith("/capabilities"):
                # So that clients may offer to log in where nobody has to (SSO 2.1).
                for challenge in _ivoa_challenges(self._running.settings):
                    headers.append("WWW-Authenticate", challenge)
        else:
            headers["Cache-Control"] = "private, no-store"
            headers["X-VO-Authenticated"] = self._who.name.encode("ascii", "backslashreplace").decode()
            if self._prefix and "Location" in headers:
                headers["Location"] = self._private(headers["Location"])
            try:
                await self._log(message["status"])
            except Km3voError as error:
                self._withheld = True
                await _refuse(self._running.settings, error)(self._scope, _nothing, self._send)
                return
        await self._send(message)

    def _private(self, url: str) -> str:
        """One of our own addresses as whoever came by ``PRIVATE`` has to follow it."""
        place = urlsplit(url)
        ours = ("", self._host, urlsplit(self._running.settings.base_url).netloc)
        if place.netloc not in ours or not place.path.startswith("/") or place.path.startswith(self._prefix + "/"):
            return url
        return urlunsplit(place._replace(path=self._prefix + place.path))

    async def _log(self, status: int) -> None:
        assert self._who.name is not None
        pairs = self._scope.get(PARAMETERS_KEY)
        if pairs is None:
            pairs = parse_qsl(self._scope["query_string"].decode("latin-1"), keep_blank_values=True)
        await self._running.access.note(
            self._who.name,
            self._who.audience,
            self._scope["method"],
            self._scope["path"],
            urlencode(pairs)[:PARAMETERS_KEPT],
            status,
        )


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def _ivoa_challenges(settings: Settings) -> list[str]:
    """Where clients of the Virtual Observatory get a token (SSO 2.1, challenge ``ivoa_bearer``)."""
    login = f"{settings.base_url}/login"
    places = [("tls-with-password", login), ("BasicAA", login)]
    if settings.oidc.issuer:
        places.append(("OpenID", settings.oidc.issuer))
    return [f'ivoa_bearer standard_id="ivo://ivoa.net/sso#{method}", access_url="{url}"' for method, url in places]


def _refuse(settings: Settings, error: Km3voError) -> Response:
    """The refusal of credentials, with all ways to get better ones."""
    response = PlainTextResponse(f"{error}\n", status_code=error.status)
    response.headers["Cache-Control"] = "no-store"
    response.headers.add_vary_header("Authorization")
    if error.status == 401:
        given = "" if error is LOG_IN else ', error="invalid_token"'
        for challenge in (
            f'Bearer realm="km3vo"{given}',
            *_ivoa_challenges(settings),
            'Basic realm="km3vo", charset="UTF-8"',
        ):
            response.headers.append("WWW-Authenticate", challenge)
    elif error.status == 403:
        for challenge in _ivoa_challenges(settings):  # somebody else may be let in
            response.headers.append("WWW-Authenticate", challenge)
    return response


async def log_in(request: Request) -> Response:
    """Hand a token back to whoever sent it as a password, as programs of the Virtual Observatory want it.

    With the method ``tls-with-password`` they post a form with ``username`` and ``password``, with ``BasicAA`` they
    send both in the header; the answer's header ``x-vo-bearer`` is what they send from then on. The user name is free.
    """
    running = service(request)
    credentials: Credentials = request.app.state.credentials
    given = request.headers.getlist("authorization")
    if not given and request.method == "POST":
        form = await request.form()
        password = form.get("password")
        given = [f"Bearer {password}"] if isinstance(password, str) and password else []
    try:
        who = await credentials.identify(given, required=True)
    except Km3voError as error:
        return _refuse(running.settings, error)
    token = _token(given[0])
    return PlainTextResponse(
        f"{token}\n",
        headers={
            "X-VO-Bearer": token,
            "X-VO-Authenticated": (who.name or "").encode("ascii", "backslashreplace").decode(),
            "Cache-Control": "no-store",
        },
    )


def router() -> APIRouter:
    """The route where programs log in."""
    routes = APIRouter(tags=["Identity"])
    routes.add_api_route(
        "/login",
        log_in,
        methods=["GET", "POST"],
        summary="Exchange a password (a personal token) for a bearer token",
        response_class=Response,
    )
    return routes
