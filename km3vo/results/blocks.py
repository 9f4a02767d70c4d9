"""The rows of a result cut to the size that writers work on, and what they make of it cut to the size that is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa

from km3vo.results.stream import Result, arrow_type

# Bytes of Arrow data that are formatted in one go: the work then stays in the processor's cache, and the
# text made of it, up to three times as long, is still a moderate chunk.
_BLOCK_BYTES = 384 * 1024
_BLOCK_ROWS = 65536
# Fewer rows than this are never cut: measuring a batch costs more than it gains.
_SMALL_ROWS = 1024
_SMALLEST_CHUNK = 64 * 1024
_LARGEST_CHUNK = 1024 * 1024


def blocks(result: Result) -> Iterator[pa.RecordBatch]:
    """Yield the rows in blocks whose arrays have exactly the types that ``stream.arrow_type`` states.

    Raises what the source raises.
    """
    types = [arrow_type(column) for column in result.columns]
    for batch in result.batches():
        if batch.schema.types != types:
            batch = _converted(batch, types)
        if batch.num_rows <= _SMALL_ROWS:
            yield batch
            continue
        step = min(_BLOCK_ROWS, max(_SMALL_ROWS, batch.num_rows * _BLOCK_BYTES // max(1, batch.nbytes)))
        for start in range(0, batch.num_rows, step):
            yield batch.slice(start, step)


def surviving_blocks(result: Result) -> Iterator[pa.RecordBatch]:
    """Like ``blocks``, but an error ends the rows instead of being raised: ``result.failed`` tells.

    For formats that can say in their last lines that something is missing.
    """
    try:
        yield from blocks(result)
    except Exception as error:
        result.fail(error)


def encoded(
    result: Result, rows: Iterable[pa.RecordBatch], encode: Callable[[pa.RecordBatch], bytes]
) -> Iterator[bytes]:
    """Each block as bytes; a block that cannot be written ends the rows, and ``result.failed`` tells."""
    try:
        for block in rows:
            yield encode(block)
    except Exception as error:
        result.fail(error)


def chunks(result: Result, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join small pieces into chunks of at least 64 KiB, and cut large ones to 1 MiB; but send the first one at once.

    However the writing ends, the result is closed, so that a query behind it can be cancelled.
    """
    try:
        yield from _chunks(pieces)
    finally:
        result.close()


def _chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    waiting: list[bytes] = []
    size = 0
    for number, piece in enumerate(pieces):
        waiting.append(piece)
        size += len(piece)
        if number == 0 or size >= _SMALLEST_CHUNK:
            whole = piece if len(waiting) == 1 else b"".join(waiting)
            if size <= _LARGEST_CHUNK:
                yield whole
            else:
                yield from (whole[start : start + _LARGEST_CHUNK] for start in range(0, size, _LARGEST_CHUNK))
            waiting.clear()
            size = 0
    if size:
        yield b"".join(waiting)


def _converted(batch: pa.RecordBatch, types: list[pa.DataType]) -> pa.RecordBatch:
    if batch.num_columns != len(types):
        raise ValueError(f"a batch has {batch.num_columns} columns where the result has {len(types)}")
    arrays = [
        array if array.type == wanted else array.cast(wanted)
        for array, wanted in zip(batch.columns, types, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, names=[str(index) for index in range(len(types))])
