"""Reading ECSV, VOTable and FITS with astropy, as Arrow arrays."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from km3vo.errors import LoadError

Slices = Callable[[int, int], list[pa.Array]]


def read(file: Path, form: str) -> tuple[list[str], dict[str, str], int, Slices]:
    """Read the only table of a file.

    Returns:
        names of its columns, units of those that have one, number of rows, and a function that gives the columns'
        values between two rows.

    Raises:
        LoadError: there are several tables in it, or none.
        OSError, ValueError, TypeError, LookupError: it is not what its name says.
    """
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # of VOTables and units that stray from the standard and can be read all the same
        table = _READERS[form](file)
        names = list(table.colnames)
        units = {name: str(table[name].unit) for name in names if getattr(table[name], "unit", None)}

    def slices(start: int, stop: int) -> list[pa.Array]:
        return [_array(table[name][start:stop]) for name in names]

    return names, units, len(table), slices


def _ecsv(file: Path) -> Any:
    from astropy.table import Table

    return Table.read(file, format="ascii.ecsv")


def _votable(file: Path) -> Any:
    from astropy.io.votable import parse

    tables = [table for table in parse(file, verify="ignore").iter_tables() if table.fields]
    return _only(file, tables).to_table(use_names_over_ids=True)


def _fits(file: Path) -> Any:
    from astropy.io import fits
    from astropy.table import Table

    with fits.open(file) as hdus:
        tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)]
        return Table.read(_only(file, tables), format="fits")


_READERS: dict[str, Callable[[Path], Any]] = {"ecsv": _ecsv, "votable": _votable, "fits": _fits}


def _only(file: Path, tables: list[Any]) -> Any:
    if len(tables) != 1:
        raise LoadError(f"{file.name} holds {len(tables)} tables: there must be exactly one in it.")
    return tables[0]


def _array(column: Any) -> pa.Array:
    """A part of an astropy column as Arrow; masked values become null."""
    if hasattr(column, "isot"):  # a Time
        return pa.array([str(time) for time in np.atleast_1d(column.utc.isot)])
    mask = np.ma.getmaskarray(column) if isinstance(column, np.ma.MaskedArray) else None
    values = np.asarray(column)
    if values.ndim > 1:
        return pa.array(list(values))
    if values.dtype.kind == "O":  # strings of VOTables, some of them None
        return pa.array(values.tolist(), mask=mask)
    if values.dtype.kind == "S":
        values = np.char.rstrip(np.char.decode(values, "utf-8"))
    if not values.dtype.isnative:  # FITS is big-endian
        values = values.astype(values.dtype.newbyteorder("="))
    return pa.array(values, mask=mask)
