"""The hogs, in a process of their own, so that what they take is not counted against the clients.

``python -m benchmarks.load.hogs PORT SECONDS KIND...`` prints what they met, as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from functools import cache, partial
from urllib.parse import urlencode

from benchmarks.load.asking import Asking
from benchmarks.load.clients import FORM

HEAVY = "SELECT COUNT(*) FROM icecube.ps3yr AS a, icecube.ps3yr AS b WHERE DISTANCE(a.ra, a.dec, b.ra, b.dec) > 179.99"
TABLE = b"ra,dec\n" + b"".join(b"%d.5,%d.25\n" % (n % 360, n % 80) for n in range(20_000))
SLOW_BYTES = 25_000  # twice a second
MANY_BYTES = 64_000_000


class Hogs(Asking):
    """Each kind of hog has one address, but for the two with long jobs."""

    async def run(self, chosen: list[str]) -> None:
        """The chosen kinds, until the time is over."""
        # How many connections, with which pause, and what they ask.
        kinds: dict[str, tuple[int, float, Callable[[str], Awaitable[int]]]] = {
            "long jobs": (2, 20.0, self._long_job),
            "long queries": (60, 1.0, self._long_query),
            "all-sky cones": (60, 1.0, self._all_sky),
            "slow readers": (200, 1.0, self._read_slowly),
            "uploads": (50, 1.0, self._upload),
            "packed uploads": (4, 10.0, self._packed_upload),
            "long headers": (1, 10.0, self._long_header),
            "long bodies": (1, 10.0, self._long_body),
        }
        work = []
        for place, (kind, (count, pause, once)) in enumerate(kinds.items()):
            for number in range(count if kind in chosen else 0):
                address = f"10.9.{number if kind == 'long jobs' else 0}.{place}"
                work.append(self.repeat(_called(kind), number, pause, partial(once, address)))
        with contextlib.suppress(TimeoutError):  # what is not answered by then is answered to nobody
            await asyncio.wait_for(asyncio.gather(*work), max(0.0, self.until - time.monotonic()) + 5)

    async def _long_job(self, address: str) -> int:
        form = urlencode({"LANG": "ADQL", "QUERY": HEAVY, "PHASE": "RUN"}).encode()
        return (await self.ask(_called("long jobs"), address, "/tap/async", form, FORM))[0]

    async def _long_query(self, address: str) -> int:
        asked = urlencode({"LANG": "ADQL", "QUERY": HEAVY})
        return await self.get(_called("long queries"), address, f"/tap/sync?{asked}")

    async def _all_sky(self, address: str) -> int:
        return await self.get(_called("all-sky cones"), address, "/scs/icecube/ps3yr?RA=0&DEC=0&SR=180")

    async def _upload(self, address: str) -> int:
        return await self._send("uploads", address, TABLE)

    async def _packed_upload(self, address: str) -> int:
        """Less than a megabyte that becomes 470 when it is unpacked."""
        return await self._send("packed uploads", address, packed())

    async def _send(self, kind: str, address: str, table: bytes) -> int:
        fields = {"LANG": "ADQL", "QUERY": "SELECT COUNT(*) FROM TAP_UPLOAD.t", "UPLOAD": "t,param:t"}
        parts = [f'--b\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()]
        head = "".join(parts) + '--b\r\nContent-Disposition: form-data; name="t"; filename="t.csv"\r\n\r\n'
        body = head.encode() + table + b"\r\n--b--\r\n"
        return (await self.ask(_called(kind), address, "/tap/sync", body, "multipart/form-data; boundary=b"))[0]

    async def _long_header(self, address: str) -> int:
        asked = self.ask(_called("long headers"), address, "/tap/availability", Cookie="x" * MANY_BYTES)
        return (await asked)[0]

    async def _long_body(self, address: str) -> int:
        return (await self.ask(_called("long bodies"), address, "/tap/sync", bytes(MANY_BYTES), "text/xml"))[0]

    async def _read_slowly(self, address: str) -> int:
        """Read a list of a hundred thousand rows at 50 kB/s, for as long as the time lasts."""
        asked = urlencode({"LANG": "ADQL", "QUERY": "SELECT * FROM icecube.ps3yr", "MAXREC": 100_000, "FORMAT": "csv"})
        head = f"GET /tap/sync?{asked} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {address}\r\n"
        with contextlib.suppress(OSError, TimeoutError), socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * SLOW_BYTES)
            connection.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(connection, ("127.0.0.1", self.port))
            await loop.sock_sendall(connection, f"{head}Connection: close\r\n\r\n".encode())
            status = int((await asyncio.wait_for(loop.sock_recv(connection, SLOW_BYTES), 120))[9:12] or b"0")
            while time.monotonic() < self.until and await loop.sock_recv(connection, SLOW_BYTES):
                await asyncio.sleep(0.5)
            return status
        return 0


KINDS = (
    "long jobs", "long queries", "all-sky cones", "slow readers", "uploads", "packed uploads", "long headers",
    "long bodies",
)  # fmt: skip


@cache
def packed() -> bytes:
    """Rows of zeros, packed."""
    return gzip.compress(b"a\n" + b"0\n" * 235_000_000, compresslevel=6)


def _called(kind: str) -> str:
    return f"hog: {kind}"


def main() -> None:
    """Ask, and print."""
    port, seconds, *chosen = sys.argv[1:]
    os.nice(5)  # other machines would do this work
    if "packed uploads" in chosen:
        packed()  # takes seconds
    hogs = Hogs(int(port), time.monotonic() + float(seconds))
    asyncio.run(hogs.run(chosen))
    print(json.dumps({kind: met.told() for kind, met in hogs.kinds.items()}))


if __name__ == "__main__":
    main()
