"""What can be asked of geometries (ADQL 2.1 §4.2); ``constructors`` makes them."""

from __future__ import annotations

from collections.abc import Callable

from km3vo.adql import constructors, polygons, predicates, separation, shapes, transforms
from km3vo.adql.constructors import CONSTRUCTORS
from km3vo.adql.resolver import ValueResolver
from km3vo.adql.scope import Scope
from km3vo.adql.shapes import Search, Shape
from km3vo.adql.sql import double, integer, sql, text
from km3vo.adql.tree import Call
from km3vo.adql.types import WORDS
from km3vo.adql.value import Value


def _two_shapes(resolver: ValueResolver, node: Call, scope: Scope) -> tuple[Shape, Shape]:
    """Two shapes that can be compared, in one frame: a MOC goes with a MOC or a point."""
    a, b = (constructors.shape_of(resolver, argument, scope) for argument in node.arguments)
    for shape, argument in ((a, node.arguments[0]), (b, node.arguments[1])):
        if "MOC" in (a.kind, b.kind) and shape.kind in ("CIRCLE", "POLYGON"):
            hint = f"make it one, as in MOC(8, {shape.kind}(...))"
            raise resolver.error(argument, f"{WORDS[shape.kind]} cannot be compared with a MOC", hint)
    return transforms.together(a, b)


def _contains(resolver: ValueResolver, node: Call, scope: Scope) -> Value:
    """CONTAINS"""
    inner, outer = _two_shapes(resolver, node, scope)
    return _truth(predicates.contains(inner, outer), "contains")


def _intersects(resolver: ValueResolver, node: Call, scope: Scope) -> Value:
    """INTERSECTS"""
    a, b = _two_shapes(resolver, node, scope)
    return _truth(predicates.intersects(a, b), "intersects")


def _truth(search: Search, name: str) -> Value:
    # CASE WHEN ... THEN 1 ELSE 0 would turn NULL into 0.
    return Value("INTEGER", sql("({})::int4", search.condition), truth=search, name=name)


def two_points(resolver: ValueResolver, node: Call, scope: Scope) -> tuple[Shape, Shape]:
    """The two points of DISTANCE, in either form, in one frame."""
    arguments = node.arguments
    if len(arguments) == 2:
        a, b = (constructors.shape_of(resolver, argument, scope, "POINT") for argument in arguments)
    else:
        lon, lat, other_lon, other_lat = arguments
        a = constructors.point_from(resolver, lon, lat, scope)
        b = constructors.point_from(resolver, other_lon, other_lat, scope)
    return transforms.together(a, b)


def _distance(resolver: ValueResolver, node: Call, scope: Scope) -> Value:
    """DISTANCE"""
    a, b = two_points(resolver, node, scope)
    return Value(
        "DOUBLE",
        separation.distance(a, b),
        unit="deg",
        ucd="pos.angDistance",
        description="Distance on the sky",
        name="distance",
    )


def _area(resolver: ValueResolver, node: Call, scope: Scope) -> Value:
    """AREA"""
    shape = constructors.shape_of(resolver, node.arguments[0], scope, "POINT", "CIRCLE", "POLYGON")
    return Value(
        "DOUBLE", predicates.area(shape), unit="deg**2", ucd="phys.angArea", description="Area on the sky", name="area"
    )


def _centroid(resolver: ValueResolver, node: Call, scope: Scope) -> Value:
    """CENTROID"""
    shape = constructors.shape_of(resolver, node.arguments[0], scope, "POINT", "CIRCLE", "POLYGON")
    if shape.kind == "POINT":
        return constructors.value_of(shape)
    if shape.kind == "CIRCLE":
        return constructors.value_of(constructors.like(shape, shape.disc[0]))
    if shape.vertices:
        return constructors.value_of(constructors.like(shape, shapes.point_at(*polygons.centroid(shape.vertices))))
    return constructors.value_of(constructors.like(shape, Shape("POINT", sql(_CENTROID, shape.dali))))


# As polygons.centroid does it: the sides' normals, each with the length of its side. Polygons are smaller than half
# of the sky, so the vertices tell which way is in.
_CENTROID = """(SELECT CASE WHEN sum(s.vx) IS NOT NULL THEN spoint(
 atan2(sum(s.y) * sign(max(s.way)), sum(s.x) * sign(max(s.way))),
 atan2(sum(s.z) * sign(max(s.way)), sqrt(sum(s.x)^2 + sum(s.y)^2))) END
 FROM (SELECT e.ax AS vx, sum(e.nx * e.f) OVER () * e.ax + sum(e.ny * e.f) OVER () * e.ay
 + sum(e.nz * e.f) OVER () * e.az AS way, e.nx * e.f AS x, e.ny * e.f AS y, e.nz * e.f AS z
 FROM (SELECT c.*, coalesce(atan2(c.size, c.ax * c.bx + c.ay * c.by + c.az * c.bz) / nullif(c.size, 0), 0) AS f
 FROM (SELECT d.*, sqrt(d.nx^2 + d.ny^2 + d.nz^2) AS size
 FROM (SELECT v.*, v.ay * v.bz - v.az * v.by AS nx, v.az * v.bx - v.ax * v.bz AS ny, v.ax * v.by - v.ay * v.bx AS nz
 FROM (SELECT w.ax, w.ay, w.az,
 coalesce(lead(w.ax) OVER (ORDER BY w.n), first_value(w.ax) OVER (ORDER BY w.n)) AS bx,
 coalesce(lead(w.ay) OVER (ORDER BY w.n), first_value(w.ay) OVER (ORDER BY w.n)) AS by,
 coalesce(lead(w.az) OVER (ORDER BY w.n), first_value(w.az) OVER (ORDER BY w.n)) AS bz
 FROM (SELECT i.n, cosd(p.v[2 * i.n - 1]) * cosd(p.v[2 * i.n]) AS ax, sind(p.v[2 * i.n - 1]) * cosd(p.v[2 * i.n]) AS ay,
 sind(p.v[2 * i.n]) AS az FROM (SELECT {} AS v) AS p, generate_series(1, array_length(p.v, 1) / 2) AS i(n)) AS w)
 AS v) AS d) AS c) AS e) AS s)""".replace("\n", "")


def _coordinate(name: str, axis: str, index: int) -> Callable[[ValueResolver, Call, Scope], Value]:
    def coordinate(resolver: ValueResolver, node: Call, scope: Scope) -> Value:
        shape = constructors.shape_of(resolver, node.arguments[0], scope, "POINT")
        piece = sql("({})[{}]", shape.dali, integer(index)) if shape.dali_sql else sql(axis, shape.sphere)
        if shape.vertices:
            piece = double((shape.vertices[0][0] % 360, shape.vertices[0][1])[index - 1])
        frame = shape.frame
        return Value("DOUBLE", piece, unit="deg", ucd=frame.ucd[index], frame=frame.name, name=name)

    return coordinate


def _coordsys(resolver: ValueResolver, node: Call, scope: Scope) -> Value:
    """COORDSYS"""
    shape = constructors.shape_of(resolver, node.arguments[0], scope)
    name = text(shape.frame.name)
    piece = name if shape.presence is None else shapes.guarded(shape.presence, name)
    return Value("CHAR", piece, name="coordsys", ucd="pos.frame")


FUNCTIONS: dict[str, Callable[[ValueResolver, Call, Scope], Value]] = {
    **CONSTRUCTORS,
    "CONTAINS": _contains,
    "INTERSECTS": _intersects,
    "DISTANCE": _distance,
    "AREA": _area,
    "CENTROID": _centroid,
    "COORD1": _coordinate("coord1", "degrees(long({}))", 1),
    "COORD2": _coordinate("coord2", "degrees(lat({}))", 2),
    "COORDSYS": _coordsys,
}
