"""Loading: all rows of all files or none, and every mistake told with file, line, column, value and rule."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import astropy.units as u
import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from astropy.table import Table as AstropyTable
from astropy.time import Time

from km3vo.catalog.files import read_catalog
from km3vo.catalog.model import Table
from km3vo.errors import ConflictError, LoadError
from km3vo.store import ingest, ingest_log, migrate, publish
from km3vo.store.cluster import Cluster
from km3vo.store.database import INGEST, OWNER, PUBLIC, Database
from tests.conftest import database_of, drop

pytestmark = pytest.mark.slow

SCHEMA = """\
schema: lab
title: Laboratory
description: Tables for tests.
tables:
  - &hits
    name: hits
    title: Hits
    description: Some hits.
    id: id
    position: {ra: ra, dec: dec, error: err}
    time: mjd
    sources:
      - file: released.dat
        separator: whitespace
        rows: 2
        skip: 1
        header: [right, dec, mjd, junk]
        ignore: [junk]
        columns:
          id: {line: "REL{line:03d}"}
          ra: {column: right, fold: 360}
          kind: {value: track}
    columns:
      - {name: id, datatype: char, arraysize: "*", nullable: false, description: Identifier}
      - {name: ra, datatype: double, unit: deg, nullable: false, description: Right ascension}
      - {name: dec, datatype: double, unit: deg, nullable: false, description: Declination}
      - {name: mjd, datatype: double, unit: d, nullable: false, range: "[50000,70000]", description: Time}
      - {name: kind, datatype: char, arraysize: "*", values: [track, shower], nullable: false, description: Kind}
      - {name: err, datatype: float, unit: deg, description: Error}
      - {name: energy, datatype: double, unit: GeV, range: "(0,]", description: Energy}
      - {name: hits, datatype: int, range: "[1,]", description: Hits}
      - {name: remark, datatype: unicodeChar, arraysize: "*", description: Remark}
      - {name: path, datatype: double, arraysize: "*", description: Path}
      - {name: good, datatype: boolean, description: Good}
  - name: late
    title: Late
    description: Hits under embargo.
    id: id
    position: {ra: ra, dec: dec}
    time: mjd
    release: {stream: slow, latency: P2Y, time: seen}
    columns:
      - {name: id, datatype: char, arraysize: "*", nullable: false, description: Identifier}
      - {name: ra, datatype: double, unit: deg, nullable: false, description: Right ascension}
      - {name: dec, datatype: double, unit: deg, nullable: false, description: Declination}
      - {name: mjd, datatype: double, unit: d, nullable: false, description: Time}
      - {name: seen, datatype: char, arraysize: "*", xtype: timestamp, nullable: false, description: Time}
"""
HEADER = "id,ra,dec,mjd,kind\n"
ROW = "A1,10.5,-20.5,58000.5,track\n"

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def lab(
    cluster: Cluster, new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """A database with the tables above."""
    folder = tmp_path_factory.mktemp("schemas")
    (folder / "lab.yaml").write_text(SCHEMA)
    database = database_of(cluster, new_database())
    migrate.upgrade(database)
    with database.connect(OWNER) as owner:
        publish.publish(owner, read_catalog(folder))
    yield database
    drop(database)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Table]:
    folder = tmp_path_factory.mktemp("schemas")
    (folder / "lab.yaml").write_text(SCHEMA)
    return {table.name: table for table in read_catalog(folder).tables}


@pytest.fixture
def hits(lab: Database, tables: dict[str, Table]) -> Table:
    """The table lab.hits, empty."""
    with lab.connect() as admin:
        admin.execute("TRUNCATE lab.hits, lab.late, km3vo.load")
    return tables["hits"]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A function that writes a text file and returns its path."""

    def write(text: str | bytes, name: str = "events.csv") -> Path:
        file = tmp_path / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    return write


def load(lab: Database, table: Table, *files: Path) -> ingest.Loaded:
    with lab.connect(INGEST) as connection:
        return ingest.load(connection, table, files)


def stored(lab: Database, what: str = "id", table: str = "lab.hits") -> list[tuple[object, ...]]:
    with lab.connect() as admin:
        return admin.execute(f"SELECT {what} FROM {table} ORDER BY id").fetchall()


def refused(lab: Database, table: Table, *files: Path) -> list[str]:
    """The lines of the complaint, after having seen that nothing was loaded."""
    with pytest.raises(LoadError) as caught:
        load(lab, table, *files)
    assert stored(lab, table=table.qualified) == []
    with lab.connect() as admin:
        assert admin.execute("SELECT count(*) FROM km3vo.load").fetchone() == (0,)
    return str(caught.value).splitlines()


def test_rows_arrive_as_they_are_written(lab: Database, hits: Table, write: Write) -> None:
    file = write(
        "REMARK,id,ra,dec,mjd,kind,err,energy,hits,path,good\n"
        '"a ""b"", \u00fc\u03bd",A1,0.1,-89.999,58000.123456789,track,0.25, 1e5 ,7,1 2.5,true\n'
        ",A2,359.9,90,58000,shower,,nan,,,\n"
    )
    loaded = load(lab, hits, file)
    assert (loaded.table, loaded.rows) == ("lab.hits", 2)
    assert stored(lab, "id, ra, dec, mjd, kind, err, energy, hits, remark, path, good") == [
        ("A1", 0.1, -89.999, 58000.123456789, "track", 0.25, 1e5, 7, 'a "b", \u00fc\u03bd', [1.0, 2.5], True),
        ("A2", 359.9, 90.0, 58000.0, "shower", None, None, None, None, None, None),
    ]


def test_what_is_hidden_from_users_is_filled_by_the_database(lab: Database, hits: Table, write: Write) -> None:
    load(lab, hits, write(HEADER + ROW))
    ((ra,),) = stored(lab, "degrees(long(_pos))")
    assert ra == pytest.approx(10.5)


def test_rows_lie_in_healpix_order(lab: Database, hits: Table, write: Write) -> None:
    rng = np.random.default_rng(1)
    lines = [f"A{n:04d},{rng.uniform(0, 360)},{rng.uniform(-90, 90)},58000,track\n" for n in range(2000)]
    load(lab, hits, write(HEADER + "".join(lines)))
    with lab.connect() as admin:
        pixels = [pixel for (pixel,) in admin.execute("SELECT healpix_nest(12, _pos) FROM lab.hits ORDER BY ctid")]
    assert pixels == sorted(pixels)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("A2,x,-20.5,58000.5,track", 'column ra: "x" is not a number'),
        ("A2,10:30:00,-20.5,58000.5,track", 'column ra: "10:30:00" is not a number'),
        ("A2,360,-20.5,58000.5,track", "column ra: 360 is not in [0,360) (write 0 for 360)"),
        ("A2,-0.1,-20.5,58000.5,track", "column ra: -0.1 is not in [0,360) (write 0 for 360)"),
        ("A2,10.5,90.01,58000.5,track", "column dec: 90.01 is not in [-90,90]"),
        ("A2,nan,-20.5,58000.5,track", "column ra: NaN is not a number, and the column needs one"),
        ("A2,10.5,inf,58000.5,track", "column dec: Infinity is not in [-90,90]"),
        ("A2,10.5,,58000.5,track", "column dec: is missing"),
        (",10.5,-20.5,58000.5,track", "column id: is missing"),
        ("A2,10.5,-20.5,49999,track", "column mjd: 49999 is not in [50000,70000]"),
        ("A2,10.5,-20.5,58000.5,cascade", 'column kind: "cascade" is not one of track, shower'),
        ("A\u00fc1,10.5,-20.5,58000.5,track", 'column id: "A\u00fc1" is not plain ASCII text'),
        ("A\t1,10.5,-20.5,58000.5,track", 'column id: "A\\t1" is not plain ASCII text'),
        ("A\x001,10.5,-20.5,58000.5,track", 'column id: "A\\x001" is not plain ASCII text'),
        ("A2,10.5,-20.5,58000.5", "there are 4 values in it instead of 5"),
        ("A2,10.5,-20.5,58000.5,track,1", "there are 6 values in it instead of 5"),
        ("", "the line is empty"),
    ],
)
def test_a_bad_row_is_told_with_its_place(lab: Database, hits: Table, write: Write, row: str, complaint: str) -> None:
    file = write(f"{HEADER}{ROW}{row}\n{ROW.replace('A1', 'A3')}")
    head, *mistakes = refused(lab, hits, file)
    assert head == "Nothing was loaded, because of 1 mistake:"
    assert mistakes == [f"  events.csv line 3: {complaint}"]


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("err", "0", "0 is not in (0,90]"),
        ("err", "90.5", "90.5 is not in (0,90]"),
        ("err", "inf", "Infinity is not in (0,90]"),
        ("energy", "-1", "-1 is not in (0,]"),
        ("energy", "inf", "Infinity is not finite"),
        ("hits", "1.5", '"1.5" is not a whole number of 32 bits'),
        ("hits", "3000000000", '"3000000000" is not a whole number of 32 bits'),
        ("hits", "0", "0 is not in [1,]"),
        ("remark", "a\x07b", '"a\\x07b" is not text without control characters'),
        ("path", "1 2 x", '"1 2 x" is not a list of numbers with blanks between them'),
        ("good", "maybe", '"maybe" is not true or false'),
    ],
)
def test_a_bad_cell_of_any_type_is_told(
    lab: Database, hits: Table, write: Write, column: str, value: str, complaint: str
) -> None:
    file = write(f"id,ra,dec,mjd,kind,{column}\n{ROW.strip()},{value}\n")
    assert refused(lab, hits, file)[1:] == [f"  events.csv line 2: column {column}: {complaint}"]


def test_bytes_that_are_no_utf8_are_told(lab: Database, hits: Table, write: Write) -> None:
    file = write(HEADER.encode() + ROW.encode().replace(b"A1", b"A\xe9"))
    assert refused(lab, hits, file)[1:] == ['  events.csv line 2: column id: "A\\xe9" is not plain ASCII text']


def test_mistakes_are_counted_and_the_first_ten_shown_in_order(lab: Database, hits: Table, write: Write) -> None:
    rows = [f"A{n},{'10' if n % 2 else '400'},{'x' if n == 31 else '0'},58000,track\n" for n in range(40)]
    assert refused(lab, hits, write(HEADER + "".join(rows)))[1:] == [
        '  events.csv line 33: column dec: "x" is not a number'
    ]
    complaint = refused(lab, hits, write(HEADER + "".join(rows).replace("x", "0")))
    assert complaint[0] == "Nothing was loaded, because of 20 mistakes:"
    assert [line.split(":")[0] for line in complaint[1:11]] == [f"  events.csv line {n}" for n in range(2, 22, 2)]
    assert complaint[11:] == ["  \u2026 and 10 more."]


def test_a_hopeless_file_is_not_read_to_its_end(lab: Database, hits: Table, write: Write) -> None:
    complaint = refused(lab, hits, write(HEADER + "A1,x,0,58000,track\n" * 200_000))
    assert "or more mistakes" in complaint[0]
    assert len(complaint) == 12


def test_unknown_and_missing_columns_are_told(lab: Database, hits: Table, write: Write) -> None:
    file = write("id,ra,decl,mjd,_pos,_access\nA1,1,2,58000,x,p\n")
    assert refused(lab, hits, file)[1:] == [
        '  events.csv: column "_access" does not exist in lab.hits: leave it out, or rename it',
        '  events.csv: column "_pos" does not exist in lab.hits: leave it out, or rename it',
        '  events.csv: column "decl" does not exist in lab.hits (did you mean dec?): leave it out, or rename it',
        "  events.csv: column dec is missing",
        "  events.csv: column kind is missing",
    ]


def test_a_column_that_is_there_twice_is_told(lab: Database, hits: Table, write: Write) -> None:
    file = write("id,ra,dec,mjd,kind,ra\nA1,1,2,58000,track,3\n")
    assert '  events.csv: two columns are called "ra"' in refused(lab, hits, file)


def test_identifiers_are_unique_within_a_file_and_across_files(lab: Database, hits: Table, write: Write) -> None:
    one = write(HEADER + ROW + ROW.replace("A1", "A2") + ROW, "one.csv")
    two = write(HEADER + ROW.replace("A1", "A2"), "two.csv")
    assert refused(lab, hits, one, two)[1:] == [
        '  one.csv line 4: column id: "A1" is there already, in line 2',
        '  two.csv line 2: column id: "A2" is there already, in one.csv line 3',
    ]


def test_identifiers_are_unique_in_the_table(lab: Database, hits: Table, write: Write) -> None:
    load(lab, hits, write(HEADER + ROW))
    with pytest.raises(LoadError, match=r'again\.csv line 3: column id: "A1" is in lab\.hits already'):
        load(lab, hits, write(HEADER + ROW.replace("A1", "A9") + ROW.replace("10.5", "11"), "again.csv"))
    assert stored(lab) == [("A1",)]


def test_one_bad_file_keeps_the_others_out(lab: Database, hits: Table, write: Write) -> None:
    good = write(HEADER + ROW, "good.csv")
    bad = write(HEADER + ROW.replace("A1", "A2").replace("10.5", "999"), "bad.csv")
    assert refused(lab, hits, good, bad)[1].startswith("  bad.csv line 2: column ra: 999")


def test_loading_again_changes_nothing_and_says_when_it_was_loaded(lab: Database, hits: Table, write: Write) -> None:
    assert load(lab, hits, write(HEADER + ROW)).files[0].before is None
    again = load(lab, hits, write(HEADER + ROW, "copy.csv"), write(HEADER + ROW.replace("A1", "A2"), "new.csv"))
    assert again.rows == 1
    assert [(file.name, file.rows, file.before is None) for file in again.files] == [
        ("copy.csv", 1, False),
        ("new.csv", 1, True),
    ]
    assert stored(lab) == [("A1",), ("A2",)]


def test_the_same_file_given_twice_is_loaded_once(lab: Database, hits: Table, write: Write) -> None:
    assert load(lab, hits, write(HEADER + ROW, "a.csv"), write(HEADER + ROW, "b.csv")).rows == 1


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


def test_a_file_of_several_blocks_keeps_its_line_numbers(lab: Database, hits: Table, write: Write) -> None:
    rows = [f"A{n:06d},10,0,58000,track\n" for n in range(100_000)]
    rows[5] = "A5\n"
    rows[90_000] = "A090000,ten,0,58000,track\n"
    assert refused(lab, hits, write(HEADER + "".join(rows)))[1:] == [
        "  events.csv line 7: there are 1 values in it instead of 5",
        '  events.csv line 90002: column ra: "ten" is not a number',
    ]


def table_of_two(**changes: object) -> AstropyTable:
    columns: dict[str, object] = {
        "id": ["A1", "A2"],
        "RA": np.array([10.5, 11.5]) * u.deg,
        "dec": np.array([-20.5, -21.5]) * u.deg,
        "mjd": np.array([58000.5, 58001.5]) * u.d,
        "kind": ["track", "shower"],
        "energy": np.array([1.0, 2.0]) * u.TeV,
        "hits": np.ma.MaskedArray(np.array([3, 0], np.int32), mask=[False, True]),
    }
    return AstropyTable(columns | changes)


FORMATS = {"x.ecsv": "ascii.ecsv", "x.vot": "votable", "x.fits": "fits", "x.parquet": "parquet"}


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


def test_units_that_have_nothing_in_common_are_told(lab: Database, hits: Table, tmp_path: Path) -> None:
    table_of_two(energy=np.array([1.0, 2.0]) * u.m).write(tmp_path / "x.ecsv")
    assert refused(lab, hits, tmp_path / "x.ecsv")[1:] == [
        '  x.ecsv: column energy: its unit is "m", which cannot be turned into GeV'
    ]


def test_times_of_astropy_are_read_as_utc(lab: Database, hits: Table, tables: dict[str, Table], tmp_path: Path) -> None:
    times = Time([58000.0, 58000.25], format="mjd", scale="utc")
    AstropyTable({"id": ["A1", "A2"], "ra": [1.0, 2.0], "dec": [3.0, 4.0], "mjd": times.mjd, "seen": times.tai}).write(
        tmp_path / "x.ecsv"
    )
    assert load(lab, tables["late"], tmp_path / "x.ecsv").rows == 2
    seen = [value for (value,) in stored(lab, "to_char(seen, 'YYYY-MM-DD HH24:MI:SS')", "lab.late")]
    assert seen == ["2017-09-04 00:00:00", "2017-09-04 06:00:00"]


@pytest.mark.parametrize(
    ("time", "complaint"),
    [
        ("2017-09-04T00:00:02", '"2017-09-04 00:00:02" differs from mjd by more than a second'),
        ("2017-09-04T02:00:00+02:00", '"2017-09-04T02:00:00+02:00" is not a time in UTC like 2025-03-01T12:00:00.5'),
        ("2017-13-04", '"2017-13-04" is not a time in UTC like 2025-03-01T12:00:00.5'),
        ("", "is missing"),
    ],
)
def test_times_that_the_embargo_counts_from_must_be_right(
    lab: Database, hits: Table, tables: dict[str, Table], write: Write, time: str, complaint: str
) -> None:
    file = write(f"id,ra,dec,mjd,seen\nA1,1,2,58000,{time}\n")
    assert refused(lab, tables["late"], file)[1:] == [f"  events.csv line 2: column seen: {complaint}"]


@pytest.mark.parametrize("time", ["2017-09-04T00:00:00Z", "2017-09-04 00:00:00.25", "2017-09-04"])
def test_times_may_be_written_in_the_ways_of_dali(
    lab: Database, hits: Table, tables: dict[str, Table], write: Write, time: str
) -> None:
    assert load(lab, tables["late"], write(f"id,ra,dec,mjd,seen\nA1,1,2,58000,{time}\n")).rows == 1


def test_new_events_are_under_embargo_whatever_their_age(
    lab: Database, hits: Table, tables: dict[str, Table], write: Write
) -> None:
    load(lab, tables["late"], write("id,ra,dec,mjd,seen\nA1,1,2,58000,2017-09-04\n"))
    with lab.connect(PUBLIC) as public:
        assert public.execute("SELECT count(*) FROM lab.late_public").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            public.execute("SELECT count(*) FROM lab.late")


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


def test_progress_is_told(lab: Database, hits: Table, write: Write) -> None:
    told: list[tuple[str, int, int]] = []
    file = write(HEADER + ROW)
    with lab.connect(INGEST) as connection:
        ingest.load(connection, hits, [file], progress=lambda *step: told.append(step))
    size = file.stat().st_size
    assert told == [("reading events.csv", size, size), ("checking", 0, 0), ("inserting", 0, 0)]


def test_two_loads_of_the_same_events_cannot_both_succeed(
    lab: Database, hits: Table, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second waits for the first at the log of loads, and then gives way."""
    file = write(HEADER + ROW)
    inserting, go_on = threading.Event(), threading.Event()

    def wait(doing: str, done: int, size: int) -> None:
        if doing == "inserting":
            inserting.set()
            assert go_on.wait(20)

    outcome: list[object] = []

    def first() -> None:
        with lab.connect(INGEST) as connection:
            outcome.append(ingest.load(connection, hits, [file], progress=wait))

    thread = threading.Thread(target=first)
    thread.start()
    assert inserting.wait(20)
    threading.Timer(0.3, go_on.set).start()
    with pytest.raises(ConflictError, match="Somebody else"):
        load(lab, hits, file)
    thread.join(20)
    assert len(outcome) == 1
    assert stored(lab) == [("A1",)]


def test_simulated_rows_are_marked_in_the_log(lab: Database, hits: Table) -> None:
    batch = pa.record_batch({"id": ["SIM1"], "ra": [1.0], "dec": [2.0], "mjd": [58000.0], "kind": ["track"]})
    with lab.connect(INGEST) as connection:
        assert ingest_log.is_empty(connection, hits)
        assert ingest.load_batches(connection, hits, [batch], name="seed 1", rows=1).rows == 1
        assert ingest_log.is_simulated(connection, hits)
        assert not ingest_log.is_empty(connection, hits)
        connection.commit()
        again = ingest.load_batches(connection, hits, [batch], name="seed 1", rows=1)
    assert again.rows == 0
    assert again.files[0].name == "simulated: seed 1"


def test_measured_and_simulated_rows_are_not_mixed(lab: Database, hits: Table, write: Write) -> None:
    batch = pa.record_batch({"id": ["SIM1"], "ra": [1.0], "dec": [2.0], "mjd": [58000.0], "kind": ["track"]})
    with lab.connect(INGEST) as connection:
        ingest.load_batches(connection, hits, [batch], name="seed 1", rows=1)
        with pytest.raises(ConflictError, match=r"holds simulated rows, and events\.csv would be mixed with them"):
            ingest.load(connection, hits, [write(HEADER + ROW)])
    assert stored(lab) == [("SIM1",)]


def test_real_rows_are_not_marked(lab: Database, hits: Table, write: Write) -> None:
    load(lab, hits, write(HEADER + ROW))
    with lab.connect(INGEST) as connection:
        assert not ingest_log.is_simulated(connection, hits)


def test_statistics_are_renewed_by_the_owner(lab: Database, hits: Table, write: Write) -> None:
    load(lab, hits, write(HEADER + ROW))
    with lab.connect(OWNER) as owner:
        ingest.analyze(owner, hits)
    with lab.connect() as admin:
        assert admin.execute("SELECT reltuples FROM pg_class WHERE oid = 'lab.hits'::regclass").fetchone() == (1,)
