"""ECSV: CSV with the columns' types and units as YAML in comments above it (Astropy Proposal for Enhancement 6)."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from km3vo.column import Column
from km3vo.datatypes import Datatype
from km3vo.errors import ReadError
from km3vo.readers import serialized
from km3vo.readers.arrays import absent, is_array, item_type, lists, stored_type, wrong_sizes
from km3vo.readers.content import Content
from km3vo.readers.fits.systems import of_metadata
from km3vo.readers.marks import checked
from km3vo.readers.mistakes import Note, Place, named, shown
from km3vo.readers.opened import Block, FileColumn, Opened, Options
from km3vo.readers.text.delimited import LINE, Rows
from km3vo.readers.text.dialect import split
from km3vo.readers.text.lines import Lines
from km3vo.readers.texts import Grammar, from_texts, scalars
from km3vo.results import views

MAGIC = b"# %ECSV"

_Range = tuple[float, float]
# Type of a column → datatype, and the range of finite numbers where that is wider.
_TYPES: dict[str, tuple[Datatype, _Range | None]] = {
    "bool": ("boolean", None),
    "int8": ("short", (-128, 127)),
    "int16": ("short", None),
    "int32": ("int", None),
    "int64": ("long", None),
    "uint8": ("unsignedByte", None),
    "uint16": ("int", (0, 2**16 - 1)),
    "uint32": ("long", (0, 2**32 - 1)),
    "uint64": ("long", (0, 2**64 - 1)),
    "float16": ("float", (-65504, 65504)),
    "float32": ("float", None),
    "float64": ("double", None),
    "float128": ("double", None),
    "string": ("char", None),
}
_GRAMMAR = Grammar()
_SUBTYPE = re.compile(r"(\w+)\[([\d, ]+|null(?:, *\d+)*)\]")
_HEADER_LINES = 100_000
_MOST = 10_000  # columns


def open_ecsv(content: Content, note: Note, options: Options) -> Opened:
    """Open an ECSV file.

    Raises:
        ReadError: its header cannot be read, has a column of a type that is not supported, or says that rows are
            missing.
    """
    plain = io.BufferedReader(content.stream(), LINE)
    header, lines = _header(plain)
    described = serialized.parse(header)
    meta = serialized.as_dict(described.get("meta"))
    delimiter = str(described.get("delimiter", " "))
    if delimiter not in (" ", ","):
        raise ReadError(f"its delimiter is {shown(delimiter)}: ECSV has a blank or a comma")
    entries = described.get("datatype")
    if not isinstance(entries, list) or not entries:
        raise ReadError("its header does not describe the columns (datatype)")
    if len(entries) > _MOST:
        raise ReadError(f"a table may have {_MOST} columns; this one has {len(entries)}")
    columns = [_column(serialized.as_dict(entry), number) for number, entry in enumerate(entries, 1)]
    sample = plain.peek(LINE)
    stream: io.RawIOBase | io.BufferedIOBase = plain
    if delimiter == " " and re.search(rb"  |^ | $", sample, re.MULTILINE):
        stream = io.BufferedReader(_Single(plain), LINE)
        sample = stream.peek(LINE)
    _check_names(sample, delimiter, columns)
    plain_lines = Lines(stream, delimiter, quotes=True, first=lines + 1)
    rows = Rows(plain_lines, delimiter, len(columns), note, quotes=True, counted=True)
    names = tuple(column.name for column in columns)
    types = [_Type(serialized.as_dict(entry)) for entry in entries]
    blocks = _typed(rows.blocks(names, headed=True), columns, types, note)
    opened = Opened(columns, blocks, "row", 1, content.done, content.size, _GRAMMAR, tied=False)
    opened.clock, opened.frame = of_metadata(meta)
    opened.remarks += checked(meta, options)
    return serialized.merged(opened, meta)


def _header(plain: io.BufferedReader[Any]) -> tuple[str, int]:
    """The YAML, and how many lines it has in the file."""
    first = plain.readline(LINE)
    if not re.match(rb"(\xef\xbb\xbf)?# %ECSV \d", first):
        raise ReadError("it is no ECSV: its first line should be # %ECSV 1.0")
    lines, size, count = [], 0, 1
    while plain.peek(1)[:1] == b"#":
        line = plain.readline(LINE)
        size += len(line)
        count += 1
        if size > serialized.HEADER or count > _HEADER_LINES:
            raise ReadError(f"its header has more than {serialized.HEADER} bytes")
        lines.append(line[1:].removeprefix(b" "))
    try:
        return b"".join(lines).decode(), count
    except UnicodeDecodeError:
        raise ReadError("its header is not text in UTF-8") from None


def _check_names(sample: bytes, delimiter: str, columns: Sequence[FileColumn]) -> None:
    records = split(sample.decode("utf-8", "backslashreplace"), delimiter)
    found = records[0] if records else []
    wanted = [column.name for column in columns]
    if found != wanted:
        wrong = next((pair for pair in zip(found, wanted, strict=False) if pair[0] != pair[1]), None)
        told = f"{shown(wrong[0])} instead of {shown(wrong[1])}" if wrong else f"{len(found)} instead of {len(wanted)}"
        raise ReadError(f"its line of names differs from its header: {told}")


class _Type:
    """How the cells of a column are written: the range of its numbers, and whether they are JSON."""

    def __init__(self, entry: dict[str, Any]) -> None:
        subtype = _SUBTYPE.fullmatch(str(entry.get("subtype", "")))
        name = subtype[1] if subtype else str(entry.get("datatype"))
        self.name = name
        self.range = _TYPES[name][1]
        self.unsigned = name == "uint64"


def _column(entry: dict[str, Any], number: int) -> FileColumn:
    name, kind, subtype = str(entry.get("name", "")), str(entry.get("datatype")), str(entry.get("subtype", ""))
    if not name:
        raise ReadError(f"its header gives column {number} no name")
    shape = _SUBTYPE.fullmatch(subtype)
    arraysize = None
    if subtype and subtype != "json":
        if shape is None:
            raise ReadError(f"column {named(name)} has the subtype {shown(subtype)}, which is not supported")
        kind = shape[1]
        # The last axis of numpy's shapes varies fastest, the first one of VOTable's.
        sides = [side.strip() for side in reversed(shape[2].split(","))]
        arraysize = "x".join("*" if side == "null" else side for side in sides)
    if kind not in _TYPES or (arraysize and kind == "string"):
        what = f"arrays of {kind}" if arraysize else kind
        raise ReadError(f"column {named(name)} is of the type {shown(what)}, which is not supported: leave it out")
    meta = serialized.as_dict(entry.get("meta"))
    datatype = _TYPES[kind][0]

    def told(key: str) -> str | None:
        return str(meta[key]) if meta.get(key) not in (None, "") else None

    column = Column(
        name=name,
        datatype=datatype,
        arraysize="*" if datatype == "char" else arraysize,
        xtype=told("xtype"),
        unit=serialized.unit_of(entry),
        ucd=told("ucd"),
        utype=told("utype"),
        description=str(entry["description"]) if entry.get("description") else None,
        sql=f"c{number}",
    )
    type_ = pa.string() if datatype == "char" else pa.uint64() if kind == "uint64" and not arraysize else None
    return serialized.in_systems(FileColumn(column, type_ or stored_type(column)), meta)


def _typed(blocks: Iterator[Block], columns: list[FileColumn], types: list[_Type], note: Note) -> Iterator[Block]:
    # Of the file's own columns, before they are merged.
    columns = list(columns)
    for block in blocks:
        yield Block(
            [
                _cells(column, type_, cells, Place(column.name, block.lines, note))
                for column, type_, cells in zip(columns, types, block.columns, strict=True)
            ],
            block.lines,
        )


def _cells(declared: FileColumn, type_: _Type, texts: pa.Array, place: Place) -> pa.Array:
    column = declared.column
    texts = pc.if_else(pc.equal(texts, ""), None, texts)  # "" stands for what is missing, in texts too
    if column.is_string:
        return texts
    if is_array(column):
        return _arrays(column, type_, texts, place)
    if type_.unsigned:
        return _unsigned(texts, place)
    cells = from_texts(column, texts, _GRAMMAR, place)
    if type_.range is None:
        return cells
    low, high = type_.range
    outside = _outside(type_.range, cells)
    what = "a number" if pa.types.is_floating(cells.type) else "a whole number"
    for index in np.flatnonzero(outside).tolist():
        place.tell(index, texts[index].as_py(), f"is not {what} from {low} to {high}")
    return pc.if_else(pa.array(outside), None, cells)


def _outside(range_: _Range, numbers: pa.Array) -> npt.NDArray[np.bool_]:
    """Which numbers are finite and beyond a range."""
    beyond = pc.and_(pc.is_finite(numbers), pc.or_(pc.less(numbers, range_[0]), pc.greater(numbers, range_[1])))
    return np.asarray(pc.fill_null(beyond, False).to_numpy(zero_copy_only=False))


def _unsigned(texts: pa.Array, place: Place) -> pa.Array:
    trimmed = pc.utf8_trim_whitespace(texts)
    good = pc.and_(pc.match_substring_regex(trimmed, r"^\d{1,20}$"), texts.is_valid())
    values = []
    for index, (text, valid) in enumerate(zip(trimmed.to_pylist(), good.to_pylist(), strict=True)):
        number = int(text) if valid else None
        if text is not None and (number is None or number >= 2**64):
            place.tell(index, text, "is not a whole number from 0 to 18446744073709551615")
            number = None
        values.append(number)
    return pa.array(values, pa.uint64())


def _arrays(column: Column, type_: _Type, texts: pa.Array, place: Place) -> pa.Array:
    """Arrays of JSON: those in one dimension all at once, others one by one."""
    if not len(texts):
        return pa.array([], stored_type(column))
    plain = pc.match_substring_regex(texts, r"^\s*\[[^\[\]]*\]\s*$")
    flat = pc.utf8_trim(pc.utf8_trim_whitespace(texts), "[]")
    if not pc.all(pc.fill_null(plain, True)).as_py() or "x" in (column.arraysize or ""):
        flat, plain = _flattened(column, texts)
    empty = pc.equal(pc.utf8_trim_whitespace(flat), "")
    parts = pc.split_pattern(pc.if_else(empty, None, flat), ",")
    tokens = pc.utf8_trim_whitespace(parts.flatten())
    tokens = pc.if_else(pc.equal(tokens, "null"), None, tokens)
    values, bad = scalars(column.datatype, tokens, _GRAMMAR)
    bad |= pc.fill_null(pc.equal(tokens, ""), False).to_numpy(zero_copy_only=False)
    if type_.range is not None:
        bad |= _outside(type_.range, values)
    counts = views.lengths(parts)
    found = lists(values.cast(item_type(column)), counts, absent(texts))
    wrong = wrong_sizes(column, found) | ~pc.fill_null(plain, True).to_numpy(zero_copy_only=False)
    if bad.any():
        wrong[np.repeat(np.arange(len(texts)), counts)[bad]] = True
    for index in np.flatnonzero(wrong).tolist():
        place.tell(index, texts[index].as_py(), f"is not an array of {column.arraysize or '1'} {type_.name} in JSON")
    return pc.if_else(pa.array(wrong), None, found) if wrong.any() else found


def _flattened(column: Column, texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Arrays of several dimensions as comma-separated numbers, and which of them have the right shape."""
    sides = list(reversed((column.arraysize or "*").split("x")))
    found: list[str | None] = []
    good: list[bool | None] = []
    for text in texts.to_pylist():
        numbers = None if text is None else _numbers(text, sides)
        found.append(None if numbers is None else ",".join(numbers))
        good.append(None if text is None else numbers is not None)
    return pa.array(found, pa.string()), pa.array(good, pa.bool_())


def _numbers(text: str, sides: Sequence[str]) -> list[str] | None:
    """The numbers of an array as they are written, or None when it has another shape."""
    try:
        level = [json.loads(text, parse_float=str, parse_int=str, parse_constant=str)]
    except (ValueError, RecursionError):
        return None
    for side in sides:
        if not all(isinstance(part, list) and side in ("*", str(len(part))) for part in level):
            return None
        level = [number for part in level for number in part]
    if any(isinstance(number, list | dict) for number in level):
        return None
    return [
        "null" if number is None else str(number).lower() if isinstance(number, bool) else number for number in level
    ]


class _Single(io.RawIOBase):
    """Text with one blank between values instead of several, and none at the ends of lines; quotes are left alone."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._stream = stream
        self._inside = False
        self._rest = b""
        self._start = True
        self._blanks = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = self._stream.read1(len(buffer))
            if not chunk:
                return 0
            self._rest = self._collapsed(chunk)
        chunk, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def _collapsed(self, chunk: bytes) -> bytes:
        pieces = chunk.split(b'"')
        found = []
        for number, piece in enumerate(pieces):
            if number:
                if not self._inside:
                    found.append(b" " if self._blanks and not self._start else b"")
                    self._blanks = self._start = False
                self._inside = not self._inside
                found.append(b'"')
            found.append(piece if self._inside else self._outside(piece))
        return b"".join(found)

    def _outside(self, piece: bytes) -> bytes:
        """Blanks are held back until it is known whether something follows them in the line."""
        if not piece:
            return b""
        piece = b" " + piece if self._blanks else piece
        piece = re.sub(rb" *([\r\n]+) *", rb"\1", re.sub(rb" +", b" ", piece))
        if self._start:
            piece = piece.lstrip(b" ")
        self._blanks = piece.endswith(b" ")
        piece = piece.removesuffix(b" ")
        if piece:
            self._start = piece[-1:] in b"\r\n"
        return piece
