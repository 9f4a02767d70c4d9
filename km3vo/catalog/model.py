"""Published tables and their columns as objects: what every other room means by "table" and "column"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Datatype = Literal[
    "boolean", "unsignedByte", "short", "int", "long", "float", "double", "char", "unicodeChar"
]


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
    sql: str = ""

    def __post_init__(self) -> None:
        if not self.sql:
            object.__setattr__(self, "sql", self.name)

    @property
    def is_string(self) -> bool:
        """Whether cells are text (including timestamps, which travel as text)."""
        return self.datatype in ("char", "unicodeChar")
