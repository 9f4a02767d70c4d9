"""What the words of a description may be: units, UCDs, xtypes, names.

Each check returns the value or raises ValueError. The messages end up in front of whoever wrote the description, so
they say what to write instead. astropy knows the units and the UCD vocabulary; it is imported when the first of them
is checked, since that takes a second.
"""

from __future__ import annotations

import re
import warnings
from functools import cache

from km3vo.adql.words import RESERVED
from km3vo.catalog.model import Range

_NAME = re.compile(r"[a-z][a-z0-9_]*")
# PostgreSQL cuts longer names off without a word.
_NAME_LENGTH = 63
# The partitions of an embargoed table s.t are called s.t_public and s.t_embargo.
_TABLE_NAME_LENGTH = _NAME_LENGTH - len("_embargo")
_ARRAYSIZE = re.compile(r"([1-9][0-9]*|[1-9][0-9]*\*|\*)")
_INTERVAL = re.compile(r"([\[(])\s*([^,\s]*)\s*,\s*([^,\s]*)\s*([\])])")
_DURATION = re.compile(r"P(?=.)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+S)?)?")


def name(text: str) -> str:
    """A name that users can write in ADQL without quotes, whatever its case (ADQL 2.1 §2.1.3)."""
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text!r} is not a name: begin with a small letter, go on with small letters, digits and _")
    if len(text) > _NAME_LENGTH:
        raise ValueError(f"{text!r} is too long: at most {_NAME_LENGTH} characters")
    return text


def table_name(text: str) -> str:
    """A name for a table, short enough that its two partitions have names too."""
    if len(text) > _TABLE_NAME_LENGTH:
        raise ValueError(f"{text!r} is too long: at most {_TABLE_NAME_LENGTH} characters")
    return unreserved(name(text))


def unreserved(text: str) -> str:
    """A name that ADQL does not read as a word of its own (``size``, ``time``, ``level``, ``value`` …)."""
    if text.upper() in RESERVED["2.1"]:
        raise ValueError(f"{text!r} is a reserved word of ADQL, so users would have to quote it: choose another name")
    return text


def plain(text: str) -> str:
    """Text that VOTables can carry as ``char``: ASCII, on one line, without control characters."""
    line = " ".join(text.split())
    if not line:
        raise ValueError("is empty: say in a few words what it is, or leave the key out")
    for character in line:
        if not " " <= character <= "~":
            raise ValueError(
                f"{character!r} is not ASCII, which is all that VOTable readers agree on: write it otherwise"
            )
    return line


@cache
def unit(text: str) -> str:
    """A unit as VOUnits 1.1 writes it: ``deg``, ``GeV``, ``m.s-1``."""
    from astropy.units import Unit

    if not text:
        raise ValueError("is empty: leave the key out when there is no unit")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # deprecated spellings
        try:
            Unit(text, format="vounit")
        except (ValueError, TypeError, Warning):
            raise ValueError(
                f"{text!r} is not a unit of VOUnits 1.1: write e.g. deg, d, GeV, m.s-1; no unit for numbers without one"
            ) from None
    return text


@cache
def ucd(text: str) -> str:
    """A UCD1+ whose words are in the list and in their places (UCD1+ 1.5)."""
    from astropy.io.votable.ucd import parse_ucd

    try:
        parse_ucd(text, check_controlled_vocabulary=True, has_colon=False)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a UCD1+: {error}; see https://www.ivoa.net/documents/UCD1+/") from None
    return text


def arraysize(text: str) -> str:
    """The length of an array or string: ``*``, ``n*`` or ``n`` (VOTable 1.5 §2.2)."""
    if not _ARRAYSIZE.fullmatch(text):
        raise ValueError(f'{text!r} is not an arraysize: write "*", "8*" or "8" (arrays have one dimension here)')
    return text


def latency(text: str) -> str:
    """When rows become public: ``immediate``, ``never``, or an ISO 8601 duration."""
    if text not in ("immediate", "never") and not _DURATION.fullmatch(text):
        raise ValueError(
            f"{text!r} is not a latency: write immediate, never, or a duration like P2Y, P18M, P30D, PT12H"
        )
    return text


def interval(text: str) -> Range:
    """A range of numbers, written as in mathematics: ``[0,360)``, ``(0,]``."""
    match = _INTERVAL.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a range: write [0,360) to leave 360 out, [0,] for 0 and all above")
    opening, low, high, closing = match.groups()
    try:
        minimum, maximum = (float(end) if end else None for end in (low, high))
    except ValueError:
        raise ValueError(f"{text!r} is not a range: its ends must be numbers") from None
    if minimum is not None and maximum is not None and minimum > maximum:
        raise ValueError(f"{text!r} is an empty range: the smaller number comes first")
    return Range(minimum=minimum, maximum=maximum, above=opening == "(", below=closing == ")")
