"""Asynchronous jobs in the database: a job is one row, and its phase is the only truth about it (UWS 1.1).

Every change of phase is one conditional UPDATE, so that two who want different things cannot both have them; a trigger
tells whoever waits (jobs_signals.py). A job that runs names its process by the key of an advisory lock which that
process holds. When the process dies, PostgreSQL gives the lock back, and anybody who can take it knows that the job
has nobody any more: no leases, no clocks, and no heartbeat.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, LiteralString

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Json
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from km3vo.store import failures
from km3vo.store.database import SERVICE, Database
from km3vo.store.embargo import Audience
from km3vo.store.queries import BUSY

log = logging.getLogger(__name__)

Phase = Literal["PENDING", "QUEUED", "EXECUTING", "COMPLETED", "ERROR", "ABORTED"]
ACTIVE: tuple[Phase, ...] = ("PENDING", "QUEUED", "EXECUTING")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as its row says.

    Attributes:
        number: in order of creation; internal, since it can be guessed.
        id: what the job is called in URLs.
        audience: as whom its query runs.
        owner: who made it, or None for an anonymous job.
        client: where an anonymous job came from, or None.
        parameters: (NAME, value) as given.
        seconds: how long it may run.
        created, queued, started, ended, destruction: times with zone.
        worker, attempts: who runs it, and how often somebody began to.
        rows: of the result, so far.
        overflow: whether the result was truncated.
        result, content_type, size: file name, media type and bytes of the result of a completed job.
        error: what went wrong, or None; ``transient`` when it may go better another time.
    """

    number: int
    id: str
    audience: Audience
    owner: str | None
    client: str | None
    phase: Phase
    parameters: Sequence[tuple[str, str]]
    seconds: int
    created: datetime
    queued: datetime | None
    started: datetime | None
    ended: datetime | None
    destruction: datetime
    worker: int | None
    attempts: int
    rows: int
    overflow: bool
    result: str | None
    content_type: str | None
    size: int | None
    error: str | None
    transient: bool

    @property
    def active(self) -> bool:
        """Whether its phase may still change."""
        return self.phase in ACTIVE


CREATE: LiteralString = """
INSERT INTO km3vo.job (id, audience, owner, client, phase, queued, parameters, seconds, destruction)
SELECT %(id)s, %(audience)s, %(owner)s::text, %(client)s::text, %(phase)s,
       CASE WHEN %(phase)s = 'QUEUED' THEN now() END, %(parameters)s, %(seconds)s, now() + %(days)s * interval '1 day'
WHERE (SELECT count(*) FROM km3vo.job
       WHERE (owner = %(owner)s OR client = %(client)s) AND phase IN ('PENDING', 'QUEUED', 'EXECUTING')) < %(most)s
ON CONFLICT (id) DO UPDATE SET id = excluded.id  -- sent again after a broken connection
RETURNING *
"""

FIND: LiteralString = "SELECT * FROM km3vo.job WHERE id = %(id)s"

LIST: LiteralString = """
SELECT * FROM km3vo.job
WHERE owner = %(owner)s AND (%(phases)s::text[] IS NULL OR phase = ANY (%(phases)s))
  AND (%(after)s::timestamptz IS NULL OR created > %(after)s)
ORDER BY created DESC, number DESC LIMIT %(last)s
"""

RUN: LiteralString = """
UPDATE km3vo.job SET phase = 'QUEUED', queued = now() WHERE id = %(id)s AND phase = 'PENDING' RETURNING *
"""

ABORT: LiteralString = """
UPDATE km3vo.job SET phase = 'ABORTED', ended = now(), worker = NULL, error = %(error)s
WHERE id = %(id)s AND phase IN ('PENDING', 'QUEUED', 'EXECUTING') RETURNING *
"""

SET_PARAMETERS: LiteralString = """
UPDATE km3vo.job SET parameters = %(parameters)s WHERE id = %(id)s AND phase = 'PENDING' RETURNING *
"""

SET_SECONDS: LiteralString = """
UPDATE km3vo.job SET seconds = %(seconds)s WHERE id = %(id)s AND phase IN ('PENDING', 'QUEUED') RETURNING *
"""

SET_DESTRUCTION: LiteralString = """
UPDATE km3vo.job SET destruction = least(%(destruction)s, created + %(days)s * interval '1 day')
WHERE id = %(id)s RETURNING *
"""

DELETE: LiteralString = "DELETE FROM km3vo.job WHERE id = %(id)s RETURNING *"


class Jobs:
    """The jobs of all processes, as clients see them.

    What changes a job returns it, or None when it is not there or not in a phase for that.
    """

    def __init__(self, database: Database) -> None:
        # What a client was told must survive a crash of the database: here commits wait for the disk.
        self._pool = pool(database.conninfo(SERVICE), 4)

    async def open(self) -> None:
        """Open the connections. A database that is not there yet is not an error: requests will say so."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def create(
        self,
        *,
        id: str,
        audience: Audience,
        owner: str | None,
        client: str | None,
        most: int,
        run: bool,
        parameters: Sequence[tuple[str, str]],
        seconds: int,
        days: float,
    ) -> Job | None:
        """Make a job, and queue it if it is to ``run`` at once; it is destroyed after ``days``.

        Either ``owner`` or ``client`` is given. With ``most`` jobs that have not ended they get no more: None.
        """
        return await self._change(
            CREATE,
            id=id,
            audience=audience,
            owner=owner,
            client=client,
            most=most,
            phase="QUEUED" if run else "PENDING",
            parameters=Json(list(parameters)),
            seconds=seconds,
            days=days,
        )

    async def find(self, id: str) -> Job | None:
        """The job of that id."""
        return await self._change(FIND, id=id)

    async def of_owner(
        self, owner: str, phases: Sequence[str] | None, after: datetime | None, last: int | None
    ) -> list[Job]:
        """The jobs of ``owner``, newest first: those in ``phases``, created ``after``, the ``last`` so many."""
        found: list[Job] = await execute(
            self._pool, LIST, {"owner": owner, "phases": phases, "after": after, "last": last}
        )
        return found

    async def run(self, id: str) -> Job | None:
        """Queue a pending job."""
        return await self._change(RUN, id=id)

    async def abort(self, id: str, error: str) -> Job | None:
        """End a job that has not ended; whoever runs it hears of it."""
        return await self._change(ABORT, id=id, error=error)

    async def set_parameters(self, id: str, parameters: Sequence[tuple[str, str]]) -> Job | None:
        """Replace the parameters of a pending job."""
        return await self._change(SET_PARAMETERS, id=id, parameters=Json(list(parameters)))

    async def set_seconds(self, id: str, seconds: int) -> Job | None:
        """Change how long a job may run, until it does."""
        return await self._change(SET_SECONDS, id=id, seconds=seconds)

    async def set_destruction(self, id: str, destruction: datetime, days: float) -> Job | None:
        """Change when a job is destroyed: at most ``days`` after it was made."""
        return await self._change(SET_DESTRUCTION, id=id, destruction=destruction, days=days)

    async def delete(self, id: str) -> Job | None:
        """Remove a job's row; the files are the caller's."""
        return await self._change(DELETE, id=id)

    async def _change(self, statement: LiteralString, **parameters: Any) -> Job | None:
        found: list[Job] = await execute(self._pool, statement, parameters)
        return found[0] if found else None


def new_id() -> str:
    """An id that cannot be guessed: for anonymous jobs it is the only key (128 bits)."""
    return secrets.token_hex(16)


def pool(conninfo: str, size: int) -> AsyncConnectionPool[AsyncConnection[Any]]:
    return AsyncConnectionPool(
        conninfo, min_size=1, max_size=size, open=False, timeout=10, kwargs={"autocommit": True}, check=None
    )


async def execute(
    pool: AsyncConnectionPool[AsyncConnection[Any]],
    statement: LiteralString,
    parameters: Mapping[str, Any],
    *,
    as_jobs: bool = True,
) -> Any:
    for attempt in (1, 2):
        try:
            async with pool.connection() as connection:
                cursor = connection.cursor(row_factory=class_row(Job)) if as_jobs else connection.cursor()
                await cursor.execute(statement, parameters, prepare=True)
                return await cursor.fetchall()
        except PoolTimeout:
            raise BUSY from None
        except psycopg.OperationalError as error:
            # After a restart of PostgreSQL all pooled connections are dead, and show it only when they are used.
            if attempt == 2 or error.sqlstate not in (None, "57P01"):
                raise failures.explain(error.sqlstate) from None
            await pool.check()
        except psycopg.Error as error:
            log.error("job statement failed: %s", error)
            raise failures.explain(error.sqlstate) from None
    raise AssertionError("unreachable")
