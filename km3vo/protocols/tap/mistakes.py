"""What a query gets that cannot be answered: an error document in the form that was asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from km3vo.adql.mistakes import meant
from km3vo.errors import AdqlError, Km3voError, ParameterError
from km3vo.logs import text_of
from km3vo.protocols.dali.parameters import Parameters
from km3vo.results import formats, votable

# What decides between a document and a page.
VARY = {"Vary": "Accept, Sec-Fetch-Mode"}
# A page with the mistake and the query, to be mended.
ErrorPage = Callable[[Request, Parameters, Km3voError], Response]


def error_response(request: Request, parameters: Parameters, error: Km3voError, page: ErrorPage) -> Response:
    """A DALI error document (DALI 1.1 §4.2), JSON where that was asked for, or a page for people.

    Args:
        request: whose headers tell a person's browser from a program.
        parameters: of the query, as far as they were read.
        error: what is wrong; its status is the answer's.
        page: makes the page.
    """
    form = _form(request, parameters)
    if form == "html":
        return page(request, parameters, error)
    if form == "json":
        body, kind = json.dumps(described(error), ensure_ascii=False).encode(), "application/json"
    else:
        body, kind = votable.error_document(text_of(error)), "application/x-votable+xml"
    return Response(body, error.status, {**error.headers, **VARY}, kind)


def described(error: Km3voError) -> dict[str, Any]:
    """An error for programs.

    Returns:
        ``code``: the kind of error, one word; ``message``; ``line`` and ``column``, from 1, and ``length`` in
        characters, of the place in the query, all 0 where no place is meant; ``hint``: what to write instead, or "";
        ``replacement``: what to put in that place, where the hint names it, else null.
    """
    code = type(error).__name__.removesuffix("Error").lower()
    if isinstance(error, AdqlError):
        place = {"line": error.line, "column": error.column, "length": error.length}
        return {"code": code, "message": error.message, **place, "hint": error.hint, "replacement": meant(error.hint)}
    nowhere = {"line": 0, "column": 0, "length": 0}
    return {"code": code, "message": text_of(error), **nowhere, "hint": "", "replacement": None}


def _form(request: Request, parameters: Parameters) -> str:
    """The format that was asked for; "html" only for people, since Java's clients accept it of their own accord."""
    try:
        chosen = parameters.one("RESPONSEFORMAT") or parameters.one("FORMAT")
        asked = formats.find(chosen).name if chosen.strip() else ""
    except ParameterError:
        return ""
    headers = request.headers
    if not asked and headers.get("sec-fetch-mode") == "navigate":
        asked = "html"
    return "" if asked == "html" and "text/html" not in headers.get("accept", "") else asked
