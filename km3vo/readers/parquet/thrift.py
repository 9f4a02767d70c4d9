"""Thrift's compact protocol, as far as headers of Parquet files need it: numbers and structs within structs and lists.

Written from https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

_DEPTH = 8
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)


class Truncated(ValueError):
    """The bytes end within a value."""


class Invalid(ValueError):
    """The bytes are no struct."""


class Listing(NamedTuple):
    """A list: how many elements it has, where they start, and of which kind they are."""

    length: int
    place: int
    kind: int


def struct(raw: bytes, place: int = 0, depth: int = 0) -> tuple[dict[int, Any], int]:
    """The fields of a struct by their numbers, and where it ends. Of texts the length is kept, lists are ``Listing``.

    Raises:
        Truncated: it is longer than the bytes.
        Invalid: it is none.
    """
    if depth > _DEPTH:
        raise Invalid
    found: dict[int, Any] = {}
    number = 0
    while True:
        head = _byte(raw, place)
        place += 1
        if head == 0:
            return found, place
        kind, step = head & 15, head >> 4
        if step:
            number += step
        else:
            number, place = _zigzag(raw, place)
        found[number], place = _value(raw, place, kind, depth)


def _value(raw: bytes, place: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, place
    if kind == _BYTE:
        return _byte(raw, place), place + 1
    if kind in (_I16, _I32, _I64):
        return _zigzag(raw, place)
    if kind == _DOUBLE:
        return None, _within(raw, place + 8)
    if kind == _BINARY:
        length, place = varint(raw, place)
        return length, _within(raw, place + length)
    if kind == _STRUCT:
        return struct(raw, place, depth + 1)
    if kind in (_LIST, _SET):
        head = _byte(raw, place)
        length, place = head >> 4, place + 1
        if length == 15:
            length, place = varint(raw, place)
        _within(raw, place + length)  # every element has a byte at least
        found = Listing(length, place, head & 15)
        for _ in range(length):
            _, place = _element(raw, place, found.kind, depth)
        return found, place
    raise Invalid


def elements(raw: bytes, listing: Listing) -> Iterator[Any]:
    """The elements of a list, one after the other.

    Raises:
        Truncated, Invalid: one of them is none.
    """
    place = listing.place
    for _ in range(listing.length):
        element, place = _element(raw, place, listing.kind, 0)
        yield element


def _element(raw: bytes, place: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (_TRUE, _FALSE):  # as a field it has no byte of its own
        return _byte(raw, place) == _TRUE, place + 1
    return _value(raw, place, kind, depth + 1)


def varint(raw: bytes, place: int) -> tuple[int, int]:
    """An unsigned number, and where it ends.

    Raises:
        Truncated, Invalid: it is longer than the bytes, or than 64 bits.
    """
    value = shift = 0
    while True:
        byte = _byte(raw, place)
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
        if shift > 63:
            raise Invalid


def _zigzag(raw: bytes, place: int) -> tuple[int, int]:
    value, place = varint(raw, place)
    return (value >> 1) ^ -(value & 1), place


def _byte(raw: bytes, place: int) -> int:
    if place >= len(raw):
        raise Truncated
    return raw[place]


def _within(raw: bytes, place: int) -> int:
    if place > len(raw):
        raise Truncated
    return place
