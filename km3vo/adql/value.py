"""A resolved expression: its SQL, its type, and what it means."""

from __future__ import annotations

from dataclasses import dataclass, replace

from km3vo.adql.shapes import Shape
from km3vo.adql.sql import Sql
from km3vo.adql.types import GEOMETRIES, INTEGERS, NUMBERS, Type, of_column, votable
from km3vo.catalog.column import Column


@dataclass(slots=True)
class Value:
    """What an expression has become.

    Attributes:
        type: its ADQL type.
        piece: its SQL; None for geometries, which have a ``shape``.
        shape: of geometries.
        constant: the number or string that a literal (or a sum of literals) stands for.
        truth: for CONTAINS and its kind, the condition of which this is the 1 or 0.
        column: the published column that it is, unchanged; else None.
        origin: alias of the table and name of the column, where ``column`` is set.
        name: what to call it in a result if the query gives no name.
        unit, ucd, description, unicode: as far as they can be derived.
        arraysize: of strings of known length.
    """

    type: Type
    piece: Sql | None = None
    shape: Shape | None = None
    constant: float | int | str | None = None
    truth: Sql | None = None
    column: Column | None = None
    origin: tuple[str, str] | None = None
    name: str = ""
    unit: str | None = None
    ucd: str | None = None
    description: str | None = None
    unicode: bool = False
    arraysize: str | None = None

    @property
    def sql(self) -> Sql:
        """Its SQL; for geometries the DALI form, an array of degrees, which can be compared and sent out."""
        if self.piece is not None:
            return self.piece
        assert self.shape is not None
        return self.shape.dali

    @property
    def is_number(self) -> bool:
        return self.type in NUMBERS

    @property
    def is_integer(self) -> bool:
        return self.type in INTEGERS

    @property
    def is_geometry(self) -> bool:
        return self.type in GEOMETRIES

    def described(self, name: str, physical: str) -> Column:
        """The column of a result or subquery that holds it. A plain column keeps all its metadata."""
        if self.column is not None:
            if self.column.name == name and self.column.sql == physical:
                return self.column
            return replace(self.column, name=name, sql=physical)
        datatype, arraysize, xtype = votable(self.type)
        if self.type == "CHAR":
            datatype = "unicodeChar" if self.unicode else "char"
            arraysize = self.arraysize or "*"
        elif self.type == "ARRAY":
            datatype, arraysize = "int", self.arraysize or "*"
        return Column(
            name=name,
            datatype=datatype,
            arraysize=arraysize,
            xtype=xtype,
            unit=self.unit,
            ucd=self.ucd,
            description=self.description,
            sql=physical,
        )


def of(column: Column, piece: Sql, origin: tuple[str, str] | None = None) -> Value:
    """The value of a scalar column."""
    return Value(
        of_column(column),
        piece,
        column=column,
        origin=origin,
        name=column.name,
        unit=column.unit or None,
        ucd=column.ucd,
        unicode=column.datatype == "unicodeChar",
    )
