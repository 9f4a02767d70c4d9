"""Fetching a file that a client names by URL, without becoming the client's hands inside our network.

Every address that a host name stands for is looked at before anything is sent to it, and the connection goes to that
very address, so that a name cannot mean something else a moment later. Redirects are looked at in the same way.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import tempfile
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urljoin

from km3vo import __version__
from km3vo.errors import TooLargeError, UploadError
from km3vo.readers.content import Reserve
from km3vo.settings import Limits

if TYPE_CHECKING:
    import httpx

REDIRECTS = 5
SCHEMES = {"http": 80, "https": 443}  # and the ports that they mean
# What IANA gives out to hosts (RFC 4291 §2.4), and parts of it, and of IPv4, that lead through a relay to anywhere:
# Teredo, 6to4 (RFC 7526); and 3fff::/20 for documentation (RFC 9637), which not every Python knows.
_UNICAST = ipaddress.ip_network("2000::/3")
_REFUSED = tuple(map(ipaddress.ip_network, ("2001::/32", "2002::/16", "3fff::/20", "192.88.99.0/24")))


class _NotFetchedError(Exception):
    """The file cannot be had. Clients are not told why: that would tell what there is in our own network."""


async def fetch(url: str, limits: Limits, most: int, reserve: Reserve) -> BinaryIO:
    """What is at a URL, as a temporary file at its start.

    Args:
        url: http or https.
        most: how many bytes it may have.
        reserve: is told how many bytes are about to be kept.

    Raises:
        UploadError: it cannot be had, or lies where clients may not send us; the text is the same for all causes.
        TooLargeError: it has more bytes.

    And whatever ``reserve`` raises.
    """
    file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115  (it is handed on)
    try:
        async with asyncio.timeout(limits.upload_seconds):
            await _fetch(url, limits, most, file, reserve)
    except (_NotFetchedError, TimeoutError):
        file.close()
        raise UploadError(
            f"{_shown(url)} could not be fetched: there has to be a file at an http or https address on the public "
            f"internet, at a usual port, that comes within {limits.upload_seconds} seconds"
        ) from None
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


async def _fetch(url: str, limits: Limits, most: int, file: BinaryIO, reserve: Reserve) -> None:
    import httpx  # with all that it brings only where tables are fetched

    async with httpx.AsyncClient(
        trust_env=False,
        follow_redirects=False,
        timeout=30,
        headers={"User-Agent": f"km3vo/{__version__}", "Accept-Encoding": "identity"},
    ) as client:
        for _ in range(REDIRECTS + 1):
            request = await _addressed(client, url, limits)
            try:
                response = await client.send(request, stream=True)
            except (httpx.HTTPError, ValueError):
                raise _NotFetchedError from None
            try:
                if response.is_redirect:
                    url = urljoin(url, response.headers["location"])
                    continue
                if response.status_code != 200:
                    raise _NotFetchedError
                await _save(response, most, file, reserve)
                return
            except (httpx.HTTPError, ValueError):
                raise _NotFetchedError from None
            finally:
                await response.aclose()
    raise _NotFetchedError


async def _save(response: httpx.Response, most: int, file: BinaryIO, reserve: Reserve) -> None:
    size = 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > most:
            raise TooLargeError(f"uploads by URL may have {most} bytes here; this one has more")
        reserve(len(chunk))
        file.write(chunk)


async def _addressed(client: httpx.AsyncClient, url: str, limits: Limits) -> httpx.Request:
    """A request for a URL, to one of its addresses that may be asked."""
    import httpx

    try:
        target = httpx.URL(url)
        host, port = target.host, SCHEMES.get(target.scheme) if target.port is None else target.port
        if target.scheme not in SCHEMES or not host:
            raise _NotFetchedError
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (httpx.InvalidURL, OSError, ValueError):
        raise _NotFetchedError from None
    addresses = [str(entry[4][0]) for entry in found]
    if host not in limits.upload_hosts and not (port in limits.upload_ports and all(map(is_public, addresses))):
        raise _NotFetchedError
    request = client.build_request("GET", target.copy_with(host=addresses[0], username=None, password=None))
    request.headers["Host"] = target.netloc.decode("ascii")
    request.extensions["sni_hostname"] = host
    return request


def is_public(address: str) -> bool:
    """Whether an address belongs to the public internet, and to a host there: to no relay into another network."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return is_public(str(parsed.ipv4_mapped))
        if parsed not in _UNICAST:
            return False
    return parsed.is_global and not parsed.is_multicast and not any(parsed in network for network in _REFUSED)


def _shown(url: str) -> str:
    return url if len(url) <= 100 else url[:100] + "…"
