"""Everything that can go wrong, as seen by whoever asked.

    Km3voError
    ├── RequestError            the request cannot be answered as it stands (400)
    │   ├── ParameterError      a parameter is missing, malformed or out of range
    │   ├── AdqlError           the query is not ADQL, or speaks of things that are not there
    │   ├── DataError           the query is right but its data are not: 1/0, SQRT(-1), a bad CAST
    │   ├── ReadError           a file of a table is damaged, or not what it says
    │   │   ├── WhichTableError     it holds several tables, and it is not clear which is meant
    │   │   └── IncompleteError     it says that rows are missing, or ends too early
    │   ├── UploadError         an uploaded table cannot be read
    │   ├── LoadError           files of events cannot be loaded as they stand
    │   └── AlertError          a standard event has mistakes (422; alerts/mistakes.py)
    ├── CredentialsError        credentials were sent and are wrong, expired or revoked (401)
    │   └── NoCredentialsError  none were sent where they are needed
    ├── ForbiddenError          who asks may not do this (403)
    ├── NotFoundError           no such job, table or page (404)
    ├── ConflictError           not possible in the present state (409)
    ├── GoneError               it was there and was taken away (410)
    ├── TooLargeError           more than the stated limit (413)
    ├── TooManyError            more at once than one may have (429)
    ├── FullError               no room for it just now (503)
    ├── TimeoutExceeded         the query took longer than it may (408)
    ├── UnavailableError        the database cannot be reached (503)
    │   ├── BusyError           all connections to it are in use
    │   ├── StoppingError       the server is about to stop
    │   └── ConnectionLostError the connection to it broke in the middle of a statement
    └── SetupError              the operator has something to mend: one line, and what to type

The text of an error is written for its reader and is safe to show: it never quotes the database. Raise a new instance
each time: one that is raised again and again keeps the frames of every time, and all that is in them.
"""

from __future__ import annotations

from dataclasses import dataclass


class Km3voError(Exception):
    """The base of all errors that km3vo raises on purpose.

    Attributes:
        status: of the answer.
        retry_after: in how many seconds the same request may succeed, or None.
    """

    status = 500
    retry_after: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer: when to come back (RFC 9110 §10.2.3), where that can be said."""
        return {"Retry-After": str(self.retry_after)} if self.retry_after is not None else {}


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
        length: how many characters from there on are meant; 0 at the end of the query.
        excerpt: the line of the query with a caret under the place, or "".
        hint: what to write instead, or "".
    """

    message: str
    line: int = 0
    column: int = 0
    excerpt: str = ""
    hint: str = ""
    length: int = 0

    def __str__(self) -> str:
        where = f" (line {self.line}, column {self.column})" if self.line else ""
        parts = [self.message + where, self.excerpt, f"Hint: {self.hint}" if self.hint else ""]
        return "\n".join(part for part in parts if part)

    __hash__ = Exception.__hash__


class DataError(RequestError):
    """The query is right, but a value met while it ran is not: a division by zero, a bad cast."""


class ReadError(RequestError):
    """A file of a table is damaged, or not what it says it is; whoever opened it knows its name."""


class WhichTableError(ReadError):
    """A file holds several tables, and it is not clear which is meant."""


class IncompleteError(ReadError):
    """A file says that rows of its table are missing, or ends too early, and nobody said that this is known."""


class UploadError(RequestError):
    """An uploaded table cannot be read or is not what it says it is."""


class LoadError(RequestError):
    """Files of events cannot be loaded as they stand; the text names file, line, column, value and rule."""


class CredentialsError(Km3voError):
    """Credentials were sent and are wrong, expired or revoked."""

    status = 401


class NoCredentialsError(CredentialsError):
    """No credentials were sent where they are needed."""


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


class GoneError(Km3voError):
    """It was there and was taken away for good."""

    status = 410


class TooLargeError(Km3voError):
    """More rows or bytes than the stated limit."""

    status = 413


class TooManyError(Km3voError):
    """More at once than one client may have."""

    status = 429
    retry_after = 60


class FullError(Km3voError):
    """There is no room for it just now."""

    status = 503
    retry_after = 60


class UnavailableError(Km3voError):
    """The database cannot be reached just now."""

    status = 503
    retry_after = 5


class BusyError(UnavailableError):
    """All connections to the database are in use."""

    def __init__(
        self, text: str = "all connections to the database are in use; try again in a moment", retry_after: int = 5
    ) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class StoppingError(UnavailableError):
    """The server is about to stop, most likely to be started again."""

    def __init__(self) -> None:
        super().__init__("the service is being restarted; try again in a moment")


class ConnectionLostError(UnavailableError):
    """The connection to the database broke in the middle of a statement."""

    def __init__(self) -> None:
        super().__init__("the connection to the database broke; try again in a moment")


class SetupError(Km3voError):
    """Something on this machine is missing or wrong; the text says what to type to mend it."""
