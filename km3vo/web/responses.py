"""Responses as FITS files: /response/SCHEMA/NAME.fits, made of the published tables when they are asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response as Answer

from km3vo.correlation.tables import Ask
from km3vo.errors import NotFoundError
from km3vo.protocols.dali.work import in_thread
from km3vo.protocols.http.documents import respond
from km3vo.response import functions, gadf
from km3vo.service import Service
from km3vo.web.configurations import asking

SUFFIX = ".fits"


def router(running: Service) -> APIRouter:
    """The route of the files."""
    routes = APIRouter(tags=["Responses"])
    settings = running.settings

    def content(schema: str, name: str) -> bytes:
        ask = asking(running, "public", settings.limits.sync_seconds)
        tables = functions.tables(running.published, schema)
        cells = {kind: _cells(ask, table.qualified, functions.key(table).name, name) for kind, table in tables.items()}
        area = tables["area"]
        return gadf.document(functions.of_bins(name, cells), area.citation.publisher, area.citation.text or area.title)

    @routes.get("/response/{schema}/{file}", summary="A response as FITS (GADF)", response_class=Answer)
    async def file(request: Request, schema: str, file: str) -> Answer:
        known = functions.names(running.published, schema)
        name = file.removesuffix(SUFFIX)
        if not file.endswith(SUFFIX) or name not in known:
            files = ", ".join(f"{one}{SUFFIX}" for one in known)
            raise NotFoundError(f"There is no such response{f': of {schema} there are {files}' if known else ''}.")
        return respond(request, await in_thread(running, content, schema, name), gadf.CONTENT_TYPE)

    return routes


def _cells(ask: Ask, table: str, key: str, name: str) -> dict[str, Any]:
    """The numbers of the rows of a configuration, by column. ``name`` is one of those that the catalogue knows."""
    rows = ask(" ".join(["SELECT * FROM", table, "WHERE", key, "=", f"'{name}'"]))
    batches = list(rows.batches)
    return {
        column.name: np.concatenate(
            [np.asarray(batch.column(place).to_numpy(zero_copy_only=False), dtype=np.float64) for batch in batches]
        )
        for place, column in enumerate(rows.columns)
        if not column.is_string and batches
    }
