"""What PostgreSQL's refusals mean for whoever asked. Its own words stay here: they can quote embargoed values."""

from __future__ import annotations

import logging

from km3vo.errors import DataError, ForbiddenError, Km3voError, TimeoutExceeded, TooLargeError, UnavailableError

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
    # pgSphere reports every impossible shape as an internal error.
    "XX000": "a geometry is not valid: circles take radii from 0 to 90 degrees, polygons need three or more "
    "different corners whose sides do not cross",
}
GENERAL = {
    "22": DataError("the query met a value that it cannot compute with"),
    "08": UnavailableError("the database cannot be reached just now; try again in a moment"),
    "53": UnavailableError("the database is short of resources just now; try again, or ask for less at once"),
    "54": TooLargeError("the query is too complex for the database; split it"),
    "57": UnavailableError("the database is restarting; try again in a moment"),
}


def explain(sqlstate: str | None) -> Km3voError:
    """The error to show for a refusal with this SQLSTATE (None: the connection broke)."""
    if sqlstate == "57014":
        return TimeoutExceeded("the query took longer than it may; make it smaller, or run it as an asynchronous job")
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
        return UnavailableError("the connection to the database broke; try again in a moment")
    if sqlstate[:2] in GENERAL:
        return GENERAL[sqlstate[:2]]
    log.error("unexpected SQLSTATE %s", sqlstate)
    return Km3voError("the service could not run this query; please report it to the contact of this service")
