"""Blocking work behind an answer: done in a thread, and stopped when nobody waits for it any more."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, Protocol, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from km3vo import interpreter
from km3vo.database.turns import Turn, Turns
from km3vo.errors import UnavailableError
from km3vo.identity.user import User
from km3vo.protocols.http.addresses import client_network
from km3vo.service import Service

FEW_ROWS = 1000  # written in about a millisecond: not worth a thread

T = TypeVar("T")


async def in_thread(running: Service, work: Callable[..., T], *arguments: Any) -> T:
    """Do blocking work in one of the service's threads."""
    return await asyncio.get_running_loop().run_in_executor(running.threads, functools.partial(work, *arguments))


async def soon(running: Service, rows: int, work: Callable[[], T]) -> T:
    """What ``work`` makes of so many rows: many are written in a thread."""
    return work() if rows <= FEW_ROWS else await in_thread(running, _alone, work)


def _alone(work: Callable[[], T]) -> T:
    with interpreter.working():
        return work()


async def turn_of(request: Request, turns: Turns, user: User) -> Turn:
    """A turn for whoever asks, to be ended when the answer is written.

    Raises:
        BusyError: there is none for them now.
        UnavailableError: the client has gone.
    """
    return await while_there(request, turns.take(client_of(request, user)))


def client_of(request: Request, user: User) -> str:
    """Whose share of the turns a request takes; a name may look like an address."""
    return f"as {user.name}" if user.name is not None else f"from {client_network(request)}"


class Moving(Protocol):
    """A query that runs and can become long work (`RowStream`, `Execution`)."""

    def make_long(self) -> None:
        """Go on with a low priority."""

    def cancel(self, *, crowded: bool = False) -> None:
        """Stop it, as there is no room for long work."""


def moving(turn: Turn, long: Turns, query: Callable[[], Moving | None]) -> Callable[[], None]:
    """What to call, from any thread, when short work has become long: it gets one of those turns, or is stopped."""
    loop = asyncio.get_running_loop()

    def decide() -> None:
        if (found := query()) is not None:
            moved = turn.move(long)
            loop.run_in_executor(None, found.make_long if moved else functools.partial(found.cancel, crowded=True))

    def tell() -> None:
        with contextlib.suppress(RuntimeError):  # the event loop has ended
            loop.call_soon_threadsafe(decide)

    return tell


async def unless_gone(request: Request, threads: Executor, work: Callable[[], T], cancel: Callable[[], None]) -> T:
    """Do blocking work in a thread, and cancel it should the client go away meanwhile.

    Raises whatever the work raises.
    """
    loop = asyncio.get_running_loop()
    working, leaving = loop.run_in_executor(threads, work), asyncio.create_task(gone(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        while not working.done():
            # Again and again: what has not begun yet cannot be cancelled.
            await run_in_threadpool(cancel)
            await asyncio.wait((working,), timeout=0.5)
        return working.result()
    except asyncio.CancelledError:
        await run_in_threadpool(cancel)
        raise
    finally:
        leaving.cancel()


async def while_there(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The outcome of a coroutine, which is cancelled should the client go away meanwhile.

    Raises:
        UnavailableError: the client has gone.

    And whatever the work raises.
    """
    working, leaving = asyncio.create_task(work), asyncio.create_task(gone(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise UnavailableError("nobody waits for this answer any more")
        return working.result()
    finally:
        leaving.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait((working,))


async def gone(request: Request) -> None:
    """Returns when the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
