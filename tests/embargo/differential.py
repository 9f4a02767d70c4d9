"""Two servers, one with embargoed events behind it and one without: does any answer tell them apart?"""

from __future__ import annotations

import io
import random
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg

from km3vo.catalog.files import read_catalog
from km3vo.catalog.model import Catalog
from km3vo.registry.announce import announce
from km3vo.settings import Settings
from km3vo.store.database import INGEST, OWNER, SERVICE, Database
from tests.conftest import Server, serve
from tests.embargo.conftest import SCHEMAS
from tests.embargo.lab import paths
from tests.embargo.queries import Queries

URL = "http://vo.test"
LOOKED = "2025-06-01T00:00:00Z"  # the clock of the last look, which is public
FORMATS = ("csv", "votable/td", "votable/b2", "tsv", "json", "fits", "votable")
UPLOAD = (
    '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE>'
    '<FIELD name="name" datatype="char" arraysize="*"/><FIELD name="ra" datatype="double"/>'
    '<FIELD name="dec" datatype="double"/><FIELD name="n" datatype="int"/><DATA><TABLEDATA>'
    "<TR><TD>e17</TD><TD>10</TD><TD>20</TD><TD>5</TD></TR><TR><TD>h17</TD><TD>200</TD><TD>-40</TD><TD>123</TD></TR>"
    "<TR><TD>e40</TD><TD>10.2</TD><TD>20.1</TD><TD>1</TD></TR></TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
)

# Events that became public long ago; what is in them is harmless.
PUBLIC_EVENTS = """
INSERT INTO {} (event_id, mjd, obs_time, ra, dec, err50, energy, nhits, tag)
SELECT 'e' || n, 57000 + n, timestamp '2014-12-09' + n * interval '1 day', mod(10 + n * 0.37, 360),
    20 - mod(n * 0.11, 70), 0.5 + n % 3, 10 + n, 200 + n % 50, (n % 30)::text FROM generate_series(1, 400) AS n
"""
# Events under embargo: every value that could raise an error or change a result somewhere.
HIDDEN_EVENTS = """
INSERT INTO lab.events (event_id, mjd, obs_time, ra, dec, err50, energy, nhits, tag)
SELECT CASE WHEN n % 5 = 0 THEN 'h' ELSE 'secret' END || n, 60000.5, timestamp '2090-01-01' + n * interval '1 day',
    mod(10 + n * 0.01, 360), 20, CASE n % 4 WHEN 0 THEN 89 ELSE 1 END, CASE n % 3 WHEN 0 THEN -5 WHEN 1 THEN 1e300 END,
    CASE n % 4 WHEN 0 THEN 123 WHEN 1 THEN 2000000000 ELSE 200 + n % 50 END,
    CASE n % 4 WHEN 0 THEN 'secret' WHEN 1 THEN '%' WHEN 2 THEN '99999999999' END FROM generate_series(1, 2000) AS n
"""
PUBLIC_ALERTS = """
INSERT INTO lab.alerts (number, obs_time, event_id)
SELECT n, timestamp '2020-01-01' + n * interval '1 hour', CASE n % 3 WHEN 0 THEN 'e' || n WHEN 1 THEN 'h' || n * 5 END
FROM generate_series(1, 100) AS n
"""
HIDDEN_ALERTS = """
INSERT INTO lab.alerts (number, obs_time, event_id)
SELECT CASE WHEN n = 1 THEN 9223372036854775807 ELSE 100 + n END, timestamp '2090-01-01', 'e' || n
FROM generate_series(1, 300) AS n
"""


def fill(database: Database) -> None:
    """Load what is public, and release it."""
    with database.connect(INGEST, autocommit=True) as loader:
        for statement in (PUBLIC_EVENTS.format("lab.events"), PUBLIC_EVENTS.format("lab.known"), PUBLIC_ALERTS):
            loader.execute(statement)  # type: ignore[arg-type]
        loader.execute(
            "INSERT INTO km3vo.load (published, sha256, file, rows) VALUES ('lab.events', 'x', 'x', 400), "
            "('lab.alerts', 'x', 'x', 100), ('lab.known', 'x', 'x', 400)"
        )
    with database.connect(OWNER, autocommit=True) as owner:
        owner.execute("SELECT km3vo.set_quality('lab.events', 'passed', NULL, '', '')")
        for name in ("lab.events", "lab.alerts"):
            owner.execute("SELECT km3vo.promote(%s, 10000, %s)", (name, LOOKED))
        owner.execute("ANALYZE")
    announce(Settings(schemas=SCHEMAS, url=URL), database, read_catalog(SCHEMAS))


def hide(database: Database) -> None:
    """Load what is under embargo, as a loader does."""
    with database.connect(INGEST, autocommit=True) as loader:
        loader.execute(HIDDEN_EVENTS)
        loader.execute(HIDDEN_ALERTS)
        loader.execute("INSERT INTO km3vo.load (published, sha256, file, rows) VALUES ('lab.events', 'y', 'y', 2000)")
    with database.connect(OWNER, autocommit=True) as owner:
        owner.execute("SELECT km3vo.set_quality('lab.events', 'passed', NULL, '', '')")
        for name in ("lab.events", "lab.alerts"):
            owner.execute("SELECT km3vo.promote(%s, 10000, %s)", (name, LOOKED))
        owner.execute("ANALYZE")


@contextmanager
def served(database: Database, home: Path, catalog: Catalog) -> Iterator[Server]:
    """A server for a database, with everything announced."""
    changes: dict[str, Any] = {"schemas": SCHEMAS, "promote_seconds": 0, "announce_seconds": 0, "url": URL}
    with serve(database, home, **changes) as server:
        announce(server.settings, database, catalog)
        yield server


@dataclass
class Question:
    """A request, to be made twice."""

    method: str
    path: str
    parameters: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    upload: bool = False

    def ask(self, client: httpx.Client) -> httpx.Response:
        headers = {"Host": "vo.test", **self.headers}
        if self.upload:
            return client.post(
                self.path,
                data=self.parameters | {"UPLOAD": "mine,param:mine"},
                files={"mine": ("mine.vot", io.BytesIO(UPLOAD.encode()))},
                headers=headers,
            )
        if self.method == "GET":
            return client.get(self.path, params=self.parameters, headers=headers)
        return client.request(self.method, self.path, data=self.parameters or None, headers=headers)


def tap(query: str, chooser: random.Random) -> Question:
    """A query as a request for /tap/sync, in any of the ways that there are."""
    parameters = {"LANG": "ADQL", "QUERY": query, "RESPONSEFORMAT": chooser.choice(FORMATS)}
    if chooser.random() < 0.2:
        parameters["MAXREC"] = chooser.choice(["0", "1", "10", "1000000"])
    headers = {"Accept-Encoding": "gzip"} if chooser.random() < 0.2 else {"Accept-Encoding": "identity"}
    method = "POST" if chooser.random() < 0.3 else "GET"
    return Question(method, "/tap/sync", parameters, headers, upload="tap_upload" in query)


TIMES = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?|\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?( UTC)?")
REQUEST_TIME = re.compile(rb"(?<=request_date|responseDate)[^0-9]{1,12}\d{4}-\d\d-\d\dT[\d:.]+|(?<=upSince>)[^<]+")
# Made by chance: jobs' ids, and what is written in base64 cannot hold a clock.
CHANCE = re.compile(rb"(?<=/async/)[A-Za-z0-9_-]{8,}|(?<=jobId>)[A-Za-z0-9_-]{8,}")


def normal(body: bytes, ports: Iterable[int]) -> bytes:
    """An answer without ids and clocks: times of this hour, and where the server happens to listen."""
    now = datetime.now(UTC).replace(tzinfo=None)

    def clock(found: re.Match[bytes]) -> bytes:
        text = found[0].decode().rstrip("Z").removesuffix(" UTC").replace(" ", "T")
        try:
            moment = datetime.fromisoformat(text)
            # Jobs are destroyed a week after they were made.
            near = any(abs(moment - base) < timedelta(hours=2) for base in (now, now + timedelta(days=7)))
        except ValueError:
            near = False
        return b"NOW" if near else found[0]

    for port in ports:
        body = body.replace(f"127.0.0.1:{port}".encode(), b"HOST")
    return CHANCE.sub(b"ID", TIMES.sub(clock, body))


# Not compared: when it was sent, and for how long the connection stays open.
CLOCKS = {"date", "last-modified", "age"}


class Pair:
    """The two servers. Every question goes to both."""

    def __init__(self, bare: Server, loaded: Server) -> None:
        self.clients = [
            httpx.Client(base_url=f"http://127.0.0.1:{one.settings.port}", timeout=120) for one in (bare, loaded)
        ]
        self.ports = [one.settings.port for one in (bare, loaded)]
        self.paths, _ = paths(bare.app), paths(loaded.app)
        self.threads = ThreadPoolExecutor(8)
        self.statuses: dict[int, int] = {}

    def close(self) -> None:
        self.threads.shutdown(cancel_futures=True)
        for client in self.clients:
            client.close()

    def difference(self, question: Question) -> str | None:
        """What tells the two apart, or None."""
        answers = [question.ask(client) for client in self.clients]
        seen = []
        for answer in answers:
            body = normal(answer.content, self.ports)
            headers = {
                name: normal(value.encode(), self.ports).decode()
                for name, value in answer.headers.items()
                if name not in CLOCKS
            }
            if body != answer.content or question.method == "HEAD":
                for hashed in ("content-length", "etag", "repr-digest"):  # of clocks as well
                    headers.pop(hashed, None)
            seen.append((answer.status_code, headers, body))
        self.statuses[answers[0].status_code] = self.statuses.get(answers[0].status_code, 0) + 1
        if seen[0] == seen[1]:
            return None
        return f"{question}\n{first(*map(repr, seen))}"

    def differences(self, questions: Iterable[Question]) -> Iterator[str]:
        """What tells the two apart, question by question."""
        for found in self.threads.map(self.difference, questions):
            if found:
                yield found


def first(bare: str, loaded: str) -> str:
    """Where two texts begin to differ, and what surrounds it."""
    place = next((n for n, (a, b) in enumerate(zip(bare, loaded, strict=False)) if a != b), min(len(bare), len(loaded)))
    part = slice(max(0, place - 150), place + 150)
    return f"without: {bare[part]}\nwith:    {loaded[part]}"


def undated(body: bytes) -> bytes:
    """An answer without the time at which it was asked for; every other time stays."""
    return REQUEST_TIME.sub(b"", body)


def questions(count: int, seed: int) -> Iterator[Question]:
    """Queries and cone searches."""
    chooser, queries = random.Random(seed), Queries(seed)
    for number in range(count):
        if number % 12 == 0:
            yield cone(chooser)
        else:
            yield tap(next(queries), chooser)


def cone(chooser: random.Random) -> Question:
    """A cone search, sometimes a wrong one."""
    ra, dec = chooser.choice(
        [(10, 20), (200, -40), (0, 90), (359.99, -90), (chooser.uniform(0, 360), chooser.uniform(-90, 90))]
    )
    parameters = {
        "RA": f"{ra}",
        "DEC": f"{dec}",
        "SR": chooser.choice(["0", "0.1", "1", "20", "90", "179", "180", "-1", "x", ""]),
        "VERB": chooser.choice(["1", "2", "3"]),
    }
    if chooser.random() < 0.3:
        parameters["MAXREC"] = chooser.choice(["0", "1", "7"])
    if chooser.random() < 0.5:
        parameters["RESPONSEFORMAT"] = chooser.choice(FORMATS)
    return Question("GET", chooser.choice(["/scs/lab/events", "/scs/lab/known"]), parameters)


def sizes(database: Database) -> tuple[int, int]:
    """How many events a member sees, and the public."""
    with database.connect(SERVICE):
        pass
    with (
        psycopg.connect(database.conninfo("km3vo_member")) as member,
        psycopg.connect(database.conninfo("km3vo_public")) as public,
    ):
        seen = member.execute("SELECT count(*) FROM lab.events").fetchone()
        shown = public.execute("SELECT count(*) FROM lab.events_public").fetchone()
    assert seen and shown
    return seen[0], shown[0]
