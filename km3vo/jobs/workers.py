"""Carrying out jobs: a bounded number at once in each process, from the queue that all processes share."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from km3vo.database.pool import Pool
from km3vo.ending import ended
from km3vo.errors import BusyError, ConnectionLostError, FullError, Km3voError, TimeoutExceeded, UnavailableError
from km3vo.jobs import files
from km3vo.jobs.job import Job, Lane
from km3vo.jobs.queue import Queue, Share
from km3vo.jobs.runner import Outcome, Runners, Work
from km3vo.jobs.signals import Signals
from km3vo.logs import Threads, request_id, text_of
from km3vo.schedule import Schedule
from km3vo.uploads.tables import Uploads

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # progress is written, and jobs of dead processes are looked for, this often
CLEAN_SECONDS = 60.0  # jobs are destroyed and leftovers removed this often
PAUSE_SECONDS = 0.5  # before the database is tried again

T = TypeVar("T")


class Run:
    """One job while this process runs it.

    Attributes:
        work: what runs, once it is prepared.
        late: whether it has run longer than it may.
        unwanted: whether it was stopped.
        slow: whether it is stopped since it takes longer than short jobs may.
    """

    def __init__(self, job: Job, worker: int) -> None:
        self.job = job
        self.worker = worker
        self.work: Work | None = None
        self.late = False
        self.unwanted = False
        self.slow = False
        self._began = time.monotonic()
        self._task: asyncio.Task[None] | None = None

    @property
    def rows(self) -> int:
        """How many rows have been written."""
        return self.work.rows if self.work else 0

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return time.monotonic() - self._began

    def begin(self, carry_out: Callable[[Run], Awaitable[None]]) -> asyncio.Task[None]:
        """Start the task that carries it out."""
        self._task = asyncio.ensure_future(carry_out(self))
        assert self._task is not None
        return self._task

    def stop(self, *, slow: bool = False) -> None:
        """Nobody wants it any more, or it is to run among the long ones.

        To be called again until it has ended: what has not begun cannot be cancelled.
        """
        self.slow = self.slow or slow
        self.unwanted = self.unwanted or not slow
        if self.work is not None:
            self.work.cancel()
        elif self._task is not None:
            self._task.cancel()


class Workers:
    """The workers of this process: a task that takes jobs, and a look after all of them every so often."""

    def __init__(
        self,
        *,
        pool: Pool,
        signals: Signals,
        schedule: Schedule,
        uploads: Uploads,
        runners: Runners,
        home: Path,
        shares: Sequence[Share],
        short_seconds: float,
    ) -> None:
        """
        Args:
            pool: the service's own.
            runners: by kind; jobs of other kinds are left to other processes.
            home: the folder of the jobs' files.
            shares: how many jobs this process runs at once, lane by lane.
            short_seconds: after that a short job is put among the long ones.
        """
        self._queue = Queue(pool, list(runners))
        self._signals = signals
        self._uploads = uploads
        self._runners = runners
        self._home = home
        self._shares = shares
        self._short_seconds = short_seconds
        self._threads = Threads(sum(share.slots for share in shares), thread_name_prefix="job")
        self._runs: dict[int, Run] = {}
        self._wake = asyncio.Event()
        self._closing = False
        self._taking: asyncio.Task[None] | None = None
        self._cleaned = -CLEAN_SECONDS
        schedule.every(LOOK_SECONDS, "jobs", self._look_from_thread)

    async def open(self) -> None:
        """Begin to work."""
        self.loop = asyncio.get_running_loop()
        self._signals.on_phase, self._signals.on_connect = self._hear, self._wake.set
        self._wake.set()  # for what was queued before this process was there
        self._taking = asyncio.create_task(self._take(), name="jobs")

    async def close(self) -> None:
        """Stop what runs; it goes back to the queue, for another process or the next start."""
        self._closing = True
        await ended(self._taking)
        deadline = time.monotonic() + 5
        while self._runs and time.monotonic() < deadline:
            for run in list(self._runs.values()):
                await asyncio.to_thread(run.stop)
            await asyncio.sleep(0.05)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _hear(self, number: int, phase: str) -> None:
        if phase == "QUEUED":
            self._wake.set()
        elif phase in ("ABORTED", "DELETED") and (run := self._runs.get(number)):
            self.loop.run_in_executor(None, run.stop)

    # Taking jobs ------------------------------------------------------------------------------------------------------

    async def _take(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                for share in self._shares:
                    while self._running(share.lane) < share.slots and (worker := self._signals.key) is not None:
                        job = await self._queue.take(worker, share)
                        if job is None:
                            break
                        run = self._runs[job.number] = Run(job, worker)
                        run.begin(self._carry_out)
            except Km3voError as error:
                log.warning("no jobs are taken just now: %s", error)
                await self._again()
            except Exception:
                log.exception("no jobs are taken just now")
                await self._again()

    def _running(self, lane: Lane) -> int:
        return sum(run.job.lane == lane for run in self._runs.values())

    async def _again(self) -> None:
        await asyncio.sleep(PAUSE_SECONDS)
        self._wake.set()

    async def _carry_out(self, run: Run) -> None:
        job = run.job
        request_id.set(secrets.token_hex(8))  # this task has a context of its own
        try:
            try:
                outcome = await self._execute(run)
            except asyncio.CancelledError:
                raise TimeoutExceeded("the job was stopped") from None
            except OSError as error:
                log.error("the result of a job cannot be written: %s", error)
                raise UnavailableError("the service cannot write results just now; try again later") from None
            done = await self._insist(lambda: self._queue.finish(job, run.worker, outcome))
            if not done:
                await self._discard(run)
        except Km3voError as error:
            await self._failed(run, error)
        except Exception:
            log.exception("job %d failed", job.number)
            await self._failed(run, Km3voError("the service failed to run this job; please tell its contact"))
        finally:
            self._runs.pop(job.number, None)
            self._wake.set()

    async def _execute(self, run: Run) -> Outcome:
        work = await self._runners[run.job.kind].prepare(run.job)
        if run.unwanted:
            work.cancel()
        run.work = work
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._threads, work.run))

    async def _failed(self, run: Run, error: Km3voError) -> None:
        job, queue, alone = run.job, self._queue, len(self._runs) == 1
        try:
            if self._closing:
                return await queue.put_back(job, run.worker)
            if run.slow and isinstance(error, TimeoutExceeded) and not run.late and not run.unwanted:
                return await self._insist(lambda: queue.make_long(job, run.worker))
            if run.late or (isinstance(error, TimeoutExceeded) and not run.unwanted):
                text = (
                    f"the job ran longer than its execution duration of {job.seconds} seconds and was aborted; "
                    "ask for less, or for more time (EXECUTIONDURATION)"
                )
                await self._insist(lambda: queue.fail(job, run.worker, text, rows=run.rows, aborted=True))
            elif run.unwanted:
                await self._discard(run)
            elif isinstance(error, BusyError):
                await asyncio.sleep(PAUSE_SECONDS)
                await self._insist(lambda: queue.put_back(job, run.worker))
            elif isinstance(error, ConnectionLostError) and await self._insist(lambda: queue.is_gone(run.worker)):
                await self._insist(lambda: queue.crashed(job, run.worker, alone=alone))
            elif isinstance(error, UnavailableError):
                await self._insist(lambda: queue.try_again(job, run.worker, text_of(error)))
            else:
                full = isinstance(error, FullError)
                await self._insist(lambda: queue.fail(job, run.worker, text_of(error), rows=run.rows, transient=full))
        except Km3voError as broken:
            log.warning("the end of job %d could not be written: %s", job.number, broken)

    async def _insist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until the database is there."""
        while True:
            try:
                return await attempt()
            except UnavailableError:
                if self._closing:
                    raise
                await asyncio.sleep(PAUSE_SECONDS)

    async def _discard(self, run: Run) -> None:
        """Remove what a run that is not wanted any more has written."""
        if await self._queue.unknown([run.job.id]):
            await asyncio.to_thread(files.remove, self._home, run.job.id)

    # Looking after everything -----------------------------------------------------------------------------------------

    def _look_from_thread(self) -> None:
        asyncio.run_coroutine_threadsafe(self._look(), self.loop).result()

    async def _look(self) -> None:
        if self._signals.key is None:
            return
        await self._queue.recover({run.worker for run in self._runs.values()})
        await self._note_progress()
        for id in await self._queue.end_without_right():
            await asyncio.to_thread(files.remove, self._home, id)
        if time.monotonic() - self._cleaned > CLEAN_SECONDS:
            self._cleaned = time.monotonic()
            await self.clean()

    async def _note_progress(self) -> None:
        by_worker: dict[int, list[Run]] = {}
        for run in self._runs.values():
            by_worker.setdefault(run.worker, []).append(run)
        for worker, runs in by_worker.items():
            ours = await self._queue.progress(worker, {run.job.number: run.rows for run in runs})
            for run in runs:
                run.late = run.late or ours.get(run.job.number, False)
                if run.late or run.job.number not in ours:
                    await asyncio.to_thread(run.stop)
                elif run.job.lane == "short" and run.seconds > self._short_seconds:
                    await asyncio.to_thread(run.stop, slow=True)

    async def clean(self) -> None:
        """Destroy the jobs whose time has come, and remove what dead processes left behind."""
        for id in await self._queue.destroy_due():
            await asyncio.to_thread(files.remove, self._home, id)
        old = await asyncio.to_thread(files.old, self._home)
        for id in await self._queue.unknown(old):
            await asyncio.to_thread(files.remove, self._home, id)

        async def in_thread(work: Callable[..., Any], *arguments: Any) -> Any:
            return await asyncio.to_thread(work, *arguments)

        await self._uploads.sweep(self._queue.is_gone, in_thread)
