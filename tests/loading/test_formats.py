"""Files of every format that loads take, and files that only seem so."""

from __future__ import annotations

import gzip
from pathlib import Path

import astropy.units as u
import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from astropy.table import Table as AstropyTable
from astropy.time import Time

from km3vo.catalog.model import Table
from km3vo.database.logins import Database
from tests.loading.lab import FORMATS, HEADER, ROW, Write, load, refused, stored, table_of_two

pytestmark = pytest.mark.slow


def test_blank_lines_at_the_end_are_forgiven(lab: Database, hits: Table, write: Write) -> None:
    assert load(lab, hits, write(HEADER + ROW + "\n\n")).rows == 1


@pytest.mark.parametrize("name", ["dos.csv", "bom.csv", "unended.csv", "zipped.csv.gz", "tabs.tsv"])
def test_text_comes_in_many_dresses(lab: Database, hits: Table, write: Write, name: str) -> None:
    text = (HEADER + ROW).encode()
    dressed = {
        "dos.csv": text.replace(b"\n", b"\r\n"),
        "bom.csv": b"\xef\xbb\xbf" + text,
        "unended.csv": text.rstrip(),
        "zipped.csv.gz": gzip.compress(text, mtime=0),
        "tabs.tsv": text.replace(b",", b"\t"),
    }
    assert load(lab, hits, write(dressed[name], name)).rows == 1
    assert stored(lab, "id, ra, dec, mjd, kind") == [("A1", 10.5, -20.5, 58000.5, "track")]


@pytest.mark.parametrize("name", FORMATS)
def test_tables_with_types_and_units_are_read(lab: Database, hits: Table, tmp_path: Path, name: str) -> None:
    table = table_of_two()
    if name.endswith("parquet"):
        columns = {key: pa.array(np.asarray(table[key]).tolist()) for key in table.colnames}
        columns["hits"], columns["energy"] = pa.array([3, None]), pa.array([1000.0, 2000.0])
        parquet.write_table(pa.table(columns), tmp_path / name)
    else:
        table.write(tmp_path / name, format=FORMATS[name])
    assert load(lab, hits, tmp_path / name).rows == 2
    assert stored(lab, "id, ra, dec, mjd, kind, energy, hits") == [
        ("A1", 10.5, -20.5, 58000.5, "track", 1000.0, 3),
        ("A2", 11.5, -21.5, 58001.5, "shower", 2000.0, None),
    ]


@pytest.mark.parametrize("name", ["x.ecsv", "x.vot", "x.fits"])
def test_rows_of_tables_are_counted_from_one(lab: Database, hits: Table, tmp_path: Path, name: str) -> None:
    table_of_two(RA=np.array([10.5, 361.0]) * u.deg).write(tmp_path / name, format=FORMATS[name])
    assert refused(lab, hits, tmp_path / name)[1:] == [
        f"  {name} row 2: column ra: 361 is not in [0,360) (write 0 for 360)"
    ]


def test_times_of_astropy_are_read_as_utc(lab: Database, hits: Table, tables: dict[str, Table], tmp_path: Path) -> None:
    times = Time([58000.0, 58000.25], format="mjd", scale="utc")
    AstropyTable({"id": ["A1", "A2"], "ra": [1.0, 2.0], "dec": [3.0, 4.0], "mjd": times.mjd, "seen": times.tai}).write(
        tmp_path / "x.ecsv"
    )
    assert load(lab, tables["late"], tmp_path / "x.ecsv").rows == 2
    seen = [value for (value,) in stored(lab, "to_char(seen, 'YYYY-MM-DD HH24:MI:SS')", "lab.late")]
    assert seen == ["2017-09-04 00:00:00", "2017-09-04 06:00:00"]


@pytest.mark.parametrize("time", ["2017-09-04T00:00:00Z", "2017-09-04 00:00:00.25", "2017-09-04"])
def test_times_may_be_written_in_the_ways_of_dali(
    lab: Database, hits: Table, tables: dict[str, Table], write: Write, time: str
) -> None:
    assert load(lab, tables["late"], write(f"id,ra,dec,mjd,seen\nA1,1,2,58000,{time}\n")).rows == 1


def test_a_released_file_is_read_by_its_description(lab: Database, hits: Table, write: Write) -> None:
    load(lab, hits, write("a title\n 360.0  -1.5\t58000 x\n12 2 58001.25 y\n", "released.dat"))
    assert stored(lab, "id, ra, dec, mjd, kind") == [
        ("REL001", 0.0, -1.5, 58000.0, "track"),
        ("REL002", 12.0, 2.0, 58001.25, "track"),
    ]


def test_a_released_file_that_is_not_whole_is_told(lab: Database, hits: Table, write: Write) -> None:
    assert refused(lab, hits, write("a title\n360.0 -1.5 58000 x\n", "released.dat"))[1:] == [
        "  released.dat: it has 1 rows and the release has 2: it is not complete, or not the released file"
    ]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.csv", None, "There is no file"),
        ("events.doc", b"x", "the format of the file is not known: its name must end in .csv"),
        ("events.csv", b"", "cannot be read: its first line is empty"),
        ("events.csv", b"\x1f\x8b\x08", "cannot be read"),
        ("events.csv.gz", b"id,ra\n", "cannot be read"),
        ("events.csv.gz", gzip.compress((HEADER + ROW * 9).encode(), mtime=0)[:40], "cannot be read"),
        ("events.parquet", b"PAR1", "cannot be read"),
        ("events.fits", b"SIMPLE  =", "cannot be read"),
        ("events.fits", b"", "cannot be read"),
        ("events.vot", b"<html/>", "cannot be read"),
        ("events.vot", b"<VOTABLE", "cannot be read"),
        ("events.ecsv", b"id,ra\n1,2\n", "cannot be read"),
    ],
)
def test_a_file_that_is_not_what_it_seems_is_told(
    lab: Database, hits: Table, write: Write, tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    file = tmp_path / name if content is None else write(content, name)
    (message,) = refused(lab, hits, file)
    assert words in message
    assert name in message


def test_names_of_columns_and_nothing_below_load_nothing(lab: Database, hits: Table, write: Write) -> None:
    assert load(lab, hits, write(HEADER)).rows == 0


def test_several_tables_in_a_file_are_told(lab: Database, hits: Table, tmp_path: Path) -> None:
    from astropy.io import fits

    part = fits.BinTableHDU(table_of_two())
    fits.HDUList([fits.PrimaryHDU(), part, part.copy()]).writeto(tmp_path / "x.fits")
    assert "holds 2 tables" in refused(lab, hits, tmp_path / "x.fits")[0]
