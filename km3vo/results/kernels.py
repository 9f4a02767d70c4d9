"""Arrow's compute functions, looked up once.

A call of ``pyarrow.compute`` with a Python string costs more than the work on a small result: each string, and each
list, is first offered to pandas, which is looked for on disk when it is not installed (measured: 70 µs a call).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_cast = pc.get_function("cast")
_join_cells = pc.get_function("binary_join_element_wise")
_join_rows = pc.get_function("binary_join")
_replace = pc.get_function("replace_substring")
_replace_regex = pc.get_function("replace_substring_regex")
_choose = pc.get_function("if_else")
_replace_masked = pc.get_function("replace_with_mask")

_AS_STRING = pc.CastOptions.safe(pa.string())
_LIST = pa.list_(pa.string())

scalar = lru_cache(maxsize=256)(pa.scalar)
_joining = lru_cache(maxsize=64)(lambda missing: pc.JoinOptions("replace", missing))
_replacing = lru_cache(maxsize=256)(pc.ReplaceSubstringOptions)


def strings(array: pa.Array) -> pa.Array:
    """Numbers, booleans or moments as text."""
    return _cast.call([array], _AS_STRING)


def join_cells(arrays: Sequence[pa.Array | pa.Scalar], between: str | bytes, missing: str) -> pa.Array:
    """Row by row, the cells of several columns with ``between`` between them and ``missing`` for what is missing."""
    return _join_cells.call([*arrays, scalar(between)], _joining(missing))


def enclose(opening: str, array: pa.Array, closing: str) -> pa.Array:
    """Each string with something before and after it; what is missing stays missing."""
    return _join_cells.call([scalar(opening), array, scalar(closing), scalar("")], _KEEPING)


def join_rows(array: pa.Array, between: str) -> pa.Array:
    """One string (an array of one) of all strings of an array, none of which may be missing."""
    where = pa.py_buffer(np.array([0, len(array)], np.int32))
    one = pa.Array.from_buffers(_LIST, 1, [None, where], children=[array])
    return _join_rows.call([one, scalar(between)])


def join_lists(array: pa.Array, between: str) -> pa.Array:
    """Each list of strings as one string."""
    return _join_rows.call([array, scalar(between)])


def replace(array: pa.Array, old: str, new: str) -> pa.Array:
    """Strings with ``old`` replaced wherever it stands."""
    return _replace.call([array], _replacing(old, new))


def replace_pattern(array: pa.Array, pattern: str, new: str) -> pa.Array:
    """Strings with every match of a regular expression (RE2) replaced."""
    return _replace_regex.call([array], _replacing(pattern, new))


def choose(where: pa.Array, yes: pa.Array | pa.Scalar, no: pa.Array | pa.Scalar) -> pa.Array:
    """``yes`` where a condition holds, else ``no``; missing where the condition is missing."""
    return _choose.call([where, yes, no])


def put(array: pa.Array, where: pa.Array, found: pa.Array) -> pa.Array:
    """The array with the marked cells replaced by those of ``found``, one after the other."""
    return _replace_masked.call([array, where, found])


_KEEPING = pc.JoinOptions("emit_null")
