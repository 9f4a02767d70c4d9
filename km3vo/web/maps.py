"""Maps of significance of the published event lists: /skymaps, the files of each, and its tiles (docs/skymaps.md)."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from km3vo.catalog.model import Table
from km3vo.correlation import hips, publicmaps
from km3vo.correlation.mapfiles import FILES
from km3vo.database.logins import SERVICE
from km3vo.errors import NotFoundError
from km3vo.holdings.reader import read
from km3vo.protocols.http.documents import respond
from km3vo.service import Service
from km3vo.settings import Settings
from km3vo.web.configurations import asking
from km3vo.web.pages import html, json_document

DESCRIPTION = (
    "How unusual each direction of a list of events is, compared with the same list with its right ascensions drawn "
    "anew. Maps are before trials: they look at tens of thousands of directions, and the hottest always looks like "
    "something."
)
TITLES = {
    "fits": "HEALPix FITS",
    "spots.vot": "Hot spots (VOTable)",
    "spots.csv": "Hot spots (CSV)",
    "moc.fits": "Covered sky (MOC)",
    "svg": "Picture (SVG)",
    "png": "Picture (PNG)",
}


def refresh(running: Service) -> None:
    """Make the maps anew whose public rows have moved, as the public."""
    ask = asking(running, "public", running.settings.limits.async_seconds, long=True)
    with running.database.connect(SERVICE) as own:
        coverages = read(own, running.settings, running.published).coverages
    for table in publicmaps.mapped(running.published.tables):
        coverage = coverages.get(table.qualified)
        if coverage is not None and not running.schedule.stopping:
            publicmaps.refresh(
                running.settings.skymaps, table, coverage.fingerprint, ask, lambda: running.schedule.stopping
            )


def router(running: Service) -> APIRouter:
    """The routes of the maps."""
    routes = APIRouter(tags=["Sky maps"])
    settings = running.settings

    def listed() -> list[dict[str, Any]]:
        tables = publicmaps.mapped(running.published.tables)
        return [describe_map(running, table) for table in tables]

    @routes.get("/skymaps", summary="Maps of significance of the event lists", response_class=Response)
    async def page(request: Request) -> Response:
        url = f"{settings.base_url}/skymaps"
        twins = [{"type": "application/json", "url": f"{url}.json", "title": "This page as JSON"}]
        shown = {"url": url, "description": DESCRIPTION, "twins": twins, "maps": await asyncio.to_thread(listed)}
        return html(request, settings, "skymaps.html", shown)

    @routes.get("/skymaps.json", summary="The same as JSON", response_class=Response)
    async def as_json(request: Request) -> Response:
        return json_document(request, {"maps": await asyncio.to_thread(listed)})

    @routes.get("/skymaps/{schema}/{file}", summary="A file of a map: .fits, .png, …", response_class=Response)
    async def file(request: Request, schema: str, file: str) -> Response:
        name, _, extension = file.partition(".")
        table = running.published_table(schema, name)
        place = await asyncio.to_thread(publicmaps.folder, settings.skymaps, table)
        if extension not in FILES:
            raise NotFoundError(f"A map has the files {', '.join(f'{name}.{known}' for known in FILES)}.")
        if place is None:
            raise NotFoundError(f"There is no map of {table.qualified} as yet.")
        content = await asyncio.to_thread((place / f"map.{extension}").read_bytes)
        answer = respond(request, content, FILES[extension])
        answer.headers["Content-Disposition"] = f'inline; filename="{table.qualified}.{extension}"'
        return answer

    @routes.get(
        "/hips/{schema}/{table}/{path:path}", summary="A map as tiles for viewers (HiPS)", response_class=Response
    )
    async def tile(request: Request, schema: str, table: str, path: str) -> Response:
        described = running.published_table(schema, table)
        place = await asyncio.to_thread(publicmaps.folder, settings.skymaps, described)
        if path not in hips.FILES:
            raise NotFoundError(
                f"The tiles of a map are {hips.TILES[0]} to {hips.TILES[-1]}, beside {hips.PROPERTIES}."
            )
        if place is None:
            raise NotFoundError(f"There is no map of {described.qualified} as yet.")
        content = await asyncio.to_thread((place / "hips" / path).read_bytes)
        if path == hips.PROPERTIES:
            content = _properties(settings, described, place, content)
        return respond(request, content, hips.FILES[path])

    return routes


def _properties(settings: Settings, table: Table, place: Path, content: bytes) -> bytes:
    """What the tiles are, with where they are served and the day on which they were made."""
    made = datetime.fromtimestamp(place.stat().st_mtime, UTC)
    lines = {
        "creator_did": settings.ivoid("hips", table.schema, table.name),
        "hips_service_url": f"{settings.base_url}/hips/{table.schema}/{table.name}",
        "hips_release_date": f"{made:%Y-%m-%d}T00:00Z",
        "hips_status": "public master clonableOnce",
    }
    return "".join(f"{name} = {value}\n" for name, value in lines.items()).encode() + content


def describe_map(running: Service, table: Table) -> dict[str, Any]:
    """What is said of a table's map; "made" is None while there is none."""
    place = publicmaps.folder(running.settings.skymaps, table)
    base = f"{running.settings.base_url}/skymaps/{table.schema}/{table.name}"
    told: dict[str, Any] | None = None
    if place:
        made = datetime.fromtimestamp(place.stat().st_mtime, UTC)
        told = json.loads((place / "map.json").read_text()) | {"date": f"{made:%Y-%m-%d}"}
    return {
        "table": table.qualified,
        "title": table.title,
        "simulated": table.simulated,
        "url": f"{running.settings.base_url}/browse/{table.schema}/{table.name}",
        "page": f"{running.settings.base_url}/maps/{table.schema}/{table.name}",
        "picture": f"{base}.svg",
        "tiles": f"{running.settings.base_url}/hips/{table.schema}/{table.name}",
        "files": [{"url": f"{base}.{extension}", "title": title} for extension, title in TITLES.items()],
        "made": told,
    }
