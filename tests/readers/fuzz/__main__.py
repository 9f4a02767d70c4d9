"""Read damaged files in a process of little memory, and compare what is read with what others read."""

from __future__ import annotations

import argparse
import io
import json
import random
import re
import resource
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from km3vo.errors import Km3voError
from km3vo.readers.content import Content
from km3vo.readers.formats import open_table
from km3vo.readers.opened import Options
from km3vo.uploads.files import ReadTable, read_file
from tests.readers.fuzz import independent
from tests.readers.fuzz.corpus import File, corpus
from tests.readers.fuzz.mutations import mutated
from tests.support.random_tables import meaning

ROOM = 768 * 2**20  # that the readers have, besides what is loaded before
_SHOWN = 40


class Outcomes:
    """How many files were read and refused, and what went wrong."""

    def __init__(self, keep: Path | None) -> None:
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self.slowest = 0.0
        self._keep = keep

    def fault(self, what: str, file: File, content: bytes) -> None:
        """Note a fault, and keep the file."""
        self.counts["faults"] += 1
        if len(self.faults) < _SHOWN:
            self.faults.append(f"{file.name}: {what}")
            if self._keep is not None:
                self._keep.mkdir(exist_ok=True)
                (self._keep / f"{len(self.faults):03}.{file.kind}").write_bytes(content)


def look(file: File, content: bytes, outcomes: Outcomes) -> None:
    """Read a file as an upload and, if that succeeds, otherwise."""
    started = time.process_time()
    try:
        table = read_file(io.BytesIO(content), most_rows=100_000, most_bytes=64 * 2**20)
    except Km3voError as error:
        outcomes.counts[f"{file.kind} refused"] += 1
        if "\n" in str(error) and "Traceback" in str(error):
            outcomes.fault(f"a traceback in {error}", file, content)
        return
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        outcomes.fault(f"broke: {error!r} in {where.filename}:{where.lineno}", file, content)
        return
    finally:
        outcomes.slowest = max(outcomes.slowest, time.process_time() - started)
    outcomes.counts[f"{file.kind} read"] += 1
    is_text = file.kind in ("csv", "tsv")
    wrong = text_differs(table, file, content) if is_text else differs(table, file, content, outcomes)
    if wrong:
        outcomes.fault(wrong, file, content)


def differs(table: ReadTable, file: File, content: bytes, outcomes: Outcomes) -> str:
    """What an independent reader finds otherwise in a file, in words; "" for nothing."""
    if file.name.endswith("05_fits_TNULL_scaled.fits") or any("turned into" in remark for remark in table.remarks):
        return ""  # astropy 8 reads scaled missing numbers as numbers, and keeps units and frames
    if b"<BINARY" in content and re.search(rb'arraysize="[0-9x]+x\*"', content):
        return ""  # astropy 8 counts rows of such arrays where STIL counts numbers
    try:
        cells = independent.read(content, file.kind)
    except independent.Refused as refused:
        outcomes.counts[f"{file.kind} read, refused by others"] += 1
        try:
            cells = independent.read(content, file.kind, strict=False)
        except independent.Refused:
            outcomes.counts[f"{file.kind} others: {_kind_of(str(refused))}"] += 1
            return ""
    found = [column.to_pylist() for column in table.rows.columns]
    if len(found) != len(cells):
        return f"{len(found)} columns instead of {len(cells)}"
    for column, ours, theirs in zip(table.columns, found, cells, strict=True):
        if len(ours) == len(theirs) and (
            b"<BINARY2>" in content or "TableHDU" in file.name
        ):  # what astropy has below a flag, and 0 for blanks
            theirs = [None if one is None else other for one, other in zip(ours, theirs, strict=True)]
        wrong = first_difference([meaning(cell) for cell in ours], theirs)
        if wrong:
            return f"column {column.name} ({column.datatype}, {column.arraysize}): {wrong}"
    return ""


def _kind_of(refusal: str) -> str:
    return re.sub(r"[^A-Za-z ]+", " ", refusal)[:50]


def first_difference(ours: list[Any], theirs: list[Any]) -> str:
    if len(ours) != len(theirs):
        return f"{len(ours)} rows instead of {len(theirs)}"
    for row, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        if not alike(one, other):
            return f"row {row}: {one!r} instead of {other!r}"[:300]
    return ""


def alike(one: Any, other: Any) -> bool:
    """Whether two cells are equal, but for what astropy does not tell: of booleans in BINARY and FITS only T is true,
    and none is missing; a NUL does not end a text; one number in a list is a number.
    """
    if isinstance(one, bool | None) and isinstance(other, bool):
        return True
    if isinstance(other, str) and "\0" in other:
        return True
    if isinstance(one, str) and not isinstance(other, str) and one[:1] in "[{":  # objects in JSON are texts here
        known = json.loads(one)
        return alike(known, other) or (not known and other is None)
    if isinstance(one, str | None) and isinstance(other, str | None):
        written = (other or "").strip()
        # A day is its midnight, and times are kept to the microsecond.
        return (one or "").strip() in (written, f"{written}T00:00:00") or _moment(one or "") == _moment(written)
    if isinstance(other, list) and len(other) == 1 and not isinstance(one, list):
        return alike(one, other[0])
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        # A list of floats that astropy keeps in double precision.
        return one == other or (one != one and other != other) or one == float(np.float32(other))
    if one is None and isinstance(other, float):
        return other != other
    return bool(one == other) or (one in (None, "") and other in (None, ""))


def _moment(text: str) -> tuple[str, int] | str:
    found = re.fullmatch(r"([-\dT:]{19})\.(\d{1,9})", text)
    return (found[1], round(float(f"0.{found[2]}") * 1e6)) if found else text


def text_differs(table: ReadTable, file: File, content: bytes) -> str:
    """Whether the texts of a file say something else than its inferred columns, or Python's csv reader finds others."""
    delimiter = "," if file.kind == "csv" else "\t"
    texts = _texts(content, file.kind)
    if texts is None:
        return ""
    rows, remarks = texts
    if not remarks:
        try:
            theirs = independent.texts(content, delimiter)
        except independent.Refused as refused:
            return f"read, though {refused}"
        mine = [[cell or "" for cell in row] for row in rows]
        if theirs[1:] != mine:
            return f"rows {mine[:2]!r} instead of {theirs[1:3]!r}"[:300]
    if len(table.columns) != (len(rows[0]) if rows else len(table.columns)) or remarks or table.remarks:
        return ""
    for place, (column, cells) in enumerate(zip(table.columns, table.rows.columns, strict=True)):
        for row, (cell, text) in enumerate(zip(cells.to_pylist(), (row[place] for row in rows), strict=True)):
            if not _says(cell, text or "", column.datatype, column.xtype):
                return f"column {column.name} ({column.datatype}), row {row}: {cell!r} for {text!r}"
    return ""


def _texts(content: bytes, kind: str) -> tuple[list[list[str | None]], list[str]] | None:
    """The rows of a text file as ``km3vo load`` sees them."""
    told: list[str] = []
    try:
        opened = open_table(Content(io.BytesIO(content)), lambda line, text: told.append(text), Options(), f"f.{kind}")
        rows: list[list[str | None]] = []
        for block in opened.blocks:
            rows += map(list, zip(*(cells.to_pylist() for cells in block.columns), strict=True))
    except Km3voError:
        return None
    return None if told else (rows, opened.remarks)


def _says(cell: Any, text: str, datatype: str, xtype: str | None) -> bool:
    if isinstance(cell, str):
        return cell == text
    try:
        expected = independent.cell(text, datatype, xtype)
    except independent.Refused:
        return False
    return alike(meaning(cell), meaning(expected))


def main() -> None:
    """Read so many files, and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", help="files of one format alone")
    parser.add_argument("--keep", type=Path, help="a folder for the files with faults")
    parser.add_argument("folders", nargs="*", type=Path, help="folders with more files")
    given = parser.parse_args()
    files = [file for file in corpus(given.folders) if given.kind in (None, file.kind)]
    outcomes = Outcomes(given.keep)
    for file in files:
        look(file, file.content, outcomes)  # and all that is imported late is loaded
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, size + ROOM))
    rng = random.Random(given.seed)
    outcomes.counts.clear()
    before = list(outcomes.faults)
    for _ in range(given.files):
        file = rng.choice(files)
        look(file, mutated(file.content, file.kind, rng), outcomes)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    found = {"corpus": len(files), "counts": dict(sorted(outcomes.counts.items())), "faults": outcomes.faults}
    found |= {"unchanged": before, "slowest": round(outcomes.slowest, 3), "peak_mib": peak}
    json.dump(found, sys.stdout, indent=1, default=str)


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
