"""What the times of a file count from and in which scale, and how they become UTC.

Scales and places are named as in VOTable 1.4 §3.2 (TIMESYS), FITS 4.0 §9.2 and astropy. Times are computed in two
doubles, as ERFA does: a Julian date in one has steps of 40 µs.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from km3vo.column import Column
from km3vo.readers import units
from km3vo.readers.arrays import absent
from km3vo.readers.mistakes import Place, shown
from km3vo.results import views

MJD = 2_400_000.5  # the Julian date that MJD counts from (JD-origin and MJD-origin of VOTable)
# A Julian date in two parts, whose sum it is: jd1, jd2.
PAIR = pa.struct([("jd1", pa.float64()), ("jd2", pa.float64())])

_Floats = npt.NDArray[np.float64]
_UNIX_EPOCH = 40_587  # MJD of 1970-01-01
_DAY = 86_400_000_000  # microseconds
_EARLIEST, _LATEST = 1_721_426, 5_373_484  # Julian dates of the years 1 to 9999
_GPS_BEHIND_TAI = 19 / 86_400  # days

# Scales that can be turned into UTC, as astropy calls them. (UT1 follows the turning of the Earth: it takes tables
# that are published afterwards.)
SCALES = {
    "UTC": "utc",
    "GMT": "utc",
    "TAI": "tai",
    "IAT": "tai",
    "TT": "tt",
    "TDT": "tt",
    "ET": "tt",
    "TDB": "tdb",
    "TCG": "tcg",
    "TCB": "tcb",
    "GPS": "gps",
}
# Where times are taken: elsewhere than on the Earth light arrives up to eight minutes earlier or later.
_HERE = {"", "TOPOCENTER", "TOPOCENT", "UNKNOWN", "LOCAL", "GEOCENTER", "GEOCENTE", "GEOCENTRIC"}


@dataclass(frozen=True, slots=True)
class Clock:
    """What times count from, and in which scale.

    Attributes:
        scale: as astropy calls it, or "gps".
        origin: Julian date that numbers count from, in two parts; None where the times themselves say it: texts and
            Julian dates in two parts.
        days: length in days of what numbers count.
        trouble: why such times cannot be turned into UTC, or "".
    """

    scale: str = "utc"
    origin: tuple[float, float] | None = None
    days: float = 1.0
    trouble: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether times are what km3vo publishes: days of UTC as MJD, or UTC as text."""
        return (
            not self.trouble
            and self.scale == "utc"
            and (self.origin is None or (sum(self.origin) == MJD and self.days == 1.0))
        )

    def __str__(self) -> str:
        words = self.scale.upper()
        if self.origin is None or (self.days == 1.0 and sum(self.origin) in (0.0, MJD)):
            return f"{words} as Julian dates" if self.origin is not None and sum(self.origin) == 0 else words
        unit = {1.0: "days", 365.25: "Julian years", 1 / 86400: "seconds"}.get(self.days, f"{self.days:.10g} days")
        first, second = self.origin
        return f"{words} in {unit} from MJD {first - MJD + second:.10g}"


UTC = Clock()
UTC_MJD = Clock("utc", (MJD, 0.0))


def clock_of(scale: str, place: str, origin: tuple[float, float] | None = None, days: float = 1.0) -> Clock:
    """A clock by the names that a file gives.

    Args:
        scale: as VOTable or FITS names it.
        place: where times are taken, as they name it; "" where they do not say.
        origin, days: as a clock has them.
    """
    known = SCALES.get(scale.strip().upper().partition("(")[0].strip(), "")
    trouble = ""
    if not known:
        trouble = f"its times are in the scale {shown(scale)}, which cannot be turned into UTC: write UTC, TAI or TT"
    elif place.strip().upper() not in _HERE:
        trouble = f"its times refer to {shown(place)}: only those that refer to the place of the detector can be used"
    return Clock(known or "utc", origin, days, trouble)


def timesys(system: Mapping[str, str], column: Column | None = None) -> Clock:
    """A TIMESYS (VOTable 1.4 §3.2) as it holds for a column; without one, for texts."""
    scale, place = system.get("timescale", ""), system.get("refposition", "")
    if column is None or column.is_string:
        return clock_of(scale, place)
    origin = system.get("timeorigin", "").strip()
    parts = _ORIGINS.get(origin.lower()) or julian_date(origin)
    if parts is None:
        from_ = f"from {shown(origin)}, which is no Julian date" if origin else "from a time that is not stated"
        return Clock(trouble=f"its times count {from_} (timeorigin of TIMESYS)")
    try:
        days = units.factor(column.unit, "d") or 1.0
    except units.UnitMismatch as wrong:
        return Clock(trouble=str(wrong))
    return clock_of(scale, place, parts, days)


_ORIGINS = {"mjd-origin": (MJD, 0.0), "jd-origin": (0.0, 0.0)}


def julian_date(text: str) -> tuple[float, float] | None:
    """A Julian date with all its digits, in two parts; None when it is none."""
    try:
        exact = Decimal(text)
        whole = exact.to_integral_value("ROUND_FLOOR")
        return float(whole), float(exact - whole)
    except (ArithmeticError, ValueError):
        return None


def to_mjd(cells: pa.Array, clock: Clock, place: Place) -> pa.Array:
    """Times as MJD in UTC: doubles; those so far away that no scale can be turned into another are told and left empty.

    Args:
        cells: numbers of any type, ``PAIR``, or timestamps in the clock's scale.
        place: where they are.
    """
    jd1, jd2, missing = _julian(cells, clock)
    if clock.scale != "utc":
        far = ~missing & ~((jd1 + jd2 >= _EARLIEST) & (jd1 + jd2 < _LATEST))
        for index in np.flatnonzero(far).tolist():
            place.tell(index, _value(cells, index), f"is a time too far away to be turned from {clock} into UTC")
        missing = missing | far
        jd1, jd2 = np.where(missing, MJD, jd1), np.where(missing, 0.0, jd2)
    jd1, jd2 = _utc(jd1, jd2, clock.scale)
    # Both parts are kept apart until here, so the result is exact to half of its last digit.
    whole = np.floor(jd1)
    found = (whole - 2_400_001) + ((jd1 - whole) + 0.5 + jd2)
    return pa.array(found, pa.float64(), mask=missing | np.isnan(found))


def to_timestamps(cells: pa.Array, clock: Clock, place: Place) -> pa.Array:
    """Times as timestamps in UTC to the microsecond; those in a leap second are told and left empty.

    Args:
        cells: as for ``to_mjd``.
    """
    import erfa

    jd1, jd2, missing = _julian(cells, clock)
    far = ~missing & ~((jd1 + jd2 >= _EARLIEST) & (jd1 + jd2 < _LATEST))
    for index in np.flatnonzero(far).tolist():
        place.tell(index, _value(cells, index), "is a time outside of the years 1 to 9999")
    missing = missing | far
    jd1, jd2 = _utc(np.where(missing, MJD, jd1), np.where(missing, 0.0, jd2), clock.scale)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of years for which UTC is not yet, or no longer, defined
        year, month, day, clockwork = erfa.d2dtf("UTC", 6, np.where(missing, MJD, jd1), np.where(missing, 0.0, jd2))
        _, mjd = erfa.cal2jd(year, month, day)
    days = mjd.astype(np.int64) - _UNIX_EPOCH
    hours, minutes, seconds, fraction = (clockwork[part].astype(np.int64) for part in ("h", "m", "s", "f"))
    leap = ~missing & (seconds >= 60)
    for index in np.flatnonzero(leap).tolist():
        place.tell(index, _value(cells, index), "is in a leap second, for which there is no room")
    found = days * _DAY + (hours * 3600 + minutes * 60 + seconds) * 1_000_000 + fraction
    return pa.array(found, pa.int64(), mask=missing | leap).cast(pa.timestamp("us"))


def _value(cells: pa.Array, index: int) -> Any:
    value = cells[index].as_py()
    return value["jd1"] + value["jd2"] if isinstance(value, dict) else value


def _julian(cells: pa.Array, clock: Clock) -> tuple[_Floats, _Floats, npt.NDArray[np.bool_]]:
    """Times as Julian dates in two parts in the clock's scale."""
    missing = absent(cells)
    if pa.types.is_struct(cells.type):
        jd1, jd2 = (cells.field(name).fill_null(np.nan).to_numpy(zero_copy_only=False) for name in ("jd1", "jd2"))
        first, second = clock.origin or (0.0, 0.0)
        return first + jd1, second + jd2, missing | np.isnan(jd1) | np.isnan(jd2)
    if pa.types.is_timestamp(cells.type):
        moments = views.values(cells.cast(pa.timestamp("us")))
        return MJD + _UNIX_EPOCH + moments // _DAY, (moments % _DAY) / _DAY, missing
    numbers = cells.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    first, second = clock.origin or (MJD, 0.0)
    # Whole days go to the first part, so that none of the digits after them is lost.
    if clock.days < 1:
        whole, rest = np.divmod(numbers, round(1 / clock.days))
        rest = rest * clock.days
    else:
        days = numbers * clock.days
        whole = np.floor(days)
        rest = days - whole
    return first + whole, second + rest, missing | np.isnan(numbers)


def _utc(jd1: _Floats, jd2: _Floats, scale: str) -> tuple[_Floats, _Floats]:
    if scale == "utc" or not len(jd1):
        return jd1, jd2
    from astropy.time import Time

    if scale == "gps":
        jd2, scale = jd2 + _GPS_BEHIND_TAI, "tai"
    valid = np.isfinite(jd1) & np.isfinite(jd2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        times = Time(np.where(valid, jd1, MJD), np.where(valid, jd2, 0.0), format="jd", scale=scale).utc
    return np.where(valid, times.jd1, np.nan), np.where(valid, times.jd2, np.nan)
