"""CSV by RFC 4180 and TSV by IANA: what is read, which line it came from, and what is refused."""

from __future__ import annotations

import csv
import gzip
import io

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from km3vo.column import Column
from km3vo.errors import ReadError
from km3vo.readers.content import Content
from km3vo.readers.text import delimited
from km3vo.readers.text.inference import inferred
from km3vo.readers.text.lines import Lines, original

Cells = list[list[str | None]]

SEMICOLONS = "values are separated by semicolons"
COMMAS = "numbers are written with a decimal comma"


def read(text: str | bytes, expected: str | None = ",") -> tuple[tuple[str, ...], Cells, list[int], list[str]]:
    """Names, rows, their lines, and what is told."""
    told: list[str] = []
    raw = text.encode() if isinstance(text, str) else text
    opened = delimited.open_text(Content(io.BytesIO(raw)), lambda line, what: told.append(f"{line}: {what}"), expected)
    rows: Cells = []
    lines: list[int] = []
    for block in opened.blocks:
        assert all(len(cells) == len(block.lines) for cells in block.columns)
        rows += map(list, zip(*(cells.to_pylist() for cells in block.columns), strict=True))
        lines += block.lines.to_pylist()
    return tuple(column.name for column in opened.columns), rows, lines, told + opened.remarks


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", ["", "end", "end end"])
def test_lines_end_in_three_ways(end: str, last: str) -> None:
    text = f"a,b{end}1,x{end}2,{end}" + "3,y" + last.replace("end", end).replace(" ", "")
    assert read(text) == (("a", "b"), [["1", "x"], ["2", None], ["3", "y"]], [2, 3, 4], [])


def test_quotes() -> None:
    text = 'a,"b ""c""",d\r\n"1,5","x\r\ny",""\r\n,"""",z\r\n'
    assert read(text) == (("a", 'b "c"', "d"), [["1,5", "x\r\ny", ""], [None, '"', "z"]], [2, 4], [])


def test_tabs_separate_without_quotes() -> None:
    text = 'n\tr\n"start\t1\nb\t2\n{"x"}\t3\n'
    assert read(text, "\t") == (("n", "r"), [['"start', "1"], ["b", "2"], ['{"x"}', "3"]], [2, 3, 4], [])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('a,b\n1,x"y\n', "line 2: a quote stands beside other characters"),
        ('a,b\n1,"x"y\n', "line 2: a quote stands beside other characters"),
        ('a,b\n1,x\n2, "y"\n', "line 3: a quote stands beside other characters"),
        ('a,b\n1,"x\n2,y\n3,z\n', "the quote in line 2 is not closed"),
        ('a,b\n"1\n2",5" tube\n', "line 3: a quote stands beside"),
        ("", "its first line is empty"),
        ("\n\na,b\n", "its first line is empty"),
        ("10,20\n30,40\n", "its first line holds numbers"),
        ("E1,10.5,2023-02-25T12:00:00\nE2,11.5,2023-02-25T13:00:00\n", "its first line holds numbers or times"),
        ("# by hand\na,b\n1,2\n", "its first line is a comment"),
        ("sep=;\na;b\n1;2\n", 'its first line is "sep=;"'),
        ("a,b\n1,2\n".encode("utf-16-le"), "its first line holds NUL characters: if its text is UTF-16"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        ("a,b\n" + "x" * (2 * delimited.LINE) + ",1\n", "a line after line 1 is longer than"),
        ("a" * (2 * delimited.LINE), "its first line is longer than"),
    ],
)
def test_what_cannot_be_split_into_cells_is_refused(text: str | bytes, says: str) -> None:
    with pytest.raises(ReadError, match=says):
        read(text)


def test_every_wrong_line_is_told_by_its_number() -> None:
    text = 'a,b\r\n1,"x\r\ny"\r\n\r\n2\r\n3,4,5\r\n"6\r\n\r\n",7\r\n8,9,"0\r\n1"\r\n\r\n10,11\r\n\r\n\r\n'
    _, rows, lines, told = read(text)
    assert rows == [["1", "x\r\ny"], ["6\r\n\r\n", "7"], ["10", "11"]]
    assert lines == [2, 7, 13]
    assert sorted(told, key=lambda line: int(line.split(":")[0])) == [
        "4: the line is empty",
        "5: there are 1 values in it instead of 2",
        "6: there are 3 values in it instead of 2",
        "10: there are 3 values in it instead of 2",
        "12: the line is empty",
    ]


def test_a_row_of_missing_values_is_no_empty_line() -> None:
    assert read("a,b\n,\n1,2\n") == (("a", "b"), [[None, None], ["1", "2"]], [2, 3], [])
    assert read('a\n""\n1\n') == (("a",), [[""], ["1"]], [2, 3], [])


def test_bytes_that_are_no_utf8_are_told() -> None:
    _, rows, _, told = read(b"a,b\nx,\xe9\ny,\xc3\xa9\n")
    assert rows == [["x", None], ["y", "\xe9"]] and told == ['2: column b: "\\xe9" is not text in UTF-8']


@pytest.mark.parametrize(
    ("text", "expected", "names", "remarks"),
    [
        ("a;b\n1,5;2\n", ",", ("a", "b"), [SEMICOLONS, COMMAS]),
        ("a;b\n1.5;2\n", ",", ("a", "b"), [SEMICOLONS]),
        ("a;b\n1,234;2\n", ",", ("a", "b"), [SEMICOLONS]),
        ("a;b\n1,5;2.5\n", ",", ("a", "b"), [SEMICOLONS]),
        ("a;b\n0,123;x\n", ",", ("a", "b"), [SEMICOLONS, COMMAS]),
        ("a\tb\n1\t2\n", ",", ("a", "b"), ["values are separated by tabs"]),
        ("a\tb\n1\t2\n", None, ("a", "b"), []),
        ("a|b\n1|2\n", None, ("a", "b"), ["values are separated by bars"]),
        ("a,b\n1,2\n", "\t", ("a", "b"), ["values are separated by commas"]),
        ("a,b;c\n1,2\n", None, ("a", "b;c"), []),
        ("a;b\nx\ny\n", None, ("a;b",), []),
        ("a\nx;y\n", None, ("a",), []),
        ('a,b\n"1,5",2\n', ",", ("a", "b"), []),
        ("a,b\n1;2,3\n", None, ("a", "b"), []),
        (" a , b \n1,2\n", ",", ("a", "b"), []),
    ],
)  # fmt: skip
def test_delimiter_and_decimal_sign_are_found_and_said(
    text: str, expected: str | None, names: tuple[str, ...], remarks: list[str]
) -> None:
    found, _, _, told = read(text, expected)
    assert (found, told) == (names, remarks)


_VALUES = st.text(st.sampled_from('ab," \t\r\n;|é'), max_size=6)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.lists(_VALUES, min_size=2, max_size=2), max_size=6),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.integers(1, 40),
)
@example([["", ""], ["a\r", "\nb"]], "\r\n", 3)
def test_what_csv_writes_is_read_back(rows: list[list[str]], end: str, size: int) -> None:
    """However the bytes are cut into pieces on their way."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(["first", "second"])
    writer.writerows(rows)
    text = out.getvalue()
    lines = Lines(_Pieces(text.encode(), size), ",", quotes=True)
    told: list[str] = []
    reading = delimited.Rows(lines, ",", 2, lambda line, what: told.append(f"{line}: {what}"), quotes=True)
    found: Cells = []
    places: list[int] = []
    for block in reading.blocks(("first", "second"), headed=True):
        found += map(list, zip(*(cells.to_pylist() for cells in block.columns), strict=True))
        places += block.lines.to_pylist()
    assert found == rows
    assert not told
    line = 2
    for row, place in zip(rows, places, strict=True):
        assert place == line
        line += 1 + sum(len(value.replace("\r\n", "\n").replace("\r", "\n").split("\n")) - 1 for value in row)


class _Pieces(io.RawIOBase):
    def __init__(self, raw: bytes, size: int) -> None:
        self._raw, self._size = io.BytesIO(raw), size

    def read(self, size: int = -1) -> bytes:
        return self._raw.read(self._size)


@given(st.text(st.sampled_from('ab,"\n\r'), max_size=30), st.integers(1, 8))
@settings(max_examples=400, deadline=None)
def test_any_text_is_read_the_same_however_it_is_cut(text: str, size: int) -> None:
    def outcome(piece: int) -> object:
        told: list[tuple[int, str]] = []
        lines = Lines(_Pieces(b"x,y\n" + text.encode(), piece), ",", quotes=True)
        reading = delimited.Rows(lines, ",", 2, lambda line, what: told.append((line, what)), quotes=True)
        try:
            found = [
                (block.lines.to_pylist(), [cells.to_pylist() for cells in block.columns])
                for block in reading.blocks(("x", "y"), headed=True)
            ]
        except ReadError as error:
            return str(error).split(":")[-1]
        return found, sorted(told)

    assert outcome(size) == outcome(1000)


@given(st.lists(st.binary(max_size=6) | st.just(b"\xc3\xa9,\xe2\x82\xac\n"), max_size=8), st.integers(1, 9))
@settings(max_examples=300, deadline=None)
def test_bytes_that_are_no_utf8_survive_until_they_are_told(pieces: list[bytes], size: int) -> None:
    raw = b"".join(piece.replace(b'"', b"") for piece in pieces)
    lines = Lines(_Pieces(raw, size), ",", quotes=True)
    text = b""
    while piece := lines.read(7):
        text += piece
    assert original(text.decode()) == raw.removeprefix(b"\xef\xbb\xbf")
    try:
        raw.decode()
    except UnicodeDecodeError:
        assert lines.escaped
    else:
        assert not lines.escaped


def test_a_line_that_is_neither_whole_nor_utf8_is_told() -> None:
    _, rows, _, told = read(b"a,b\n\x8e\n1,2\n")
    assert (rows, told) == ([["1", "2"]], ["2: there are 1 values in it instead of 2"])


def test_a_compressed_file_is_read_and_one_that_ends_too_early_is_not() -> None:
    packed = gzip.compress(b"a,b\n" + b"1,2\n" * 1000)
    assert len(read(packed)[1]) == 1000
    with pytest.raises(ReadError, match="compression ends too early"):
        read(packed[:-9])
    with pytest.raises(ReadError, match="compressed twice"):
        read(gzip.compress(packed))
    with pytest.raises(ReadError, match="compression is damaged"):
        read(packed[:20] + b"\xff\xff" + packed[22:])


def test_a_file_whose_form_is_known() -> None:
    def described(raw: bytes, **how: object) -> tuple[list[str], Cells, list[int]]:
        told: list[str] = []
        form = {"delimiter": ",", "skip": 0, "names": (), "blanks": False} | how
        opened = delimited.open_described(Content(io.BytesIO(raw)), lambda line, what: told.append(what), **form)  # type: ignore[arg-type]
        blocks = list(opened.blocks)
        rows = [row for block in blocks for row in zip(*(cells.to_pylist() for cells in block.columns), strict=True)]
        assert not told
        return (
            [column.name for column in opened.columns],
            [list(row) for row in rows],
            [line for block in blocks for line in block.lines.to_pylist()],
        )

    assert described(b"a title\n 360.0  -1.5\tx\n12 2 y\n", skip=1, names=("a", "b", "c"), blanks=True) == (
        ["a", "b", "c"], [["360.0", "-1.5", "x"], ["12", "2", "y"]], [2, 3],
    )  # fmt: skip
    assert described(b"a title\nx,y\n1,2\n", skip=1) == (["x", "y"], [["1", "2"]], [3])
    assert described(b"1\t2\n", delimiter="\t", names=("x", "y")) == (["x", "y"], [["1", "2"]], [1])


@pytest.mark.parametrize(
    ("texts", "datatype"),
    [
        (["1.1", "1.10"], "char"),
        (["-0.50", "-0.5"], "char"),
        (["1.10", "2.25", "0.00", "-0.00"], "double"),
        (["1.0", "1.5", "10.0"], "double"),
        (["1.50", None, "1.50"], "double"),
        (["9007199254740993.0"], "char"),
        (["9007199254740992"], "long"),
        (["1.2345e40", "0.12345678901234568"], "double"),
        (["1e-400"], "char"),
    ],
)
def test_what_is_read_as_a_number_could_be_written_again(texts: list[str | None], datatype: str) -> None:
    column, cells = inferred(Column(name="x", datatype="char", arraysize="*"), pa.array(texts), comma=False)
    assert column.datatype == datatype
    assert datatype != "char" or cells.to_pylist() == texts
