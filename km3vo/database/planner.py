"""How long a query is going to take, as PostgreSQL's planner sees it, so that short work need not wait for long work.

The planner estimates from statistics. Those of the public relations know of public rows only, so what is said to the
public follows from what it may read; members' are of all rows, and stay inside. Of observers' queries nothing is asked:
they read a part of the rows, and the statistics of the whole would decide how they are treated.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections import OrderedDict
from hashlib import sha256

from km3vo.database.pool import Pool
from km3vo.errors import Km3voError, TimeoutExceeded

CONNECTIONS = 2
WAIT_SECONDS = 0.2  # for a connection; a query that nobody has looked at counts as short until it outlives that
PLAN_SECONDS = 1  # what takes longer to plan takes longer to run
# Measured on two cores (docs/operation.md): scans and joins of two million in cost take five seconds, and a row on its
# way to a client five microseconds.
SECONDS_PER_COST = 2.5e-6
SECONDS_PER_ROW = 5e-6
REMEMBERED = 4096
REMEMBERED_SECONDS = 600.0

_TOTAL = re.compile(r"cost=[0-9.]+\.\.([0-9.]+) rows=([0-9]+)")


class Planner:
    """Asks the planner as one login, over connections of its own."""

    def __init__(self, conninfo: str) -> None:
        self._pool = Pool(conninfo, size=CONNECTIONS, least=0, seconds=WAIT_SECONDS)
        self._opening: asyncio.Task[None] | None = None
        self._known: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def seconds(self, statement: str, wait: float | None = None) -> float | None:
        """How many seconds a statement takes; infinity when planning alone does, None when nobody knows just now.

        Args:
            statement: in SQL.
            wait: how many seconds for a connection to ask by; a moment unless given.
        """
        key = sha256(statement.encode(errors="replace")).digest()
        now = time.monotonic()
        known = self._known.get(key)
        if known is not None and now - known[0] < REMEMBERED_SECONDS:
            return known[1]
        estimate = await self._ask(statement, wait)
        if estimate is not None:
            self._known[key] = now, estimate
            self._known.move_to_end(key)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return estimate

    async def _ask(self, statement: str, wait: float | None) -> float | None:
        if self._opening is None:
            self._opening = asyncio.create_task(self._pool.open())
        await self._opening
        try:
            rows = await self._pool.rows(b"EXPLAIN " + statement.encode(), None, prepare=False, wait=wait)
        except TimeoutExceeded:
            return math.inf
        except (Km3voError, UnicodeEncodeError):
            return None  # whoever runs it will say what is wrong
        found = _TOTAL.search(rows[0][0])
        return float(found[1]) * SECONDS_PER_COST + int(found[2]) * SECONDS_PER_ROW if found else None
