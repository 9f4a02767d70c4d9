"""Units as files write them, and what to multiply values with to have them in another one."""

from __future__ import annotations

import math
import warnings
from typing import Any

from km3vo.readers.mistakes import shown

# Words for numbers of things, which have no unit.
_COUNTS = {"count", "counts", "ct", "cts", "photon", "photons", "electron", "electrons", "hit", "hits", "event",
           "events", "chan", "channel", "dimensionless"}  # fmt: skip
# Units spelled out, in any case.
_WORDS = {"degree": "deg", "degrees": "deg", "deg": "deg", "radian": "rad", "radians": "rad", "day": "d", "days": "d",
          "second": "s", "seconds": "s", "sec": "s", "minutes": "min", "hours": "h", "years": "yr"}  # fmt: skip
_STYLES = ("vounit", "fits", "cds", "generic")


class UnitMismatch(ValueError):
    """Values cannot be turned from one unit into another; the text says why."""


def factor(unit: str | None, wanted: str | None) -> float | None:
    """What to multiply values in ``found`` with to have them in ``wanted``; None for nothing.

    A file that names no unit means the one that is wanted.

    Raises:
        UnitMismatch: the units have nothing in common, or one of them is unknown.
    """
    if unit is None or not unit.strip() or unit == wanted:
        return None
    if wanted is None and unit.strip().lower() in _COUNTS:
        return None
    from astropy import units

    have = parse(unit)
    if have is None:
        raise UnitMismatch(f"its unit is {shown(unit)}, which is unknown")
    want = units.dimensionless_unscaled if wanted is None else parse(wanted)
    try:
        # Magnitudes and logarithms are not multiplied, and temperatures not counted from the same zero.
        if not isinstance(have, units.UnitBase) or not isinstance(want, units.UnitBase):
            raise ValueError
        value = float(have.to(want))
    except (ValueError, TypeError):
        raise UnitMismatch(
            f"its unit is {shown(unit)}, which cannot be turned into {wanted or 'a plain number'}"
        ) from None
    # 15 degrees in an hour of angle, and not 14.999999999999998.
    round_ = float(f"{value:.15g}")
    value = round_ if abs(round_ - value) <= 2 * math.ulp(value) else value
    return None if value == 1 else value


def parse(text: str) -> Any:
    """A unit as astropy has it, by the first standard that knows it; None when none does."""
    from astropy.units import Unit

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for style in _STYLES:
            try:
                return Unit(_WORDS.get(text.strip().lower(), text), format=style)
            except (ValueError, TypeError):
                continue
    return None
