"""What the tests of TAP share: a client, jobs, and the schemas of the IVOA from the Debian package python3-gavo."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from lxml import etree

from tests.conftest import Server

SCHEMATA = Path("/usr/lib/python3/dist-packages/gavo/resources/schemata")
UWS = {"uws": "http://www.ivoa.net/xml/UWS/v1.0"}
HREF = "{http://www.w3.org/1999/xlink}href"
QUICK = "SELECT TOP 3 table_name FROM tap_schema.tables"
# The database needs minutes for it, and gives no row before the end.
ENDLESS = "SELECT COUNT(*) FROM icecube.ps3yr AS a, icecube.ps3yr AS b, icecube.ps3yr AS c WHERE a.ra + b.ra < c.dec"


class Client:
    """Someone who uses a TAP service by hand and follows no redirects unasked."""

    def __init__(self, server: Server, **headers: str) -> None:
        self.tap = server.tap
        self.http = httpx.Client(timeout=60, headers=headers)

    def sync(self, query: str, *, files: Any = None, **parameters: Any) -> httpx.Response:
        data = {"QUERY": query, "LANG": "ADQL", "FORMAT": "csv", **parameters}
        return self.http.post(f"{self.tap}/sync", data=data, files=files)

    def rows(self, query: str, **parameters: Any) -> list[dict[str, str]]:
        answer = self.sync(query, **parameters)
        assert answer.status_code == 200, answer.text
        return list(csv.DictReader(io.StringIO(answer.text)))

    def job(self, query: str | None = QUICK, *, files: Any = None, **parameters: Any) -> Job:
        data = {
            key: value for key, value in {"LANG": "ADQL", "QUERY": query, **parameters}.items() if value is not None
        }
        answer = self.http.post(f"{self.tap}/async", data=data, files=files)
        assert answer.status_code == 303, answer.text
        return Job(self.http, answer.headers["location"])


@dataclass
class Job:
    http: httpx.Client
    url: str

    @property
    def id(self) -> str:
        return self.url.rpartition("/")[2]

    def get(self, path: str = "", **parameters: Any) -> httpx.Response:
        return self.http.get(self.url + path, params=parameters)

    def post(self, path: str = "", files: Any = None, **parameters: Any) -> httpx.Response:
        return self.http.post(self.url + path, data=parameters, files=files)

    def xml(self, **parameters: Any) -> etree._Element:
        answer = self.get(**parameters)
        assert answer.status_code == 200, answer.text
        return etree.fromstring(answer.content)

    def text(self, name: str) -> str | None:
        return self.xml().findtext(f"uws:{name}", namespaces=UWS)

    @property
    def phase(self) -> str:
        return self.get("/phase").text

    def end(self) -> str:
        """Wait for the end; returns the phase."""
        while True:
            phase = self.xml(WAIT=30).findtext("uws:phase", namespaces=UWS)
            if phase not in ("PENDING", "QUEUED", "EXECUTING"):
                return str(phase)

    def executing(self) -> None:
        """Wait until it runs."""
        while self.phase == "QUEUED":
            self.get(WAIT=10, PHASE="QUEUED")
        assert self.phase == "EXECUTING"


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    made = Client(server)
    yield made
    made.http.close()


class _Local(etree.Resolver):
    """Finds imported schemas in the package, whatever address they are given."""

    def resolve(self, url: str, public: str, context: Any) -> Any:
        name = url.rpartition("/")[2].replace("-v1.0", "").replace("-v1.1", "")
        file = SCHEMATA / name
        return self.resolve_filename(str(file), context) if file.is_file() else None


def validate(document: bytes, schema: str) -> None:
    """Fail unless a document is valid by a schema of the package. Types of extensions are found by ``schema``."""
    file = SCHEMATA / schema
    if not file.is_file():
        pytest.skip("the Debian package python3-gavo is not installed")
    parser = etree.XMLParser()
    parser.resolvers.add(_Local())
    etree.XMLSchema(etree.parse(str(file), parser)).assertValid(etree.fromstring(document))
