"""Tables that are written in a format and read again, and what the cells of both have to do with each other."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest

from km3vo.column import Column
from km3vo.results import formats
from km3vo.uploads.files import read_file
from tests.support import kept
from tests.support.cells import Sample, same

each_format = pytest.mark.parametrize("name", kept.FORMATS)
AWKWARD: dict[str, list[Any]] = {
    "flag": [True, False],
    "byte": [0, 255],
    "short": [-(2**15) + 1, 2**15 - 1],
    "int": [-(2**31) + 1, 2**31 - 1],
    "long": [-(2**63) + 1, 2**63 - 1, 2**53 + 1],
    "float": [math.nan, math.inf, -0.0, 1e-45],
    "ra": [math.nan, -math.inf, 5e-324, 0.1],
    "mjd": [60000.123456789, 1.7976931348623157e308],
    "ascii": ["", " ", "a,b", '"', "NULL", "nan", "007"],
    "word": ["12345678", "1E0657", "#"],
    "text": ["Kπ\U0001f52d", "</TD>", "&amp;"],
    "time": [datetime(1969, 12, 31, 23, 59, 59, 123456), datetime(9999, 12, 31, 23, 59, 59)],
    "point": [[359.5, -89.25], [0.0, -0.0]],
    "polygon": [[0.0, 0.0, 1.0, 0.0, 0.0, 1.0], [0.5] * 8],
    "counts": [[], [-(2**31), 2**31 - 1], [0]],
    "matrix": [[math.inf, -0.0, 1e-45, 3.4028234663852886e38, 0.5, -1.0]],
}


def written(table: Sample, name: str) -> bytes:
    result = table.result()
    document = b"".join(formats.find(name).write(result))
    assert not result.failed, result.failed
    return document


def uploaded(document: bytes) -> tuple[list[Column], list[list[Any]]]:
    """What an upload makes of a file."""
    table = read_file(io.BytesIO(document), most_rows=1000, most_bytes=2**26)
    return table.columns, [column.to_pylist() for column in table.rows.columns]


def compare(found: Sequence[Any], wanted: Sequence[Any], what: str) -> None:
    assert len(found) == len(wanted), what
    for row, (cell, expected) in enumerate(zip(found, wanted, strict=True)):
        assert exactly(cell, expected), f"{what}, row {row}: {cell!r} came back instead of {expected!r}"


def exactly(found: Any, wanted: Any) -> bool:
    """Whether two cells are equal to the last bit, the sign of zero included."""
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(exactly, found, wanted))
    if isinstance(found, float) and found == 0:
        return same(found, wanted) and math.copysign(1, found) == math.copysign(1, wanted)
    return same(found, wanted)


def check_inferred(column: Column, cells: Sequence[Any], wanted: Sequence[Any]) -> None:
    """Columns of CSV and TSV have no types: what they say comes back, as numbers only where these say the same."""
    if column.datatype in ("float", "double"):
        # Written with the digits of their own type.
        found, numbers = ([_numbers(column, cell) for cell in side] for side in (cells, wanted))
        compare(found, numbers, column.name)
        return
    for row, (cell, value) in enumerate(zip(cells, wanted, strict=True)):
        back, text = kept.as_csv(cell), kept.as_csv(value)
        assert back == text or (isinstance(cell, float) and cell == float(text)), f"{column.name}, row {row}"


def _numbers(column: Column, cell: Any) -> list[float] | None:
    if isinstance(cell, str):
        cell = [float(part) for part in cell.split()]
    numbers = [] if cell is None else cell if isinstance(cell, list) else [float(cell)]
    type_ = pa.float32() if column.datatype == "float" else pa.float64()
    found = pa.array(numbers, pa.float64()).cast(type_, safe=False).to_pylist()
    return None if all(map(math.isnan, found)) else found
