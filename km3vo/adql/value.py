"""A resolved expression: its SQL, its type, and what it means."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from km3vo.adql.shapes import Search, Shape
from km3vo.adql.sql import Sql
from km3vo.adql.types import GEOMETRIES, INTEGERS, NUMBERS, Type, of_column, votable
from km3vo.column import Column, TimeSystem


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
        texts: how many texts of tables a string is put together from; a long one counts as several.
        nullable: whether it may be NULL. Of columns only it is known that they are not.
        frame: of coordinates, the frame that they are in; of geometries, the shape knows. None if there is none.
        time: of times, what they are counted from; None if that is not known.
        size: of columns of subqueries, characters of the expression that PostgreSQL may put in their place.
    """

    type: Type
    piece: Sql | None = None
    shape: Shape | None = None
    constant: float | int | str | None = None
    truth: Search | None = None
    column: Column | None = None
    origin: tuple[str, str] | None = None
    name: str = ""
    unit: str | None = None
    ucd: str | None = None
    description: str | None = None
    unicode: bool = False
    arraysize: str | None = None
    texts: int = 1
    nullable: bool = True
    frame: str | None = None
    time: TimeSystem | None = None
    size: int = 0

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
            same = (name, physical, self.nullable) == (self.column.name, self.column.sql, self.column.nullable)
            return self.column if same else replace(self.column, name=name, sql=physical, nullable=self.nullable)
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
            nullable=self.nullable,
            frame=self.frame if self.shape is None else self.shape.frame.name,
            time=self.time,
            sql=physical,
        )

    def alike(self, type_: Type, piece: Sql, name: str = "") -> Value:
        """A value with the meaning of this one: unit, UCD, frame and time system."""
        return Value(type_, piece, name=name, unit=self.unit, ucd=self.ucd, frame=self.frame, time=self.time)


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
        nullable=column.nullable,
        frame=column.frame,
        time=column.time,
    )


# What numbers are in that were worked out of coordinates in different frames.
MIXED = "different frames"


def common_frame(values: Iterable[Value]) -> str | None:
    """The frame of what is worked out of values; those without a frame, such as constants, do not count."""
    frames = {value.frame for value in values if value.frame is not None}
    return MIXED if len(frames) > 1 else next(iter(frames), None)


def of_both(a: Column, b: Column) -> Column:
    """The column at the left as one that holds values of both: what is said of them is what both say."""
    if a == b:
        return a
    first, second = ((column.ucd or "").partition(";")[0] for column in (a, b))
    # Times that count from different days are as different as degrees and radians.
    alike = a.unit == b.unit and first == second and (a.time == b.time or None in (a.time, b.time))
    ucd = a.ucd if a.ucd == b.ucd else first or None
    return replace(
        a,
        unit=a.unit if a.unit == b.unit else None,
        ucd=ucd if alike else None,
        utype=a.utype if a.utype == b.utype else None,
        description=a.description if a.description == b.description else None,
        range=a.range if a.range == b.range else None,
        values=a.values if a.values == b.values else (),
        frame=a.frame if alike or of_column(a) in GEOMETRIES else None,
        time=a.time if a.time == b.time else None,
    )
