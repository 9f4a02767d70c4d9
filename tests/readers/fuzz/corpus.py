"""Real files of every format, small enough to be read thousands of times."""

from __future__ import annotations

import gzip
import io
import itertools
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from km3vo.results import formats
from tests.support.cells import Sample
from tests.support.random_tables import astropy_table, sample
from tests.support.round_trip import written

OURS = ("votable", "votable/td", "votable/b", "csv", "tsv", "ecsv", "fits", "parquet")
_KINDS = {".vot": "votable", ".fits": "fits", ".parquet": "parquet", ".ecsv": "ecsv", ".csv": "csv", ".tsv": "tsv"}
_LINES = 30
_BYTES = 40_000


@dataclass(frozen=True, slots=True)
class File:
    """A file: where it is from, its format, its bytes, and, if it is ours, what is in it."""

    name: str
    kind: str
    content: bytes
    table: Sample | None = None


def corpus(folders: list[Path]) -> list[File]:
    """Ours, astropy's, and the beginnings of those in some folders."""
    return [*_ours(), *_astropys(), *itertools.chain.from_iterable(map(_files, folders))]


def _ours() -> Iterator[File]:
    for seed, name in itertools.product((1, 2), OURS):
        table = sample(seed, 12)
        yield File(f"ours {seed} {name}", _KINDS[f".{formats.find(name).extension}"], written(table, name), table)
        # Files with little beside the cells.
        table = sample(seed, 8, without=("polygon", "matrix", "counts", "text", "ascii", "point"))
        yield File(f"small {seed} {name}", _KINDS[f".{formats.find(name).extension}"], written(table, name), table)


def _astropys() -> Iterator[File]:
    table = astropy_table(1, 10)
    ways = {"votable": "votable", "fits": "fits", "ascii.ecsv": "ecsv", "parquet": "parquet"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for way, kind in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder, "file")
                table.write(file, format=way)
                yield File(f"astropy {way}", kind, file.read_bytes())
    columns = [
        fits.Column("a", "1J", array=[1, -1, 3], null=-1),
        fits.Column("b", "1I", array=np.array([1, 2, 3], np.uint16), bzero=2**15),
        fits.Column("c", "PE()", array=np.array([[1.0], [2.0, 3.0], []], object)),
        fits.Column("d", "3A", array=["abc", "d", ""]),
    ]
    letters = [fits.Column("x", "E10.3", array=[1.5, 2.5]), fits.Column("n", "I6", array=[1, 2])]
    for hdu in (fits.BinTableHDU.from_columns(columns), fits.TableHDU.from_columns(letters)):
        out = io.BytesIO()
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(out)
        yield File(f"astropy {type(hdu).__name__}", "fits", out.getvalue())


def _files(folder: Path) -> Iterator[File]:
    for file in sorted(folder.rglob("*")):
        plain = file.name.removesuffix(".gz")
        kind = _KINDS.get(Path(plain).suffix)
        if kind is None or not file.is_file():
            continue
        content = file.read_bytes()
        if kind in ("csv", "tsv", "ecsv"):
            if plain != file.name and content[:2] == b"\x1f\x8b":
                try:
                    content = gzip.decompress(content)
                except EOFError:
                    continue
            head = b"".join(itertools.islice(_kept(content, kind), _LINES))
            content = head[:_BYTES] if kind != "ecsv" else head
        if len(content) <= 2 * _BYTES:
            yield File(str(file.relative_to(folder.parent)), kind, content)


def _kept(content: bytes, kind: str) -> Iterator[bytes]:
    """The lines of a text file, the comments above an ECSV as one."""
    lines = content.splitlines(keepends=True)
    if kind == "ecsv":
        count = sum(1 for _ in itertools.takewhile(lambda line: line.startswith(b"#"), lines))
        yield b"".join(lines[:count])
        lines = lines[count:]
    yield from lines
