"""Columns of a FITS ASCII table (FITS 4.0 §7.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from km3vo.column import Column
from km3vo.datatypes import Datatype
from km3vo.errors import ReadError
from km3vo.readers.arrays import stored_type
from km3vo.readers.fits.columns import Bytes, ColumnReader, name_of
from km3vo.readers.fits.headers import Hdu
from km3vo.readers.fits.heap import Heap
from km3vo.readers.mistakes import Place, named, shown
from km3vo.readers.opened import FileColumn
from km3vo.readers.texts import PLAIN, as_text, from_texts
from km3vo.results import views

_FORM = re.compile(r"([AIFED])(\d{1,5})(?:\.(\d{1,3}))?")


@dataclass(slots=True)
class AsciiColumn:
    """A column of an ASCII table.

    Attributes:
        declared: as which it is read.
        code: letter of TFORM.
        start, width: its letters within a row.
        scale, zero: what numbers are multiplied with, and what is added then.
        null: what stands for NULL, or None.
    """

    declared: FileColumn
    code: str
    start: int
    width: int
    scale: float
    zero: float
    null: str | None

    def heap_bytes(self, records: Bytes) -> npt.NDArray[np.int64]:
        return np.zeros(len(records), np.int64)

    def read(self, records: Bytes, heap: Heap | None, place: Place) -> pa.Array:
        cells = np.ascontiguousarray(records[:, self.start : self.start + self.width])
        rows = len(records)
        raw = views.binary(rows, np.arange(rows + 1) * self.width, cells)
        texts = pc.utf8_rtrim(as_text(raw, place), " ")
        if self.null is not None:
            texts = pc.if_else(pc.equal(pc.utf8_trim(texts, " "), self.null), None, texts)
        if self.code == "A":
            return texts
        if self.code != "I":
            # FORTRAN would put a decimal point where the form says; better to ask than to shift digits.
            pointless = pc.match_substring_regex(texts, r"^ *[+-]?\d+$")
            if pc.any(pointless).as_py():
                for index in np.flatnonzero(pc.fill_null(pointless, False).to_numpy(zero_copy_only=False)).tolist():
                    place.tell(index, texts[index].as_py(), "is a number without its decimal point")
                texts = pc.if_else(pointless, None, texts)
        column = self.declared.column
        if self.scale == 1 and self.zero == 0:
            return from_texts(column, texts, PLAIN, place)
        stored = from_texts(replace(column, datatype="double"), texts, PLAIN, place)
        return pc.add(pc.multiply(stored, self.scale), self.zero)


def columns(hdu: Hdu, width: int) -> list[ColumnReader]:
    """The columns of an ASCII table.

    Raises:
        ReadError: a keyword makes no sense.
    """
    found: list[ColumnReader] = []
    for number in range(1, hdu.whole("TFIELDS", high=999) + 1):
        name, form = name_of(hdu, number), hdu.text(f"TFORM{number}").upper()
        parsed = _FORM.fullmatch(form)
        start = hdu.whole(f"TBCOL{number}", low=1) - 1
        if parsed is None or start + int(parsed[2]) > width:
            raise ReadError(f"column {named(name)} has the form {shown(form)} (TFORM{number}), which is not valid")
        scale, zero = hdu.number_of(f"TSCAL{number}"), hdu.number_of(f"TZERO{number}")
        plain = scale in (None, 1) and not zero
        datatype: Datatype = "char" if parsed[1] == "A" else "long" if parsed[1] == "I" and plain else "double"
        column = Column(
            name=name,
            datatype=datatype,
            arraysize="*" if datatype == "char" else None,
            unit=hdu.text(f"TUNIT{number}") or None,
            ucd=hdu.text(f"TUCD{number}") or None,
            description=hdu.text(f"TCOMM{number}") or None,
            sql=f"c{number}",
        )
        null = hdu.text(f"TNULL{number}") if f"TNULL{number}" in hdu.header else None
        found.append(
            AsciiColumn(
                FileColumn(column, stored_type(column)),
                parsed[1],
                start,
                int(parsed[2]),
                1.0 if scale is None else scale,
                zero or 0.0,
                null or None,
            )
        )
    return found
