"""The heap behind a FITS table, where cells of variable length lie (FITS 4.0 §7.3.5)."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from km3vo.errors import ReadError

Bytes = npt.NDArray[np.uint8]
_Places = npt.NDArray[np.int64]
# Cells that lie this close together are read at once.
_SPAN = 32 * 2**20


class Heap:
    """Bytes in a file, from a place on, so many."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file = file
        self._start = start
        self.size = size

    def gather(self, places: _Places, lengths: _Places) -> Bytes:
        """Pieces one after the other, in the order of ``places``.

        Args:
            places: where each begins in the heap.
            lengths: bytes of each; together no more than can be held.
        """
        used = lengths > 0
        if not used.any():
            return np.zeros(0, np.uint8)
        places, lengths = places[used], lengths[used]
        low, high = int(places.min()), int((places + lengths).max())
        if high - low > _SPAN:
            return np.frombuffer(b"".join(map(self._read, places.tolist(), lengths.tolist())), np.uint8)
        raw = np.frombuffer(self._read(low, high - low), np.uint8)
        ends = np.cumsum(lengths)
        found: Bytes = raw[np.arange(ends[-1]) + np.repeat(places - low - (ends - lengths), lengths)]
        return found

    def _read(self, place: int, length: int) -> bytes:
        self._file.seek(self._start + place)
        raw = self._file.read(length)
        if len(raw) < length:
            raise ReadError("the file became shorter while it was read")
        return raw
