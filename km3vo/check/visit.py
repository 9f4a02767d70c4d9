"""Fetching documents of a service that is looked at from outside, as its clients do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
from lxml import etree

from km3vo.check.schemas import Schemas

XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"


@dataclass(frozen=True, slots=True)
class Answer:
    """A document that came: its status, media type and bytes; or why none came."""

    url: str
    status: int
    kind: str
    body: bytes
    failed: str = ""

    def tree(self) -> Any:
        """The document as XML, or None when it is none."""
        try:
            return etree.fromstring(self.body, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True))
        except etree.XMLSyntaxError:
            return None

    def mistakes(self, schemas: Schemas | None = None, *, status: int = 200) -> list[str]:
        """What is wrong with an XML document: that it did not come, or does not follow its schema."""
        if self.failed:
            return [f"{self.url}: {self.failed}"]
        if self.status != status:
            return [f"{self.url}: HTTP status {self.status} and not {status}"]
        if schemas is not None:
            return [f"{self.url}: {mistake}" for mistake in schemas.mistakes(self.body)]
        return [] if self.tree() is not None else [f"{self.url}: not well-formed XML"]


class Visitor:
    """Fetches documents from a service."""

    def __init__(self, base: str) -> None:
        self.base = base.rstrip("/")
        self._client = httpx.Client(timeout=120, follow_redirects=True, headers={"User-Agent": "km3vo-check"})

    def get(self, url: str, **parameters: str) -> Answer:
        """Fetch a document; ``url`` is whole, or begins with a slash below the service's address."""
        whole = self.base + url if url.startswith("/") else url
        try:
            answer = self._client.get(whole, params=parameters or None)
        except httpx.HTTPError as error:
            return Answer(whole, 0, "", b"", f"no answer ({type(error).__name__})")
        kind = answer.headers.get("content-type", "").partition(";")[0].strip()
        return Answer(str(answer.url), answer.status_code, kind, answer.content)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
