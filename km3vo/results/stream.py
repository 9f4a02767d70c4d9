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

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from km3vo.catalog.model import Column


@dataclass(frozen=True, slots=True)
class Info:
    """An INFO of the result: a name, a value, and a sentence about it (VOTable 1.5 §4.5)."""

    name: str
    value: str
    text: str = ""
    ucd: str | None = None


@dataclass(slots=True)
class Result:
    """Columns and a stream of batches, at most ``maxrec`` rows long.

    The batches handed in may hold one row more than ``maxrec``: that is how a truncated result is told
    from one that just fits (TAP 1.1 §2.7.4). Iterate once; ``overflow`` and ``rows`` are true afterwards.

    Attributes:
        columns: in the order of the batches' columns.
        source: the batches as they come from the database.
        maxrec: most rows to hand on, or None for all.
        name: of the result table, in the document ("result" unless stated).
        infos: INFOs of the whole document (who, when, which query).
        table_infos: INFOs of the data themselves (citation, rights).
        description: of the table, or "".
    """

    columns: tuple[Column, ...]
    source: Iterable[pa.RecordBatch]
    maxrec: int | None = None
    name: str = "result"
    infos: tuple[Info, ...] = ()
    table_infos: tuple[Info, ...] = ()
    description: str = ""
    rows: int = field(default=0, init=False)
    overflow: bool = field(default=False, init=False)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows, stopping after ``maxrec`` of them."""
        for batch in self.source:
            if self.maxrec is not None and self.rows + batch.num_rows > self.maxrec:
                batch = batch.slice(0, self.maxrec - self.rows)
                self.overflow = True
            self.rows += batch.num_rows
            if batch.num_rows:
                yield batch
            if self.overflow:
                return
        # TAP 1.1 §2.7.4: MAXREC=0 asks for metadata alone and is always marked as truncated.
        self.overflow = self.overflow or self.maxrec == 0


_SCALARS: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "unsignedByte": pa.int16(),
    "short": pa.int16(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
}


def arrow_type(column: Column) -> pa.DataType:
    """The Arrow type of a column's batches (the table at the head of this module)."""
    if column.is_string:
        return pa.timestamp("us") if column.xtype == "timestamp" else pa.string()
    scalar = _SCALARS[column.datatype]
    return pa.list_(scalar) if column.arraysize else scalar
