"""Positions as astronomers write them: degrees, hours, Galactic, names made of coordinates. Pure and quick.

What may mean two things is refused with the ways to write it, and what is no position at all is a name, to be looked up
elsewhere. Not astropy's parser: that one reads ``J050925.96+054135.3`` as a right ascension of 5.16 degrees.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from km3vo.adql.frames import FK4, FK5, GALACTIC, ICRS, Frame, direction, vector
from km3vo.errors import ParameterError

LONGEST = 200  # characters
EXAMPLES = "write 83.63 +22.01, or 05:34:31.9 +22:00:52, or 5h34m31.9s +22d0m52s, or 184.56 -5.78 gal"


class TargetError(ParameterError):
    """A target that cannot be read; the text says what to write instead."""


@dataclass(frozen=True, slots=True)
class Target:
    """A position.

    Attributes:
        ra, dec: degrees, ICRS.
        read_as: how it was understood, such as "degrees, ICRS".
    """

    ra: float
    dec: float
    read_as: str

    def __str__(self) -> str:
        lon, lat = ICRS.to(GALACTIC).of(self.ra, self.dec)
        return f"{self.ra:.4f} {self.dec:+.4f} ICRS, {lon:.2f} {lat:+.2f} Galactic"


@dataclass(frozen=True, slots=True)
class Name:
    """What is no position: the name of an object, or of an event."""

    name: str


@dataclass(frozen=True, slots=True)
class _Angle:
    """One coordinate: its numbers, what stands after the first ("h", "d", ":", " " or ""), whether it is negative."""

    numbers: tuple[float, ...]
    mark: str
    negative: bool

    @property
    def value(self) -> float:
        """In units of the first number."""
        size = math.fsum(number / 60.0**place for place, number in enumerate(self.numbers))
        return -size if self.negative else size


# Signs that look like others: minus and dashes, plus, degrees, primes, raised letters; and signs that nobody sees.
_LOOKALIKES = {
    "-": "\u2212\u2010\u2011\u2012\u2013\u2014\ufe63\uff0d",
    "+": "\uff0b\ufe62",
    "\u00b0": "\u00ba\u02da\u1d52",
    "'": "\u2019\u2032\u02b9\u00b4\u02bc",
    '"': "\u201d\u2033\u02ba",
    "h": "\u02b0",
    "m": "\u1d50",
    "s": "\u02e2",
    "d": "\u1d48",
    " ": "\ufeff\u200b\u200e\u200f\u00a0\u2009\u202f",
}
_SIGNS = str.maketrans({found: sign for sign, looks in _LOOKALIKES.items() for found in looks})
_FRAMES: dict[str, Frame] = {
    **dict.fromkeys(("gal", "gal.", "galactic"), GALACTIC),
    "icrs": ICRS,
    **dict.fromkeys(("fk5", "j2000", "j2000.0"), FK5),
    **dict.fromkeys(("fk4", "b1950", "b1950.0"), FK4),
}
# E-terms of aberration at B1950, which positions in FK4 hold (Explanatory Supplement 1992, section 3.53).
_E_TERMS = (-1.62557e-6, -0.31919e-6, -0.13843e-6)

_N = r"(?:[0-9]{1,12}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})"
_ANGLE = re.compile(
    rf"""([+-]?)\ ?({_N})\ ?(h|deg|d|°|:|)
    (?:\ ?({_N})\ ?(min|m|'|:|)
    (?:\ ?({_N})\ ?(sec|s|"|''|))?)?""",
    re.X,
)
_LABELS = re.compile(r"(l|glon|ra|lon) ?=? ?([^a-z=]+|[^=]+?) ?[,;]? (b|glat|dec|lat) ?=? ?([^=]+)")
_PACKED = re.compile(r"([jb]) ?([0-9]{4,6}(?:\.[0-9]{1,12})?) ?([+-]) ?([0-9]{2,6}(?:\.[0-9]{1,12})?)")
_PACKED_GALACTIC = re.compile(rf"g ?({_N}) ?([+-]) ?({_N})")
_CATALOGUED = re.compile(r"[0-9][A-Z]{1,6}[ 0-9J+-]")  # 1H 0323+342, 4FGL J0509.4+0542, 3C 273
_POSITIONAL = re.compile(r"[-+0-9.,;:°'\" |hdmsegincHDMSEGINC]+")


def read(text: str) -> Target | Name:
    """What a text means.

    Raises:
        TargetError: it is empty, may mean two things, or is no place on the sky.
    """
    if len(text) > LONGEST:
        raise TargetError(f"a target has at most {LONGEST} characters")
    written = " ".join(text.translate(_SIGNS).split())
    if not written:
        raise TargetError(f"the target is empty: {EXAMPLES}, or a name")
    bare, frame = _without_frame(written)
    lower = bare.lower()
    if found := _PACKED.fullmatch(lower):
        return _packed(*found.groups())
    if found := _PACKED_GALACTIC.fullmatch(lower):
        lat = float(found[3])
        return _target(float(found[1]), -lat if found[2] == "-" else lat, GALACTIC, "degrees, Galactic")
    if found := _LABELS.fullmatch(lower):
        galactic = found[1] in ("l", "glon")
        if galactic != (found[3] in ("b", "glat")):
            raise TargetError("write l with b, and ra with dec")
        return _pair(found[2].strip(" ,;"), found[4], GALACTIC if galactic else frame or ICRS)
    if not lower[0].isascii() or not (lower[0].isdigit() or lower[0] in "+-.") or not _POSITIONAL.fullmatch(bare):
        return Name(written)
    try:
        return _pair(*_halves(lower), frame or ICRS)
    except TargetError:
        if frame is None and _CATALOGUED.match(written):
            return Name(written)
        raise


def _without_frame(text: str) -> tuple[str, Frame | None]:
    """A text without the name of a frame before or after it."""
    first, _, rest = text.partition(" ")
    if rest and (frame := _FRAMES.get(first.lower().rstrip(":,"))):
        return rest, frame
    before, _, last = text.rpartition(" ")
    if before and (frame := _FRAMES.get(last.lower().strip("(),"))):
        return before.rstrip(" ,;"), frame
    return text, None


def _halves(text: str) -> tuple[str, str]:
    """The two coordinates."""
    parts = [part.strip() for part in re.split(r"[,;|]", text) if part.strip()]
    if len(parts) == 2:
        return parts[0], parts[1]
    if len(parts) > 2:
        raise TargetError(f"a position has two coordinates with one comma between: {EXAMPLES}")
    signs = [place for place, sign in enumerate(text) if sign in "+-" and place]
    if len(signs) == 1:
        return text[: signs[0]].strip(), text[signs[0] :]
    words = text.split(" ")
    if signs or len(words) % 2:
        raise TargetError(f"it is not clear where the second coordinate begins: {EXAMPLES}")
    middle = len(words) // 2
    return " ".join(words[:middle]), " ".join(words[middle:])


def _angle(text: str) -> _Angle:
    found = _ANGLE.fullmatch(text)
    if found is None:
        raise TargetError(f"{text[:40]} is no coordinate: {EXAMPLES}")
    sign, first, mark, second, _, third, _ = found.groups()
    if second is not None and not mark and " " not in text:
        raise TargetError(f"{text[:40]} is no coordinate: {EXAMPLES}")
    given = [number for number in (first, second, third) if number is not None]
    numbers = tuple(float(number) for number in given)
    if any("." in number for number in given[:-1]):
        raise TargetError(f"in {text[:40]} only the last number can have decimals: {EXAMPLES}")
    if any(number >= 60 for number in numbers[1:]):
        raise TargetError(f"in {text[:40]} minutes and seconds are below 60: {EXAMPLES}")
    return _Angle(numbers, "d" if mark in ("deg", "°") else mark, sign == "-")


def _pair(lon_text: str, lat_text: str, frame: Frame) -> Target:
    lon, lat = _angle(lon_text), _angle(lat_text)
    if lat.mark == "h":
        raise TargetError(f"the second coordinate is in degrees, not hours: {EXAMPLES}")
    sexagesimal = len(lon.numbers) > 1 or lon.mark == "h"
    if len(lat.numbers) > 1 and not sexagesimal and lon.mark != "d":
        raise TargetError(f"is {lon_text[:40]} in hours or in degrees? Write it with h or deg, or as 05:34:31.9")
    hours = lon.mark == "h" or (len(lon.numbers) > 1 and lon.mark != "d" and frame is not GALACTIC)
    if hours and lon.mark != "h" and lon.value >= 24:
        raise TargetError(
            f"{lon_text[:40]} is beyond 24 hours: write {lon_text.split()[0].split(':')[0]}d… for degrees and minutes"
        )
    if hours and lon.value >= 24:
        raise TargetError(f"{lon_text[:40]} is beyond 24 hours")
    if hours and frame is GALACTIC:
        raise TargetError("Galactic longitude is in degrees: write 184.56 -5.78 gal")
    how = "hours and degrees" if hours else "degrees"
    return _target(lon.value * 15 if hours else lon.value, lat.value, frame, f"{how}, {_called(frame)}")


def _packed(kind: str, lon: str, sign: str, lat: str) -> Target:
    """A name made of coordinates: J053431.9+220052, J0509.4+0542, B0531+219."""
    whole, _, decimals = lon.partition(".")
    digits, _, more = lat.partition(".")
    if len(whole) == 5 or len(digits) == 5 or (len(digits) == 3 and more):
        raise TargetError(f"{kind.upper()}{lon}{sign}{lat}: write it as JHHMMSS.s+DDMMSS or as JHHMM+DDMM")
    fraction = f".{decimals}" if decimals else ""
    rest = f".{more}" if more else ""
    hours = f"{whole[:2]}:{whole[2:4]}" + (f":{whole[4:]}" if len(whole) == 6 else "") + fraction
    if len(digits) == 3:  # tenths of a degree
        degrees = f"{digits[:2]}.{digits[2]}"
    else:
        degrees = ":".join(digits[place : place + 2] for place in range(0, len(digits), 2)) + rest
    return _pair(hours, sign + degrees, FK4 if kind == "b" else ICRS)


def _target(lon: float, lat: float, frame: Frame, read_as: str) -> Target:
    if not -90 <= lat <= 90:
        raise TargetError(f"{lat:g} is not between -90 and +90 degrees: the second coordinate is the declination")
    low = -180 if frame is GALACTIC else 0
    if not low <= lon <= 360:
        raise TargetError(f"{lon:g} is not between {low} and 360 degrees: the first coordinate is the longitude")
    if frame is ICRS:
        return Target(lon % 360, lat, read_as)
    if frame is FK4:
        place = vector(lon, lat)
        along = sum(a * b for a, b in zip(place, _E_TERMS, strict=True))
        lon, lat = direction(*(a - e + along * a for a, e in zip(place, _E_TERMS, strict=True)))
    ra, dec = frame.rotation.of(lon, lat)
    return Target(ra, dec, read_as)


def _called(frame: Frame) -> str:
    return {"GALACTIC": "Galactic", "FK4": "FK4 of B1950", "FK5": "FK5 of J2000"}.get(frame.name, frame.name)
