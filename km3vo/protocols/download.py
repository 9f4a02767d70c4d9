"""Whole lists: /download/{schema}/{table}.parquet and the like, with checksums, ranges, and every edition kept."""

from __future__ import annotations

import asyncio
import base64
from concurrent.futures import ThreadPoolExecutor

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from km3vo.catalog.model import Table
from km3vo.errors import NotFoundError
from km3vo.protocols import origin
from km3vo.protocols.dali import in_thread
from km3vo.protocols.pages import find_table, html, json_document, look
from km3vo.registry.resources import stamp
from km3vo.results.stream import Info
from km3vo.service import Service
from km3vo.settings import Settings
from km3vo.store.editions import Edition
from km3vo.store.snapshots import FORMATS, Infos, Snapshots
from km3vo.web import describe
from km3vo.web.describe import DOWNLOADS, Page

CHECKSUM = ".sha256"
METHODS = ["GET", "HEAD"]


def infos(settings: Settings) -> Infos:
    """What the files say of themselves (Data Origin in the VO 1.2)."""

    def tell(table: Table, edition: Edition) -> tuple[tuple[Info, ...], tuple[Info, ...]]:
        url = f"{settings.base_url}/download/{table.schema}/{table.name}/{edition.number}"
        words = f"{edition.number} of {stamp(edition.made_at)}, {edition.rows} rows"
        about = [info for info in origin.service_infos(settings, "", url) if info.name != "service_protocol"]
        about.append(Info("edition", words, "which state of the public rows this is"))
        return tuple(about), origin.table_infos(settings, [table])

    return tell


def snapshots(running: Service) -> Snapshots:
    """The files of the running service."""
    settings = running.settings
    return Snapshots(settings.downloads, running.database, running.readers["public"], infos(settings))


class Downloads:
    """The downloads of a service.

    Files are made in threads of their own, and one request at a time for each: making a long list, or waiting for it,
    must not keep queries waiting.
    """

    MAKERS = 4

    def __init__(self, running: Service) -> None:
        self._running = running
        self._snapshots = snapshots(running)
        self._threads = ThreadPoolExecutor(self.MAKERS, thread_name_prefix="download")
        self._busy: dict[tuple[str, str], asyncio.Lock] = {}

    async def latest(self, request: Request, schema: str, file: str) -> Response:
        """The latest edition of a list, its checksum, or the page with all files."""
        name, dot, extension = file.partition(".")
        table = find_table(self._running, schema, name)
        if not dot or extension == "json":
            return await self._index(request, table)
        return await self._send(request, table, extension, None)

    async def edition(self, request: Request, schema: str, table: str, file: str) -> Response:
        """One edition of a list, or its checksum."""
        number, _, extension = file.partition(".")
        described = find_table(self._running, schema, table)
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            raise NotFoundError(f"editions of {described.qualified} are called 1.parquet, 2.csv and so on")
        return await self._send(request, described, extension, int(number))

    async def _send(self, request: Request, table: Table, extension: str, number: int | None) -> Response:
        wanted = extension.removesuffix(CHECKSUM)
        if wanted not in FORMATS:
            raise NotFoundError(f"there is no .{wanted[:20]} of {table.qualified}: choose {', '.join(FORMATS)}")
        async with self._busy.setdefault((table.qualified, wanted), asyncio.Lock()):
            made, path = await asyncio.get_running_loop().run_in_executor(
                self._threads, self._snapshots.get, table, wanted, number
            )
        name = f"{table.qualified}-{made.number}.{wanted}"
        if extension.endswith(CHECKSUM):
            return PlainTextResponse(f"{made.sha256}  {name}\n")
        tag = f'"{made.sha256}"'
        headers = {
            "ETag": tag,
            # An edition never changes; which one is the latest does.
            "Cache-Control": "no-cache" if number is None else "public, max-age=31536000, immutable",
            "Content-Location": f"/download/{table.schema}/{table.name}/{made.number}.{wanted}",
            "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(made.sha256)).decode()}:",
        }
        asked = request.headers.get("if-none-match", "")
        if tag in asked or asked.strip() == "*":
            return Response(status_code=304, headers=headers)
        return FileResponse(path, media_type=DOWNLOADS[wanted][1], filename=name, headers=headers)

    async def _index(self, request: Request, table: Table) -> Response:
        """Which files there are (with the extension .json: for programs)."""
        made = await in_thread(self._running, self._snapshots.made, table)
        page: Page = describe.files(await look(self._running), table, made)
        if request.url.path.endswith(".json"):
            return json_document(request, page)
        return html(request, "files.html", page)


def router(running: Service) -> APIRouter:
    """The routes of the downloads."""
    downloads = Downloads(running)
    routes = APIRouter(tags=["Downloads"])
    kinds = ", ".join(FORMATS)
    routes.add_api_route(
        "/download/{schema}/{file}",
        downloads.latest,
        methods=METHODS,
        summary=f"A whole list, latest edition, as {kinds}; with .sha256 its checksum; without ending all files",
        response_class=Response,
    )
    routes.add_api_route(
        "/download/{schema}/{table}/{file}",
        downloads.edition,
        methods=METHODS,
        summary="One edition of a list, such as 3.parquet",
        response_class=Response,
    )
    return routes
