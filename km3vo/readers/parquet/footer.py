"""Where the columns of a Parquet file lie, from its footer (parquet-format 2.11, FileMetaData).

pyarrow tells it too, but in C++ without a way to fail: a footer that contradicts itself would end the whole process.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from km3vo.readers.parquet import thrift

# As parquet-format numbers them.
_TYPES = ("BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")
_CODECS = ("UNCOMPRESSED", "SNAPPY", "GZIP", "LZO", "BROTLI", "LZ4", "ZSTD", "LZ4_RAW")


class Contradiction(ValueError):
    """The footer is damaged."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A column of a row group.

    Attributes:
        rows: of the row group.
        values: that it has, missing ones included; of lists, their elements.
        type: physical type.
        codec: by which its pages are packed.
        start, end: places of its first and behind its last byte.
        elsewhere: whether it lies in another file.
    """

    rows: int
    values: int
    type: str
    codec: str
    start: int
    end: int
    elsewhere: bool


def row_groups(file: BinaryIO, columns: int) -> list[list[Chunk]]:
    """The columns of each row group.

    Args:
        file: whose last eight bytes are known to be those of a Parquet file.
        columns: how many each has.

    Raises:
        Contradiction: it is damaged.
    """
    size = file.seek(0, 2)
    file.seek(size - 8)
    length = int.from_bytes(file.read(4), "little")
    file.seek(size - 8 - length)
    raw = file.read(length)
    try:
        whole, _ = thrift.struct(raw)
        found = [_row_group(raw, group) for group in _structs(raw, whole.get(4))]
    except (thrift.Truncated, thrift.Invalid):
        raise Contradiction from None
    if any(len(group) != columns for group in found):
        raise Contradiction
    return found


def _structs(raw: bytes, listing: Any) -> Iterator[dict[int, Any]]:
    if not isinstance(listing, thrift.Listing):
        raise Contradiction
    for element in thrift.elements(raw, listing):
        if not isinstance(element, dict):
            raise Contradiction
        yield element


def _row_group(raw: bytes, group: dict[int, Any]) -> list[Chunk]:
    rows = _number(group.get(3))
    return [_chunk(column, rows) for column in _structs(raw, group.get(1))]


def _chunk(column: dict[int, Any], rows: int) -> Chunk:
    meta = column.get(3)
    if not isinstance(meta, dict):
        raise Contradiction
    type_, codec, values, packed, start = (_number(meta.get(field)) for field in (1, 4, 5, 7, 9))
    dictionary = _number(meta.get(11, 0))
    if not (type_ < len(_TYPES) and codec < len(_CODECS)):
        raise Contradiction
    start = min(start, dictionary) if dictionary else start
    return Chunk(rows, values, _TYPES[type_], _CODECS[codec], start, start + packed, elsewhere=column.get(1, 0) != 0)


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Contradiction
    return value
