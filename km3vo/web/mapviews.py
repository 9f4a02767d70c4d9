"""Maps of the sky as pictures that can be turned and zoomed: which direction a point shows, which value is there."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from km3vo.adql.frames import GALACTIC
from km3vo.correlation import picture

Floats = npt.NDArray[np.float64]

PROJECTIONS = ("hammer", "mollweide", "zoom")
FRAMES = ("equatorial", "galactic")
WIDE = 640  # of a picture on a page, CSS pixels; it is drawn with twice as many
HOTTEST = 0.01  # of what is searched, by area


class Map(NamedTuple):
    """Values of HEALPix pixels in nested order; NaN where nothing is searched.

    Attributes:
        statistic, events: of a map of significance, beside -log10 p; None for others.
    """

    values: Floats
    statistic: Floats | None = None
    events: Floats | None = None

    @property
    def nside(self) -> int:
        """Of the pixels."""
        return math.isqrt(len(self.values) // 12)

    @property
    def largest(self) -> float:
        """The value of the last colour."""
        known = self.values[np.isfinite(self.values)]
        return max(3.0, float(known.max(initial=0)))

    def pixel(self, ra: Any, dec: Any) -> Any:
        """Numbers of the pixels that hold directions in degrees."""
        from astropy_healpix import healpy

        return healpy.ang2pix(self.nside, ra, dec, nest=True, lonlat=True)


@dataclass(frozen=True, slots=True)
class View:
    """How a map is shown.

    Attributes:
        projection: Hammer's or Mollweide's of the whole sky, or a part of it in zenithal equidistant projection.
        frame: whose longitudes and latitudes are straight.
        lon, lat: middle of the part, in that frame, degrees.
        reach: of the part to either side, degrees.
    """

    projection: str = "hammer"
    frame: str = "equatorial"
    lon: float = 180.0
    lat: float = 0.0
    reach: float = 15.0

    @property
    def height(self) -> int:
        """Of the picture, when it is ``WIDE``."""
        return WIDE if self.projection == "zoom" else WIDE // 2

    def directions(self, x: Any, y: Any) -> tuple[Floats, Floats]:
        """Right ascension and declination (ICRS, degrees) of places in the picture; NaN outside the sky.

        Args:
            x, y: from 0 to 1, from the upper left.
        """
        across, up = np.asarray(x, float) * 2 - 1, 1 - np.asarray(y, float) * 2
        with np.errstate(invalid="ignore"):
            if self.projection == "zoom":
                lon, lat = self._zenithal(across, up)
            else:
                lon, lat = _mollweide(across, up) if self.projection == "mollweide" else picture.from_hammer(across, up)
                # 12h, or the Galactic centre, is in the middle; longitudes grow to the left.
                lon = (180.0 if self.frame == "equatorial" else 0.0) - lon
        return _to_icrs(lon, lat) if self.frame == "galactic" else (lon % 360, lat)

    def _zenithal(self, across: Floats, up: Floats) -> tuple[Floats, Floats]:
        far = np.radians(np.hypot(across, up) * self.reach)
        turn = np.arctan2(-across, up)  # from north over east, which is to the left
        lat0 = np.radians(self.lat)
        north = np.sin(far) * np.cos(turn)
        lat = np.arcsin(np.clip(np.cos(far) * np.sin(lat0) + north * np.cos(lat0), -1, 1))
        lon = np.arctan2(np.sin(far) * np.sin(turn), np.cos(far) * np.cos(lat0) - north * np.sin(lat0))
        return self.lon + np.degrees(lon), np.degrees(lat)


def _mollweide(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    theta = np.arcsin(np.where(x**2 + y**2 < 1, y, np.nan))
    return np.degrees(np.pi * x / np.cos(theta)), np.degrees(np.arcsin((2 * theta + np.sin(2 * theta)) / np.pi))


def _to_icrs(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    l, b = np.radians(lon), np.radians(lat)  # noqa: E741 (so they are called)
    vector = np.stack([np.cos(b) * np.cos(l), np.cos(b) * np.sin(l), np.sin(b)])
    x, y, z = np.tensordot(np.array(GALACTIC.rotation.matrix), vector, axes=1)
    return np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arctan2(z, np.hypot(x, y)))


def png(shown: Map, view: View, times: int = 2) -> bytes:
    """The picture, so many times as large as it is on a page; transparent outside the sky."""
    width, height = times * WIDE, times * view.height
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    ra, dec = view.directions(x, y)
    inside = np.isfinite(ra)
    pixels = np.zeros((height, width, 4), dtype=np.uint8)
    pixels[inside, :3] = picture.colours(shown.values[shown.pixel(ra[inside], dec[inside])], shown.largest)
    pixels[inside, 3] = 255
    return picture.png(pixels)


@lru_cache(maxsize=16)
def of_file(path: Path) -> Map:
    """The map of significance in a file of ours, which does not change."""
    from astropy.io import fits

    with fits.open(path, memmap=False) as opened:
        table = opened[1].data
        columns = [np.array(table[name], dtype=np.float64) for name in ("LOG10P", table.names[0], "NS")]
    return Map(*columns)


def hottest(shown: Map) -> bytes:
    """The hottest hundredth of what is searched, as a FITS file (MOC 2.0)."""
    from mocpy import MOC

    searched = np.flatnonzero(np.isfinite(shown.values))
    count = max(1, round(HOTTEST * len(searched)))
    chosen = searched[np.argsort(-shown.values[searched], kind="stable")[:count]].astype(np.uint64)
    order = shown.nside.bit_length() - 1
    out = io.BytesIO()
    MOC.from_healpix_cells(chosen, np.full(chosen.shape, order, np.uint8), max_depth=order).serialize("fits").writeto(
        out
    )
    return out.getvalue()
