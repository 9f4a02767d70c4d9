"""How a time is written, wherever one is read or written: files, uploads, ADQL, parameters, and our own documents.

ISO 8601 in UTC as DALI 1.1 §3.3.3 has it: a day, or a day and a time of day, with one to nine digits of a second at
most, and with ``Z`` or ``+00:00`` or nothing at its end. A blank may stand for the T. Times are kept in microseconds;
more digits are rounded. Leap seconds, other zones and other scales are refused, each with words of its own.

Whole columns of such texts are read by ``km3vo.readers.moments``, by the same grammar.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_DAY = r"(\d{4})-(\d\d)-(\d\d)"
_CLOCK = r"(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?"
EXACT_ZONES = ("Z", "+00:00", "+0000")
ZONES = ("Z", "z", "+00:00", "+0000", "+00")
_ZONE = r"(?:[Zz]|\+00(?::?00)?)?"
_TIME = re.compile(rf"{_DAY}(?:[T ]{_CLOCK}{_ZONE})?", re.ASCII)
_LEAP = re.compile(rf"{_DAY}[T ]23:59:60(?:\.\d*)?{_ZONE}", re.ASCII)
_ELSEWHERE = re.compile(rf"{_DAY}[T ]{_CLOCK} ?(?P<zone>[+-]\d\d(?::?\d\d)?)", re.ASCII)
# As FITS and VOTable name scales, written behind the time or in brackets.
SCALES = ("TT", "TAI", "TDB", "TCG", "TCB", "UT1", "UT", "ET", "TDT", "GPS", "LOCAL")
_SCALED = re.compile(rf"{_DAY}[T ]{_CLOCK} *\(?({'|'.join(SCALES)})(?:\([A-Z]*\))?\)?", re.ASCII)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MJD_ZERO = datetime(1858, 11, 17, tzinfo=UTC)


class NotATime(ValueError):
    """A text is not a time. Its own text goes after the one that was given: "is not a time in UTC like …"."""


def now() -> datetime:
    """The present time, with its zone."""
    return datetime.now(UTC)


def seconds(time: datetime) -> str:
    """A time with whole seconds: 2026-01-31T12:00:00Z. Without a zone it is taken for UTC."""
    return _utc(time).strftime("%Y-%m-%dT%H:%M:%SZ")


def milliseconds(time: datetime) -> str:
    """A time with milliseconds: 2026-01-31T12:00:00.250Z. Without a zone it is taken for UTC."""
    return _utc(time).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def full(time: datetime, *, zone: bool = True) -> str:
    """A time with microseconds: 2026-01-31T12:00:00.250000Z; without the Z where UTC is said elsewhere (VOEvent)."""
    return _utc(time).strftime("%Y-%m-%dT%H:%M:%S.%f") + ("Z" if zone else "")


def mjd(time: datetime) -> float:
    """A time as Modified Julian Date (UTC, days)."""
    return (_utc(time) - MJD_ZERO) / timedelta(days=1)


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def microseconds(text: str) -> int:
    """Microseconds since 1970-01-01T00:00:00 UTC, without leap seconds.

    Raises:
        NotATime: it is something else; says what.
    """
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise NotATime(complaint(text))
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    fraction = found[7] or ""
    try:
        whole = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise NotATime(complaint(text)) from None
    seconds = (whole - _EPOCH) // timedelta(seconds=1)
    # Half a microsecond goes up, as in readers.moments.
    return seconds * 1_000_000 + (int(fraction.ljust(9, "0")) + 500) // 1000


def moment(text: str, *, zones: bool = False, exact: bool = False) -> datetime:
    """The same as a datetime in UTC.

    Args:
        text: what is written.
        zones: whether a time of another zone is converted; otherwise it is refused.
        exact: whether nothing is guessed or rounded: the text has seconds, at most six digits of them, and Z or +00:00.

    Raises:
        NotATime: it is something else; says what.
    """
    if exact and (wrong := _inexact(text)):
        raise NotATime(wrong)
    zone = _ELSEWHERE.fullmatch(text.strip()) if zones else None
    try:
        if zone is not None:
            return moment(text.strip()[: zone.start("zone")]) - _offset(zone["zone"])
        return _EPOCH + timedelta(microseconds=microseconds(text))
    except OverflowError:  # the last half microsecond of the year 9999
        raise NotATime(complaint("")) from None


def _inexact(text: str) -> str:
    found = _TIME.fullmatch(text)
    if text != text.strip() or (found and found[6] is None):
        return complaint("")
    if found is None:
        return complaint(text)
    if not text.endswith(EXACT_ZONES):
        return "says no time scale: write a Z behind it, and mean UTC by it"
    if (found[7] or "")[6:].strip("0"):
        return "is finer than a microsecond: round it to six digits"
    return ""


def _offset(zone: str) -> timedelta:
    hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
    if hours > 23 or minutes > 59:
        raise NotATime(complaint(""))
    offset = timedelta(hours=hours, minutes=minutes)
    return -offset if zone[0] == "-" else offset


def complaint(text: str) -> str:
    """What is wrong with a text that is not a time, to be said after it."""
    written = text.strip()
    if _LEAP.fullmatch(written):
        return "is a leap second, for which there is no room: write the second before or after it"
    if _ELSEWHERE.fullmatch(written):
        return "is a time of another zone than UTC: convert it, and write it with Z or nothing at its end"
    scaled = _SCALED.fullmatch(written)
    if scaled:
        return f"is a time in {scaled[8]}, not in UTC: convert it"
    if _TIME.fullmatch(written):
        return "is not in the calendar: look at day, month and hour"
    return "is not a time in UTC like 2025-03-01T12:00:00.5Z"
