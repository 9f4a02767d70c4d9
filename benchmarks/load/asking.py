"""Asking again and again, and what was met."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Kind:
    """What one kind of client met.

    Attributes:
        seconds: that each answer took, of those with status 200 or 303.
        statuses: how often each was answered; 0 for a connection that broke.
        answered: how many, by client.
        without: answers with 503 that did not say when to come again.
    """

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    answered: Counter[int] = field(default_factory=Counter)
    without: int = 0

    def note(self, client: int, status: int, seconds: float) -> None:
        """One more answer."""
        self.statuses[status] += 1
        if status in (200, 303):
            self.seconds.append(seconds)
            self.answered[client] += 1

    def quantile(self, part: float) -> float:
        """The seconds within which that part of the answers came."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else float("nan")

    def told(self) -> dict[str, Any]:
        """What another process is told (JSON)."""
        return {"seconds": self.seconds, "statuses": self.statuses, "without": self.without}

    @classmethod
    def heard(cls, told: dict[str, Any]) -> Kind:
        """What another process told."""
        statuses = Counter({int(status): count for status, count in told["statuses"].items()})
        return cls(told["seconds"], statuses, without=told["without"])


class Asking:
    """Clients of one process, and what they met.

    Attributes:
        port: of the service.
        until: when they stop, by the monotonic clock.
        kinds: what each kind of them met.
    """

    def __init__(self, port: int, until: float) -> None:
        self.port = port
        self.until = until
        self.kinds: defaultdict[str, Kind] = defaultdict(Kind)

    async def ask(
        self, kind: str, address: str, target: str, body: bytes = b"", media: str = "", *, port: int = 0, **more: str
    ) -> tuple[int, bytes]:
        """One request over a connection of its own; status and the whole answer, 0 when the connection broke."""
        told = {"Host": "localhost", "X-Forwarded-For": address, "Connection": "close", **more}
        if body:
            told |= {"Content-Length": str(len(body)), "Content-Type": media}
        head = f"{'POST' if body else 'GET'} {target} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in told.items())
        writer = None
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port or self.port)
            writer.write(head.encode() + b"\r\n" + body)
            answer = await asyncio.wait_for(reader.read(), 120)
        except (OSError, TimeoutError):
            return 0, b""
        finally:
            if writer is not None:
                writer.close()
        status = int(answer[9:12] or b"0")
        if status == 503 and b"\r\nretry-after:" not in answer.partition(b"\r\n\r\n")[0].lower():
            self.kinds[kind].without += 1
        return status, answer

    async def get(self, kind: str, address: str, target: str) -> int:
        """The status of an answer."""
        return (await self.ask(kind, address, target))[0]

    async def repeat(self, kind: str, client: int, pause: float, once: Callable[[], Awaitable[int]]) -> None:
        """Do something again and again until the time is over, and note how long it took."""
        await asyncio.sleep(random.uniform(0, pause))
        while time.monotonic() < self.until:
            began = time.monotonic()
            status = await once()
            self.kinds[kind].note(client, status, time.monotonic() - began)
            left = max(0.0, self.until - time.monotonic())
            await asyncio.sleep(min(left, random.uniform(0.5, 1.5) * pause))

    async def lag(self) -> None:
        """How late this process itself is, which counts in everything that it measures."""
        while time.monotonic() < self.until:
            began = time.monotonic()
            await asyncio.sleep(0.05)
            self.kinds[LAG].note(0, 200, time.monotonic() - began - 0.05)


LAG = "the clients themselves"
