"""The queue of jobs as workers see it: taking a job, and saying how it goes and how it ended."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

from km3vo.store.database import SERVICE, Database
from km3vo.store.jobs import Job, execute, pool

log = logging.getLogger(__name__)

# A job that three processes did not survive is not tried on a fourth.
ATTEMPTS = 3

# Workers of all processes take from the same queue; whoever is first locks the row, the others step over it.
TAKE: LiteralString = """
UPDATE km3vo.job SET phase = 'EXECUTING', started = now(), worker = %(worker)s, attempts = attempts + 1, rows = 0
WHERE number = (
    SELECT number FROM km3vo.job WHERE phase = 'QUEUED' ORDER BY queued, number FOR UPDATE SKIP LOCKED LIMIT 1
) RETURNING *
"""

# Only who runs the job may say how it ended: the worker's key makes sure that it is still the same run.
FINISH: LiteralString = """
UPDATE km3vo.job SET phase = 'COMPLETED', ended = now(), worker = NULL, rows = %(rows)s, overflow = %(overflow)s,
    result = %(result)s, content_type = %(content_type)s, size = %(size)s
WHERE number = %(number)s AND worker = %(worker)s RETURNING *
"""

FAIL: LiteralString = """
UPDATE km3vo.job SET phase = %(phase)s, ended = now(), worker = NULL, rows = %(rows)s, error = %(error)s,
    transient = %(transient)s
WHERE number = %(number)s AND worker = %(worker)s RETURNING *
"""

PUT_BACK: LiteralString = """
UPDATE km3vo.job SET phase = 'QUEUED', worker = NULL, started = NULL, attempts = attempts - 1, rows = 0
WHERE number = %(number)s AND worker = %(worker)s RETURNING *
"""

PROGRESS: LiteralString = """
UPDATE km3vo.job AS job SET rows = now.rows
FROM unnest(%(numbers)s::bigint[], %(rows)s::bigint[]) AS now (number, rows)
WHERE job.number = now.number AND job.worker = %(worker)s
RETURNING job.number, job.seconds, extract(epoch FROM now() - job.started)::float8
"""

# The process of a job is gone when its lock can be had. (The lock is given back at once.)
GONE: LiteralString = """
SELECT worker FROM (
    SELECT worker, pg_try_advisory_lock(worker) AS gone
    FROM (SELECT DISTINCT worker FROM km3vo.job WHERE phase = 'EXECUTING' OFFSET 0) AS busy OFFSET 0
) AS workers
WHERE gone AND pg_advisory_unlock(worker)
"""

RECOVER: LiteralString = """
UPDATE km3vo.job SET worker = NULL, rows = 0,
    phase = CASE WHEN attempts < %(attempts)s THEN 'QUEUED' ELSE 'ERROR' END,
    started = CASE WHEN attempts < %(attempts)s THEN NULL ELSE started END,
    ended = CASE WHEN attempts < %(attempts)s THEN NULL ELSE now() END,
    error = CASE WHEN attempts < %(attempts)s THEN NULL ELSE %(error)s END,
    transient = attempts >= %(attempts)s
WHERE phase = 'EXECUTING' AND worker = ANY (%(workers)s) AND (%(number)s::bigint IS NULL OR number = %(number)s)
RETURNING number, phase
"""

DESTROY: LiteralString = "DELETE FROM km3vo.job WHERE destruction <= now() RETURNING id"

KNOWN: LiteralString = "SELECT id FROM km3vo.job WHERE id = ANY (%(ids)s)"

INTERRUPTED = (
    f"the service was interrupted {ATTEMPTS} times while it ran this job, so it was given up: "
    "try again, or ask for less at once"
)


class Queue:
    """The queue of all processes' jobs. A worker is the key of the lock that its process holds (jobs_signals.py)."""

    def __init__(self, database: Database) -> None:
        # Nothing that a worker writes need survive a crash of the database: a job whose end got lost is run again.
        self._pool = pool(database.conninfo(SERVICE, options="-c synchronous_commit=off"), 2)

    async def open(self) -> None:
        """Open the connections."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def take(self, worker: int) -> Job | None:
        """The next job of the queue, which from now on is run by ``worker``; None when there is none."""
        return await self._one(TAKE, worker=worker)

    async def finish(
        self, job: Job, worker: int, *, rows: int, overflow: bool, result: str, content_type: str, size: int
    ) -> bool:
        """Say that a job completed. False when it is not this worker's any more."""
        done = await self._one(
            FINISH,
            number=job.number,
            worker=worker,
            rows=rows,
            overflow=overflow,
            result=result,
            content_type=content_type,
            size=size,
        )
        return done is not None

    async def fail(
        self, job: Job, worker: int, error: str, *, rows: int, transient: bool = False, aborted: bool = False
    ) -> bool:
        """Say that a job failed, or that it was stopped at its time limit. False when it is not this worker's."""
        phase = "ABORTED" if aborted else "ERROR"
        done = await self._one(
            FAIL, number=job.number, worker=worker, phase=phase, error=error, rows=rows, transient=transient
        )
        return done is not None

    async def put_back(self, job: Job, worker: int) -> None:
        """Return a job to the queue as if it had not been taken."""
        await self._one(PUT_BACK, number=job.number, worker=worker)

    async def progress(self, worker: int, rows: Mapping[int, int]) -> dict[int, bool]:
        """Write down how many rows running jobs have. Returns, by number, which are still this worker's, and whether
        they have run longer than they may."""
        found = await execute(
            self._pool,
            PROGRESS,
            {"worker": worker, "numbers": list(rows), "rows": list(rows.values())},
            as_jobs=False,
        )
        return {number: spent > seconds for number, seconds, spent in found}

    async def recover(self) -> int:
        """Return the jobs of processes that are gone to the queue, or end them; says how many there were."""
        gone = [worker for (worker,) in await execute(self._pool, GONE, {}, as_jobs=False)]
        if not gone:
            return 0
        parameters = {"workers": gone, "attempts": ATTEMPTS, "error": INTERRUPTED, "number": None}
        found = await execute(self._pool, RECOVER, parameters, as_jobs=False)
        if found:
            log.warning("%d jobs were interrupted: %s", len(found), found)
        return len(found)

    async def try_again(self, job: Job, worker: int, error: str) -> None:
        """Return a job to the queue after a failure that may pass, or end it when that happened too often."""
        parameters = {"workers": [worker], "attempts": ATTEMPTS, "error": error, "number": job.number}
        await execute(self._pool, RECOVER, parameters, as_jobs=False)

    async def is_gone(self, worker: int) -> bool:
        """Whether nobody holds a worker's lock any more."""
        statement: LiteralString = "SELECT pg_try_advisory_lock(%(worker)s) AND pg_advisory_unlock(%(worker)s)"
        ((gone,),) = await execute(self._pool, statement, {"worker": worker}, as_jobs=False)
        return bool(gone)

    async def destroy_due(self) -> list[str]:
        """Remove the rows of jobs whose time has come; returns their ids, for the files."""
        return [id for (id,) in await execute(self._pool, DESTROY, {}, as_jobs=False)]

    async def unknown(self, ids: Sequence[str]) -> set[str]:
        """Those of ``ids`` that are no jobs."""
        found = await execute(self._pool, KNOWN, {"ids": list(ids)}, as_jobs=False)
        return set(ids) - {id for (id,) in found}

    async def _one(self, statement: LiteralString, **parameters: Any) -> Job | None:
        found: list[Job] = await execute(self._pool, statement, parameters)
        return found[0] if found else None
