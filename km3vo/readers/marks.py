"""What a file says about its own completeness."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from km3vo.errors import IncompleteError
from km3vo.readers.mistakes import shown
from km3vo.readers.opened import Options

_LONGEST = 300
# How VizieR and others say it in an INFO called Warning: "truncated result (maxtup=50)".
_MISSING = re.compile(
    r"\btruncated\b|\boverflow|\bincomplete\b|\bnot complete\b|\b(limit|maximum)\b.*\b(reached|exceeded)", re.IGNORECASE
)


@dataclass(slots=True)
class Marks:
    """Marks of results that are not complete (DALI 1.1 §4.4.1), and of tables that end too early.

    Attributes:
        status: the value of QUERY_STATUS that is not OK, or "".
        message: what is said about it.
        rows: how many rows the file says that there are, or None.
        found: how many there are.
        warning: what a warning says of missing rows, or "".
        remarks: what was found and known.
    """

    status: str = ""
    message: str = ""
    warning: str = ""
    rows: int | None = None
    found: int | None = None
    remarks: list[str] = field(default_factory=list)
    _open: bool = False
    _told: str | None = None

    def start(self, name: str, value: str) -> None:
        """An INFO begins."""
        name = name.strip().upper()
        if name == "QUERY_STATUS" and value.strip().upper() != "OK":
            self.status, self.message, self._open = value.strip(), "", True
        elif name == "WARNING":
            self._told = value

    def error(self, message: str) -> None:
        """A cone search says that something went wrong (Simple Cone Search 1.03 §2.3), which a table may follow."""
        self.status, self.message = "ERROR", message

    def end(self, text: str) -> None:
        """An INFO ends; its text says more about it."""
        if self._open:
            self.message = " ".join(text.split()) or self.message
        if self._told is not None and _MISSING.search(told := " ".join(f"{self._told} {text}".split())):
            self.warning = told
        self._open, self._told = False, None

    def take(self, meta: Mapping[str, object]) -> None:
        """Take a header's keywords, or a table's metadata as other programs hand them on.

        Args:
            meta: keyword → value; ``QSTATUS`` is FITS' name of it, whose keywords have eight letters.
        """
        for key, value in meta.items():
            if key.strip().upper() in ("QUERY_STATUS", "QSTATUS"):
                self.start("QUERY_STATUS", str(value).strip() or "OK")
                self.end("")

    def check_rows(self, found: int) -> None:
        """The table has been read to its end."""
        self.found = found

    def check(self, options: Options) -> None:
        """Refuse what is not complete, unless that is known.

        Raises:
            IncompleteError: it is not, and nobody knew.
        """
        wrong = []
        if self.status.upper() == "OVERFLOW":
            wrong.append("the result in it was cut off at a limit (QUERY_STATUS is OVERFLOW)")
        elif self.status.upper() == "ERROR":
            told = f": {shown(self.message[:_LONGEST])}" if self.message else ""
            wrong.append(f"the query that it comes from failed{told}")
        elif self.status:
            wrong.append(f"the result in it may not be complete (QUERY_STATUS is {shown(self.status)})")
        elif self.warning:
            wrong.append(f"it warns: {shown(self.warning[:_LONGEST])}")
        if self.rows is not None and self.found is not None and self.rows != self.found:
            wrong.append(f"it should have {self.rows} rows and has {self.found}")
        for what in wrong:
            if not options.truncated:
                raise IncompleteError(f"{what}: rows may be missing")
            self.remarks.append(f"{what}: read all the same")


def checked(meta: Mapping[str, object], options: Options) -> list[str]:
    """What a table's metadata say of missing rows, as remarks.

    Raises:
        IncompleteError: they do, and nobody knew.
    """
    marks = Marks()
    marks.take(meta)
    marks.check(options)
    return marks.remarks
