"""Asynchronous TAP queries: the kind of jobs that /tap/async makes (TAP 1.1 §2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from km3vo.database.audiences import Audience
from km3vo.embargo import marking
from km3vo.errors import Km3voError, RequestError
from km3vo.identity.user import User
from km3vo.jobs import files
from km3vo.jobs.job import Job, Lane
from km3vo.jobs.runner import Kind, Outcome
from km3vo.protocols.dali.parameters import Parameters
from km3vo.protocols.tap import upload
from km3vo.protocols.tap.execution import Execution, expected_seconds, is_long
from km3vo.protocols.tap.query import TapQuery, read
from km3vo.results.stream import Result
from km3vo.service import Service

KIND = Kind("query")


async def expected(running: Service, audience: Audience, pairs: Sequence[tuple[str, str]]) -> tuple[Lane, float | None]:
    """The lane for a query with these parameters, and how many seconds it is expected to take, which may be told.

    What is wrong with the query is told when it runs; nothing is expected of members' and observers' that is told.
    """
    limits = running.settings.limits
    try:
        seconds = await expected_seconds(running, read(limits, Parameters(list(pairs))), audience)
    except Km3voError:
        return "short", None
    lane: Lane = "long" if is_long(limits, seconds) else "short"
    return lane, seconds if audience == "public" and seconds is not None and isfinite(seconds) else None


class QueryRunner:
    """Runs the queries of jobs as their owners' audience."""

    def __init__(self, running: Service) -> None:
        self._running = running

    async def prepare(self, job: Job) -> QueryWork:
        """Read the query, and fetch the tables that come with it.

        Raises:
            Km3voError: a parameter is wrong, or a table cannot be had.
        """
        running = self._running
        limits = running.settings.limits
        query = read(limits, Parameters(list(job.parameters)))
        tables = await upload.collect(query.uploads, limits, upload.kept_with(running.settings.results, job.id))
        url = f"{running.settings.base_url}/tap/async/{job.id}"
        user, work, long = User(job.audience, job.owner), f"job {job.number}", job.lane == "long"
        execution = Execution(running, query, user, url, job.seconds, tables, work=work, long=long)
        return QueryWork(running, job, query, execution)


class QueryWork:
    """One query on its way to a file."""

    def __init__(self, running: Service, job: Job, query: TapQuery, execution: Execution) -> None:
        self._running = running
        self._job = job
        self._query = query
        self._execution = execution
        self._result: Result | None = None

    @property
    def rows(self) -> int:
        """How many rows have been written."""
        return self._result.rows if self._result else 0

    def run(self) -> Outcome:
        """Run the query and write its result to a file.

        Raises:
            Km3voError, OSError: it failed, at whatever row.
        """
        running, query = self._running, self._query
        try:
            self._result = result = self._execution.start()
            file, size = files.write(
                running.settings.results,
                self._job.id,
                query.format,
                result,
                running.settings.limits.result_bytes,
                running.results_quota.reserve,
                mark=marking.IN_NAMES if self._execution.marked else "",
            )
            if result.failed:  # some formats end such a document in good order
                file.unlink(missing_ok=True)
                raise RequestError(result.failed)
            return Outcome(file, query.format.content_type, size, result.rows, result.overflow)
        finally:
            self._execution.close()

    def cancel(self) -> None:
        """Stop the query."""
        self._execution.cancel()
