"""A map of significance as tiles of the sky, which viewers such as Aladin zoom into (HiPS 1.0).

A map of some thousand pixels fits into twelve tiles, one for each base pixel of HEALPix: order 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from km3vo.correlation import mapfiles, picture
from km3vo.correlation.sphere import Floats, Ints

if TYPE_CHECKING:
    from km3vo.correlation.mapfiles import Facts
    from km3vo.correlation.skymap import SignificanceMap

WIDTH = 512  # pixels of a tile, the most common width
PROPERTIES, COVERED = "properties", "Moc.fits"
TILES = tuple(f"Norder0/Dir0/Npix{base}.png" for base in range(12))
# Path below the address of the HiPS → media type.
FILES = {
    PROPERTIES: "text/plain; charset=utf-8",
    COVERED: "application/fits",
    **dict.fromkeys(TILES, "image/png"),
}


def files(made: SignificanceMap, told: Facts) -> dict[str, bytes]:
    """The tiles of -log10 p, what they cover, and what they are: by path."""
    values, largest = made.log10_p, mapfiles.largest(made)
    parts = values.reshape(12, -1)
    return {
        PROPERTIES: properties(made, told).encode(),
        COVERED: mapfiles.moc(made),
        **{path: tile(part, largest) for path, part in zip(TILES, parts, strict=True)},
    }


def tile(values: Floats, largest: float) -> bytes:
    """A base pixel's values, in nested order, as a PNG; transparent where nothing is searched."""
    side = round(len(values) ** 0.5)
    row, column = places(side)
    square = np.empty((side, side))
    square[row, column] = values
    times = max(1, WIDTH // side)
    wide = square.repeat(times, axis=0).repeat(times, axis=1)
    shown = np.empty((*wide.shape, 4), dtype=np.uint8)
    shown[..., :3] = picture.colours(wide, largest)
    shown[..., 3] = np.where(np.isnan(wide), 0, 255)
    return picture.png(shown)


def places(side: int) -> tuple[Ints, Ints]:
    """Row and column of each pixel of a tile in nested order: the even bits of its number are the row, from the top,
    and the odd ones the column, from the left (HiPS 1.0 §4.2.1: the tile as it is seen from within)."""
    number = np.arange(side * side)
    row, column = np.zeros((2, side * side), dtype=np.int64)
    for bit in range(side.bit_length() - 1):
        row |= ((number >> (2 * bit)) & 1) << bit
        column |= ((number >> (2 * bit + 1)) & 1) << bit
    return row, column


def properties(made: SignificanceMap, told: Facts) -> str:
    """What the tiles are (HiPS 1.0 §4.4.1), but for what hangs on where and when they are served."""
    searched = np.isfinite(made.log10_p)
    lines = {
        "obs_title": f"Significance of {told.table}, before trials",
        "obs_description": f"-log10 p of {told.rows} events at {int(searched.sum())} directions, method "
        f"{made.recipe.method}, nside {made.recipe.nside}; not corrected for looking at so many",
        "obs_collection": told.table,
        "dataproduct_type": "image",
        "hips_version": "1.4",
        "hips_builder": "km3vo",
        "hips_frame": "equatorial",
        "hips_order": "0",
        "hips_order_min": "0",
        "hips_tile_width": str(max(WIDTH, made.recipe.nside)),
        "hips_tile_format": "png",
        "hips_pixel_cut": f"0 {mapfiles.largest(made):.3f}",
        "moc_sky_fraction": f"{searched.mean():.4f}",
        "t_min": "" if told.first is None else f"{told.first:.5f}",
        "t_max": "" if told.last is None else f"{told.last:.5f}",
    }
    return "".join(f"{name} = {value}\n" for name, value in lines.items() if value)
