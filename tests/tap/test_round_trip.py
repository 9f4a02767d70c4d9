"""Awkward values go into the database by an upload and come out by every format, the same for every reader."""

from __future__ import annotations

import csv
import io
import json
import math
import subprocess
import warnings
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io.votable import parse
from astropy.io.votable.dataorigin import extract_data_origin
from astropy.table import Table

from tests.support.tap import Client

LONG = "x" * 40_000
# In the order of `n`; None is a missing cell.
CELLS: dict[str, list[Any]] = {
    "n": [1, 2, 3],
    "big": [2**63 - 1, -(2**63) + 1, None],
    "small": [-32767, 32767, None],  # BINARY has -32768 for a missing one
    "flag": [True, False, None],
    "real": [math.inf, -math.inf, None],
    "tiny": [5e-324, 1.7976931348623157e308, None],
    "letters": ["Kπ🔭 é", '<a href="x">&amp;</a>', None],
    "long": [LONG, "one, two\n\"three\"", None],
    "moment": ["1969-12-31T23:59:59.123456", "2024-02-29T12:00:00", None],
    "place": [[359.5, -89.25], [0.0, 0.0], None],
}  # fmt: skip
TYPES = {
    "n": 'datatype="int"', "big": 'datatype="long"', "small": 'datatype="short"', "flag": 'datatype="boolean"',
    "real": 'datatype="double"', "tiny": 'datatype="double"', "letters": 'datatype="unicodeChar" arraysize="*"',
    "long": 'datatype="char" arraysize="*"', "moment": 'datatype="char" arraysize="*" xtype="timestamp"',
    "place": 'datatype="double" arraysize="2" xtype="point"',
}  # fmt: skip
WRITTEN = {math.inf: "+Inf", -math.inf: "-Inf"}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join(map(repr, value))
    if isinstance(value, float) and value in WRITTEN:
        return WRITTEN[value]
    return str(value).replace("&", "&amp;").replace("<", "&lt;")


@pytest.fixture
def ask(client: Client) -> Callable[..., bytes]:
    """A function that uploads the cells and returns them as they come back in a format."""
    fields = "".join(f'<FIELD name="{name}" {kind}/>' for name, kind in TYPES.items())
    rows = "".join(
        "<TR>" + "".join(f"<TD>{_cell(value)}</TD>" for value in row) + "</TR>"
        for row in zip(*CELLS.values(), strict=True)
    )
    document = (
        '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE>'
        f"{fields}<DATA><TABLEDATA>{rows}</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
    ).encode()

    def answer(form: str, columns: str = "*") -> bytes:
        query = f"SELECT {columns} FROM TAP_UPLOAD.t ORDER BY n"
        found = client.sync(query, FORMAT=form, UPLOAD="t,param:t", files={"t": document})
        assert found.status_code == 200, found.text
        return found.content

    return answer


def same(found: Any, expected: Any, name: str) -> bool:
    if expected is None:
        if found is np.ma.masked:
            return True
        if isinstance(found, list | np.ndarray):
            return all(value is None or value is np.ma.masked or np.isnan(value) for value in found)
        return found is None or found == "" or bool(found != found)
    if name == "moment":
        text = found.isoformat() if isinstance(found, datetime) else str(found)
        return text == expected
    if isinstance(expected, list):
        return list(map(float, found)) == expected
    return type(expected)(found) == expected


def check(columns: dict[str, Any], *, without: tuple[str, ...] = ()) -> None:
    assert list(columns) == list(CELLS)
    for name, expected in CELLS.items():
        if name not in without:
            found = list(columns[name])
            assert len(found) == len(expected)
            assert all(map(same, found, expected, [name] * 3)), (name, [str(value)[:50] for value in found])


def table(read: Table) -> dict[str, Any]:
    return {name: list(read[name]) for name in read.colnames}


@pytest.mark.parametrize("form", ["votable", "votable/td", "votable/b", "votable1.5"])
def test_astropy_reads_votables(ask: Callable[..., bytes], form: str) -> None:
    # BINARY has no missing booleans in astropy, which takes "?" for False.
    read = parse(io.BytesIO(ask(form)), verify="exception").get_first_table().to_table(use_names_over_ids=True)
    check(table(read), without=("flag",) if form == "votable/b" else ())


def test_astropy_reads_fits(ask: Callable[..., bytes]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = Table.read(io.BytesIO(ask("fits")), character_as_bytes=True)
    # FITS has neither missing booleans nor a word about the encoding of text.
    columns = table(read)
    for name in ("letters", "long", "moment"):
        columns[name] = [value.decode() if isinstance(value, bytes) else value for value in columns[name]]
    check(columns, without=("flag",))


def test_pyarrow_reads_parquet_and_arrow(ask: Callable[..., bytes]) -> None:
    for read in (pq.read_table(io.BytesIO(ask("parquet"))), pa.ipc.open_stream(ask("arrow")).read_all()):
        check({name: read[name].to_pylist() for name in read.column_names})
        assert [read[name].null_count for name in read.column_names] == [0] + [1] * (len(CELLS) - 1)


def test_astropy_reads_parquet_as_voparquet(ask: Callable[..., bytes], tmp_path: Path) -> None:
    file = tmp_path / "result.parquet"
    file.write_bytes(ask("parquet", "n, tiny, big"))
    read = Table.read(file, format="parquet.votable")
    assert [same(*pair, "tiny") for pair in zip(read["tiny"], CELLS["tiny"], strict=True)] == [True] * 3
    assert read["n"].tolist() == CELLS["n"]


def test_astropy_reads_ecsv(ask: Callable[..., bytes]) -> None:
    check(table(Table.read(ask("ecsv").decode(), format="ascii.ecsv")))


def test_csv_and_json(ask: Callable[..., bytes]) -> None:
    rows = list(csv.DictReader(io.StringIO(ask("csv").decode(), newline="")))
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
    columns["flag"] = [{"true": True, "false": False, "": None}[text] for text in columns["flag"]]
    columns["place"] = [text.split() for text in columns["place"]]
    check(columns)
    read = json.loads(ask("json"))
    names = [field["name"] for field in read["metadata"]]
    columns = dict(zip(names, map(list, zip(*read["data"], strict=True)), strict=True))
    assert columns["real"] == [None] * 3  # JSON has no infinity
    check(columns, without=("real",))


@pytest.mark.client
def test_stilts_reads_every_format_alike(ask: Callable[..., bytes], tmp_path: Path) -> None:
    kept = "n big small tiny moment"
    answers = []
    for form, kind in (("votable", "votable"), ("votable/td", "votable"), ("fits", "fits"), ("ecsv", "ecsv")):
        file = tmp_path / f"{form.replace('/', '-')}.{kind}"
        file.write_bytes(ask(form))
        command = ["stilts", "tpipe", f"in={file}", f"ifmt={kind}", f"cmd=keepcols '{kept}'", "ofmt=csv"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        answers.append(list(csv.DictReader(io.StringIO(done.stdout))))
    for rows in answers:
        for name in kept.split():
            assert all(same(row[name], value, name) for row, value in zip(rows, CELLS[name], strict=True)), (name, rows)


def test_empty_text_is_not_a_missing_one(client: Client) -> None:
    query = "SELECT TOP 1 '' AS a, CAST(NULL AS VARCHAR) AS b FROM tap_schema.tables"
    read = pa.ipc.open_stream(client.sync(query, FORMAT="arrow").content).read_all()
    assert read.to_pylist() == [{"a": "", "b": None}]
    assert json.loads(client.sync(query, FORMAT="json").content)["data"] == [["", None]]
    assert client.sync(query, FORMAT="csv").text.splitlines()[1] == '"",'
    (row,) = parse(io.BytesIO(client.sync(query, FORMAT="votable").content)).get_first_table().array
    assert row["a"] == "" and (row["b"] is np.ma.masked or row["b"] == "")


def test_astropy_reads_where_a_result_is_from(client: Client) -> None:
    query = "SELECT TOP 1 * FROM ant20_01.main"
    document = parse(io.BytesIO(client.sync(query, FORMAT="votable").content))
    origin = extract_data_origin(document)
    assert origin.query.publisher == "KM3NeT"
    assert origin.query.query == query
    assert origin.query.request.startswith(client.tap)
    assert origin.query.service_protocol == "ivo://ivoa.net/std/TAP"
    assert datetime.fromisoformat(origin.query.request_date)
    assert origin.query.contact and origin.query.server_software
    # Made-up rows, as the tests have them, name no creators.
    assert "not to be cited" in origin.origin[0].citation[0]
    assert origin.origin[0].reference_url
