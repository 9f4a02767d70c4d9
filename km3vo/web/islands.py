"""Scripts that pages load, and what of others is in them: /licences. scripts/build.mjs makes the files."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from km3vo.service import Service
from km3vo.web.pages import html

FOLDER = Path(__file__).parent / "static" / "build"


@cache
def licences() -> list[dict[str, str]]:
    """The packages in the scripts: name, version, licence by its SPDX name, and its text."""
    found: list[dict[str, str]] = json.loads((FOLDER / "licences.json").read_text())
    return found


def router(running: Service) -> APIRouter:
    """The routes of the page of licences."""
    routes = APIRouter(tags=["Pages"])
    settings = running.settings

    @routes.get("/licences", summary="Whose work is in the pages", response_class=Response)
    async def page(request: Request) -> Response:
        told: dict[str, Any] = {
            "url": f"{settings.base_url}/licences",
            "description": "What of others' work the scripts of these pages hold, with its licences.",
            "twins": [],
            "packages": licences(),
        }
        return html(request, settings, "licences.html", told)

    return routes
