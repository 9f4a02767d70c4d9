"""Which columns of an uploaded table are positions and times: by UCD, or by names that catalogues give them."""

from __future__ import annotations

from collections.abc import Sequence

from km3vo.column import Column

# Names that catalogues give to ICRS positions in degrees, in the order in which they are looked for.
_PAIRS = (
    ("ra", "dec"),
    ("ra", "decl"),
    ("ra_icrs", "de_icrs"),
    ("raj2000", "dej2000"),
    ("_raj2000", "_dej2000"),
    ("s_ra", "s_dec"),
    ("ra_deg", "dec_deg"),
)
_TIMES = ("time.epoch", "time.start", "time.end")
_TIME_NAMES = ("mjd", "mjd_obs", "mjd-obs", "obs_mjd", "time_mjd", "mjd_utc")


def position_columns(columns: Sequence[Column]) -> tuple[int, int] | None:
    """Places of right ascension and declination in degrees: by UCD, the main ones first, or by name."""
    numbers = [
        place
        for place, column in enumerate(columns)
        if column.datatype in ("float", "double") and not column.arraysize and column.unit in (None, "deg", "degree")
    ]
    for suffix in (";meta.main", ""):
        found = [
            [place for place in numbers if (columns[place].ucd or "").lower() == ucd + suffix]
            for ucd in ("pos.eq.ra", "pos.eq.dec")
        ]
        if all(found):
            return found[0][0], found[1][0]
    named = {columns[place].name.lower(): place for place in numbers}
    for ra, dec in _PAIRS:
        if ra in named and dec in named:
            return named[ra], named[dec]
    return None


def is_time(column: Column) -> bool:
    """Whether a column holds moments: timestamps, or days as MJD."""
    if column.is_string:
        return column.xtype == "timestamp"
    if column.arraysize or column.datatype not in ("float", "double") or column.unit not in (None, "d", "day"):
        return False
    ucd = (column.ucd or "").lower()
    return (ucd.partition(";")[0] in _TIMES and column.unit is not None) or column.name.lower() in _TIME_NAMES
