"""Columns as objects, of published tables, of uploads and of results.

Apart from the tables, so that ADQL, whose import is to be quick, loads nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal

Datatype = Literal["boolean", "unsignedByte", "short", "int", "long", "float", "double", "char", "unicodeChar"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The values a column may hold: an interval, written as in mathematics.

    Attributes:
        minimum, maximum: the ends, in the column's unit; None where there is none.
        above, below: whether the minimum, the maximum itself is left out.
    """

    minimum: float | None = None
    maximum: float | None = None
    above: bool = False
    below: bool = False

    def __str__(self) -> str:
        low = "" if self.minimum is None else f"{self.minimum:g}"
        high = "" if self.maximum is None else f"{self.maximum:g}"
        return f"{'(' if self.above else '['}{low},{high}{')' if self.below else ']'}"

    def __contains__(self, value: float) -> bool:
        if self.minimum is not None and not (value > self.minimum if self.above else value >= self.minimum):
            return False
        return self.maximum is None or (value < self.maximum if self.below else value <= self.maximum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a published table, of an upload, or of a result (VOTable 1.5 §4.1, TAP 1.1 §4.3).

    Attributes:
        name: as shown to users; neither quoted nor folded.
        datatype, arraysize, xtype: as a VOTable FIELD has them. Scalars have arraysize None, strings
            "*" or "n*"; xtype is one of DALI's ("timestamp", "point", "circle", "polygon", "moc", …).
        unit: VOUnits string or None.
        ucd: UCD1+ string or None.
        utype, description: as in VOTable, or None.
        principal, indexed, std: the flags of TAP_SCHEMA.columns.
        nullable: whether a value may be missing.
        range: which numbers make sense, or None for all; a file with others is not loaded.
        values: the words the column may hold, or empty for any.
        sql: name of the physical column; the same as ``name`` unless stated.
    """

    name: str
    datatype: Datatype
    arraysize: str | None = None
    xtype: str | None = None
    unit: str | None = None
    ucd: str | None = None
    utype: str | None = None
    description: str | None = None
    principal: bool = False
    indexed: bool = False
    std: bool = False
    nullable: bool = True
    range: Range | None = None
    values: tuple[str, ...] = ()
    sql: str = ""
    _hash: int = field(default=0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.sql:
            object.__setattr__(self, "sql", self.name)

    def __hash__(self) -> int:
        # Computed once: heads of documents are kept by their columns, and looked up for every answer.
        if not self._hash:
            object.__setattr__(self, "_hash", hash(tuple(getattr(self, each.name) for each in fields(self))))
        return self._hash

    @property
    def is_string(self) -> bool:
        """Whether cells are text (including timestamps, which travel as text)."""
        return self.datatype in ("char", "unicodeChar")
