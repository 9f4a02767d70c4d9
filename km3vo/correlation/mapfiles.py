"""A map of significance as files: HEALPix FITS, hot spots, picture, and the sky that it covers.

The same map gives the same bytes, whenever and wherever they are written: what is dated are the events.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from km3vo import __version__
from km3vo.column import Column
from km3vo.correlation import picture
from km3vo.correlation.listed import Listed
from km3vo.results import formats
from km3vo.results.stream import Info, Result, arrow_type
from km3vo.results.xmltext import permitted

if TYPE_CHECKING:
    from km3vo.correlation.skymap import SignificanceMap

# Extension → media type.
FILES = {
    "fits": "application/fits",
    "spots.vot": "application/x-votable+xml",
    "spots.csv": "text/csv; charset=utf-8; header=present",
    "moc.fits": "application/fits",
    "svg": "image/svg+xml",
    "png": "image/png",
    "json": "application/json",
}
STATISTIC = {
    "likelihood": ("TS", "test statistic of the likelihood"),
    "count": ("SIGMA", "standard deviations by Li & Ma"),
    "kernel": ("SIGMA", "standard deviations of the smoothed map"),
}
SPOTS: tuple[Column, ...] = (
    Column(name="ra", datatype="double", unit="deg", ucd="pos.eq.ra;meta.main", description="Right ascension (ICRS)"),
    Column(name="dec", datatype="double", unit="deg", ucd="pos.eq.dec;meta.main", description="Declination (ICRS)"),
    Column(name="ts", datatype="double", ucd="stat.likelihood", description="The statistic there"),
    Column(name="n_s", datatype="double", ucd="stat.fit.param", description="Events more than the background"),
    Column(name="p_local", datatype="double", ucd="stat.probability", description="p-value before trials"),
    Column(
        name="p_post",
        datatype="double",
        ucd="stat.probability",
        description="Part of scrambled maps that are as hot anywhere; missing where too few are",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a map says of itself.

    Attributes:
        table: of the events.
        select: the condition on them in ADQL, or "".
        rows: how many there are.
        first, last: their times, MJD; None when they have none.
        audience: whose rows they are.
    """

    table: str
    select: str
    rows: int
    first: float | None
    last: float | None
    audience: str


def facts(listed: Listed, table: str, select: str, audience: str) -> Facts:
    """The facts of a list of events."""
    known = None if listed.mjd is None else listed.mjd[np.isfinite(listed.mjd)]
    ends = (None, None) if known is None or not len(known) else (float(known.min()), float(known.max()))
    return Facts(table=table, select=select, rows=len(listed), first=ends[0], last=ends[1], audience=audience)


def files(made: SignificanceMap, told: Facts) -> dict[str, bytes]:
    """All files of a map, by extension (`FILES`)."""
    brightest = largest(made)
    image = picture.png_of_map(made.log10_p, made.recipe.nside, brightest)
    spots = made.spots[:10]
    return {
        "fits": fits(made, told),
        "spots.vot": b"".join(formats.find("votable/td").write(_spots(made, told))),
        "spots.csv": b"".join(formats.find("csv").write(_spots(made, told))),
        "moc.fits": moc(made),
        "png": image,
        "svg": picture.svg(
            permitted(f"{told.table}: {told.rows:,} events, {made.recipe.method}"),
            "-log10 p, pre-trial",
            brightest,
            image=image,
            ra=np.array([spot.ra for spot in spots]),
            dec=np.array([spot.dec for spot in spots]),
            values=np.ones(len(spots)),
            names=[f"TS {spot.statistic:.1f} at ({spot.ra:.2f}, {spot.dec:.2f})" for spot in spots],
            rings=True,
        ),
        "json": json.dumps(summary(made, told)).encode(),
    }


def largest(made: SignificanceMap) -> float:
    """The -log10 p of the last colour."""
    return max(3.0, float(np.nanmax(made.log10_p)))


def summary(made: SignificanceMap, told: Facts) -> dict[str, Any]:
    """What a page says of a map."""
    return {
        "table": told.table,
        "select": told.select,
        "rows": told.rows,
        "first": told.first,
        "last": told.last,
        "method": made.recipe.method,
        "nside": made.recipe.nside,
        "pixels": int(np.isfinite(made.log10_p).sum()),
        "seed": made.seed,
        "scrambles": len(made.hottest),
        "p_global": None if np.isnan(made.p_global) else made.p_global,
        "spots": [[spot.ra, spot.dec, spot.statistic, spot.n_s, spot.p_local] for spot in made.spots[:10]],
    }


def fits(made: SignificanceMap, told: Facts) -> bytes:
    """The map as HEALPix FITS, one row for each pixel in nested order."""
    from astropy.io import fits as astropy_fits

    name, meaning = STATISTIC[made.recipe.method]
    columns = [
        astropy_fits.Column(label, "D", array=values)
        for label, values in ((name, made.statistic), ("NS", made.n_s), ("LOG10P", made.log10_p))
    ]
    table = astropy_fits.BinTableHDU.from_columns(columns, name="SIGNIFICANCE")
    searched = int(np.isfinite(made.log10_p).sum())
    cards = {
        "PIXTYPE": ("HEALPIX", "HEALPix pixels"),
        "ORDERING": ("NESTED", "order of the pixels"),
        "COORDSYS": ("C", "equatorial, ICRS"),
        "NSIDE": (made.recipe.nside, "of the pixels"),
        "FIRSTPIX": (0, "number of the first pixel"),
        "LASTPIX": (12 * made.recipe.nside**2 - 1, "number of the last pixel"),
        "INDXSCHM": ("IMPLICIT", "every pixel has a row"),
        "OBJECT": ("FULLSKY", "NaN where nothing is searched"),
        "METHOD": (made.recipe.method, meaning),
        "SRCTABLE": (told.table, "table of the events"),
        "SELECT": (told.select, "condition on them, in ADQL"),
        "NEVENTS": (told.rows, "events"),
        "AUDIENCE": (told.audience, "whose rows"),
        "MJD-BEG": (told.first, "time of the first event, UTC"),
        "MJD-END": (told.last, "time of the last event, UTC"),
        "SEED": (made.seed, "of the scrambles"),
        "SCRAMBLE": (len(made.hottest), "scrambled maps"),
        "PGLOBAL": (None if np.isnan(made.p_global) else made.p_global, "part of them that are as hot anywhere"),
        "CREATOR": (f"km3vo {__version__}", "software"),
    }
    for key, (value, comment) in cards.items():
        if value not in (None, ""):
            # The standard has no room for longer texts and other characters.
            text = value.encode("ascii", "replace").decode()[:60] if isinstance(value, str) else value
            table.header[key] = (text, comment)
    table.header["COMMENT"] = f"Pre-trial: not corrected for looking at {searched} directions."
    out = io.BytesIO()
    astropy_fits.HDUList([astropy_fits.PrimaryHDU(), table]).writeto(out)
    return out.getvalue()


def moc(made: SignificanceMap) -> bytes:
    """The sky that is searched."""
    from mocpy import MOC

    order = made.recipe.nside.bit_length() - 1
    pixels = np.flatnonzero(np.isfinite(made.log10_p)).astype(np.uint64)
    covered = MOC.from_healpix_cells(pixels, np.full(pixels.shape, order, np.uint8), max_depth=order)
    out = io.BytesIO()
    covered.serialize("fits").writeto(out)
    return out.getvalue()


def _spots(made: SignificanceMap, told: Facts) -> Result:
    rows = [(spot.ra, spot.dec, spot.statistic, spot.n_s, spot.p_local, spot.p_post) for spot in made.spots]
    cells = zip(*rows, strict=True) if rows else iter([()] * len(SPOTS))
    batch = pa.RecordBatch.from_arrays(
        [pa.array(cell, arrow_type(column), from_pandas=True) for cell, column in zip(cells, SPOTS, strict=True)],
        names=[column.name for column in SPOTS],
    )
    return Result(columns=SPOTS, source=[batch], name="spots", infos=tuple(_infos(made, told)))


def _infos(made: SignificanceMap, told: Facts) -> Iterator[Info]:
    for name, value in summary(made, told).items():
        if name != "spots" and value not in (None, ""):
            yield Info(name, str(value))
    yield Info("software", f"km3vo/{__version__}")
    yield Info("trials", "pre-trial", "p_local is not corrected for looking at many directions")
