"""A process that was told to end does so, whatever still runs in it."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from km3vo.ending import ended

STUCK = """
import signal, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from km3vo import ending
ending.SERVER_SECONDS = ending.THREADS_SECONDS = 0.3
ending.AGAIN_SECONDS = 0.05
ending.ending.database = lambda: print("PostgreSQL is stopped", flush=True)
def handler(number, frame):
    if sys.argv[1] == "ends":
        ending.ending.stop_database()
        raise SystemExit(143)
signal.signal(signal.SIGTERM, handler)
ending.ending.on_signals()
ThreadPoolExecutor().submit(threading.Event().wait)
signal.raise_signal(signal.SIGTERM)
def waits_for_ever():
    threading.Event().wait()
waits_for_ever()
"""


def test_a_process_that_waits_for_ever_says_where_and_ends() -> None:
    """Whether it is its main thread that waits, or one of a pool that Python waits for at its end."""
    for how, told in (("hangs", "in waits_for_ever"), ("ends", "_python_exit")):
        done = subprocess.run([sys.executable, "-c", STUCK, how], capture_output=True, text=True, timeout=30)
        assert (done.returncode, done.stdout) == (1, "PostgreSQL is stopped\n"), done.stderr
        assert told in done.stderr and "does not end by itself" in done.stderr


def test_a_task_that_misses_a_cancellation_is_cancelled_again() -> None:
    async def misses_the_first() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(60)

    async def end() -> None:
        task = asyncio.create_task(misses_the_first())
        await asyncio.sleep(0)
        await ended(task)
        assert task.cancelled()
        await ended(None)

    asyncio.run(end())
