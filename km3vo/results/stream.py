"""A result: what its columns mean, and its rows as a stream of Arrow record batches.

Arrow types by column (positions count, Arrow's field names do not):

    ==============================  ===============================================
    column                          Arrow type of the batch
    ==============================  ===============================================
    boolean                         bool
    unsignedByte, short             int16
    int / long                      int32 / int64
    float / double                  float32 / float64
    char, unicodeChar               string
    char with xtype timestamp       timestamp("us"), no zone, UTC
    double with arraysize           list<float64> (point, circle, polygon, vectors)
    float, int, long with arraysize list<float32>, list<int32>, list<int64>
    ==============================  ===============================================
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa

from km3vo.column import Column
from km3vo.datatypes import DATATYPES
from km3vo.errors import Km3voError
from km3vo.logs import text_of, with_request

_log = logging.getLogger(__name__)

_SCALARS = {datatype: pa.type_for_alias(known.arrow) for datatype, known in DATATYPES.items()}

# What a reader is told when something broke that has no message of its own for readers.
UNEXPECTED = "The result is incomplete: an unexpected error occurred while it was being sent. Please try again."


def arrow_type(column: Column) -> pa.DataType:
    """The Arrow type of a column's cells, as in the table at the top of this module."""
    if column.is_string:
        return pa.timestamp("us") if column.xtype == "timestamp" else _SCALARS[column.datatype]
    scalar = _SCALARS[column.datatype]
    return pa.list_(scalar) if column.arraysize and column.arraysize != "1" else scalar


class Info(NamedTuple):
    """An INFO of the result: a name, a value, and a sentence about it (VOTable 1.5 §4.5)."""

    name: str
    value: str
    text: str = ""
    ucd: str | None = None


class Descriptor(NamedTuple):
    """A service that the rows of a result refer to: a service descriptor (DataLink 1.1 §4).

    Attributes:
        standard: IVOID of its standard.
        url: where it is.
        column: name of the column whose cells are its parameter ID, or "" where ``value`` is it for all rows.
        value: that one.
        description: what it gives.
    """

    standard: str
    url: str
    column: str = ""
    value: str = ""
    description: str = ""


@dataclass(slots=True)
class Result:
    """Columns and a stream of batches, at most ``maxrec`` rows long.

    The batches handed in may hold one row more than ``maxrec``: that is how a truncated result is told
    from one that just fits (TAP 1.1 §2.7.4). Iterate once; ``overflow``, ``failed`` and ``rows`` are true
    afterwards. However the iteration ends, ``source`` is closed if it can be.

    Attributes:
        columns: in the order of the batches' columns.
        source: the batches as they come from the database.
        maxrec: most rows to hand on, or None for all.
        name: of the result table, in the document ("result" unless stated).
        infos: INFOs of the whole document (who, when, which query).
        table_infos: INFOs of the data themselves (citation, rights).
        description: of the table, or "".
        heading: what the whole document is, or "".
        descriptors: services that the rows refer to, for formats that can say so.
        banner: HTML that stands above a page with the rows: who looks at it (web/banner.py).
        rows: how many rows were handed on so far.
        overflow: whether rows were left out because of ``maxrec``.
        failed: what went wrong while the rows were read, in words for the reader; "" when nothing did.
    """

    columns: tuple[Column, ...]
    source: Iterable[pa.RecordBatch]
    maxrec: int | None = None
    name: str = "result"
    infos: tuple[Info, ...] = ()
    table_infos: tuple[Info, ...] = ()
    description: str = ""
    heading: str = ""
    descriptors: tuple[Descriptor, ...] = ()
    banner: str = ""
    rows: int = field(default=0, init=False)
    overflow: bool = field(default=False, init=False)
    failed: str = field(default="", init=False)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows, stopping after ``maxrec`` of them.

        Raises whatever the source raises, once ``failed`` says what a reader should know of it.
        """
        try:
            for batch in self.source:
                if self.maxrec is not None and self.rows + batch.num_rows > self.maxrec:
                    batch = batch.slice(0, self.maxrec - self.rows)
                    self.overflow = True
                self.rows += batch.num_rows
                if batch.num_rows:
                    yield batch
                if self.overflow:
                    return
        except Exception as error:
            self.fail(error)
            raise
        finally:
            self.close()
        # TAP 1.1 §2.7.4: MAXREC=0 asks for metadata alone and is always marked as truncated.
        self.overflow = self.overflow or self.maxrec == 0

    def fail(self, error: Exception) -> None:
        """Keep in ``failed`` what a reader should know of an error; the first one counts."""
        if self.failed:
            return
        if isinstance(error, Km3voError):
            self.failed = text_of(error)
        else:
            _log.error("a result broke off after %d rows", self.rows, exc_info=error)
            self.failed = with_request(UNEXPECTED)

    def close(self) -> None:
        """Let go of the source, so that a query behind it can be cancelled. May be called twice."""
        close = getattr(self.source, "close", None)
        if close is not None:
            close()
