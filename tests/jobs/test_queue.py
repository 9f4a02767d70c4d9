"""The queue as workers see it: each job is one worker's, and nobody waits for somebody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest

from km3vo.database.logins import SERVICE, Database
from km3vo.database.pool import Pool
from km3vo.jobs.job import Job, Jobs
from km3vo.jobs.queue import Queue, Share
from km3vo.jobs.runner import Outcome

pytestmark = pytest.mark.slow

T = TypeVar("T")
OUTCOME = Outcome(Path("result.csv"), "text/csv", 17, 1, False)


def queued(
    service: psycopg.Connection[Any], id: str, kind: str = "query", *, client: str | None = None, lane: str = "short"
) -> None:
    """Put a job into the queue, behind those that are there."""
    service.execute(
        "INSERT INTO km3vo.job (id, kind, audience, client, phase, queued, lane, parameters, seconds, destruction) "
        "VALUES (%s, %s, 'public', %s, 'QUEUED', clock_timestamp(), %s, '[]', 60, now() + interval '1 day')",
        [id, kind, client, lane],
    )


def with_queue(database: Database, use: Callable[[Queue], Awaitable[T]], seconds: float = 20) -> T:
    """The outcome of using a queue of queries."""

    async def run() -> T:
        pool = Pool(database.conninfo(SERVICE), size=4)
        await pool.open()
        try:
            return await asyncio.wait_for(use(Queue(pool, ["query"])), seconds)
        finally:
            await pool.close()

    return asyncio.run(run())


def test_a_worker_that_lost_its_job_does_not_end_it(copy_published: Database) -> None:
    """Its process was thought dead, and the job runs elsewhere by now: what it found must not be taken for the end."""
    with copy_published.connect(SERVICE, autocommit=True) as service:
        queued(service, "a")

        async def use(queue: Queue) -> tuple[bool, bool]:
            job = await queue.take(1)
            assert job is not None
            service.execute("UPDATE km3vo.job SET worker = 2")
            ended = await queue.finish(job, 1, OUTCOME), await queue.fail(job, 1, "it failed", rows=0)
            await queue.put_back(job, 1)
            return ended

        assert with_queue(copy_published, use) == (False, False)
        assert service.execute("SELECT phase, worker, result, error FROM km3vo.job").fetchall() == [
            ("EXECUTING", 2, None, None)
        ]


def test_nobody_waits_for_a_job_that_somebody_else_is_taking(copy_published: Database) -> None:
    with copy_published.connect(SERVICE, autocommit=True) as service, copy_published.connect(SERVICE) as other:
        queued(service, "a")
        queued(service, "b")
        other.execute("SELECT FROM km3vo.job WHERE id = 'a' FOR UPDATE")

        async def use(queue: Queue) -> Job | None:
            return await queue.take(1)

        job = with_queue(copy_published, use, 5)
        assert job is not None and job.id == "b"


@pytest.mark.parametrize("count", [40])
def test_each_job_is_taken_once(copy_published: Database, count: int) -> None:
    with copy_published.connect(SERVICE, autocommit=True) as service:
        for number in range(count):
            queued(service, str(number))

    async def use(queue: Queue) -> list[str]:
        jobs = await asyncio.gather(*(queue.take(worker) for worker in range(1, count + 1)))
        return [job.id for job in jobs if job is not None]

    assert sorted(with_queue(copy_published, use), key=int) == [str(number) for number in range(count)]


def test_jobs_of_other_kinds_are_left_alone(copy_published: Database) -> None:
    with copy_published.connect(SERVICE, autocommit=True) as service:
        queued(service, "a", kind="export")

        async def use(queue: Queue) -> Job | None:
            return await queue.take(1)

        assert with_queue(copy_published, use) is None


def test_who_asks_takes_turns(copy_published: Database) -> None:
    """Whoever has a hundred jobs in the queue waits for those who have one."""
    with copy_published.connect(SERVICE, autocommit=True) as service:
        for number in range(4):
            queued(service, f"hog {number}", client="192.0.2.1")
        queued(service, "b", client="192.0.2.2")

        async def use(queue: Queue) -> list[str]:
            order = []
            for worker in range(1, 7):
                if worker == 3:
                    queued(service, "c", client="192.0.2.3")
                job = await queue.take(worker)
                assert job is not None
                order.append(job.id)
                assert await queue.finish(job, worker, OUTCOME)
            return order

        assert with_queue(copy_published, use) == ["hog 0", "b", "c", "hog 1", "hog 2", "hog 3"]


def test_a_program_takes_no_turn_of_a_member_of_its_name(copy_published: Database) -> None:
    with copy_published.connect(SERVICE, autocommit=True) as service:
        for id in ("program 1", "program 2", "member"):
            queued(service, id)
        service.execute("UPDATE km3vo.job SET owner = 'ada'")
        service.execute("UPDATE km3vo.job SET audience = 'member' WHERE id = 'member'")

        async def use(queue: Queue) -> list[str]:
            jobs = [await queue.take(worker, Share("short", slots=9, user=1, address=1)) for worker in (1, 2, 3)]
            return [job.id for job in jobs if job]

        assert with_queue(copy_published, use) == ["program 1", "member"]


def test_an_address_has_one_long_job_and_short_ones_beside(copy_published: Database) -> None:
    with copy_published.connect(SERVICE, autocommit=True) as service:
        for client in ("192.0.2.1", "192.0.2.2"):
            for number in range(2):
                queued(service, f"{client} {number}", client=client, lane="long")
        queued(service, "short", client="192.0.2.1")

        async def use(queue: Queue) -> list[str]:
            long = Share("long", slots=9, user=9, address=1)
            jobs = await asyncio.gather(*(queue.take(worker, long) for worker in range(1, 6)))
            jobs.append(await queue.take(6))
            return sorted(job.id for job in jobs if job)

        assert with_queue(copy_published, use) == ["192.0.2.1 0", "192.0.2.2 0", "short"]


def test_a_job_that_is_not_short_waits_among_the_long_ones(copy_published: Database) -> None:
    with copy_published.connect(SERVICE, autocommit=True) as service:
        queued(service, "a")

        async def use(queue: Queue) -> None:
            job = await queue.take(1)
            assert job is not None
            await queue.make_long(job, 2)
            assert service.execute("SELECT phase FROM km3vo.job").fetchall() == [("EXECUTING",)], "not this worker's"
            await queue.make_long(job, 1)
            assert await queue.take(1) is None
            again = await queue.take(1, Share("long", 1, 1, 1))
            assert again is not None and again.attempts == 1

        with_queue(copy_published, use)


def test_where_a_job_stands(copy_published: Database) -> None:
    """Whoever has waited for as many turns is before it; jobs of members are not told of."""
    with copy_published.connect(SERVICE, autocommit=True) as service:
        for id, client in (("a", "1"), ("b", "1"), ("c", "2"), ("d", "2"), ("e", "3")):
            queued(service, id, client=client)
        queued(service, "member")
        service.execute("UPDATE km3vo.job SET audience = 'member', queued = '2020-01-01' WHERE id = 'member'")
        service.execute("UPDATE km3vo.job SET estimate = 4 WHERE id = 'a'")

    async def stand() -> list[tuple[int, float] | None]:
        pool = Pool(copy_published.conninfo(SERVICE), size=1)
        await pool.open()
        jobs = Jobs(pool)
        try:
            found = []
            for id in "abcde":
                job = await jobs.find(id, "query")
                assert job is not None
                standing = await jobs.standing(job)
                found.append((standing.position, float(standing.ahead)) if standing else None)
            await jobs.abort("a", "")
            job = await jobs.find("a", "query")
            assert job is not None and await jobs.standing(job) is None
            return found
        finally:
            await pool.close()

    # The turns: a, c, e, then b, d. One of which nothing is known counts for a second.
    assert asyncio.run(stand()) == [(1, 0), (4, 6), (2, 4), (5, 7), (3, 5)]
