"""VOTables to upload: astropy's, and ones by hand."""

from __future__ import annotations

import io
import warnings

import numpy as np
from astropy.io.votable import from_table, writeto
from astropy.table import MaskedColumn, Table

SERIALIZATIONS = ("tabledata", "binary", "binary2")


def table() -> Table:
    """A column of each type, with what is missing, infinite, or awkward."""
    made = Table()
    made["flag"] = MaskedColumn([True, False, True], mask=[False, False, True])
    made["b"] = MaskedColumn(np.array([0, 255, 1], np.uint8), mask=[False, False, True])
    made["s"] = MaskedColumn(np.array([-32768, 32767, 1], np.int16), mask=[False, False, True])
    made["i"] = MaskedColumn(np.array([-(2**31), 2**31 - 1, 1], np.int32), mask=[False, False, True])
    made["l"] = MaskedColumn(np.array([-(2**63), 2**63 - 1, 1], np.int64), mask=[False, False, True])
    made["f"] = np.array([1.5, np.inf, np.nan], np.float32)
    made["d"] = np.array([1 / 3, -np.inf, np.nan])
    made["text"] = ["a<&>\"'", "ünïcödé ☃", ""]
    made["vector"] = np.arange(9.0).reshape(3, 3)
    made["d"].unit = "deg"
    made["d"].description = "a number"
    return made


def written(serialization: str) -> bytes:
    """`table` as astropy writes it."""
    document = from_table(table())
    made = document.get_first_table()
    made.get_field_by_id("d").ucd = "pos.eq.ra"
    if serialization == "binary":  # which has no other way to say that a number is missing
        for name in ("b", "s", "i", "l"):
            made.get_field_by_id(name).values.null = 1
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        writeto(document, out, tabledata_format=serialization)
    return out.getvalue()


def votable(fields: list[str], rows: list[list[str]], inside: str = "", before: str = "") -> bytes:
    cells = "".join("<TR>" + "".join(f"<TD>{cell}</TD>" for cell in row) + "</TR>" for row in rows)
    data = inside or f"<TABLEDATA>{cells}</TABLEDATA>"
    heads = "".join(f"<FIELD {field}/>" for field in fields)
    return (
        f'<?xml version="1.0"?>{before}<VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">'
        f"<RESOURCE><TABLE>{heads}<DATA>{data}</DATA></TABLE></RESOURCE></VOTABLE>"
    ).encode()
