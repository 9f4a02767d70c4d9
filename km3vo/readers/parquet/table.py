"""Parquet files: of pyarrow and pandas, with the metadata of astropy, and VOParquet 1.0."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from km3vo.column import Column
from km3vo.datatypes import Datatype
from km3vo.errors import ReadError
from km3vo.readers import serialized
from km3vo.readers.content import Content
from km3vo.readers.fits.systems import of_metadata
from km3vo.readers.marks import checked
from km3vo.readers.mistakes import Note, Place, named, shown
from km3vo.readers.opened import BLOCK_BYTES, ROWS, Block, FileColumn, Opened, Options, RowsRead
from km3vo.readers.parquet import pages
from km3vo.readers.texts import as_text
from km3vo.readers.votable import table as votable

MAGIC = b"PAR1"
_VOTABLE = b"IVOA.VOTable-Parquet.content"
_YAML = b"table_meta_yaml"
_MOST = 10_000  # columns
types = pa.types

_DATATYPES: tuple[tuple[Any, Datatype], ...] = (
    (types.is_boolean, "boolean"),
    (types.is_uint8, "unsignedByte"),
    (types.is_int8, "short"),
    (types.is_int16, "short"),
    (types.is_uint16, "int"),
    (types.is_int32, "int"),
    (types.is_integer, "long"),
    (types.is_float16, "float"),
    (types.is_float32, "float"),
    (types.is_floating, "double"),
    (types.is_timestamp, "char"),
    (types.is_date, "char"),
    (types.is_string, "char"),
    (types.is_large_string, "char"),
    (types.is_string_view, "char"),
    (types.is_binary, "char"),
    (types.is_large_binary, "char"),
    (types.is_binary_view, "char"),
    (types.is_null, "char"),
)


def open_parquet(content: Content, note: Note, options: Options) -> Opened:
    """Open a Parquet file.

    Raises:
        ReadError: it is damaged, its parts contradict each other, or a column is of a type that is not supported.
        TooLargeError: it unpacks to more bytes than ``options`` allow.
    """
    if options.table is not None:
        raise ReadError("a Parquet file holds one table")
    file = content.seekable()
    _check_footer(file)
    try:
        reader = _reader(file, [])
        metadata, schema = reader.metadata, reader.schema_arrow
        if len(schema) > _MOST:
            raise ReadError(f"a table may have {_MOST} columns; this one has {len(schema)}")
        columns = [_column(item, number) for number, item in enumerate(schema, 1)]
        if metadata.num_columns != len(columns):
            raise ReadError("its columns are not what its schema says")
        sizes = pages.measure(file, metadata, options.most_bytes)
        expanding = [
            item.name
            for item, each in zip(schema, sizes, strict=True)
            if each.dictionary * metadata.num_rows > BLOCK_BYTES
        ]
        if expanding:
            # Texts stay in their dictionary until it is known how much they are.
            reader = _reader(file, expanding)
    except (pa.ArrowException, OSError, OverflowError, UnicodeDecodeError):
        raise _damaged() from None
    longest = max((each.cell * each.width for each in sizes if each.cell > 1), default=1)
    progress = RowsRead()
    blocks = _blocks(reader, columns, max(1, min(ROWS, 4 * BLOCK_BYTES // longest)), note, progress)
    opened = Opened(columns, blocks, "row", 1, progress.done, metadata.num_rows)
    # Of a file with a schema of Arrow's own, that has only what was known before the rows were written.
    return _described(opened, (metadata.metadata or {}) | (schema.metadata or {}), note, options)


def _reader(file: BinaryIO, dictionaries: list[str]) -> pq.ParquetFile:
    file.seek(0)
    return pq.ParquetFile(
        pa.PythonFile(file, "r"),
        read_dictionary=dictionaries,
        page_checksum_verification=True,
        thrift_string_size_limit=pages.FOOTER_BYTES,
        thrift_container_size_limit=1_000_000,
    )


def _damaged() -> ReadError:
    return ReadError("it is no Parquet file that can be read: it is damaged, or has no end")


def _check_footer(file: BinaryIO) -> None:
    size = file.seek(0, 2)
    if size < 12:
        raise _damaged()
    file.seek(size - 8)
    length, magic = struct.unpack("<I4s", file.read(8))
    if magic != MAGIC or length > size - 12:
        raise _damaged()
    if length > pages.FOOTER_BYTES:
        raise ReadError(f"its footer has more than {pages.FOOTER_BYTES} bytes")


def _column(item: pa.Field, number: int) -> FileColumn:
    type_ = item.type
    inner = type_.value_type if types.is_dictionary(type_) else type_
    arraysize = None
    if types.is_list(inner) or types.is_large_list(inner) or types.is_fixed_size_list(inner):
        arraysize = str(inner.list_size) if types.is_fixed_size_list(inner) else "*"
        inner = inner.value_type
    datatype = _decimal(inner) if types.is_decimal(inner) else _datatype(inner)
    is_time = types.is_timestamp(inner) or types.is_date(inner)
    if datatype is None or (arraysize and (datatype == "char" or types.is_decimal(inner))):
        raise ReadError(
            f"column {named(item.name)} is of the type {shown(str(type_))}, which is not supported: leave it out"
        )
    about: dict[str, Any] = {"xtype": "timestamp"} if is_time else {}
    said = {key.decode("utf-8", "replace").lower(): _text(value) for key, value in (item.metadata or {}).items()}
    unit = said.setdefault("unit", said.get("units"))
    if unit != said.get("units", unit):
        raise serialized.contradiction(item.name, str(unit), str(said["units"]))
    about |= {key: value for key in serialized.ABOUT if (value := said.get(key))}
    column = Column(
        name=item.name,
        datatype=datatype,
        arraysize=arraysize or ("*" if datatype == "char" else None),
        **about,
        sql=f"c{number}",
    )
    if (
        types.is_dictionary(type_)
        or types.is_binary(inner)
        or types.is_large_binary(inner)
        or types.is_binary_view(inner)
    ):
        # What is not UTF-8 is told when it is read.
        type_ = pa.string() if datatype == "char" else type_.value_type
    elif types.is_decimal(inner) and datatype == "char":
        type_ = pa.string()
    return serialized.in_systems(FileColumn(column, type_), said)


def _datatype(type_: pa.DataType) -> Datatype | None:
    return next((datatype for test, datatype in _DATATYPES if test(type_)), None)


def _decimal(type_: pa.DataType) -> Datatype:
    """Whole numbers and doubles where these hold all digits; text otherwise, such as long identifiers."""
    if type_.scale <= 0:
        return "long" if type_.precision - type_.scale <= 18 else "char"
    return "double" if type_.precision <= 15 else "char"


def _text(raw: bytes | None) -> str | None:
    return raw.decode("utf-8", "backslashreplace").strip() or None if raw else None


# Rows ----------------------------------------------------------------------------------------------------------------


def _blocks(
    reader: pq.ParquetFile, columns: Sequence[FileColumn], step: int, note: Note, progress: RowsRead
) -> Iterator[Block]:
    columns = list(columns)  # those of the file; what is made of them are others
    try:
        for batch in reader.iter_batches(batch_size=step, use_threads=False):
            for part in _parts(batch):
                lines = pa.array(np.arange(progress.rows + 1, progress.rows + 1 + part.num_rows))
                progress.rows += part.num_rows
                yield Block(
                    [
                        _plain(cells, column, Place(column.name, lines, note))
                        for cells, column in zip(part.columns, columns, strict=True)
                    ],
                    lines,
                )
    except (pa.ArrowException, OSError, OverflowError):
        raise _damaged() from None


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """A batch in parts whose texts, taken out of their dictionaries, are not too long together."""
    sizes = np.zeros(batch.num_rows, np.int64)
    for cells in batch.columns:
        if types.is_dictionary(cells.type) and len(cells.dictionary):
            lengths = pc.fill_null(pc.binary_length(cells.dictionary), 0).to_numpy(zero_copy_only=False)
            indices = cells.indices.fill_null(0).to_numpy(zero_copy_only=False)
            sizes += lengths[indices]
    ends = np.cumsum(sizes)
    start = 0
    while start < batch.num_rows:
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + BLOCK_BYTES, "right")))
        if stop == start + 1 and sizes[start] > pages.CELL_BYTES:
            raise ReadError(f"a row has more than {pages.CELL_BYTES} bytes")
        yield batch.slice(start, stop - start)
        start = stop


def _plain(cells: pa.Array, column: FileColumn, place: Place) -> pa.Array:
    if types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    if types.is_binary(cells.type) or types.is_large_binary(cells.type) or types.is_binary_view(cells.type):
        return as_text(cells.cast(pa.binary()), place)
    if types.is_decimal(cells.type) and types.is_string(column.type):
        return cells.cast(pa.string())
    return cells


# Metadata ------------------------------------------------------------------------------------------------------------


def _described(opened: Opened, metadata: dict[bytes, bytes], note: Note, options: Options) -> Opened:
    """The file with what its key-value metadata say about its columns."""
    yaml = metadata.get(_YAML)
    if yaml is not None:
        try:
            meta = serialized.described(opened, yaml.decode())
        except UnicodeDecodeError:
            raise ReadError("its description in YAML is not text in UTF-8") from None
    plain = {key.decode("utf-8", "replace"): value.decode("utf-8", "replace") for key, value in metadata.items()
             if len(key) < 100 and len(value) < 1000}  # fmt: skip
    opened.remarks += checked(plain | (meta if yaml is not None else {}), options)
    header = metadata.get(_VOTABLE)
    if header is not None:
        head = votable.read_head(header, note, options)
        described = {column.name: column for column in head.columns}
        opened.columns = [_merged(column, described.get(column.name)) for column in opened.columns]
        opened.clock, opened.frame, opened.tied = head.clock, head.frame, head.tied
        opened.remarks += head.remarks
    if yaml is not None:
        if header is None:
            opened.clock, opened.frame = of_metadata(meta)
            opened.tied = False
        opened = serialized.merged(opened, meta)
    return opened


def _merged(column: FileColumn, field: FileColumn | None) -> FileColumn:
    """A column with what its FIELD says: that is what its cells should be."""
    if field is None:
        return column
    agreed = serialized.agreed(column.column, serialized.about(field.column))
    declared = replace(agreed, datatype=field.column.datatype, arraysize=field.column.arraysize)
    return replace(column, column=declared, clock=field.clock or column.clock, frame=field.frame or column.frame)
