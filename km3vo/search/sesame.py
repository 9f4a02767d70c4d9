"""Names of objects, asked of CDS's Sesame: an address in the settings, three seconds, and each name once a day."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from urllib.parse import quote

import httpx
from lxml import etree

from km3vo import __version__
from km3vo.search.targets import Target

SECONDS = 3.0
DAY = 24 * 3600.0
REMEMBERED = 5000  # names
MOST_BYTES = 2**18
AT_ONCE = 4  # so that whoever asks for many names does not make us trouble others


class UnansweredError(Exception):
    """Sesame did not answer, in time or in words that can be understood."""


class Sesame:
    """The resolver at ``url``; one per server process."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._known: OrderedDict[str, tuple[float, Target | None]] = OrderedDict()
        self._places = asyncio.Semaphore(AT_ONCE)

    async def find(self, name: str) -> Target | None:
        """Where an object is; None when nobody knows it.

        Raises:
            UnansweredError: it cannot be told just now.
        """
        key = name.lower()
        kept = self._known.get(key)
        if kept is not None and kept[0] > time.monotonic():
            return kept[1]
        if not self._url:
            raise UnansweredError
        try:
            async with asyncio.timeout(SECONDS), self._places:
                found = _read(await self._ask(name))
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, etree.XMLSyntaxError, ValueError):
            raise UnansweredError from None
        self._known[key] = time.monotonic() + DAY, found
        self._known.move_to_end(key)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return found

    async def _ask(self, name: str) -> bytes:
        headers = {"User-Agent": f"km3vo/{__version__}", "Accept-Encoding": "identity"}
        async with (
            httpx.AsyncClient(timeout=SECONDS, trust_env=False, headers=headers) as client,
            client.stream("GET", f"{self._url}/-oxp/SNV?{quote(name, safe='')}") as answer,
        ):
            answer.raise_for_status()
            content = b""
            async for piece in answer.aiter_raw():
                content += piece
                if len(content) > MOST_BYTES:
                    raise ValueError("too long")
            return content


def _read(document: bytes) -> Target | None:
    """The first position in an answer (Sesame 4). Entities stay as they are: they may grow without end."""
    root = etree.fromstring(document, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))
    if etree.QName(root).localname != "Sesame":
        raise ValueError("not Sesame's")
    for resolver in root.iterfind(".//{*}Resolver"):
        ra, dec = resolver.findtext("{*}jradeg"), resolver.findtext("{*}jdedeg")
        if ra and dec:
            place = float(ra), float(dec)
            if not (math.isfinite(place[0]) and 0 <= place[0] <= 360 and -90 <= place[1] <= 90):
                raise ValueError("not on the sky")
            return Target(place[0] % 360, place[1], "as CDS's Sesame says")
    return None
