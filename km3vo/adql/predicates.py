"""CONTAINS and INTERSECTS of shapes, and AREA (ADQL 2.1 §4.2).

Points and circles are exact. Polygons are left to pgSphere, to which what is within 1e-9 rad of a side is inside. MOCs
go with points and with one another.
"""

from __future__ import annotations

from km3vo.adql import moc, separation
from km3vo.adql.shapes import HALF_SKY, Search, Shape, antipode, by_index, guarded, known
from km3vo.adql.sql import Sql, double, sql


def contains(inner: Shape, outer: Shape) -> Search:
    """CONTAINS as a condition, NULL where one of the shapes is (ADQL 2.1 §4.2.13); the border belongs to it."""
    if outer.kind == "POINT":
        if inner.kind == "POINT":
            return separation.closer(inner, outer, "<=", double(0), 0)
        return Search(known(False, inner, outer))
    if inner.kind == "POINT":
        return _point_in(inner, outer)
    if inner.kind == outer.kind == "CIRCLE":
        return separation.circle_contains(inner, outer)
    if outer.is_large:
        if (outer.radius_value or 0) >= 180:
            return Search(known(True, inner, outer))
        return Search(sql("(NOT ({} && {}))", inner.sphere, _complement(outer)))
    if inner.is_large:
        return Search(known(False, inner, outer))
    return Search(sql("({} <@ {})", inner.sphere, outer.sphere))


def _point_in(point: Shape, shape: Shape) -> Search:
    if shape.kind == "MOC":
        return moc.contains(point, shape)
    if shape.kind == "POLYGON":
        return by_index(sql("({} <@ {})", point.sphere, shape.sphere), point)
    if shape.indexed:
        return separation.inside(point, shape)
    center, radius = shape.disc
    # A negative radius is an error; its root is one that PostgreSQL tells apart.
    return separation.closer(point, center, "<=", radius, shape.radius_value, sql("sqrt({})", radius))


def intersects(a: Shape, b: Shape) -> Search:
    """INTERSECTS as a condition; with a point it is CONTAINS (ADQL 2.1 §4.2.18)."""
    if a.kind == "POINT":
        return contains(a, b)
    if b.kind == "POINT":
        return contains(b, a)
    if a.kind == b.kind == "CIRCLE":
        return separation.circles_intersect(a, b)
    if a.is_large or b.is_large:
        large, other = (a, b) if a.is_large else (b, a)
        if (large.radius_value or 0) >= 180:
            return Search(known(True, a, b))
        return Search(sql("(NOT ({} <@ {}))", other.sphere, _complement(large)))
    return by_index(sql("({} && {})", a.sphere, b.sphere), a, b)


def _complement(large: Shape) -> Sql:
    """What a circle of more than 90 degrees leaves over: a circle around the antipode."""
    assert large.center is not None and large.radius_value is not None
    return sql("scircle({}, radians({}))", antipode(large.center), double(180 - large.radius_value))


def area(shape: Shape) -> Sql:
    """AREA, square degrees."""
    if shape.kind == "POINT":
        return double(0) if shape.presence is None else guarded(shape.presence, double(0))
    if shape.radius is not None:
        size = sql("({} * (1 - cos(radians(least({}, 180)))))", double(HALF_SKY), shape.radius)
        return size if shape.presence is None else guarded(shape.presence, size)
    return sql("degrees(degrees(area({})))", shape.sphere)
