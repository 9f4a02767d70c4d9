"""Requests of browsers in which somebody has logged in: their cookie, and for what it counts.

A browser sends cookies whoever makes it ask. So this one counts only for what our own pages, or a person at the address
bar, ask for; what other sites make a browser ask for is answered as if it had none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from km3vo.identity.credentials import Authenticator, KnownError
from km3vo.identity.sessions import Session, Sessions
from km3vo.identity.user import ANONYMOUS, User
from km3vo.protocols.http.addresses import base_url
from km3vo.settings import Settings

SAFE = ("GET", "HEAD", "OPTIONS")
STATIC = "/static/"  # the same for everybody, whatever is sent


@dataclass(slots=True)
class Visit:
    """Who is before the browser.

    Attributes:
        kind: "signed": somebody who has logged in; "public": the same, who wants to see what the public sees; "token":
            somebody whose browser sends credentials with each request; "ended": there was a session; "outside": there
            may be one, and the request comes from another site.
        user: who asks.
        session: that lasts, or None.
        hidden: how many events under embargo he or she sees, by table; None where nobody has counted, such as for what
            is no page.
    """

    kind: Literal["signed", "public", "token", "ended", "outside"]
    user: User = ANONYMOUS
    session: Session | None = None
    hidden: Mapping[str, int] | None = None


class Cookies:
    """The two cookies: of a session, and of an attempt to log in.

    With https their names begin with ``__Host-``, so that no other host, such as a neighbour in the same domain, can
    set or see them. Without, which is for this machine alone, browsers know no such names.
    """

    def __init__(self, settings: Settings) -> None:
        self._secure = settings.base_url.startswith("https:")
        prefix = "__Host-" if self._secure else ""
        self.session = f"{prefix}km3vo"
        self.attempt = f"{prefix}km3vo-login"

    def give(self, answer: Response, name: str, value: str, seconds: int | None = None) -> None:
        """Have a browser keep a cookie, for as long as it runs or for so many seconds."""
        answer.set_cookie(name, value, max_age=seconds, secure=self._secure, httponly=True, samesite="lax")

    def take(self, answer: Response, name: str) -> None:
        """Have a browser forget a cookie."""
        answer.delete_cookie(name, secure=self._secure, httponly=True, samesite="lax")


def cookie_in(headers: Iterable[tuple[bytes, bytes]], name: str) -> str | None:
    """The value of a cookie (RFC 6265 §5.4); None when there is none of that name."""
    wanted = f"{name}=".encode()
    for header, value in headers:
        if header == b"cookie":
            for pair in value.split(b";"):
                if (pair := pair.strip()).startswith(wanted):
                    return pair.removeprefix(wanted).decode("latin-1")
    return None


def is_ours(scope: Scope, settings: Settings) -> bool:
    """Whether a page of ours, or a person who typed an address, has the browser ask (Fetch Metadata §2.1).

    Browsers that do not say so name at least the site of the page (RFC 6454 §7) when they post something.
    """
    headers = dict(scope["headers"])
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site == b"same-origin" or (site == b"none" and scope["method"] in SAFE)
    origin: bytes | None = headers.get(b"origin")
    return origin is not None and origin.decode("latin-1") == base_url(Request(scope), settings)


class Visits:
    """Looks sessions up."""

    def __init__(self, settings: Settings, sessions: Sessions, authenticator: Authenticator) -> None:
        self._settings = settings
        self._sessions = sessions
        self._authenticator = authenticator

    async def look(self, scope: Scope, cookie: str) -> Visit:
        """Who sends such a cookie with a request.

        Raises:
            UnavailableError: that cannot be looked up just now.
        """
        if not is_ours(scope, self._settings):
            return Visit("outside")
        session = await self._sessions.find(cookie)
        if session is None:
            return Visit("ended")
        if session.as_public:
            return Visit("public", session=session)
        try:
            return Visit("signed", await self._authenticator.in_session(session), session)
        except KnownError:
            await self._sessions.end(session.number)
            return Visit("ended")
