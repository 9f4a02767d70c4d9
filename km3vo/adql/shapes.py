"""Points, circles and polygons: their two forms in SQL, and what is known of them when the query is translated.

A shape has pgSphere's form (spoint, scircle, spoly; radians), which can be compared and uses the index, and DALI's
form (float8[] in degrees), which can be sent out, sorted and compared for equality. Each can be made from the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from km3vo.adql.sql import Sql, double, joined, quoted, sql

Kind = Literal["POINT", "CIRCLE", "POLYGON"]
Vertex = tuple[float, float]

# The sky in square degrees, halved: area of a circle is this times 1 - cos(radius).
HALF_SKY = 2 * math.pi * math.degrees(1) ** 2


@dataclass(slots=True)
class Shape:
    """A geometry in a query.

    Attributes:
        kind: what it is.
        sphere_sql, dali_sql: its forms, where they are known; ask for ``sphere`` and ``dali``.
        indexed: whether ``sphere`` is a column with a GiST index.
        vertices: (longitude, latitude) of a constant point or polygon, degrees.
        center, radius: of circles that were written as such; degrees.
        radius_value: the radius where it is constant.
    """

    kind: Kind
    sphere_sql: Sql | None = None
    dali_sql: Sql | None = None
    indexed: bool = False
    vertices: tuple[Vertex, ...] | None = None
    center: Shape | None = None
    radius: Sql | None = None
    radius_value: float | None = None

    @property
    def is_large(self) -> bool:
        """Whether it is a circle of more than 90 degrees, which pgSphere does not know."""
        return self.radius_value is not None and self.radius_value > 90

    @property
    def given(self) -> Sql | None:
        """SQL that is NULL exactly when the shape is; None when it never is."""
        if self.vertices:
            return None
        if self.center is not None and self.radius_value is not None:
            return self.center.given
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

    def _sphere(self) -> Sql:
        if self.kind == "POLYGON" and self.vertices:
            # A typed literal is folded once; 15 decimals are a nanoarcsecond, and pgSphere reads no exponents.
            inside = ",".join(f"({lon:.15f}d,{lat:.15f}d)" for lon, lat in self.vertices)
            return sql("spoly {}", quoted("{" + inside + "}"))
        if self.kind == "CIRCLE" and self.center is not None and self.radius is not None:
            return sql("scircle({}, {})", self.center.sphere, _radians(self.radius, self.radius_value))
        assert self.dali_sql is not None
        return sql(_FROM_DALI[self.kind], *[self.dali_sql] * _FROM_DALI[self.kind].count("{}"))

    def _dali(self) -> Sql:
        if self.vertices:
            numbers = [number for lon, lat in self.vertices for number in (lon % 360, lat)]
            return sql("ARRAY[{}]", joined(", ", map(double, numbers)))
        if self.kind == "CIRCLE" and self.center is not None and self.radius is not None:
            center = self.center
            if center.vertices:
                (lon, lat) = center.vertices[0]
                made = sql("ARRAY[{}, {}, ({})::float8]", double(lon % 360), double(lat), self.radius)
                return made if self.radius_value is not None else guarded(self.radius, made)
            made = sql("({} || ({})::float8)", center.dali, self.radius)
            made = made if self.radius_value is not None else guarded(self.radius, made)
            return made if center.given is None else guarded(center.given, made)
        piece = self.sphere
        template = _TO_DALI[self.kind]
        return sql(template, *[piece] * template.count("{}"))


def flushed(degrees: float) -> float:
    """An angle, with what is next to nothing as 0: PostgreSQL's radians() ends in an underflow for that."""
    return float(degrees) if abs(degrees) > 1e-200 else 0.0


def guarded(given: Sql, piece: Sql) -> Sql:
    """``piece``, or NULL where ``given`` is: an array of NULLs is not NULL."""
    return sql("(CASE WHEN ({}) IS NOT NULL THEN {} END)", given, piece)


_TO_DALI = {
    "POINT": "(CASE WHEN {} IS NOT NULL THEN ARRAY[degrees(long({})), degrees(lat({}))] END)",
    "CIRCLE": "(CASE WHEN {} IS NOT NULL THEN ARRAY[degrees(long(center({}))), degrees(lat(center({}))),"
    " degrees(radius({}))] END)",
    # pgSphere 1.2 has no way to the vertices but the text, 15 digits of radians.
    "POLYGON": "(CASE WHEN {} IS NOT NULL THEN ARRAY(SELECT degrees(m.v[1]::float8) FROM"
    " regexp_matches(({})::text, '[-+0-9.e]+', 'g') WITH ORDINALITY AS m(v, n) ORDER BY m.n) END)",
}

_FROM_DALI = {
    "POINT": "spoint(radians(({})[1]), radians(({})[2]))",
    "CIRCLE": "scircle(spoint(radians(({})[1]), radians(({})[2])), radians(({})[3]))",
    "POLYGON": "(SELECT spoly(spoint(radians(({})[2 * i.n - 1]), radians(({})[2 * i.n])) ORDER BY i.n)"
    " FROM generate_series(1, array_length({}, 1) / 2) AS i(n))",
}


def point_at(lon: float, lat: float) -> Shape:
    """A constant point, degrees."""
    return Shape(
        "POINT",
        sql("spoint(radians({}), radians({}))", double(lon), double(lat)),
        vertices=((lon, lat),),
    )


def circle_at(center: Shape, radius: float) -> Shape:
    """A circle of constant radius, degrees."""
    radius = flushed(radius)
    return Shape("CIRCLE", center=center, radius=double(radius), radius_value=radius)


def polygon_of(vertices: tuple[Vertex, ...]) -> Shape:
    """A constant polygon, degrees. Check it with ``polygons.checked`` first."""
    return Shape("POLYGON", vertices=vertices)


# ------------------------------------------------------------------------------------------ predicates


def contains(inner: Shape, outer: Shape) -> Sql:
    """CONTAINS as a condition, NULL where one of the shapes is (ADQL 2.1 §4.2.13); the border belongs to it."""
    if outer.kind == "POINT":
        if inner.kind == "POINT":
            return sql("({} = {})", inner.sphere, outer.sphere)
        return _known(False, inner, outer)
    if inner.kind == "POINT":
        if outer.center is not None and outer.radius is not None and not outer.indexed:
            return within(inner, outer.center, outer.radius, outer.radius_value)
        return sql("({} <@ {})", inner.sphere, outer.sphere)
    if outer.is_large or inner.is_large:
        if outer.radius_value is not None and outer.radius_value >= 180:
            return _known(True, inner, outer)
        if inner.kind == outer.kind == "CIRCLE":
            return sql("(degrees({} <-> {}) + {} <= {})", *_two_circles(inner, outer))
        if inner.is_large:
            return _known(False, inner, outer)
        return sql("(NOT ({} && {}))", inner.sphere, _complement(outer))
    return sql("({} <@ {})", inner.sphere, outer.sphere)


def intersects(a: Shape, b: Shape) -> Sql:
    """INTERSECTS as a condition; with a point it is CONTAINS (ADQL 2.1 §4.2.18)."""
    if a.kind == "POINT":
        return contains(a, b)
    if b.kind == "POINT":
        return contains(b, a)
    if a.is_large or b.is_large:
        if a.kind == b.kind == "CIRCLE":
            return sql("(degrees({} <-> {}) <= {} + {})", *_two_circles(a, b))
        large, other = (a, b) if a.is_large else (b, a)
        if (large.radius_value or 0) >= 180:
            return _known(True, a, b)
        return sql("(NOT ({} <@ {}))", other.sphere, _complement(large))
    return sql("({} && {})", a.sphere, b.sphere)


def within(point: Shape, center: Shape, radius: Sql, value: float | None) -> Sql:
    """Whether a point is in a circle, so printed that the index is used (border within 0.2 mas belongs to it).

    Who is in whose circle makes no difference, and PostgreSQL looks for the index at the left: so the indexed
    position goes there, and with one on either side both are printed, for the planner to choose.
    """
    if value is not None and value > 90:
        if value >= 180:
            return _known(True, point, center)
        return sql("(degrees({} <-> {}) <= {})", point.sphere, center.sphere, radius)
    angle = _radians(radius, value)
    one = sql("({} <@ scircle({}, {}))", point.sphere, center.sphere, angle)
    if not center.indexed:
        return one
    other = sql("({} <@ scircle({}, {}))", center.sphere, point.sphere, angle)
    if not point.indexed:
        return other
    return sql("({} AND {})", one, other) if value is not None else one


def distance(a: Shape, b: Shape) -> Sql:
    """DISTANCE of two points, degrees."""
    return sql("degrees({} <-> {})", a.sphere, b.sphere)


def closer(a: Shape, b: Shape, operator: str, radius: Sql, value: float | None) -> Sql | None:
    """DISTANCE(a, b) < radius with the index: a circle picks candidates and the exact distance decides.

    None where the radius is not known to be between 0 and 90 degrees: outside, a circle would lose rows.
    """
    if value is None or not 0 <= value <= 90:
        return None
    exact = sql(_CLOSER[operator], a.sphere, b.sphere, radius)
    return sql("({} AND {})", within(a, b, radius, value), exact)


_CLOSER = {"<": "degrees({} <-> {}) < {}", "<=": "degrees({} <-> {}) <= {}"}


def area(shape: Shape) -> Sql:
    """AREA, square degrees."""
    if shape.kind == "POINT":
        return double(0) if shape.given is None else guarded(shape.given, double(0))
    if shape.radius is not None:
        made = sql("({} * (1 - cos(radians(least({}, 180)))))", double(HALF_SKY), shape.radius)
        return made if shape.given is None else guarded(shape.given, made)
    return sql("degrees(degrees(area({})))", shape.sphere)


def _radians(radius: Sql, value: float | None) -> Sql:
    """A radius for pgSphere, which ends in an internal error outside of 0 to 90 degrees.

    A radius that is not constant goes through the root of what would then be negative: an error that PostgreSQL
    tells apart.
    """
    if value is not None:
        return sql("radians({})", double(flushed(value)))
    return sql("radians({} + 0 * sqrt({} * (90 - {})))", radius, radius, radius)


def _two_circles(a: Shape, b: Shape) -> tuple[Sql, Sql, Sql, Sql]:
    (p, r), (q, s) = (
        (shape.center.sphere, shape.radius)
        if shape.center is not None and shape.radius is not None
        else (sql("center({})", shape.sphere), sql("degrees(radius({}))", shape.sphere))
        for shape in (a, b)
    )
    return p, q, r, s


def _complement(large: Shape) -> Sql:
    """What a circle of more than 90 degrees leaves over: a circle around the antipode."""
    assert large.center is not None and large.radius_value is not None
    return sql(
        "scircle(spoint(long({}) + pi(), -lat({})), radians({}))",
        large.center.sphere,
        large.center.sphere,
        double(180 - large.radius_value),
    )


def _known(answer: bool, *shapes: Shape) -> Sql:
    """An answer that does not depend on the shapes, but is NULL where one of them is."""
    truth = sql("TRUE") if answer else sql("FALSE")
    for shape in shapes:
        if shape.given is not None:
            truth = guarded(shape.given, truth)
    return truth
