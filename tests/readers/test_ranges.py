"""Numbers beyond the declared type of an ECSV column, and FITS files that say in front that they are not complete."""

from __future__ import annotations

import io

import numpy as np
import pytest
from astropy.io import fits

from km3vo.errors import IncompleteError
from km3vo.readers.content import Content
from km3vo.readers.fits.table import open_fits
from km3vo.readers.opened import Options
from km3vo.readers.text.ecsv import open_ecsv

HEADER = "# %%ECSV 1.0\n# ---\n# delimiter: ','\n# datatype:\n# - {name: x, datatype: %s}\nx\n"


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("float16", "65504", "70000"),
        ("float16", "-inf", "-65536"),
        ("int8", "127", "128"),
        ("string, subtype: 'int8[2]'", '"[1,-128]"', '"[1,-129]"'),
        ("string, subtype: 'uint16[null]'", '"[65535]"', '"[65536]"'),
        ("string, subtype: 'float16[2]'", '"[1,null]"', '"[1,70000]"'),
    ],
)
def test_ecsv_keeps_within_the_declared_type(kind: str, good: str, bad: str) -> None:
    told: list[tuple[int, str]] = []
    content = Content(io.BytesIO((HEADER % kind + f"{good}\n{bad}\n").encode()))
    opened = open_ecsv(content, lambda line, text: told.append((line, text)), Options())
    cells = [cell for block in opened.blocks for cell in block.columns[0].to_pylist()]
    assert cells[0] is not None and cells[1] is None
    assert [line for line, _ in told] == [2] and bad.strip('"') in told[0][1]


def test_the_primary_header_may_say_that_rows_are_missing() -> None:
    primary = fits.PrimaryHDU()
    primary.header["QSTATUS"] = "OVERFLOW"
    table = fits.BinTableHDU.from_columns([fits.Column("x", "J", array=np.arange(3))])
    table.header["QSTATUS"] = "OK"
    written = io.BytesIO()
    fits.HDUList([primary, table]).writeto(written)
    with pytest.raises(IncompleteError, match="cut off at a limit"):
        open_fits(Content(io.BytesIO(written.getvalue())), lambda line, text: None, Options())
    known = Options(truncated=True)
    assert open_fits(Content(io.BytesIO(written.getvalue())), lambda line, text: None, known).remarks
