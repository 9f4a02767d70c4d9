"""STILTS, the field's other reader: its validator of VOTables, and its reading of every format it knows."""

from __future__ import annotations

import csv
import io
import math
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from km3vo.catalog.model import Column
from km3vo.results import formats, votable
from km3vo.results.stream import Info, Result
from tests.support.cells import Sample, as_text, sample

pytestmark = [
    pytest.mark.client,
    pytest.mark.skipif(shutil.which("stilts") is None, reason="STILTS is not installed (Debian package stilts)"),
]


def stilts(*arguments: str) -> str:
    done = subprocess.run(["stilts", *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def awkward() -> Sample:
    return sample(
        {
            "flag": [True, False, None, True],
            "byte": [0, 255, None, 7],
            "short": [-(2**15) + 1, 2**15 - 1, None, 0],
            "int": [-(2**31) + 1, 2**31 - 1, None, 0],
            "long": [-(2**63) + 1, 2**63 - 1, None, 9_007_199_254_740_993],
            "float": [0.1, math.inf, None, -1e-30],
            "ra": [0.1, -math.inf, math.nan, 1.7976931348623157e308],
            "mjd": [60000.123456789, 5e-324, 1e22, -0.0],
            "ascii": ["a < b & c", '"quoted", too', None, "x" * 3000],
            "text": ["Kπ", "]]>", "", "\U0001f52d"],
            "time": [datetime(2024, 5, 1, 12), datetime(2024, 5, 1, 12, 0, 0, 123), None, datetime(1, 1, 1)],
            # Not missing: votlint 3.4 holds an empty cell for an array of no numbers (STILTS writes such cells itself).
            "point": [[1.0, 2.0], [359.5, -89.25], [0.0, 0.0], [10.0, 20.0]],
            "polygon": [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [0.0] * 8, [0.5] * 6, [1.0] * 6],
        }
    )


@pytest.mark.parametrize("name", ["votable", "votable/td", "votable/b"])
def test_votlint_has_nothing_to_say(name: str, awkward: Sample, tmp_path: Path) -> None:
    infos = (Info("publisher", "KM3NeT <km3net.org>", "who", "meta.curation"), Info("request_date", "2024-01-01"))
    # votlint 3.4 loses its way in BINARY and BINARY2 after a polygon, also in those that STILTS wrote.
    checked = awkward if name == "votable/td" else awkward.without("polygon")
    document = tmp_path / "result.vot"
    document.write_bytes(b"".join(formats.find(name).write(checked.result(maxrec=3, infos=infos, table_infos=infos))))
    assert stilts("votlint", str(document)) == ""


def test_votlint_has_nothing_to_say_about_errors_and_empty_results(tmp_path: Path) -> None:
    columns = tuple(
        Column(name=name, datatype="double", unit="deg", ucd=ucd, description="x")
        for name, ucd in (("ra", "POS_EQ_RA_MAIN"), ("dec", "POS_EQ_DEC_MAIN"))
    )
    for number, document in enumerate(
        (
            votable.error_document("no such table"),
            votable.cone_error_document("SR is missing"),
            b"".join(votable.writer("BINARY2")(Result(columns, []))),
        )
    ):
        path = tmp_path / f"{number}.vot"
        path.write_bytes(document)
        assert stilts("votlint", str(path)) == ""


NAMES = ["votable", "votable/td", "votable/b", "fits", "ecsv", "csv"]


def test_stilts_reads_the_same_from_every_format(awkward: Sample, tmp_path: Path) -> None:
    arguments = []
    for number, name in enumerate(NAMES, 1):
        format = formats.find(name)
        path = tmp_path / f"{number}.{format.extension}"
        path.write_bytes(b"".join(format.write(awkward.result())))
        kind = "votable" if format.extension == "vot" else format.extension
        arguments += [f"in{number}={path}", f"ifmt{number}={kind}"]
    # One start of Java for all: the tables below each other, without the arrays, of which CSV has none.
    merged = tmp_path / "merged.csv"
    select = " ".join(column.name for column in awkward.columns if column.name not in ("point", "polygon"))
    commands = [f"icmd{number}=keepcols '{select}'" for number in range(1, len(NAMES) + 1)]
    stilts("tcatn", f"nin={len(NAMES)}", *arguments, *commands, "ofmt=csv", f"out={merged}")
    rows = list(csv.reader(io.StringIO(merged.read_text(), newline="")))
    kept = awkward.without("point", "polygon")
    assert rows[0] == [column.name for column in kept.columns]
    wanted = list(zip(*as_text(kept.cells), strict=True))
    for number, name in enumerate(NAMES):
        block = rows[1 + number * len(wanted) :][: len(wanted)]
        for found, expected in zip(block, wanted, strict=True):
            for column, text, cell in zip(kept.columns, found, expected, strict=True):
                if column.name == "text" and name in ("fits", "ecsv", "csv"):
                    continue  # read as Latin-1 or ASCII by STILTS 3.4
                assert _same(text, cell, column), (name, column.name, text, cell)


def _same(text: str, cell: Any, column: Column) -> bool:
    if cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell)):
        return text == ""
    if isinstance(cell, bool):
        return text == str(cell).lower()
    if isinstance(cell, str):
        return text == cell
    if column.datatype == "float":
        return bool(np.float32(text.replace("Infinity", "inf")) == np.float32(cell))
    return (int if isinstance(cell, int) else float)(text) == cell
