"""Every type in every format with every pattern of missing values, written by us and read back by loads and uploads."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings

from km3vo.catalog.model import Table
from km3vo.column import Column
from km3vo.loading.columns import match
from km3vo.readers.content import Content
from km3vo.readers.formats import open_table
from km3vo.readers.opened import Options
from km3vo.results import formats
from km3vo.results.stream import arrow_type
from tests.support import kept
from tests.support.cells import CELLS, Sample
from tests.support.round_trip import AWKWARD, check_inferred, compare, each_format, uploaded, written

EXAMPLES = settings(max_examples=30, deadline=None)


def loaded(document: bytes, columns: Sequence[Column], name: str) -> list[list[Any]]:
    """What a load makes of a file, before the database looks at the values."""
    told: list[str] = []

    def note(line: int, text: str) -> None:
        told.append(f"{line}: {text}")

    table = Table(schema="s", name="t", title="T", description="", columns=tuple(columns))
    extension = formats.find(name).extension
    opened = open_table(Content(io.BytesIO(document)), note, Options(), f"file.{extension}")
    fitting = match(table, opened, None, note)
    assert [column.name for column in fitting.columns] == [column.name for column in columns]
    batches = [fitting.fit(block) for block in fitting.opened.blocks]
    assert told == []
    assert [batch.schema.types for batch in batches] == [list(map(arrow_type, columns))] * len(batches)
    return [[cell for batch in batches for cell in batch.column(place).to_pylist()] for place in range(len(columns))]


def untellable(table: Sample, name: str) -> bool:
    """Whether TSV has lines with nothing in them, or nothing that tells it from CSV: in a table of one column."""
    return name == "tsv" and len(table.columns) == 1


def check_upload(table: Sample, name: str) -> None:
    if untellable(table, name):
        return
    columns, found = uploaded(written(table, name))
    assert [column.name for column in columns] == [column.name for column in table.columns]
    for column, back, cells, values in zip(table.columns, columns, found, table.cells, strict=True):
        wanted = kept.cells(column, values, name, alone=len(columns) == 1)
        if name in ("csv", "tsv"):
            check_inferred(column, cells, wanted)
            continue
        compare(cells, wanted, f"{name}, {column.name}")
        described = kept.described(column, name)
        assert back.arraysize == described.arraysize or column.is_string
        assert (back.xtype, back.unit, back.ucd) == (described.xtype, described.unit, described.ucd)
        taken = back.datatype == described.datatype
        # Widened where no number is left to stand for a missing one; and text in UTF-8 is what FITS has.
        assert taken or (name == "fits" and column.datatype in ("unsignedByte", "short", "int")), back


def check_load(table: Sample, name: str) -> None:
    if untellable(table, name):
        return
    found = loaded(written(table, name), table.columns, name)
    for column, cells, values in zip(table.columns, found, table.cells, strict=True):
        wanted = kept.cells(column, values, name, alone=len(table.columns) == 1)
        # The database takes NaN for a missing value.
        compare([None if cell != cell else cell for cell in cells], wanted, f"{name}, {column.name}")


@each_format
@EXAMPLES
@given(table=kept.tables())
def test_what_was_written_can_be_uploaded(name: str, table: Sample) -> None:
    if name == "votable/b" and any(map(kept.holds_mark, table.columns, table.cells)):
        result = table.result()
        b"".join(formats.find(name).write(result))
        assert "RESPONSEFORMAT=votable (BINARY2)" in result.failed
        return
    check_upload(table, name)


@each_format
@EXAMPLES
@given(table=kept.tables(printable=True))
def test_what_was_written_can_be_loaded(name: str, table: Sample) -> None:
    if name != "votable/b" or not any(map(kept.holds_mark, table.columns, table.cells)):
        check_load(table, name)


@pytest.mark.parametrize("pattern", kept.PATTERNS)
@each_format
def test_every_type_with_every_pattern(name: str, pattern: str) -> None:
    number = Column(name="number", datatype="int")
    for column in CELLS:
        awkward = AWKWARD[column.name]
        values = {"none": awkward, "some": [None, *awkward, None], "all": [None, None]}[pattern]
        table = kept.sampled([number, column], [list(range(len(values))), values])
        check_upload(table, name)
        check_load(table, name)
        check_upload(kept.sampled([column], [values]), name)
