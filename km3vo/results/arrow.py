"""Arrow's own formats: IPC streams, and Parquet files that carry the header of a VOTable."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from km3vo.column import Column
from km3vo.results import systems, views, votable
from km3vo.results.blocks import blocks, chunks
from km3vo.results.stream import Result, arrow_type
from km3vo.results.text import timestamps

# Rows are read back in groups of this size or larger: small enough for a flat memory here, large enough to compress.
_GROUP_ROWS = 65536
_GROUP_BYTES = 16 * 1024 * 1024


def write_stream(result: Result) -> Iterator[bytes]:
    """An Arrow IPC stream; each field's metadata give unit, UCD, description and the rest under VOTable's names.

    The schema's metadata have the INFOs of a VOTable under "infos", as JSON: a list of objects with name and value.
    Rows left out because of a limit are marked by a last, empty batch whose metadata say QUERY_STATUS OVERFLOW.
    An error is raised: the stream then lacks its end.
    """
    return chunks(result, _stream(result))


def write_parquet(result: Result) -> Iterator[bytes]:
    """A Parquet file with the VOTable header that VOParquet 1.0 asks for in its key-value metadata.

    The header ends with QUERY_STATUS OVERFLOW where rows were left out. An error is raised: the file then lacks the
    footer without which nothing can read it.
    """
    return chunks(result, _parquet(result))


class _Outlet(io.RawIOBase):
    """A file that only remembers what was written since it was last asked."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def _stream(result: Result) -> Iterator[bytes]:
    infos = [{"name": info.name, "value": info.value} for info in (*result.infos, *result.table_infos)]
    schema = _schema(result).with_metadata({"infos": json.dumps(infos, ensure_ascii=False)})
    outlet = _Outlet()
    with pa.ipc.new_stream(outlet, schema) as writer:
        for block in blocks(result):
            writer.write_batch(pa.RecordBatch.from_arrays(block.columns, schema=schema))
            yield outlet.take()
        if result.overflow:
            empty = pa.RecordBatch.from_pylist([], schema=schema)
            writer.write_batch(empty, custom_metadata={"QUERY_STATUS": "OVERFLOW"})
    yield outlet.take()


def _parquet(result: Result) -> Iterator[bytes]:
    # Moments are written as the VOTable header describes them, as text: astropy and STILTS read both or neither.
    moments = [index for index, column in enumerate(result.columns) if column.xtype == "timestamp"]
    schema = _schema(result)
    for index in moments:
        schema = schema.set(index, schema.field(index).with_type(pa.string()))
    outlet = _Outlet()
    # A dictionary pays where values repeat; numbers of an event list do not, and strings fall back when they do not.
    repeating = [column.name for column in result.columns if column.is_string]
    writer = pq.ParquetWriter(outlet, schema, compression="zstd", compression_level=1, use_dictionary=repeating)
    waiting: list[pa.RecordBatch] = []
    widths = {index: 1 for index, column in enumerate(result.columns) if column.is_string}
    rows = size = 0
    for block in blocks(result):
        arrays = block.columns
        for index in moments:
            arrays[index] = timestamps(arrays[index])
        for index, width in widths.items():
            widths[index] = max(width, int(views.lengths(arrays[index]).max()))
        waiting.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
        rows += block.num_rows
        size += block.nbytes
        if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            writer.write_table(pa.Table.from_batches(waiting), row_group_size=rows)
            waiting.clear()
            rows = size = 0
        yield outlet.take()
    if waiting:
        writer.write_table(pa.Table.from_batches(waiting), row_group_size=rows)
    # The header comes last, so it can say how long strings really are: of "*", astropy 8 makes a column of objects,
    # to which it then cannot add the strings.
    columns = tuple(
        replace(column, arraysize=str(widths[index])) if index in widths else column
        for index, column in enumerate(result.columns)
    )
    header = votable.dataless(result, columns)
    writer.add_key_value_metadata({"IVOA.VOTable-Parquet.version": "1.0", "IVOA.VOTable-Parquet.content": header})
    writer.close()
    yield outlet.take()


def _schema(result: Result) -> pa.Schema:
    return pa.schema([_field(column) for column in result.columns])


def _field(column: Column) -> pa.Field:
    metadata = {
        name: value for name in ("unit", "ucd", "utype", "xtype", "description") if (value := getattr(column, name))
    }
    return pa.field(column.name, arrow_type(column), metadata=metadata | systems.described(column))
