"""Wiring: which routes there are, and what happens when the service starts, stops, or fails to answer."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import sys
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa
from fastapi import APIRouter, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

from km3vo import __version__
from km3vo.catalog.files import read_catalog
from km3vo.catalog.model import Catalog
from km3vo.cluster.place import find_database
from km3vo.database.logins import Database
from km3vo.ending import ending
from km3vo.errors import Km3voError
from km3vo.jobs.queue import Share
from km3vo.jobs.workers import Workers
from km3vo.loading.history import as_loaded
from km3vo.logs import text_of
from km3vo.protocols import cone, correlate, datalink, health, login, tapplus, vosi
from km3vo.protocols.alerts import routes as alerts
from km3vo.protocols.alerts import stream
from km3vo.protocols.http import addresses, routing
from km3vo.protocols.http.authentication import Authentication, wants_page
from km3vo.protocols.http.compression import Compression
from km3vo.protocols.http.denial import Denials
from km3vo.protocols.http.exchange import Exchanges
from km3vo.protocols.http.scope import STOPPING
from km3vo.protocols.http.visits import Visits
from km3vo.protocols.oai import answers as oai
from km3vo.protocols.tap import check, examples, jobs, schema, sync
from km3vo.protocols.uws import routes as uws
from km3vo.registry import watch
from km3vo.registry.watch import Watch
from km3vo.service import Service
from km3vo.settings import Settings
from km3vo.web import alerts as alert_pages
from km3vo.web import (
    api,
    banner,
    browsers,
    configurations,
    correlations,
    coverage,
    download,
    events,
    islands,
    mappage,
    maps,
    pages,
    query,
    responses,
    search,
    subscriptions,
    visibility,
)

# Today's KM3NeT server answers here; scripts go on working.
TAP_PREFIXES = ("/tap", "/__system__/tap/run/tap")


SWITCH_SECONDS = 0.0005
M_ARENA_MAX = -8  # of mallopt(3)
YOUNG_OBJECTS = 5_000  # after so many new ones that stay, the young ones are looked at


def create_app(
    settings: Settings | None = None, database: Database | None = None, catalog: Catalog | None = None
) -> FastAPI:
    """The application, for uvicorn or for tests.

    Args:
        settings: from the environment unless given.
        database: the one the settings name unless given.
        catalog: what is published; as the database has it unless given.
    """
    settings = settings or Settings()
    addresses.check_url(settings)
    database = database or find_database(settings)
    running = Service(settings, database, catalog or as_loaded(database, read_catalog(settings.schemas)))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        ending.on_signals()
        app.state.workers = workers = Workers(
            pool=running.pool,
            signals=running.signals,
            schedule=running.schedule,
            uploads=running.uploads,
            runners={
                jobs.KIND.name: jobs.QueryRunner(running),
                correlate.KIND.name: correlate.CorrelationRunner(running),
            },
            home=settings.results,
            shares=shares(settings),
            short_seconds=settings.limits.short_seconds,
        )
        # Threads that read and write tables keep the interpreter for so long before the event loop gets it.
        sys.setswitchinterval(SWITCH_SECONDS)
        _spare_memory()
        await running.open()
        await workers.open()
        running.schedule.every(
            settings.metadata_seconds, "tables of configurations", lambda: configurations.refresh(running)
        )
        watched = Watch(settings, running.database, running.published)
        if settings.metadata_seconds:
            running.schedule.every(watch.SECONDS, "what is public", watched.look)
        running.schedule.every(settings.skymap_seconds, "maps of significance", lambda: maps.refresh(running))
        running.schedule.start()
        _spare_time()
        yield {STOPPING: running.stop_soon}
        gc.unfreeze()
        await asyncio.to_thread(running.schedule.stop)
        watched.close()
        await workers.close()
        await running.close()

    app = FastAPI(
        title=settings.publisher.title,
        version=__version__,
        description="Neutrino events by the protocols of the Virtual Observatory.",
        lifespan=lifespan,
        docs_url=None,
        openapi_url=None,  # web/api.py has it, written once
        redoc_url=None,
        # FastAPI's own telemetry would hand on the texts of exceptions, which may quote rows.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.service = running
    cones = cone.router(running)
    app.add_middleware(routing.Direct, routes=cones.routes)
    app.add_middleware(Compression, minimum_size=2000, compresslevel=1)
    app.add_middleware(
        Authentication,
        settings=settings,
        authenticator=running.authenticator,
        access=running.access,
        ongoing=running.ongoing,
        denials=Denials(settings, running.access, running.failures),
        withheld=running.withheld,
        visits=Visits(settings, running.sessions, running.authenticator) if running.sessions else None,
        ended=partial(browsers.ended, running),
    )
    app.add_middleware(Exchanges, settings=settings)
    app.add_exception_handler(Km3voError, partial(_explain, running))
    app.add_exception_handler(HTTPException, partial(_explain, running))
    routers = [cones, *_routers(running)]
    for router in (*routers, *map(routing.others, routers)):
        app.include_router(router)
    app.router.default = routing.Slashes(app.router, settings)
    app.openapi = _described(app)  # type: ignore[method-assign]
    return app


def _spare_memory() -> None:
    """Keep less of what large answers and uploads have taken (docs/operation.md): Arrow's own pool and malloc's arenas,
    of which each thread gets another, gave little of it back.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    with contextlib.suppress(AttributeError):  # glibc has it
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)


def _spare_time() -> None:
    """Look for cycles of unused objects less often, and not among those that the service has from the start.

    Going through all of them took 85 ms every two seconds under load, in which nobody was answered.
    """
    gc.set_threshold(YOUNG_OBJECTS)
    gc.collect()
    gc.freeze()


def _described(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """The OpenAPI description with a name for each method of a route; FastAPI's has one for all of them."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            with warnings.catch_warnings(action="ignore", category=UserWarning):
                for path, methods in describe()["paths"].items():
                    for method, operation in methods.items():
                        operation["operationId"] = f"{method} {path}"
        return describe()

    return openapi


def _routers(running: Service) -> list[APIRouter]:
    routers = []
    for prefix in TAP_PREFIXES:
        told = partial(banner.of_result, running)
        routers += [router(running, prefix) for router in (tapplus.router, check.router, schema.router)]
        routers.append(examples.router(running, prefix, told))
        routers.append(sync.router(running, prefix, partial(query.mistaken, running), told))
        routers.append(uws.router(running, prefix, jobs.KIND, jobs.expected))
        routers.append(vosi.router(running, prefix, vosi.of_tap(running, prefix), running.catalog))
    for one in running.published.schemas:
        for table in one.tables:
            if table.position:
                prefix = f"/scs/{table.schema}/{table.name}"
                alone = Catalog((replace(one, tables=(table,)),))
                routers.append(vosi.router(running, prefix, vosi.of_cone(running, table, prefix), alone))
    routers.append(uws.router(running, "/correlate", correlate.KIND, correlate.expected))
    protocols = (health, login, oai, coverage, download, datalink, stream, subscriptions, alerts)
    people = (browsers, alert_pages, configurations, correlations, events, maps, responses, query, islands)
    return [
        *routers,
        *(module.router(running) for module in (*protocols, *people, mappage, visibility, search, pages, api)),
    ]


def shares(settings: Settings) -> list[Share]:
    """How many jobs run at once, in this process and of one asker in all of them."""
    short, long, processes = settings.limits.jobs_short, settings.limits.jobs_running, settings.workers
    half = max(1, processes * short // 2)
    return [
        Share("short", short, user=half, address=half),
        Share("long", long, user=max(1, processes * long // 2), address=1),
    ]


async def _explain(running: Service, request: Request, error: Exception) -> Response:
    """A mistake of the request, in plain words (DALI 1.1 §4.2); protocols with documents of their own make them."""
    status = error.status_code if isinstance(error, HTTPException) else getattr(error, "status", 500)
    if status == 404 and wants_page(request):
        return pages.not_found(running, request, "" if isinstance(error, HTTPException) else str(error))
    if isinstance(error, HTTPException):
        text = "there is no such page" if error.status_code == 404 else error.detail
        return PlainTextResponse(f"{text}\n", status_code=error.status_code, headers=error.headers)
    assert isinstance(error, Km3voError)
    return PlainTextResponse(f"{text_of(error)}\n", status_code=error.status, headers=error.headers)
