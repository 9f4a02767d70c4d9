"""Wiring: which routes there are, and what happens when the service starts, stops, or fails to answer."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

from km3vo import __version__
from km3vo.catalog.files import read_catalog
from km3vo.catalog.model import Catalog
from km3vo.errors import Km3voError
from km3vo.protocols import (
    cone,
    coverage,
    datalink,
    download,
    examples,
    identity,
    oai,
    pages,
    routing,
    tap,
    tap_plus,
    uws,
    vosi,
)
from km3vo.protocols.dali import Compression, CrossOrigin
from km3vo.protocols.identity import Credentials, Identity
from km3vo.protocols.workers import Workers
from km3vo.registry.announce import Announcer
from km3vo.service import Service
from km3vo.settings import Settings
from km3vo.store.cluster import Cluster
from km3vo.store.database import Database, read_passwords
from km3vo.store.ingest_log import as_loaded

log = logging.getLogger(__name__)

# Today's KM3NeT server answers here; scripts go on working.
TAP_PREFIXES = ("/tap", "/__system__/tap/run/tap")
SERVER = f"km3vo/{__version__} IVOA-TAP/1.1"


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
    database = database or find_database(settings)
    running = Service(settings, database, catalog or as_loaded(database, read_catalog(settings.schemas)))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        announcer = Announcer(settings, running.database, running.published)
        app.state.workers = workers = Workers(running)
        await running.open()
        await workers.open()
        announcer.start()
        yield
        await workers.close()
        await asyncio.to_thread(announcer.stop)
        await running.close()

    app = FastAPI(
        title=settings.publisher.title,
        version=__version__,
        description="Neutrino events by the protocols of the Virtual Observatory.",
        lifespan=lifespan,
        docs_url="/api",
        redoc_url=None,
        # FastAPI's own telemetry would hand on the texts of exceptions, which may quote rows.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.service = running
    app.state.credentials = Credentials(running)
    app.add_middleware(Compression, minimum_size=2000, compresslevel=1)
    app.add_middleware(Identity, credentials=app.state.credentials)
    app.add_middleware(CrossOrigin, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])
    app.add_exception_handler(Km3voError, _explain)
    app.add_exception_handler(HTTPException, _explain)
    app.add_exception_handler(Exception, _apologise)
    routers = _routers(running)
    for routes in (*routers, *map(routing.others, routers)):
        app.include_router(routes)
    app.router.default = routing.Slashes(app.router)
    app.openapi = _described(app)  # type: ignore[method-assign]
    return app


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


def find_database(settings: Settings) -> Database:
    """The database that the settings name: a server's, or the embedded cluster's."""
    admin = settings.database_url or Cluster(settings.home / "cluster").conninfo()
    return Database(admin, read_passwords(settings.home))


def _routers(running: Service) -> list[APIRouter]:
    routers = [cone.router(running.published.tables, running.settings)]
    for prefix in TAP_PREFIXES:
        routers += [tap.router(prefix), uws.router(prefix), tap_plus.router(prefix)]
        routers.append(examples.router(prefix, running))
        routers += [vosi.router(prefix, vosi.tap_items(running, prefix), running.catalog)]
    for schema in running.published.schemas:
        for table in schema.tables:
            if table.position:
                prefix = f"/scs/{table.schema}/{table.name}"
                alone = Catalog((replace(schema, tables=(table,)),))
                routers.append(vosi.router(prefix, vosi.cone_items(running, table, prefix), alone))
    return [
        *routers,
        identity.router(),
        oai.router(),
        coverage.router(),
        download.router(running),
        datalink.router(),
        pages.router(),
    ]


async def _explain(request: Request, error: Exception) -> Response:
    """A mistake of the request, in plain words (DALI 1.1 §4.2); protocols with documents of their own make them."""
    status = error.status_code if isinstance(error, HTTPException) else getattr(error, "status", 500)
    if status == 404 and pages.wants_page(request):
        return pages.not_found(request, "" if isinstance(error, HTTPException) else str(error))
    if isinstance(error, HTTPException):
        text = "there is no such page" if error.status_code == 404 else error.detail
        return PlainTextResponse(f"{text}\n", status_code=error.status_code, headers=error.headers)
    assert isinstance(error, Km3voError)
    return PlainTextResponse(f"{error}\n", status_code=error.status)


async def _apologise(request: Request, error: Exception) -> Response:
    """A mistake of ours. Its text may quote values from the database, so the client gets none of it."""
    log.error("%s while answering %s", type(error).__name__, request.url.path, exc_info=error)
    return PlainTextResponse("the service failed to answer; please tell its contact\n", status_code=500)
