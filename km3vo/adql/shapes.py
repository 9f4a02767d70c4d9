"""Points, circles, polygons and MOCs: their two forms in SQL, and what is known of them when the query is translated.

A shape has pgSphere's form (spoint, scircle, spoly; radians), which can be compared and uses the index, and DALI's
form (float8[] in degrees; of MOCs text), which can be sent out, sorted and compared for equality. Each can be made
from the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

from km3vo.adql.frames import ICRS, Frame
from km3vo.adql.sql import Sql, double, joined, quoted, sql

Kind = Literal["POINT", "CIRCLE", "POLYGON", "MOC"]
Vertex = tuple[float, float]

# The sky in square degrees, halved: area of a circle is this times 1 - cos(radius).
HALF_SKY = 2 * math.pi * math.degrees(1) ** 2


class Position(NamedTuple):
    """A position, or a circle, that a table stores with a spatial index.

    Attributes:
        table: name of the table, in its parts.
        columns: the columns that hold it: longitude and latitude, and of a circle the radius; or one with points.
    """

    table: tuple[str, ...]
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """A condition on shapes, and the stored positions by whose index it can be answered."""

    condition: Sql
    positions: frozenset[Position] = frozenset()


@dataclass(slots=True)
class Shape:
    """A geometry in a query.

    Attributes:
        kind: what it is.
        sphere_sql, dali_sql: its forms, where they are known; ask for ``sphere`` and ``dali``.
        indexed: whether ``sphere`` is a column that may have a GiST index.
        position: the stored position that it is, if ``sphere`` is the column of one.
        vertices: (longitude, latitude) of a constant point or polygon, degrees.
        coordinates: longitude and latitude of a point in degrees, where they are short enough to be written several
            times; the latitude is one, or an error.
        origin: of a stored position: the table's alias, and the columns with its longitude and latitude.
        center, radius: of circles that were written as such; degrees. ``disc`` gives them for all.
        radius_value: the radius where it is constant.
        cover: scircles that a MOC lies in, if any are known.
        frame: what its coordinates are in; ICRS where nothing is known.
        stated: the frames that the query says it is in, if it says so: ``frame``, and the one it was written in.
        icrs: the same shape in ICRS, if it was turned from there.
    """

    kind: Kind
    sphere_sql: Sql | None = None
    dali_sql: Sql | None = None
    indexed: bool = False
    position: Position | None = None
    vertices: tuple[Vertex, ...] | None = None
    coordinates: tuple[Sql, Sql] | None = None
    origin: tuple[str, str, str] | None = None
    center: Shape | None = None
    radius: Sql | None = None
    radius_value: float | None = None
    cover: tuple[Sql, ...] = ()
    frame: Frame = ICRS
    stated: tuple[Frame, ...] = ()
    icrs: Shape | None = None

    @property
    def is_large(self) -> bool:
        """Whether it is a circle of more than 90 degrees, which pgSphere does not know."""
        return self.radius_value is not None and self.radius_value > 90

    @property
    def presence(self) -> Sql | None:
        """SQL that is NULL exactly when the shape is; None when it never is."""
        if self.vertices:
            return None
        if self.center is not None and self.radius_value is not None:
            return self.center.presence
        return self.sphere

    @property
    def sphere(self) -> Sql:
        """pgSphere's form."""
        if self.sphere_sql is None:
            self.sphere_sql = self._sphere()
        return self.sphere_sql

    @property
    def dali(self) -> Sql:
        """DALI's form: an array of degrees."""
        if self.dali_sql is None:
            self.dali_sql = self._dali()
        return self.dali_sql

    @property
    def disc(self) -> tuple[Shape, Sql]:
        """Centre and radius in degrees of a circle."""
        if self.center is not None and self.radius is not None:
            return self.center, self.radius
        if self.dali_sql is None:
            return point_in(sql("center({})", self.sphere)), sql("degrees(radius({}))", self.sphere)
        return point_from(sql("({})[1:2]", self.dali_sql)), sql("({})[3]", self.dali_sql)

    def _sphere(self) -> Sql:
        if self.kind == "POLYGON" and self.vertices:
            # A typed literal is folded once; 15 decimals are a nanoarcsecond, and pgSphere reads no exponents.
            inside = ",".join(f"({lon:.15f}d,{lat:.15f}d)" for lon, lat in self.vertices)
            return sql("spoly {}", quoted("{" + inside + "}"))
        if self.kind == "CIRCLE" and self.center is not None and self.radius is not None:
            return sql("scircle({}, {})", self.center.sphere, _radians(self.radius, self.radius_value))
        assert self.dali_sql is not None
        sphere = sql(_FROM_DALI[self.kind], *[self.dali_sql] * _FROM_DALI[self.kind].count("{}"))
        return polygon_through(sphere) if self.kind == "POLYGON" else sphere

    def _dali(self) -> Sql:
        if self.vertices:
            numbers = [number for lon, lat in self.vertices for number in (lon % 360, lat)]
            return sql("ARRAY[{}]", joined(", ", map(double, numbers)))
        if self.kind == "CIRCLE" and self.center is not None and self.radius is not None:
            center = self.center
            if center.vertices:
                (lon, lat) = center.vertices[0]
                array = sql("ARRAY[{}, {}, ({})::float8]", double(lon % 360), double(lat), self.radius)
                return array if self.radius_value is not None else guarded(self.radius, array)
            array = sql("({} || ({})::float8)", center.dali, self.radius)
            array = array if self.radius_value is not None else guarded(self.radius, array)
            return array if center.presence is None else guarded(center.presence, array)
        piece = self.sphere
        template = _TO_DALI[self.kind]
        return sql(template, *[piece] * template.count("{}"))


def by_index(condition: Sql, *shapes: Shape) -> Search:
    """A condition for which the index of any of these shapes may be searched."""
    return Search(condition, frozenset(shape.position for shape in shapes if shape.position is not None))


def is_plain(piece: Sql) -> bool:
    """Whether a piece may be written several times: it is short, and the same each time."""
    return len(piece) <= 150 and "random()" not in piece


def flushed(degrees: float) -> float:
    """An angle, with what is next to nothing as 0: PostgreSQL's radians() ends in an underflow for that."""
    return float(degrees) if abs(degrees) > 1e-200 else 0.0


def guarded(presence: Sql, piece: Sql) -> Sql:
    """``piece``, or NULL where ``presence`` is: an array of NULLs is not NULL."""
    return sql("(CASE WHEN ({}) IS NOT NULL THEN {} END)", presence, piece)


_TO_DALI = {
    "POINT": "(CASE WHEN {} IS NOT NULL THEN ARRAY[degrees(long({})), degrees(lat({}))] END)",
    "CIRCLE": "(CASE WHEN {} IS NOT NULL THEN ARRAY[degrees(long(center({}))), degrees(lat(center({}))),"
    " degrees(radius({}))] END)",
    # pgSphere 1.2 has no way to the vertices but the text, 15 digits of radians.
    "POLYGON": "(CASE WHEN {} IS NOT NULL THEN ARRAY(SELECT degrees(m.v[1]::float8) FROM"
    " regexp_matches(({})::text, '[-+0-9.e]+', 'g') WITH ORDINALITY AS m(v, n) ORDER BY m.n) END)",
    "MOC": "({})::text",
}

_FROM_DALI = {
    # pgSphere folds latitudes beyond the poles to the other side, silently. The root of a negative number is an error
    # that PostgreSQL tells apart.
    "POINT": "spoint(radians(({})[1]), radians(({})[2] + 0 * sqrt(90 - abs(({})[2]))))",
    "CIRCLE": "scircle(spoint(radians(({})[1]), radians(({})[2])), radians(({})[3]))",
    "POLYGON": "(SELECT i.n, spoint(radians(({})[2 * i.n - 1]), radians(({})[2 * i.n]))"
    " FROM generate_series(1, array_length({}, 1) / 2) AS i(n))",
    "MOC": "({})::smoc",
}


def polygon_through(corners: Sql) -> Sql:
    """An spoly from a table of numbers and spoints in their order; NULL where one of them is.

    They are looked at beforehand: a first one that is NULL makes pgSphere 1.2's aggregate end the whole server.
    """
    return sql(
        "(SELECT spoly(w.p ORDER BY w.n) FROM ("
        "SELECT v.n, v.p, count(v.p) OVER () AS there, count(v.n) OVER () AS wanted FROM {} AS v(n, p)"
        ") AS w WHERE w.there = w.wanted)",
        corners,
    )


def published(shape: Shape) -> Shape:
    """A shape made of its DALI form alone, as it stands in GROUP BY: nothing else is grouped."""
    grouped = Shape(shape.kind, dali_sql=shape.dali, frame=shape.frame, stated=shape.stated)
    if shape.kind == "POINT":
        grouped.coordinates = sql("({})[1]", shape.dali), sql("({})[2]", shape.dali)
    return grouped


def point_at(lon: float, lat: float) -> Shape:
    """A constant point, degrees."""
    return Shape(
        "POINT",
        sql("spoint(radians({}), radians({}))", double(lon), double(lat)),
        vertices=((lon, lat),),
        coordinates=(double(lon % 360), double(lat)),
    )


def point_from(array: Sql) -> Shape:
    """A point in DALI's form."""
    point = Shape("POINT", dali_sql=array)
    if is_plain(array):
        latitude = sql("(({})[2] + 0 * sqrt(90 - abs(({})[2])))", array, array)
        point.coordinates = sql("({})[1]", array), latitude
    return point


def point_in(sphere: Sql) -> Shape:
    """A point in pgSphere's form."""
    point = Shape("POINT", sphere)
    if is_plain(sphere):
        point.coordinates = sql("degrees(long({}))", sphere), sql("degrees(lat({}))", sphere)
    return point


def antipode(point: Shape) -> Sql:
    """The spoint opposite to a point."""
    return sql("spoint(long({}) + pi(), -lat({}))", point.sphere, point.sphere)


def circle_at(center: Shape, radius: float) -> Shape:
    """A circle of constant radius, degrees."""
    radius = flushed(radius)
    return Shape("CIRCLE", center=center, radius=double(radius), radius_value=radius)


def polygon_of(vertices: tuple[Vertex, ...]) -> Shape:
    """A constant polygon, degrees. Check it with ``polygons.checked`` first."""
    return Shape("POLYGON", vertices=vertices)


def known(answer: bool, *shapes: Shape) -> Sql:
    """An answer that does not depend on the shapes, but is NULL where one of them is."""
    truth = sql("TRUE") if answer else sql("FALSE")
    for shape in shapes:
        if shape.presence is not None:
            truth = guarded(shape.presence, truth)
    return truth


def _radians(radius: Sql, value: float | None) -> Sql:
    """A radius for pgSphere, which ends in an internal error outside of 0 to 90 degrees.

    A radius that is not constant goes through the root of what would then be negative: an error that PostgreSQL
    tells apart.
    """
    if value is not None:
        return sql("radians({})", double(flushed(value)))
    return sql("radians({} + 0 * sqrt({} * (90 - {})))", radius, radius, radius)
