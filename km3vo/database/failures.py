"""What PostgreSQL's refusals mean for whoever asked. Its own words stay here: they can quote embargoed values."""

from __future__ import annotations

import logging
import re

from km3vo.errors import (
    ConnectionLostError,
    DataError,
    ForbiddenError,
    FullError,
    Km3voError,
    TimeoutExceeded,
    TooLargeError,
    UnavailableError,
)

log = logging.getLogger(__name__)

# SQLSTATE → what the reader should know (PostgreSQL 15, appendix A).
DATA = {
    "22012": "a division by zero",
    "22003": "a number is too large for its type",
    "2201E": "LOG or LOG10 of a number that is not positive",
    "2201F": "POWER or SQRT outside its domain, such as the square root of a negative number, or a position or circle "
    "outside its own: latitudes from -90 to 90 degrees, radii from 0",
    "22023": "a function was given a value outside its domain",
    "22P02": "a text cannot be read as the type it is cast to",
    "22007": "a text cannot be read as a date and time",
    "22008": "a date is out of range",
    "22001": "a text is too long for its type",
    "21000": "a subquery gave more than one row where one was needed",
}
# pgSphere reports every impossible shape as an internal error (XX000), as PostgreSQL does with what must not happen.
GEOMETRY = (
    "a geometry is not valid: circles take radii from 0 to 90 degrees, polygons need three or more different corners "
    "whose sides do not cross"
)
_OF_PGSPHERE = re.compile(r"sphere|spoly|spath|radius must|minutes or seconds|healpix|nside|npix|\bMOC\b", re.I)
# What one query took more of than it may: trying again would not help.
TOO_LARGE = {
    "53200": "the query needs more memory than one query may have",
    "53400": "the query needs more room on disk than one query may have, for sorting, grouping or joining",
    "54000": "the query makes a value that is too large for the database",
}
# The first two characters of an SQLSTATE, its class → the error and its text.
GENERAL: dict[str, tuple[type[Km3voError], str]] = {
    "22": (DataError, "the query met a value that it cannot compute with"),
    "08": (UnavailableError, "the database cannot be reached just now; try again in a moment"),
    "53": (UnavailableError, "the database is short of resources just now; try again, or ask for less at once"),
    "54": (TooLargeError, "the query is too complex for the database; split it"),
    "57": (UnavailableError, "the database is restarting; try again in a moment"),
}


def is_cut(sqlstate: str | None) -> bool:
    """Whether the connection itself has ended, as by a restart of PostgreSQL."""
    return not sqlstate or sqlstate == "57P01"


def explain(sqlstate: str | None, words: str = "") -> Km3voError:
    """The error to show for a refusal.

    Args:
        sqlstate: of the refusal; None when the connection broke.
        words: the database's own, which are looked at and not shown.
    """
    if sqlstate == "57014":
        return TimeoutExceeded("the query took longer than it may; make it smaller, or run it as an asynchronous job")
    if sqlstate == "XX000" and _OF_PGSPHERE.search(words):
        return DataError(f"the query met a value that it cannot compute with: {GEOMETRY}")
    if sqlstate in DATA:
        return DataError(f"the query met a value that it cannot compute with: {DATA[sqlstate]}")
    if sqlstate == "42803":
        return DataError(
            "the query groups in a way that the database cannot follow: group, or compute what is grouped by, in a "
            "subquery in FROM"
        )
    if sqlstate == "42501":
        log.error("a statement was refused for want of rights: this is a mistake in km3vo, not in the query")
        return ForbiddenError("this query needs a right that is not yours")
    if not sqlstate:
        return ConnectionLostError()
    if sqlstate == "55P03":
        return UnavailableError("these data are being changed just now; try again in a moment")
    if sqlstate in TOO_LARGE:
        return TooLargeError(f"{TOO_LARGE[sqlstate]}: ask for fewer rows or columns, or in several queries")
    if sqlstate == "53100":
        log.error("the disk of the database is full")
        return FullError("the disk of the database is full just now, and small queries go on; try again in an hour")
    if sqlstate[:2] in GENERAL:
        kind, text = GENERAL[sqlstate[:2]]
        return kind(text)
    log.error("unexpected SQLSTATE %s", sqlstate)
    return Km3voError("the service could not run this query; please report it to the contact of this service")
