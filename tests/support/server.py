"""A real server on loopback, in a thread of the tests."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from km3vo.app import create_app
from km3vo.database.logins import Database
from km3vo.protocols.http.server import options
from km3vo.settings import Settings


@dataclass(frozen=True)
class Server:
    """Where a server answers, and what it serves with."""

    url: str
    settings: Settings
    app: FastAPI

    @property
    def tap(self) -> str:
        return f"{self.url}/tap"


@contextmanager
def serve(database: Database, home: Path, *, wrong_credentials: int = 10**6, **changes: Any) -> Iterator[Server]:
    """Serve a database meanwhile; ``changes`` are settings by name.

    All tests come from one address: it may have wrong credentials often, unless a test is about that.
    """
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        settings = Settings(home=home, port=listening.getsockname()[1], **changes)
        settings.__dict__["limits"] = settings.limits.model_copy(update={"wrong_credentials": wrong_credentials})
        app = create_app(settings, database)
        config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=2, **options())
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, args=([listening],))
        thread.start()
        try:
            while not running.started:
                assert thread.is_alive(), "the server did not start"
                time.sleep(0.01)
            yield Server(settings.base_url, settings, app)
        finally:
            running.should_exit = True
            thread.join(20)


def patterns(app: FastAPI) -> set[str]:
    """The paths of all routes of an application, those included that its description leaves out."""
    found: set[str] = set()
    for one in iter_route_contexts(app.routes):
        found.add(getattr(one, "path", None) or vars(one.original_route)["path"])
    return found
