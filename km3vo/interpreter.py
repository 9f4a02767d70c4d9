"""Who works in Python just now: of the threads that turn many rows into bytes, or files into rows, one at a time.

A process has one interpreter. Threads that want it at the same time make nothing faster, and the event loop, which
needs it for a moment at each step of each request, gets it as one of many: with six large answers on their way a cone
search took twenty-five times as long as with none (docs/operation.md). Who has little to do need not wait.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager

FREE_SECONDS = 0.005  # of the processor, before an answer counts as long


class _Seat:
    """What one thread has at a time, in the order in which they came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._queue: deque[threading.Lock] = deque()

    def take(self) -> None:
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            mine = threading.Lock()
            mine.acquire()
            self._queue.append(mine)
        mine.acquire()  # until it is handed over

    def leave(self) -> None:
        with self._lock:
            if self._queue:
                self._queue.popleft().release()
            else:
                self._taken = False


_seat = _Seat()
_here = threading.local()


@contextmanager
def working() -> Iterator[None]:
    """Work that takes the interpreter for long. Blocks while another thread does such work."""
    if _works_here():
        yield
        return
    _seat.take()
    _here.works = True
    try:
        yield
    finally:
        _here.works = False
        _seat.leave()


@contextmanager
def waiting() -> Iterator[None]:
    """A part of such work in which this thread waits for something else: others may work meanwhile."""
    if not _works_here():
        yield
        return
    _here.works = False
    _seat.leave()
    try:
        yield
    finally:
        _seat.take()
        _here.works = True


def one_at_a_time(chunks: Iterable[bytes]) -> Generator[bytes, None, None]:
    """The chunks of an answer; a long one is made while no other is. What is done with a chunk does not count."""
    began = time.thread_time()
    source = iter(chunks)
    for chunk in source:
        yield chunk
        if time.thread_time() - began > FREE_SECONDS:
            break
    else:
        return
    with working():
        for chunk in source:
            with waiting():
                yield chunk


def _works_here() -> bool:
    return getattr(_here, "works", False)
