"""Whole lists: /download/{schema}/{table}.parquet and the like, with checksums, ranges, and every edition kept."""

from __future__ import annotations

import asyncio
import base64
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from km3vo.catalog.model import Table
from km3vo.errors import NotFoundError
from km3vo.holdings.downloads import FORMATS
from km3vo.logs import Threads
from km3vo.protocols.dali.work import in_thread
from km3vo.protocols.http.documents import has_already
from km3vo.service import Service
from km3vo.web import describe
from km3vo.web.pages import html, json_document

CHECKSUM = ".sha256"
METHODS = ["GET", "HEAD"]
Edition = Annotated[str | None, Query(description="Number of an edition; without it, the latest.")]


class Downloads:
    """The downloads of a service.

    Files are made in threads of their own, and one request at a time for each: making a long list, or waiting for it,
    must not keep queries waiting.
    """

    MAKERS = 4

    def __init__(self, running: Service) -> None:
        self._running = running
        self._files = running.downloads
        self._threads = Threads(self.MAKERS, thread_name_prefix="download")
        self._busy: dict[tuple[str, str], asyncio.Lock] = {}

    async def latest(self, request: Request, schema: str, file: str, edition: Edition = None) -> Response:
        """The latest edition of a list, or the one that is named, its checksum, or the page with all files."""
        name, dot, extension = file.partition(".")
        table = self._running.published_table(schema, name)
        if not dot or extension == "json":
            return await self._index(request, table)
        return await self._send(request, table, extension, None if edition is None else _number(table, edition))

    async def edition(self, request: Request, schema: str, table: str, file: str) -> Response:
        """One edition of a list, or its checksum."""
        number, _, extension = file.partition(".")
        described = self._running.published_table(schema, table)
        return await self._send(request, described, extension, _number(described, number))

    async def _send(self, request: Request, table: Table, extension: str, number: int | None) -> Response:
        wanted = extension.removesuffix(CHECKSUM)
        if wanted not in FORMATS:
            raise NotFoundError(f"there is no .{wanted[:20]} of {table.qualified}: choose {', '.join(FORMATS)}")
        async with self._busy.setdefault((table.qualified, wanted), asyncio.Lock()):
            edition, path = await asyncio.get_running_loop().run_in_executor(
                self._threads, self._files.get, table, wanted, number
            )
        name = f"{table.qualified}-{edition.number}.{wanted}"
        if extension.endswith(CHECKSUM):
            return PlainTextResponse(f"{edition.sha256}  {name}\n")
        tag = f'"{edition.sha256}"'
        headers = {
            "ETag": tag,
            # An edition never changes; which one is the latest does.
            "Cache-Control": "no-cache" if number is None else "public, max-age=31536000, immutable",
            "Content-Location": f"/download/{table.schema}/{table.name}/{edition.number}.{wanted}",
            "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(edition.sha256)).decode()}:",
        }
        if has_already(request, tag):
            return Response(status_code=304, headers=headers)
        return FileResponse(path, media_type=FORMATS[wanted].media_type, filename=name, headers=headers)

    async def _index(self, request: Request, table: Table) -> Response:
        """Which files there are (with the extension .json: for programs)."""
        editions = await in_thread(self._running, self._files.made, table)
        page = describe.files((await self._running.holdings.read_if_there()).of(table), editions)
        if request.url.path.endswith(".json"):
            return json_document(request, page)
        return html(request, self._running.settings, "files.html", page)


def _number(table: Table, written: str) -> int:
    """The number of an edition.

    Raises:
        NotFoundError: it is none.
    """
    if not (written.isascii() and written.isdigit() and len(written) < 10):
        raise NotFoundError(f"editions of {table.qualified} are called 1, 2 and so on")
    return int(written)


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
