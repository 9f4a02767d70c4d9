"""Arrow arrays as numpy sees them, without a copy and without a Python object per cell.

Arrow's own ``to_numpy`` turns integers with a missing value into floats; these views keep the type and give the
missing values apart. Layouts: Arrow Columnar Format 1.5, "Variable-size Binary", "Validity bitmaps".
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Offsets = npt.NDArray[np.int32]

_DTYPES: dict[pa.DataType, np.dtype[Any]] = {
    pa.int16(): np.dtype("i2"),
    pa.int32(): np.dtype("i4"),
    pa.int64(): np.dtype("i8"),
    pa.float32(): np.dtype("f4"),
    pa.float64(): np.dtype("f8"),
    pa.timestamp("us"): np.dtype("i8"),
}


def nulls(array: pa.Array) -> Mask | None:
    """Where values are missing, or None when none is."""
    if array.null_count == 0:
        return None
    validity = array.buffers()[0]
    if validity is None:  # an array of type null
        return np.ones(len(array), bool)
    return ~_bits(validity, array.offset, len(array))


def values(array: pa.Array, fill: Any = 0) -> npt.NDArray[Any]:
    """The values of a boolean, integer or floating array, with ``fill`` where one is missing; moments as integers."""
    data = array.buffers()[1]
    dtype = _DTYPES.get(array.type)
    if dtype is None:
        found: npt.NDArray[Any] = _bits(data, array.offset, len(array))
    else:
        found = np.frombuffer(data, dtype, len(array), array.offset * dtype.itemsize)
    missing = nulls(array)
    if missing is not None:
        found = found.copy()
        found[missing] = fill
    return found


def offsets(array: pa.Array) -> Offsets:
    """Where each cell of a string, binary or list array begins, and one more: where the last one ends."""
    return np.frombuffer(array.buffers()[1], np.int32, len(array) + 1, array.offset * 4)


def lengths(array: pa.Array) -> Offsets:
    """Bytes (or list elements) in each cell; 0 where it is missing."""
    found = np.diff(offsets(array))
    missing = nulls(array)
    if missing is not None:
        found[missing] = 0
    return found


def data(array: pa.Array) -> Bytes:
    """All bytes of a string or binary array, from its first cell to its last."""
    where = offsets(array)
    first, last = int(where[0]), int(where[-1])
    if first == last:
        return np.empty(0, np.uint8)
    return np.frombuffer(array.buffers()[2], np.uint8, last - first, first)


def binary(count: int, where: npt.NDArray[Any], content: Any, missing: Mask | None = None) -> pa.Array:
    """A binary array of ``count`` cells made from offsets and bytes.

    Args:
        where: ``count + 1`` offsets into ``content``.
        content: any buffer.
        missing: where cells are null, or None.
    """
    validity = None if missing is None else bitmap(missing)
    buffers = [validity, pa.py_buffer(np.ascontiguousarray(where, np.int32)), pa.py_buffer(content)]
    return pa.Array.from_buffers(pa.binary(), count, buffers)


def ends(widths: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Offsets of cells that lie one after the other, from their widths."""
    found = np.zeros(len(widths) + 1, np.int64)
    np.cumsum(widths, out=found[1:])
    return found


def bitmap(missing: Mask) -> pa.Buffer:
    """Arrow's validity bitmap."""
    return pa.py_buffer(np.packbits(~missing, bitorder="little"))


def _bits(buffer: pa.Buffer, offset: int, count: int) -> Mask:
    """``count`` bits of a bitmap, the least significant bit of each byte first."""
    first = offset // 8
    packed = np.frombuffer(buffer, np.uint8, (offset + count + 7) // 8 - first, first)
    skip = offset - first * 8
    return np.unpackbits(packed, count=skip + count, bitorder="little")[skip:].view(bool)
