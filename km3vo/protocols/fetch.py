"""Fetching a file that a client names by URL, without becoming the client's hands inside our network.

Every address that a host name stands for is looked at before anything is sent to it, and the connection goes to that
very address, so that a name cannot mean something else a moment later. Redirects go through the same door.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import tempfile
from typing import BinaryIO
from urllib.parse import urljoin

import httpx

from km3vo import __version__
from km3vo.errors import TooLargeError, UploadError
from km3vo.room import Take
from km3vo.settings import Limits

SCHEMES = ("http", "https")
REDIRECTS = 5
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


async def fetch(url: str, limits: Limits, room: int, take: Take) -> BinaryIO:
    """What is at a URL, as a temporary file at its start.

    Args:
        url: http or https.
        room: how many bytes it may have.
        take: is told how many bytes are about to be kept.

    Raises:
        UploadError: it cannot be had, or lies where clients may not send us.
        TooLargeError: it has more bytes.

    And whatever ``take`` raises.
    """
    file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115  (it is handed on)
    try:
        async with asyncio.timeout(limits.upload_seconds):
            await _fetch(url, limits.upload_hosts, room, file, take)
    except TimeoutError:
        file.close()
        raise UploadError(f"{_shown(url)} could not be fetched within {limits.upload_seconds} seconds") from None
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


async def _fetch(url: str, allowed: list[str], room: int, file: BinaryIO, take: Take) -> None:
    async with httpx.AsyncClient(
        trust_env=False,
        follow_redirects=False,
        timeout=30,
        headers={"User-Agent": f"km3vo/{__version__}", "Accept-Encoding": "identity"},
    ) as client:
        for _ in range(REDIRECTS + 1):
            request = await _addressed(client, url, allowed)
            try:
                response = await client.send(request, stream=True)
            except (httpx.HTTPError, ValueError):
                raise UploadError(f"{_shown(url)} cannot be reached") from None
            try:
                if response.is_redirect:
                    url = urljoin(url, response.headers["location"])
                    continue
                if response.status_code != 200:
                    raise UploadError(f"{_shown(url)} answers with HTTP status {response.status_code}")
                await _save(response, room, file, take)
                return
            except httpx.HTTPError:
                raise UploadError(f"{_shown(url)} broke off") from None
            finally:
                await response.aclose()
    raise UploadError(f"{_shown(url)} redirects more than {REDIRECTS} times")


async def _save(response: httpx.Response, room: int, file: BinaryIO, take: Take) -> None:
    size = 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > room:
            raise TooLargeError(f"uploads by URL may have {room} bytes here; this one has more")
        take(len(chunk))
        file.write(chunk)


async def _addressed(client: httpx.AsyncClient, url: str, allowed: list[str]) -> httpx.Request:
    """A request for a URL, to one of its addresses that may be asked."""
    try:
        target = httpx.URL(url)
    except httpx.InvalidURL:
        raise UploadError(f"{_shown(url)} is not a URL") from None
    if target.scheme not in SCHEMES or not target.host:
        raise UploadError(f"{_shown(url)} is no http or https URL")
    host, port = target.host, target.port or (443 if target.scheme == "https" else 80)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        raise UploadError(f"the host {host[:80]} is not known") from None
    addresses = [str(entry[4][0]) for entry in found]
    if host not in allowed and not all(map(is_public, addresses)):
        raise UploadError(f"the host {host[:80]} is not on the public internet, so this service does not ask it")
    request = client.build_request("GET", target.copy_with(host=addresses[0], username=None, password=None))
    request.headers["Host"] = target.netloc.decode("ascii")
    request.extensions["sni_hostname"] = host
    return request


def is_public(address: str) -> bool:
    """Whether an address belongs to the public internet, whatever disguise it wears."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return found.is_global and not found.is_multicast


def _shown(url: str) -> str:
    return url if len(url) <= 100 else url[:100] + "…"
