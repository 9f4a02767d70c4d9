"""UWS 1.1: /tap/async, the jobs and all that belongs to one. Who may see which: uws_access.py."""

from __future__ import annotations

import asyncio
import io
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response

from km3vo.errors import ForbiddenError, NotFoundError, ParameterError, TooLargeError, TooManyError
from km3vo.protocols import job_files, uws_documents
from km3vo.protocols.dali import Parameters, parameters, service
from km3vo.protocols.upload import Reference, split
from km3vo.protocols.uws_access import GONE, asking, client, find, job_url, list_url
from km3vo.protocols.uws_documents import time_text
from km3vo.results import votable
from km3vo.settings import Limits
from km3vo.store.jobs import Job, new_id

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


# The list of jobs ----------------------------------------------------------------------------------------------------


async def list_jobs(request: Request) -> Response:
    """The asker's own jobs, newest first (UWS 1.1 §2.2.2.1). Somebody without a name has none."""
    given = await parameters(request)
    phases = [value.strip().upper() for value in given.all("PHASE")]
    for phase in phases:
        if phase not in PHASES:
            raise ParameterError(f"PHASE={phase[:40]} is none of {', '.join(PHASES)}")
    after = _time("AFTER", given.one("AFTER")) if given.one("AFTER") else None
    last = _count("LAST", given.one("LAST")) if given.one("LAST") else LIST_MOST
    who = await asking(request)
    jobs: list[Job] = []
    if who.name is not None:
        jobs = await service(request).jobs.of_owner(who.name, phases or None, after, min(last, LIST_MOST))
    return _xml(uws_documents.jobs_document(jobs, list_url(request)))


async def create(request: Request) -> Response:
    """Make a job; with PHASE=RUN it is queued at once (UWS 1.1 §2.2.3.1). Its limits of time may come along."""
    running = service(request)
    limits = running.settings.limits
    given = await parameters(request)
    phase = given.one("PHASE").strip().upper()
    if phase not in ("", "RUN"):
        raise ParameterError(f"PHASE={phase[:40]}: a new job can be given PHASE=RUN or none")
    seconds, days = limits.async_seconds, limits.retention_days
    if given.all("EXECUTIONDURATION"):
        seconds = _seconds(given, limits)
    if given.all("DESTRUCTION"):
        asked = _time("DESTRUCTION", given.one("DESTRUCTION")) - datetime.now(UTC)
        days = min(asked / timedelta(days=1), limits.retention_days_hard)
    who = await asking(request)
    id = new_id()
    await asyncio.to_thread(running.room.take, 0)
    try:
        pairs = await _kept(request, id, given)
        job = await running.jobs.create(
            id=id,
            audience=who.audience,
            owner=who.name,
            client=client(request) if who.name is None else None,
            most=limits.jobs_unfinished,
            run=phase == "RUN",
            parameters=pairs,
            seconds=seconds,
            days=days,
        )
        if job is None:
            raise TooManyError(
                f"you have {limits.jobs_unfinished} jobs that have not ended, and may have no more: come back when some"
                " have, or delete those that you do not need"
            )
    except BaseException:
        await asyncio.to_thread(job_files.remove, running.settings.results, id)
        raise
    return _see(job_url(request, job.id))


async def _kept(request: Request, id: str, given: Parameters) -> list[tuple[str, str]]:
    """The parameters to keep with a job; tables that came with the request are saved beside it."""
    running = service(request)
    home, take = running.settings.results, running.room.take
    inline: set[str] = set()
    uploads: list[Reference] = []
    for reference in split(given.all("UPLOAD")):
        label = reference.label
        part = given.files.get(label) if label is not None else None
        if label is not None and part is not None and _TABLE.fullmatch(reference.name):
            await asyncio.to_thread(job_files.save_upload, home, id, reference.name, part.file, take)
            reference = Reference(reference.name, f"param:{reference.name}")
        elif label is not None and (texts := given.all(label)) and _TABLE.fullmatch(reference.name):
            table = io.BytesIO(texts[0].encode())
            await asyncio.to_thread(job_files.save_upload, home, id, reference.name, table, take)
            inline.add(label.upper())
        uploads.append(reference)
    dropped = _CONTROLS | inline | {"UPLOAD"}
    pairs = [(name, value) for name, values in given.values.items() if name not in dropped for value in values]
    pairs += [("UPLOAD", str(reference)) for reference in uploads]
    if (size := sum(len(name) + len(value) for name, value in pairs)) > (
        most := 2 * running.settings.limits.query_length
    ):
        raise TooLargeError(f"the parameters of a job may have {most} characters; these have {size}")
    return pairs


# One job -------------------------------------------------------------------------------------------------------------


async def get_job(request: Request) -> Response:
    """The job; with WAIT only once its phase has changed, or the time is over (UWS 1.1 §2.2.1.1)."""
    given = await parameters(request)
    job = await find(request)
    if given.all("WAIT"):
        job = await _waited(request, job, given)
    return _xml(uws_documents.job_document(job, job_url(request, job.id)))


async def _waited(request: Request, job: Job, given: Parameters) -> Job:
    running = service(request)
    text = given.one("WAIT").strip()
    if not re.fullmatch(r"-1|[0-9]+", text):
        raise ParameterError(f"WAIT={text[:40]} is not a number of seconds: give a whole number, or -1 for very long")
    seconds = WAIT_SECONDS if text == "-1" or len(text) > 9 else min(int(text), WAIT_SECONDS)
    phase = given.one("PHASE").strip().upper() or job.phase
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    gone = asyncio.create_task(_left(request))
    try:
        with running.signals.watch(job.number) as changed:
            # Looked at again after the watch began: a change in between would be missed.
            while job.active and job.phase == phase and loop.time() < deadline and not running.signals.closing:
                found = await running.jobs.find(job.id)
                if found is None:
                    raise GONE
                job = found
                if job.phase == phase and job.active:
                    waiting = asyncio.create_task(changed.wait())
                    await asyncio.wait(
                        (waiting, gone), timeout=deadline - loop.time(), return_when=asyncio.FIRST_COMPLETED
                    )
                    waiting.cancel()
                    if gone.done():
                        break
                    changed.clear()
    finally:
        gone.cancel()
    return job


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def post_job(request: Request) -> Response:
    """ACTION=DELETE removes the job; nothing else may be posted here (DALI 1.1 §2.1.2)."""
    given = await parameters(request)
    if given.one("ACTION").strip().upper() != "DELETE":
        raise ParameterError("a job takes ACTION=DELETE only: post parameters to /parameters, PHASE to /phase")
    return await delete(request)


async def delete(request: Request) -> Response:
    """Remove the job."""
    await remove(request, await find(request))
    return _see(list_url(request))


async def remove(request: Request, job: Job) -> None:
    """Remove a job and its files, stopping it if it runs."""
    running = service(request)
    await running.jobs.delete(job.id)
    await asyncio.to_thread(job_files.remove, running.settings.results, job.id)


async def get_phase(request: Request) -> Response:
    """The phase."""
    return _text((await find(request)).phase)


async def post_phase(request: Request) -> Response:
    """Start the job with PHASE=RUN, end it with PHASE=ABORT (UWS 1.1 §2.2.3.3)."""
    jobs = service(request).jobs
    given = await parameters(request)
    phase = given.one("PHASE").strip().upper()
    job = await find(request)
    if phase == "RUN":
        changed = await jobs.run(job.id)
    elif phase == "ABORT":
        changed = await jobs.abort(job.id, "the job was aborted at its owner's request")
    else:
        raise ParameterError(f"PHASE={phase[:40]} cannot be asked for: use RUN or ABORT")
    return _changed(request, job, changed, f"PHASE={phase}")


async def get_parameters(request: Request) -> Response:
    """The parameters."""
    job = await find(request)
    return _xml(uws_documents.parameters_document(job, job_url(request, job.id)))


async def post_parameters(request: Request) -> Response:
    """Change or add parameters while the job is pending; uploads accumulate (TAP 1.1 §2.7.5)."""
    given = await parameters(request)
    job = await find(request)
    changed = None
    if job.phase == "PENDING":
        fresh = await _kept(request, job.id, given)
        named = {name for name, _ in fresh if name != "UPLOAD"}
        again = {r.name.lower() for r in split([value for name, value in fresh if name == "UPLOAD"])}
        kept = [
            (name, value)
            for name, value in job.parameters
            if (split([value])[0].name.lower() not in again if name == "UPLOAD" else name not in named)
        ]
        changed = await service(request).jobs.set_parameters(job.id, [*kept, *fresh])
    return _changed(request, job, changed, "a change of parameters")


def _changed(request: Request, job: Job, changed: Job | None, what: str) -> Response:
    if changed is None:
        raise ForbiddenError(f"{what} is not possible: the job is {job.phase}")
    return _see(job_url(request, job.id))


async def get_quote(request: Request) -> Response:
    """When the job will have ended: nobody knows."""
    await find(request)
    return _text("")


async def get_owner(request: Request) -> Response:
    """Whose job it is; empty when it is anonymous."""
    return _text((await find(request)).owner or "")


async def get_execution_duration(request: Request) -> Response:
    """How many seconds the job may run."""
    return _text(str((await find(request)).seconds))


async def post_execution_duration(request: Request) -> Response:
    """Change how long the job may run, up to the service's limit; 0 asks for as long as possible."""
    running = service(request)
    seconds = _seconds(await parameters(request), running.settings.limits)
    job = await find(request)
    return _changed(request, job, await running.jobs.set_seconds(job.id, seconds), "more time")


async def get_destruction(request: Request) -> Response:
    """When the job will be destroyed."""
    return _text(time_text((await find(request)).destruction))


async def post_destruction(request: Request) -> Response:
    """Change when the job will be destroyed, up to the service's limit."""
    running = service(request)
    given = await parameters(request)
    asked = _time("DESTRUCTION", given.one("DESTRUCTION"))
    job = await find(request)
    await running.jobs.set_destruction(job.id, asked, running.settings.limits.retention_days_hard)
    return _see(job_url(request, job.id))


async def get_error(request: Request) -> Response:
    """Why the job failed, as a VOTable (TAP 1.1 §2.2.1)."""
    job = await find(request)
    if job.error is None:
        raise NotFoundError(f"the job is {job.phase} and has no error")
    return Response(votable.error_document(job.error), media_type="application/x-votable+xml", headers=_PRIVATE)


async def get_results(request: Request) -> Response:
    """The list of results."""
    job = await find(request)
    return _xml(uws_documents.results_document(job, job_url(request, job.id)))


async def get_result(request: Request) -> Response:
    """The result, as a file; parts of it can be asked for (RFC 9110 §14)."""
    job = await find(request)
    if job.phase != "COMPLETED" or job.result is None:
        why = f": {job.error}" if job.error else ""
        raise NotFoundError(f"the job is {job.phase} and has no result{why}")
    file = job_files.result_file(service(request).settings.results, job.id, job.result)
    return await _file(file, job.content_type or "application/octet-stream", f"{job.id[:8]}{file.suffix}")


async def get_upload(request: Request) -> Response:
    """A table that came with the job."""
    job = await find(request)
    name = request.path_params["name"]
    file = None
    if _TABLE.fullmatch(name):
        file = job_files.upload_file(service(request).settings.results, job.id, name)
    if file is None:
        raise NotFoundError(f"the job has no upload {name[:60]}")
    return await _file(file, "application/octet-stream", name)


async def _file(file: Path, content_type: str, name: str) -> Response:
    try:
        status = await asyncio.to_thread(file.stat)
    except FileNotFoundError:
        raise NotFoundError("the file is gone; run the job again") from None
    return FileResponse(file, media_type=content_type, filename=name, stat_result=status, headers=_PRIVATE)


# Values --------------------------------------------------------------------------------------------------------------


def _time(name: str, text: str) -> datetime:
    """A time; without a zone it is UTC (DALI 1.1 §3.3.3)."""
    try:
        time = datetime.fromisoformat(text.strip())
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ParameterError(f"{name}={text[:40]} is not a time such as 2026-01-31T12:00:00Z") from None


def _seconds(given: Parameters, limits: Limits) -> int:
    """The execution duration asked for, up to the limit; 0 asks for as long as possible."""
    asked = _count("EXECUTIONDURATION", given.one("EXECUTIONDURATION"))
    return min(asked or limits.async_seconds_hard, limits.async_seconds_hard)


def _count(name: str, text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text.strip()):
        raise ParameterError(f"{name}={text[:40]} is not a whole number")
    return int(text)


# Routes --------------------------------------------------------------------------------------------------------------

_ROUTES: tuple[tuple[str, Literal["GET", "POST", "DELETE"], Any, str], ...] = (
    ("", "GET", list_jobs, "Your jobs"),
    ("", "POST", create, "Make a job; PHASE=RUN starts it"),
    ("/{id}", "GET", get_job, "A job; WAIT=seconds waits for a change"),
    ("/{id}", "POST", post_job, "Remove a job with ACTION=DELETE"),
    ("/{id}", "DELETE", delete, "Remove a job"),
    ("/{id}/phase", "GET", get_phase, "The phase of a job"),
    ("/{id}/phase", "POST", post_phase, "Start or end a job: PHASE=RUN or ABORT"),
    ("/{id}/parameters", "GET", get_parameters, "The parameters of a job"),
    ("/{id}/parameters", "POST", post_parameters, "Change parameters of a pending job"),
    ("/{id}/quote", "GET", get_quote, "When a job will have ended"),
    ("/{id}/owner", "GET", get_owner, "Whose job it is"),
    ("/{id}/executionduration", "GET", get_execution_duration, "How long a job may run"),
    ("/{id}/executionduration", "POST", post_execution_duration, "Change how long a job may run"),
    ("/{id}/destruction", "GET", get_destruction, "When a job will be destroyed"),
    ("/{id}/destruction", "POST", post_destruction, "Change when a job will be destroyed"),
    ("/{id}/error", "GET", get_error, "Why a job failed"),
    ("/{id}/results", "GET", get_results, "The results of a job"),
    ("/{id}/results/result", "GET", get_result, "The result of a job"),
    ("/{id}/uploads/{name}", "GET", get_upload, "A table that came with a job"),
)


def router(prefix: str) -> APIRouter:
    """The routes of the jobs at ``prefix``."""
    routes = APIRouter(prefix=f"{prefix}/async", tags=["UWS"])
    for path, method, handle, summary in _ROUTES:
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"\{(\w+)\}", path)
        ]
        routes.add_api_route(
            path,
            handle,
            methods=[method],
            summary=summary,
            response_class=Response,
            openapi_extra={"parameters": parameters},
        )
    return routes
