"""What the times and positions of a FITS table refer to (FITS 4.0 §8.3 and §9)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa

from km3vo import times
from km3vo.errors import ReadError
from km3vo.readers import units
from km3vo.readers.clocks import MJD, PAIR, SCALES, Clock, clock_of
from km3vo.readers.fits.headers import Hdu
from km3vo.readers.frames import Frame, frame_of, of_equinox
from km3vo.readers.mistakes import shown
from km3vo.readers.opened import FileColumn

_Origin = tuple[float, float]
# FITS 4.0 table 30: scales that are known, besides those that can be turned into UTC.
_KNOWN = {*SCALES, "UT1", "UT", "LOCAL"}


def described(hdu: Hdu, number: int, column: FileColumn) -> FileColumn:
    """A column with its clock, if it is one of times by its keywords, or by the name TIME (FITS 4.0 §9.2)."""
    kind = hdu.text(f"TCTYP{number}").upper().partition("(")[0]
    origin = _origin(hdu)
    if kind not in _KNOWN and kind != "TIME" and not (column.name.upper() == "TIME" and origin is not None):
        return column
    scale = hdu.text(f"TCTYP{number}") if kind in _KNOWN else hdu.text("TIMESYS") or "UTC"
    place = hdu.text(f"TRPOS{number}") or hdu.text("TREFPOS")
    if column.column.is_string:
        return replace(column, clock=clock_of(scale, place))
    if hdu.number_of(f"TCRVL{number}") or hdu.number_of(f"TCDLT{number}") not in (None, 1):
        return replace(column, clock=Clock(trouble=f"its times are computed from TCRVL{number} and TCDLT{number}"))
    unit = hdu.text(f"TCUNI{number}") or column.column.unit or hdu.text("TIMEUNIT") or "s"
    try:
        days = units.factor(unit, "d") or 1.0
    except units.UnitMismatch as wrong:
        return replace(column, clock=Clock(trouble=str(wrong)))
    first, second = origin or (MJD, 0.0)
    clock = clock_of(scale, place, (first, second + _offset(hdu)), days)
    if column.type == pa.list_(pa.float64()) and column.column.arraysize == "2":
        # Two parts of a Julian date in days, as astropy writes them.
        return FileColumn(replace(column.column, arraysize=None, unit="d"), PAIR, clock=clock)
    return replace(column, clock=clock)


def located(hdu: Hdu, number: int, column: FileColumn) -> FileColumn:
    """A column with its frame, if its own keywords name one (FITS 4.0 §8.2 and table 22)."""
    known = _AXES.get(hdu.text(f"TCTYP{number}").upper().partition("-")[0])
    if known is not None and column.column.unit is None and (unit := hdu.text(f"TCUNI{number}")):
        column = replace(column, column=replace(column.column, unit=unit))
    if known is not None and (hdu.number_of(f"TCRVL{number}") or hdu.number_of(f"TCDLT{number}") not in (None, 1)):
        return replace(column, frame=Frame("pixels", trouble="its positions are computed from pixels (TCRVL, TCDLT)"))
    if known:
        return replace(column, frame=frame_of(known))
    system = hdu.text(f"RADE{number}")
    if system or f"EQUI{number}" in hdu.header:
        return replace(column, frame=_equatorial(hdu, system or hdu.text("RADESYS"), f"EQUI{number}"))
    return column


# Axes by the first letters of their name, and the frame of those that are not equatorial (FITS 4.0 table 23).
_AXES = {"RA": "", "DEC": "", "GLON": "GALACTIC", "GLAT": "GALACTIC", "ELON": "ECLIPTIC", "ELAT": "ECLIPTIC"}
_AXES |= {"SLON": "SUPERGALACTIC", "SLAT": "SUPERGALACTIC", "HLON": "HELIOECLIPTIC", "HLAT": "HELIOECLIPTIC"}


def clock(hdu: Hdu) -> Clock:
    """What holds for columns of times without keywords of their own."""
    first, second = _origin(hdu) or (MJD, 0.0)
    origin = first, second + _offset(hdu)
    return clock_of(
        hdu.text("TIMESYS") or "UTC", hdu.text("TREFPOS"), origin if sum(origin) not in (0.0, MJD) else None
    )


def frame(hdu: Hdu) -> Frame:
    """What positions refer to: ICRS unless the header says something else."""
    key = "EQUINOX" if "EQUINOX" in hdu.header else "EPOCH"
    return _equatorial(hdu, hdu.text("RADESYS") or hdu.text("RADECSYS"), key)


def _equatorial(hdu: Hdu, system: str, key: str) -> Frame:
    value = hdu.header.get(key)
    equinox = None if value is None else str(value).strip()
    if not system:
        return Frame("icrs") if equinox is None else of_equinox(equinox)
    return frame_of(system, equinox)


def of_metadata(meta: dict[str, Any]) -> tuple[Clock | None, Frame | None]:
    """What a table's metadata say in the keywords of FITS, as astropy hands them on to other formats.

    Args:
        meta: keyword → value; numbers may be texts.
    """
    header = {str(key).upper(): _value(value) for key, value in meta.items() if isinstance(value, str | int | float)}
    if not header.keys() & _KEYWORDS:
        return None, None
    try:
        hdu = Hdu(0, header, 0, 0)
        return clock(hdu), frame(hdu)
    except ReadError as error:
        return Clock(trouble=str(error)), Frame("icrs", trouble=str(error))


_FRAMES = {"RADESYS", "RADECSYS", "EQUINOX"}
_CLOCKS = {"TIMESYS", "MJDREF", "MJDREFI", "MJDREFF", "JDREF", "JDREFI", "JDREFF", "DATEREF"}
_CLOCKS |= {"TREFPOS", "TIMEUNIT", "TIMEOFFS", "TIMEZERO", "TIMEZERI", "TIMEZERF"}
_KEYWORDS = _FRAMES | _CLOCKS


def inherit(hdu: Hdu, primary: Hdu) -> None:
    """Take what the primary header says, where a table's header says that this holds for it (FITS 4.0 appendix K)."""
    if hdu.header.get("INHERIT") is True:
        for keyword in _KEYWORDS & set(primary.header) - set(hdu.header):
            hdu.header[keyword] = primary.header[keyword]


def unsaid(hdu: Hdu, primary: Hdu) -> tuple[str, str]:
    """Why times and positions cannot be read, or "": the primary header speaks of other systems than ours, that of the
    table of none, and nothing says whether it inherits them, which is left to readers (FITS 4.0 appendix K)."""
    if "INHERIT" in hdu.header or hdu.number == 0 or primary.whole("NAXIS"):
        return "", ""
    times_, positions = clock(primary), frame(primary)
    return (
        ""
        if times_.is_ours and times_.origin is None
        else _unsaid(hdu, _CLOCKS, times_.trouble or f"times in {times_}"),
        "" if positions.is_ours else _unsaid(hdu, _FRAMES, f"positions in {positions}"),
    )


def _unsaid(hdu: Hdu, keywords: set[str], what: str) -> str:
    if keywords & set(hdu.header):
        return ""
    return f"the primary header speaks of {what}, and not the table's, which does not say that it inherits (INHERIT)"


def _value(value: str | int | float) -> str | int | float:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            pass
    return value


def _offset(hdu: Hdu) -> float:
    """What is added to all times, in days: TIMEOFFS, or TIMEZERO as X-ray missions called it before FITS 4.0.

    Raises:
        ReadError: its unit is no time.
    """
    offset = hdu.number_of("TIMEOFFS")
    if offset is None:
        offset = sum(hdu.number_of(key) or 0.0 for key in ("TIMEZERO", "TIMEZERI", "TIMEZERF"))
    if not offset:
        return 0.0
    try:
        return offset * (units.factor(hdu.text("TIMEUNIT") or "s", "d") or 1.0)
    except units.UnitMismatch as wrong:
        raise ReadError(f"its keyword TIMEUNIT: {wrong}") from None


def _origin(hdu: Hdu) -> _Origin | None:
    """The Julian date that times count from, in two parts; None where the header does not say."""
    for name, zero in (("MJDREF", MJD), ("JDREF", 0.0)):
        whole, fraction = hdu.number_of(f"{name}I"), hdu.number_of(f"{name}F")
        if whole is not None or fraction is not None:
            return zero + (whole or 0), fraction or 0.0
        single = hdu.number_of(name)
        if single is not None:
            days = single // 1
            return zero + days, single - days
    text = hdu.text("DATEREF")
    if text:
        try:
            moment = times.microseconds(text)
        except times.NotATime as wrong:
            raise ReadError(f"its keyword DATEREF: {shown(text)} {wrong}") from None
        days, rest = divmod(moment, 86_400_000_000)
        return MJD + 40_587 + days, rest / 86_400_000_000
    return None
