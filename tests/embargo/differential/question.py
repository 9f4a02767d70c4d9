"""Requests that are made to both servers, and an endless supply of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from tests.embargo.differential.client import Answer, Client
from tests.embargo.differential.queries import Queries

FORMATS = ("csv", "votable/td", "votable/b2", "tsv", "json", "fits", "votable")
UPLOAD = (
    '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE>'
    '<FIELD name="name" datatype="char" arraysize="*"/><FIELD name="ra" datatype="double"/>'
    '<FIELD name="dec" datatype="double"/><FIELD name="n" datatype="int"/><DATA><TABLEDATA>'
    "<TR><TD>e17</TD><TD>10</TD><TD>20</TD><TD>5</TD></TR><TR><TD>h17</TD><TD>200</TD><TD>-40</TD><TD>123</TD></TR>"
    "<TR><TD>e40</TD><TD>10.2</TD><TD>20.1</TD><TD>1</TD></TR></TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
)
BOUNDARY = "a-boundary-that-nothing-holds"


@dataclass
class Question:
    """A request, to be made of both."""

    method: str
    path: str
    parameters: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    upload: bool = False

    def ask(self, client: Client) -> Answer:
        target = quote(self.path, safe="/:.~")
        headers = {"Host": "vo.test", "User-Agent": "differential"} | self.headers
        if self.upload:
            headers["Content-Type"] = f"multipart/form-data; boundary={BOUNDARY}"
            return client.ask("POST", target, multipart(self.parameters | {"UPLOAD": "mine,param:mine"}), headers)
        encoded = urlencode(self.parameters)
        if self.method in ("GET", "HEAD"):
            return client.ask(self.method, f"{target}?{encoded}" if encoded else target, headers=headers)
        if encoded:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        return client.ask(self.method, target, encoded.encode(), headers)


def multipart(parameters: dict[str, str]) -> bytes:
    """A form with these fields, and the uploaded table as the file `mine` (RFC 7578)."""
    parts = [(f'name="{name}"', value) for name, value in parameters.items()]
    parts.append(('name="mine"; filename="mine.vot"', UPLOAD))
    lines = [f"--{BOUNDARY}\r\nContent-Disposition: form-data; {name}\r\n\r\n{value}\r\n" for name, value in parts]
    return "".join([*lines, f"--{BOUNDARY}--\r\n"]).encode()


def tap(query: str, chooser: random.Random) -> Question:
    """A query as a request for /tap/sync, in any of the ways that there are."""
    parameters = {"LANG": "ADQL", "QUERY": query, "RESPONSEFORMAT": chooser.choice(FORMATS)}
    if chooser.random() < 0.2:
        parameters["MAXREC"] = chooser.choice(["0", "1", "10", "1000000"])
    headers = {"Accept-Encoding": "gzip"} if chooser.random() < 0.2 else {"Accept-Encoding": "identity"}
    method = "POST" if chooser.random() < 0.3 else "GET"
    return Question(method, "/tap/sync", parameters, headers, upload="tap_upload" in query)


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


def questions(count: int, seed: int) -> Iterator[Question]:
    """Queries and cone searches."""
    chooser, queries = random.Random(seed), Queries(seed)
    for number in range(count):
        if number % 12 == 0:
            yield cone(chooser)
        else:
            yield tap(next(queries), chooser)
