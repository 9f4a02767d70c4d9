"""Columns of numpy arrays, as HDF5 and ROOT files give them, in Arrow; and what is said of damaged files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa

from km3vo.column import Column
from km3vo.datatypes import Datatype
from km3vo.errors import Km3voError, ReadError

# By kind and size of a numpy type. What has no datatype of its own is in the next larger one.
_DATATYPES: dict[str, Datatype] = {
    "b1": "boolean", "i1": "short", "u1": "unsignedByte", "i2": "short", "u2": "int", "i4": "int", "u4": "long",
    "i8": "long", "u8": "long", "f2": "float", "f4": "float", "f8": "double",
}  # fmt: skip


@contextmanager
def explained(kind: str, *faults: type[Exception]) -> Iterator[None]:
    """What a library raises of a damaged file, in one sentence.

    Args:
        kind: of file.
        faults: what it raises then.

    Raises:
        ReadError: one of those.
    """
    try:
        yield
    except (Km3voError, pa.ArrowException, MemoryError):
        raise
    except faults:
        raise ReadError(
            f"it is no {kind} file that can be read: it is damaged, or of a kind that is not known"
        ) from None


def datatype(dtype: np.dtype[Any]) -> Datatype | None:
    """The datatype of numbers or truth values of a numpy type; None when there is none."""
    return _DATATYPES.get(dtype.newbyteorder("=").str[1:])


def arrow_type(dtype: np.dtype[Any]) -> pa.DataType:
    """The Arrow type of numbers or truth values of a numpy type."""
    return pa.from_numpy_dtype(dtype.newbyteorder("="))


def described(name: str, number: int, kind: Datatype, arraysize: str | None = None, **about: Any) -> Column:
    """A column as its file describes it."""
    return Column(name=name, datatype=kind, arraysize=arraysize, sql=f"c{number}", **about)


def native(cells: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same numbers in this machine's byte order, one after the other in memory."""
    return np.ascontiguousarray(cells, cells.dtype.newbyteorder("="))


def rows(cells: np.ndarray[Any, Any], missing: np.ndarray[Any, Any] | None = None) -> pa.Array:
    """An array with a number, or a list of numbers, for each row; ``missing`` are those that stand for none."""
    numbers = pa.array(native(cells).reshape(-1), mask=None if missing is None else missing.reshape(-1))
    return numbers if cells.ndim == 1 else pa.FixedSizeListArray.from_arrays(numbers, int(np.prod(cells.shape[1:])))
