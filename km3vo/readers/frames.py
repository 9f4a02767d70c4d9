"""Frames of coordinates, and how positions become ICRS.

Named as in VOTable 1.4 §3.1 (COOSYS, and the vocabulary refframe) and FITS 4.0 §8.3 (RADESYS, EQUINOX).
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from km3vo.readers.mistakes import shown

_Floats = npt.NDArray[np.float64]

# What files call the frames that can be turned into ICRS, and what astropy calls them.
_SYSTEMS = {
    "ICRS": "icrs",
    "FK5": "fk5",
    "EQ_FK5": "fk5",
    "FK4": "fk4",
    "EQ_FK4": "fk4",
    "FK4-NO-E": "fk4noeterms",
    "FK4NOETERMS": "fk4noeterms",
    "GALACTIC": "galactic",
    "GALACTIC_II": "galactic",
    "SUPER_GALACTIC": "supergalactic",
    "SUPERGALACTIC": "supergalactic",
    "ECLIPTIC": "ecliptic",
    "ECL_FK5": "ecliptic",
}
_EQUINOX = {"fk5": "J2000", "fk4": "B1950", "fk4noeterms": "B1950", "ecliptic": "J2000"}


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of coordinates.

    Attributes:
        system: as astropy calls it.
        equinox: as "J2000" or "B1950", for the frames that have one.
        epoch: when positions were observed, which matters for FK4, or None.
        trouble: why its positions cannot be turned into ICRS, or "".
    """

    system: str
    equinox: str | None = None
    epoch: str | None = None
    trouble: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether it is ICRS."""
        return self.system == "icrs"

    def __str__(self) -> str:
        return self.system.upper() + (f" ({self.equinox})" if self.equinox else "")


def frame_of(system: str, equinox: str | None = None, epoch: str | None = None) -> Frame:
    """A frame by the names that a file gives."""
    known = _SYSTEMS.get(system.strip().upper())
    if known is None:
        trouble = f"its positions are in the frame {shown(system)}, which cannot be turned into ICRS: write ICRS"
        return Frame(system.strip().lower(), trouble=trouble)
    if known not in _EQUINOX:
        return Frame(known)
    years = [_year(text, known) for text in (equinox, epoch)]
    if "" in years:
        which = shown(str(equinox if years[0] == "" else epoch))
        return Frame(known, trouble=f"its positions have the equinox or epoch {which}, which is no year like J2000")
    return Frame(known, years[0] or _EQUINOX[known], years[1])


def of_equinox(equinox: str) -> Frame:
    """The frame of positions of which a file says no more than this (FITS 4.0 §8.3)."""
    try:
        is_old = float(equinox.strip().lstrip("JBjb")) < 1984
    except ValueError:
        is_old = False
    return frame_of("FK4" if is_old else "FK5", equinox)


def _year(text: str | None, system: str) -> str | None:
    """An equinox or epoch as astropy reads it; "" when it is none. Without a letter FK4 has Besselian years."""
    if text is None or not text.strip():
        return None
    found = re.fullmatch(r"([JB]?)(\d{4}(?:\.\d*)?)", text.strip().upper())
    if found is None:
        return ""
    letter = found[1] or ("B" if system.startswith("fk4") else "J")
    return letter + found[2].rstrip(".")


def to_icrs(longitude: _Floats, latitude: _Floats, frame: Frame) -> tuple[_Floats, _Floats]:
    """Positions in degrees as right ascension from 0 to 360 and declination, ICRS; what is no position becomes NaN."""
    from astropy import units
    from astropy.coordinates import SkyCoord

    valid = np.isfinite(longitude) & (np.abs(latitude) <= 90) & (np.abs(longitude) <= 360)
    more: dict[str, Any] = {}
    name = frame.system
    if name == "ecliptic":
        # The mean ecliptic of FK5 and FK4 alike: what differs is the equinox.
        name = "barycentricmeanecliptic"
    if frame.equinox:
        more["equinox"] = frame.equinox
    if frame.system.startswith("fk4"):
        more["obstime"] = frame.epoch or frame.equinox
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = SkyCoord(
            np.where(valid, longitude, 0.0) * units.deg, np.where(valid, latitude, 0.0) * units.deg, frame=name, **more
        ).icrs
    ra, dec = np.asarray(found.ra.deg) % 360.0, np.asarray(found.dec.deg)
    return np.where(valid, ra, np.nan), np.where(valid, dec, np.nan)
