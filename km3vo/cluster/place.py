"""Where the database is: on the server that the settings name, or in the embedded cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from km3vo.cluster.embedded import Cluster
from km3vo.database.logins import Database, read_passwords
from km3vo.settings import Settings


def find_database(settings: Settings) -> Database:
    """The database that the settings name: a server's, or the embedded cluster's."""
    admin = settings.database_url or Cluster(settings.home / "cluster").conninfo()
    return Database(admin, read_passwords(settings.home))


@contextmanager
def running(settings: Settings) -> Iterator[None]:
    """The embedded cluster running meanwhile, unless the settings name a server."""
    if settings.database_url:
        yield
        return
    with Cluster(settings.home / "cluster", connections=settings.connections).kept():
        yield
