"""Who is asking."""

from __future__ import annotations

from starlette.requests import Request

from km3vo.service import Asker

ANYBODY = Asker()


def asker(request: Request) -> Asker:
    """Who asks: nobody in particular, until there are credentials."""
    return ANYBODY
