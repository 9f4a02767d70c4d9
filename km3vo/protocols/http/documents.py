"""Whole documents with an entity tag, sent only to those who do not have them yet (RFC 9110 §8.8.3, §13.1.2)."""

from __future__ import annotations

import hashlib
import re

from starlette.requests import Request
from starlette.responses import Response

_TAG = re.compile(r'(?:W/)?("[^"]*")')


def has_already(request: Request, tag: str) -> bool:
    """Whether the client holds what has the tag: If-None-Match names it, weakly or strongly, or anything at all."""
    asked = ", ".join(request.headers.getlist("if-none-match"))
    return asked.strip() == "*" or tag.removeprefix("W/") in _TAG.findall(asked)


def respond(request: Request, body: bytes, media_type: str = "text/xml") -> Response:
    """A whole document with an ETag; 304 when the client has it already."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if has_already(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)
