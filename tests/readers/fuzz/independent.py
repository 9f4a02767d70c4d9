"""Readers that are not ours, and strict: what a file holds, or that it holds nothing to rely on.

VOTables, FITS and ECSV by astropy with its warnings as errors, Parquet by duckdb, text by Python's csv module and, for
the cells of published columns, by a grammar of a few lines.
"""

from __future__ import annotations

import csv
import io
import re
import tempfile
import warnings
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import duckdb
from astropy.io import fits, votable
from astropy.table import Table

from tests.support.random_tables import meaning

Cells = list[list[Any]]
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|z|\+00(:?00)?)?)?", re.ASCII)
_BOUNDS = {
    "unsignedByte": (0, 255),
    "short": (-(2**15), 2**15 - 1),
    "int": (-(2**31), 2**31 - 1),
    "long": (-(2**63), 2**63 - 1),
}


class Refused(Exception):
    """The file is not what it says it is."""


def read(content: bytes, kind: str, *, strict: bool = True) -> Cells:
    """The cells of a file's only table, by column; unless ``strict``, in spite of warnings.

    Raises:
        Refused: it cannot be read, or has several tables.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error" if strict else "ignore")
            return _READERS[kind](content)
    except MemoryError:
        raise
    except Exception as error:
        raise Refused(f"{type(error).__name__}: {str(error)[:200]}") from None


def _is_strict() -> bool:
    return warnings.filters[0][0] == "error"


def _votable(content: bytes) -> Cells:
    document = votable.parse(io.BytesIO(content), verify="exception" if _is_strict() else "ignore")
    tables = list(document.iter_tables())
    if len(tables) != 1:
        raise Refused("not one table")
    array = tables[0].array
    return [_column(array[name]) for name in array.dtype.names or ()]


def _column(array: Any) -> list[Any]:
    return [meaning(cell) for cell in array]


def _fits(content: bytes) -> Cells:
    with fits.open(io.BytesIO(content), checksum=False) as units:
        units.verify("exception" if _is_strict() else "ignore")
        tables = [unit for unit in units if isinstance(unit, fits.BinTableHDU | fits.TableHDU)]
        if len(tables) != 1:
            raise Refused("not one table")
        table = Table.read(units, hdu=units.index_of(tables[0]))
    return [_column(table[name]) for name in table.colnames]


def _ecsv(content: bytes) -> Cells:
    table = Table.read(content.decode(), format="ascii.ecsv")
    return [_column(table[name]) for name in table.colnames]


def _parquet(content: bytes) -> Cells:
    if b"__serialized_columns__" in content or b"table_meta_yaml" in content:
        raise Refused("columns in several parts, as astropy has them")

    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        file.write(content)
        file.flush()
        with duckdb.connect() as connection:
            relation = connection.execute("SELECT * FROM read_parquet(?)", [file.name])
            rows = relation.fetchall()
            width = len(relation.description or ())
    return [[meaning(row[place]) for row in rows] for place in range(width)]


def texts(content: bytes, delimiter: str) -> list[list[str]]:
    """The rows of a text file, the line of names included.

    Raises:
        Refused: it is not text, or its quotes are not those of RFC 4180.
    """
    try:
        text = content.decode("utf-8-sig")
        lines = io.StringIO(text, newline="")
        if delimiter == "\t":
            rows = csv.reader(lines, delimiter=delimiter, strict=True, quoting=csv.QUOTE_NONE)
        else:
            rows = csv.reader(lines, delimiter=delimiter, strict=True)
        return [row for row in rows if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise Refused(str(error)) from None


def cell(text: str, datatype: str, xtype: str | None) -> Any:
    """A cell of a published column.

    Raises:
        Refused: it is not of the column's type.
    """
    written = text.strip()
    if xtype == "timestamp":
        if not written:
            return None
        if not _TIME.fullmatch(written):
            raise Refused(text)
        try:
            return datetime.fromisoformat(re.sub(r"(Z|z|\+00(:?00)?)$", "", written)[:26])
        except ValueError:
            raise Refused(text) from None
    if datatype in ("char", "unicodeChar"):
        return text or None
    if not written:
        return None
    if datatype == "boolean":
        if written.lower() not in ("true", "t", "1", "false", "f", "0"):
            raise Refused(text)
        return written.lower() in ("true", "t", "1")
    if re.fullmatch(r"[+-]?(nan|inf|infinity)", written, re.IGNORECASE | re.ASCII) and datatype not in _BOUNDS:
        return meaning(float(written))
    if not _NUMBER.fullmatch(written):
        raise Refused(text)
    number = Decimal(written.lower().replace("d", "e"))
    if datatype not in _BOUNDS:
        return meaning(float(number))
    low, high = _BOUNDS[datatype]
    if number != number.to_integral_value() or not low <= number <= high:
        raise Refused(text)
    return int(number)


_READERS: dict[str, Callable[[bytes], Cells]] = {"votable": _votable, "fits": _fits, "ecsv": _ecsv, "parquet": _parquet}
