"""Which job a request is about, who may see it, and where it is.

A job of somebody with a name is visible to that name only; to everybody else it does not exist. An anonymous job
belongs to whoever knows its id, which cannot be guessed, and is on no list. What a member's job found is for members:
when its owner is none any more, the results are out of reach.
"""

from __future__ import annotations

import asyncio
import re

from starlette.requests import Request

from km3vo.errors import ForbiddenError, NotFoundError
from km3vo.jobs import files
from km3vo.jobs.job import Job
from km3vo.protocols.http.addresses import base_url
from km3vo.protocols.http.authentication import user_of
from km3vo.protocols.http.scope import PREFIX_KEY
from km3vo.service import Service

_ID = re.compile(r"[0-9a-f]{32}")


def list_url(running: Service, request: Request) -> str:
    """The address of the job list, as the client knows this service."""
    path: str = request.scope.get(PREFIX_KEY, "") + request.scope["path"]
    return f"{base_url(request, running.settings)}{path.partition('/async')[0]}/async"


def job_url(running: Service, request: Request, id: str) -> str:
    """The address of a job."""
    return f"{list_url(running, request)}/{id}"


def no_such_job() -> NotFoundError:
    """The error for a job that is not there, or that is somebody else's."""
    return NotFoundError("there is no such job: it may have been deleted, or destroyed when its time had come")


async def find(running: Service, request: Request, kind: str, id: str | None = None) -> Job:
    """The job of a kind that the request is about: the one in its path, unless another ``id`` is given.

    Raises:
        NotFoundError: there is none of that id, or it is somebody else's.
        ForbiddenError: it read what the asker may not read (any more).
    """
    id = request.path_params["id"] if id is None else id
    job = await running.jobs.find(id, kind) if _ID.fullmatch(id) else None
    user = user_of(request)
    if job is None or (job.owner is not None and job.owner != user.name):
        raise no_such_job()
    if job.audience not in ("public", user.audience):
        raise ForbiddenError("this job read data that you have no access to just now")
    return job


async def remove(running: Service, job: Job) -> None:
    """Remove a job and its files, stopping it if it runs."""
    await running.jobs.delete(job.id)
    await asyncio.to_thread(files.remove, running.settings.results, job.id)
