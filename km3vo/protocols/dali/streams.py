"""Answers whose bytes are written in a thread and sent as the client takes them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from typing import Protocol

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from km3vo.database.turns import Turn
from km3vo.interpreter import one_at_a_time
from km3vo.protocols.http.compression import gzip, wants_gzip
from km3vo.results.backlog import PIECE_BYTES, Backlog
from km3vo.service import Service


class Query(Protocol):
    """What stands behind a stream of bytes: stopped from any thread, closed by the thread that reads it."""

    def cancel(self) -> None:
        """Stop it; whoever reads it gets an error."""

    def close(self) -> None:
        """Let go of all that it holds."""


class ByteStream(Response):
    """Bytes from a blocking iterator, written by one thread of its own and sent as the client takes them.

    A plain generator in Starlette's StreamingResponse leaks the query when the client goes away, and hops between
    threads for each chunk. Here one thread writes all, as fast as the database gives it; what the client has not taken
    waits in a backlog, and the connection to the database is free. The thread stops within a chunk when the client
    leaves, or when it takes nothing for ``idle`` seconds.
    """

    def __init__(
        self,
        running: Service,
        chunks: Iterator[bytes],
        query: Query,
        turn: Turn,
        content_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(headers=dict(headers or {}))
        self.headers["content-type"] = content_type
        del self.headers["content-length"]
        self._service = running
        self._chunks = chunks
        self._query = query
        self._turn = turn
        self._idle = running.settings.limits.idle_client_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if wants_gzip(scope):
            self._chunks = gzip(self._chunks)
            self.headers["content-encoding"] = "gzip"
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        end: list[BaseException | None] = []

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the event loop has ended
                loop.call_soon_threadsafe(changed.set)

        backlog = Backlog(self._service.answers_quota, self._turn.client, self._idle, tell)

        def write() -> None:
            error: BaseException | None = None
            try:
                for chunk in one_at_a_time(self._chunks):
                    if chunk and not backlog.put(chunk):
                        break
            except BaseException as failed:
                error = failed
            finally:
                end.append(error)
                backlog.end()
                # Only now: the client need not wait while uploaded tables are dropped.
                self._query.close()
                self._turn.end()

        async def forward() -> None:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            while True:
                changed.clear()
                ended = bool(end)  # before the look: what comes after the last piece is nothing
                piece = await run_in_threadpool(backlog.take) if backlog.on_disk else backlog.take()
                if not piece:
                    if ended:
                        break
                    await changed.wait()
                for place in range(0, len(piece), PIECE_BYTES):
                    part = piece if len(piece) <= PIECE_BYTES else memoryview(piece)[place : place + PIECE_BYTES]
                    async with asyncio.timeout(self._idle):
                        await send({"type": "http.response.body", "body": part, "more_body": True})
            if end[0] is not None:
                raise end[0]  # the connection is cut: a truncated answer must not look complete
            await send({"type": "http.response.body", "body": b""})

        async def listen() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        writer = loop.run_in_executor(self._service.writers, write)
        sending, listening = asyncio.create_task(forward()), asyncio.create_task(listen())
        try:
            await asyncio.wait((sending, listening), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            backlog.close()
            if not end:
                # Stop the query at once: the writing thread may be waiting for its next batch.
                await run_in_threadpool(self._query.cancel)
            for task in (sending, listening):
                task.cancel()
            await asyncio.wait((sending, listening, asyncio.ensure_future(writer)), timeout=5)
