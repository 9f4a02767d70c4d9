"""Who is before the browser, on every page: that one sees more than others do should never be a surprise."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlencode

from starlette.requests import Request

from km3vo.catalog.model import Table
from km3vo.protocols.http.authentication import visit_of
from km3vo.protocols.http.scope import PREFIX_KEY
from km3vo.service import Service
from km3vo.settings import Settings
from km3vo.web.describe import Page
from km3vo.web.templating import templates

# A path of ours, as browsers read it: they take \ for /, and pass over tabs and line breaks.
_PLACE = re.compile(r"/(?![/\\])[^\x00-\x20\\\x7f]*")
PLACE_LENGTH = 4000


def of(request: Request, settings: Settings, tables: Sequence[Table] | None = None) -> Page | None:
    """What a page says of who looks at it; None where there is nothing to say.

    Args:
        tables: whose events under embargo are counted; all unless given.
    """
    visit, place = visit_of(request), place_of(request)
    if visit is None or visit.kind == "ended":
        return {"kind": "anonymous", "login": login_address(place)} if settings.may_log_in else None
    hidden = visit.hidden
    if hidden is not None and tables is not None:
        names = {table.qualified for table in tables}
        hidden = {name: count for name, count in hidden.items() if name in names}
    return {
        "kind": visit.kind,
        "shown": visit.session.shown if visit.session else visit.user.name,
        "hidden": None if hidden is None else sum(hidden.values()),
        "result": False,
        "place": place,
    }


def of_result(running: Service, request: Request, marked: bool) -> str:
    """The same as HTML, for a page with rows, or with none, that is made elsewhere; "" for those without a name.

    Args:
        marked: whether events under embargo may be among the rows.
    """
    if visit_of(request) is None or (told := of(request, running.settings, ())) is None:
        return ""
    return templates().get_template("banner.html").render(site={"banner": told | {"result": marked}})


def login_address(place: str) -> str:
    """Where one logs in and then goes to a place."""
    return f"/auth/login?{urlencode({'next': place})}"


def safe_place(place: str) -> str:
    """A place to go to, if it is a path of ours; else the first page."""
    return place if len(place) <= PLACE_LENGTH and _PLACE.fullmatch(place) else "/"


def place_of(request: Request) -> str:
    """The address of a page without the host, such that it can be asked for again."""
    path: str = request.scope.get(PREFIX_KEY, "") + (request.scope.get("raw_path") or b"/").decode("latin-1")
    query = request.scope["query_string"].decode("latin-1") if request.method in ("GET", "HEAD") else ""
    return safe_place(f"{path}?{query}" if query else path)
