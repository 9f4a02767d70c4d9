"""Carrying out jobs: a bounded number at once in each process, from the queue that all processes share."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from km3vo.errors import FullError, Km3voError, RequestError, TimeoutExceeded, UnavailableError
from km3vo.protocols import job_files, upload
from km3vo.protocols.dali import Parameters
from km3vo.protocols.execution import Execution
from km3vo.protocols.tap_query import Wanted, read
from km3vo.protocols.upload import Reference
from km3vo.results.stream import Result
from km3vo.service import Asker, Service
from km3vo.store.jobs import Job
from km3vo.store.jobs_queue import Queue
from km3vo.store.queries import BUSY

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # progress is written, and jobs of dead processes are looked for, this often
CLEAN_SECONDS = 60.0  # jobs are destroyed and leftovers removed this often
PAUSE_SECONDS = 0.5  # before the database is tried again

T = TypeVar("T")


class Run:
    """One job while this process runs it."""

    def __init__(self, job: Job, worker: int) -> None:
        self.job = job
        self.worker = worker
        self.result: Result | None = None
        self.late = False
        self.unwanted = False
        self._execution: Execution | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def rows(self) -> int:
        """How many rows have been written."""
        return self.result.rows if self.result else 0

    def begin(self, carry_out: Callable[[Run], Awaitable[None]]) -> asyncio.Task[None]:
        """Start the task that carries it out."""
        self._task = asyncio.ensure_future(carry_out(self))
        assert self._task is not None
        return self._task

    def execute(self, execution: Execution, wanted: Wanted, running: Service) -> tuple[Path, int]:
        """Run the query and write its result to a file; for a thread. Returns the file and its size in bytes.

        Raises:
            Km3voError: it failed, at whatever row.
        """
        self._execution = execution
        try:
            if self.unwanted:
                raise TimeoutExceeded("the job was stopped")
            self.result = execution.start()
            most, take = running.settings.limits.result_bytes, running.room.take
            file, size = job_files.write(running.settings.results, self.job.id, wanted.format, self.result, most, take)
            if self.result.failed:  # some formats end such a document in good order
                file.unlink(missing_ok=True)
                raise RequestError(self.result.failed)
            return file, size
        finally:
            execution.close()

    def stop(self) -> None:
        """Nobody wants it any more. To be called again until it has ended: what has not begun cannot be cancelled."""
        self.unwanted = True
        if self._execution is not None:
            self._execution.cancel()
        elif self._task is not None:
            self._task.cancel()


class Workers:
    """The workers of this process: one task that takes jobs, one that looks after everything."""

    def __init__(self, running: Service) -> None:
        self._running = running
        self._home = running.settings.results
        self._queue = Queue(running.database)
        self._most = running.settings.limits.jobs_running
        self._threads = ThreadPoolExecutor(self._most, thread_name_prefix="job")
        self._runs: dict[int, Run] = {}
        self._wake = asyncio.Event()
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Begin to work."""
        self.loop = asyncio.get_running_loop()
        await self._queue.open()
        signals = self._running.signals
        signals.on_phase, signals.on_connect = self._hear, self._wake.set
        self._wake.set()  # for what was queued before this process was there
        self._tasks = [asyncio.create_task(self._take(), name="jobs"), asyncio.create_task(self._look(), name="look")]

    async def close(self) -> None:
        """Stop what runs; it goes back to the queue, for another process or the next start."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        deadline = time.monotonic() + 5
        while self._runs and time.monotonic() < deadline:
            for run in list(self._runs.values()):
                await asyncio.to_thread(run.stop)
            await asyncio.sleep(0.05)
        await self._queue.close()
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
                while len(self._runs) < self._most and (worker := self._running.signals.key) is not None:
                    job = await self._queue.take(worker)
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

    async def _again(self) -> None:
        await asyncio.sleep(PAUSE_SECONDS)
        self._wake.set()

    async def _carry_out(self, run: Run) -> None:
        job = run.job
        try:
            try:
                wanted, (file, size) = await self._execute(run)
            except asyncio.CancelledError:
                raise TimeoutExceeded("the job was stopped") from None
            except OSError as error:
                log.error("the result of a job cannot be written: %s", error)
                raise UnavailableError("the service cannot write results just now; try again later") from None
            result = run.result
            assert result is not None
            done = await self._insist(
                lambda: self._queue.finish(
                    job,
                    run.worker,
                    rows=result.rows,
                    overflow=result.overflow,
                    result=file.name,
                    content_type=wanted.format.content_type,
                    size=size,
                )
            )
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

    async def _execute(self, run: Run) -> tuple[Wanted, tuple[Path, int]]:
        running, job = self._running, run.job
        limits = running.settings.limits
        wanted = read(limits, Parameters(list(job.parameters)))

        async def opened(reference: Reference) -> BinaryIO:
            return await asyncio.to_thread(job_files.uploaded, self._home, job.id, reference.name)

        files = await upload.collect(wanted.uploads, limits, opened)
        who = Asker(job.audience, job.owner)
        url = f"{running.settings.base_url}/tap/async/{job.id}"
        execution = Execution(running, wanted, who, url, job.seconds, files)
        working = asyncio.get_running_loop().run_in_executor(self._threads, run.execute, execution, wanted, running)
        return wanted, await asyncio.shield(working)

    async def _failed(self, run: Run, error: Km3voError) -> None:
        job, queue = run.job, self._queue
        try:
            if self._closing:
                return await queue.put_back(job, run.worker)
            if run.late or (isinstance(error, TimeoutExceeded) and not run.unwanted):
                text = (
                    f"the job ran longer than its execution duration of {job.seconds} seconds and was aborted; "
                    "ask for less, or for more time (EXECUTIONDURATION)"
                )
                await self._insist(lambda: queue.fail(job, run.worker, text, rows=run.rows, aborted=True))
            elif run.unwanted:
                await self._discard(run)
            elif error is BUSY:
                await asyncio.sleep(PAUSE_SECONDS)
                await self._insist(lambda: queue.put_back(job, run.worker))
            elif await self._insist(lambda: queue.is_gone(run.worker)):
                # PostgreSQL was restarted under it: the job is nobody's, and is taken up again like any such.
                await self._insist(queue.recover)
            elif isinstance(error, UnavailableError):
                await self._insist(lambda: queue.try_again(job, run.worker, str(error)))
            else:
                full = isinstance(error, FullError)
                await self._insist(lambda: queue.fail(job, run.worker, str(error), rows=run.rows, transient=full))
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
            await asyncio.to_thread(job_files.remove, self._home, run.job.id)

    # Looking after everything -----------------------------------------------------------------------------------------

    async def _look(self) -> None:
        cleaned = -CLEAN_SECONDS
        while True:
            try:
                if self._running.signals.key is not None:
                    await self._queue.recover()
                    await self._note_progress()
                    if time.monotonic() - cleaned > CLEAN_SECONDS:
                        cleaned = time.monotonic()
                        await self.clean()
            except Km3voError as error:
                log.warning("jobs are not looked after just now: %s", error)
            except Exception:
                log.exception("jobs are not looked after just now")
            await asyncio.sleep(LOOK_SECONDS)

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

    async def clean(self) -> None:
        """Destroy the jobs whose time has come, and remove what dead processes left behind."""
        for id in await self._queue.destroy_due():
            await asyncio.to_thread(job_files.remove, self._home, id)
        old = await asyncio.to_thread(job_files.old, self._home)
        for id in await self._queue.unknown(old):
            await asyncio.to_thread(job_files.remove, self._home, id)

        async def in_thread(work: Callable[..., Any], *arguments: Any) -> Any:
            return await asyncio.to_thread(work, *arguments)

        await self._running.uploads.sweep(self._queue.is_gone, in_thread)
