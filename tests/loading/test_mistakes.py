"""Mistakes in files: each told with file, line, column, value and rule, and nothing is loaded."""

from __future__ import annotations

from pathlib import Path

import astropy.units as u
import numpy as np
import pytest

from km3vo.catalog.model import Table
from km3vo.database.logins import Database
from km3vo.errors import LoadError
from tests.loading.lab import HEADER, ROW, Write, load, refused, stored, table_of_two

pytestmark = pytest.mark.slow


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
        ("hits", "1.5", '"1.5" is not a whole number from -2147483648 to 2147483647'),
        ("hits", "3000000000", '"3000000000" is not a whole number from -2147483648 to 2147483647'),
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
    assert refused(lab, hits, file)[1:] == ['  events.csv line 2: column id: "A\\xe9" is not text in UTF-8']


def test_mistakes_are_counted_and_the_first_ten_shown_in_order(lab: Database, hits: Table, write: Write) -> None:
    rows = [f"A{n},{'10' if n % 2 else '400'},{'x' if n == 31 else '0'},58000,track\n" for n in range(40)]
    both = refused(lab, hits, write(HEADER + "".join(rows)))
    assert both[0] == "Nothing was loaded, because of 21 mistakes:"
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


def test_a_file_of_several_blocks_keeps_its_line_numbers(lab: Database, hits: Table, write: Write) -> None:
    rows = [f"A{n:06d},10,0,58000,track\n" for n in range(100_000)]
    rows[5] = "A5\n"
    rows[90_000] = "A090000,ten,0,58000,track\n"
    assert refused(lab, hits, write(HEADER + "".join(rows)))[1:] == [
        "  events.csv line 7: there are 1 values in it instead of 5",
        '  events.csv line 90002: column ra: "ten" is not a number',
    ]


@pytest.mark.parametrize(
    ("time", "complaint"),
    [
        ("2017-09-04T00:00:02", '"2017-09-04 00:00:02" differs from mjd by more than a second'),
        (
            "2017-09-04T02:00:00+02:00",
            '"2017-09-04T02:00:00+02:00" is a time of another zone than UTC: convert it, and write it with Z '
            "or nothing at its end",
        ),
        ("2017-13-04", '"2017-13-04" is not in the calendar: look at day, month and hour'),
        ("", "is missing"),
    ],
)
def test_times_that_the_embargo_counts_from_must_be_right(
    lab: Database, hits: Table, tables: dict[str, Table], write: Write, time: str, complaint: str
) -> None:
    file = write(f"id,ra,dec,mjd,seen\nA1,1,2,58000,{time}\n")
    assert refused(lab, tables["late"], file)[1:] == [f"  events.csv line 2: column seen: {complaint}"]


def test_units_that_have_nothing_in_common_are_told(lab: Database, hits: Table, tmp_path: Path) -> None:
    table_of_two(energy=np.array([1.0, 2.0]) * u.m).write(tmp_path / "x.ecsv")
    assert refused(lab, hits, tmp_path / "x.ecsv")[1:] == [
        '  x.ecsv: column energy: its unit is "m", which cannot be turned into GeV'
    ]


def test_a_value_that_does_not_stand_in_the_file_is_said_to_be_turned(
    lab: Database, hits: Table, tmp_path: Path
) -> None:
    table_of_two(RA=np.array([0.5, 7.0]) * u.rad).write(tmp_path / "x.ecsv")
    told = "\n".join(refused(lab, hits, tmp_path / "x.ecsv"))
    assert "row 2: column ra: 401.07045659157626 (deg, into which it was turned) is not in [0,360)" in told
