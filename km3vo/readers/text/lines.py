"""Bytes of a text file on their way to Arrow's parser, which forgives what should be told."""

from __future__ import annotations

import codecs
import io
from typing import Any

import numpy as np
import numpy.typing as npt

from km3vo.errors import ReadError

_QUOTE, _LF, _CR = 34, 10, 13
_BOM = b"\xef\xbb\xbf"

_Letters = npt.NDArray[np.uint8]
_Positions = npt.NDArray[np.intp]

# A byte that is no UTF-8 travels as a character of private use that stands for it: Arrow cannot tell of lines that are
# not text.
_ESCAPED = 0x10FF00
ESCAPES = f"[{chr(_ESCAPED + 0x80)}-{chr(_ESCAPED + 0xFF)}]"


def _escape(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "".join(chr(_ESCAPED + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error("km3vo.escape", _escape)


def original(text: str) -> bytes:
    """The bytes that a text with escapes stands for."""
    return b"".join(bytes([ord(letter) - _ESCAPED]) if ord(letter) >= _ESCAPED else letter.encode() for letter in text)


class Lines(io.RawIOBase):
    """Bytes on their way to the parser. Refuses quotes that RFC 4180 has not, and knows where lines are empty.

    Args:
        stream: the bytes.
        delimiter: between values.
        quotes: whether values may stand in quotes.
        first: number of the first line.

    Attributes:
        empty: numbers of lines with nothing in them.
        several: whether a value has several lines.
        escaped: whether there are bytes that are no UTF-8, for which characters of ``ESCAPES`` stand.
    """

    def __init__(
        self, stream: io.RawIOBase | io.BufferedIOBase, delimiter: str, *, quotes: bool, first: int = 1
    ) -> None:
        self._stream = stream
        self._beside = np.zeros(256, bool)
        self._beside[[ord(delimiter), _LF, _CR, _QUOTE]] = True
        self._quotes = quotes
        self._begun = False
        self._inside = False
        self._last = _LF
        self._line = first
        self._opened = first
        self.first = first
        self.empty: list[int] = []
        self.several = False
        self.escaped = False
        self._held = b""  # the beginning of a character whose end is in the next chunk
        self._rest = b""  # what had no room in the last buffer

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = self._read(len(buffer))
            if not chunk:
                if self._inside:
                    raise ReadError(f"the quote in line {self._opened} is not closed: CSV has pairs of them, TSV none")
                return 0
            self._rest = self._text(chunk)
            if self._rest:
                self._look(self._rest)
        chunk, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def _read(self, size: int) -> bytes:
        """The next bytes, of the first ones without what marks them as UTF-8."""
        chunk = self._stream.read(size) or b""
        if not self._begun:
            # Raw streams give what they have.
            while chunk and len(chunk) < len(_BOM) and (more := self._stream.read(len(_BOM) - len(chunk))):
                chunk += more
            self._begun = True
            if chunk.startswith(_BOM):
                chunk = chunk[len(_BOM) :] or self._stream.read(size) or b""
        if chunk or not self._held:
            return chunk
        # A character that the file breaks off.
        chunk, self._held = self._held, b""
        self.escaped = True
        return chunk.decode("utf-8", "km3vo.escape").encode()

    def _text(self, chunk: bytes) -> bytes:
        """The chunk as UTF-8 up to its last whole character."""
        if not self._held and chunk.isascii():
            return chunk
        chunk, self._held = self._held + chunk, b""
        try:
            chunk.decode()
        except UnicodeDecodeError as error:
            if error.reason == "unexpected end of data" and error.start >= len(chunk) - 3:
                chunk, self._held = chunk[: error.start], chunk[error.start :]
                return chunk
            self.escaped = True
            # Without the last character, which may not be whole.
            whole = next((back for back in range(1, 4) if chunk[-back:][:1] >= b"\xc0"), 0)
            if whole:
                chunk, self._held = chunk[:-whole], chunk[-whole:]
            return chunk.decode("utf-8", "km3vo.escape").encode()
        return chunk

    def _look(self, chunk: bytes) -> None:
        letters = np.frombuffer(chunk, np.uint8)
        starts, stops = self._line_ends(chunk, letters)
        inside = None
        if self._quotes and (self._inside or self._last == _QUOTE or b'"' in chunk):
            marks = self._check_quotes(letters)
            inside = (np.searchsorted(marks, starts) + self._inside) % 2 == 1
            self.several = self.several or bool(inside.any())
            if len(marks) and (len(marks) + self._inside) % 2:
                # Only of a quote that is still open the line may be asked for.
                self._opened = self._line + int(np.searchsorted(starts, marks[-1]))
            self._inside = bool((len(marks) + self._inside) % 2)
        before = np.concatenate([[self._end_before(letters)], stops[:-1]]) if len(stops) else stops
        empty = starts == before
        if empty.any():
            if inside is not None:
                empty &= ~inside
            self.empty += (self._line + np.flatnonzero(empty)).tolist()
        self._line += len(starts)
        self._last = chunk[-1]

    def _line_ends(self, chunk: bytes, letters: _Letters) -> tuple[_Positions, _Positions]:
        """Where line ends start and stop. A CRLF that lies in two chunks belongs to the first of them."""
        feeds = np.flatnonzero(letters == _LF)
        if self._last == _CR and len(feeds) and feeds[0] == 0:
            feeds = feeds[1:]
        if b"\r" not in chunk:
            return feeds, feeds + 1
        returns = np.flatnonzero(letters == _CR)
        both = letters[np.minimum(returns + 1, len(letters) - 1)] == _LF
        alone = (
            feeds[letters[feeds - 1] != _CR]
            if len(feeds) and feeds[0]
            else np.concatenate([feeds[:1], feeds[1:][letters[feeds[1:] - 1] != _CR]])
        )
        starts = np.concatenate([returns, alone])
        stops = np.concatenate([returns + 1 + both, alone + 1])
        order = np.argsort(starts)
        return starts[order], stops[order]

    def _end_before(self, letters: _Letters) -> int:
        """Where the line end before this chunk stopped: at its start, after its first letter, or nowhere near."""
        if self._last not in (_LF, _CR):
            return -1
        return 1 if self._last == _CR and letters[0] == _LF else 0

    def _check_quotes(self, letters: _Letters) -> _Positions:
        """Where the quotes are. Each must begin a value or end it, or be one of two that stand for one."""
        marks = np.flatnonzero(letters == _QUOTE)
        opening = (np.arange(len(marks)) + self._inside) % 2 == 0
        before = np.where(marks > 0, letters[marks - 1], self._last)
        after = letters[np.minimum(marks + 1, len(letters) - 1)]  # of the last letter: itself
        wrong = ~self._beside[np.where(opening, before, after)]
        if self._last == _QUOTE and not self._inside and not self._beside[letters[0]]:
            raise self._stray(letters, 0)
        if wrong.any():
            raise self._stray(letters, int(marks[wrong][0]))
        return marks

    def _stray(self, letters: _Letters, place: int) -> ReadError:
        starts, _ = self._line_ends(letters.tobytes(), letters)
        return ReadError(
            f"line {self._line + int(np.searchsorted(starts, place))}: a quote stands beside other characters; "
            "put the whole value into quotes, and write a quote within it twice"
        )


class Tabs(io.RawIOBase):
    """Text with blanks between values, as text with tabs; at ``most`` so many in a line, where that is not negative."""

    def __init__(self, lines: io.BufferedIOBase, most: int = -1) -> None:
        self._lines = lines
        self._most = most
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            lines = self._lines.readlines(1 << 16)
            self._rest = b"".join(b"\t".join(self._values(line)) + b"\n" for line in lines)
        chunk, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def _values(self, line: bytes) -> list[bytes]:
        return [b" ".join(value.split()) for value in line.split(None, self._most)]
