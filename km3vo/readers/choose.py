"""Which table of a file with several is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from km3vo.errors import ReadError, WhichTableError
from km3vo.readers.mistakes import named, shown

_LISTED = 20


@dataclass(frozen=True, slots=True)
class Candidate:
    """A table in a file.

    Attributes:
        place: where it is: number of the TABLE or HDU in the file.
        number: by which users may name it.
        names: by which users may name it.
        result: whether the file says that it is what was asked for (DALI 1.1 §4.4: RESOURCE type="results").
    """

    place: int
    number: int
    names: tuple[str, ...]
    result: bool = False

    def __str__(self) -> str:
        name = next(filter(None, self.names), "")
        return f"{self.number} ({named(name)})" if name else str(self.number)


def choose(candidates: Sequence[Candidate], wanted: str | None, what: str) -> Candidate:
    """The table that is meant.

    Args:
        candidates: the tables of the file.
        wanted: a name, or a number, or None when it should be clear.
        what: the file, as a noun: "the VOTable".

    Raises:
        ReadError: there is none, or it is not clear which.
    """
    if not candidates:
        raise ReadError(f"{what} holds no table")
    if wanted is not None:
        for same in (str.__eq__, lambda one, other: one.lower() == other.lower()):
            fitting = [each for each in candidates if any(name and same(name, wanted) for name in each.names)]
            if len(fitting) == 1:
                return fitting[0]
        fitting = [each for each in candidates if wanted.isdecimal() and each.number == int(wanted)]
        if fitting:
            return fitting[0]
        raise WhichTableError(f"{what} holds no table {shown(wanted)}, but {_list(candidates)}")
    results = [each for each in candidates if each.result]
    if len(candidates) > 1 and len(results) != 1:
        raise WhichTableError(f"{what} holds {len(candidates)} tables: {_list(candidates)}")
    return results[0] if len(results) == 1 else candidates[0]


def _list(candidates: Sequence[Candidate]) -> str:
    listed = ", ".join(map(str, candidates[:_LISTED]))
    return listed + (f" and {len(candidates) - _LISTED} more" if len(candidates) > _LISTED else "")
