"""VOTables: every type and every awkward value, read back by astropy and by a reader written for the tests."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import votable as astropy_votable
from astropy.io.votable.dataorigin import extract_data_origin
from hypothesis import assume, given, settings
from lxml import etree

from km3vo.catalog.model import Column
from km3vo.errors import DataError
from km3vo.results import binary, formats, votable
from km3vo.results.stream import Info, Result
from tests.support.cells import (
    CELLS,
    VOTABLE,
    Sample,
    as_text,
    check,
    nullable,
    read_binary,
    sample,
    samples,
    xml_text,
)

KINDS = ("BINARY2", "TABLEDATA", "BINARY")
QUICK = settings(max_examples=60, deadline=None)


def written(result: Result, kind: Any = "BINARY2", version: str = "1.4") -> bytes:
    return b"".join(votable.writer(kind, version)(result))


def read_by_astropy(document: bytes) -> list[list[Any]]:
    table = astropy_votable.parse(io.BytesIO(document), verify="exception").get_first_table()
    return [_column(table.array[name]) for name in table.array.dtype.names]


def _column(array: Any) -> list[Any]:
    found: list[Any] = []
    for value, mask in zip(array.data, array.mask, strict=True):
        if isinstance(value, np.ndarray):
            found.append((np.where(mask, np.nan, value) if np.any(mask) else value).ravel().tolist())
        elif isinstance(value, np.ma.core.MaskedConstant) or (np.ndim(mask) == 0 and mask):
            found.append(None)
        else:
            found.append(value.item() if isinstance(value, np.generic) else value)
    return found


def forgetting(cells: list[list[Any]], columns: tuple[Column, ...]) -> list[list[Any]]:
    """The cells without the differences that astropy does not make: a missing string is empty, a NaN is missing."""
    found = []
    for column, values in zip(columns, cells, strict=True):
        shape = column.arraysize or ""
        size = math.prod(int(axis) for axis in shape.split("x")) if re.fullmatch("[0-9x]+", shape) else 0
        nothing: Any = None
        if column.is_string:
            nothing = ""
        elif column.arraysize:
            nothing = [math.nan] * size
        found.append(
            [nothing if cell is None or (isinstance(cell, float) and math.isnan(cell)) else cell for cell in values]
        )
    return found


@QUICK
@given(samples())
def test_binary2_tells_missing_empty_and_nan_apart(drawn: Sample) -> None:
    document = written(drawn.result())
    columns, cells = read_binary(document)
    check(cells, as_text(drawn.cells), columns)
    assert [(column.name, column.datatype) for column in columns] == [
        (column.name, column.datatype) for column in drawn.columns
    ]


@QUICK
@given(samples())
def test_binary_tells_what_it_can(drawn: Sample) -> None:
    result = drawn.result()
    document = written(result, "BINARY")
    if holds_mark(drawn):
        assert "votable (BINARY2)" in result.failed
        return
    columns, cells = read_binary(document)
    wanted = as_text(drawn.cells)
    for column, values in zip(columns, wanted, strict=True):
        for row, cell in enumerate(values):
            if column.arraysize and "x" not in column.arraysize and cell is None:
                values[row] = "" if column.is_string else [math.nan, math.nan] if column.arraysize == "2" else []
            elif cell is None and column.datatype in ("float", "double"):
                values[row] = [math.nan] * 6 if column.arraysize else math.nan
    check(cells, wanted, columns)


def holds_mark(drawn: Sample) -> bool:
    """Whether a cell holds the number that stands for a missing one in BINARY."""
    nulls = map(binary.null_value, drawn.columns)
    return any(null is not None and null in cells for null, cells in zip(nulls, drawn.cells, strict=True))


def test_binary_says_so_where_it_could_not_tell_a_number_from_none() -> None:
    whole = sample({"int": [1, -(2**31)]})
    result = whole.result()
    assert statuses(written(result, "BINARY"))[1] == ("ERROR", result.failed)
    assert "int" in result.failed and "votable (BINARY2)" in result.failed
    certain = Result(nullable(whole.columns, False), whole.batches)
    assert read_binary(written(certain, "BINARY"))[1] == [[1, -(2**31)]]
    broken = sample({"int": [1, None]})
    assert statuses(written(Result(nullable(broken.columns, False), broken.batches), "BINARY"))[1][0] == "ERROR"


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(drawn=samples(without=["matrix"]))
def test_astropy_reads_back_what_was_written(kind: str, drawn: Sample) -> None:
    if kind == "BINARY":
        assume(not holds_mark(drawn))
    found = forgetting(read_by_astropy(written(drawn.result(), kind)), drawn.columns)
    wanted = as_text(drawn.cells)
    if kind == "TABLEDATA":  # where astropy takes the blanks around a text for layout
        wanted = [[xml_text(cell).strip() if isinstance(cell, str) else cell for cell in column] for column in wanted]
        found = [[cell.strip() if isinstance(cell, str) else cell for cell in column] for column in found]
    check(found, forgetting(wanted, drawn.columns), drawn.columns)


@QUICK
@given(samples())
def test_tabledata_holds_every_digit_and_every_character(drawn: Sample) -> None:
    tree = etree.fromstring(written(drawn.result(), "TABLEDATA"), etree.XMLParser(huge_tree=True))
    rows = [[cell.text or "" for cell in row] for row in tree.iter(f"{VOTABLE}TR")]
    found = [[_parsed(row[index], column) for row in rows] for index, column in enumerate(drawn.columns)]
    wanted = [
        [xml_text(cell) or None if isinstance(cell, str) else None if cell == [] else cell for cell in column]
        for column in as_text(drawn.cells)
    ]
    check(found, wanted, drawn.columns)


def _parsed(text: str, column: Column) -> Any:
    if not text:
        return None
    if column.is_string:
        return text
    if column.datatype == "boolean":
        return {"true": True, "false": False}[text]
    read: Any = {"float": lambda digits: float(np.float32(digits)), "double": float}.get(column.datatype, int)
    return [read(part) for part in text.split(" ")] if column.arraysize else read(text)


@pytest.mark.parametrize("kind", ["BINARY2", "BINARY"])
def test_text_beyond_ascii_in_a_char_column_becomes_unicode_char(kind: str) -> None:
    nasty = sample({"ascii": ["Kπ", "K\U0001f52d", None, ""]})
    columns, cells = read_binary(written(nasty.result(), kind))
    assert columns[0].datatype == "unicodeChar"
    assert cells[0][:2] == ["Kπ", "K\U0001f52d"]


def test_text_beyond_ascii_that_comes_too_late_is_an_error_in_the_same_document() -> None:
    plain, late = sample({"ascii": ["plain"]}), sample({"ascii": ["Kπ"]})
    result = Result(plain.columns, [*plain.batches, *late.batches])
    document = written(result)
    assert read_binary(document)[1] == [["plain"]]
    assert statuses(document) == [("OK", ""), ("ERROR", result.failed)]
    assert "ascii" in result.failed and "votable/td" in result.failed


def statuses(document: bytes) -> list[tuple[str, str]]:
    infos = etree.fromstring(document).findall(f"{VOTABLE}RESOURCE/{VOTABLE}INFO[@name='QUERY_STATUS']")
    return [(info.get("value"), info.text or "") for info in infos]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("maxrec", "rows", "status"),
    [(None, 5, ["OK"]), (5, 5, ["OK"]), (6, 5, ["OK"]), (4, 4, ["OK", "OVERFLOW"]), (0, 0, ["OK", "OVERFLOW"])],
)
def test_overflow_is_marked_after_the_table_and_only_then(
    kind: str, maxrec: int | None, rows: int, status: list[str]
) -> None:
    result = sample({"int": [1, 2, 3, 4, 5]}).result(maxrec=maxrec)
    document = written(result, kind)
    assert [value for value, _ in statuses(document)] == status
    assert result.rows == rows == len(read_by_astropy(document)[0])
    order = [element.tag.removeprefix(VOTABLE) for element in etree.fromstring(document).find(f"{VOTABLE}RESOURCE")]
    assert order == ["INFO", "TABLE", "INFO"][: 2 + len(status) - 1]


def breaking(error: Exception, batches: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from batches
    raise error


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_after_the_first_rows_ends_the_same_document(kind: str) -> None:
    good = sample({"int": [1, 2]})
    result = Result(good.columns, breaking(DataError("1 was divided by <zero>"), good.batches))
    document = written(result, kind)
    assert statuses(document) == [("OK", ""), ("ERROR", "1 was divided by <zero>")]
    assert read_by_astropy(document) == [[1, 2]]


@pytest.mark.parametrize("kind", KINDS)
def test_an_unforeseen_error_is_told_without_its_text(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    good = sample({"int": [1, 2]})
    document = written(Result(good.columns, breaking(OSError("relation hidden.events"), good.batches)), kind)
    (_, (value, text)) = statuses(document)
    assert value == "ERROR" and text and b"hidden" not in document
    assert "relation hidden.events" in caplog.text


def test_the_head_comes_with_the_first_batch_and_not_later() -> None:
    fetched = []

    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(3):
            fetched.append(number)
            yield sample({"int": [number]}).batches[0]

    for format in formats.FORMATS:
        fetched.clear()
        chunks = format.write(Result(sample({"int": []}).columns, batches()))
        first = next(chunks)
        assert first
        # FITS has to see the last row before it writes the first; a page begins before there are rows.
        wanted = {"fits": [0, 1, 2], "html": []}.get(format.name, [0])
        assert fetched == wanted, format.name
        assert len(b"".join(chunks)) > 0


class Closing:
    """Batches that remember that they were closed."""

    closed = False

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for number in range(3):
            yield sample({"int": [number]}).batches[0]

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("format", formats.FORMATS, ids=lambda format: format.name)
@pytest.mark.parametrize("until_the_end", [True, False])
def test_the_source_is_closed_at_the_end_and_when_the_reader_goes_away(
    format: formats.Format, until_the_end: bool
) -> None:
    source = Closing()
    chunks = format.write(Result(sample({"int": []}).columns, source))
    next(chunks)
    if until_the_end:
        list(chunks)
    chunks.close()  # type: ignore[attr-defined]
    assert source.closed


def test_positions_and_times_refer_to_their_systems() -> None:
    columns = (
        Column(name="ra", datatype="double", unit="deg", ucd="POS_EQ_RA_MAIN"),
        Column(name="dec", datatype="double", unit="deg", ucd="pos.eq.dec;meta.main"),
        Column(name="err", datatype="double", unit="deg", ucd="stat.error;pos.eq"),
        Column(name="mjd", datatype="double", unit="d", ucd="time.epoch"),
        Column(name="exposure", datatype="double", unit="d", ucd="time.duration"),
        Column(name="time", datatype="char", arraysize="*", xtype="timestamp", ucd="time.epoch"),
    )
    for kind in KINDS:
        tree = etree.fromstring(written(Result(columns, []), kind))
        systems = {element.get("ID"): element for element in tree.iter(f"{VOTABLE}COOSYS", f"{VOTABLE}TIMESYS")}
        referred = [systems.get(field.get("ref")) for field in tree.iter(f"{VOTABLE}FIELD")]
        assert [None if system is None else dict(system.attrib) for system in referred] == [
            {"ID": "_icrs", "system": "ICRS"},
            {"ID": "_icrs", "system": "ICRS"},
            None,
            {"ID": "_mjd", "timeorigin": "MJD-origin", "timescale": "UTC", "refposition": "TOPOCENTER"},
            None,
            {"ID": "_utc", "timescale": "UTC", "refposition": "TOPOCENTER"},
        ]
    plain = written(Result((Column(name="x", datatype="int"),), []))
    assert b"COOSYS" not in plain and b"TIMESYS" not in plain


def test_ids_are_unique_and_follow_the_names() -> None:
    names = ["ra", "ra", "Ra", "col_2", "1st", "a b", "_icrs", "é"]
    columns = [Column(name=name, datatype="int") for name in names]
    found = votable.identifiers(columns)
    assert found == ["ra", "col_2_", "Ra", "col_2", "col_5", "col_6", "col_7", "col_8"]


def test_attributes_and_descriptions_hold_any_text() -> None:
    nasty = "a\"b'<c>&d\r\n\te\x00\x0bé\U0001f52d"
    info = Info("query", nasty, nasty, ucd="meta.x")
    column = Column(name=nasty, datatype="int", description=nasty, unit="m", ucd="x")
    result = Result((column,), [], name=nasty, infos=(info,), table_infos=(info,), description=nasty)
    tree = etree.fromstring(written(result))
    clean = xml_text(nasty)
    for element in tree.iter(f"{VOTABLE}INFO"):
        if element.get("name") == "query":
            assert element.get("value") == clean
            assert element.get("ucd") == "meta.x"
    assert tree.find(f".//{VOTABLE}FIELD").get("name") == clean
    assert tree.find(f".//{VOTABLE}TABLE").get("name") == clean
    for description in tree.iter(f"{VOTABLE}DESCRIPTION"):
        assert description.text == clean
    assert written(result) == written(result), "a cached head must not change"


def test_heads_of_equal_columns_keep_their_own_infos() -> None:
    columns = (Column(name="x", datatype="int"),)
    first = written(Result(columns, [], infos=(Info("query", "one"),), name="a"))
    second = written(Result(columns, [], infos=(Info("query", "two"),), name="b"))
    assert b"two" not in first and b"one" not in second and b'name="b"' in second


def test_astropy_reads_the_origin_of_the_data() -> None:
    result = sample({"int": [1]}).result(
        infos=(Info("publisher", "KM3NeT"), Info("query", "SELECT 1"), Info("request_date", "2024-01-01T00:00:00Z")),
        table_infos=(Info("citation", "doi:10.1/x"), Info("creator", "One"), Info("creator", "Two")),
    )
    origin = extract_data_origin(astropy_votable.parse(io.BytesIO(written(result))))
    assert origin.query.publisher == "KM3NeT" and origin.query.query == "SELECT 1"
    assert origin.origin[0].creator == ["One", "Two"] and origin.origin[0].citation == ["doi:10.1/x"]


@pytest.mark.parametrize("version", ["1.4", "1.5"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_version_is_the_one_asked_for(kind: str, version: str) -> None:
    document = written(sample({"int": [1]}).result(), kind, version)
    assert astropy_votable.parse(io.BytesIO(document), verify="exception").version == version


def test_error_documents() -> None:
    message = "no table <events>\n  ^\x07"
    document = votable.error_document(message, infos=(Info("request", "x"),))
    assert statuses(document) == [("ERROR", "no table <events>\n  ^")]
    astropy_votable.parse(io.BytesIO(document), verify="exception")
    tree = etree.fromstring(votable.cone_error_document(message))
    errors = [element for element in tree.iter() if element.get("name") == "Error"]
    assert [dict(element.attrib) for element in errors] == [{"name": "Error", "value": "no table <events>\n  ^"}]
    assert errors[0].getparent() is tree


def test_a_cell_of_the_wrong_length_is_an_error_and_not_padded() -> None:
    result = sample({"point": [[1.0, 2.0], [1.0]]}).result()
    assert statuses(written(result))[1][0] == "ERROR"
    assert "point" in result.failed


def test_a_long_result_comes_in_chunks_of_reasonable_size() -> None:
    rows = 200_000
    batch = pa.RecordBatch.from_arrays(
        [pa.array(range(rows), pa.int64()), pa.array([f"event {number}" for number in range(rows)])], ["a", "b"]
    )
    columns = (Column(name="a", datatype="long"), Column(name="b", datatype="char", arraysize="*"))
    for format in formats.FORMATS:
        sizes = [len(chunk) for chunk in format.write(Result(columns, [batch]))]
        assert max(sizes) <= 1024 * 1024, format.name
        assert all(size >= 64 * 1024 for size in sizes[1:-1]), format.name
    columns, cells = read_binary(written(Result(columns, [batch])))  # type: ignore[assignment]
    assert cells[0] == list(range(rows)) and cells[1][-1] == f"event {rows - 1}"


@pytest.mark.parametrize("format", formats.FORMATS, ids=lambda format: format.name)
def test_memory_does_not_grow_with_the_result(format: formats.Format) -> None:
    letters = [f"{number:064d}" for number in range(4000)]
    (batch,) = sample({"int": list(range(4000)), "ascii": letters}).batches
    columns = sample({"int": [], "ascii": []}).columns

    def peak(batches: int) -> int:
        highest, before = 0, pa.total_allocated_bytes()
        for _ in format.write(Result(columns, (batch for _ in range(batches)))):
            highest = max(highest, pa.total_allocated_bytes() - before)
        return highest

    few = peak(40)  # 11 MB
    assert peak(160) < 1.5 * few + 1_000_000


def test_a_very_long_string_among_short_ones() -> None:
    values = ["x" * 5_000_000, *["y"] * 5000, None, ""]
    nasty = sample({"ascii": values, "int": list(range(len(values)))})
    for kind in ("BINARY2", "TABLEDATA"):
        document = written(nasty.result(), kind)
        assert len(document) < 8_000_000
    assert read_binary(written(nasty.result()))[1] == [values, list(range(len(values)))]


def test_years_of_five_digits_and_before_christ_are_still_text() -> None:
    moments = pa.array([-70_000_000_000_000_000, 253_402_300_800_000_000], pa.timestamp("us"))
    column = next(column for column in CELLS if column.name == "time")
    document = written(Result((column,), [pa.RecordBatch.from_arrays([moments], ["time"])]), "TABLEDATA")
    assert read_by_astropy(document) == [["-0249-10-15T19:33:20.000000", "10000-01-01T00:00:00.000000"]]


def test_whole_seconds_carry_no_fraction() -> None:
    moments = [datetime(2024, 5, 1, 12), datetime(2024, 5, 1, 12, 0, 0, 500_000), datetime(2024, 5, 1, 12, 0, 0, 1)]
    assert read_binary(written(sample({"time": moments}).result()))[1] == [
        ["2024-05-01T12:00:00", "2024-05-01T12:00:00.500", "2024-05-01T12:00:00.000001"]
    ]
