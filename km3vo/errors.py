"""Everything that can go wrong, as seen by whoever asked.

    Km3voError
    ├── RequestError            the request cannot be answered as it stands (400)
    │   ├── ParameterError      a parameter is missing, malformed or out of range
    │   ├── AdqlError           the query is not ADQL, or speaks of things that are not there
    │   ├── DataError           the query is right but its data are not: 1/0, SQRT(-1), a bad CAST
    │   ├── UploadError         an uploaded table cannot be read
    │   └── LoadError           files of events cannot be loaded as they stand
    ├── CredentialsError        credentials were sent and are wrong, expired or revoked (401)
    ├── ForbiddenError          who asks may not do this (403)
    ├── NotFoundError           no such job, table or page (404)
    ├── ConflictError           not possible in the present state (409)
    ├── TooLargeError           more than the stated limit (413)
    ├── TooManyError            more at once than one may have (429)
    ├── FullError               no room for it just now (503)
    ├── TimeoutExceeded         the query took longer than it may (408)
    ├── UnavailableError        the database cannot be reached (503)
    └── SetupError              the operator has something to mend: one line, and what to type

The text of an error is written for its reader and is safe to show: it never quotes the database.
"""

from __future__ import annotations

from dataclasses import dataclass


class Km3voError(Exception):
    """The base of all errors that km3vo raises on purpose."""

    status = 500


class RequestError(Km3voError):
    """The request cannot be answered as it stands."""

    status = 400


class ParameterError(RequestError):
    """A parameter is missing, malformed or out of range."""


@dataclass
class AdqlError(RequestError):
    """A query that is not ADQL, or that speaks of tables and columns that are not there.

    Attributes:
        message: what is wrong, in ADQL's words.
        line, column: where, both counted from 1; 0 when the whole query is meant.
        excerpt: the line of the query with a caret under the place, or "".
        hint: what to write instead, or "".
    """

    message: str
    line: int = 0
    column: int = 0
    excerpt: str = ""
    hint: str = ""

    def __str__(self) -> str:
        where = f" (line {self.line}, column {self.column})" if self.line else ""
        parts = [self.message + where, self.excerpt, f"Hint: {self.hint}" if self.hint else ""]
        return "\n".join(part for part in parts if part)

    __hash__ = Exception.__hash__


class DataError(RequestError):
    """The query is right, but a value met while it ran is not: a division by zero, a bad cast."""


class UploadError(RequestError):
    """An uploaded table cannot be read or is not what it says it is."""


class LoadError(RequestError):
    """Files of events cannot be loaded as they stand; the text names file, line, column, value and rule."""


class CredentialsError(Km3voError):
    """Credentials were sent and are wrong, expired or revoked."""

    status = 401


class ForbiddenError(Km3voError):
    """Whoever asks may not do this."""

    status = 403


class NotFoundError(Km3voError):
    """There is no such job, table or page."""

    status = 404


class TimeoutExceeded(Km3voError):
    """The query took longer than it may."""

    status = 408


class ConflictError(Km3voError):
    """This cannot be done in the present state."""

    status = 409


class TooLargeError(Km3voError):
    """More rows or bytes than the stated limit."""

    status = 413


class TooManyError(Km3voError):
    """More at once than one client may have."""

    status = 429


class FullError(Km3voError):
    """There is no room for it just now."""

    status = 503


class UnavailableError(Km3voError):
    """The database cannot be reached just now."""

    status = 503


class SetupError(Km3voError):
    """Something on this machine is missing or wrong; the text says what to type to mend it."""
