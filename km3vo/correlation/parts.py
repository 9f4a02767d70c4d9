"""Work in parts: several threads, progress between parts, and an end when whoever asked has gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

Result = TypeVar("Result")
# Told (done, of how many) between parts; what it raises ends the work.
Progress = Callable[[int, int], None]


def silent(done: int, total: int) -> None:
    """For whoever does not watch."""


def in_parts(
    work: Callable[[int], Result], parts: int, threads: int = 1, progress: Progress = silent
) -> Iterator[tuple[int, Result]]:
    """Do ``work(0)`` … ``work(parts - 1)`` and yield (part, result) as they finish, in whatever order.

    Only a few parts more than there are threads are under way, so memory does not grow with their number.
    """
    progress(0, parts)
    if threads <= 1:
        for part in range(parts):
            yield part, work(part)
            progress(part + 1, parts)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: dict[Future[Result], int] = {}
        following, done = 0, 0
        try:
            while done < parts:
                while following < parts and len(waiting) < 2 * threads:
                    waiting[pool.submit(work, following)] = following
                    following += 1
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    part = waiting.pop(future)
                    done += 1
                    yield part, future.result()
                    progress(done, parts)
        finally:
            for future in waiting:
                future.cancel()
