"""UWS 1.1: /tap/async and its kind, the jobs and all that belongs to one. Who may see which: access.py."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from types import MethodType
from typing import Any, Literal, TypeAlias

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response

from km3vo import times
from km3vo.database.audiences import Audience
from km3vo.embargo.marking import mark_in
from km3vo.errors import ForbiddenError, NotFoundError, ParameterError, TooLargeError, TooManyError
from km3vo.jobs import files
from km3vo.jobs.job import Job, Lane, new_id
from km3vo.jobs.runner import Kind
from km3vo.protocols.dali.forms import read_parameters
from km3vo.protocols.dali.parameters import Parameters
from km3vo.protocols.dali.work import gone
from km3vo.protocols.http.addresses import client_network
from km3vo.protocols.http.authentication import user_of
from km3vo.protocols.tap.upload import Reference, split
from km3vo.protocols.uws import documents, values
from km3vo.protocols.uws.access import find, job_url, list_url, no_such_job, remove
from km3vo.protocols.uws.quotes import expected_end
from km3vo.results import votable
from km3vo.service import Service

PHASES = (
    "PENDING", "QUEUED", "EXECUTING", "COMPLETED", "ERROR", "ABORTED", "HELD", "SUSPENDED", "UNKNOWN", "ARCHIVED"
)  # fmt: skip
# Longest that one request waits; WAIT=-1 asks for as long as it takes.
WAIT_SECONDS = 300
LIST_MOST = 1000
# These steer the service and are no parameters of a job.
_CONTROLS = {"PHASE", "ACTION", "WAIT", "EXECUTIONDURATION", "DESTRUCTION"}
_TABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,60}")
# What is in a job changes, and is its owner's.
_PRIVATE = {"Cache-Control": "private, no-store"}


def _xml(document: bytes) -> Response:
    return Response(document, media_type="text/xml", headers=_PRIVATE)


def _text(text: str) -> Response:
    return PlainTextResponse(text, headers=_PRIVATE)


def _see(url: str) -> Response:
    return RedirectResponse(url, status_code=303)


async def _file(file: Path, content_type: str, name: str) -> Response:
    try:
        status = await asyncio.to_thread(file.stat)
    except FileNotFoundError:
        raise NotFoundError("the file is gone; run the job again") from None
    return FileResponse(file, media_type=content_type, filename=name, stat_result=status, headers=_PRIVATE)


# The lane for a job of an audience with these parameters, and how many seconds it is expected to take.
Expected: TypeAlias = Callable[[Service, Audience, Sequence[tuple[str, str]]], Awaitable[tuple[Lane, float | None]]]


class JobRoutes:
    """What is done at each address of the jobs."""

    def __init__(self, running: Service, kind: Kind, expected: Expected) -> None:
        """
        Args:
            running: the service.
            kind: of the jobs.
            expected: how long they are going to take.
        """
        self._running = running
        self._kind = kind
        self._expected = expected
        self._limits = running.settings.limits

    async def _parameters(self, request: Request) -> Parameters:
        return await read_parameters(request, self._running)

    async def _job(self, request: Request) -> Job:
        return await find(self._running, request, self._kind.name)

    def _url(self, request: Request, job: Job) -> str:
        return job_url(self._running, request, job.id)

    # The list of jobs -------------------------------------------------------------------------------------------------

    async def list_jobs(self, request: Request) -> Response:
        """The asker's own jobs, newest first (UWS 1.1 §2.2.2.1). Somebody without a name has none."""
        parameters = await self._parameters(request)
        phases = [value.strip().upper() for value in parameters.all("PHASE")]
        for phase in phases:
            if phase not in PHASES:
                raise ParameterError(f"PHASE={phase[:40]} is none of {', '.join(PHASES)}")
        after = values.time("AFTER", parameters.one("AFTER")) if parameters.one("AFTER") else None
        last = values.count("LAST", parameters.one("LAST")) if parameters.one("LAST") else LIST_MOST
        user = user_of(request)
        jobs: list[Job] = []
        if user.name is not None:
            jobs = await self._running.jobs.of_owner(
                user.name, user.audience, self._kind.name, phases or None, after, min(last, LIST_MOST)
            )
        return _xml(documents.jobs_document(jobs, list_url(self._running, request)))

    async def create(self, request: Request) -> Response:
        """Make a job; with PHASE=RUN it is queued at once (UWS 1.1 §2.2.3.1). Its limits of time may come along."""
        parameters = await self._parameters(request)
        phase = parameters.one("PHASE").strip().upper()
        if phase not in ("", "RUN"):
            raise ParameterError(f"PHASE={phase[:40]}: a new job can be given PHASE=RUN or none")
        return _see(self._url(request, await self.make(request, parameters, run=phase == "RUN")))

    async def make(self, request: Request, parameters: Parameters, *, run: bool) -> Job:
        """Make a job from parameters, and queue it if it is to ``run`` at once.

        Raises:
            TooManyError: the asker has too many that have not ended.
            FullError: there is no room for results.
        """
        limits = self._limits
        seconds, days = limits.async_seconds, limits.retention_days
        if parameters.all("EXECUTIONDURATION"):
            seconds = values.seconds(parameters, limits)
        if parameters.all("DESTRUCTION"):
            asked = values.time("DESTRUCTION", parameters.one("DESTRUCTION")) - times.now()
            days = min(asked / timedelta(days=1), limits.retention_days_hard)
        user = user_of(request)
        id = new_id()
        await asyncio.to_thread(self._running.results_quota.reserve, 0)
        try:
            pairs = await self._kept(request, id, parameters)
            lane, estimate = await self._expected(self._running, user.audience, pairs) if run else ("short", None)
            job = await self._running.jobs.create(
                id=id,
                kind=self._kind.name,
                audience=user.audience,
                owner=user.name,
                client=client_network(request) if user.name is None else None,
                token=user.token,
                most=limits.jobs_unfinished,
                run=run,
                parameters=pairs,
                seconds=seconds,
                days=days,
                lane=lane,
                estimate=estimate,
            )
            if job is None:
                raise TooManyError(
                    f"you have {limits.jobs_unfinished} jobs that have not ended, and may have no more: come back "
                    "when some have, or delete those that you do not need"
                )
        except BaseException:
            await asyncio.to_thread(files.remove, self._running.settings.results, id)
            raise
        return job

    async def _kept(self, request: Request, id: str, parameters: Parameters) -> list[tuple[str, str]]:
        """The parameters to keep with a job; tables that came with the request are saved beside it."""
        home, reserve = self._running.settings.results, self._running.results_quota.reserve
        inline: set[str] = set()
        uploads: list[Reference] = []
        for reference in split(parameters.all("UPLOAD")):
            label = reference.label
            part = parameters.files.get(label) if label is not None else None
            if label is not None and part is not None and _TABLE.fullmatch(reference.name):
                await asyncio.to_thread(files.save_upload, home, id, reference.name, part.file, reserve)
                reference = Reference(reference.name, f"param:{reference.name}")
            elif (
                label is not None and (text := parameters.table(label)) is not None and _TABLE.fullmatch(reference.name)
            ):
                table = io.BytesIO(text.encode())
                await asyncio.to_thread(files.save_upload, home, id, reference.name, table, reserve)
                inline.add(label.upper())
            uploads.append(reference)
        dropped = _CONTROLS | inline | {"UPLOAD"}
        pairs = parameters.others(dropped)
        pairs += [("UPLOAD", str(reference)) for reference in uploads]
        if (size := sum(len(name) + len(value) for name, value in pairs)) > (most := 2 * self._limits.query_length):
            raise TooLargeError(f"the parameters of a job may have {most} characters; these have {size}")
        return pairs

    # One job ----------------------------------------------------------------------------------------------------------

    async def get_job(self, request: Request) -> Response:
        """The job; with WAIT only once its phase has changed, or the time is over (UWS 1.1 §2.2.1.1)."""
        parameters = await self._parameters(request)
        job = await self._job(request)
        if parameters.all("WAIT"):
            job = await self._waited(request, job, parameters)
        standing = await self._running.jobs.standing(job) if job.phase == "QUEUED" else None
        quote = expected_end(job, standing, self._running.settings)
        url = self._url(request, job)
        return _xml(documents.job_document(job, url, standing, quote, self._kind.others))

    async def _waited(self, request: Request, job: Job, parameters: Parameters) -> Job:
        text = parameters.one("WAIT").strip()
        if not re.fullmatch(r"-1|[0-9]+", text):
            raise ParameterError(
                f"WAIT={text[:40]} is not a number of seconds: give a whole number, or -1 for very long"
            )
        seconds = WAIT_SECONDS if text == "-1" or len(text) > 9 else min(int(text), WAIT_SECONDS)
        phase = parameters.one("PHASE").strip().upper() or job.phase
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        leaving = asyncio.create_task(gone(request))
        try:
            with self._running.signals.watch(job.number) as changed:
                # Looked at again after the watch began: a change in between would be missed.
                while (
                    job.active and job.phase == phase and loop.time() < deadline and not self._running.signals.closing
                ):
                    present = await self._running.jobs.find(job.id, self._kind.name)
                    if present is None:
                        raise no_such_job()
                    job = present
                    if job.phase == phase and job.active:
                        waiting = asyncio.create_task(changed.wait())
                        try:
                            await asyncio.wait(
                                (waiting, leaving), timeout=deadline - loop.time(), return_when=asyncio.FIRST_COMPLETED
                            )
                        finally:
                            waiting.cancel()
                        if leaving.done():
                            break
                        changed.clear()
        finally:
            leaving.cancel()
        return job

    async def post_job(self, request: Request) -> Response:
        """ACTION=DELETE removes the job; nothing else may be posted here (DALI 1.1 §2.1.2)."""
        parameters = await self._parameters(request)
        if parameters.one("ACTION").strip().upper() != "DELETE":
            raise ParameterError("a job takes ACTION=DELETE only: post parameters to /parameters, PHASE to /phase")
        return await self.delete(request)

    async def delete(self, request: Request) -> Response:
        """Remove the job."""
        await remove(self._running, await self._job(request))
        return _see(list_url(self._running, request))

    async def get_phase(self, request: Request) -> Response:
        """The phase."""
        return _text((await self._job(request)).phase)

    async def post_phase(self, request: Request) -> Response:
        """Start the job with PHASE=RUN, end it with PHASE=ABORT (UWS 1.1 §2.2.3.3)."""
        jobs = self._running.jobs
        parameters = await self._parameters(request)
        phase = parameters.one("PHASE").strip().upper()
        job = await self._job(request)
        if phase == "RUN":
            lane, estimate = await self._expected(self._running, job.audience, job.parameters)
            changed = await jobs.run(job.id, lane, estimate)
        elif phase == "ABORT":
            changed = await jobs.abort(job.id, "the job was aborted at its owner's request")
        else:
            raise ParameterError(f"PHASE={phase[:40]} cannot be asked for: use RUN or ABORT")
        return self._changed(request, job, changed, f"PHASE={phase}")

    async def get_parameters(self, request: Request) -> Response:
        """The parameters."""
        job = await self._job(request)
        return _xml(documents.parameters_document(job, self._url(request, job)))

    async def post_parameters(self, request: Request) -> Response:
        """Change or add parameters while the job is pending; uploads accumulate (TAP 1.1 §2.7.5)."""
        parameters = await self._parameters(request)
        job = await self._job(request)
        changed = None
        if job.phase == "PENDING":
            fresh = await self._kept(request, job.id, parameters)
            named = {name for name, _ in fresh if name != "UPLOAD"}
            again = {r.name.lower() for r in split([value for name, value in fresh if name == "UPLOAD"])}
            kept = [
                (name, value)
                for name, value in job.parameters
                if (split([value])[0].name.lower() not in again if name == "UPLOAD" else name not in named)
            ]
            changed = await self._running.jobs.set_parameters(job.id, [*kept, *fresh])
        return self._changed(request, job, changed, "a change of parameters")

    def _changed(self, request: Request, job: Job, changed: Job | None, what: str) -> Response:
        if changed is None:
            raise ForbiddenError(f"{what} is not possible: the job is {job.phase}")
        return _see(self._url(request, job))

    async def get_quote(self, request: Request) -> Response:
        """When the job is expected to have ended (UWS 1.1 §2.1.6); empty when nobody knows, or it has."""
        job = await self._job(request)
        standing = await self._running.jobs.standing(job) if job.phase == "QUEUED" else None
        quote = expected_end(job, standing, self._running.settings)
        return _text(times.seconds(quote) if quote else "")

    async def get_owner(self, request: Request) -> Response:
        """Whose job it is; empty when it is anonymous."""
        return _text((await self._job(request)).owner or "")

    async def get_execution_duration(self, request: Request) -> Response:
        """How many seconds the job may run."""
        return _text(str((await self._job(request)).seconds))

    async def post_execution_duration(self, request: Request) -> Response:
        """Change how long the job may run, up to the service's limit; 0 asks for as long as possible."""
        seconds = values.seconds(await self._parameters(request), self._limits)
        job = await self._job(request)
        return self._changed(request, job, await self._running.jobs.set_seconds(job.id, seconds), "more time")

    async def get_destruction(self, request: Request) -> Response:
        """When the job will be destroyed."""
        return _text(times.milliseconds((await self._job(request)).destruction))

    async def post_destruction(self, request: Request) -> Response:
        """Change when the job will be destroyed, up to the service's limit."""
        parameters = await self._parameters(request)
        asked = values.time("DESTRUCTION", parameters.one("DESTRUCTION"))
        job = await self._job(request)
        await self._running.jobs.set_destruction(job.id, asked, self._limits.retention_days_hard)
        return _see(self._url(request, job))

    async def get_error(self, request: Request) -> Response:
        """Why the job failed, as a VOTable (TAP 1.1 §2.2.1)."""
        job = await self._job(request)
        if job.error is None:
            raise NotFoundError(f"the job is {job.phase} and has no error")
        return Response(votable.error_document(job.error), media_type="application/x-votable+xml", headers=_PRIVATE)

    async def get_results(self, request: Request) -> Response:
        """The list of results."""
        job = await self._job(request)
        return _xml(documents.results_document(job, self._url(request, job), self._kind.others))

    async def get_result(self, request: Request) -> Response:
        """The result, as a file; parts of it can be asked for (RFC 9110 §14)."""
        job = await self._job(request)
        if job.phase != "COMPLETED" or job.result is None:
            why = f": {job.error}" if job.error else ""
            raise NotFoundError(f"the job is {job.phase} and has no result{why}")
        file = files.result_file(self._running.settings.results, job.id, job.result)
        return await _file(
            file, job.content_type or "application/octet-stream", f"{job.id[:8]}{mark_in(file.name)}{file.suffix}"
        )

    async def get_other(self, request: Request) -> Response:
        """What the job left beside its result."""
        job = await self._job(request)
        name = request.path_params["name"]
        other = next((one for one in self._kind.others if one.name == name), None)
        if other is None or job.phase != "COMPLETED":
            raise NotFoundError(f"the job has no result {name[:60]}")
        file = files.result_file(self._running.settings.results, job.id, other.file)
        return await _file(file, other.content_type, f"{job.id[:8]}{mark_in(job.result or '')}-{other.file}")

    async def get_upload(self, request: Request) -> Response:
        """A table that came with the job."""
        job = await self._job(request)
        name = request.path_params["name"]
        file = None
        if _TABLE.fullmatch(name):
            file = files.upload_file(self._running.settings.results, job.id, name)
        if file is None:
            raise NotFoundError(f"the job has no upload {name[:60]}")
        return await _file(file, "application/octet-stream", name)


# Routes --------------------------------------------------------------------------------------------------------------

_ROUTES: tuple[tuple[str, Literal["GET", "POST", "DELETE"], Any, str], ...] = (
    ("", "GET", JobRoutes.list_jobs, "Your jobs"),
    ("", "POST", JobRoutes.create, "Make a job; PHASE=RUN starts it"),
    ("/{id}", "GET", JobRoutes.get_job, "A job; WAIT=seconds waits for a change"),
    ("/{id}", "POST", JobRoutes.post_job, "Remove a job with ACTION=DELETE"),
    ("/{id}", "DELETE", JobRoutes.delete, "Remove a job"),
    ("/{id}/phase", "GET", JobRoutes.get_phase, "The phase of a job"),
    ("/{id}/phase", "POST", JobRoutes.post_phase, "Start or end a job: PHASE=RUN or ABORT"),
    ("/{id}/parameters", "GET", JobRoutes.get_parameters, "The parameters of a job"),
    ("/{id}/parameters", "POST", JobRoutes.post_parameters, "Change parameters of a pending job"),
    ("/{id}/quote", "GET", JobRoutes.get_quote, "When a job will have ended"),
    ("/{id}/owner", "GET", JobRoutes.get_owner, "Whose job it is"),
    ("/{id}/executionduration", "GET", JobRoutes.get_execution_duration, "How long a job may run"),
    ("/{id}/executionduration", "POST", JobRoutes.post_execution_duration, "Change how long a job may run"),
    ("/{id}/destruction", "GET", JobRoutes.get_destruction, "When a job will be destroyed"),
    ("/{id}/destruction", "POST", JobRoutes.post_destruction, "Change when a job will be destroyed"),
    ("/{id}/error", "GET", JobRoutes.get_error, "Why a job failed"),
    ("/{id}/results", "GET", JobRoutes.get_results, "The results of a job"),
    ("/{id}/results/result", "GET", JobRoutes.get_result, "The result of a job"),
    ("/{id}/uploads/{name}", "GET", JobRoutes.get_upload, "A table that came with a job"),
)
_OTHERS = (("/{id}/results/{name}", "GET", JobRoutes.get_other, "What a job left beside its result"),)


def router(running: Service, prefix: str, kind: Kind, expected: Expected) -> APIRouter:
    """The routes of the jobs of a kind at ``prefix``; ``expected`` as in :class:`JobRoutes`."""
    routes = APIRouter(prefix=f"{prefix}/async", tags=["UWS"])
    jobs = JobRoutes(running, kind, expected)
    for path, method, handle, summary in (*_ROUTES, *(_OTHERS if kind.others else ())):
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"\{(\w+)\}", path)
        ]
        routes.add_api_route(
            path,
            MethodType(handle, jobs),
            methods=[method],
            summary=summary,
            response_class=Response,
            openapi_extra={"parameters": parameters},
        )
    return routes
