"""A process of the service that was told to end does so, whatever still runs in it.

Each step of an orderly end has a limit of its own. Should one be missing, or a thread wait for a database that answers
nothing any more (Python waits for the threads of its pools without a limit), the process says what it waited for and
goes. Nothing is lost by that: jobs go back to the queue as after a kill, and the database is stopped in order before.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

SERVER_SECONDS = 30.0  # from the signal until the server has ended
DATABASE_SECONDS = 75.0  # until PostgreSQL has, which is stopped at once where it cannot in order (cluster/embedded.py)
THREADS_SECONDS = 5.0  # until the threads that are left have
AGAIN_SECONDS = 0.5


class Ending:
    """The end of a process: what it still has to do, and until when.

    Attributes:
        database: stops PostgreSQL, where this process is to do so.
    """

    def __init__(self) -> None:
        self.database: Callable[[], object] | None = None
        self._until = 0.0
        self._stopping = False
        self._begun = threading.Lock()

    def begin(self) -> None:
        """The process has been told to end. Safe to call again, and in a handler of a signal."""
        if self._begun.acquire(blocking=False):
            self._until = time.monotonic() + SERVER_SECONDS
            threading.Thread(target=self._watch, name="ending", daemon=True).start()

    def stop_database(self) -> None:
        """Stop PostgreSQL, since the server has ended; then the process has a moment for what is left."""
        self._until, self._stopping = time.monotonic() + DATABASE_SECONDS, True
        try:
            if self.database is not None:
                self.database()
        finally:
            self._until = time.monotonic() + THREADS_SECONDS

    def on_signals(self) -> None:
        """Have the present handlers of SIGTERM and SIGINT begin the end, too; outside the main thread, do nothing."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                if callable(handler := signal.getsignal(number)):
                    signal.signal(number, self._beginning(handler))

    def _beginning(self, handler: Callable[[int, Any], Any]) -> Callable[[int, Any], None]:
        def begin(number: int, frame: Any) -> None:
            self.begin()
            handler(number, frame)

        return begin

    def _watch(self) -> None:
        while (left := self._until - time.monotonic()) > 0:
            time.sleep(min(left, AGAIN_SECONDS))
        log.critical("the process does not end by itself, and is ended: where its threads are is written below")
        faulthandler.dump_traceback(sys.__stderr__ or 2, all_threads=True)
        if not self._stopping:
            stopping = threading.Thread(target=self.stop_database, name="PostgreSQL", daemon=True)
            stopping.start()
            stopping.join(DATABASE_SECONDS)
        os._exit(1)


async def ended(task: asyncio.Task[Any] | None, seconds: float = 5.0) -> None:
    """End a task, within so many seconds.

    To cancel it once is not enough: one that is just being given what it waited for may miss it, in `asyncio.wait_for`
    of Python 3.11 and in the pools of psycopg, and would wait for ever.
    """
    until = time.monotonic() + seconds
    while task is not None and not task.done() and time.monotonic() < until:
        task.cancel()
        await asyncio.wait([task], timeout=AGAIN_SECONDS)


ending = Ending()
