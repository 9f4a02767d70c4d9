"""CSV, TSV, ECSV, JSON, HTML and plain text, read back by other people's readers."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from astropy.table import Table
from hypothesis import assume, given, settings
from lxml import html

from km3vo.catalog.model import Column
from km3vo.errors import DataError
from km3vo.results import formats
from km3vo.results.stream import Info, Result, arrow_type
from tests.support.cells import Sample, as_text, check, same, sample, samples, xml_text

QUICK = settings(max_examples=60, deadline=None)


def written(result: Result, name: str) -> bytes:
    return b"".join(formats.find(name).write(result))


def joined(cells: list[list[Any]]) -> list[list[Any]]:
    """Moments and arrays as text."""
    return [[_words(cell) if isinstance(cell, list) else cell for cell in column] for column in as_text(cells)]


def _words(numbers: list[Any]) -> str:
    return " ".join(map(repr, numbers))


def _numbers(cells: list[Any], column: Column) -> list[Any]:
    """Texts of arrays as texts of the same numbers the way Python writes them."""
    if column.is_string or not column.arraysize:
        return cells
    read: Any = {"int": int, "float": lambda word: float(np.float32(word))}.get(column.datatype, float)
    return [_words([read(word) for word in cell.split()]) if cell is not None else None for cell in cells]


@QUICK
@given(samples())
def test_arrow_reads_csv_back_and_tells_missing_from_empty(drawn: Sample) -> None:
    columns = drawn.columns
    types = {
        column.name: pa.string() if column.arraysize or column.is_string else arrow_type(column) for column in columns
    }
    table = pa.csv.read_csv(
        io.BytesIO(written(drawn.result(), "csv")),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=pa.csv.ConvertOptions(
            column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=len(columns) == 1
        ),
    )
    found = [_numbers(table.column(column.name).to_pylist(), column) for column in columns]
    wanted = joined(drawn.cells)
    for column, *pair in zip(columns, found, wanted, strict=True):
        # An array without elements is an empty text; and see the next test for a column that is alone.
        if (column.arraysize and not column.is_string) or len(columns) == 1:
            for cells in pair:
                cells[:] = [cell or (None if cell == "" else cell) for cell in cells]
    check(found, wanted, columns)


@QUICK
@given(samples())
def test_python_reads_csv_back(drawn: Sample) -> None:
    text = written(drawn.result(), "csv").decode()
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert rows[0] == [column.name for column in drawn.columns]
    for index, column in enumerate(drawn.columns):
        if column.is_string:
            found = [row[index] for row in rows[1:]]
            assert found == [cell or "" for cell in as_text(drawn.cells)[index]]


def test_csv_quotes_where_rfc_4180_wants_it() -> None:
    nasty = sample({"ascii": ["plain", "", None, 'say "hi"', "a,b", "two\nlines", " edge"]})
    two = written(sample({**dict(zip(["ascii"], nasty.cells, strict=True)), "int": [1] * 7}).result(), "csv").decode()
    assert two == ('ascii,int\r\nplain,1\r\n"",1\r\n,1\r\n"say ""hi""",1\r\n"a,b",1\r\n"two\nlines",1\r\n" edge",1\r\n')
    # Readers skip an empty line: alone in its row, a missing cell is in quotes too.
    assert written(nasty.result(), "csv").decode().split("\r\n")[:4] == ["ascii", "plain", '""', '""']
    columns = (Column(name='a "b", c', datatype="int"), Column(name="d", datatype="int"))
    assert written(Result(columns, []), "csv") == b'"a ""b"", c",d\r\n'


@QUICK
@given(samples())
def test_tsv_keeps_its_rows_whatever_the_cells(drawn: Sample) -> None:
    lines = written(drawn.result(), "tsv").decode().split("\n")
    assert lines[0] == "\t".join(column.name for column in drawn.columns)
    assert lines[-1] == ""
    rows = [line.split("\t") for line in lines[1:-1]]
    for index, column in enumerate(drawn.columns):
        if column.is_string:
            wanted = [re.sub("[\t\r\n]", " ", cell or "") for cell in as_text(drawn.cells)[index]]
            assert [row[index] for row in rows] == wanted


@QUICK
@given(samples())
def test_json_is_json(drawn: Sample) -> None:
    document = json.loads(written(drawn.result(), "json"), parse_constant=pytest.fail)
    assert document["status"] == "OK"
    assert [column["name"] for column in document["metadata"]] == [column.name for column in drawn.columns]
    for row, wanted in zip(document["data"], zip(*as_text(drawn.cells), strict=True), strict=True):
        for column, cell, expected in zip(drawn.columns, row, wanted, strict=True):
            assert same(_typed(cell, column), _finite(expected)), column.name


def _typed(cell: Any, column: Column) -> Any:
    """JSON has one kind of number."""
    if column.datatype not in ("float", "double") or cell is None:
        return cell
    if isinstance(cell, list):
        return [_typed(part, column) for part in cell]
    return float(np.float32(cell)) if column.datatype == "float" else float(cell)


def _finite(cell: Any) -> Any:
    if isinstance(cell, list):
        return [_finite(part) for part in cell]
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


@QUICK
@given(samples())
def test_html_shows_every_cell(drawn: Sample) -> None:
    page = html.document_fromstring(written(drawn.result(), "html").decode(), html.HTMLParser(huge_tree=True))
    rows = [[cell.text_content() for cell in row] for row in page.findall(".//tbody/tr")]
    assert len(rows) == len(drawn.cells[0])
    for index, column in enumerate(drawn.columns):
        if column.is_string and column.datatype == "char":
            wanted = [xml_text(cell or "") for cell in as_text(drawn.cells)[index]]
            assert [row[index] for row in rows] == wanted


def test_html_is_escaped_and_links_addresses() -> None:
    nasty = "<script>alert(1)</script>"
    cells = [nasty, "https://km3net.org/?a=1&b=2", 'https://x" onclick="y', "javascript:alert(1)"]
    base = sample({"ascii": cells})
    column = Column(name=nasty, datatype="char", arraysize="*", unit=nasty, description='"' + nasty)
    result = Result((column,), base.batches, name=nasty, infos=(Info(nasty, nasty),), description=nasty)
    text = written(result, "html").decode()
    assert "<script" not in text
    page = html.document_fromstring(text)
    assert [link.get("href") for link in page.iter("a")] == ["https://km3net.org/?a=1&b=2"]
    assert not page.xpath("//@onclick")
    assert page.findtext(".//h1") == nasty


# astropy's reader takes blank texts for missing ones, strips others, and cuts rows at rarer ends of lines.
# It knows one end of lines.
@QUICK
@given(samples(without=["byte"]))
def test_astropy_reads_ecsv_back(drawn: Sample) -> None:
    texts = [cell for column in drawn.cells for cell in column if isinstance(cell, str)]
    assume(not any(re.search("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]", cell) for cell in texts))
    assume(drawn.cells[0])  # it cannot make an empty column of arrays
    table = Table.read(written(drawn.result(), "ecsv").decode(), format="ascii.ecsv")
    assert table.colnames == [column.name for column in drawn.columns]
    for column, values in zip(drawn.columns, as_text(drawn.cells), strict=True):
        assert (str(table[column.name].unit) if table[column.name].unit else None) == column.unit
        found = table[column.name].tolist()
        for cell, expected in zip(found, values, strict=True):
            if expected is None or (isinstance(expected, str) and not expected.strip()):
                continue
            if isinstance(expected, str):
                cell, expected = cell.strip(), re.sub("\r\n?", "\n", expected).strip()
            assert same(_flat(cell, column), expected), column.name


def _flat(cell: Any, column: Column) -> Any:
    if column.arraysize and not column.is_string:
        return np.asarray(cell).ravel().tolist()
    return cell


def test_ecsv_keeps_the_metadata() -> None:
    base = sample({"ra": [1.0], "polygon": [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]})
    infos = (Info("query", "SELECT 'é'\nFROM x"), Info("creator", "A"), Info("creator", "B"))
    table = Table.read(written(base.result(infos=infos), "ecsv").decode(), format="ascii.ecsv")
    assert table["ra"].description == "a < b & c"
    assert table["ra"].meta["ucd"] == "pos.eq.ra;meta.main"
    assert table.meta["infos"] == [{"query": "SELECT 'é'\nFROM x"}, {"creator": "A"}, {"creator": "B"}]


def test_plain_text_lines_up() -> None:
    base = sample({"int": [1, None, 123456], "ascii": ["a", "bcd\ne", None]})
    assert written(base.result(), "text").decode() == (
        "   int  ascii\n     s\n------  -----\n     1  a    \n        bcd e\n123456       \n"
    )
    assert written(Result(base.columns, []), "text").decode().count("\n") == 3


def breaking(batches: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from batches
    raise DataError('1 was "divided" by <0>')


def test_json_html_and_text_say_that_rows_are_missing() -> None:
    base = sample({"int": [1, 2, 3]})
    document = json.loads(written(base.result(maxrec=2), "json"))
    assert document["status"] == "OVERFLOW" and document["data"] == [[1], [2]]
    document = json.loads(written(Result(base.columns, breaking(base.batches)), "json"))
    assert document["status"] == "ERROR" and document["message"] == '1 was "divided" by <0>'
    assert document["data"] == [[1], [2], [3]]
    document = json.loads(written(Result(base.columns, breaking([])), "json"))
    assert document["status"] == "ERROR" and document["data"] == []
    assert "first 2 rows" in written(base.result(maxrec=2), "text").decode().splitlines()[-1]
    assert "divided" in written(Result(base.columns, breaking(base.batches)), "text").decode().splitlines()[-1]
    assert "first 2 rows" in written(base.result(maxrec=2), "html").decode()
    assert "by &lt;0&gt;" in written(Result(base.columns, breaking(base.batches)), "html").decode()


@pytest.mark.parametrize("name", ["csv", "tsv", "ecsv", "fits", "parquet", "arrow"])
def test_formats_without_a_place_for_an_error_break_off(name: str) -> None:
    base = sample({"int": [1, 2, 3]})
    result = Result(base.columns, breaking(base.batches))
    with pytest.raises(DataError):
        written(result, name)
    assert result.failed


def test_moments_are_written_alike_everywhere() -> None:
    base = sample({"time": [datetime(2024, 5, 1, 12), None, datetime(1, 1, 1, 0, 0, 0, 120)]})
    for name in ("csv", "tsv", "ecsv", "json", "html", "text"):
        text = written(base.result(), name).decode()
        assert re.findall("[0-9]+-[0-9]+-[0-9]+T[0-9:.]+", text) == [
            "2024-05-01T12:00:00",
            "0001-01-01T00:00:00.000120",
        ], name
