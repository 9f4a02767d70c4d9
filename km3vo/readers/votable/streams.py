"""The text of a STREAM element as the bytes that it stands for, piece by piece (VOTable 1.5 §6.3)."""

from __future__ import annotations

import binascii
import zlib
from collections.abc import Iterator

import pybase64

from km3vo.errors import IncompleteError, ReadError
from km3vo.readers.mistakes import shown

_SPACE = b" \t\r\n"
_PIECE = 1 << 20


class StreamDecoder:
    """Decodes a STREAM.

    Args:
        encoding: its attribute: base64, or gzip, which is base64 too (the only text that XML can hold).

    Raises:
        ReadError: the encoding is another one.
    """

    def __init__(self, encoding: str) -> None:
        if encoding not in ("base64", "gzip"):
            raise ReadError(f"its STREAM has the encoding {shown(encoding)}: use base64")
        self._rest = b""
        self._ended = False
        self._packed = zlib.decompressobj(31) if encoding == "gzip" else None

    def feed(self, text: str) -> Iterator[bytes]:
        """Bytes that a piece of the text stands for.

        Raises:
            ReadError: it is not base64, or the compression is damaged.
        """
        raw = self._decode(text)
        if self._packed is None:
            if raw:
                yield raw
            return
        while raw:
            try:
                piece = self._packed.decompress(raw, _PIECE)
            except zlib.error:
                raise ReadError("its gzip compression is damaged") from None
            if piece:
                yield piece
            raw = self._packed.unconsumed_tail
            if self._packed.eof and self._packed.unused_data:
                raw = self._packed.unused_data
                self._packed = zlib.decompressobj(31)

    def finish(self) -> None:
        """There is no more.

        Raises:
            ReadError: there should be.
        """
        if self._rest:
            raise ReadError("its STREAM is not valid base64")
        if self._packed is not None and not self._packed.eof:
            raise IncompleteError("the gzip compression of its STREAM ends too early")

    def _decode(self, text: str) -> bytes:
        try:
            packed = self._rest + text.encode("ascii").translate(None, _SPACE)
            if packed and self._ended:
                raise ValueError
            whole = len(packed) // 4 * 4
            self._rest = packed[whole:]
            raw: bytes = pybase64.b64decode(packed[:whole], validate=True)
        except (binascii.Error, ValueError):
            raise ReadError("its STREAM is not valid base64") from None
        self._ended = packed[:whole].endswith(b"=")
        return raw
