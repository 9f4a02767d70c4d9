"""Opening what is loaded: files of any format, released lists by their description, and rows that come from no file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from km3vo.catalog.model import ReleasedFile, Table
from km3vo.column import Column
from km3vo.errors import IncompleteError, LoadError, ReadError, TooLargeError, WhichTableError
from km3vo.readers.content import Content
from km3vo.readers.formats import ENDINGS, ending, open_table
from km3vo.readers.mistakes import Note
from km3vo.readers.opened import Block, FileColumn, Opened, Options
from km3vo.readers.text.delimited import open_described

# What an operator's own files may be beside what users upload: their first bytes, and how their names end.
_HDF5, _ROOT = b"\x89HDF\r\n\x1a\n", b"root"
_LOCAL = {".h5": "HDF5", ".hdf5": "HDF5", ".root": "ROOT"}
_SEPARATORS = {"comma": ",", "tab": "\t"}


def open_file(file: Path, source: ReleasedFile | None, note: Note, options: Options) -> Opened:
    """Open a file of events. Mistakes in its rows are given to ``note`` while it is read.

    Raises:
        LoadError: it is not there, or of no known format, or not what its name says. Reading its blocks raises it too.
    """
    with _explained(file):
        plain = file.open("rb")
        try:
            opened = _opened(Content(plain, truncated=options.truncated), file, source, note, options)
        except BaseException:
            plain.close()
            raise
    inner = opened.close

    def close() -> None:
        inner()
        plain.close()

    opened.close = close
    opened.blocks = _with_explanation(file, opened.blocks)
    if source is not None and (source.missing or source.required):
        opened.blocks = _sifted(opened, source, opened.blocks)
    return opened


def _sifted(opened: Opened, source: ReleasedFile, blocks: Iterator[Block]) -> Iterator[Block]:
    """The blocks with empty cells for the words that mean so, and without the rows that lack what they need.

    Lines keep their numbers.
    """
    names = [column.name.lower() for column in opened.columns]
    required = [names.index(name.lower()) for name in source.required if name.lower() in names]
    words = pa.array(source.missing, pa.string())
    left_out = 0
    for block in blocks:
        columns = [_without(cells, words) for cells in block.columns]
        kept = pa.array(np.ones(len(block.lines), dtype=bool))
        for place in required:
            cells = columns[place]
            there = cells.is_valid()
            if pa.types.is_string(cells.type):
                there = pc.and_(there, pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(cells), ""), False))
            elif pa.types.is_floating(cells.type):
                there = pc.and_(there, pc.fill_null(pc.invert(pc.is_nan(cells)), False))
            kept = pc.and_(kept, there)
        left_out += len(kept) - pc.sum(kept).as_py()
        yield Block([cells.filter(kept) for cells in columns], block.lines.filter(kept))
    if left_out:
        opened.remarks.append(f"{left_out} rows were left out, since they have no {' or no '.join(source.required)}")


def _without(cells: pa.Array, words: pa.Array) -> pa.Array:
    if not pa.types.is_string(cells.type):
        return cells
    return pc.if_else(pc.is_in(cells, words), pa.scalar(None, pa.string()), cells)


def _opened(content: Content, file: Path, source: ReleasedFile | None, note: Note, options: Options) -> Opened:
    known = ending(file.name) in ENDINGS
    if (opened := _opened_locally(content, file, note, options)) is not None:
        return opened
    if source is not None and (source.header or source.separator != "comma" or not known):
        return open_described(
            content,
            note,
            delimiter=_SEPARATORS.get(source.separator, "\t"),
            skip=source.skip,
            names=source.header,
            blanks=source.separator not in _SEPARATORS,
            text_last=source.separator == "whitespace, then text",
        )
    if not known and ending(file.name):
        raise LoadError(
            f"{file.name}: the format of the file is not known: its name must end in {', '.join((*ENDINGS, *_LOCAL))}."
        )
    return open_table(content, note, options, file.name if known else "")


def _opened_locally(content: Content, file: Path, note: Note, options: Options) -> Opened | None:
    """A file of a format that uploads cannot have; None for any other."""
    head = content.head(len(_HDF5))
    if head == _HDF5:
        from km3vo.readers.local.hdf5 import open_hdf5

        return open_hdf5(content, note, options)
    if head.startswith(_ROOT):
        from km3vo.readers.local.root import open_root

        return open_root(content, note, options)
    if (form := _LOCAL.get(ending(file.name))) is not None:
        raise ReadError(f"it is no {form} file")
    return None


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Say of which file an error tells, and what can be done."""
    try:
        yield
    except FileNotFoundError:
        raise LoadError(f"There is no file {file}.") from None
    except OSError as error:
        raise LoadError(f"{file.name} cannot be read: {error.strerror}.") from None
    except WhichTableError as error:
        raise LoadError(
            f"{file.name} cannot be read: {error}. Say with --table NAME or NUMBER which is meant."
        ) from None
    except IncompleteError as error:
        raise LoadError(f"{file.name} cannot be read: {error}. Add --truncated if this is known.") from None
    except (ReadError, TooLargeError) as error:
        raise LoadError(f"{file.name} cannot be read: {error}.") from None


def _with_explanation(file: Path, blocks: Iterator[Block]) -> Iterator[Block]:
    with _explained(file):
        yield from blocks


def find_sources(table: Table, folder: Path) -> list[Path]:
    """The released files of a table that lie anywhere below ``folder``: one of each part, or none if a part lacks."""
    parts: dict[str, Path | None] = {}
    for source in table.sources:
        if parts.get(source.part) is None:
            parts[source.part] = min(folder.rglob(source.file), default=None)
    files = [file for file in parts.values() if file is not None]
    return files if len(files) == len(parts) else []


def open_batches(batches: Iterator[pa.RecordBatch], rows: int) -> Opened:
    """Rows that come from no file, such as simulated ones; ``rows`` of them are expected."""
    head = next(batches)
    read = 0

    def blocks() -> Iterator[Block]:
        nonlocal read
        batch: pa.RecordBatch | None = head
        while batch is not None:
            lines = pa.array(np.arange(read + 1, read + 1 + batch.num_rows))
            read += batch.num_rows
            yield Block(batch.columns, lines)
            batch = next(batches, None)

    columns = [FileColumn(Column(name=item.name, datatype="char"), item.type) for item in head.schema]
    return Opened(columns, blocks(), "row", 1, lambda: read, rows)
