"""The parameters of a request, and what they say (DALI 1.1 §3)."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from urllib.parse import unquote_to_bytes

from starlette.datastructures import UploadFile
from starlette.requests import Request

from km3vo.errors import ParameterError
from km3vo.protocols.http.record import Asked
from km3vo.protocols.http.scope import ASKED_KEY
from km3vo.results import formats
from km3vo.results.formats import Format

MOST = 1000  # parameters of a request
PIECE_BYTES = 2**16  # that are decoded at once


class Parameters:
    """The parameters of a request: names in any case, values as sent (DALI 1.1 §3).

    Attributes:
        values: upper-case name → the values given, in order.
        files: the parts of a multipart request that are files, by their exact names.
        read: the upper-case names that somebody has asked for.
        tables: the upper-case names of those that were asked for as uploaded tables.
    """

    def __init__(self, pairs: list[tuple[str, str]], files: Mapping[str, UploadFile] | None = None) -> None:
        self.values: dict[str, list[str]] = {}
        for name, value in pairs:
            self.values.setdefault(name.upper(), []).append(value)
        self.files = dict(files or {})
        self.read: set[str] = set()
        self.tables: set[str] = set()

    def all(self, name: str) -> list[str]:
        """Every value given for a parameter, whatever the case of its name."""
        self.read.add(name.upper())
        return self.values.get(name.upper(), [])

    def table(self, name: str) -> str | None:
        """The uploaded table that came in an ordinary field of this name, as some clients send them."""
        self.tables.add(name.upper())
        texts = self.values.get(name.upper())
        return texts[0] if texts else None

    def others(self, but: Collection[str]) -> list[tuple[str, str]]:
        """Every parameter ``but`` those of these upper-case names, as (NAME, value)."""
        self.read |= self.values.keys() - but
        return [(name, value) for name, values in self.values.items() if name not in but for value in values]

    def one(self, name: str, default: str = "") -> str:
        """The value of a parameter that may be given once.

        Raises:
            ParameterError: it was given with different values.
        """
        values = self.all(name)
        if not values:
            return default
        if len(values) > 1:
            raise ParameterError(f"{name} is given {len(values)} times; give it once")
        return values[0]

    def number(self, name: str, low: float, high: float) -> float:
        """A mandatory number between ``low`` and ``high``.

        Raises:
            ParameterError: missing, not a number, or out of range.
        """
        text = self.one(name).strip()
        if not text:
            raise ParameterError(f"{name} is missing: give a number from {low:g} to {high:g} in decimal degrees")
        try:
            value = float(text)
        except ValueError:
            raise ParameterError(f"{name}={text[:40]} is not a number in decimal degrees") from None
        if not low <= value <= high:
            raise ParameterError(f"{name}={text[:40]} is outside {low:g} to {high:g} degrees")
        return value

    def number_or(self, name: str, default: float, low: float, high: float) -> float:
        """A number between ``low`` and ``high`` that may be left out.

        Raises:
            ParameterError: not a number, or out of range.
        """
        text = self.one(name).strip()
        try:
            value = float(text) if text else default
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise ParameterError(f"{name}={text[:40]}: write a number from {low:g} to {high:g}")
        return value

    def maxrec(self, default: int, most: int) -> int:
        """MAXREC, no larger than the service's own limit (DALI 1.1 §3.4.4).

        Raises:
            ParameterError: not a whole number, or negative.
        """
        text = self.one("MAXREC").strip()
        if not text:
            return default
        if not (text.isascii() and text.isdigit()):
            raise ParameterError(f"MAXREC={text[:40]} is not a number of rows: give a whole number, 0 or more")
        return min(int(text[:18]), most)

    def format(self, default: Format) -> Format:
        """The format asked for by RESPONSEFORMAT or, as in TAP 1.0, FORMAT.

        Raises:
            ParameterError: there is no such format.
        """
        asked = self.one("RESPONSEFORMAT") or self.one("FORMAT")
        return formats.find(asked) if asked.strip() else default


def query_pairs(request: Request) -> list[tuple[str, str]]:
    """Names and values in the address of a request, in order.

    Raises:
        ParameterError: they are not UTF-8, or too many.
    """
    return pairs_in(request.scope["query_string"])


def pairs_in(text: bytes) -> list[tuple[str, str]]:
    """Names and values of a form as browsers encode it (application/x-www-form-urlencoded), in order.

    Raises:
        ParameterError: they are not UTF-8, or too many.
    """
    # Reading millions of them takes ten seconds, in which nobody is answered.
    if text.count(b"&") >= MOST:
        raise ParameterError(f"a request may have {MOST} parameters; this one has more")
    try:
        fields = (field.partition(b"=") for field in text.split(b"&") if field)
        return [(_decoded(name), _decoded(value)) for name, _, value in fields]
    except UnicodeDecodeError:
        raise ParameterError(
            "the parameters hold bytes or percent escapes that are not UTF-8: encode them as UTF-8"
        ) from None


def _decoded(written: bytes) -> str:
    """A name or a value without its escapes.

    Piece by piece: the library makes an object of each escape, and of 16 MB of them 1.4 GB.
    """
    if b"%" not in written:
        return written.replace(b"+", b" ").decode()
    pieces, start = [], 0
    while start < len(written):
        end = start + PIECE_BYTES
        if (escape := written.rfind(b"%", end - 2, end)) >= 0:
            end = escape  # which is not cut in two
        pieces.append(unquote_to_bytes(written[start:end].replace(b"+", b" ")))
        start = end
    return b"".join(pieces).decode()


def query_parameters(request: Request) -> Parameters:
    """The parameters in the address of a request."""
    pairs = query_pairs(request)
    parameters = Parameters(pairs)
    request.scope[ASKED_KEY] = Asked(pairs, parameters.read, parameters.tables)
    return parameters
