"""Cells that are written as text, read as what their column holds; every cell that is something else is told.

Missing values are NULL, and so is a NaN that stands alone: VOTable writes missing numbers so, and a NaN for a position
would poison a spatial index.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from km3vo.column import Column
from km3vo.datatypes import DATATYPES, Datatype
from km3vo.readers.arrays import absent, is_array, item_type, lists, size_of, without_nan, wrong_sizes
from km3vo.readers.mistakes import Place
from km3vo.readers.moments import moments
from km3vo.results import views
from km3vo.results.stream import arrow_type

Mask = npt.NDArray[np.bool_]
# The values of some texts, and where a text is something else (the value is missing there).
Read = tuple[pa.Array, Mask]

_WHOLE = r"^[+-]?\d+$"
_POINTLESS = r"^([+-]?\d+)\.0*$"
_FLOAT = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(?i:nan|inf|infinity)$"
_FORTRAN = r"^([+-]?(?:\d+\.?\d*|\.\d+))[dD]([+-]?\d+)$"
_INFINITE = r"^[+-]?(?i:inf|infinity)$"
_NAN = r"^[+-]?(?i:nan)$"
_HEXADECIMAL = r"^0[xX][0-9a-fA-F]+$"
_ANY_FLOAT = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?\s*$", re.ASCII)
_NOT_ZERO = r"^[+-]?[0.]*[1-9]"


@dataclass(frozen=True, slots=True)
class Grammar:
    """How numbers and truth are written in a format.

    Attributes:
        hexadecimal: whether whole numbers may be written as 0x1F (VOTable 1.4 §6).
        loose: whether exponents may have a D, as FORTRAN writes them, and whole numbers a point: 12.0.
        comma: whether the decimal sign is a comma.
        unknown: whether a truth value may be "?" (VOTable 1.4 §2.1).
    """

    hexadecimal: bool = False
    loose: bool = False
    comma: bool = False
    unknown: bool = False


VOTABLE = Grammar(hexadecimal=True, unknown=True)
PLAIN = Grammar(loose=True)


def from_texts(column: Column, texts: pa.Array, grammar: Grammar, place: Place, *, keep_nan: bool = False) -> pa.Array:
    """Cells in the Arrow type of their column (results.stream); what is not of its type is told and left empty.

    Args:
        column: what they should be.
        texts: as they stand in the file; an empty one is missing, unless the column is text.
        grammar: how the format writes numbers.
        place: where they are.
        keep_nan: whether a NaN stays one.
    """
    if len(texts) == 0:
        return pa.array([], arrow_type(column))
    if column.is_string:
        texts = within_bounds(column, texts, place)
        return moments(texts, place) if column.xtype == "timestamp" else texts
    trimmed = pc.utf8_trim_whitespace(texts)
    trimmed = pc.if_else(pc.equal(trimmed, ""), None, trimmed)
    if is_array(column):
        return _arrays(column, trimmed, grammar, place)
    values, bad = scalars(column.datatype, trimmed, grammar)
    for index in np.flatnonzero(bad).tolist():
        text = texts[index].as_py()
        beyond = column.datatype in ("float", "double") and _ANY_FLOAT.match(text)
        place.tell(index, text, f"is not {wanted(column)}{f' that a {column.datatype} holds' if beyond else ''}")
    return values if keep_nan else without_nan(values)


def as_text(cells: pa.Array, place: Place) -> pa.Array:
    """Bytes as text; what is not UTF-8 is told and left empty."""
    try:
        return cells.cast(pa.string())
    except pa.ArrowInvalid:
        texts: list[str | None] = []
        for index, cell in enumerate(cells.to_pylist()):
            try:
                texts.append(None if cell is None else cell.decode())
            except UnicodeDecodeError:
                place.tell(index, cell, "is not text in UTF-8")
                texts.append(None)
        return pa.array(texts, pa.string())


def wanted(column: Column) -> str:
    """What a cell of a column should be, in words."""
    if is_array(column):
        size = size_of(column)
        return f"a list of {'' if size is None else f'{size} '}numbers with blanks between them"
    return DATATYPES[column.datatype].words


def within_bounds(column: Column, texts: pa.Array, place: Place) -> pa.Array:
    """Texts that are no longer than their column says; longer ones are told and left empty."""
    size = (column.arraysize or "1").removesuffix("*")
    if not size.isdecimal():
        return texts
    long = pc.fill_null(pc.greater(pc.utf8_length(texts), int(size)), False)
    if not pc.any(long).as_py():
        return texts
    for index in np.flatnonzero(long.to_numpy(zero_copy_only=False)).tolist():
        text = texts[index].as_py()
        place.tell(index, text, f"has {len(text)} characters, and the column is declared for {size}")
    return pc.if_else(long, None, texts)


def scalars(datatype: Datatype, texts: pa.Array, grammar: Grammar) -> Read:
    """Texts without blanks around them as numbers or truth values."""
    known = DATATYPES[datatype]
    if datatype == "boolean":
        return _truth(texts, grammar)
    type_ = pa.type_for_alias(known.arrow)
    if known.low is None or known.high is None:
        return _floats(texts, type_, grammar)
    values, bad = _integers(texts, pa.int64() if datatype == "unsignedByte" else type_, grammar)
    if datatype == "unsignedByte":
        found = views.values(values)
        bad |= ~absent(values) & ((found < known.low) | (found > known.high))
        values = pa.array(found, pa.int64(), mask=bad | absent(values)).cast(type_)
    return values, bad


def _arrays(column: Column, texts: pa.Array, grammar: Grammar, place: Place) -> pa.Array:
    parts = pc.utf8_split_whitespace(texts)
    values, bad = scalars(column.datatype, parts.flatten(), grammar)
    counts = views.lengths(parts)
    missing = absent(texts)
    found = lists(values.cast(item_type(column)), counts, missing)
    wrong = wrong_sizes(column, found)
    if bad.any():
        wrong[np.repeat(np.arange(len(texts)), counts)[bad]] = True
    if not wrong.any():
        return found
    for index in np.flatnonzero(wrong).tolist():
        place.tell(index, texts[index].as_py(), f"is not {wanted(column)}")
    return pc.if_else(pa.array(wrong), None, found)


# Numbers -------------------------------------------------------------------------------------------------------------


def _truth(texts: pa.Array, grammar: Grammar) -> Read:
    lower = pc.utf8_lower(texts)
    true = pc.is_in(lower, pa.array(["true", "t", "1"]))
    known = pc.or_(true, pc.is_in(lower, pa.array(["false", "f", "0"])))
    good = pc.or_(known, texts.is_null())
    if grammar.unknown:
        good = pc.or_kleene(good, pc.equal(lower, "?"))
    return pc.if_else(known, true, None), ~_mask(good)


def _floats(texts: pa.Array, type_: pa.DataType, grammar: Grammar) -> Read:
    bad = np.zeros(len(texts), bool)
    if grammar.comma:
        bad |= _mask(pc.greater_equal(pc.find_substring(texts, "."), 0))
        texts = pc.replace_substring(texts, ",", ".")
    try:
        values = pc.cast(texts, type_)
    except pa.ArrowInvalid:
        if grammar.loose:
            texts = pc.replace_substring_regex(texts, _FORTRAN, r"\1e\2")
        bad |= ~_mask(pc.match_substring_regex(texts, _FLOAT)) & ~absent(texts)
        values, worse = _cast(_only(texts, ~bad), type_)
        bad |= worse
    found = views.values(values)
    for odd, spelling in ((np.isinf(found), _INFINITE), (np.isnan(found), _NAN)):
        if odd.any():
            # Beyond the range of the type: Arrow makes infinity of it. And C has more ways to write NaN.
            bad |= odd & ~_mask(pc.match_substring_regex(texts, spelling))
    zeros = np.flatnonzero((found == 0) & ~absent(values))
    if len(zeros):
        # So small that nothing is left of it: 1e-400.
        bad[zeros] |= _mask(pc.match_substring_regex(texts.take(pa.array(zeros)), _NOT_ZERO))
    return (_only(values, ~bad) if bad.any() else values), bad


def _integers(texts: pa.Array, type_: pa.DataType, grammar: Grammar) -> Read:
    bad = np.zeros(len(texts), bool)
    if not np.isin(views.data(texts), _XS).any():
        try:
            return pc.cast(texts, type_), bad
        except pa.ArrowInvalid:
            pass
    if grammar.comma:
        bad |= _mask(pc.greater_equal(pc.find_substring(texts, "."), 0))
        texts = pc.replace_substring(texts, ",", ".")
    written = texts
    if grammar.hexadecimal:
        written = _in_decimal(written)
    if grammar.loose:
        written = _without_fraction(written)
    bad |= ~_mask(pc.match_substring_regex(written, _WHOLE)) & ~absent(texts)
    values, worse = _cast(pc.replace_substring_regex(_only(written, ~bad), r"^\+", ""), type_)
    return values, bad | worse


_XS = np.frombuffer(b"xX", np.uint8)


def _in_decimal(texts: pa.Array) -> pa.Array:
    """Hexadecimal numbers as decimal ones. Arrow reads them too, but makes -1 of 0xFFFFFFFF."""
    where = _mask(pc.match_substring_regex(texts, _HEXADECIMAL))
    if not where.any():
        return texts
    decimals = [str(int(text, 16)) if len(text) < 40 else None for text in texts.filter(pa.array(where)).to_pylist()]
    return pc.replace_with_mask(texts, pa.array(where), pa.array(decimals, pa.string()))


def _without_fraction(texts: pa.Array) -> pa.Array:
    """12.0 as 12, and 1.2e1 too: what is whole is written as such."""
    whole = pc.replace_substring_regex(texts, _POINTLESS, r"\1")
    rest = ~_mask(pc.match_substring_regex(whole, _WHOLE)) & ~absent(whole)
    if not rest.any():
        return whole
    rest &= _mask(pc.match_substring_regex(whole, _FLOAT)) | _mask(pc.match_substring_regex(whole, _FORTRAN))
    kept = pa.array(rest)
    return pc.replace_with_mask(whole, kept, pa.array(map(_as_whole, whole.filter(kept).to_pylist()), pa.string()))


def _as_whole(text: str) -> str:
    """A number as a whole one, digit by digit: a double would round 9.007199254740993e15. Others as they are."""
    number = Decimal(text.lower().replace("d", "e"))
    whole = number.is_finite() and number.adjusted() < _MOST_DIGITS and number == number.to_integral_value()
    return str(int(number)) if whole else text


_MOST_DIGITS = 20  # of a whole number of 64 bits, and one more


def _cast(texts: pa.Array, type_: pa.DataType) -> Read:
    """Each text cast if it can be: halved until the ones that cannot stand alone."""
    bad = np.zeros(len(texts), bool)

    def halve(start: int, stop: int) -> None:
        part = texts.slice(start, stop - start)
        try:
            pc.cast(part, type_)
        except pa.ArrowInvalid:
            if stop - start == 1:
                bad[start] = True
                return
            middle = (start + stop) // 2
            halve(start, middle)
            halve(middle, stop)

    try:
        return pc.cast(texts, type_), bad
    except pa.ArrowInvalid:
        halve(0, len(texts))
        return pc.cast(_only(texts, ~bad), type_), bad


def _only(array: pa.Array, kept: Mask) -> pa.Array:
    """The array with nothing where ``kept`` is not true."""
    return pc.if_else(pa.array(kept), array, None)


def _mask(condition: pa.Array) -> Mask:
    found: Mask = pc.fill_null(condition, False).to_numpy(zero_copy_only=False)
    return found


def parsed(column: Column, text: str, grammar: Grammar) -> pa.Scalar | None:
    """One text as a value of a column's items, or None when it is none."""
    values, bad = scalars(column.datatype, pa.array([text.strip()], pa.string()), grammar)
    return None if bad.any() else values[0]
