"""Which client asked for what, where a proxy stands before the service (RFC 7239, and the X-Forwarded headers).

Only proxies that the settings name are believed: anybody can send these headers.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache

from starlette.types import Scope

from km3vo.errors import SetupError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

HOST = re.compile(r"(?:[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_BETWEEN = re.compile("[,;]")
_PAIR = re.compile(r'\s*([A-Za-z]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;,"]*)\s*')


class Proxies:
    """The proxies that are believed.

    Raises:
        SetupError: one of them is neither an address nor a network.
    """

    def __init__(self, networks: Sequence[str]) -> None:
        try:
            self._networks = [ipaddress.ip_network(network, strict=False) for network in networks]
        except ValueError as error:
            raise SetupError(f"KM3VO_PROXIES: {error}; write addresses or networks such as 10.0.0.0/8") from None
        self.trusts = lru_cache(4096)(self._trusts)

    def _trusts(self, host: str) -> bool:
        """Whether a connection from this address is believed when it says for whom it asks."""
        found = address(host)
        return found is not None and any(found in network for network in self._networks)

    def apply(self, scope: Scope) -> bool:
        """Put the client, the scheme and the host that a proxy tells of into a request's scope.

        Returns:
            whether a proxy that is believed sent the request.
        """
        client = scope["client"]
        if client is None or not self.trusts(client[0]):
            return False
        told = _told(scope["headers"])
        if any(told.values()):
            self._take(scope, told)
        return True

    def _take(self, scope: Scope, told: dict[str, list[str]]) -> None:
        # Each proxy appends whom it was asked by: the last address that is not a proxy's own is the client's.
        for host in reversed(told["for"]):
            scope["client"] = (host, 0)
            if not self.trusts(host):
                break
        if told["proto"] and told["proto"][-1] in ("http", "https"):
            scope["scheme"] = told["proto"][-1]
        if told["host"] and HOST.fullmatch(told["host"][-1]):
            others = [pair for pair in scope["headers"] if pair[0] != b"host"]
            scope["headers"] = [(b"host", told["host"][-1].encode()), *others]


@lru_cache(4096)
def address(host: str) -> Address | None:
    """The address that a text says, an IPv4 address for one that is mapped into IPv6; None when it says none."""
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _told(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, list[str]]:
    """What the headers say of the client (``for``), the scheme (``proto``) and the ``host``, the nearest proxy's last.

    Forwarded counts only without any X-Forwarded header: a proxy that writes one kind lets the other through.
    """
    told: dict[str, list[str]] = {"for": [], "proto": [], "host": []}
    forwarded: list[str] = []
    older = False
    for name, value in headers:
        if name == b"forwarded":
            forwarded.append(value.decode("latin-1"))
        elif name.startswith(b"x-forwarded-"):
            key = name.removeprefix(b"x-forwarded-").decode("latin-1")
            if key in told:
                older = True
                told[key] += [word.strip() for word in value.decode("latin-1").split(",")]
    if forwarded and not older:
        for element in _elements(",".join(forwarded)):
            for key in told.keys() & element.keys():
                told[key].append(element[key])
    told["for"] = [host for text in told["for"] if (host := _host(text))]
    return told


def _elements(text: str) -> list[dict[str, str]]:
    """The elements of a Forwarded header, each with its pairs (RFC 7239 §4); what is malformed is left out."""
    elements: list[dict[str, str]] = [{}]
    place = 0
    while place < len(text):
        if pair := _PAIR.match(text, place):
            value = pair[2]
            elements[-1][pair[1].lower()] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value[:1] == '"' else value
            place = pair.end()
        else:
            # On to the next pair: to look for one at each letter takes a minute for 60,000 of them.
            between = _BETWEEN.search(text, place)
            if between is None:
                break
            if between[0] == ",":
                elements.append({})
            place = between.end()
    return elements


def _host(text: str) -> str | None:
    """The address in a node's name, without its port (RFC 7239 §6); None for what is none, such as ``unknown``."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    found = address(text)
    return str(found) if found else None
