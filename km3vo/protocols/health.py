"""/healthz and /readyz, for whatever starts, stops and watches the service.

Both are public, so what they say follows from the machine, the database's being there and its clock, and from no row.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter
from starlette.responses import JSONResponse, PlainTextResponse, Response

from km3vo.jobs.quota import RESERVE
from km3vo.service import Service

NEVER_KEPT = {"Cache-Control": "no-store"}
LATE = 5  # pauses between two looks for due events, after which nobody seems to look


async def ready(running: Service) -> dict[str, bool]:
    """What the service needs in order to work, and whether it has it.

    Returns:
        database: whether it answers.
        disk: whether there is room for results.
        releases: whether somebody looks for due events in time.
        clock: whether the database's clock was trusted at the last look.
    """
    home = running.settings.home
    return {
        "database": await running.pulse.alive(),
        "disk": not home.is_dir() or shutil.disk_usage(home).free > RESERVE,
        "releases": _is_looked_after(running),
        "clock": running.promoter.clock_is_trusted,
    }


def _is_looked_after(running: Service) -> bool:
    pause = running.settings.promote_seconds
    for task in running.schedule.tasks:
        if task.work == running.promoter.look:
            ended = max((time for time in (task.succeeded_at, task.failed_at) if time), default=running.since)
            return datetime.now(UTC) - ended < timedelta(seconds=LATE * pause + 60) or task.started_at is not None
    return True  # nobody is to look


def router(running: Service) -> APIRouter:
    """The routes for who watches the service."""
    routes = APIRouter(tags=["Operation"])

    async def get_healthz() -> Response:
        """The process is alive; nothing else is asked."""
        return PlainTextResponse("alive\n", headers=NEVER_KEPT)

    async def get_readyz() -> Response:
        """Whether the service can work, by what it needs; 503 when one is missing."""
        found = await ready(running)
        return JSONResponse(found, status_code=200 if all(found.values()) else 503, headers=NEVER_KEPT)

    routes.add_api_route("/healthz", get_healthz, summary="Whether the process is alive", response_class=Response)
    routes.add_api_route("/readyz", get_readyz, summary="Whether the service can work", response_class=Response)
    return routes
