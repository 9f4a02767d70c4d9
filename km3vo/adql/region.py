"""The texts that REGION takes: STC-S in its simple forms, and DALI's (ADQL 2.1 §4.2.21)."""

from __future__ import annotations

import math

from km3vo.adql.frames import Frame, system

USAGE = "write 'POSITION ICRS 10 20', 'CIRCLE ICRS 10 20 1', 'BOX ICRS 10 20 2 2' or 'POLYGON ICRS 1 2 3 4 5 6'"

_COUNTS = {"POSITION": (2, 2), "POINT": (2, 2), "CIRCLE": (3, 3), "BOX": (4, 4), "POLYGON": (6, 10**6)}
_KINDS = {"POSITION": "POINT"}


def parse(text: str) -> tuple[str, list[float], Frame | None]:
    """Read a region: POINT, CIRCLE, BOX or POLYGON, its numbers in degrees, and its frame (None if it names none).

    Raises ValueError with a reason.
    """
    words = text.split()
    numbers: list[float] = []
    while words:
        try:
            numbers.insert(0, float(words[-1]))
        except ValueError:
            break
        words.pop()
    if not all(map(math.isfinite, numbers)):
        raise ValueError("not all the numbers of this region are finite")
    if not words:
        kind = {2: "POINT", 3: "CIRCLE"}.get(len(numbers), "POLYGON")
    else:
        kind = words[0].upper()
        kind = _KINDS.get(kind, kind)
    if kind not in _COUNTS:
        raise ValueError(f"REGION does not know {words[0][:40]}")
    least, most = _COUNTS[kind]
    if not least <= len(numbers) <= most or (kind == "POLYGON" and len(numbers) % 2):
        raise ValueError(f"{len(numbers)} numbers do not make a {kind}")
    try:
        return kind, numbers, system(" ".join(words[1:]))
    except KeyError as error:
        raise ValueError(f"REGION does not know the coordinate system {str(error.args[0])[:40]}") from None
