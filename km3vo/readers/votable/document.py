"""A VOTable as its parser's events tell it: the columns and rows of one table, and what it says about itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from xml.parsers import expat

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from km3vo.errors import ReadError, TooLargeError
from km3vo.readers import clocks
from km3vo.readers.clocks import Clock
from km3vo.readers.content import Content
from km3vo.readers.frames import Frame
from km3vo.readers.marks import Marks
from km3vo.readers.mistakes import Note, Place, named, shown
from km3vo.readers.opened import BLOCK_BYTES, Block, FileColumn, Options
from km3vo.readers.texts import VOTABLE, from_texts
from km3vo.readers.votable import fields as declared
from km3vo.readers.votable.binary import BinaryRows
from km3vo.readers.votable.fields import Attributes, Field
from km3vo.readers.votable.inline import read_fits
from km3vo.readers.votable.streams import StreamDecoder

# Cells wait as Python strings until there are so many rows.
ROWS_AT_ONCE = 20_000
CELL = 16 * 2**20  # characters of the longest cell
CHUNK = 1 << 18  # bytes that the parser is given at once
TAG = 4 * 2**20  # bytes of the longest tag or comment, which expat holds as a whole
FITS = 256 * 2**20  # bytes of a FITS file within a document, which is held as a whole
DEPTH = 100  # of elements within each other
MOST_SYSTEMS = 1000
MOST_IDS = 100_000  # of all elements but rows and cells


# What PARAMs and ATTRIBUTEs say by their utype or role: a frame, a scale, a place of times.
_ROLES = (
    ("COOSYS", "system", (".coordrefframe", ".spacerefframe")),
    ("TIMESYS", "timescale", ("timeframe.timescale",)),
    ("TIMESYS", "refposition", ("timeframe.referenceposition",)),
)


def new_parser() -> Any:
    """A parser that refuses what a document could grow by."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.buffer_size = 1 << 16
    # Defaults from a DTD would be handed over with every element.
    parser.specified_attributes = True
    parser.EntityDeclHandler = _refuse_entities
    parser.AttlistDeclHandler = _refuse_entities
    parser.XmlDeclHandler = _check_encoding
    return parser


def _check_encoding(version: str, encoding: str | None, standalone: int) -> None:
    """Refuse what neither expat reads nor Python turns into it: encodings with more than one byte for a letter."""
    if encoding is None or encoding.upper() in ("UTF-8", "UTF-16", "UTF-16BE", "UTF-16LE", "ISO-8859-1", "US-ASCII"):
        return
    try:
        letters = bytes(range(256)).decode(encoding, "replace")
    except (LookupError, UnicodeError):
        letters = ""
    if len(letters) != 256:
        raise ReadError(f"its encoding is {shown(encoding)}, which is not supported: use UTF-8")


def pieces(parser: Any, content: Content) -> Iterator[None]:
    """Have a parser read the bytes of a document; comes back after every piece.

    Raises:
        ReadError: a tag or comment is too long, or whatever the parser's handlers raise.
        expat.ExpatError: it is not well-formed.
    """
    stream = content.stream()
    size = 0
    while chunk := stream.read(CHUNK):
        parser.Parse(chunk, False)
        size += len(chunk)
        if size - parser.CurrentByteIndex > TAG + 2 * CHUNK:
            raise ReadError(f"a tag or comment in line {parser.CurrentLineNumber} has more than {TAG} bytes")
        yield


def _refuse_entities(*_: Any) -> None:
    raise ReadError("the VOTable defines XML entities or attributes; write their values instead")


class Document:
    """Takes the events of the parser: of all tables those of one are kept.

    Attributes:
        columns: known once its data begin.
        marks: what the document says about its completeness.
        error: what it says instead of holding a table, or "".
    """

    def __init__(self, note: Note, place: int, options: Options, *, elsewhere: bool = False) -> None:
        self.columns: list[FileColumn] | None = None
        self.marks = Marks()
        self.error = ""
        self.options = options
        self._note = note
        self._place = place
        self._elsewhere = elsewhere
        self._tables = -1
        self._fields: list[Field] = []
        self._systems: dict[str, Attributes] = {}
        self._used: set[str] = set()
        self._ids: set[str] = set()
        self._nulls: dict[str, str] = {}
        self._prefix = ""
        self._path: list[str] = []
        self._text: list[str] = []
        self._cells: list[str] = []
        self._rows = 0
        self._waiting = 0  # rows among the cells
        self._since = 0  # where in the document the first of them stands
        self._ready: list[Block] = []
        self._stream: StreamDecoder | None = None
        self._binary: BinaryRows | None = None
        self._fits: list[bytes] | None = None
        self._fits_size = 0
        self._extension: str | None = None
        self.parser = parser = new_parser()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        self._starts: dict[str, Callable[[Attributes], None]] = {
            "VOTABLE": self._start_votable,
            "COOSYS": self._start_system,
            "TIMESYS": self._start_system,
            "INFO": self._start_info,
            "PARAM": self._start_info,
            "ATTRIBUTE": self._start_attribute,
            "TABLE": self._start_table,
            "FIELD": self._start_field,
            "VALUES": self._start_values,
            "DATA": self._start_data,
            "TABLEDATA": self._start_tabledata,
            "STREAM": self._start_stream,
            "FITS": self._start_fits,
        }
        self._ends: dict[str, Callable[[], None]] = {
            "DESCRIPTION": self._end_description,
            "INFO": self._end_info,
            "STREAM": self._end_stream,
            "TABLE": self._end_table,
        }

    def take(self) -> list[Block]:
        """The rows that are ready."""
        ready, self._ready = self._ready, []
        return ready

    def finish(self) -> None:
        """There is no more."""
        self._flush()
        if self._stream is not None:  # cut off, and known to be
            self._close_stream()
        for field in self._fields if not self.options.truncated else ():
            if field.ref and field.ref not in self._ids and not declared.is_plain_text(field):
                raise ReadError(
                    f"column {named(field.column.name)} refers to {shown(field.ref)}, which is not in the file (ref)"
                )
        self.marks.check_rows(self._rows)

    def check_size(self) -> None:
        """Refuse cells and rows that would fill the memory."""
        if len(self._text) > 4 and sum(map(len, self._text)) > CELL:
            raise ReadError(f"a text in line {self.parser.CurrentLineNumber} has more than {CELL} characters")
        if len(self._cells) > (self._waiting + 1) * len(self._fields):
            self._wrong_row(self._rows + 1, len(self._cells) - self._waiting * len(self._fields))
            raise ReadError(f"row {self._rows + 1} has far more cells than there are FIELDs")

    def untied(self) -> tuple[Clock | None, Frame | None]:
        """The clock and the frame that the document declares without saying for which columns."""
        clock, frame = None, None
        for name, system in self._systems.items():
            if name not in self._used:
                # One that is ours does not hide another that is not.
                if system["element"] == "TIMESYS":
                    clock = clocks.timesys(system) if clock is None or clock.is_ours else clock
                else:
                    frame = declared.coosys(system) if frame is None or frame.is_ours else frame
        return clock, frame

    @property
    def _here(self) -> bool:
        """Whether this is the table that is wanted."""
        return self._tables == self._place

    # Events -----------------------------------------------------------------------------------------------------------

    def _start(self, name: str, attributes: Attributes) -> None:
        self._prefix, name = name[: name.find(":") + 1], name.rpartition(":")[2]
        if not self._path and name != "VOTABLE":
            raise ReadError(f"it is XML, but no VOTable: its root element is {shown(name)}")
        if len(self._path) == DEPTH:
            raise ReadError(f"its elements are nested more than {DEPTH} deep")
        self._path.append(name)
        # In place: the parser holds on to the list's method.
        self._text.clear()
        if "ID" in attributes:
            self._ids.add(attributes["ID"].strip())
            if len(self._ids) > MOST_IDS:
                raise ReadError(f"it has more than {MOST_IDS} IDs")
        handle = self._starts.get(name)
        if handle is not None:
            handle(attributes)

    def _end(self, name: str) -> None:
        handle = self._ends.get(self._path[-1])
        if handle is not None:
            handle()
        self._path.pop()
        self._text.clear()

    def _start_votable(self, attributes: Attributes) -> None:
        if len(self._path) > 1:
            raise ReadError("a VOTABLE stands within the VOTABLE")

    def _start_system(self, attributes: Attributes, element: str = "") -> None:
        name = attributes.get("ID", "").strip() or f" {len(self._systems)}"
        if self.columns is not None and name in self._used:
            raise ReadError(f"the {self._path[-1]} {shown(name)} stands behind the table that refers to it")
        self._systems[name] = {**attributes, "element": element or self._path[-1]}
        if len(self._systems) > MOST_SYSTEMS:
            raise ReadError(f"it declares more than {MOST_SYSTEMS} coordinate systems")

    def _start_info(self, attributes: Attributes) -> None:
        name, value = attributes.get("name") or attributes.get("ID") or "", attributes.get("value", "")
        if name.strip().lower() == "error":  # Simple Cone Search 1.03 §2.3
            self.error = f"it is no table, but says that something went wrong: {shown(value)}"
            if self._path[-1] == "INFO" or attributes.get("datatype") == "char":  # else the error of something
                self.marks.error(value)
        if self._path[-1] == "INFO":
            self.marks.start(name, value)
        elif self._here or "TABLE" not in self._path:
            self._take_role(attributes.get("utype", ""), value)

    def _start_attribute(self, attributes: Attributes) -> None:
        self._take_role(attributes.get("dmrole", ""), attributes.get("value", ""))

    def _take_role(self, role: str, value: str) -> None:
        """Systems as other models name them: STC in VOTable (IVOA Note of 2010), and MIVOT with the model coords."""
        for element, key, ends in _ROLES:
            if role.strip().lower().endswith(ends):
                self._start_system({"timescale": "UTC", key: value}, element)

    def _end_info(self) -> None:
        self.marks.end("".join(self._text))

    def _start_table(self, attributes: Attributes) -> None:
        self._tables += 1
        if self._here and not self._elsewhere and attributes.get("nrows", "").strip().isdecimal():
            self.marks.rows = int(attributes["nrows"][:18])

    def _end_table(self) -> None:
        if self._here:
            self._make_columns()  # also without data
            self._flush()

    def _start_field(self, attributes: Attributes) -> None:
        if self._here and len(self._path) > 1 and self._path[-2] == "TABLE":
            if len(self._fields) == declared.MOST:
                raise TooLargeError(f"a table may have {declared.MOST} columns; this one has more")
            self._fields.append(declared.read_field(attributes, len(self._fields) + 1))

    def _start_values(self, attributes: Attributes) -> None:
        null, ref = attributes.get("null"), attributes.get("ref", "").strip()
        if null is None and ref:
            null = self._nulls.get(ref)
            if ref not in self._ids:
                raise ReadError(f"the VALUES {shown(ref)} does not stand before the one that refers to it")
        if null is None:
            return
        if "ID" in attributes:
            self._nulls[attributes["ID"].strip()] = null
        if self._here and len(self._path) > 1 and self._path[-2] == "FIELD" and self._fields:
            self._fields[-1].set_null(null)

    def _end_description(self) -> None:
        if self._here and len(self._path) > 1 and self._path[-2] == "FIELD" and self._fields:
            text = " ".join("".join(self._text).split())
            self._fields[-1].column = replace(self._fields[-1].column, description=text or None)

    def _start_data(self, attributes: Attributes) -> None:
        if self._here:
            self._make_columns()

    def _make_columns(self) -> None:
        if self.columns is None:
            if not self._fields:
                raise ReadError("the table has no columns")
            self._used = {field.ref for field in self._fields if field.ref}
            self.columns = [declared.file_column(field, self._systems) for field in self._fields]

    # TABLEDATA --------------------------------------------------------------------------------------------------------

    def _start_tabledata(self, attributes: Attributes) -> None:
        """Cells are most of a document: while they last, the parser calls two functions that know nothing else."""
        prefix = self._prefix
        cell, row, end = f"{prefix}TD", f"{prefix}TR", f"{prefix}TABLEDATA"
        text, cells = self._text, self._cells
        here = self._here
        depth = 0
        self._since = self.parser.CurrentByteIndex

        def started(name: str, attributes: Attributes) -> None:
            nonlocal depth
            text.clear()
            depth += 1
            if depth > 2 or (name != cell and name != row):
                raise ReadError(f"row {self._rows + 1}: there is an element {shown(name)} among the cells")
            if attributes and attributes.get("encoding"):
                raise ReadError("cells with an encoding of their own are not read: write them as text")

        def ended(name: str) -> None:
            nonlocal depth
            depth -= 1
            if name == cell:
                if here:
                    cells.append(text[0] if len(text) == 1 else "".join(text))
            elif name == row:
                if here:
                    self._end_tr()
            elif name == end:
                self.parser.StartElementHandler, self.parser.EndElementHandler = self._start, self._end
                self._end(name)
            text.clear()

        self.parser.StartElementHandler, self.parser.EndElementHandler = started, ended

    def _end_tr(self) -> None:
        self._rows += 1
        before = len(self._fields) * self._waiting
        if len(self._cells) != before + len(self._fields):
            self._wrong_row(self._rows, len(self._cells) - before)
            # In place, as the function that takes the cells holds on to the list.
            del self._cells[before:]
            return
        self._waiting += 1
        if self._waiting >= ROWS_AT_ONCE or self.parser.CurrentByteIndex - self._since > BLOCK_BYTES:
            self._flush()

    def _wrong_row(self, row: int, cells: int) -> None:
        self._note(row, f"there are {cells} cells in it instead of {len(self._fields)}")

    def _flush(self) -> None:
        """Make a block of the rows that wait."""
        width = len(self._fields)
        rows, self._waiting, self._since = self._waiting, 0, self.parser.CurrentByteIndex
        if rows:
            lines = pa.array(np.arange(self._rows - rows + 1, self._rows + 1))
            arrays = [
                _texts(field, self._cells[index : rows * width : width], Place(field.column.name, lines, self._note))
                for index, field in enumerate(self._fields)
            ]
            self._ready.append(Block(arrays, lines))
        del self._cells[: rows * width]

    def _start_fits(self, attributes: Attributes) -> None:
        if self._here:
            self._extension = attributes.get("extnum", "").strip() or None

    # Streams ----------------------------------------------------------------------------------------------------------

    def _start_stream(self, attributes: Attributes) -> None:
        if not self._here:
            return
        kind = self._path[-2] if len(self._path) > 1 else ""
        if attributes.get("href"):
            raise ReadError("its STREAM is elsewhere (href): put the data into the VOTable itself")
        if kind == "PARQUET":
            raise ReadError("its data are a Parquet file: use that file itself")
        self._stream = StreamDecoder(attributes.get("encoding", "none").strip().lower())
        self.parser.CharacterDataHandler = self._feed
        if kind == "FITS":
            self._fits = []
            return
        self._binary = BinaryRows(self._fields, self._note, flags=kind == "BINARY2")

    def _feed(self, text: str) -> None:
        if self._stream is None:
            return
        for raw in self._stream.feed(text):
            if self._binary is not None:
                self._keep(self._binary.feed(raw))
            elif self._fits is not None:
                self._fits.append(raw)
                self._fits_size += len(raw)
                if self._fits_size > (self.options.most_bytes or FITS):
                    raise TooLargeError("the FITS file in it is too large: use that file itself")

    def _end_stream(self) -> None:
        if self._stream is not None:
            self._stream.finish()
            self._close_stream()
            self.parser.CharacterDataHandler = self._text.append

    def _close_stream(self) -> None:
        if self._binary is not None:
            self._keep(self._binary.finish(truncated=self.options.truncated))
        if self._fits is not None:
            raw, self._fits = b"".join(self._fits), None
            self._keep(read_fits(raw, self._extension, self._fields, self._note, self.options))
        self._stream = self._binary = None

    def _keep(self, blocks: Iterator[Block]) -> None:
        for block in blocks:
            self._rows += len(block.lines)
            self._ready.append(block)


def _texts(field: Field, cells: list[str], place: Place) -> pa.Array:
    """Cells of a TABLEDATA (VOTable 1.5 §6.2). An empty one is missing, and so is one that VALUES names."""
    column = field.column
    texts = pa.array(cells, pa.string())
    if column.is_string:
        texts = _without(texts, "")
        if field.null_text:
            texts = _without(texts, field.null_text)
    found = from_texts(column, texts, VOTABLE, place)
    return found if field.null is None else without(found, field.null)


def _without(texts: pa.Array, absent: str) -> pa.Array:
    return pc.if_else(pc.equal(texts, absent), None, texts)


def without(values: pa.Array, null: Any) -> pa.Array:
    """Numbers, or lists of them, with NULL where they equal a value."""
    if pa.types.is_list(values.type):
        kept = without(values.values, null)
        return pa.ListArray.from_arrays(values.offsets, kept, mask=values.is_null())
    return pc.if_else(pc.equal(values, pa.scalar(null, values.type)), None, values)
