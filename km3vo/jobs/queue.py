"""The queue of jobs as workers see it: taking a job, and saying how it goes and how it ended."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg.rows import class_row

from km3vo.database.pool import Pool
from km3vo.jobs.job import Job, Lane
from km3vo.jobs.runner import Outcome

log = logging.getLogger(__name__)

# A job that three processes did not survive is not tried on a fourth.
ATTEMPTS = 3
# PostgreSQL goes down under a job at most so often: which of those that ran is to blame shows at the second time, since
# jobs that were interrupted run one at a time.
CRASHES = 2

# Workers of all processes take from the same queue, one at a time, so that shares are kept; a row that is locked for
# something else is stepped over. Who asks takes turns: who has the fewest running comes first, then who was last served
# longest ago; a name is another asker as another audience, as where unfinished jobs are counted. Of jobs that were
# interrupted before one runs at a time: it may be what ended the process, or PostgreSQL.
ONE_AT_A_TIME: LiteralString = "SELECT FROM km3vo.job_taking FOR UPDATE"
TAKE: LiteralString = """
WITH askers AS (
    SELECT owner, client, audience, max(taken) AS served,
        count(*) FILTER (WHERE phase = 'EXECUTING' AND lane = %(lane)s) AS running
    FROM km3vo.job WHERE phase = 'EXECUTING' OR taken > now() - interval '1 hour'
    GROUP BY owner, client, audience
)
UPDATE km3vo.job SET phase = 'EXECUTING', started = clock_timestamp(), taken = clock_timestamp(), worker = %(worker)s,
    attempts = attempts + 1, rows = 0
WHERE number = (
    SELECT number FROM km3vo.job AS waiting LEFT JOIN askers
        ON askers.owner IS NOT DISTINCT FROM waiting.owner AND askers.client IS NOT DISTINCT FROM waiting.client
            AND askers.audience = waiting.audience
    WHERE phase = 'QUEUED' AND lane = %(lane)s AND kind = ANY (%(kinds)s)
        AND (attempts = 0 OR NOT EXISTS (SELECT FROM km3vo.job WHERE phase = 'EXECUTING' AND attempts > 1))
        AND coalesce(running, 0) < CASE WHEN waiting.owner IS NULL THEN %(each_address)s ELSE %(each_user)s END
    ORDER BY coalesce(running, 0), served NULLS FIRST, queued, number FOR UPDATE OF waiting SKIP LOCKED LIMIT 1
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

MAKE_LONG: LiteralString = """
UPDATE km3vo.job SET phase = 'QUEUED', lane = 'long', worker = NULL, started = NULL, attempts = attempts - 1, rows = 0
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

IS_GONE: LiteralString = "SELECT pg_try_advisory_lock(%(worker)s) AND pg_advisory_unlock(%(worker)s)"

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

GRANT_HAS_ENDED: LiteralString = """
DELETE FROM km3vo.job
WHERE audience <> ALL (ARRAY['public', 'member']) AND km3vo.grant_has_ended(audience, started, ended)
RETURNING id
"""

TOKEN_IS_REVOKED: LiteralString = """
UPDATE km3vo.job SET phase = 'ABORTED', ended = now(), worker = NULL,
    error = 'the token with which this job was made has been revoked'
WHERE phase IN ('PENDING', 'QUEUED', 'EXECUTING')
    AND token IN (SELECT id FROM km3vo.token WHERE revoked_at IS NOT NULL)
RETURNING number
"""

KNOWN: LiteralString = "SELECT id FROM km3vo.job WHERE id = ANY (%(ids)s)"

CRASHED = (
    "the database went down while it worked on this job, so it was given up: ask for less at once, or, if it was not "
    "the job's fault, send it again"
)
INTERRUPTED = (
    f"the service was interrupted {ATTEMPTS} times while it ran this job, so it was given up: "
    "try again, or ask for less at once"
)


@dataclass(frozen=True, slots=True)
class Share:
    """What may run of a lane at once.

    Attributes:
        lane: which.
        slots: of this process.
        user, address: how many of one user, and of one address without credentials, in all processes together.
    """

    lane: Lane
    slots: int
    user: int
    address: int


EVERYTHING = Share("short", slots=1000, user=1000, address=1000)


class Queue:
    """The queue of all processes' jobs. A worker is the key of the lock that its process holds (signals.py)."""

    def __init__(self, pool: Pool, kinds: Sequence[str]) -> None:
        """
        Args:
            pool: the service's own.
            kinds: those of the jobs that are taken.
        """
        self._pool = pool
        self._kinds = list(kinds)
        self._gone: set[int] = set()

    async def take(self, worker: int, share: Share = EVERYTHING) -> Job | None:
        """The next job of a lane, which from now on is run by ``worker``; None when there is none for now."""
        parameters = {"worker": worker, "kinds": self._kinds, "lane": share.lane}
        each = {"each_user": share.user, "each_address": share.address}
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(ONE_AT_A_TIME)
            cursor = await connection.cursor(row_factory=class_row(Job)).execute(TAKE, parameters | each)
            return await cursor.fetchone()

    async def finish(self, job: Job, worker: int, outcome: Outcome) -> bool:
        """Say that a job completed. False when it is not this worker's any more."""
        done = await self._one(
            FINISH,
            number=job.number,
            worker=worker,
            rows=outcome.rows,
            overflow=outcome.overflow,
            result=outcome.file.name,
            content_type=outcome.content_type,
            size=outcome.size,
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

    async def make_long(self, job: Job, worker: int) -> None:
        """Return a job that took longer than short ones may to the queue, where it waits for the long ones."""
        await self._one(MAKE_LONG, number=job.number, worker=worker)

    async def progress(self, worker: int, rows: Mapping[int, int]) -> dict[int, bool]:
        """Write down how many rows running jobs have. Returns, by number, which are still this worker's, and whether
        they have run longer than they may."""
        parameters = {"worker": worker, "numbers": list(rows), "rows": list(rows.values())}
        ours = await self._pool.rows(PROGRESS, parameters)
        return {number: spent > seconds for number, seconds, spent in ours}

    async def recover(self, ours: Iterable[int] = ()) -> int:
        """Return the jobs of processes that are gone to the queue, or end them; says how many there were.

        A process is gone when it was at the call before, too: one that lives, and whose lock went with PostgreSQL,
        says itself what becomes of its jobs.

        Args:
            ours: workers that belong to this process, whether they have their locks or not.
        """
        gone = {worker for (worker,) in await self._pool.rows(GONE)} - set(ours)
        certain, self._gone = gone & self._gone, gone
        if not certain:
            return 0
        parameters = {"workers": list(certain), "attempts": ATTEMPTS, "error": INTERRUPTED, "number": None}
        interrupted = await self._pool.rows(RECOVER, parameters)
        if interrupted:
            log.warning("%d jobs were interrupted: %s", len(interrupted), interrupted)
        return len(interrupted)

    async def crashed(self, job: Job, worker: int, *, alone: bool) -> None:
        """Return a job to the queue under which PostgreSQL went down, or end it when it must have been the cause.

        ``alone`` says that nothing else ran, as far as is known.
        """
        attempts = 0 if alone else CRASHES
        parameters = {"workers": [worker], "attempts": attempts, "error": CRASHED, "number": job.number}
        log.warning("PostgreSQL went down under %s", await self._pool.rows(RECOVER, parameters))

    async def try_again(self, job: Job, worker: int, error: str) -> None:
        """Return a job to the queue after a failure that may pass, or end it when that happened too often."""
        parameters = {"workers": [worker], "attempts": ATTEMPTS, "error": error, "number": job.number}
        await self._pool.rows(RECOVER, parameters)

    async def is_gone(self, worker: int) -> bool:
        """Whether nobody holds a worker's lock any more."""
        ((gone,),) = await self._pool.rows(IS_GONE, {"worker": worker})
        return bool(gone)

    async def destroy_due(self) -> list[str]:
        """Remove the rows of jobs whose time has come; returns their ids, for the files."""
        return [id for (id,) in await self._pool.rows(DESTROY)]

    async def end_without_right(self) -> list[str]:
        """End the jobs whose token was revoked, and remove the rows of those that rest on a grant which has ended.

        Returns:
            The ids of those that were removed, for the files.
        """
        await self._pool.rows(TOKEN_IS_REVOKED)
        return [id for (id,) in await self._pool.rows(GRANT_HAS_ENDED)]

    async def unknown(self, ids: Sequence[str]) -> set[str]:
        """Those of ``ids`` that are no jobs."""
        known = await self._pool.rows(KNOWN, {"ids": list(ids)})
        return set(ids) - {id for (id,) in known}

    async def _one(self, statement: LiteralString, **parameters: Any) -> Job | None:
        jobs: list[Job] = await self._pool.rows(statement, parameters, row=class_row(Job))
        return jobs[0] if jobs else None
