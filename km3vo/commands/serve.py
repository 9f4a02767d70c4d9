"""`km3vo serve`: the server, for a database that is ready."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from km3vo.terminal import tell

if TYPE_CHECKING:
    from km3vo.settings import Settings


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of whatever starts the server."""
    workers = click.option("--workers", type=int, help="Server processes (default: KM3VO_WORKERS, or 1).")
    port = click.option("--port", type=int, help="Port to listen on (default: KM3VO_PORT, or 8000).")
    return port(workers(command))


@click.command("serve")
@server_options
def command(port: int | None, workers: int | None) -> None:
    """Serve what is published, and change no table.

    The database must be of this version (`km3vo db upgrade`) and published (`km3vo publish`); `km3vo up` does all of
    that. Ctrl-C stops the service, and the embedded cluster if nobody else uses it.

    \b
    Examples:
      km3vo serve
      km3vo serve --port 8080 --workers 4
      KM3VO_HOST=0.0.0.0 KM3VO_URL=https://vo.example.org km3vo serve      behind a proxy
    """
    from km3vo.cluster.place import find_database, running
    from km3vo.database import migrations

    settings = server_settings(port, workers)
    with running(settings):
        migrations.check_newest(find_database(settings))
        serve(settings)


def server_settings(port: int | None, workers: int | None) -> Settings:
    """The settings, with what the command line says instead."""
    from km3vo.settings import Settings

    # Through the environment, so that the server's own processes see the same.
    if port is not None:
        os.environ["KM3VO_PORT"] = str(port)
    if workers is not None:
        os.environ["KM3VO_WORKERS"] = str(workers)
    return Settings()


def serve(settings: Settings) -> None:
    """Serve until Ctrl-C."""
    import resource

    import uvicorn

    from km3vo.logs import configuration
    from km3vo.protocols.http import server

    if settings.metrics_port:
        from km3vo.catalog.files import read_catalog
        from km3vo.cluster.place import find_database
        from km3vo.operating import metrics_server

        metrics_server.serve(settings, find_database(settings), read_catalog(settings.schemas))
    # Each client is an open file, and what it reads slowly another one.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    tell(err=True)
    tell(f"km3vo is at {settings.base_url}  (Ctrl-C stops it)", err=True)
    tell(f"  TAP, for TOPCAT and pyvo   {settings.base_url}/tap", err=True)
    tell(f"  Cone search                {settings.base_url}/scs/ant20_01/main?RA=43&DEC=35&SR=3", err=True)
    tell(err=True)
    uvicorn.run(
        "km3vo.app:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_config=configuration(settings.log),
        timeout_graceful_shutdown=5,
        **server.options(),
    )
