"""Correlations as jobs: /correlate/async, by UWS as /tap/async is (docs/correlate.md).

A job reads its tables as the login of whoever asked, and works them out in a process of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa

from km3vo.catalog import origin
from km3vo.correlation import question as questions
from km3vo.correlation.process import Correlation, Work
from km3vo.correlation.question import MOST_EVENTS, Question
from km3vo.correlation.tables import Gathered, Rows, gather
from km3vo.database.audiences import Audience
from km3vo.embargo import marking
from km3vo.errors import TimeoutExceeded, TooLargeError
from km3vo.identity.user import User
from km3vo.jobs import files
from km3vo.jobs.job import Job, Lane
from km3vo.jobs.runner import Kind, Other, Outcome
from km3vo.protocols.dali.parameters import Parameters
from km3vo.protocols.tap import upload
from km3vo.protocols.tap.execution import Execution
from km3vo.protocols.tap.query import read
from km3vo.protocols.tap.upload import Reference
from km3vo.results import formats
from km3vo.results.stream import Result
from km3vo.service import Service

if TYPE_CHECKING:
    from km3vo.correlation.answer import Answer

SECONDS = 600  # of the processor
PAIRS, REPORT, PICTURE, IMAGE, SUMMARY = "pairs.vot", "report.html", "picture.svg", "picture.png", "summary.json"
KIND = Kind(
    "correlation",
    (
        Other("pairs", PAIRS, "application/x-votable+xml"),
        Other("report", REPORT, "text/html; charset=utf-8"),
        Other("picture", PICTURE, "image/svg+xml"),
        Other("image", IMAGE, "image/png"),
        Other("summary", SUMMARY, "application/json"),
    ),
)


async def expected(running: Service, audience: Audience, pairs: Sequence[tuple[str, str]]) -> tuple[Lane, float | None]:
    """Every correlation is long work; how long nobody knows."""
    return "long", None


class CorrelationRunner:
    """Runs correlations as their owners' audience."""

    def __init__(self, running: Service) -> None:
        self._running = running

    async def prepare(self, job: Job) -> CorrelationWork:
        """Read the question, and fetch the tables that come with it.

        Raises:
            Km3voError: a parameter is wrong, or a table cannot be had.
        """
        running = self._running
        parameters = Parameters(list(job.parameters))
        question = questions.read({name: parameters.one(name) for name in parameters.values if name != "UPLOAD"})
        form = parameters.format(formats.DEFAULT)
        references = upload.references(parameters)
        opened = upload.kept_with(running.settings.results, job.id)
        executions = []
        for text in queries(question):
            named = tuple(one for one in references if f"tap_upload.{one.name}".lower() in text.lower())
            tables = await upload.collect(named, running.settings.limits, opened)
            executions.append((text, _execution(running, job, text, tables, named)))
        return CorrelationWork(running, job, question, form, executions)


def queries(question: Question) -> tuple[str, ...]:
    """The queries of a question, but for the one of the live-time."""
    asked = (question.events, question.select), (question.catalogue, question.sources)
    return tuple(questions.query(*one) for one in asked)


class CorrelationWork:
    """One correlation on its way to its files."""

    def __init__(
        self,
        running: Service,
        job: Job,
        question: Question,
        form: formats.Format,
        executions: list[tuple[str, Execution]],
    ) -> None:
        self._running = running
        self._job = job
        self._question = question
        self._form = form
        self._executions = executions
        self._unread = list(executions)
        self._work: Work[Answer] | None = None
        self._cancelled = False

    @property
    def rows(self) -> int:
        """How many steps are done."""
        return self._work.done if self._work else 0

    def run(self) -> Outcome:
        """Read the tables, correlate them, and write what came out.

        Raises:
            Km3voError, OSError: it failed.
        """
        try:
            lists = gather(self._question, self._running.published, self._ask)
        finally:
            self._close()
        seconds = min(SECONDS, self._job.seconds)
        self._work = Work(Correlation(self._question, lists.events, lists.catalogue, lists.exposure, seconds))
        if self._cancelled:
            raise TimeoutExceeded("the job was stopped")
        return self._written(self._work.run(), lists)

    def cancel(self) -> None:
        """Stop it."""
        self._cancelled = True
        for _, execution in list(self._executions):
            execution.cancel()
        if self._work is not None:
            self._work.cancel()

    def _ask(self, text: str) -> Rows:
        # The same table may be asked for twice.
        place = next((place for place, (asked, _) in enumerate(self._unread) if asked == text), None)
        if place is not None:
            _, execution = self._unread.pop(place)
        else:  # that of the live-time
            execution = _execution(self._running, self._job, text)
            self._executions.append((text, execution))
        result = execution.start()
        return Rows(result.columns, _whole(result), execution.tables)

    def _close(self) -> None:
        for _, execution in self._executions:
            execution.close()

    def _written(self, answer: Answer, lists: Gathered) -> Outcome:
        from km3vo.correlation import report, results

        running, home, id = self._running, self._running.settings.results, self._job.id
        reserve, audience = running.results_quota.reserve, self._job.audience
        infos = (
            *origin.table_infos(running.settings, lists.tables),
            *marking.infos(audience, lists.tables, self._job.owner),
        )
        told = report.report(answer, lists.tables)
        mark = ""
        if marking.is_marked(audience, lists.tables):
            mark, told = marking.IN_NAMES, replace(told, caveats=(marking.OF_RESULTS, *told.caveats))
        # Nothing that differs from one run to the next, such as a date, is written: the same question has the same
        # bytes as its answer.
        for name, chunks in (
            (PAIRS, formats.DEFAULT.write(results.pairs(answer, table_infos=infos))),
            (REPORT, [report.document(told, "picture")]),
            (PICTURE, [report.drawn(answer)]),
            (IMAGE, [report.image(answer)]),
            (SUMMARY, [json.dumps(told.as_dict()).encode()]),
        ):
            files.write_other(home, id, name, chunks, reserve)
        table = results.sources(answer, table_infos=infos)
        most = running.settings.limits.result_bytes
        file, size = files.write(home, id, self._form, table, most, reserve, mark=mark)
        return Outcome(file, self._form.content_type, size, table.rows, overflow=False)


def _execution(
    running: Service, job: Job, text: str, tables: Mapping[str, BinaryIO] | None = None, named: Sequence[Reference] = ()
) -> Execution:
    """A query of a job, with the uploaded tables that it names."""
    told = [("LANG", "ADQL"), ("QUERY", text), ("MAXREC", str(MOST_EVENTS + 1))]
    told += [("UPLOAD", str(reference)) for reference in named]
    query = read(running.settings.limits, Parameters(told))
    user, work = User(job.audience, job.owner), f"job {job.number}"
    return Execution(running, query, user, "", job.seconds, tables, work=work, long=True)


def _whole(result: Result) -> Iterator[pa.RecordBatch]:
    """All rows of a result. Raises TooLargeError when some were left out: half a list is another list."""
    yield from result.batches()
    if result.overflow:
        raise TooLargeError(f"a table has more than {result.rows:,} rows, and so many may be read here: choose some")
