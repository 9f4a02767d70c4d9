"""Who is asking. Credentials are looked at once, before any route: wrong ones are refused everywhere with 401.

Credentials are headers that programs send, or the cookie of a browser in which somebody has logged in (visits.py).
Anonymous requests pass without touching the database. The answers to others are logged (who, when, which query), are
not written down unless the log was, and must not be kept by caches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from km3vo.embargo.access import Access, Entry
from km3vo.embargo.withheld import Withheld
from km3vo.errors import CredentialsError, Km3voError, ParameterError
from km3vo.identity.challenges import ivoa_challenges
from km3vo.identity.credentials import Authenticator, account_in
from km3vo.identity.ongoing import Ongoing
from km3vo.identity.user import ANONYMOUS, User
from km3vo.protocols.http.addresses import base_url, client_network
from km3vo.protocols.http.denial import Denials, refusal
from km3vo.protocols.http.record import recorded
from km3vo.protocols.http.scope import CUT_KEY, PREFIX_KEY, UNLOGGED_KEY, USER_KEY, VISIT_KEY
from km3vo.protocols.http.visits import STATIC, Cookies, Visit, Visits, cookie_in
from km3vo.settings import Settings

PRIVATE = "/auth"  # the same service for programs that send credentials only when they are asked for them
# What is below it and no such thing: where people log in with a browser, and out (web/login.py).
BROWSERS = frozenset(f"{PRIVATE}/{name}" for name in ("login", "callback", "logout", "view"))


def user_of(request: Request) -> User:
    """Who asks. Credentials were checked before any route was called (``Authentication``)."""
    user: User = request.scope.get(USER_KEY, ANONYMOUS)
    return user


def visit_of(request: Request) -> Visit | None:
    """Who is before the browser, when that is somebody in particular."""
    visit: Visit | None = request.scope.get(VISIT_KEY)
    return visit


def wants_page(request: Request) -> bool:
    """Whether a browser asks, with a person before it."""
    return "text/html" in request.headers.get("accept", "")


class Authentication:
    """The layer around the application that knows who asks (ASGI middleware)."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        authenticator: Authenticator,
        access: Access,
        ongoing: Ongoing,
        denials: Denials,
        withheld: Withheld,
        visits: Visits | None,
        ended: Callable[[Request], Response],
    ) -> None:
        """
        Args:
            visits: None where nobody can log in with a browser; cookies are not looked at then.
            ended: makes the answer to a browser whose session has ended.
        """
        self._app = app
        self._settings = settings
        self._authenticator = authenticator
        self._access = access
        self._ongoing = ongoing
        self._denials = denials
        self._withheld = withheld
        self._visits = visits
        self._ended = ended
        self._cookies = Cookies(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        for_browsers = scope["path"] in BROWSERS
        private = scope["path"].startswith(PRIVATE + "/") and not for_browsers
        if private:
            # In place, since the layer around this one looks for the route in it.
            scope["path"], scope[PREFIX_KEY] = scope["path"].removeprefix(PRIVATE), PRIVATE
            scope.pop("raw_path", None)
        credentials, cookie = self._sent(scope)
        visit = None
        try:
            if cookie is not None and self._visits is not None and not scope["path"].startswith(STATIC):
                visit = scope[VISIT_KEY] = await self._visits.look(scope, cookie)
                if visit.kind == "ended" and not for_browsers and not credentials:
                    scope[USER_KEY] = ANONYMOUS
                    ended = _Answer(self._settings, self._access, scope, send, "", self._cookies, visit)
                    await self._ended(Request(scope))(scope, receive, ended)
                    return
            signed = visit.user if visit is not None else ANONYMOUS
            user = await self._authenticator.identify(credentials, required=private and signed.name is None)
            if not credentials:
                user = signed
            elif visit is not None and visit.session is not None and visit.session.name != user.name:
                raise ParameterError(
                    "the credentials are one person's and the session of this browser is another's: send one of them"
                )
            if user.name is not None and wants_page(Request(scope)):
                visit = scope[VISIT_KEY] = visit or Visit("token", user)
                with suppress(Km3voError):
                    visit.hidden = await self._withheld.of(user.audience)
        except Km3voError as error:
            response = await self._denials.refuse(Request(scope), error, account_in(credentials))
            await response(scope, receive, send)
            return
        scope[USER_KEY] = user
        answer = _Answer(self._settings, self._access, scope, send, PRIVATE if private else "", self._cookies, visit)
        if user.name is None:
            await self._app(scope, receive, answer)
            return
        try:
            await self._while_right_lasts(scope, receive, answer)
        except CredentialsError as ended:
            if answer.begun:
                raise
            await refusal(Request(scope), self._settings, ended)(scope, receive, send)

    def _sent(self, scope: Scope) -> tuple[list[str], str | None]:
        """The headers ``Authorization`` of a request, and the cookie of a session where there can be any."""
        credentials = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
        if self._visits is None:
            return credentials, None
        return credentials, cookie_in(scope["headers"], self._cookies.session)

    async def _while_right_lasts(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        """Call the application, and stop it should the token, the session or a grant end meanwhile.

        Raises:
            CredentialsError: that was so; what the client has not received is thrown away.
        """
        try:
            async with asyncio.timeout(None) as limit:

                def end() -> None:
                    if answer.begun and (cut := scope.get(CUT_KEY)):
                        cut()
                    limit.reschedule(asyncio.get_running_loop().time())

                with self._ongoing.answer(scope[USER_KEY], end):
                    try:
                        await self._app(scope, receive, answer)
                    except Exception as error:
                        if not (answer.begun or isinstance(error, ClientDisconnect)):
                            with suppress(Km3voError):  # nothing of what was asked for is given
                                await answer.log(500)
                        # Maybe since the right has ended: an observer's sessions are ended in PostgreSQL, too.
                        await self._ongoing.look()
                        raise
        except TimeoutError:
            if not limit.expired():
                raise
            raise CredentialsError(
                "the right to this answer has just ended: the token, the session or a grant is not valid any more"
            ) from None


class _Answer:
    """Sends an answer on, with the headers that say for whom it is, after it was logged.

    Attributes:
        begun: whether the client may have some of it.
    """

    def __init__(
        self,
        settings: Settings,
        access: Access,
        scope: Scope,
        send: Send,
        prefix: str,
        cookies: Cookies,
        visit: Visit | None,
    ) -> None:
        self._settings = settings
        self._access = access
        self._scope = scope
        self._send = send
        self._prefix = prefix
        self._cookies = cookies
        self._visit = visit
        self._host = Headers(scope=scope).get("host", "")
        self._withheld = False
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] != "http.response.start":
            if not self._withheld:
                await self._send(message)
            return
        headers = MutableHeaders(raw=message["headers"])
        headers.append("Vary", "Accept-Encoding, Authorization")
        if self._settings.may_log_in and not self._scope["path"].startswith(STATIC):
            headers.append("Vary", "Cookie, Sec-Fetch-Site")
        if self._visit is not None:
            self._keep_out(headers)
        # The address where programs log in finds out only now who asks.
        name = self._scope[USER_KEY].name
        if name is None:
            headers.setdefault("Cache-Control", "no-cache")
            if self._scope["path"].endswith("/capabilities"):
                # So that clients may offer to log in where nobody has to (SSO 2.1).
                for challenge in ivoa_challenges(
                    base_url(Request(self._scope), self._settings), self._settings.oidc.issuer
                ):
                    headers.append("WWW-Authenticate", challenge)
        else:
            headers["Cache-Control"] = "private, no-store"
            headers["X-VO-Authenticated"] = header_text(name)
            if self._prefix and "Location" in headers:
                headers["Location"] = self._private(headers["Location"])
            try:
                await self.log(message["status"], headers.get("Location"))
            except Km3voError as error:
                self._withheld = True
                await refusal(Request(self._scope), self._settings, error)(self._scope, _nothing, self._send)
                return
        self.begun = True
        await self._send(message)

    def _keep_out(self, headers: MutableHeaders) -> None:
        """Keep an answer to somebody who has logged in out of caches and of other sites' pages."""
        headers["Cache-Control"] = "private, no-store"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        if self._visit is not None and self._visit.kind == "ended":
            forgotten = Response()
            self._cookies.take(forgotten, self._cookies.session)
            headers.append("Set-Cookie", forgotten.headers["set-cookie"])

    def _private(self, url: str) -> str:
        """One of our own addresses as whoever came by ``PRIVATE`` has to follow it."""
        place = urlsplit(url)
        ours = ("", self._host, urlsplit(self._settings.base_url).netloc)
        if place.netloc not in ours or not place.path.startswith("/") or place.path.startswith(self._prefix + "/"):
            return url
        return urlunsplit(place._replace(path=self._prefix + place.path))

    async def log(self, status: int, location: str | None = None) -> None:
        """Write down that somebody with a name is answered, and where what was asked for is to be found.

        Raises:
            UnavailableError: it could not be written, so there must be no answer.
        """
        if self._scope.get(UNLOGGED_KEY):
            return
        user: User = self._scope[USER_KEY]
        await self._access.note(
            Entry(
                who=user.name or "",
                audience=user.audience,
                client=client_network(Request(self._scope)),
                method=self._scope["method"],
                path=self._scope["path"],
                parameters=recorded(self._scope, 2 * self._settings.limits.query_length),
                status=status,
                location=location,
            )
        )


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def header_text(name: str) -> str:
    """A name as a header may hold it: what is no printable ASCII, such as a line break, is escaped."""
    return "".join(one if " " <= one <= "~" else one.encode("unicode_escape").decode() for one in name)
