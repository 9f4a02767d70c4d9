"""The headers of a FITS file: which tables it holds, and where their bytes are (FITS 4.0 §4 and §7)."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from km3vo.errors import IncompleteError, ReadError
from km3vo.readers.mistakes import shown

BLOCK = 2880
_CARD = 80
_YAML_BEGIN, _YAML_END = (f"--{word}-ASTROPY-SERIALIZED-COLUMNS--" for word in ("BEGIN", "END"))
_BLOCKS = 4000  # of the longest header: 144,000 cards
_MOST = 10_000  # headers and data units
_TABLES = ("BINTABLE", "TABLE", "A3DTABLE")


@dataclass(frozen=True, slots=True)
class Hdu:
    """A header with the data after it.

    Attributes:
        number: in the file; 0 is the primary one.
        header: as astropy parses it.
        start: where the data begin.
        size: of the data in bytes, without what fills their last block.
    """

    number: int
    header: Any
    start: int
    size: int

    @property
    def is_table(self) -> bool:
        """Whether it holds a table: an image may be compressed in one (FITS 4.0 §10.1)."""
        kind = str(self.header.get("XTENSION", "")).strip().upper()
        return kind in _TABLES and self.header.get("ZIMAGE") is not True

    @property
    def name(self) -> str:
        """EXTNAME, or nothing."""
        return str(self.header.get("EXTNAME", "")).strip()

    @property
    def yaml(self) -> str:
        """What astropy says in comments about columns that FITS cannot describe, or nothing."""
        lines = [str(line) for line in self.header.get("COMMENT", ())]
        if not {_YAML_BEGIN, _YAML_END} <= set(lines):
            return ""
        found: list[str] = []
        goes_on = False
        for line in lines[lines.index(_YAML_BEGIN) + 1 : lines.index(_YAML_END)]:
            # 70 characters of a line, and a backslash where more of it follows.
            if goes_on:
                found[-1] += line[:70]
            else:
                found.append(line[:70])
            goes_on = len(line) == 71
        return "\n".join(found)

    def whole(self, key: str, default: int | None = None, *, low: int = 0, high: int = 2**62) -> int:
        """A keyword's whole number.

        Raises:
            ReadError: it has none, or one that makes no sense.
        """
        value = self.header.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ReadError(f"its keyword {key} is {shown(str(value))} instead of a whole number")
        if not low <= value <= high:
            raise ReadError(f"its keyword {key} is {value}, which is not possible")
        return value

    def text(self, key: str) -> str:
        """A keyword's text without blanks around it; nothing where there is none.

        Raises:
            ReadError: it is something else.
        """
        value = self.header.get(key, "")
        if not isinstance(value, str):
            raise ReadError(f"its keyword {key} is {shown(str(value))} instead of a text")
        return value.strip()

    def number_of(self, key: str) -> float | None:
        """A keyword's number, or None where there is none.

        Raises:
            ReadError: it is something else.
        """
        value = self.header.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ReadError(f"its keyword {key} is {shown(str(value))} instead of a number")
        return value


def hdus(file: BinaryIO, size: int) -> Iterator[Hdu]:
    """The headers of a file, one after the other.

    Args:
        file: that can go back and forth.
        size: of it in bytes.

    Raises:
        ReadError: it is no FITS file, or damaged.
    """
    place = number = 0
    while place < size:
        header, start = _header(file, place, number)
        if header is None:
            return
        hdu = Hdu(number, header, start, 0)
        hdu = Hdu(number, header, start, _data_size(hdu))
        yield hdu
        place = start + -(-hdu.size // BLOCK) * BLOCK
        number += 1
        if number > _MOST:
            raise ReadError(f"the FITS file has more than {_MOST} parts")


def _header(file: BinaryIO, place: int, number: int) -> tuple[Any, int]:
    """The header at a place, and where it ends; None where there is none any more (FITS 4.0 §3.5: special records)."""
    from astropy.io.fits import Header

    file.seek(place)
    raw = b""
    while len(raw) < _BLOCKS * BLOCK:
        block = file.read(BLOCK)
        if not raw and not block.startswith(b"XTENSION" if number else b"SIMPLE  ="):
            if number:
                return None, place
            raise ReadError("it is no FITS file")
        if len(block) < BLOCK:
            raise IncompleteError("the FITS file ends within a header")
        raw += block
        end = _end(block)
        if end is not None:
            cards = raw[: len(raw) - BLOCK + end]
            if not cards.isascii() or any(code < 32 for code in cards):
                raise ReadError("a header of the FITS file holds other characters than printable ASCII")
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    header = Header.fromstring(cards)
                    _read_all(header)
            except Exception as error:
                # astropy parses cards when they are asked for, and raises what it happens to.
                told = " ".join(str(error).split()).partition(", fix it first with")[0]
                raise ReadError(f"a header of the FITS file cannot be read: {told[:100]}") from None
            return header, place + len(raw)
    raise ReadError(f"a header of the FITS file has more than {_BLOCKS * BLOCK} bytes")


def _read_all(header: Any) -> None:
    """Have every card parsed now."""
    for card in header.cards:
        _ = card.keyword, card.value


def _end(block: bytes) -> int | None:
    """Where the card END begins in a block of a header."""
    for place in range(0, BLOCK, _CARD):
        if block[place : place + 8] == b"END     ":
            return place
    return None


def _data_size(hdu: Hdu) -> int:
    axes = [hdu.whole(f"NAXIS{axis}") for axis in range(1, hdu.whole("NAXIS", high=999) + 1)]
    if not axes:
        return 0
    if hdu.number == 0 and axes[0] == 0 and hdu.header.get("GROUPS") is True:
        axes = axes[1:]  # random groups
    bits = abs(hdu.whole("BITPIX", low=-64, high=64))
    size = bits // 8 * hdu.whole("GCOUNT", 1) * (hdu.whole("PCOUNT", 0) + math.prod(axes))
    if size >= 2**62:
        raise ReadError("a part of the FITS file is declared larger than a file can be")
    return size


def check_sum(file: BinaryIO, hdu: Hdu) -> None:
    """Compare data with their checksum, if the header has one (DATASUM, FITS 4.0 §4.4.2.7 and appendix J).

    Raises:
        ReadError: they are others.
    """
    told = hdu.text("DATASUM") if isinstance(hdu.header.get("DATASUM"), str) else ""
    if not told.isdecimal() or len(told) > 20:
        return
    left = -(-hdu.size // BLOCK) * BLOCK
    total = 0
    file.seek(hdu.start)
    while left and (raw := file.read(min(left, 1000 * BLOCK))):
        left -= len(raw)
        total += int(np.frombuffer(raw[: len(raw) // 4 * 4], ">u4").sum(dtype=np.uint64))
    # A sum in ones' complement: modulo 2³² - 1. Without all of the last block there is nothing to compare.
    if not left and (total - int(told)) % (2**32 - 1):
        raise ReadError("its data are not those of its checksum (DATASUM): it is damaged, or was changed since")


def size_of(file: BinaryIO) -> int:
    """The bytes of a file."""
    return file.seek(0, io.SEEK_END)
