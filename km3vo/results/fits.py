"""FITS binary tables (FITS 4.0 §7.3).

A FITS header tells the number of rows and the width of strings before the first row, so the rows first go to a
temporary file, in Arrow's own form and measured on the way, and are written once their measures are known.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from km3vo.column import Column
from km3vo.datatypes import DATATYPES
from km3vo.errors import DataError
from km3vo.results import views
from km3vo.results.binary import elements, is_fixed
from km3vo.results.blocks import blocks, chunks
from km3vo.results.stream import Result
from km3vo.results.text import timestamps

_BLOCK = 2880
_BLOCK_BYTES = 512 * 1024
_MEMORY = 4 * 1024 * 1024
# Strings go to the heap, where each takes its own length, when padding them all to the longest would waste this much.
# Below that they stay in the rows, where every reader finds them.
_WASTE = 32 * 1024 * 1024

_CODES = {datatype: known.fits for datatype, known in DATATYPES.items()}
_DTYPES = {known.fits: known.binary for known in DATATYPES.values() if known.fits != "A"}
_INTEGERS = {
    known.fits: (known.low, known.high)
    for known in DATATYPES.values()
    if known.low is not None and known.high is not None
}
_WIDER = {"B": "I", "I": "J", "J": "K"}


@dataclass(slots=True)
class _Measure:
    """What has been seen of a column.

    Attributes:
        longest, total: of its cells of variable length, in bytes or elements.
        missing: whether an integer is missing.
        taken: which of the values that could stand for a missing integer occur.
    """

    longest: int = 1
    total: int = 0
    missing: bool = False
    taken: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a column is written.

    Attributes:
        code: letter of TFORM.
        size: elements in each row, or None when cells lie in the heap.
        longest: elements of the longest cell.
        null: what stands for a missing integer, or None.
    """

    column: Column
    code: str
    size: int | None
    longest: int
    null: int | None


def write(result: Result) -> Iterator[bytes]:
    """A FITS file with the rows in its first extension.

    Missing integers are TNULL, missing floats NaN; a missing string is empty and, as FITS has it, loses blanks at its
    end. Text beyond ASCII is UTF-8. Rows left out because of a limit are told by the keyword QSTATUS = 'OVERFLOW'.
    An error is raised, before the table begins.
    """
    return chunks(result, _pieces(result))


def _pieces(result: Result) -> Iterator[bytes]:
    with tempfile.SpooledTemporaryFile(max_size=_MEMORY) as spool:
        measures = _spool(result, spool)
        plans = [_plan(column, measure, result.rows) for column, measure in zip(result.columns, measures, strict=True)]
        heap = sum(_heap_bytes(plan, measure) for plan, measure in zip(plans, measures, strict=True))
        # Positions in the heap have 32 bits where that is enough: every reader knows those.
        pointer = np.dtype(">i4") if heap < 2**31 else np.dtype(">i8")
        row = _row(plans, pointer)
        yield _headers(result, plans, row.itemsize, heap, pointer)
        written = result.rows * row.itemsize + heap
        position = 0
        for block in _spooled(spool, row.itemsize):
            records = np.zeros(block.num_rows, row)
            for index, plan in enumerate(plans):
                position = _fill(records, f"c{index}", block.column(index), plan, position)
            yield records.tobytes()
        if heap:
            for block in _spooled(spool, row.itemsize):
                for index, plan in enumerate(plans):
                    if plan.size is None:
                        yield _flat(block.column(index), plan)
        yield b"\0" * (-written % _BLOCK)


def _spool(result: Result, spool: IO[bytes]) -> list[_Measure]:
    """Put the rows into the temporary file and measure them."""
    measures = [_Measure() for _ in result.columns]
    writer = None
    for block in blocks(result):
        arrays = [timestamps(array) if pa.types.is_timestamp(array.type) else array for array in block.columns]
        for array, column, measure in zip(arrays, result.columns, measures, strict=True):
            _observe(array, column, measure)
        block = pa.RecordBatch.from_arrays(arrays, names=[str(index) for index in range(len(arrays))])
        if writer is None:
            writer = pa.ipc.new_stream(spool, block.schema)
        writer.write_batch(block)
    if writer is not None:
        writer.close()
    return measures


def _spooled(spool: IO[bytes], width: int) -> Iterator[pa.RecordBatch]:
    """The rows from the temporary file, in blocks that make about half a megabyte of table."""
    spool.seek(0)
    if spool.read(1):
        spool.seek(0)
        step = max(1, _BLOCK_BYTES // width)
        for block in pa.ipc.open_stream(spool):
            for start in range(0, block.num_rows, step):
                yield block.slice(start, step)


def _observe(array: pa.Array, column: Column, measure: _Measure) -> None:
    if pa.types.is_string(array.type) or not is_fixed(column):
        lengths = views.lengths(array)
        measure.longest = max(measure.longest, int(lengths.max()))
        measure.total += int(lengths.sum())
    if _CODES[column.datatype] in _INTEGERS:
        if pa.types.is_list(array.type):
            # In the heap it has no elements, and TNULL in such a column is more than astropy 8 can read.
            measure.missing |= array.null_count > 0 and is_fixed(column)
            array = array.flatten()
        measure.missing |= array.null_count > 0
        found = views.values(array)[~missing] if (missing := views.nulls(array)) is not None else views.values(array)
        measure.taken.update(value for value in _candidates(_CODES[column.datatype]) if (found == value).any())


def _candidates(code: str) -> tuple[int, ...]:
    """Values that may stand for a missing integer, the customary ones first."""
    low, high = _INTEGERS[code]
    return (high, high - 1) if code == "B" else (low, low + 1, high)


def _plan(column: Column, measure: _Measure, rows: int) -> _Plan:
    if column.is_string:
        padded = measure.longest * rows
        heap = padded > 4 * measure.total and padded - measure.total > _WASTE
        return _Plan(column, "A", None if heap else measure.longest, measure.longest, None)
    code, null = _CODES[column.datatype], None
    if measure.missing:
        code, null = _null(column, code, measure)
    return _Plan(column, code, elements(column) if is_fixed(column) else None, measure.longest, null)


def _null(column: Column, code: str, measure: _Measure) -> tuple[str, int]:
    """A value that no cell has, if need be of a wider type."""
    for value in _candidates(code):
        if value not in measure.taken:
            return code, value
    if code in _WIDER:
        return _WIDER[code], _INTEGERS[_WIDER[code]][0]
    raise DataError(
        f"Column {column.name} leaves no number free that could stand for a missing one in FITS. "
        "Ask for RESPONSEFORMAT=parquet or votable instead."
    )


def _row(plans: list[_Plan], pointer: np.dtype[Any]) -> np.dtype[Any]:
    fields: list[Any] = []
    for index, plan in enumerate(plans):
        name = f"c{index}"
        if plan.size is None:
            fields.append((name, pointer, (2,)))
        elif plan.code == "A":
            fields.append((name, "u1", (plan.size,)))
        elif plan.size == 1:
            fields.append((name, _DTYPES[plan.code]))
        else:
            fields.append((name, _DTYPES[plan.code], (plan.size,)))
    return np.dtype(fields)


def _fill(records: npt.NDArray[Any], name: str, array: pa.Array, plan: _Plan, position: int) -> int:
    """Set a column of the records; return where the next cell goes in the heap."""
    cells = records[name]
    if plan.size is None:
        lengths = views.lengths(array)
        width = 1 if plan.code == "A" else np.dtype(_DTYPES[plan.code]).itemsize
        ends = views.ends(lengths)
        cells[:, 0] = lengths
        cells[:, 1] = position + ends[:-1] * width
        return position + int(ends[-1]) * width
    if plan.code == "A":
        lengths = views.lengths(array)
        # Row by row, the marked bytes are the strings one after the other.
        cells[np.arange(plan.size) < lengths[:, None]] = _characters(array)
    elif plan.code == "L":
        missing = views.nulls(array)
        cells[:] = np.where(views.values(array), ord("T"), ord("F"))
        if missing is not None:
            cells[missing] = 0
    elif pa.types.is_list(array.type):
        _fill_lists(cells, array, plan)
    else:
        cells[:] = _numbers(array, plan)
    return position


def _fill_lists(cells: npt.NDArray[Any], array: pa.Array, plan: _Plan) -> None:
    missing = views.nulls(array)
    there = np.ones(len(array), bool) if missing is None else ~missing
    if (views.lengths(array)[there] != plan.size).any():
        raise DataError(f"Column {plan.column.name} should hold {plan.size} numbers in each cell and does not.")
    cells[:] = _missing(plan)
    cells[there] = _numbers(array.flatten(), plan).reshape(-1, *cells.shape[1:])


def _flat(array: pa.Array, plan: _Plan) -> bytes:
    """The cells of a column one after the other, as they lie in the heap."""
    if plan.code == "A":
        return _characters(array).tobytes()
    return _numbers(array.flatten(), plan).tobytes()


def _numbers(array: pa.Array, plan: _Plan) -> npt.NDArray[Any]:
    # First the type, which may have been widened to make room for what stands for a missing number.
    found = views.values(array).astype(_DTYPES[plan.code])
    missing = views.nulls(array)
    if missing is not None:
        found[missing] = _missing(plan)
    return found


def _characters(array: pa.Array) -> npt.NDArray[np.uint8]:
    return views.data(array.fill_null("") if array.null_count else array)


def _missing(plan: _Plan) -> float:
    return np.nan if plan.code in "DE" else plan.null or 0


def _heap_bytes(plan: _Plan, measure: _Measure) -> int:
    if plan.size is not None:
        return 0
    return measure.total * (1 if plan.code == "A" else np.dtype(_DTYPES[plan.code]).itemsize)


def _headers(result: Result, plans: list[_Plan], width: int, heap: int, pointer: np.dtype[Any]) -> bytes:
    """The primary header, which has no data, and the header of the table."""
    # Here and not above: it takes a third of a second, and only FITS needs it.
    from astropy.io.fits import Header

    primary = Header([("SIMPLE", True), ("BITPIX", 8), ("NAXIS", 0), ("EXTEND", True)])
    header = Header(
        [
            ("XTENSION", "BINTABLE"),
            ("BITPIX", 8),
            ("NAXIS", 2),
            ("NAXIS1", width, "bytes in a row"),
            ("NAXIS2", result.rows, "rows"),
            ("PCOUNT", heap),
            ("GCOUNT", 1),
            ("TFIELDS", len(plans)),
            ("EXTNAME", _printable(result.name)),
        ]
    )
    for number, plan in enumerate(plans, 1):
        for keyword, value in _cards(plan, pointer).items():
            if value not in (None, ""):
                header[f"{keyword}{number}"] = value
    header["QSTATUS"] = "OVERFLOW" if result.overflow else "OK", "OVERFLOW: there are more rows"
    for info in (*result.infos, *result.table_infos):
        header.add_comment(_printable(f"{info.name}: {info.value}"))
    return b"".join(card.tostring().encode("ascii") for card in (primary, header))


def _cards(plan: _Plan, pointer: np.dtype[Any]) -> dict[str, Any]:
    column = plan.column
    form = f"{plan.size}{plan.code}" if plan.code == "A" or plan.size not in (None, 1) else plan.code
    if plan.size is None:
        form = f"1{'P' if pointer.itemsize == 4 else 'Q'}{plan.code}({plan.longest})"
    shape = column.arraysize if not column.is_string and plan.size is not None else ""
    return {
        "TTYPE": _printable(column.name),
        "TFORM": form,
        "TNULL": plan.null,
        "TUNIT": _printable(column.unit),
        "TDIM": f"({shape.replace('x', ',')})" if shape and "x" in shape else "",
        # As STILTS and TOPCAT write and read them.
        "TUCD": _printable(column.ucd),
        "TUTYP": _printable(column.utype),
        "TXTYP": _printable(column.xtype),
        "TCOMM": _printable(column.description),
    }


def _printable(text: str | None) -> str:
    """What a FITS header can hold (FITS 4.0 §4.1.2.3): printable ASCII."""
    return re.sub(r"\s+", " ", text or "").encode("ascii", "replace").decode().translate(_UNPRINTABLE)


_UNPRINTABLE = dict.fromkeys([*range(32), 127], " ")
