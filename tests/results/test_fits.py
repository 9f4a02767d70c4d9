"""FITS tables, read back by astropy."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pytest
from astropy.io import fits as astropy_fits
from hypothesis import given, settings

from km3vo.catalog.model import Column
from km3vo.errors import DataError
from km3vo.results import fits
from km3vo.results.stream import Info, Result
from tests.support.cells import Sample, as_text, same, sample, samples


def opened(result: Result) -> Any:
    data = b"".join(fits.write(result))
    assert len(data) % 2880 == 0
    files = astropy_fits.open(io.BytesIO(data), character_as_bytes=True, logical_as_bytes=True)
    files.verify("exception")
    return files[1]


@settings(max_examples=80, deadline=None)
@given(samples())
def test_astropy_reads_back_what_was_written(drawn: Sample) -> None:
    table = opened(drawn.result())
    assert table.columns.names == [column.name for column in drawn.columns]
    assert table.header["NAXIS2"] == len(drawn.cells[0])
    for number, (column, values) in enumerate(zip(drawn.columns, as_text(drawn.cells), strict=True), 1):
        null = table.header.get(f"TNULL{number}")
        for found, wanted in zip(table.data[column.name], values, strict=True):
            assert same(_cell(found, column), _stored(wanted, column, null)), (column.name, found, wanted)


def _cell(found: Any, column: Column) -> Any:
    if column.is_string:
        return bytes(found).decode().rstrip()
    if column.datatype == "boolean":
        return bytes(found)
    return np.asarray(found).ravel().tolist() if column.arraysize else found.item()


def _stored(cell: Any, column: Column, null: int | None) -> Any:
    """What stands in the file for a cell."""
    if column.is_string:
        return (cell or "").rstrip()  # as astropy does
    if column.datatype == "boolean":
        return {True: b"T", False: b"F", None: b""}[cell]
    if cell is not None:
        return cell
    if column.arraysize:
        return {"2": [math.nan] * 2, "2x3": [math.nan] * 6}.get(column.arraysize, [])
    return math.nan if column.datatype in ("float", "double") else null


@pytest.mark.parametrize(
    ("name", "cells", "form", "null"),
    [
        ("short", [1, None], "I", -(2**15)),
        ("short", [-(2**15), None], "I", -(2**15) + 1),
        ("short", [-(2**15), -(2**15) + 1, 2**15 - 1, None], "J", -(2**31)),
        ("byte", [0, 255, None], "B", 254),
        ("byte", [254, 255, None], "I", -(2**15)),
        ("long", [-(2**63), None], "K", -(2**63) + 1),
        ("long", [1, 2], "K", None),
    ],
)
def test_the_number_that_stands_for_a_missing_one_occurs_nowhere_else(
    name: str, cells: list[Any], form: str, null: int | None
) -> None:
    table = opened(sample({name: cells}).result())
    assert table.header["TFORM1"] == form
    assert table.header.get("TNULL1") == null
    assert table.data[name].tolist() == [null if cell is None else cell for cell in cells]


def test_a_column_without_a_free_number_is_an_error() -> None:
    with pytest.raises(DataError, match="long"):
        opened(sample({"long": [-(2**63), -(2**63) + 1, 2**63 - 1, None]}).result())


def test_wasteful_strings_go_to_the_heap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fits, "_WASTE", 1000)
    cells = ["x" * 500, *["y"] * 50, "", None, "end"]
    table = opened(sample({"ascii": cells, "int": list(range(len(cells)))}).result())
    assert table.header["TFORM1"] == "1PA(500)"
    assert ["".join(cell) for cell in table.data["ascii"]] == [cell or "" for cell in cells]
    assert table.data["int"].tolist() == list(range(len(cells)))


def test_strings_are_as_wide_as_the_longest() -> None:
    cells = ["a", "b" * 3000, "Kπ"]
    table = opened(sample({"text": cells}).result())
    assert table.header["TFORM1"] == "3000A"
    assert [cell.decode() for cell in table.data["text"]] == cells


def test_the_header_tells_what_the_columns_mean() -> None:
    nasty = "a 'quoted' text, é, \n and " + "long " * 40
    column = Column(
        name="ra", datatype="double", unit="deg", ucd="pos.eq.ra", utype="a:b.c", xtype="x", description=nasty
    )
    base = sample({"ra": [1.0, 2.0]})
    result = Result((column,), base.batches, maxrec=1, name="events", infos=(Info("query", nasty),))
    header = opened(result).header
    assert (header["TTYPE1"], header["TUNIT1"], header["TUCD1"]) == ("ra", "deg", "pos.eq.ra")
    assert header["TCOMM1"] == "a 'quoted' text, ?, and " + ("long " * 40).strip()
    assert header["EXTNAME"] == "events" and header["QSTATUS"] == "OVERFLOW"
    assert "query: a 'quoted'" in "".join(header["COMMENT"])


def test_a_result_without_rows_is_a_table_without_rows() -> None:
    table = opened(sample({"int": [], "ascii": [], "polygon": []}).result())
    assert table.header["NAXIS2"] == 0 and len(table.data) == 0
    table = opened(Result(sample({"int": []}).columns, iter(())))
    assert table.header["NAXIS2"] == 0


def test_many_rows_with_arrays_of_any_length() -> None:
    rows = 30_000
    cells = [[float(number)] * (number % 3 * 2) for number in range(rows)]
    table = opened(sample({"polygon": cells, "int": list(range(rows))}).result())
    assert table.data["int"].tolist() == list(range(rows))
    assert [cell.tolist() for cell in table.data["polygon"][-5:]] == cells[-5:]
