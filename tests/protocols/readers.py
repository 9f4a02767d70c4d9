"""Clients that ask for much and read little of it, and what PostgreSQL does meanwhile."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

from km3vo.database.logins import Database
from tests.support.server import Server

MANY = "SELECT a.id, a.mjd, b.ra FROM icecube.ps3yr AS a, icecube.ps3yr AS b"  # 4 million rows
# Half a million rows at once, and then minutes without any.
STALLING = (
    "SELECT TOP 500000 a.id, a.mjd, b.ra FROM icecube.ps3yr AS a, icecube.ps3yr AS b UNION ALL "
    "SELECT a.id, b.mjd, c.ra FROM icecube.ps3yr AS a, icecube.ps3yr AS b, icecube.ps3yr AS c WHERE a.ra + b.ra < -c.ra"
)


def running(database: Database) -> int:
    """How many of the queries above PostgreSQL is working on: ADBC reads by COPY."""
    with database.connect() as admin:
        (count,) = admin.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = 'km3vo_public' AND state <> 'idle' "
            "AND query LIKE 'COPY%ps3yr%ps3yr%' AND datname = current_database() AND backend_type = 'client backend'"
        ).fetchone() or (0,)
    return int(count)


def eventually(true: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether something becomes true."""
    until = time.monotonic() + seconds
    while not (done := true()) and time.monotonic() < until:
        time.sleep(0.05)
    return done


def begin(server: Server, query: str, **parameters: object) -> socket.socket:
    """Ask, read the first bytes of the answer, and leave the rest where it is."""
    parts = urlsplit(server.tap)
    client = socket.create_connection((parts.hostname, parts.port))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    asked = urlencode({"LANG": "ADQL", "QUERY": query, "MAXREC": "4000000", **parameters})
    client.sendall(f"GET {parts.path}/sync?{asked} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert client.recv(1000).startswith(b"HTTP/1.1 200")
    return client
