"""TAP by hand: a client, its jobs, and queries that are quick, endless, or wrong."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
from lxml import etree

from km3vo.database.logins import OWNER, Database
from km3vo.embargo import tokens
from tests.support.server import Server

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


def member(server: Server, name: str) -> dict[str, str]:
    """The headers of a member's requests."""
    return _with_token(server, name, "member")


def program(server: Server, name: str) -> dict[str, str]:
    """The headers of the requests of a program that sends alerts under a name."""
    return _with_token(server, name, "public", "alerts:write")


def _with_token(server: Server, name: str, audience: str, *scopes: str) -> dict[str, str]:
    with server.app.state.service.database.connect(OWNER) as owner:
        _, token = tokens.create(
            owner, name, audience=audience, label="test", valid=timedelta(days=1), by="me", scopes=scopes
        )
    return {"Authorization": f"Bearer {token}"}


def late_mistake(database: Database) -> str:
    """A query of 600,000 rows that divides by zero in the last of a table's."""
    with database.connect() as admin:
        ((mjd,),) = admin.execute("SELECT mjd FROM icecube.ps3yr ORDER BY ctid DESC LIMIT 1").fetchall()
    return f"SELECT a.id, b.id, 1 / (a.mjd - {mjd!r}) AS x FROM icecube.ps3yr AS a, ant20_01.main AS b"
