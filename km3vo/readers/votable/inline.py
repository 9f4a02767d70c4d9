"""Rows of a VOTable that are a FITS file within it (VOTable 1.5 §6.6)."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

from km3vo.errors import ReadError
from km3vo.readers.content import Content
from km3vo.readers.fitting import fitted, misfit
from km3vo.readers.mistakes import Note, Place, named
from km3vo.readers.opened import Block, Options
from km3vo.readers.texts import VOTABLE
from km3vo.readers.votable.fields import Field


def read_fits(
    raw: bytes, extension: str | None, fields: Sequence[Field], note: Note, options: Options
) -> Iterator[Block]:
    """The rows, as the FIELDs say they are.

    Args:
        raw: the file.
        extension: number of its HDU with the table, or None for the only one.
        fields: the columns.
        note: is told which cells are not what their FIELDs declare.
        options: what is known about the document.

    Raises:
        ReadError: it is no FITS file, or has other columns.
    """
    from km3vo.readers.fits.table import open_fits

    known = Options(table=extension, truncated=options.truncated, most_bytes=options.most_bytes)
    opened = open_fits(Content(io.BytesIO(raw)), note, known)
    if len(opened.columns) != len(fields):
        raise ReadError(f"the FITS file in it has {len(opened.columns)} columns, but there are {len(fields)} FIELDs")
    for field, column in zip(fields, opened.columns, strict=True):
        if wrong := misfit(column.type, field.column):
            raise ReadError(f"column {named(field.column.name)} of the FITS file in it: {wrong}")
    for block in opened.blocks:
        cells = [
            fitted(field.column, array, VOTABLE, Place(field.column.name, block.lines, note))
            for field, array in zip(fields, block.columns, strict=True)
        ]
        yield Block(cells, block.lines)
