"""The addresses of the service and of its clients, as requests show them."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.requests import Request

from km3vo.errors import SetupError
from km3vo.protocols.http.proxies import HOST, address
from km3vo.protocols.http.scope import PREFIX_KEY
from km3vo.settings import Settings

LOCAL = ("localhost", "127.0.0.1", "[::1]")


def check_url(settings: Settings) -> None:
    """Whether the service can be at the address of the settings.

    Raises:
        SetupError: KM3VO_URL is not the address of a whole host.
    """
    place = urlsplit(settings.url)
    if settings.url and (
        place.scheme not in ("http", "https")
        or not HOST.fullmatch(place.netloc)
        or place.path not in ("", "/")
        or place.query
        or place.fragment
    ):
        raise SetupError(f"KM3VO_URL is {settings.url}: write a host alone, without a path, as https://vo.example.org")


def base_url(request: Request, settings: Settings) -> str:
    """The address of the service as the client knows it, without a slash at the end.

    It is the one of the settings; without one the one that was asked, if the settings know its host; else the address
    that the service listens on.
    """
    host = request.headers.get("host", "")
    if settings.url or not HOST.fullmatch(host):
        return settings.base_url
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    known = (*LOCAL, settings.host, *settings.hosts)
    return f"{request.scope['scheme']}://{host}" if name.lower() in known else settings.base_url


def asked_url(request: Request, settings: Settings) -> str:
    """The whole address that was asked for, as the client knows the service: not as the header Host would have it."""
    query = request.scope["query_string"].decode()
    path: str = request.scope.get(PREFIX_KEY, "") + request.scope["path"]
    return base_url(request, settings) + path + (f"?{query}" if query else "")


def client_network(request: Request) -> str:
    """Where a request comes from: its address, or the network of an IPv6 address, which one client has for itself.

    Behind a proxy that the settings name it is the address that the proxy tells (proxies.py).
    """
    host = request.client.host if request.client else ""
    parsed = address(host)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed) if parsed else host
