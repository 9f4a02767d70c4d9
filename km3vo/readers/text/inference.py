"""What the columns of a plain text file hold: types are given only where every cell reads back to the same characters.

The exceptions are ways of writing that no identifier has: a plus sign before a decimal number, zeros at the end of
decimals, the form of an exponent, and the zone of a time. Leading zeros, numbers beyond 64 bits or beyond the digits of
a double, versions such as 1.1 and 1.10, 1E0657, dates, sexagesimal angles, NULL and a column of nothing but nan stay
text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from km3vo.column import Column
from km3vo.datatypes import Datatype
from km3vo.readers.arrays import absent, without_nan
from km3vo.readers.moments import parsed
from km3vo.readers.texts import PLAIN, Grammar, scalars
from km3vo.results import views
from km3vo.results.stream import arrow_type

_Mask = npt.NDArray[np.bool_]
_Places = npt.NDArray[np.int64]

_FIRST = 20  # cells that are looked at before all are

_DIGITS = 17  # of a double; with so many every double is written exactly
_EXACT = 2.0**53

# Bytes of numbers that need no closer look: digits, a point, a minus.
_PLAIN = np.zeros(256, bool)
_PLAIN[list(b"0123456789.-")] = True
_ZERO, _MINUS, _POINT = ord("0"), ord("-"), ord(".")
# A mantissa with a point has any exponent; a whole one has a sign in it, or a small e and no zero after that: 1E0657
# and 2E10 are names.
_NUMBER = (
    r"^[+-]?(?:(?:0|[1-9]\d*)(?:[eE][+-]\d{1,3}|e[1-9]\d{0,2})?"
    r"|(?:(?:0|[1-9]\d*)\.\d*|\.\d+)(?:[eEdD][+-]?\d{1,3})?|(?i:nan|inf|infinity))$"
)
_TRUTHS = (("true", "false"), ("True", "False"), ("TRUE", "FALSE"))
_TIME = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|\+00:00)?$"


# Datatype, xtype and cells of a column.
_Found = tuple[Datatype, str | None, pa.Array]
_Read = Callable[[pa.Array, bool], _Found | None]


def inferred(column: Column, texts: pa.Array, *, comma: bool) -> tuple[Column, pa.Array]:
    """A column with the type of its cells, and the cells in it.

    Args:
        column: as which it was read: of texts.
        texts: all its cells; none is missing but those that are null.
        comma: whether decimals are written with a comma.
    """
    trimmed = _trimmed(texts)
    if trimmed.null_count < len(trimmed):
        for read in _candidates(trimmed, comma):
            found = read(trimmed, comma)
            if found is not None:
                datatype, xtype, cells = found
                typed = replace(column, datatype=datatype, arraysize="*" if xtype else None, xtype=xtype)
                return typed, cells.cast(arrow_type(typed))
    return column, texts


def _candidates(texts: pa.Array, comma: bool) -> Iterator[_Read]:
    """What the column may hold, judged by its first cells: what these are not, the column is not."""
    first = [text for text in texts.slice(0, _FIRST).to_pylist() if text is not None]
    if comma:
        first = [text.replace(",", ".") for text in first]
    for pattern, read in _KINDS:
        if all(map(pattern.fullmatch, first)):
            yield read


def _trimmed(texts: pa.Array) -> pa.Array:
    """Texts without blanks around them. Quotes around nothing are a missing value too where there are no texts."""
    content = views.data(texts)
    if (content <= 32).any() or (content >= 128).any():
        texts = pc.utf8_trim_whitespace(texts)
    lengths = views.lengths(texts)
    if (lengths == 0).sum() > texts.null_count:
        texts = pc.if_else(pc.equal(texts, ""), None, texts)
    return texts


def _whole(texts: pa.Array, comma: bool) -> _Found | None:
    try:
        numbers = pc.cast(texts, pa.int64())
    except pa.ArrowInvalid:
        return None
    same = pc.equal(pc.cast(numbers, pa.string()), texts)
    return ("long", None, numbers) if pc.all(same).as_py() is not False else None


def _numbers(texts: pa.Array, comma: bool) -> _Found | None:
    if comma:
        if pc.any(pc.match_substring(texts, ".")).as_py():
            return None
        texts = pc.replace_substring(texts, ",", ".")
    content = views.data(texts)
    special = not _PLAIN[content].all()
    if special and pc.all(pc.match_substring_regex(texts, _NUMBER)).as_py() is False:
        return None
    values, bad = scalars("double", texts, PLAIN if special else Grammar())
    if bad.any():
        return None
    found, missing = views.values(values), absent(values)
    finite = ~missing & np.isfinite(found)
    if not finite.any():
        return None
    if (not special and _has_leading_zeros(texts, content)) or not _is_exact(texts, found, finite, special):
        return None
    if _has_versions(texts):
        return None
    return "double", None, without_nan(values)


def _starts(texts: pa.Array, content: npt.NDArray[np.uint8]) -> tuple[_Places, _Places, _Mask]:
    """Of texts that are not empty: where their digits start, how long they are from there, and which have a minus."""
    where = views.offsets(texts).astype(np.int64)
    lengths = views.lengths(texts).astype(np.int64)
    starts = where[:-1] - where[0]
    there = lengths > 0
    minus = np.zeros(len(starts), bool)
    minus[there] = content[starts[there]] == _MINUS
    return starts + minus, lengths - minus, there


def _has_leading_zeros(texts: pa.Array, content: npt.NDArray[np.uint8]) -> bool:
    """Whether a number begins with a zero and another digit; of what ``_PLAIN`` has."""
    starts, lengths, there = _starts(texts, content)
    starts = starts[there & (lengths > 1)]
    return bool(((content[starts] == _ZERO) & (content[starts + 1] != _POINT)).any())


def _has_versions(texts: pa.Array) -> bool:
    """Whether two cells differ in nothing but zeros at their end: 1.1 and 1.10 are versions, not numbers."""
    if not pc.any(pc.match_substring_regex(texts, r"\.\d*[1-9]0+$")).as_py():
        return False
    decimals = texts.filter(pc.match_substring_regex(texts, r"\.\d*[1-9]0*$")).unique()
    return len(pc.replace_substring_regex(decimals, "0+$", "").unique()) < len(decimals)


def _is_exact(texts: pa.Array, found: npt.NDArray[np.float64], finite: _Mask, special: bool) -> bool:
    """Whether the doubles say all that the texts do, up to the digits that a double has."""
    content = views.data(texts)
    starts, lengths, there = _starts(texts, content)
    # A point, and a zero before it, are no digits.
    most = lengths - 1
    most[there] -= content[starts[there]] == _ZERO
    suspect = (most > _DIGITS) | (np.abs(found) > _EXACT - 1) | (found == 0)
    rows = np.flatnonzero(finite & suspect)
    if len(rows) == 0:
        return True
    kept = texts.take(pa.array(rows))
    digits = pc.utf8_length(pc.replace_substring_regex(kept, r"^[+-]?0*\.?0*|\.|[eEdD].*$", "")).to_numpy()
    plain = ~pc.match_substring_regex(kept, r"[eEdD]").to_numpy(zero_copy_only=False)
    values = found[rows]
    check = (digits > _DIGITS) | (plain & (np.abs(values) > _EXACT - 1)) | ((values == 0) & (digits > 0))
    return all(
        _says_the_same(text, value)
        for text, value in zip(kept.filter(pa.array(check)).to_pylist(), values[check].tolist(), strict=True)
    )


def _says_the_same(text: str, value: float) -> bool:
    """Whether a text is a double's value, written with as many digits as one likes."""
    written = Decimal(text.lower().replace("d", "e"))
    exponent = written.as_tuple().exponent
    if not isinstance(exponent, int) or abs(exponent) > 1100 or (value == 0) != (written == 0):
        return False
    return Decimal(f"{Decimal(value):.{max(0, -exponent)}f}") == written


def _truth(texts: pa.Array, comma: bool) -> _Found | None:
    for true, false in _TRUTHS:
        is_true = pc.equal(texts, true)
        if pc.all(pc.or_(is_true, pc.equal(texts, false))).as_py():
            return "boolean", None, is_true
    return None


def _times(texts: pa.Array, comma: bool) -> _Found | None:
    if pc.all(pc.match_substring_regex(texts, _TIME)).as_py() is False:
        return None
    values, good = parsed(texts)
    missing = absent(texts)
    if not (good | missing).all():
        return None
    return "char", "timestamp", pa.array(values, pa.int64(), mask=missing).cast(pa.timestamp("us"))


_KINDS: tuple[tuple[re.Pattern[str], _Read], ...] = tuple(
    (re.compile(pattern, re.ASCII), read)
    for pattern, read in (
        (r"-?\d+", _whole),
        (_NUMBER, _numbers),
        ("|".join(sum(_TRUTHS, ())), _truth),
        (_TIME, _times),
    )
)
