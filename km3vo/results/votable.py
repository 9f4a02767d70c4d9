"""VOTable documents: results in TABLEDATA, BINARY and BINARY2, and the documents that tell an error.

A document's head is built once per list of columns and kept; only the INFOs are new each time. (The head of 11
columns: 1 to 11 ms by astropy, a microsecond from here.)
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Literal

import pyarrow as pa
from lxml import etree

from km3vo.column import JD, MJD, Column
from km3vo.results import binary, systems, text
from km3vo.results.blocks import chunks, encoded, surviving_blocks
from km3vo.results.stream import Descriptor, Info, Result
from km3vo.results.xmltext import escaped, permitted

Serialization = Literal["BINARY2", "TABLEDATA", "BINARY"]
Writer = Callable[[Result], Iterator[bytes]]

# The same namespace from 1.3 on; only the attribute tells the versions apart (VOTable 1.5 §3.1).
NAMESPACE = "http://www.ivoa.net/xml/VOTable/v1.3"
VERSION = "1.4"

_STYLE = text.Style(nan="NaN", positive="+Inf", negative="-Inf", escape=escaped)

# Reference frames as COOSYS had them before VOTable 1.5, with the equinoxes that the vocabulary refframe assumes.
_FRAMES_1_4 = {
    "ICRS": {"system": "ICRS"},
    "FK5": {"system": "eq_FK5", "equinox": "J2000.0"},
    "FK4": {"system": "eq_FK4", "equinox": "B1950.0"},
    "GALACTIC": {"system": "galactic"},
    "ECLIPTIC": {"system": "ecl_FK5", "equinox": "J2000.0"},
}
_USUAL_SYSTEMS = ("_icrs", "_mjd", "_utc")
_ORIGIN_NAMES = {MJD: "mjd", JD: "jd", None: "utc"}

_NEXT_CELL, _NEXT_ROW = "</TD><TD>", "</TD></TR>\n<TR><TD>"
_UNIT, _RECORD = text.UNIT.encode(), text.RECORD.encode()
# What cannot stand in XML as it is (xmltext.py), but for the two separators.
_DELICATE = bytes(code for code in range(32) if chr(code) not in "\t\n\x1e\x1f") + b"&<>"
_NONCHARACTERS = frozenset("\ufffe\uffff")

_OK = b'<INFO name="QUERY_STATUS" value="OK"/>\n'
_DATA: dict[Serialization, tuple[bytes, bytes]] = {
    "TABLEDATA": (b"<DATA><TABLEDATA>\n", b"</TABLEDATA></DATA>\n"),
    "BINARY": (b'<DATA><BINARY><STREAM encoding="base64">\n', b"</STREAM></BINARY></DATA>\n"),
    "BINARY2": (b'<DATA><BINARY2><STREAM encoding="base64">\n', b"</STREAM></BINARY2></DATA>\n"),
}


def writer(serialization: Serialization, version: str = VERSION) -> Writer:
    """A function that writes results as VOTables of that serialization and version."""
    opening, closing = _DATA[serialization]

    def pieces(result: Result) -> Iterator[bytes]:
        columns, rows = result.columns, surviving_blocks(result)
        base64 = binary.Base64()
        if serialization == "TABLEDATA":
            encode = _tabledata
        else:
            first = next(rows, None)
            if first is not None:
                columns = binary.readable(columns, first)
                rows = itertools.chain((first,), rows)
            encode_rows = binary.encoder(columns, flags=serialization == "BINARY2")

            def encode(block: pa.RecordBatch) -> bytes:
                return base64.feed(encode_rows(block))

        waiting = [head(result, columns, serialization, version), opening]
        for piece in encoded(result, rows, encode):
            waiting.append(piece)
            yield b"".join(waiting)
            waiting.clear()
        waiting += [base64.finish(), closing, *_tail(result)]
        yield b"".join(waiting)

    def write(result: Result) -> Iterator[bytes]:
        return chunks(result, pieces(result))

    return write


def of_lines(result: Result, lines: Sequence[str]) -> bytes | None:
    """The TABLEDATA document of rows that are text already, with ``text.UNIT`` between their cells.

    There may be one line more than ``result.maxrec``; ``result.source`` is not looked at. None where a cell holds what
    has another form in a VOTable: such rows are to be written cell by cell.
    """
    shown = lines[: result.maxrec]
    joined = text.RECORD.join(shown)
    cells = joined.encode()
    if shown and (
        len(cells.translate(None, _DELICATE)) != len(cells)
        or cells.count(_UNIT) != len(shown) * (len(result.columns) - 1)
        or cells.count(_RECORD) != len(shown) - 1
        or b"nfinity" in cells
        or not (joined.isascii() or _NONCHARACTERS.isdisjoint(joined))
    ):
        return None
    result.rows = len(shown)
    result.overflow = len(lines) > len(shown) or result.maxrec == 0
    opening, closing = _DATA["TABLEDATA"]
    rows = cells.replace(_UNIT, _NEXT_CELL.encode()).replace(_RECORD, _NEXT_ROW.encode())
    body = (b"<TR><TD>", rows, b"</TD></TR>\n") if shown else ()
    return b"".join([head(result, result.columns, "TABLEDATA", VERSION), opening, *body, closing, *_tail(result)])


def dataless(result: Result, columns: tuple[Column, ...], version: str = VERSION) -> bytes:
    """The document without its data, for formats that carry the metadata of a VOTable (VOParquet 1.0).

    To be called after the rows have gone, when it is known whether there were more.
    """
    return b"".join([head(result, columns, "TABLEDATA", version), *_tail(result)])


def head(result: Result, columns: tuple[Column, ...], serialization: Serialization, version: str) -> bytes:
    """A document from its first byte to its last FIELD; ``columns`` as they are really written."""
    opening, references, fields = _static(columns, serialization, version)
    return b"".join(
        [
            opening,
            _heading(result.heading),
            *map(_info, result.infos),
            b'<RESOURCE type="results">\n',
            _OK,
            _lasting(result.table_infos),
            references,
            _table(result.name, result.description),
            fields,
        ]
    )


def status(result: Result) -> list[bytes]:
    """What is to be said after the table: that rows are missing, and why (DALI 1.1 §4.4)."""
    if result.failed:
        return [_info(Info("QUERY_STATUS", "ERROR", result.failed))]
    if result.overflow:
        return [_info(Info("QUERY_STATUS", "OVERFLOW", f"Only the first {result.rows} rows are here; there are more."))]
    return []


def _tail(result: Result) -> list[bytes]:
    described = (_descriptor(result.columns, each) for each in result.descriptors)
    return [b"</TABLE>\n", *status(result), b"</RESOURCE>\n", *described, b"</VOTABLE>\n"]


def error_document(message: str, infos: Sequence[Info] = (), version: str = VERSION) -> bytes:
    """A document that says that a query failed and why (DALI 1.1 §4.4.1)."""
    root = _root(version)
    resource = etree.SubElement(root, "RESOURCE", type="results")
    resource.append(_info_element(Info("QUERY_STATUS", "ERROR", message)))
    resource.extend(_info_element(info) for info in infos)
    return _document(root)


def cone_error_document(message: str) -> bytes:
    """A document that says why a cone search failed: one INFO named Error (Simple Cone Search 1.03 §2.3)."""
    root = _root(VERSION)
    root.append(_info_element(Info("Error", message)))
    # A VOTable without any RESOURCE is not valid.
    etree.SubElement(root, "RESOURCE", type="results")
    return _document(root)


def identifiers(columns: Sequence[Column]) -> list[str]:
    """An XML ID for each column: its name where that can be one and is not taken, else by its position."""
    taken = {*_USUAL_SYSTEMS, *map(_system, columns)}
    found = []
    for number, column in enumerate(columns, 1):
        identifier = column.name
        if identifier in taken or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", identifier):
            identifier = f"col_{number}"
            while identifier in taken or any(identifier == other.name for other in columns):
                identifier += "_"
        taken.add(identifier)
        found.append(identifier)
    return found


def _tabledata(block: pa.RecordBatch) -> bytes:
    rows = text.rows(text.texts(block, _STYLE), _NEXT_CELL, _NEXT_ROW)
    return b"".join((b"<TR><TD>", rows, b"</TD></TR>\n"))


@lru_cache(maxsize=512)
def _static(columns: tuple[Column, ...], serialization: Serialization, version: str) -> tuple[bytes, bytes, bytes]:
    """The parts of a head that follow from the columns: the root's start, the coordinate systems, the FIELDs."""
    root = _root(version)
    root.text = "\n"
    opening, _, _ = etree.tostring(root, encoding="unicode").partition("</VOTABLE>")
    declaration = '<?xml version="1.0" encoding="UTF-8"?>\n'
    references = [_system(column) for column in columns]
    defined = dict(zip(references, columns, strict=True))
    elements = "".join(
        _string(_system_element(identifier, column, version))
        for identifier, column in sorted(defined.items(), key=lambda item: item[0] or "")
        if identifier is not None
    )
    fields = "".join(
        _string(_field(column, identifier, reference, serialization))
        for column, identifier, reference in zip(columns, identifiers(columns), references, strict=True)
    )
    return (declaration + opening).encode(), elements.encode(), fields.encode()


def _system(column: Column) -> str | None:
    """The XML ID of the coordinate or time system that a column's values are given in; None where there is none."""
    frame, time = systems.frame(column), systems.time(column)
    if frame is not None:
        return f"_{frame.lower()}"
    if time is None:
        return None
    name = _ORIGIN_NAMES.get(time.origin) or f"from_{time.origin}"
    is_usual = (time.scale, time.position) == ("UTC", "TOPOCENTER")
    return f"_{name}" if is_usual else f"_{name}_{time.scale}_{time.position}".lower()


def _system_element(identifier: str, column: Column, version: str) -> etree._Element:
    """The COOSYS or TIMESYS (VOTable 1.4 §3.1 and §3.2) that a column refers to."""
    frame, time = systems.frame(column), systems.time(column)
    if frame is not None:
        attributes = {"system": frame} if version >= "1.5" else _FRAMES_1_4.get(frame, {"system": frame})
        return etree.Element("COOSYS", {"ID": identifier, **attributes})
    assert time is not None
    # Without an origin: the calendar has its own.
    begun = {"timeorigin": origin} if (origin := systems.origin(time)) else {}
    return etree.Element("TIMESYS", {"ID": identifier, **begun, "timescale": time.scale, "refposition": time.position})


def _field(column: Column, identifier: str, system: str | None, serialization: Serialization) -> etree._Element:
    datatype, arraysize = column.datatype, column.arraysize
    if serialization == "BINARY":
        datatype = binary.datatype(column)  # type: ignore[assignment]
    if column.is_string:
        # Without arraysize a string is one character; and every serialization here writes its length.
        arraysize = arraysize or "*"
        if serialization != "TABLEDATA" and not arraysize.endswith("*"):
            arraysize += "*"
    elif arraysize == "1":
        arraysize = None
    attributes = {
        "ID": identifier,
        "name": column.name,
        "datatype": datatype,
        "arraysize": arraysize,
        "xtype": column.xtype,
        "unit": column.unit,
        "ucd": column.ucd,
        "utype": column.utype,
        "ref": system,
    }
    element = etree.Element("FIELD", {name: permitted(value) for name, value in attributes.items() if value})
    if column.description:
        etree.SubElement(element, "DESCRIPTION").text = permitted(column.description)
    if serialization == "BINARY" and (null := binary.null_value(column)) is not None:
        etree.SubElement(element, "VALUES", null=str(null))
    return element


@lru_cache(maxsize=512)
def _heading(text: str) -> bytes:
    if not text:
        return b""
    element = etree.Element("DESCRIPTION")
    element.text = permitted(text)
    return _string(element).encode()


@lru_cache(maxsize=512)
def _descriptor(columns: tuple[Column, ...], service: Descriptor) -> bytes:
    """A service descriptor; nothing where the column that it needs is not there."""
    places = [place for place, column in enumerate(columns) if column.name == service.column]
    if service.column and not places:
        return b""
    resource = etree.Element("RESOURCE", type="meta", utype="adhoc:service")
    resource.text = "\n"
    etree.SubElement(resource, "DESCRIPTION").text = permitted(service.description)
    for name, value in (("standardID", service.standard), ("accessURL", service.url)):
        etree.SubElement(resource, "PARAM", name=name, datatype="char", arraysize="*", value=permitted(value))
    group = etree.SubElement(resource, "GROUP", name="inputParams")
    attributes = {"name": "ID", "datatype": "char", "arraysize": "*", "value": permitted(service.value)}
    if places:
        attributes["ref"] = identifiers(columns)[places[0]]
    etree.SubElement(group, "PARAM", attributes)
    return _string(resource).encode()


@lru_cache(maxsize=512)
def _lasting(infos: tuple[Info, ...]) -> bytes:
    """INFOs that belong to a table, and so are the same again and again."""
    return b"".join(map(_info, infos))


@lru_cache(maxsize=512)
def _table(name: str, description: str) -> bytes:
    table = etree.Element("TABLE", name=permitted(name) or "result")
    table.text = "\n"
    if description:
        element = etree.SubElement(table, "DESCRIPTION")
        element.text, element.tail = permitted(description), "\n"
    opening: bytes = etree.tostring(table, encoding="utf-8")
    return opening.removesuffix(b"</TABLE>")


def _info(info: Info) -> bytes:
    # Most are the same in every answer. Long ones are queries, which would only fill the memory.
    return _kept_info(info) if len(info.value) < 256 else _new_info(info)


def _new_info(info: Info) -> bytes:
    return _string(_info_element(info)).encode()


_kept_info = lru_cache(maxsize=1024)(_new_info)


def _info_element(info: Info) -> etree._Element:
    element = etree.Element("INFO", name=permitted(info.name), value=permitted(info.value))
    if info.ucd:
        element.set("ucd", permitted(info.ucd))
    if info.text:
        element.text = permitted(info.text)
    return element


def _string(element: etree._Element) -> str:
    found: str = etree.tostring(element, encoding="unicode")
    return found + "\n"


def _root(version: str) -> etree._Element:
    # Elements inside are made without a namespace and written into this one, which is the default.
    return etree.Element("VOTABLE", {"version": version, "xmlns": NAMESPACE})


def _document(root: etree._Element) -> bytes:
    etree.indent(root)
    found: bytes = etree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return found + b"\n"
