"""Columns of times written as text, by the grammar of ``km3vo.times``, all cells at once.

A cell in 60 ns: Arrow's own parser knows neither zones nor more than six digits.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from km3vo import times
from km3vo.readers.mistakes import Place
from km3vo.results import views

_Numbers = npt.NDArray[np.int64]
_Mask = npt.NDArray[np.bool_]

_T, _BLANK, _POINT = ord("T"), ord(" "), ord(".")
_SEPARATORS = {4: "-", 7: "-", 13: ":", 16: ":"}
_DAY, _MINUTE, _SECOND = 10, 16, 19  # lengths of what ends there
_SIMPLE = np.zeros(32, bool)
_SIMPLE[[_DAY, _MINUTE, _SECOND, *range(_SECOND + 2, _SECOND + 8)]] = True
# Microseconds from 1970 to the beginning of the years 1 and 10000.
FIRST, LAST = -62_135_596_800_000_000, 253_402_300_800_000_000
_ZONED = np.zeros(256, bool)
_ZONED[list(b"Zz+")] = True
_MONTHS = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


def moments(texts: pa.Array, place: Place) -> pa.Array:
    """Times as timestamps in microseconds; empty cells are missing, bad ones are told and left empty."""
    trimmed = pc.utf8_trim_whitespace(texts)
    empty = pc.fill_null(pc.equal(pc.binary_length(trimmed), 0), True).to_numpy(zero_copy_only=False)
    values, good = parsed(trimmed)
    for index in np.flatnonzero(~good & ~empty).tolist():
        text = texts[index].as_py()
        place.tell(index, text, times.complaint(text))
    return pa.array(values, pa.int64(), mask=~good).cast(pa.timestamp("us"))


def parsed(texts: pa.Array) -> tuple[_Numbers, _Mask]:
    """Microseconds since 1970 of each text without blanks around it, and which texts are times."""
    count = len(texts)
    values, good = np.zeros(count, np.int64), np.zeros(count, bool)
    if not count:
        return values, good
    content = views.data(texts)
    where = views.offsets(texts).astype(np.int64)
    starts = where[:-1] - where[0]
    widths = views.lengths(texts).astype(np.int64)
    zones = _zones(content, starts, widths)
    if not zones.any() and (simple := _by_arrow(texts, widths)) is not None:
        return simple
    lengths = widths - zones
    for length in np.unique(lengths).tolist():
        if length in (_DAY, _MINUTE, _SECOND) or _SECOND + 2 <= length <= _SECOND + 10:
            chosen = lengths == length
            if length == _DAY:
                chosen &= widths == length  # a day has no zone
            rows = np.flatnonzero(chosen)
            letters = content[starts[rows][:, None] + np.arange(length)]
            values[rows], good[rows] = _parse(letters, length)
    return values, good


def _by_arrow(texts: pa.Array, widths: _Numbers) -> tuple[_Numbers, _Mask] | None:
    """Texts without zones and with at most six digits: five times as quickly, if all of them are times."""
    there = widths > 0
    if not _SIMPLE[np.minimum(widths[there], len(_SIMPLE) - 1)].all():
        return None
    try:
        found = pc.cast(texts, pa.timestamp("us"))
    except pa.ArrowInvalid:
        return None
    values = views.values(found)
    if (values < FIRST).any():
        return None
    good = np.ones(len(texts), bool) if (missing := views.nulls(found)) is None else ~missing
    return values, good


def _zones(content: npt.NDArray[np.uint8], starts: _Numbers, widths: _Numbers) -> _Numbers:
    """How many bytes of each text are the zone at its end."""
    zones = np.zeros(len(starts), np.int64)
    if not _ZONED[content].any():
        return zones
    for zone in times.ZONES:
        rows = np.flatnonzero((widths > len(zone)) & (zones == 0))
        if len(rows) == 0:
            break
        ends = starts[rows] + widths[rows]
        letters = np.frombuffer(zone.encode(), np.uint8)
        there = np.ones(len(rows), bool)
        for back, letter in enumerate(reversed(letters.tolist()), 1):
            there &= content[ends - back] == letter
        zones[rows[there]] = len(zone)
    return zones


def _parse(letters: npt.NDArray[np.uint8], length: int) -> tuple[_Numbers, _Mask]:
    """Texts of the same length: one in each row."""
    digits = letters.astype(np.int64) - ord("0")
    good = np.ones(len(letters), bool)
    for column in range(length):
        if column == _DAY:
            good &= (letters[:, column] == _T) | (letters[:, column] == _BLANK)
        elif column == _SECOND:
            good &= letters[:, column] == _POINT
        elif column in _SEPARATORS:
            good &= letters[:, column] == ord(_SEPARATORS[column])
        else:
            good &= (digits[:, column] >= 0) & (digits[:, column] <= 9)

    def number(first: int, last: int) -> _Numbers:
        found = np.zeros(len(letters), np.int64)
        for column in range(first, last):
            found = found * 10 + digits[:, column]
        return found

    zero = np.zeros(len(letters), np.int64)
    year, month, day = number(0, 4), number(5, 7), number(8, 10)
    hour, minute = (number(11, 13), number(14, 16)) if length > _DAY else (zero, zero)
    second = number(17, 19) if length > _MINUTE else zero
    good &= (year >= 1) & (month >= 1) & (month <= 12) & (hour <= 23) & (minute <= 59) & (second <= 59)
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    longest = _MONTHS[np.where(good, month, 0)] + (leap & (month == 2))
    good &= (day >= 1) & (day <= longest)
    fraction = zero
    if length > _SECOND:
        nanoseconds = number(_SECOND + 1, length) * 10 ** (_SECOND + 10 - length)
        fraction = (nanoseconds + 500) // 1000
    seconds = _days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second
    return np.where(good, seconds * 1_000_000 + fraction, 0), good


def _days(year: _Numbers, month: _Numbers, day: _Numbers) -> _Numbers:
    """Days since 1970-01-01, in the Gregorian calendar; the year is taken to begin in March."""
    year = year - (month <= 2)
    month = (month + 9) % 12
    days: _Numbers = 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day - 1
    return days - 719_468
