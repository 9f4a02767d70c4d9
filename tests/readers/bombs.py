"""Reads files that unpack to far more than they are, in a process of little memory, and tells what became of each."""

from __future__ import annotations

import base64
import gzip
import io
import json
import multiprocessing
import resource
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from km3vo.errors import Km3voError
from km3vo.uploads.files import read_file

ROOM = 768 * 2**20  # that the reader has, besides what is loaded before


def bombs() -> Iterator[tuple[str, bytes]]:
    """Names and contents."""
    lists = pa.array([[0] * 20_000_000], pa.list_(pa.int64()))
    yield "parquet: one list", _parquet(pa.table({"a": lists}))
    many = pa.ListArray.from_arrays(pa.array([0, *[16_000_000] * 2], pa.int32()), pa.nulls(16_000_000, pa.float64()))
    yield "parquet: a list of nothing", _parquet(pa.table({"a": many}))
    nested = pa.array([[[0] * 1_000_000]], pa.list_(pa.list_(pa.int64())))
    yield "parquet: lists of lists", _parquet(pa.table({"a": nested}))
    text = pa.array(["x" * 1_000_000])
    words = pa.DictionaryArray.from_arrays(pa.array(np.zeros(100_000, np.int32)), text)
    yield "parquet: dictionary", _parquet(pa.table({"a": words}))
    zeros = pa.array(np.zeros(900_000))
    yield "parquet: run lengths", _parquet(pa.table({f"c{number}": zeros for number in range(60)}))
    yield "gzip: zeros", gzip.compress(b"a\n" + bytes(400_000_000), 9)
    yield "gzip: in gzip", gzip.compress(gzip.compress(b"a\n" + b"1\n" * 1_000_000))
    yield "csv: one field", b'a,b\n"' + b"x" * 200_000_000
    yield "xml: depth", b"<VOTABLE>" + b"<RESOURCE>" * 10_000_000
    yield "xml: a tag", b"<VOTABLE x='" + b"y" * 200_000_000
    yield "xml: fields", b"<VOTABLE><RESOURCE><TABLE>" + b"<FIELD name='a' datatype='int'/>" * 3_000_000
    yield "votable: arraysize", _votable('arraysize="999999999x999999999"', "AAAA")
    yield "votable: count", _votable('arraysize="*"', base64.b64encode(b"\xff" * 8).decode())
    packed = base64.b64encode(gzip.compress(bytes(400_000_000))).decode()
    yield "votable: gzip", _votable("", packed, "gzip")
    yield "fits: one heap", _fits(20_000, 2_000_000)
    yield "fits: dimensions", _fits(1, 0, {"TFORM1": "999999999D", "TDIM1": "(999999999,999999999)"})


def _parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def _votable(field: str, stream: str, encoding: str = "base64") -> bytes:
    return (
        f'<VOTABLE><RESOURCE><TABLE><FIELD name="a" datatype="double" {field}/><DATA><BINARY>'
        f'<STREAM encoding="{encoding}">{stream}</STREAM></BINARY></DATA></TABLE></RESOURCE></VOTABLE>'
    ).encode()


def _fits(rows: int, items: int, more: dict[str, str] | None = None) -> bytes:
    """A table whose cells all are the same bytes of the heap."""
    cards = {"TTYPE1": "a", "TFORM1": f"1PB({items})"} | (more or {})
    numbers = {"BITPIX": 8, "NAXIS": 2, "NAXIS1": 8, "NAXIS2": rows, "PCOUNT": items, "GCOUNT": 1, "TFIELDS": 1}
    head = ["XTENSION= 'BINTABLE'", *(f"{key:8}= {value:>20}" for key, value in numbers.items())]
    head += [f"{key:8}= '{value}'" for key, value in cards.items()]
    first = [f"SIMPLE  = {'T':>20}", f"BITPIX  = {8:>20}", f"NAXIS   = {0:>20}"]
    data = struct.pack(">ii", items, 0) * rows + bytes(items)
    return _block(first) + _block(head) + data + bytes(-len(data) % 2880)


def _block(cards: list[str]) -> bytes:
    raw = "".join(f"{card:80}" for card in [*cards, "END"]).encode()
    return raw + b" " * (-len(raw) % 2880)


def main() -> None:
    """Read all of them, one after the other."""
    files = dict(bombs())
    # What the readers import late is loaded already.
    for name in ("fits: dimensions", "votable: count", "parquet: lists of lists"):
        _outcome(files[name])
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, size + ROOM))
    json.dump({name: _child(file) for name, file in files.items()}, sys.stdout)


def _child(file: bytes) -> str:
    """What becomes of a file in a process of its own: Arrow keeps what it had of one, and the next would have less."""
    ours, theirs = multiprocessing.get_context("fork").Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=lambda: theirs.send(_outcome(file)))
    child.start()
    theirs.close()
    try:
        return str(ours.recv())
    except EOFError:
        return "broke: no answer"
    finally:
        child.join()


def _outcome(file: bytes) -> str:
    try:
        found = read_file(io.BytesIO(file), most_rows=1_000_000, most_bytes=256 * 2**20)
    except Km3voError as error:
        return f"{type(error).__name__}: {error}"
    except BaseException as error:
        return f"broke: {error!r}"
    return f"read: {found.rows.num_rows} rows of {found.rows.nbytes} bytes"


if __name__ == "__main__":
    main()
