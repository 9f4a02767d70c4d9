"""Asynchronous jobs in the database: a job is one row, and its phase is the only truth about it (UWS 1.1).

Every change of phase is one conditional UPDATE, so that two who want different things cannot both have them; a trigger
tells whoever waits (signals.py). A job that runs names its process by the key of an advisory lock which that
process holds. When the process dies, PostgreSQL gives the lock back, and anybody who can take it knows that the job
has nobody any more: no leases, no clocks, and no heartbeat.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, LiteralString

from psycopg.rows import class_row
from psycopg.types.json import Json

from km3vo.database.audiences import Audience
from km3vo.database.pool import Pool

log = logging.getLogger(__name__)

Phase = Literal["PENDING", "QUEUED", "EXECUTING", "COMPLETED", "ERROR", "ABORTED"]
Lane = Literal["short", "long"]
ACTIVE: tuple[Phase, ...] = ("PENDING", "QUEUED", "EXECUTING")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as its row says.

    Attributes:
        number: in order of creation; internal, since it can be guessed.
        id: what the job is called in URLs.
        kind: what is to be done, and so who does it (jobs/runner.py).
        audience: as whom its query runs.
        owner: who made it, or None for an anonymous job.
        client: where an anonymous job came from, or None.
        token: number of the personal token with which it was made, or None.
        parameters: (NAME, value) as given.
        seconds: how long it may run.
        created, queued, started, ended, destruction: times with zone.
        worker, attempts: who runs it, and how often somebody began to.
        lane: which jobs it waits for: those of seconds, or longer ones.
        estimate: how many seconds the planner expects it to take; None where that is not known.
        taken: when a worker last took it.
        rows: of the result, so far.
        overflow: whether the result was truncated.
        result, content_type, size: file name, media type and bytes of the result of a completed job.
        error: what went wrong, or None; ``transient`` when it may go better another time.
    """

    number: int
    id: str
    kind: str
    audience: Audience
    owner: str | None
    client: str | None
    token: int | None
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
    lane: Lane
    estimate: float | None
    taken: datetime | None

    @property
    def active(self) -> bool:
        """Whether its phase may still change."""
        return self.phase in ACTIVE


@dataclass(frozen=True, slots=True)
class Standing:
    """How a queued job stands.

    Attributes:
        position: in the queue: 1 comes next.
        ahead: how many seconds those before it are expected to take, one after another.
    """

    position: int
    ahead: float


CREATE: LiteralString = """
INSERT INTO km3vo.job (id, kind, audience, owner, client, token, phase, queued, lane, estimate, parameters, seconds,
    destruction)
SELECT %(id)s, %(kind)s, %(audience)s, %(owner)s::text, %(client)s::text, %(token)s::bigint, %(phase)s,
       CASE WHEN %(phase)s = 'QUEUED' THEN now() END, %(lane)s, %(estimate)s::float8, %(parameters)s, %(seconds)s,
       now() + %(days)s * interval '1 day'
WHERE (SELECT count(*) FROM km3vo.job
       WHERE (owner = %(owner)s OR client = %(client)s) AND audience = %(audience)s
           AND phase IN ('PENDING', 'QUEUED', 'EXECUTING')) < %(most)s
ON CONFLICT (id) DO UPDATE SET id = excluded.id  -- sent again after a broken connection
RETURNING *
"""

FIND: LiteralString = """
SELECT * FROM km3vo.job
WHERE id = %(id)s AND kind = %(kind)s AND NOT km3vo.grant_has_ended(audience, started, ended)
"""

LIST: LiteralString = """
SELECT * FROM km3vo.job
WHERE owner = %(owner)s AND audience IN ('public', %(audience)s) AND kind = %(kind)s
  AND (%(phases)s::text[] IS NULL OR phase = ANY (%(phases)s))
  AND (%(after)s::timestamptz IS NULL OR created > %(after)s) AND NOT km3vo.grant_has_ended(audience, started, ended)
ORDER BY created DESC, number DESC LIMIT %(last)s
"""

RUN: LiteralString = """
UPDATE km3vo.job SET phase = 'QUEUED', queued = now(), lane = %(lane)s, estimate = %(estimate)s
WHERE id = %(id)s AND phase = 'PENDING' RETURNING *
"""

ABORT: LiteralString = """
UPDATE km3vo.job SET phase = 'ABORTED', ended = now(), worker = NULL, error = %(error)s
WHERE id = %(id)s AND phase IN ('PENDING', 'QUEUED', 'EXECUTING') RETURNING *
"""

# As the queue takes them (queue.py), who asks takes turns. Counted are jobs of the same audience only: how much members
# have to do is nothing that the public is told.
STANDING: LiteralString = """
WITH mine AS (SELECT lane, audience FROM km3vo.job WHERE number = %(number)s AND phase = 'QUEUED'),
waiting AS (
    SELECT number, queued, row_number() OVER (PARTITION BY owner, client ORDER BY queued, number) AS turn,
        least(seconds, coalesce(estimate, CASE lane WHEN 'short' THEN 1 ELSE 600 END)) AS expected
    FROM km3vo.job JOIN mine USING (lane, audience) WHERE phase = 'QUEUED'
)
SELECT count(*)::int AS position, coalesce(sum(others.expected) FILTER (WHERE others.number <> %(number)s), 0) AS ahead
FROM waiting AS others JOIN waiting AS this
    ON this.number = %(number)s AND (others.turn, others.queued, others.number) <= (this.turn, this.queued, this.number)
HAVING count(*) > 0
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

    def __init__(self, pool: Pool) -> None:
        """``pool`` is the service's own."""
        self._pool = pool

    async def create(
        self,
        *,
        id: str,
        kind: str,
        audience: Audience,
        owner: str | None,
        client: str | None,
        token: int | None,
        most: int,
        run: bool,
        parameters: Sequence[tuple[str, str]],
        seconds: int,
        days: float,
        lane: Lane = "short",
        estimate: float | None = None,
    ) -> Job | None:
        """Make a job, and queue it in its ``lane`` if it is to ``run`` at once; it is destroyed after ``days``.

        Either ``owner`` or ``client`` is given. With ``most`` jobs that have not ended they get no more: None. Those of
        the same ``audience`` count: a program that writes under somebody's name is not told how many that person has.
        ``token`` is the number of the personal token that was sent, if one was.
        """
        return await self._change(
            CREATE,
            id=id,
            kind=kind,
            audience=audience,
            owner=owner,
            client=client,
            token=token,
            most=most,
            phase="QUEUED" if run else "PENDING",
            parameters=Json(list(parameters)),
            seconds=seconds,
            days=days,
            lane=lane,
            estimate=estimate,
        )

    async def find(self, id: str, kind: str) -> Job | None:
        """The job of that id and kind."""
        return await self._change(FIND, id=id, kind=kind)

    async def of_owner(
        self,
        owner: str,
        audience: Audience,
        kind: str,
        phases: Sequence[str] | None,
        after: datetime | None,
        last: int | None,
    ) -> list[Job]:
        """The jobs of ``owner``, newest first: those in ``phases``, created ``after``, the ``last`` so many.

        Only those that read what ``audience`` may read, as for a single one (protocols/uws/access.py).
        """
        parameters = {
            "owner": owner,
            "audience": audience,
            "kind": kind,
            "phases": phases,
            "after": after,
            "last": last,
        }
        jobs: list[Job] = await self._pool.rows(LIST, parameters, row=class_row(Job))
        return jobs

    async def run(self, id: str, lane: Lane = "short", estimate: float | None = None) -> Job | None:
        """Queue a pending job in a lane."""
        return await self._change(RUN, id=id, lane=lane, estimate=estimate)

    async def standing(self, job: Job) -> Standing | None:
        """How a queued job stands; None when it is not queued any more."""
        rows: list[Standing] = await self._pool.rows(STANDING, {"number": job.number}, row=class_row(Standing))
        return rows[0] if rows else None

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
        jobs: list[Job] = await self._pool.rows(statement, parameters, row=class_row(Job))
        return jobs[0] if jobs else None


def new_id() -> str:
    """An id that cannot be guessed: for anonymous jobs it is the only key (128 bits)."""
    return secrets.token_hex(16)
