"""Which job a request is about, who may see it, and where it is.

A job of somebody with a name is visible to that name only; to everybody else it does not exist. An anonymous job
belongs to whoever knows its id, which cannot be guessed, and is on no list. What a member's job found is for members:
when its owner is none any more, the results are out of reach.
"""

from __future__ import annotations

import ipaddress
import re

from starlette.requests import Request

from km3vo.errors import ForbiddenError, NotFoundError
from km3vo.protocols.dali import PREFIX_KEY, base_url, service
from km3vo.protocols.identity import asker
from km3vo.service import Asker
from km3vo.store.jobs import Job

GONE = NotFoundError("there is no such job: it may have been deleted, or destroyed when its time had come")
_ID = re.compile(r"[0-9a-f]{32}")


async def asking(request: Request) -> Asker:
    """Who asks."""
    return asker(request)


def client(request: Request) -> str:
    """Where a request comes from: its address, or the network of an IPv6 address, which one client has for itself.

    Behind a proxy on this machine it is the address that the proxy names (X-Forwarded-For).
    """
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:  # a local socket
        return host
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)


def list_url(request: Request) -> str:
    """The address of the job list, as the client knows this service."""
    path: str = request.scope.get(PREFIX_KEY, "") + request.scope["path"]
    return f"{base_url(request)}{path.partition('/async')[0]}/async"


def job_url(request: Request, id: str) -> str:
    """The address of a job."""
    return f"{list_url(request)}/{id}"


async def find(request: Request, id: str | None = None) -> Job:
    """The job that the request is about: the one in its path, unless another ``id`` is given.

    Raises:
        NotFoundError: there is none of that id, or it is somebody else's.
        ForbiddenError: it read what the asker may not read (any more).
    """
    id = request.path_params["id"] if id is None else id
    job = await service(request).jobs.find(id) if _ID.fullmatch(id) else None
    who = await asking(request)
    if job is None or (job.owner is not None and job.owner != who.name):
        raise GONE
    if job.audience not in ("public", who.audience):
        raise ForbiddenError("this job read data that you have no access to just now")
    return job
