"""Names of alerts: KM3-YYMMDD and letters, A to Z, AA to ZZ, anew each day of observation (UTC).

The letters count public alerts and nothing else, so a name is given when an alert is published, not when it is held
back. Tests count by themselves, as TEST-KM3-…
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from string import ascii_uppercase

from km3vo.errors import ConflictError

_LETTERS: tuple[str, ...] = (*ascii_uppercase, *(one + two for one in ascii_uppercase for two in ascii_uppercase))


def stem(moment: datetime, *, test: bool) -> str:
    """How all names of a day begin."""
    return f"{'TEST-' if test else ''}KM3-{moment:%y%m%d}"


def next_name(start: str, taken: Iterable[str]) -> str:
    """The next free name.

    Args:
        start: how it begins (``stem``).
        taken: names that begin so already.

    Raises:
        ConflictError: all 702 names of the day are taken.
    """
    used: list[int] = [_LETTERS.index(name.removeprefix(start)) for name in taken]
    number = max(used, default=-1) + 1
    if number >= len(_LETTERS):
        raise ConflictError(f"there are {len(_LETTERS)} alerts of this day already: no letters are left")
    return start + _LETTERS[number]
