"""The registry as a client sees it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
from lxml import etree

from km3vo.database.logins import Database
from km3vo.registry.refresh import refresh_metadata
from tests.support.server import Server

OAI = "{http://www.openarchives.org/OAI/2.0/}"
RI = "{http://www.ivoa.net/xml/RegistryInterface/v1.0}"
XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"


def tell(running: Server, database: Database) -> list[str]:
    """Do what the service does every so often; the identifiers of the records that changed."""
    return refresh_metadata(running.settings, database, running.app.state.service.published)


class Registry:
    """The registry as a client sees it."""

    def __init__(self, base: str) -> None:
        self.base = base

    def get(self, **arguments: str) -> etree._Element:
        """The answer to a request."""
        return etree.fromstring(self.raw(**arguments))

    def raw(self, **arguments: str) -> bytes:
        """The answer as bytes."""
        names = {name.removesuffix("_"): value for name, value in arguments.items()}
        answer = httpx.get(f"{self.base}/oai", params=names)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/xml")
        return answer.content

    def code(self, **arguments: str) -> str | None:
        """The code of the error that a request gets, or None."""
        error = self.get(**arguments).find(f"{OAI}error")
        return None if error is None else error.get("code")

    def pages(self, verb: str = "ListRecords", **arguments: str) -> Iterator[etree._Element]:
        """The pages of a list."""
        wanted = {"metadataPrefix": "ivo_vor", **arguments}
        while True:
            content = self.get(verb=verb, **wanted).find(f"{OAI}{verb}")
            if content is None:
                return
            yield content
            token = content.findtext(f"{OAI}resumptionToken")
            if not token:
                return
            wanted = {"resumptionToken": token}

    def records(self, **arguments: str) -> list[etree._Element]:
        """All records of a list."""
        return [record for page in self.pages(**arguments) for record in page.findall(f"{OAI}record")]

    def resources(self, kind: str = "") -> list[etree._Element]:
        """The resources of all records, or of those of a type."""
        found = [record.find(f"{OAI}metadata/{RI}Resource") for record in self.records()]
        return [resource for resource in found if resource is not None and kind in ("", resource.get(XSI_TYPE))]
