"""How large the pages of a Parquet file become, found out before any of them is decoded.

A page of some bytes may stand for billions of values (run lengths), one cell for a whole page of them (repetition
levels), and one text of a dictionary for every row. What the file's footer says about it need not be true, so every
page's own header is looked at (parquet-format 2.11, PageHeader; "Encodings"; "Nested Encoding").
"""

from __future__ import annotations

import struct as packed
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from km3vo.errors import ReadError, TooLargeError
from km3vo.readers.mistakes import named
from km3vo.readers.parquet import thrift
from km3vo.readers.parquet.footer import Chunk, Contradiction, row_groups

PAGE_BYTES = 128 * 2**20  # of the largest page, unpacked
PAGE_VALUES = 2**26  # of a page
CELL_BYTES = 64 * 2**20  # of the largest cell
FOOTER_BYTES = 8 * 2**20
_CHUNKS = 200_000
_HEADER_BYTES = 2**20
_DELTA_VALUES = 2**22

_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}
_DATA, _INDEX, _DICTIONARY, _DATA_V2 = 0, 1, 2, 3
_RLE, _DELTA_BYTE_ARRAY = 3, 7


@dataclass(slots=True)
class Sizes:
    """How large a column becomes.

    Attributes:
        bytes: of all its values; of texts from a dictionary only their numbers.
        cell: values of its longest list.
        width: bytes of a value.
        dictionary: bytes of the largest dictionary of texts.
    """

    bytes: int = 0
    cell: int = 1
    width: int = 8
    dictionary: int = 0


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A column of a row group, and what pyarrow knows of its type."""

    meta: Chunk
    schema: Any
    name: str


@dataclass(frozen=True, slots=True)
class _Page:
    """A page: its header, and where its bytes are."""

    header: dict[int, Any]
    place: int
    packed: int
    unpacked: int

    @property
    def values(self) -> int:
        """How many values it says it has."""
        part = self.header.get(5) or self.header.get(7) or self.header.get(8) or {}
        return int(part.get(1, 0)) if isinstance(part, dict) else 0


def measure(file: BinaryIO, metadata: Any, most_bytes: int | None) -> list[Sizes]:
    """The sizes of each column.

    Args:
        file: that can go back and forth.
        metadata: of the file, as pyarrow has it; each column has one leaf.
        most_bytes: to how many bytes the file may unpack, or None for any number.

    Raises:
        ReadError: the file is damaged, or a cell is too large to be held.
        TooLargeError: it unpacks to more bytes.
    """
    if metadata.num_row_groups * metadata.num_columns > _CHUNKS:
        raise ReadError(f"it has more than {_CHUNKS} pieces (row groups times columns)")
    try:
        groups = row_groups(file, metadata.num_columns)
    except Contradiction:
        raise ReadError("its footer is damaged") from None
    found = [Sizes() for _ in range(metadata.num_columns)]
    schemas = [metadata.schema.column(index) for index in range(metadata.num_columns)]
    # A list's leaf is called name.list.element.
    names = [schema.path.removesuffix(".list.element").removesuffix(".list.item") for schema in schemas]
    size = file.seek(0, 2)
    for group in groups:
        for index, sizes in enumerate(found):
            chunk = _Chunk(group[index], schemas[index], names[index])
            _measure(file, size, chunk, sizes)
            if most_bytes is not None and sum(each.bytes for each in found) > most_bytes:
                raise TooLargeError(f"uploads may have {most_bytes} bytes together; unpacked, these have more")
    return found


def _measure(file: BinaryIO, size: int, chunk: _Chunk, sizes: Sizes) -> None:
    meta, schema = chunk.meta, chunk.schema
    name = named(chunk.name)
    if meta.elsewhere:
        raise ReadError(f"column {name} lies in another file")
    is_list = schema.max_repetition_level > 0
    if not is_list and meta.values != meta.rows:
        raise _damaged(chunk)
    if meta.rows == meta.values == 0:
        return  # without rows there need not be a page, nor a place for it
    is_text = meta.type == "BYTE_ARRAY"
    sizes.width = _WIDTHS.get(meta.type, 4 if is_text else max(1, schema.length))
    seen = cell = 0
    for page in _pages(file, size, chunk):
        kind, values = page.header.get(1), page.values
        if not 0 <= values <= PAGE_VALUES:
            raise ReadError(f"column {name} has a page of more than {PAGE_VALUES} values")
        if kind == _DICTIONARY:
            if values * sizes.width > page.unpacked:
                raise _damaged(chunk)
            if is_text:
                sizes.dictionary = max(sizes.dictionary, page.unpacked)
            continue
        seen += values
        if seen > meta.values:
            raise _damaged(chunk)
        if is_list:
            cell = _longest(file, page, chunk, cell, sizes)
        sizes.bytes += values * sizes.width
        if is_text:
            sizes.bytes += _text_bytes(file, page, chunk)
    if seen != meta.values:
        raise _damaged(chunk)
    if sizes.cell * sizes.width > CELL_BYTES:
        raise ReadError(f"column {name} has a cell of {sizes.cell} values, more than {CELL_BYTES} bytes")


def _damaged(chunk: _Chunk) -> ReadError:
    return ReadError(f"its column {named(chunk.name)} is damaged: its pages do not hold what they should")


def _pages(file: BinaryIO, size: int, chunk: _Chunk) -> Iterator[_Page]:
    """The pages of a column of a row group."""
    meta = chunk.meta
    place, end = meta.start, meta.end
    if place < 4 or not place <= end <= size:
        raise _damaged(chunk)
    while place < end:
        header, length = _header(file, place, end, chunk)
        packed_size, unpacked = header.get(3, -1), header.get(2, -1)
        if not (0 <= packed_size <= end - place - length and unpacked >= 0):
            raise _damaged(chunk)
        if unpacked > PAGE_BYTES:
            raise ReadError(f"column {named(chunk.name)} has a page that unpacks to more than {PAGE_BYTES} bytes")
        place += length
        if header.get(1) in (_DATA, _DICTIONARY, _DATA_V2):
            yield _Page(header, place, packed_size, unpacked)
        place += packed_size


def _header(file: BinaryIO, place: int, end: int, chunk: _Chunk) -> tuple[dict[int, Any], int]:
    """The header of the page at a place, and its length."""
    count = 512
    while True:
        file.seek(place)
        try:
            header, length = thrift.struct(file.read(min(count, end - place)))
            if not _is_whole(header):
                raise _damaged(chunk)
            return header, length
        except thrift.Truncated:
            if count >= min(_HEADER_BYTES, end - place):
                raise _damaged(chunk) from None
            count *= 16
        except thrift.Invalid:
            raise _damaged(chunk) from None


def _is_whole(header: dict[int, Any]) -> bool:
    """Whether the fields that are used are numbers: in a damaged file they may be anything."""
    numbers = [header.get(field, 0) for field in (1, 2, 3)]
    # Headers of data pages, of dictionaries, and of data pages of the second version.
    for field, used in ((5, (1, 2, 4)), (7, (1,)), (8, (1, 4, 5, 6))):
        part = header.get(field, {})
        if not isinstance(part, dict):
            return False
        numbers += [part.get(number, 0) for number in used]
    return all(isinstance(number, int) for number in numbers)


def _content(file: BinaryIO, page: _Page, chunk: _Chunk) -> bytes:
    """The bytes of a page, unpacked."""
    file.seek(page.place)
    raw = file.read(page.packed)
    codec = chunk.meta.codec
    second = page.header.get(8) or {}
    levels = second.get(5, 0) + second.get(6, 0) if page.header.get(1) == _DATA_V2 else 0
    if codec == "UNCOMPRESSED" or (page.header.get(1) == _DATA_V2 and second.get(7) is False):
        return raw
    if not 0 <= levels <= min(len(raw), page.unpacked):
        raise _damaged(chunk)
    try:
        unpacked: bytes = pa.Codec(_CODECS.get(codec, codec.lower())).decompress(
            raw[levels:], page.unpacked - levels, asbytes=True
        )
    except (pa.ArrowException, OSError, ValueError):
        raise _damaged(chunk) from None
    return raw[:levels] + unpacked


_CODECS = {"LZ4": "lz4_raw", "LZ4_RAW": "lz4_raw"}


def _longest(file: BinaryIO, page: _Page, chunk: _Chunk, cell: int, sizes: Sizes) -> int:
    """Take a page of lists into account; returns how many values the last list has so far."""
    if chunk.schema.max_repetition_level > 1:
        raise ReadError(f"column {named(chunk.name)} holds lists of lists, which are not supported")
    raw = _content(file, page, chunk)
    if page.header.get(1) == _DATA_V2:
        start, length = 0, (page.header.get(8) or {}).get(6, 0)
    else:
        if (page.header.get(5) or {}).get(4) != _RLE or len(raw) < 4:
            raise _damaged(chunk)
        start, length = 4, packed.unpack_from("<I", raw)[0]
    if not 0 <= length <= len(raw) - start:
        raise _damaged(chunk)
    for level, count in _runs(raw[start : start + length], page.values, chunk):
        if isinstance(level, int):
            cell = 1 if level == 0 else cell + count
            sizes.cell = max(sizes.cell, cell)
        else:
            begins = np.flatnonzero(level == 0)
            if len(begins) == 0:
                cell += len(level)
                sizes.cell = max(sizes.cell, cell)
                continue
            within = int(np.diff(begins).max(initial=1))
            sizes.cell = max(sizes.cell, cell + int(begins[0]), within, len(level) - int(begins[-1]))
            cell = len(level) - int(begins[-1])
    return cell


def _runs(raw: bytes, values: int, chunk: _Chunk) -> Iterator[tuple[int | npt.NDArray[np.uint8], int]]:
    """Repetition levels of one bit each: (level, how often), or (levels, how many)."""
    place = 0
    while values > 0 and place < len(raw):
        try:
            head, place = thrift.varint(raw, place)
        except ValueError:
            raise _damaged(chunk) from None
        if head & 1:
            count = min(8 * (head >> 1), values)
            stop = min(place + (head >> 1), len(raw))
            bits = np.unpackbits(np.frombuffer(raw[place:stop], np.uint8), bitorder="little")[:count]
            place = stop
            values -= count
            yield bits, len(bits)
        else:
            if place >= len(raw):
                raise _damaged(chunk)
            count = min(head >> 1, values)
            values -= count
            yield raw[place] & 1, count
            place += 1


def _text_bytes(file: BinaryIO, page: _Page, chunk: _Chunk) -> int:
    """How many bytes the texts of a page have, unless they are in a dictionary."""
    second = page.header.get(8) or {}
    part = second if page.header.get(1) == _DATA_V2 else page.header.get(5) or {}
    encoding = part.get(4 if part is second else 2)
    if encoding != _DELTA_BYTE_ARRAY:
        return page.unpacked
    if page.values * page.unpacked <= PAGE_BYTES:
        return page.values * page.unpacked
    if page.values > _DELTA_VALUES:
        raise ReadError(f"column {named(chunk.name)} has a page of more than {_DELTA_VALUES} texts")
    # Each text repeats some letters of the one before it: how many, stands first.
    raw = _content(file, page, chunk)
    start = second.get(5, 0) + second.get(6, 0)
    try:
        if part is not second and chunk.schema.max_definition_level:
            start = 4 + packed.unpack_from("<I", raw)[0]
        prefixes = _delta_numbers(raw, start, page.values)
    except (ValueError, packed.error):
        raise _damaged(chunk) from None
    total = int(prefixes.sum()) + page.unpacked
    if prefixes.min(initial=0) < 0 or total > PAGE_BYTES:
        raise ReadError(f"column {named(chunk.name)} has a page that unpacks to more than {PAGE_BYTES} bytes")
    return total


def _delta_numbers(raw: bytes, place: int, most: int) -> npt.NDArray[np.int64]:
    """Numbers in the encoding DELTA_BINARY_PACKED.

    Raises:
        ValueError: they are not, or there are more than ``most``.
    """
    block, place = thrift.varint(raw, place)
    parts, place = thrift.varint(raw, place)
    count, place = thrift.varint(raw, place)
    first, place = thrift.varint(raw, place)
    if count > most or not 0 < parts <= 512 or not 0 < block <= 2**20 or block % (8 * parts):
        raise ValueError
    if count == 0:
        return np.zeros(0, np.int64)
    deltas: list[npt.NDArray[np.int64]] = [np.array([(first >> 1) ^ -(first & 1)], np.int64)]
    there = 1
    while there < count:
        low, place = thrift.varint(raw, place)
        low = (low >> 1) ^ -(low & 1)
        widths = raw[place : place + parts]
        place += parts
        if len(widths) < parts:
            raise ValueError
        for width in widths:
            if there >= count:
                break
            each = block // parts
            stop = place + each * width // 8
            if width > 32 or stop > len(raw):
                raise ValueError
            bits = np.unpackbits(np.frombuffer(raw[place:stop], np.uint8), bitorder="little")
            numbers = bits.reshape(each, width) @ (np.int64(1) << np.arange(width, dtype=np.int64))
            deltas.append(numbers.astype(np.int64) + low)
            there += each
            place = stop
    return np.cumsum(np.concatenate(deltas)[:count])
