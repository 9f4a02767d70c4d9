"""Reading uploaded files: every format and serialization, and documents that mean harm."""

from __future__ import annotations

import base64
import gzip
import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from km3vo.catalog.model import Column
from km3vo.errors import Km3voError, TooLargeError, UploadError
from km3vo.uploads.files import read_file
from tests.tap.votables import SERIALIZATIONS, table, votable, written


def read(document: bytes, rows: int = 1000, size: int = 10_000_000) -> tuple[list[Column], pa.Table]:
    found = read_file(io.BytesIO(document), most_rows=rows, most_bytes=size)
    return found.columns, found.rows


EXPECTED = {
    "flag": [True, False, None],
    "b": [0, 255, None],
    "s": [-32768, 32767, None],
    "i": [-(2**31), 2**31 - 1, None],
    "l": [-(2**63), 2**63 - 1, None],
    "f": [1.5, np.inf, None],
    "d": [1 / 3, -np.inf, None],
    "vector": [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0], [6.0, 7.0, 8.0]],
}


@pytest.mark.parametrize("serialization", SERIALIZATIONS)
def test_votables_of_astropy(serialization: str) -> None:
    columns, rows = read(written(serialization))
    by_name = {column.name: column for column in columns}
    d = by_name["d"]
    assert (d.datatype, d.unit, d.ucd, d.description) == ("double", "deg", "pos.eq.ra", "a number")
    assert (by_name["vector"].arraysize, by_name["text"].datatype) == ("3", "unicodeChar")
    found = {column.name: rows[column.sql].to_pylist() for column in columns}
    assert found.pop("text")[:2] == ["a<&>\"'", "ünïcödé ☃"]
    # A bit has no way to be missing in BINARY.
    assert found == EXPECTED | ({"flag": [True, False, True]} if serialization == "binary" else {})


def test_other_formats() -> None:
    made = table()["l", "d", "text"][:2]
    plain, fits, ecsv, parquet = io.StringIO(), io.BytesIO(), io.StringIO(), io.BytesIO()
    made.write(plain, format="ascii.csv")
    encoded = made.copy()
    encoded["text"] = np.char.encode(encoded["text"], "utf-8")
    encoded.write(fits, format="fits")
    made.write(ecsv, format="ascii.ecsv")
    pq.write_table(pa.table({name: np.asarray(made[name]) for name in made.colnames}), parquet)
    csv = plain.getvalue().encode()
    tsv = b"\n".join(line.replace(b",", b"\t") for line in csv.splitlines())
    for document in (csv, b"\xef\xbb\xbf" + csv, tsv, gzip.compress(csv), fits.getvalue(), ecsv.getvalue().encode(),
                     parquet.getvalue()):  # fmt: skip
        columns, rows = read(document)
        assert [column.name for column in columns] == ["l", "d", "text"]
        assert [column.datatype for column in columns] == ["long", "double", "char"]
        assert rows[1].to_pylist() == [1 / 3, -np.inf]
        assert rows[0].to_pylist() == [-(2**63), 2**63 - 1]
        assert rows[2].to_pylist()[1].startswith("ünïcödé")
    for document in (fits.getvalue(), ecsv.getvalue().encode()):
        assert read(document)[0][1].unit == "deg"


def test_a_fits_file_within_a_votable() -> None:
    fits = io.BytesIO()
    table()["i", "d"].write(fits, format="fits")
    stream = base64.b64encode(fits.getvalue()).decode()
    fields = ['name="i" datatype="int"', 'name="x" datatype="double" unit="deg"']
    inside = f'<FITS extnum="1"><STREAM encoding="base64">{stream}</STREAM></FITS>'
    columns, rows = read(votable(fields, [], inside))
    assert [column.name for column in columns] == ["i", "x"]
    assert rows["c1"].to_pylist() == EXPECTED["i"] and rows["c2"].to_pylist() == EXPECTED["d"]
    with pytest.raises(UploadError, match="has 2 columns, but there are 1 FIELDs"):
        read(votable(fields[:1], [], inside))


def test_geometries_and_times() -> None:
    columns, rows = read(
        votable(
            [
                'name="t" datatype="char" arraysize="*" xtype="timestamp"',
                'name="old" datatype="char" arraysize="*" xtype="adql:TIMESTAMP"',
                'name="p" datatype="float" arraysize="2" xtype="point"',
                'name="c" datatype="double" arraysize="3" xtype="circle"',
                'name="q" datatype="double" arraysize="*" xtype="polygon"',
                'name="v" datatype="double" arraysize="2" xtype="interval"',
            ],
            [
                ["2026-01-31T12:00:00.25Z", "2026-01-31", "1.5 2", "1 2 3", "1 1 2 1 2 2", "0 NaN"],
                ["", " 2026-01-31T12:00:00 ", "", "", "", ""],
            ],
        )
    )
    assert [column.xtype for column in columns] == ["timestamp", "timestamp", "point", "circle", "polygon", "interval"]
    assert str(rows["c1"][0].as_py()) == "2026-01-31 12:00:00.250000"
    assert rows.column("c3").type == pa.list_(pa.float64())
    first = [rows[name][0].as_py() for name in ("c3", "c4", "c5")]
    assert first == [[1.5, 2.0], [1.0, 2.0, 3.0], [1.0, 1.0, 2.0, 1.0, 2.0, 2.0]]
    assert [rows[name][1].as_py() for name in ("c1", "c3", "c4", "c5", "c6")] == [None] * 5


def test_a_prefixed_votable_of_another_version() -> None:
    columns, rows = read(
        b'<?xml version="1.0"?><!DOCTYPE v:VOTABLE SYSTEM "http://us-vo.org/xml/VOTable.dtd">'
        b'<v:VOTABLE version="1.1" xmlns:v="http://www.ivoa.net/xml/VOTable/v1.1"><v:RESOURCE><v:TABLE>'
        b'<v:PARAM name="x" datatype="int" value="1"/><v:GROUP><v:FIELDref ref="a"/></v:GROUP>'
        b'<v:FIELD ID="a" datatype="int"><v:DESCRIPTION> two\n words </v:DESCRIPTION><v:VALUES null="-9"/></v:FIELD>'
        b"<v:DATA><v:TABLEDATA><!-- no cell --><v:TR><v:TD>0x10</v:TD></v:TR><v:TR><v:TD><![CDATA[-9]]></v:TD></v:TR>"
        b"</v:TABLEDATA></v:DATA></v:TABLE></v:RESOURCE></v:VOTABLE>"
    )
    assert (columns[0].name, columns[0].description) == ("a", "two words")
    assert rows["c1"].to_pylist() == [16, None]


def test_names_are_made_different() -> None:
    columns, _ = read(b"a,A,,a\n1,2,3,4\n")
    assert [column.name for column in columns] == ["a", "A_2", "column", "a_3"]


def test_an_empty_table() -> None:
    columns, rows = read(votable(['name="a" datatype="int"'], []))
    assert ([column.name for column in columns], rows.num_rows) == (["a"], 0)


INT = ['name="a" datatype="int"']
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (votable(INT, [["1"], ["x7"]]), 'row 2: column a: "x7" is not a whole number'),
        (votable(INT, [["3000000000"]]), "row 1: column a"),
        (votable(['name="a" datatype="float"'], [["1,5"]]), 'row 1: column a: "1,5" is not a number'),
        (votable(['name="a" datatype="boolean"'], [["maybe"]]), 'row 1: column a: "maybe" is not true or false'),
        (votable(['name="a" datatype="unsignedByte"'], [["256"]]), "from 0 to 255"),
        (votable(['name="a" datatype="double" arraysize="2"'], [["1 2"], ["1"]]), '"1" is not a list of 2'),
        (votable(['name="a" datatype="char" arraysize="*" xtype="timestamp"'], [["soon"]]), "is not a time"),
        (votable(['name="a" datatype="floatComplex"'], []), "floatComplex"),
        (votable(['name="a" datatype="int" arraysize="many"'], []), "many"),
        (votable(INT, [["1", "2"]]), "row 1: there are 2 cells in it instead of 1"),
        (votable(INT, [["1"], []]), "row 2: there are 0 cells"),
        (votable(INT, [])[:-50], "well-formed"),
        (votable([], []), "no columns"),
        (b"<VOTABLE></VOTABLE>", "no table"),
        (b"<html><body/></html>", 'root element is "html"'),
        (b"", "empty"),
        (b"\x00\x01\x02\x03", "no known format"),
        (b"%PDF-1.7\x00", "no known format"),
        (b"a,b\n1\n", "line 2: there are 1 values in it instead of 2"),
        (votable(INT, [], '<BINARY><STREAM encoding="base64">AAAA</STREAM></BINARY>'), "middle of row 1"),
        (votable(INT, [], '<BINARY2><STREAM encoding="base64">A</STREAM></BINARY2>'), "base64"),
        (votable(INT, [], "<BINARY><STREAM>AAAA</STREAM></BINARY>"), "encoding"),
        (votable(INT, [], '<FITS><STREAM encoding="base64">AAAA</STREAM></FITS>'), "FITS"),
        (votable(INT, [], '<BINARY><STREAM href="file:///etc/passwd"/></BINARY>'), "href"),
        (votable(INT, [], '<FITS><STREAM href="http://example.org/x.fits"/></FITS>'), "href"),
        (votable(INT, [["&x;"]], before='<!DOCTYPE V [<!ENTITY x SYSTEM "file:///etc/passwd">]>'), "entities"),
        (votable(INT, [["&l9;"]], before=f'<!DOCTYPE V [<!ENTITY l0 "ha">{LAUGHS}]>'), "entities"),
        (votable(INT, [["1"]], before='<!DOCTYPE V [<!ENTITY % x SYSTEM "http://example.org/x"> %x;]>'), "entities"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_explained(document: bytes, says: str) -> None:
    with pytest.raises(UploadError, match=says):
        read(document)


def test_limits() -> None:
    many = votable(INT, [["1"]] * 11)
    with pytest.raises(TooLargeError, match="10 rows"):
        read(many, rows=10)
    with pytest.raises(TooLargeError, match="bytes"):
        read(many, size=100)
    with pytest.raises(TooLargeError, match="bytes"):
        read(gzip.compress(b"a\n" + b"1\n" * 1_000_000), size=10_000)
    packed = base64.b64encode(gzip.compress(bytes(4_000_000))).decode()
    with pytest.raises(TooLargeError, match="bytes"):
        read(votable(INT, [], f'<BINARY><STREAM encoding="gzip">{packed}</STREAM></BINARY>'), rows=10**7, size=100_000)
    binary = base64.b64encode(bytes(44)).decode()
    with pytest.raises(TooLargeError, match="10 rows"):
        read(votable(INT, [], f'<BINARY><STREAM encoding="base64">{binary}</STREAM></BINARY>'), rows=10)
    with pytest.raises(TooLargeError, match="10 rows"):
        read(b"a\n" + b"1\n" * 11, rows=10)
    with pytest.raises(TooLargeError, match="columns"):
        read(b",".join(b"c%d" % number for number in range(1001)) + b"\n")


def test_a_long_string_a_million_times() -> None:
    out = io.BytesIO()
    value = pa.DictionaryArray.from_arrays(pa.array(np.zeros(100_000, np.int32)), pa.array(["x" * 100_000]))
    pq.write_table(pa.table({"a": value}), out)
    assert len(out.getvalue()) < 1_000_000
    with pytest.raises(TooLargeError, match="unpacked"):
        read(out.getvalue(), rows=1_000_000)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_damaged_files_never_break_the_reader(data: Any) -> None:
    """Whatever is changed in a good file, there is a table or an explanation."""
    good = data.draw(st.sampled_from(SAMPLES))
    place = data.draw(st.integers(0, len(good)))
    length = data.draw(st.integers(0, 30))
    fresh = data.draw(st.binary(max_size=30))
    document = good[:place] + fresh + good[place + length :]
    try:
        columns, rows = read(document)
    except Km3voError as error:
        assert str(error)
    else:
        assert len(columns) == rows.num_columns


def _samples() -> list[bytes]:
    samples = [b"a,b\n1,x\n", b"a\tb\n1\tx\n", votable(INT, [["1"], ["2"]]), *map(written, SERIALIZATIONS)]
    fits, parquet, ecsv = io.BytesIO(), io.BytesIO(), io.StringIO()
    table()["i", "d"].write(fits, format="fits")
    table()["i", "d"].write(ecsv, format="ascii.ecsv")
    pq.write_table(pa.table({"a": [1, 2], "s": ["x", None]}), parquet)
    return [*samples, fits.getvalue(), parquet.getvalue(), ecsv.getvalue().encode()]


SAMPLES = _samples()
