"""Files that were read wrongly once, by both ways: km3vo load, and uploads to TAP."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from km3vo.catalog.files import read_catalog
from km3vo.catalog.model import Table
from km3vo.cluster.embedded import Cluster
from km3vo.database.logins import INGEST, Database
from km3vo.errors import LoadError
from km3vo.loading import loads
from km3vo.readers.opened import Options
from tests.support.changes import unguarded
from tests.support.databases import database_of, drop, make_tables
from tests.support.server import Server

pytestmark = pytest.mark.slow

NOON = datetime(2023, 2, 25, 12)


@dataclass(frozen=True, slots=True)
class Case:
    """What should become of a file.

    Attributes:
        name: of the file.
        columns: what is asked of it.
        rows: what they hold; None when the file is refused.
        says: what is told about it, or "".
        options: as which it is read.
    """

    name: str
    columns: str = ""
    rows: list[tuple[Any, ...]] | None = None
    says: str = ""
    options: Options = field(default_factory=Options)

    def __str__(self) -> str:
        return self.name


LOADS = [
    Case("01_int_clipped_3000000000.vot", says='row 1: column nhit: "3000000000" is not a whole number'),
    Case("01_float_decimal_comma_becomes_null.vot", says='row 1: column err50: "0,5" is not a number'),
    Case(
        "02_parquet_astropy_rad_TeV.parquet",
        "ra, dec, energy",
        [(57.29577951308232, 28.64788975654116, 3000.0)],
        "energy: TeV was turned into GeV",
    ),
    Case(
        "03_votable_TIMESYS_TT.vot",
        "mjd, obs_time",
        [(60000.49919925926, datetime(2023, 2, 25, 11, 58, 50, 816000))],
        "times in TT were turned into UTC",
    ),
    Case("03_votable_TIMESYS_timeorigin.vot", says="differs from mjd by more than a second"),
    Case(
        "03_votable_COOSYS_FK4.vot",
        "ra, dec",
        [(pytest.approx(11.160363), pytest.approx(20.773420))],
        "positions in FK4 (B1950) were turned into ICRS",
    ),
    Case("03_ecsv_jd1_jd2_microseconds.ecsv", "mjd, obs_time", [(60000.5, datetime(2023, 2, 25, 12, 0, 0, 123456))]),
    Case("04_ecsv_masked_array_element.ecsv", "amps", [([1.5, None, 3.5],)]),
    Case("05_fits_logical_null.fits", "flag", [(None,)]),
    Case("05_fits_TNULL_scaled.fits", "qual", [(None,)]),
    Case(
        "05_fits_TDIM_1_string_cut.fits",
        says="column event_id has 11 characters, and its dimensions others",
    ),
    Case("06_fits_time_column_refused.fits", "obs_time", [(NOON,)]),
    Case("06_fits_vector_column_refused.fits", "amps", [([1.5, 2.5, 3.5],)]),
    Case("07_tsv_quote.tsv", "note", [('"start',), ("x",), ('end"',)]),
    Case("08_votable_OVERFLOW_mark.vot", says="--truncated"),
    Case("08_votable_OVERFLOW_mark.vot", "ra", [(10.5,)], "cut off at a limit", Options(truncated=True)),
    Case("10_cr_only.csv", "ra", [(10.5,)]),
    Case("10_int_as_12.0.csv", "nhit", [(12,)]),
    Case("10_time_ns.csv", "obs_time", [(datetime(2023, 2, 25, 12, 0, 0, 123457),)]),
    Case("10_time_plus0000.csv", "obs_time", [(NOON,)]),
]
UPLOADS = [
    Case("04_upload_ecsv_null_point.ecsv", "name, COORD1(p) AS x", [("a", "10"), ("b", "")]),
    Case("04_ecsv_masked_array_element.ecsv", "amps", [("1.5 NaN 3.5",)]),
    Case("05_fits_logical_null.fits", "flag", [("",)]),
    Case("05_fits_TNULL_scaled.fits", "qual", [("",)]),
    Case("05_fits_TDIM_1_string_cut.fits", says="event_id has 11 characters"),
    Case("06_fits_time_column_refused.fits", "obs_time", [("2023-02-25T12:00:00",)]),
    Case("06_fits_vector_column_refused.fits", "amps", [("1.5 2.5 3.5",)]),
    Case("07_tsv_quote.tsv", "note", [('"start',), ("x",), ('end"',)]),
    Case("07_upload_quote_swallows.tsv", "n, r", [('"start', "1"), ("b", "2"), ('{"x"}', "3")]),
    Case("08_votable_OVERFLOW_mark.vot", says="UPLOAD_TRUNCATED"),
    Case("08_votable_OVERFLOW_mark.vot", "ra", [("10.5",)], options=Options(truncated=True)),
    Case("09_upload_uint64_ids.csv", "specobjid, ra", [("13263443587219939328", "10"), ("13263443587219939329", "11")]),
    Case("09_upload_leading_zeros.csv", "run", [("00123",)]),
    Case(
        "09_upload_sexagesimal.csv",
        "ra, ivo_hms_to_degrees(ra) AS r",
        [("05:34:31", "83.62916666666666")],
    ),
    Case("11_upload_binary2_null_point.vot", "name, COORD2(p) AS y", [("a", "20"), ("b", "")]),
    Case("01_int_clipped_3000000000.vot", says='row 1: column nhit: "3000000000" is not a whole number'),
    Case("01_float_decimal_comma_becomes_null.vot", says='column err50: "0,5" is not a number'),
    Case("02_parquet_astropy_rad_TeV.parquet", "ra, energy", [("1", "3")]),
    Case("03_votable_TIMESYS_TT.vot", "mjd, obs_time", [("60000.49919925926", "2023-02-25T11:58:50.816")]),
    Case("03_votable_TIMESYS_timeorigin.vot", "mjd", [("111986.5",)]),
    Case("03_ecsv_jd1_jd2_microseconds.ecsv", "obs_time", [("2023-02-25T12:00:00.123456",)]),
    Case("10_cr_only.csv", "ra, obs_time", [("10.5", "2023-02-25T12:00:00")]),
    Case("10_int_as_12.0.csv", "nhit", [("12",)]),
    Case("10_time_ns.csv", "obs_time", [("2023-02-25T12:00:00.123456789",)]),
    Case("10_time_plus0000.csv", "obs_time", [("2023-02-25T12:00:00",)]),
]


def _file(folder: Path, case: Case) -> Path:
    file = folder / case.name
    if not file.is_file():
        pytest.skip(f"there is no {file}")
    return file


@pytest.fixture(scope="module")
def lab(cluster: Cluster, new_database: Callable[[], str], reader_cases_dir: Path) -> Iterator[tuple[Database, Table]]:
    """A database with the table lab.events, as the folder describes it."""
    database = database_of(cluster, new_database())
    catalog = read_catalog(reader_cases_dir)
    make_tables(database, catalog)
    yield database, catalog.table("lab.events")
    drop(database)


@pytest.mark.parametrize("case", LOADS, ids=str)
def test_loads(lab: tuple[Database, Table], reader_cases_dir: Path, case: Case) -> None:
    database, table = lab
    file = _file(reader_cases_dir, case)
    with database.connect() as admin:
        unguarded(admin)
        admin.execute("TRUNCATE lab.events, km3vo.load")
    with database.connect(INGEST) as loader:
        if case.rows is None:
            with pytest.raises(LoadError) as caught:
                loads.load(loader, table, [file], options=case.options)
            assert case.says in str(caught.value)
            return
        loaded = loads.load(loader, table, [file], options=case.options)
    assert case.says in "\n".join(loaded.files[0].remarks)
    with database.connect() as admin:
        assert admin.execute(f"SELECT {case.columns} FROM lab.events ORDER BY event_id").fetchall() == case.rows


@pytest.mark.parametrize("case", UPLOADS, ids=str)
def test_uploads(server: Server, reader_cases_dir: Path, case: Case) -> None:
    file = _file(reader_cases_dir, case)
    data = {
        "LANG": "ADQL",
        "QUERY": f"SELECT {case.columns or '*'} FROM TAP_UPLOAD.t",
        "RESPONSEFORMAT": "csv",
        "UPLOAD": "t,param:file",
    }
    if case.options.truncated:
        data["UPLOAD_TRUNCATED"] = "t"
    answer = httpx.post(f"{server.tap}/sync", data=data, files={"file": file.read_bytes()}, timeout=60)
    if case.rows is None:
        assert answer.status_code == 400
        assert case.says.replace('"', "&quot;") in answer.text or case.says in answer.text
        return
    assert answer.status_code == 200, answer.text
    found = list(csv.reader(io.StringIO(answer.text)))[1:]
    assert sorted(map(tuple, found)) == sorted(case.rows)


def test_no_file_of_the_folder_is_left_out(reader_cases_dir: Path) -> None:
    known = {case.name for case in (*LOADS, *UPLOADS)} | {"lab.yaml"}
    found = {name for name in os.listdir(reader_cases_dir) if not name.endswith(".md")}
    assert found <= known
