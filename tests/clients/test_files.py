"""STILTS and astropy as independent writers and readers: what they write we read, and what we write they read."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.table import Table

from km3vo.results import formats
from tests.support.random_tables import astropy_table, meaning, sample
from tests.support.round_trip import uploaded, written


def compare(found: Sequence[Any], wanted: Sequence[Any], what: str) -> None:
    assert len(found) == len(wanted), what
    for row, (cell, expected) in enumerate(zip(map(meaning, found), map(meaning, wanted), strict=True)):
        # repr tells all bits of a double, and a NaN from a number.
        assert repr(cell) == repr(expected), f"{what}, row {row}"


# STILTS --------------------------------------------------------------------------------------------------------------

# What STILTS writes otherwise: lists of one length, with NaN at their ends; no infinity in JSON; lists in brackets.
LEFT_OUT = {
    "fits-basic": ("polygon", "counts"),
    "ecsv": ("matrix",),
    "csv": ("point", "polygon", "counts", "matrix"),
}
# One start of Java reads all of ours and writes them, one below the other, in a format of its own.
OURS = ("votable", "votable/td", "votable/b", "fits", "ecsv")


@pytest.mark.client
@pytest.mark.parametrize(
    "form",
    ["votable-tabledata", "votable-binary-inline", "votable-binary2-inline", "fits-basic", "fits-var", "ecsv", "csv"],
)
def test_stilts_reads_ours_and_we_read_what_it_writes(stilts: Callable[..., str], form: str, tmp_path: Path) -> None:
    table = sample(seed=1, rows=100, without=LEFT_OUT.get(form, ()))
    arguments = []
    for number, name in enumerate(OURS, 1):
        extension = formats.find(name).extension
        file = tmp_path / f"{number}.{extension}"
        file.write_bytes(written(table, name))
        arguments += [f"in{number}={file}", f"ifmt{number}={'votable' if extension == 'vot' else extension}"]
    out = tmp_path / "out"
    stilts("tcatn", f"nin={len(OURS)}", *arguments, f"out={out}", f"ofmt={form}")
    columns, cells = uploaded(out.read_bytes())
    assert [column.name for column in columns] == [column.name for column in table.columns]
    for column, back, found, values in zip(table.columns, columns, cells, table.cells, strict=True):
        if form == "csv" and column.datatype == "float":
            found = [None if cell is None else float(np.float32(cell)) for cell in found]
        compare(found, values * len(OURS), f"{form}, {column.name}")
        if form != "csv":
            assert (back.unit, back.ucd) == (column.unit, column.ucd) or form == "ecsv"


def test_stilts_reads_our_csv(stilts: Callable[..., str], tmp_path: Path) -> None:
    table = sample(seed=2, rows=300, without=LEFT_OUT["csv"])
    file, out = tmp_path / "file.csv", tmp_path / "file.vot"
    file.write_bytes(written(table, "csv"))
    stilts("tcopy", f"in={file}", "ifmt=csv", f"out={out}", "ofmt=votable-binary2-inline")
    for column, found, values in zip(table.columns, uploaded(out.read_bytes())[1], table.cells, strict=True):
        if column.datatype == "float":
            found = [None if cell is None else float(np.float32(cell)) for cell in found]
        compare(found, values, column.name)


# astropy -------------------------------------------------------------------------------------------------------------

ASTROPY: dict[str, dict[str, Any]] = {
    "tabledata.vot": {"format": "votable", "tabledata_format": "tabledata"},
    "binary.vot": {"format": "votable", "tabledata_format": "binary"},
    "binary2.vot": {"format": "votable", "tabledata_format": "binary2"},
    "table.fits": {"format": "fits"},
    "table.ecsv": {"format": "ascii.ecsv"},
    "commas.ecsv": {"format": "ascii.ecsv", "delimiter": ","},
    "table.csv": {"format": "ascii.csv"},
    "table.parquet": {"format": "parquet"},
}


NAMES = {
    "unsignedByte": "u1",
    "short": "i2",
    "int": "i4",
    "long": "i8",
    "float": "f4",
    "double": "f8",
    "boolean": "truth",
}


@pytest.mark.parametrize("name", ASTROPY)
def test_we_read_what_astropy_writes_as_astropy_does(name: str, tmp_path: Path) -> None:
    for seed in range(5):
        table = astropy_table(seed, 60)
        # CSV has no arrays, and for BINARY astropy names no number for a missing one.
        left_out = {"table.csv": ("vector",), "binary.vot": ("masked_u", "masked_i")}.get(name, ())
        table.remove_columns([column for column in table.colnames if column.startswith(left_out or "-")])
        file = tmp_path / f"{seed}-{name}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table.write(file, **ASTROPY[name])
            theirs = Table.read(file, format=ASTROPY[name]["format"])
        columns, cells = uploaded(file.read_bytes())
        assert [column.name for column in columns] == theirs.colnames
        for column, found in zip(columns, cells, strict=True):
            # Of a masked text in BINARY2 astropy reads what stands below the mask.
            wanted = table if name == "binary2.vot" and column.name == "masked_text" else theirs
            if name == "table.csv" and column.name == "truth":
                found = list(map(str, found))
            compare(found, list(wanted[column.name]), f"{name}, {column.name}")
            if name != "table.csv":
                assert column.unit == (str(theirs[column.name].unit or "") or None)
                assert column.is_string or column.name.endswith(NAMES[column.datatype])


@pytest.mark.parametrize("name", ["votable", "votable/td", "votable/b", "fits", "ecsv", "csv"])
def test_astropy_reads_what_we_write(name: str) -> None:
    left_out = ("polygon", "counts", "point", "matrix") if name == "csv" else ("matrix",) if name != "fits" else ()
    table = sample(seed=3, rows=200, without=left_out)
    form = {"fits": "fits", "ecsv": "ascii.ecsv", "csv": "ascii.csv"}.get(name, "votable")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = Table.read(io.BytesIO(written(table, name)), format=form)
    for column, values in zip(table.columns, table.cells, strict=True):
        found = list(theirs[column.name])
        if column.datatype == "boolean" and name in ("votable/b", "fits"):
            values = [bool(value) for value in values]  # neither has missing booleans for astropy
            found = [bool(cell) for cell in found]
        if name == "csv" and column.datatype == "boolean":
            values = [None if value is None else str(value).lower() for value in values]
        if name == "csv" and column.datatype == "float":
            found = [cell if cell is np.ma.masked else float(np.float32(cell)) for cell in found]
        compare(found, values, f"{name}, {column.name}")
