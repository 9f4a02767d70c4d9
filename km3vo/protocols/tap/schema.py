"""/tap/schema.json: the tables and functions in short, for editors that propose names; public, whoever asks."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from km3vo.adql.capabilities import FUNCTIONS
from km3vo.catalog.model import Table
from km3vo.catalog.tap_schema import as_written
from km3vo.holdings.holdings import Holding
from km3vo.protocols.http.documents import respond
from km3vo.service import Service


def router(running: Service, prefix: str) -> APIRouter:
    """The routes of the service at ``prefix``."""
    routes = APIRouter(prefix=prefix, tags=["TAP"])
    limits = running.settings.limits

    @routes.get("/schema.json", summary="Tables, columns and functions in short, for editors", response_class=Response)
    async def schema(request: Request) -> Response:
        """JSON: ``tables`` with their columns and the number of public rows, ``functions`` with their signatures,
        and the ``limits`` of a query: rows, seconds, rows and bytes of an upload."""
        holdings = await running.holdings.read_if_there()
        told = {
            "tables": [_table(table, holdings.of(table)) for table in running.catalog.tables],
            "functions": [{"form": form, "description": description} for form, description in FUNCTIONS],
            "limits": {
                "maxrec": limits.maxrec,
                "maxrec_hard": limits.maxrec_hard,
                "sync_seconds": limits.sync_seconds,
                "upload_rows": limits.upload_rows,
                "upload_bytes": limits.upload_bytes,
            },
        }
        return respond(
            request, json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode(), "application/json"
        )

    return routes


def _table(table: Table, holding: Holding) -> dict[str, Any]:
    return {
        "name": table.qualified,
        "title": table.title,
        "simulated": table.simulated,
        "rows": holding.coverage.rows if holding.coverage else None,
        "columns": [
            {"name": as_written(column.name), "unit": column.unit, "ucd": column.ucd, "description": column.description}
            for column in table.columns
        ],
    }
