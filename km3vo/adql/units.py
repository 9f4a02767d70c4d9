"""Units of computed columns, and conversion between units, by astropy (VOUnits 1.1).

astropy.units takes a third of a second to import, so it waits until a query needs it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

# Of the units that queries make, few are different; the bound is against being fed rubbish.
_REMEMBERED = 4096


@lru_cache(maxsize=_REMEMBERED)
def _parsed(text: str) -> Any:
    """The unit, or None where the text is not a VOUnits string."""
    import warnings

    from astropy import units

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", units.UnitsWarning)
            unit = units.Unit(text, format="vounit", parse_strict="raise")
    except (ValueError, TypeError, AttributeError):
        return None
    # An unknown word is read as a unit of its own: it can be multiplied, but not converted.
    return unit


def _shown(unit: Any) -> str | None:
    try:
        text = unit.to_string("vounit")
    except (ValueError, TypeError, AttributeError):
        return None
    return text or None


def is_known(text: str) -> bool:
    """Whether a string is a unit that can be converted to."""
    if not text.strip():
        return False
    unit = _parsed(text)
    if unit is None:
        return False
    from astropy import units

    return not any(isinstance(base, units.UnrecognizedUnit) for base in [unit, *getattr(unit, "bases", [])])


def names_like(text: str) -> list[str]:
    """Some units that a mistyped one may have meant."""
    common = "deg arcmin arcsec mas rad s min h d a yr ms ns m km cm nm eV keV MeV GeV TeV PeV J erg Hz GHz K Jy sr pc"
    return common.split()


@lru_cache(maxsize=_REMEMBERED)
def factor(have: str, want: str) -> float | None:
    """What to multiply by to get from one unit to the other; None where that cannot be done."""
    if have == want:
        return 1.0
    if not (is_known(have) and is_known(want)):
        return None
    from astropy import units

    try:
        return float(_parsed(have).to(_parsed(want)))
    except (units.UnitConversionError, TypeError, ValueError):
        return None


@lru_cache(maxsize=_REMEMBERED)
def product(a: str | None, b: str | None) -> str | None:
    """The unit of a product. None is the unit of pure numbers, and of what is not known."""
    if a is None or b is None:
        return b if a is None else a
    one, other = _parsed(a), _parsed(b)
    return None if one is None or other is None else _shown(one * other)


@lru_cache(maxsize=_REMEMBERED)
def quotient(a: str | None, b: str | None) -> str | None:
    """The unit of a quotient."""
    if b is None or a == b:
        return None if b is not None else a
    other = _parsed(b)
    one = _parsed(a or "")  # the empty unit is that of pure numbers
    return None if one is None or other is None else _shown(one / other)


@lru_cache(maxsize=_REMEMBERED)
def power(a: str | None, exponent: float) -> str | None:
    """The unit of a power."""
    if a is None:
        return None
    unit = _parsed(a)
    if unit is None or abs(exponent) > 12:
        return None
    return _shown(unit**exponent)
