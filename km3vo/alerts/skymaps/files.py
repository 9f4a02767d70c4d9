"""Sky maps as files: multi-order HEALPix FITS, the 90 % region as a MOC; the same bytes whenever they are made."""

from __future__ import annotations

import gzip
import io
import warnings
from typing import Any

import numpy as np

from km3vo import times
from km3vo.alerts.revision import Revision
from km3vo.alerts.skymaps import shapes
from km3vo.alerts.skymaps.cells import DEEPEST, Cells, normalised, order
from km3vo.alerts.standard import MOST_SKYMAP_BYTES
from km3vo.errors import RequestError

_DEG2 = (180 / np.pi) ** 2
_CLOSE = 0.01  # by so much the probabilities of a map may miss 1 in total
_DEEPEST_MOC = 29


class SkymapError(RequestError):
    """A sky map cannot be read, or is none."""

    status = 422


def of(revision: Revision) -> Cells:
    """The sky map of a revision with a position, from the most that is known of it."""
    ra, dec, shape = revision.ra, revision.dec, revision.skymap
    assert ra is not None and dec is not None and revision.err50 is not None
    if shape is not None and shape.ellipse is not None:
        return shapes.ellipse(ra, dec, shape.ellipse)
    if shape is not None and shape.contours is not None:
        return shapes.contours(ra, dec, shape.contours)
    return shapes.circle(ra, dec, revision.err50)


def name(revision: Revision) -> str:
    """What the file is called when it is saved."""
    return f"{revision.key}.multiorder.fits"


def document(revision: Revision, given: bytes | None = None) -> bytes:
    """The map as a FITS file.

    Args:
        revision: with a position.
        given: a map that the pipeline sent with it.
    """
    return fits(read(given) if given else of(revision), revision)


def packed(content: bytes) -> bytes:
    """The same, compressed; without the time at which that was done."""
    return gzip.compress(content, 6, mtime=0)


def fits(cells: Cells, revision: Revision) -> bytes:
    """A map as a FITS file in the form that GCN and LIGO/Virgo/KAGRA use (NUNIQ, probability density per steradian)."""
    from astropy.io import fits

    columns = [
        fits.Column("UNIQ", "K", array=cells.uniq),
        fits.Column("PROBDENSITY", "D", unit="sr-1", array=cells.density),
    ]
    table = fits.BinTableHDU.from_columns(columns)
    cards = [
        ("PIXTYPE", "HEALPIX", "HEALPix cells"),
        ("ORDERING", "NUNIQ", "cells of many orders"),
        ("COORDSYS", "C", "ICRS"),
        ("INDXSCHM", "EXPLICIT", "every cell is listed"),
        ("MOCORDER", int(order(cells.uniq).max()), "order of the smallest cells"),
        ("OBJECT", revision.event_name, "name of the alert"),
        ("REVISION", revision.revision, "its revision"),
        ("DATE-OBS", times.full(revision.time, zone=False), "UTC"),
        ("MJD-OBS", revision.mjd, "[d] UTC"),
        ("RA", revision.ra, "[deg] ICRS"),
        ("DEC", revision.dec, "[deg] ICRS"),
        ("CONT50", cells.area_within(0.5), "[deg2] smallest area that holds 50 %"),
        ("CONT68", cells.area_within(0.68), "[deg2] smallest area that holds 68 %"),
        ("CONT90", cells.area_within(0.9), "[deg2] smallest area that holds 90 %"),
        ("ISTEST", revision.is_test, "whether it is no observation"),
        ("ORIGIN", "KM3NeT", ""),
    ]
    for keyword, value, comment in cards:
        table.header[keyword] = (value, comment)
    out = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(out)
    return out.getvalue()


def region(cells: Cells, containment: float) -> Any:
    """The smallest region that holds the direction with a probability, as a ``mocpy.MOC``."""
    from mocpy import MOC

    densest = np.argsort(-cells.density, kind="stable")
    held = np.cumsum(cells.probabilities[densest])
    inside = densest[: int(np.searchsorted(held, containment)) + 1]
    levels = order(cells.uniq[inside])
    pixels = cells.uniq[inside] - 4 * 4**levels
    return MOC.from_healpix_cells(
        pixels.astype(np.uint64), levels.astype(np.uint8), max_depth=int(min(_DEEPEST_MOC, levels.max()))
    )


def region_document(revision: Revision, containment: float, given: bytes | None = None) -> bytes:
    """The region as a FITS file (MOC 2.0)."""
    moc = region(read(given) if given else of(revision), containment)
    out = io.BytesIO()
    moc.serialize(format="fits").writeto(out)
    return out.getvalue()


def read(document: bytes) -> Cells:
    """The map in a FITS file: of many orders, or flat with a unit that says what its numbers are.

    Raises:
        SkymapError: it is no map, its unit is missing, or its probabilities do not make 1.
    """
    from astropy.io import fits

    if len(document) > MOST_SKYMAP_BYTES:
        raise SkymapError(f"the sky map is larger than {MOST_SKYMAP_BYTES // 2**20} MiB")
    try:
        # astropy warns of what it mends; here it is not mended but refused.
        with warnings.catch_warnings(), fits.open(io.BytesIO(document), memmap=False) as hdus:
            warnings.simplefilter("error")
            table = next((hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU)), None)
            if table is None:
                raise SkymapError("the sky map's file has no binary table")
            cells = _cells(table)
    except SkymapError:
        raise
    except Exception:  # whatever a broken file makes of astropy
        raise SkymapError("the sky map is not a FITS file that can be read") from None
    return cells


def _cells(table: Any) -> Cells:
    header, names = table.header, [column.upper() for column in table.columns.names]
    if header.get("PIXTYPE") != "HEALPIX":
        raise SkymapError("the sky map does not say PIXTYPE = HEALPIX")
    if str(header.get("COORDSYS", "C"))[:1].upper() not in ("C", "E"):
        raise SkymapError("the sky map is not in equatorial coordinates (COORDSYS = C)")
    if "UNIQ" in names:
        uniq = np.asarray(table.data["UNIQ"], np.int64)
        density = _per_steradian(table, "PROBDENSITY")
        if not len(uniq) or uniq.min() < 4 or order(uniq).max() > DEEPEST:
            raise SkymapError(f"the sky map's UNIQ are no cells of orders 0 to {DEEPEST}")
        if len(np.unique(uniq)) < len(uniq):
            raise SkymapError("the sky map has a cell twice")
    else:
        uniq, density = _flat(table, names)
    if not np.isfinite(density).all() or (density < 0).any():
        raise SkymapError("the sky map has densities that are no numbers, or negative")
    cells = Cells(uniq, density)
    if abs(cells.areas.sum() / (4 * np.pi) - 1) > 1e-6:
        raise SkymapError("the sky map's cells do not cover the sky once")
    if abs(total := float(cells.probabilities.sum()) - 1) > _CLOSE:
        raise SkymapError(f"the sky map's probabilities make {total + 1:.4g} and not 1: look at its unit")
    return normalised(uniq, density)


def _flat(table: Any, names: list[str]) -> tuple[Any, Any]:
    import astropy_healpix

    found = next((each for each in ("PROBDENSITY", "PROB", "PROBABILITY") if each in names), None)
    if found is None:
        raise SkymapError("the sky map has no column PROBDENSITY or PROB")
    values = _per_steradian(table, found).ravel()
    side = int(table.header.get("NSIDE", 0))
    if side < 1 or side & (side - 1) or len(values) != 12 * side**2:
        raise SkymapError("the sky map's NSIDE is no power of two, or not that of its rows")
    ordering = table.header.get("ORDERING")
    if ordering not in ("RING", "NESTED"):
        raise SkymapError("the sky map's ORDERING is neither RING, NESTED nor NUNIQ")
    nested = np.arange(len(values), dtype=np.int64)
    if ordering == "RING":
        values = values[astropy_healpix.nested_to_ring(nested, side)]
    return nested + 4 * side**2, values


def _per_steradian(table: Any, column: str) -> Any:
    if column not in table.columns.names:
        raise SkymapError(f"the sky map has no column {column}")
    values = np.asarray(table.data[column], np.float64)
    unit = (table.columns[column].unit or "").replace("^", "").replace("**", "").replace(" ", "")
    if unit in ("sr-1", "1/sr"):
        return values
    if unit in ("deg-2", "1/deg2"):
        return values * _DEG2
    if unit in ("pix-1", "pixel-1", "1/pix") and "UNIQ" not in [name.upper() for name in table.columns.names]:
        return values * values.size / (4 * np.pi)
    # KM3NeT's own text says "per square degree" where others mean steradians: a guess would be wrong by 3283.
    raise SkymapError(f"the sky map's column {column} has no unit that is known: write sr-1, deg-2 or pix-1 (TUNIT)")
