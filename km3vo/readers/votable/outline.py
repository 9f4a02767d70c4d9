"""Which tables a VOTable holds, seen before any of them is read."""

from __future__ import annotations

import contextlib
import re
from xml.parsers import expat

from km3vo.errors import ReadError
from km3vo.readers.choose import Candidate
from km3vo.readers.content import Content
from km3vo.readers.votable.document import CHUNK, DEPTH, new_parser, pieces
from km3vo.readers.votable.fields import MOST

_TABLE = re.compile(rb"<(?:[\w.-]+:)?TABLE[\s/>]")
_LONGEST_START = 256  # bytes of a TABLE's name with its prefix, at most


def count_tables(content: Content) -> int:
    """How many TABLEs there may be, by the bytes alone; 0 when these are no ASCII."""
    count, rest = 0, b""
    stream = content.stream()
    while chunk := stream.read(CHUNK):
        looked = rest + chunk
        found = list(_TABLE.finditer(looked))
        count += len(found)
        if count > 1:
            break
        # What may be the beginning of a tag; never what was counted.
        rest = looked[max(len(looked) - _LONGEST_START, found[-1].end() if found else 0) :]
    return count


def outline(content: Content) -> list[Candidate]:
    """The tables of a document: those with columns, be they another table's (``ref``)."""
    found: list[tuple[dict[str, str], bool, int]] = []
    path: list[str] = []
    results: list[bool] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        path.append(name)
        if len(path) > DEPTH:
            raise ReadError(f"its elements are nested more than {DEPTH} deep")
        if name == "RESOURCE":
            results.append(attributes.get("type") == "results")
        elif name == "TABLE":
            found.append((attributes, bool(results) and results[-1], int("ref" in attributes)))
            if len(found) > MOST:
                raise ReadError(f"it holds more than {MOST} tables")
        elif name == "FIELD" and len(path) > 1 and path[-2] == "TABLE":
            attributes, result, count = found[-1]
            found[-1] = (attributes, result, count + 1)

    def end(name: str) -> None:
        if path.pop() == "RESOURCE":
            results.pop()

    parser = new_parser()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    with contextlib.suppress(expat.ExpatError):  # told when it is read
        for _ in pieces(parser, content):
            pass
    tables = [(place, *each) for place, each in enumerate(found) if each[2]]
    return [
        Candidate(place, number, (attributes.get("name", ""), attributes.get("ID", "")), result)
        for number, (place, attributes, result, _) in enumerate(tables, 1)
    ] or [Candidate(0, 1, ())]
