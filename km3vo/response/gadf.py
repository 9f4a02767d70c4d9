"""Responses as FITS files in the format of gamma-ray astronomy (GADF, "Data formats for gamma-ray astronomy" 0.3).

Its angle THETA is that from the axis of a telescope; for a telescope without one it is the zenith angle, as in KM3NeT's
own files. Energies are in TeV.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from km3vo import __version__
from km3vo.response.functions import Floats, Response

if TYPE_CHECKING:
    from astropy.io import fits

CONTENT_TYPE = "application/fits"
TEV = 1000.0  # GeV
ALL_ZENITHS = np.array([0.0, 180.0])

Axis = tuple[str, Floats, str]


def document(response: Response, instrument: str, citation: str) -> bytes:
    """A response as a FITS file: effective area, and spread of directions and of energies where they are known."""
    from astropy.io import fits

    area, spread, energy = response.area, response.spread, response.energy
    units = [
        _table(
            "EFFECTIVE AREA", ("EFF_AREA", "AEFF_2D"), _energies(area.energy, "ENERG"),
            [("THETA", area.zenith, "deg")], "EFFAREA", area.area, "m2",
        )
    ]  # fmt: skip
    if energy is not None:
        units.append(
            _table(
                "ENERGY DISPERSION", ("EDISP", "EDISP_2D"), _energies(energy.energy, "ENERG"),
                [("MIGRA", energy.ratio, ""), ("THETA", ALL_ZENITHS, "deg")], "MATRIX", energy.density[None], "",
            )
        )  # fmt: skip
    if spread is not None:
        units.append(
            _table(
                "POINT SPREAD FUNCTION", ("RPSF", "PSF_TABLE"), _energies(spread.energy, "ENERG"),
                [("THETA", ALL_ZENITHS, "deg"), ("RAD", spread.separation, "deg")], "RPSF", spread.density[:, None],
                "sr-1",
            )
        )  # fmt: skip
    for unit in units:
        unit.header["TELESCOP"] = instrument[:60]
        unit.header["INSTRUME"] = response.name[:60]
        unit.header["ORIGIN"] = f"km3vo {__version__}"
        unit.header["COMMENT"] = "THETA is the zenith angle: 0 is straight down from above."
        unit.header["COMMENT"] = citation.encode("ascii", "replace").decode()
    out = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), *units]).writeto(out)
    return out.getvalue()


def _energies(edges: Floats, name: str) -> Axis:
    return name, edges / TEV, "TeV"


def _table(
    name: str, classes: tuple[str, str], energy: Axis, axes: list[Axis], label: str, values: Floats, unit: str
) -> fits.BinTableHDU:
    """One row with the edges of all axes and the values, whose first axis in FITS is the energy."""
    from astropy.io import fits
    from astropy.table import Table

    row: dict[str, Any] = {}
    for axis, edges, _ in (energy, *axes):
        row[f"{axis}_LO"], row[f"{axis}_HI"] = (ends[None].astype(np.float32) for ends in (edges[:-1], edges[1:]))
    row[label] = values[None].astype(np.float32)
    made = fits.BinTableHDU(Table(row), name=name)
    for axis, _, of in (energy, *axes):
        for end in ("LO", "HI"):
            made.columns[f"{axis}_{end}"].unit = of or None
    made.columns[label].unit = unit or None
    for card, value in (
        ("HDUCLASS", "GADF"),
        ("HDUDOC", "https://github.com/open-gamma-ray-astro/gamma-astro-data-formats"),
        ("HDUVERS", "0.3"),
        ("HDUCLAS1", "RESPONSE"),
        ("HDUCLAS2", classes[0]),
        ("HDUCLAS3", "FULL-ENCLOSURE"),
        ("HDUCLAS4", classes[1]),
    ):
        made.header[card] = value
    return made
