"""Cells of whatever Arrow type a file has them in, as what a column holds; a value without room in it is told.

What is rounded: doubles to floats, and fractions of microseconds. All else is kept exactly or refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from km3vo.column import Column
from km3vo.datatypes import DATATYPES
from km3vo.readers.arrays import absent, is_array, lists, size_of, stored_type, without_nan, wrong_sizes
from km3vo.readers.clocks import PAIR
from km3vo.readers.mistakes import Place
from km3vo.readers.moments import FIRST, LAST
from km3vo.readers.texts import Grammar, from_texts, wanted, within_bounds
from km3vo.results import views

Mask = npt.NDArray[np.bool_]
types = pa.types

_EXACT = 2**53  # whole numbers up to here are doubles
_EXACT_FLOAT = 2**24


@dataclass(frozen=True, slots=True)
class Forbidden:
    """Characters that texts may not hold (a regular expression), and what to say of one that does."""

    characters: str
    wrong: str


def misfit(type_: pa.DataType, column: Column) -> str | None:
    """Why cells of a type cannot become those of a column, whatever they hold; None when they may."""
    kind, place = _kind(type_), "a time" if column.xtype == "timestamp" and column.is_string else _wanted_kind(column)
    if kind == "nothing" or kind == "text":
        return None
    if kind == place or (kind == "whole numbers" and place in ("numbers", "text", "truth values")):
        return None
    if kind == "numbers" and place == "whole numbers":
        return None
    if kind.startswith("lists of ") and place.startswith("lists of "):
        return misfit(type_.value_type, _item(column))
    place = "times" if place == "a time" else place
    return f"it holds {kind}, where there should be {place}"


def fitted(
    column: Column,
    cells: pa.Array,
    grammar: Grammar,
    place: Place,
    forbidden: Forbidden | None = None,
    *,
    keep_nan: bool = False,
) -> pa.Array:
    """Cells in the Arrow type in which a column is stored (``arrays.stored_type``).

    Args:
        column: what they should be; ``misfit`` has nothing against their type.
        cells: as the file has them.
        grammar: how numbers are written, where cells are texts.
        place: where they are.
        forbidden: what texts may not hold.
        keep_nan: whether a NaN that stands alone stays one, instead of becoming a missing value.
    """
    target = stored_type(column)
    if len(cells) == 0 or types.is_null(cells.type):
        return pa.nulls(len(cells), target)
    if types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    if types.is_timestamp(target):
        return _times(cells, grammar, column, place)
    if _is_text(cells.type):
        texts = cells if cells.type == pa.string() else cells.cast(pa.string())
        if column.is_string:
            return _texts(column, texts, place, forbidden)
        return from_texts(column, texts, grammar, place, keep_nan=keep_nan).cast(target)
    if column.is_string:
        return _texts(column, cells.cast(pa.string()), place, forbidden)
    if types.is_list(target):
        return _lists(column, cells, target, place)
    return _scalars(column, cells, place, keep_nan)


def _kind(type_: pa.DataType) -> str:
    if types.is_dictionary(type_):
        return _kind(type_.value_type)
    if type_ == PAIR:
        return "a time"
    for kind, tests in _KINDS.items():
        if any(test(type_) for test in tests):
            return kind
    if _is_list(type_):
        return f"lists of {_kind(type_.value_type)}"
    return f"values of the type {type_}"


_KINDS = {
    "nothing": (types.is_null,),
    "text": (types.is_string, types.is_large_string, types.is_string_view),
    "whole numbers": (types.is_integer,),
    "numbers": (types.is_floating, types.is_decimal),
    "truth values": (types.is_boolean,),
    "a time": (types.is_timestamp, types.is_date),
}


def _wanted_kind(column: Column) -> str:
    if is_array(column):
        return f"lists of {_wanted_kind(_item(column))}"
    if column.is_string:
        return "text"
    known = DATATYPES[column.datatype]
    return "truth values" if column.datatype == "boolean" else "numbers" if known.low is None else "whole numbers"


def _item(column: Column) -> Column:
    return Column(name=column.name, datatype="double" if stored_is_double(column) else column.datatype)


def stored_is_double(column: Column) -> bool:
    """Whether the numbers of an array are kept in double precision."""
    return is_array(column) and stored_type(column).value_type == pa.float64()


def _is_list(type_: pa.DataType) -> bool:
    return bool(types.is_list(type_) or types.is_large_list(type_) or types.is_fixed_size_list(type_))


def _is_text(type_: pa.DataType) -> bool:
    return _kind(type_) == "text"


# Texts and times -----------------------------------------------------------------------------------------------------


def _texts(column: Column, texts: pa.Array, place: Place, forbidden: Forbidden | None) -> pa.Array:
    texts = within_bounds(column, texts, place)
    if forbidden is None:
        return texts
    bad = pc.match_substring_regex(texts, forbidden.characters)
    if not pc.any(bad).as_py():
        return texts
    bad = pc.fill_null(bad, False)
    for index in np.flatnonzero(bad.to_numpy(zero_copy_only=False)).tolist():
        place.tell(index, texts[index].as_py(), forbidden.wrong)
    return pc.if_else(bad, None, texts)


def _times(cells: pa.Array, grammar: Grammar, column: Column, place: Place) -> pa.Array:
    if _is_text(cells.type):
        return from_texts(column, cells.cast(pa.string()), grammar, place)
    if types.is_date(cells.type):
        unit, counts = "days", cells.cast(pa.date32()).cast(pa.int32()).cast(pa.int64())
    else:
        # Arrow keeps the moments of all zones in UTC.
        unit = cells.type.unit
        counts = cells.cast(pa.timestamp(unit)).cast(pa.int64())
    numbers, missing = views.values(counts), absent(cells)
    if unit == "ns":
        # Not (n + 500) // 1000, which would overflow at the ends.
        numbers = numbers // 1000 + (numbers % 1000 >= 500)
    else:
        factor = {"days": 86_400_000_000, "s": 1_000_000, "ms": 1000, "us": 1}[unit]
        # Of the years 1 to 9999, which is what can be written (DALI 1.1 §3.3.3).
        far = ~missing & ((numbers < FIRST // factor) | (numbers >= LAST // factor))
        for index in np.flatnonzero(far).tolist():
            place.tell(index, f"{numbers[index]} {unit}", "after 1970 is not in the years 1 to 9999")
        numbers, missing = np.where(far, 0, numbers) * factor, missing | far
    return pa.array(numbers, pa.int64(), mask=missing).cast(pa.timestamp("us"))


# Numbers -------------------------------------------------------------------------------------------------------------


def _scalars(column: Column, cells: pa.Array, place: Place, keep_nan: bool) -> pa.Array:
    values, bad = _numbers(column, cells)
    for index in np.flatnonzero(bad).tolist():
        value = cells[index].as_py()
        place.tell(index, value, f"is not {wanted(column)}{_because(column, cells.type, value)}")
    return values if keep_nan else without_nan(values)


def _because(column: Column, type_: pa.DataType, value: object) -> str:
    """Why a number may have no room in a column of numbers."""
    if column.datatype in ("float", "double"):
        return " that a float or double holds exactly" if types.is_integer(type_) else " that a float holds"
    if isinstance(value, float) and value.is_integer() and types.is_floating(type_):
        return ", or it was rounded before: whole numbers so large are not exact in the file's column of floats"
    return ""


def _lists(column: Column, cells: pa.Array, target: pa.DataType, place: Place) -> pa.Array:
    missing = absent(cells)
    if types.is_fixed_size_list(cells.type):
        counts = np.where(missing, 0, cells.type.list_size)
    else:
        counts = pc.fill_null(pc.list_value_length(cells), 0).to_numpy(zero_copy_only=False)
    flat = cells.flatten()
    item = _item(column)
    values, bad = _numbers(item, flat, nan=True)
    bad |= absent(flat) & (item.datatype not in ("float", "double"))
    found = lists(values.cast(target.value_type), counts, missing)
    wrong = misshapen = wrong_sizes(column, found)
    if bad.any():
        wrong = misshapen.copy()
        wrong[np.repeat(np.arange(len(cells)), counts)[bad]] = True
    if not wrong.any():
        return found
    size = size_of(column)
    whole = DATATYPES[item.datatype].low is not None
    for index in np.flatnonzero(wrong).tolist():
        values = cells[index].as_py()
        written = ",".join("null" if value is None else str(value) for value in values[:9])
        each = DATATYPES[item.datatype].words if whole else "one that a float or double holds"
        why = "" if misshapen[index] else f", each {each}"
        why += " (there is no room for missing ones)" if whole and None in values else ""
        place.tell(
            index,
            f"[{written}{',…' if len(values) > 9 else ''}]",
            f"is not a list of {'' if size is None else f'{size} '}numbers{why}",
        )
    return pc.if_else(pa.array(wrong), None, found)


def _numbers(column: Column, cells: pa.Array, *, nan: bool = False) -> tuple[pa.Array, Mask]:
    """Numbers of any type as those of a column, and which of them it cannot hold.

    Args:
        column: of single values.
        cells: whole numbers, floating ones, decimals or truth values.
        nan: whether a NaN is one also where only whole numbers have room, instead of a missing value.
    """
    target = pa.type_for_alias(DATATYPES[column.datatype].arrow)
    known = DATATYPES[column.datatype]
    missing = absent(cells)
    bad = np.zeros(len(cells), bool)
    if types.is_null(cells.type):
        return pa.nulls(len(cells), target), bad
    if column.datatype == "boolean":
        if not types.is_boolean(cells.type):
            numbers = _as_numpy(cells, 0)
            bad = ~missing & (numbers != 0) & (numbers != 1)
            cells = pa.array(numbers == 1, pa.bool_(), mask=missing | bad)
        return cells, bad
    if types.is_decimal(cells.type):
        if known.low is not None:
            whole = pc.equal(cells, pc.floor(cells))
            within = pc.and_(
                pc.greater_equal(cells, pa.scalar(known.low).cast(pa.decimal256(40, 0))),
                pc.less_equal(cells, pa.scalar(known.high).cast(pa.decimal256(40, 0))),
            )
            bad = ~pc.fill_null(pc.and_(whole, within), True).to_numpy(zero_copy_only=False)
            return pc.if_else(pa.array(bad), None, cells).cast(target), bad
        cells = cells.cast(pa.float64())
    numbers = _as_numpy(cells, 0)
    if known.low is None or known.high is None:
        return _floating(numbers, missing, target)
    if numbers.dtype.kind == "f":
        if not nan:
            missing = missing | np.isnan(numbers)
        with np.errstate(invalid="ignore"):
            # 2**63 as a float is just too large, and so is what lies below -2**63.
            whole = (numbers == np.floor(numbers)) & (numbers >= float(known.low)) & (numbers < float(known.high) + 1)
            # A number that has to be even was perhaps rounded: identifiers that pandas has in doubles.
            whole &= np.abs(numbers) < 2.0 ** (np.finfo(numbers.dtype).nmant + 1)
    else:
        whole = (numbers >= known.low) & (numbers <= known.high)
    bad = ~missing & ~whole
    kept = np.where(missing | bad, 0, numbers).astype(target.to_pandas_dtype())
    return pa.array(kept, target, mask=missing | bad), bad


def _floating(numbers: npt.NDArray[Any], missing: Mask, target: pa.DataType) -> tuple[pa.Array, Mask]:
    bad = np.zeros(len(numbers), bool)
    if numbers.dtype.kind in "iu":
        most = _EXACT if target == pa.float64() else _EXACT_FLOAT
        far = ~missing & ((numbers > most) | ((numbers < -most) if numbers.dtype.kind == "i" else False))
        if far.any():
            rounded = numbers.astype(target.to_pandas_dtype())
            # Back as Python's integers, which do not overflow.
            bad[far] = [int(one) != int(back) for one, back in zip(numbers[far], rounded[far], strict=True)]
    with np.errstate(over="ignore"):
        kept = numbers.astype(target.to_pandas_dtype())
    bad |= ~missing & np.isinf(kept) & np.isfinite(numbers)
    bad |= ~missing & (kept == 0) & (numbers != 0)
    return pa.array(kept, target, mask=missing | bad), bad


def _as_numpy(array: pa.Array, fill: float) -> npt.NDArray[Any]:
    """The values as numpy has them, with ``fill`` for missing ones; never by way of another type."""
    if array.null_count:
        array = array.fill_null(pa.scalar(fill).cast(array.type))
    found: npt.NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return found
