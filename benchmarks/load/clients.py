"""The three hundred: cones, short queries, trivial jobs, pages and metadata, each from an address of its own."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable
from urllib.parse import urlencode

from benchmarks.load.asking import Asking

COUNT = 300
SHORT = "SELECT TOP 100 ra, dec FROM icecube.ps3yr WHERE mjd > {mjd}"
FORM = "application/x-www-form-urlencoded"
FLOOR = "floor: hello"


class Clients(Asking):
    """All of them; ``slower`` makes their pauses longer, for a machine that cannot carry them at the usual rate."""

    def __init__(self, port: int, floor: int, until: float, slower: float) -> None:
        super().__init__(port, until)
        self._floor = floor
        self._slower = slower

    async def run(self) -> None:
        """Ask until the time is over."""
        await asyncio.gather(*(self._client(number) for number in range(COUNT)), self.lag())

    def _client(self, number: int) -> Awaitable[None]:
        address = f"10.1.{number // 250}.{number % 250}"

        async def cone() -> int:
            ra, dec = random.uniform(0, 360), random.uniform(-80, 80)
            return await self.get("cone", address, f"/scs/icecube/ps3yr?RA={ra:.3f}&DEC={dec:.3f}&SR=1")

        async def short() -> int:
            query = SHORT.format(mjd=random.randint(55000, 56000))
            return await self.get("short TAP", address, "/tap/sync?" + urlencode({"LANG": "ADQL", "QUERY": query}))

        async def available() -> int:
            status = await self.get("availability", address, "/tap/availability")
            began = time.monotonic()
            said, _ = await self.ask(FLOOR, address, "/", port=self._floor)
            self.kinds[FLOOR].note(number, said, time.monotonic() - began)
            return status

        async def metadata() -> int:
            return await self.get("metadata", address, "/tap/tables")

        async def page() -> int:
            return await self.get("page", address, "/browse/icecube/ps3yr")

        async def job() -> int:
            return await self._job(address, number)

        place = number % 30
        kind, pause, once = (
            ("cone", 5.0, cone)
            if place < 20
            else ("short TAP", 5.0, short)
            if place < 25
            else (
                ("availability", 1.0, available),
                ("metadata", 5.0, metadata),
                ("page", 5.0, page),
                ("job", 10.0, job),
                ("job", 10.0, job),
            )[place - 25]
        )
        return self.repeat(kind, number, pause * self._slower, once)

    async def _job(self, address: str, number: int) -> int:
        """A trivial job, from its making to its end."""
        began = time.monotonic()
        query = SHORT.format(mjd=55000 + number)
        form = urlencode({"LANG": "ADQL", "QUERY": query, "PHASE": "RUN"}).encode()
        status, answer = await self.ask("job", address, "/tap/async", form, FORM)
        if status != 303:
            return status
        id = answer.lower().partition(b"location: ")[2].split(b"\r\n")[0].rpartition(b"/")[2].decode()
        started = False
        while True:
            status, document = await self.ask("job", address, f"/tap/async/{id}?WAIT=20")
            if status != 200:
                return status
            phase = document.partition(b"<uws:phase>")[2].partition(b"<")[0]
            if phase != b"QUEUED" and not started:
                started = True
                self.kinds["job starts"].note(number, 200, time.monotonic() - began)
            if phase not in (b"QUEUED", b"EXECUTING"):
                self.kinds["job ends"].note(number, 200 if phase == b"COMPLETED" else 500, time.monotonic() - began)
                return 200
