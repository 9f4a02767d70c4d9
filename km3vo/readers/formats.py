"""Opening a file of any format: what it is, its first bytes tell, and for plain text its name."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Literal

from km3vo.errors import ReadError
from km3vo.readers.content import Content
from km3vo.readers.mistakes import Note
from km3vo.readers.opened import Opened, Options

FORMATS = "VOTable, CSV, TSV, ECSV, FITS or Parquet"

Format = Literal["csv", "tsv", "ecsv", "votable", "fits", "parquet"]
ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".ecsv": "ecsv",
    ".vot": "votable",
    ".votable": "votable",
    ".xml": "votable",
    ".fits": "fits",
    ".fit": "fits",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_WORDS = {
    "csv": "text",
    "tsv": "text",
    "ecsv": "an ECSV file",
    "votable": "a VOTable",
    "fits": "a FITS file",
    "parquet": "a Parquet file",
}
_HEAD = 4096


def open_table(content: Content, note: Note, options: Options, name: str = "") -> Opened:
    """Open the table of a file.

    Args:
        content: the file.
        note: is told what is wrong in single rows, while they are read; 0 stands for the whole file.
        options: what is known about it.
        name: of the file, whose end says what it should be; "" where only the bytes count.

    Raises:
        ReadError: it is of no known format, not what its name says, damaged, incomplete, or it is not clear which
            table is meant. Reading its blocks raises it too.
        TooLargeError: it unpacks to more bytes than ``options`` allow.
    """
    promised = ENDINGS.get(ending(name))
    head = content.head(_HEAD)
    form = _format(head)
    if name.lower().endswith(".gz") and not content.packed:
        raise ReadError("its name ends in .gz, and it is not compressed")
    if form is None and promised not in (None, "csv", "tsv"):
        raise ReadError(f"it is not {_WORDS[promised]}" if head.strip() else "it is empty")
    if form is None:
        if not head.removeprefix(b"\xef\xbb\xbf").strip():
            raise ReadError(
                "its first line is empty, where the names of the columns should be" if name else "it is empty"
            )
        if not name and _is_binary(head):
            raise ReadError(f"it is of no known format: use {FORMATS}")
        form = promised or "csv"
    # Only what is needed is imported: each format brings its own libraries.
    if form == "votable":
        from km3vo.readers.votable.table import open_votable

        return open_votable(content, note, options)
    if form == "fits":
        from km3vo.readers.fits.table import open_fits

        def read_head(text: bytes, table: int) -> Opened:
            from km3vo.readers.votable.table import read_head

            return read_head(text, note, options, table)

        return open_fits(content, note, options, read_head)
    if form == "parquet":
        from km3vo.readers.parquet.table import open_parquet

        return open_parquet(content, note, options)
    if options.table is not None:
        raise ReadError("a text file holds one table")
    if form == "ecsv":
        from km3vo.readers.text.ecsv import open_ecsv

        return open_ecsv(content, note, options)
    from km3vo.readers.text.delimited import open_text

    return open_text(content, note, "\t" if promised == "tsv" else "," if promised == "csv" else None)


def _is_binary(head: bytes) -> bool:
    """Whether a file has NUL characters before the end of its first line, and not in every other place: UTF-16.

    Or is HDF5 or ROOT, which are read for loads alone (km3vo/loading).
    """
    if head.startswith((b"\x89HDF", b"root\0")):
        return True
    first = re.split(rb"[\r\n]", head, maxsplit=1)[0]
    return b"\0" in first and not first.startswith((b"\xff\xfe", b"\xfe\xff")) and first.count(0) * 3 < len(first)


def ending(name: str) -> str:
    """The end of a file's name that tells its format: ".csv" of events.csv.gz."""
    return PurePath(name.lower().removesuffix(".gz")).suffix


def _format(head: bytes) -> Format | None:
    """What the first bytes of a file tell; None for plain text, and for what is unknown."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith((b"<", b"\xff\xfe<\0", b"\xfe\xff\0<")):
        return "votable"
    if head.startswith(b"SIMPLE  ="):
        return "fits"
    if head.startswith(b"PAR1"):
        return "parquet"
    if start.startswith(b"# %ECSV"):
        return "ecsv"
    return None
