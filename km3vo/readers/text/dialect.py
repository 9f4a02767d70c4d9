"""How a text file separates values and writes decimals, found out from its beginning."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

from km3vo.errors import ReadError
from km3vo.readers.mistakes import shown

SAMPLE = 1 << 16  # bytes that are looked at
_LINES = 1000  # and lines

_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}
_CANDIDATES = (",", "\t", ";", "|")
_WHOLE = re.compile(r"[+-]?\d+")
_COMMA = re.compile(r"[+-]?(\d*),(\d+)(?:[eEdD][+-]?\d+)?")
_POINT = re.compile(r"[+-]?(?:\d+\.\d*|\.\d+)(?:[eEdD][+-]?\d+)?|[+-]?\d+[eEdD][+-]?\d+")
# Of which no column is called: decimal numbers and times.
_VALUE = re.compile(r"[+-]?(?:\d+\.\d*|\.\d+)(?:[eEdD][+-]?\d+)?|\d{4}-\d\d-\d\d[T ]\d\d:\d\d\S*", re.ASCII)
_EXCEL = re.compile(r'"?sep=.?"?[,;\t|]*', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a text file is written.

    Attributes:
        delimiter: between values.
        names: of the columns.
        comma: whether the decimal sign is a comma.
        remarks: what of this is not what one would expect.
    """

    delimiter: str
    names: tuple[str, ...]
    comma: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def quotes(self) -> bool:
        """Whether values may stand in quotes: not between tabs (IANA, text/tab-separated-values)."""
        return self.delimiter != "\t"


def detect(sample: bytes, expected: str | None) -> Dialect:
    """The dialect of a file with a line of names.

    Args:
        sample: its first ``SAMPLE`` bytes.
        expected: the delimiter that its name promises, or None.

    Raises:
        ReadError: it has no line of names.
    """
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ReadError("its text is UTF-16: save it as UTF-8")
    if _is_not_text(re.split(rb"[\r\n]", sample, maxsplit=1)[0]):
        raise ReadError("its first line, where the names of the columns should be, is not text in UTF-8")
    text = sample.decode("utf-8-sig", "backslashreplace")
    if len(sample) == SAMPLE:
        text = text[: max(text.rfind("\n"), text.rfind("\r")) + 1]
        if not text:
            raise ReadError(f"its first line is longer than {SAMPLE} bytes")
    if not text.strip() or text[0] in "\r\n":
        raise ReadError("its first line is empty, where the names of the columns should be")
    first = _lines(text)[0].rstrip("\n")
    if "\0" in first:
        raise ReadError("its first line holds NUL characters: if its text is UTF-16, save it as UTF-8")
    if _EXCEL.fullmatch(first):
        raise ReadError(f"its first line is {shown(first)}, which only spreadsheets read: leave it out")
    delimiter, records = _delimited(text, expected)
    names = tuple(name.strip() for name in records[0])
    if first.startswith("#") and len(records) > 1 and all(len(record) != len(names) for record in records[1:]):
        raise ReadError("its first line is a comment (#), where the names of the columns should be: leave it out")
    if any(map(_VALUE.fullmatch, names)) or all(map(_WHOLE.fullmatch, names)):
        raise ReadError("its first line holds numbers or times, where the names of the columns should be")
    comma = delimiter != "," and _has_decimal_commas(records[1:], len(names))
    remarks = []
    if delimiter != (expected or ",") and not (expected is None and delimiter == "\t"):
        remarks.append(f"values are separated by {_NAMES[delimiter]}")
    if comma:
        remarks.append("numbers are written with a decimal comma")
    return Dialect(delimiter, names, comma, tuple(remarks))


def _is_not_text(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return error.end < SAMPLE  # else it is a character that the sample breaks off
    return False


def _delimited(text: str, expected: str | None) -> tuple[str, list[list[str]]]:
    """The delimiter that gives every line as many values as the first one; and the lines."""
    candidates = [*([expected] if expected else []), *(each for each in _CANDIDATES if each != expected)]
    best: tuple[tuple[bool, bool, int], str, list[list[str]]] | None = None
    first = _lines(text)[0]
    for place, delimiter in enumerate(candidates):
        if delimiter not in first:
            continue
        records = split(text, delimiter)
        width = len(records[0])
        fitting = sum(len(record) == width for record in records[1:])
        if width == 1 or (place > 0 and fitting == 0 and len(records) > 1):
            continue
        score = (fitting == len(records) - 1, place == 0 and expected is not None, fitting)
        if best is None or score > best[0]:
            best = (score, delimiter, records)
    if best is None:
        delimiter = expected or ","
        return delimiter, split(text, delimiter)
    return best[1], best[2]


def split(text: str, delimiter: str) -> list[list[str]]:
    """The values of each line that is not empty, of the first ones. Lines end in CR, LF or both."""
    lines = _lines(text)
    if delimiter == "\t":
        return [line.rstrip("\n").split("\t") for line in lines if line.strip("\n")]
    try:
        return [record for record in csv.reader(lines, delimiter=delimiter) if record]
    except csv.Error as error:
        raise ReadError(f"its first lines cannot be read: {error}") from None


def _lines(text: str) -> list[str]:
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return [line + "\n" for line in text.split("\n", _LINES)[:_LINES]]


def _has_decimal_commas(records: Sequence[Sequence[str]], width: int) -> bool:
    """Whether numbers have decimal commas beyond doubt: 1,234 could also be a thousand and more."""
    certain = False
    for place in range(width):
        cells = [record[place].strip() for record in records if len(record) == width]
        cells = [cell for cell in cells if cell]
        commas = [found for cell in cells if (found := _COMMA.fullmatch(cell))]
        points = sum(bool(_POINT.fullmatch(cell)) for cell in cells)
        wholes = sum(bool(_WHOLE.fullmatch(cell)) for cell in cells)
        if points and points + wholes == len(cells):
            return False
        if commas and len(commas) + wholes == len(cells):
            certain |= any(len(found[2]) != 3 or found[1] in ("", "0") or len(found[1]) > 3 for found in commas)
    return certain
