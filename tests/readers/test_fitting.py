"""Values of every Arrow type into columns of every datatype: kept exactly, or told."""

from __future__ import annotations

import decimal
import math
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from km3vo.column import Column
from km3vo.datatypes import Datatype
from km3vo.readers.fitting import Forbidden, fitted, misfit
from km3vo.readers.mistakes import Place
from km3vo.readers.texts import PLAIN, VOTABLE, Grammar


def read(column: Column, cells: pa.Array, grammar: Grammar = VOTABLE, **more: Any) -> tuple[list[Any], list[str]]:
    """What becomes of cells, and what is told."""
    told: list[str] = []
    place = Place(column.name, pa.array(range(1, len(cells) + 1)), lambda line, text: told.append(f"{line}: {text}"))
    assert misfit(cells.type, column) is None
    return fitted(column, cells, grammar, place, **more).to_pylist(), told


def column(datatype: Datatype, arraysize: str | None = None, xtype: str | None = None) -> Column:
    return Column(name="x", datatype=datatype, arraysize=arraysize, xtype=xtype)


TOP = {"unsignedByte": 255, "short": 2**15 - 1, "int": 2**31 - 1, "long": 2**63 - 1}
LOW = {"unsignedByte": 0, "short": -(2**15), "int": -(2**31), "long": -(2**63)}


@pytest.mark.parametrize("datatype", TOP)
@pytest.mark.parametrize("type_", [pa.string(), pa.int64(), pa.float64(), pa.decimal128(25, 2), pa.decimal256(40, 0)])
def test_whole_numbers_keep_within_their_bounds(datatype: Datatype, type_: pa.DataType) -> None:
    low, high = LOW[datatype], TOP[datatype]
    if datatype == "long":
        beyond = {pa.string(): (low - 1, high + 1), pa.float64(): (-(2**63) * 1.5, 2.0**63)}.get(type_)
        if type_ == pa.float64():
            low, high = -(2**53) + 1, 2**53 - 1
    else:
        beyond = (low - 1, high + 1)
    cells: list[Any] = [low, high, None, *(beyond or ())]
    if type_ == pa.string():
        cells = [None if cell is None else str(cell) for cell in cells]
    if pa.types.is_decimal(type_):
        cells = [None if cell is None else decimal.Decimal(cell) for cell in cells]
    if type_ == pa.float64():
        cells = [None if cell is None else float(cell) for cell in cells]
    found, told = read(column(datatype), pa.array(cells, type_))
    assert found == [low, high, None] + [None] * len(beyond or ())
    assert [text.split(" is not ")[1][:14] for text in told] == ["a whole number"] * len(beyond or ())


@pytest.mark.parametrize(
    ("type_", "cells", "kept"),
    [
        (pa.uint64(), [0, 2**64 - 1, None], [0, None, None]),
        (pa.uint64(), [2**63, 2**63 - 1], [None, 2**63 - 1]),
        (pa.float64(), [1.5, 2.0, math.nan, math.inf], [None, 2, None, None]),
        # Whole numbers beyond these are even, whatever they once were.
        (pa.float32(), [16777215.0, 16777216.0], [16777215, None]),
        (pa.float64(), [-(2.0**53) + 1, -(2.0**53)], [-(2**53) + 1, None]),
        (pa.decimal128(10, 2), [decimal.Decimal("1.50"), decimal.Decimal("2.00")], [None, 2]),
    ],
)
def test_only_what_is_whole_becomes_a_whole_number(type_: pa.DataType, cells: list[Any], kept: list[Any]) -> None:
    found, told = read(column("long"), pa.array(cells, type_))
    assert found == kept
    assert len(told) == sum(
        one is None and cell is not None and cell == cell for one, cell in zip(kept, cells, strict=True)
    )


@pytest.mark.parametrize("type_", [pa.int64(), pa.uint64()])
def test_long_numbers_become_doubles_only_if_nothing_is_lost(type_: pa.DataType) -> None:
    cells = [2**53, 2**53 + 1, 2**53 + 2, 2**63 - 1, 2**62]
    found, told = read(column("double"), pa.array(cells, type_))
    assert found == [2.0**53, None, 2.0**53 + 2, None, 2.0**62]
    assert len(told) == 2 and "9007199254740993 is not a number that a float or double holds exactly" in told[0]
    found, told = read(column("float"), pa.array([2**24, 2**24 + 1, 2**40], type_))
    assert found == [2.0**24, None, 2.0**40]


def test_doubles_become_floats_unless_they_are_too_large_or_too_small() -> None:
    found, told = read(column("float"), pa.array([0.1, 1e39, -1e39, math.inf, math.nan, 1e-50, -0.0]))
    assert found == [float(np.float32(0.1)), None, None, math.inf, None, None, 0.0]
    assert told == [
        "2: column x: 1e+39 is not a number that a float holds",
        "3: column x: -1e+39 is not a number that a float holds",
        "6: column x: 1e-50 is not a number that a float holds",
    ]


@pytest.mark.parametrize(
    ("text", "datatype", "value"),
    [
        ("1.5", "double", 1.5),
        (" +1.5 ", "double", 1.5),
        ("-.5", "double", -0.5),
        ("5.", "double", 5.0),
        ("1E5", "double", 1e5),
        ("+Inf", "double", math.inf),
        ("-Infinity", "double", -math.inf),
        ("NaN", "double", None),
        ("", "double", None),
        ("0x1F", "int", 31),
        ("0xFF", "unsignedByte", 255),
        ("+7", "int", 7),
        ("007", "int", 7),
        ("-0", "int", 0),
        ("T", "boolean", True),
        ("false", "boolean", False),
        ("0", "boolean", False),
        ("?", "boolean", None),
    ],
)
def test_numbers_and_truth_as_votable_writes_them(text: str, datatype: Datatype, value: Any) -> None:
    assert read(column(datatype), pa.array([text])) == ([value], [])


@pytest.mark.parametrize(
    ("text", "datatype"),
    [
        ("0,5", "double"),
        ("1d5", "double"),
        ("1e400", "double"),
        ("1e39", "float"),
        ("1e-400", "double"),
        ("-.00001e-45", "float"),
        ("nan(1)", "double"),
        ("0x10", "double"),
        ("1_000", "double"),
        ("٣", "double"),
        ("1 2", "double"),
        ("1e", "double"),
        ("12.0", "int"),
        ("1e2", "int"),
        ("0xFFFFFFFF", "int"),
        ("-0x1", "int"),
        ("0x", "int"),
        ("9223372036854775808", "long"),
        ("256", "unsignedByte"),
        ("-1", "unsignedByte"),
        ("0x1FF", "unsignedByte"),
        ("yes", "boolean"),
        ("2", "boolean"),
        ("TRUE!", "boolean"),
    ],
)
def test_a_cell_that_is_not_of_its_type_is_told(text: str, datatype: Datatype) -> None:
    found, told = read(column(datatype), pa.array(["1", text, "0"]))
    assert found == ([True, None, False] if datatype == "boolean" else [1, None, 0])
    assert len(told) == 1 and told[0].startswith(f'2: column x: "{text}" is not ')


@pytest.mark.parametrize(
    ("text", "datatype", "value"),
    [
        ("1.5D+03", "double", 1500.0),
        ("1d5", "float", 1e5),
        ("12.0", "int", 12),
        ("12.", "int", 12),
        ("1.2e1", "int", 12),
        ("9007199254740993.000", "long", 9007199254740993),
        ("9.007199254740993e15", "long", 9007199254740993),
        ("1e-320", "double", 1e-320),
        ("-0e-400", "double", 0.0),
    ],
)
def test_numbers_as_programs_write_them_in_plain_text(text: str, datatype: Datatype, value: Any) -> None:
    assert read(column(datatype), pa.array([text]), PLAIN) == ([value], [])


@pytest.mark.parametrize("text", ["12.5", "1e-1", "1e300", "12.0.0", "0x1F", "inf", "nan", "12.00000000000000000001"])
def test_what_is_not_whole_is_told_in_plain_text_too(text: str) -> None:
    found, told = read(column("int"), pa.array([text]), PLAIN)
    assert found == [None] and len(told) == 1


def test_a_decimal_comma_where_the_file_has_them() -> None:
    german = Grammar(loose=True, comma=True)
    found, told = read(column("double"), pa.array(["0,5", "-1,5e3", "7", "1.5", "1.234,5", "1,2,3"]), german)
    assert found == [0.5, -1500.0, 7.0, None, None, None]
    assert len(told) == 3
    assert read(column("int"), pa.array(["12,0", "12.0"]), german)[0] == [12, None]


def test_arrays() -> None:
    pair = column("double", "2")
    assert read(pair, pa.array(["1 2", "1", "1 2 3", "1 x", "", None, "NaN 2"]))[0][:6] == [
        [1.0, 2.0], None, None, None, None, None,
    ]  # fmt: skip
    found, told = read(column("int", "*"), pa.array([[1, None], [2**31], [3, 4], None, []], pa.list_(pa.int64())))
    assert found == [None, None, [3, 4], None, []]
    whole = "each a whole number from -2147483648 to 2147483647"
    assert told == [
        f'1: column x: "[1,null]" is not a list of numbers, {whole} (there is no room for missing ones)',
        f'2: column x: "[2147483648]" is not a list of numbers, {whole}',
    ]
    shapes = pa.array([[0.0, 0, 1, 0, 1, 1], [0.0, 0, 1, 0, 1], [0.0, 0, 1, 0], [], None])
    found, told = read(column("double", "*", "polygon"), shapes)
    assert [each and len(each) for each in found] == [6, None, None, [], None] and len(told) == 2
    # A NULL among floating numbers stays one.
    assert read(column("float", "*"), pa.array([[1.5, None, 3.5]])) == ([[1.5, None, 3.5]], [])
    fixed = pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2))
    assert read(column("double", "2", "point"), fixed) == ([[1.0, 2.0], None], [])
    assert read(column("double", "3", "circle"), fixed)[1][0].startswith(
        '1: column x: "[1.0,2.0]" is not a list of 3 numbers'
    )


@pytest.mark.parametrize(
    ("arraysize", "good"), [("3", "abc"), ("3*", "ab"), ("*", "abcdefgh"), (None, "a"), ("1", "a")]
)
def test_texts_have_bounds(arraysize: str | None, good: str) -> None:
    found, told = read(column("char", arraysize), pa.array([good, good + "x" * 3]))
    if arraysize == "*":
        assert told == []
    else:
        assert found == [good, None]
        assert "characters, and the column is declared for" in told[0]


def test_forbidden_characters_are_told() -> None:
    rule = Forbidden(r"[^ -~]", "is not plain ASCII text")
    found, told = read(column("char", "*"), pa.array(["a", "\xfc", None]), forbidden=rule)
    assert found == ["a", None, None] and told == ['2: column x: "\xfc" is not plain ASCII text']


def test_times_of_every_unit_and_zone() -> None:
    time = column("char", "*", "timestamp")
    noon = datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC)
    for type_ in (pa.timestamp("us"), pa.timestamp("us", "+02:00"), pa.timestamp("us", "UTC")):
        found, told = read(time, pa.array([noon, None], type_))
        assert found == [noon.replace(tzinfo=None), None] and not told
    nanoseconds = pa.array([499, 500, -500, -501, 2**63 - 1], pa.int64()).cast(pa.timestamp("ns"))
    assert [stamp.microsecond for stamp in read(time, nanoseconds)[0][:4]] == [0, 1, 0, 999_999]
    assert read(time, pa.array([date(2026, 1, 31)]))[0] == [datetime(2026, 1, 31)]
    for type_, last, count in (
        (pa.timestamp("s"), 253402300799, 2**62),
        (pa.timestamp("us"), 253402300799999999, 2**62),
        (pa.date32(), 2932896, 2932897),
    ):
        counts = pa.array([0, last, count, -count], pa.int64())
        found, told = read(time, (counts.cast(pa.int32()) if type_ == pa.date32() else counts).cast(type_))
        assert [each and each.year for each in found] == [1970, 9999, None, None]
        assert len(told) == 2 and "after 1970 is not in the years 1 to 9999" in told[0]


@pytest.mark.parametrize(
    ("type_", "datatype", "arraysize", "says"),
    [
        (pa.bool_(), "int", None, "truth values, where there should be whole numbers"),
        (pa.bool_(), "char", "*", "truth values, where there should be text"),
        (pa.float64(), "char", "*", "numbers, where there should be text"),
        (pa.float64(), "boolean", None, "numbers, where there should be truth values"),
        (pa.timestamp("us"), "double", None, "a time, where there should be numbers"),
        (pa.time32("s"), "char", "*", "values of the type time32[s], where there should be text"),
        (pa.list_(pa.float64()), "double", None, "lists of numbers, where there should be numbers"),
        (pa.float64(), "double", "*", "numbers, where there should be lists of numbers"),
        (pa.list_(pa.list_(pa.float64())), "double", "*", "lists of numbers, where there should be numbers"),
        (pa.struct([("a", pa.int8())]), "int", None, "struct"),
    ],
)
def test_types_that_have_nothing_in_common(
    type_: pa.DataType, datatype: Datatype, arraysize: str | None, says: str
) -> None:
    assert says in (misfit(type_, column(datatype, arraysize)) or "")
