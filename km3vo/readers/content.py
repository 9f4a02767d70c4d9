"""The bytes of a file, unpacked where they are gzipped, as a stream that can be begun again."""

from __future__ import annotations

import gzip
import io
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from km3vo.errors import IncompleteError, ReadError, TooLargeError

GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20
# Kept in memory so long when a compressed file has to be read here and there.
_MEMORY = 8 << 20

# Is told how many bytes are about to be kept, in memory or on disk; raises when there is no room for them.
Reserve = Callable[[int], None]


class Content:
    """A file's bytes.

    Args:
        file: opened for reading, at any place; stays the caller's.
        truncated: whether it is known that its end is missing.
        reserve: is told how many bytes are about to be kept.
        most: how many it may have, also unpacked, or None for any number.

    Attributes:
        packed: whether the file is gzipped.
        size: of the file as it is.
        cut: whether its compression ended too early, known when it has been read.
    """

    def __init__(
        self, file: BinaryIO, *, truncated: bool = False, reserve: Reserve = lambda count: None, most: int | None = None
    ) -> None:
        self._file = file
        self._truncated = truncated
        self._reserve = reserve
        self.size = file.seek(0, io.SEEK_END)
        file.seek(0)
        self.packed = file.read(2) == GZIP
        self.cut = False
        self.most = most
        self.check(self.size)

    def check(self, size: int) -> None:
        """Refuse more bytes than there may be.

        Raises:
            TooLargeError: there are.
        """
        if self.most is not None and size > self.most:
            raise TooLargeError(f"uploads may have {self.most} bytes together, unpacked; these have more")

    def head(self, count: int) -> bytes:
        """The first bytes, fewer if there are no more.

        Raises:
            ReadError: it is packed twice, or damaged.
        """
        stream = self.stream()
        pieces, size = [], 0
        while size < count and (piece := stream.read(count - size)):
            pieces.append(piece)
            size += len(piece)
        found = b"".join(pieces)
        if self.packed and found.startswith(GZIP):
            raise ReadError("it is compressed twice: unpack it once")
        return found

    def done(self) -> int:
        """How many bytes of the file have been read."""
        return self._file.tell()

    def stream(self) -> io.RawIOBase:
        """The bytes from the first one on. There is one stream at a time.

        Reading from it raises:
                ReadError: the compression is damaged, or ends too early and nobody knew.
            TooLargeError: there are more bytes than allowed.
        """
        self._file.seek(0)
        return _Unpacked(self) if self.packed else _Plain(self._file)

    def seekable(self) -> BinaryIO:
        """The bytes as a file in which one can go back: the file itself, or an unpacked copy of it.

        Raises what ``reserve`` raises, and ReadError as for ``stream``.
        """
        if not self.packed:
            self._file.seek(0)
            return self._file
        copy = tempfile.SpooledTemporaryFile(max_size=_MEMORY)  # noqa: SIM115  (it is handed on)
        try:
            stream = self.stream()
            while piece := stream.read(_CHUNK):
                self._reserve(len(piece))
                copy.write(piece)
        except BaseException:
            copy.close()
            raise
        copy.seek(0)
        return copy  # type: ignore[return-value]


@contextmanager
def kept_open(content: Content) -> Iterator[tuple[BinaryIO, Callable[[], None]]]:
    """The bytes as a file in which one can go back, and how to close it later; closed at once when something fails."""
    file = content.seekable()
    close = file.close if content.packed else lambda: None
    try:
        yield file, close
    except BaseException:
        close()
        raise


class _Plain(io.RawIOBase):
    """A file that stays open when a reader of it is closed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._file.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)


class _Unpacked(io.RawIOBase):
    """What a gzip file holds."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._size = 0
        self._unpacked = gzip.GzipFile(fileobj=content._file, mode="rb")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            # At most one piece at a time, so that none is lost when there is no next one.
            found = self._unpacked.read1(min(len(buffer), _CHUNK))
        except EOFError:
            if not self._content._truncated:
                raise IncompleteError("its gzip compression ends too early") from None
            self._content.cut = True
            return 0
        except (OSError, zlib.error):
            raise ReadError("its gzip compression is damaged") from None
        self._size += len(found)
        self._content.check(self._size)
        buffer[: len(found)] = found
        return len(found)
