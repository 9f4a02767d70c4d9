"""The geometrical functions (ADQL 2.1 §4.2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from km3vo.adql import frames, polygons, predicates, region, separation, shapes
from km3vo.adql.scope import Scope
from km3vo.adql.shapes import Kind, Shape, Vertex
from km3vo.adql.sql import Sql, double, identifier, integer, joined, sql, text
from km3vo.adql.tree import Call, Node, Null, String
from km3vo.adql.tree import Value as ValueNode
from km3vo.adql.types import WORDS
from km3vo.adql.value import Value
from km3vo.adql.words import USAGE

if TYPE_CHECKING:
    from km3vo.adql.resolve import Values


def _frame(values: Values, node: Call) -> frames.Frame | None:
    """The frame that the arguments are in; None for ICRS."""
    system = node.system
    if system is None or isinstance(system, Null):
        return None
    assert isinstance(system, String)
    try:
        return frames.frame(system.text)
    except KeyError:
        hint = f"known are {frames.NAMES}"
        raise values.error(system, f"unknown coordinate system '{system.text[:40]}'", hint) from None


# ---------------------------------------------------------------------------------------- constructors


def _point(values: Values, node: Call, scope: Scope) -> Value:
    """POINT"""
    shape = _point_from(values, node.arguments[0], node.arguments[1], scope, _frame(values, node))
    return _geometry(shape, "pos.eq")


def _geometry(shape: Shape, ucd: str | None = None) -> Value:
    return Value(shape.kind, shape=shape, unit="deg", ucd=ucd, name=shape.kind.lower())


def _point_from(
    values: Values, lon: ValueNode, lat: ValueNode, scope: Scope, frame: frames.Frame | None = None
) -> Shape:
    """The point with two coordinates; a stored position where there is one."""
    x, y = values.number(lon, scope), values.number(lat, scope)
    if frame is None and x.origin and y.origin and x.origin[0] == y.origin[0]:
        stored = _stored(scope, x.origin[0], (x.origin[1], y.origin[1]))
        if stored is not None:
            array = sql("ARRAY[{}, {}]::float8[]", x.sql, y.sql)
            made = Shape("POINT", stored, shapes.guarded(stored, array), indexed=True)
            made.coordinates = (sql("({})::float8", x.sql), sql("({})::float8", y.sql))
            made.origin = (*x.origin, y.origin[1])
            return made
    return point_of(values, lon, lat, x, y, frame)


def point_of(values: Values, lon: Node, lat: Node, x: Value, y: Value, frame: frames.Frame | None = None) -> Shape:
    """The point with two resolved coordinates."""
    if isinstance(x.constant, int | float) and isinstance(y.constant, int | float):
        _check_latitude(values, lat, float(y.constant))
        if not math.isfinite(x.constant):
            raise values.error(lon, "this is no longitude")
        at = (shapes.flushed(x.constant), shapes.flushed(y.constant))
        made = shapes.point_at(*at)
        return turned(made, frame) if frame else made
    if isinstance(y.constant, int | float):
        _check_latitude(values, lat, float(y.constant))
        parallel = double(shapes.flushed(y.constant))
    else:
        # pgSphere folds latitudes beyond the poles to the other side, silently. The root of a negative number is an
        # error that PostgreSQL tells apart.
        parallel = sql("(({})::float8 + 0 * sqrt(90 - abs(({})::float8)))", y.sql, y.sql)
    sphere = sql("spoint(radians(({})::float8), radians({}))", x.sql, parallel)
    meridian = sql("({})::float8 - 360 * floor(({})::float8 / 360)", x.sql, x.sql)
    array = sql("ARRAY[{}, ({})::float8]", meridian, y.sql)
    made = Shape("POINT", sphere, shapes.guarded(sphere, array))
    if shapes.is_plain(x.sql) and shapes.is_plain(parallel):
        made.coordinates = sql("({})::float8", x.sql), parallel
    return turned(made, frame) if frame else made


def turned(shape: Shape, frame: frames.Frame) -> Shape:
    """A point, circle or polygon after a rotation."""
    if shape.kind == "CIRCLE":
        center, radius = shape.disc
        return Shape("CIRCLE", center=turned(center, frame), radius=radius, radius_value=shape.radius_value)
    if shape.kind == "POLYGON":
        if shape.vertices:
            return shapes.polygon_of(tuple(frame.to_icrs(*corner) for corner in shape.vertices))
        return Shape("POLYGON", frame.turned(shape.sphere))
    return _turned_point(shape, frame)


def _turned_point(point: Shape, frame: frames.Frame) -> Shape:
    if point.vertices:
        return shapes.point_at(*frame.to_icrs(*point.vertices[0]))
    made = Shape("POINT", frame.rotated(point.sphere))
    if point.coordinates is not None:
        made.dali_sql = shapes.guarded(point.sphere, frame.array(*point.coordinates))
    return made


def _stored(scope: Scope, alias: str, columns: tuple[str, ...]) -> Sql | None:
    """The indexed column that holds the position or circle that the named columns describe."""
    place: Scope | None = scope
    while place is not None:
        for relation in place.relations:
            if relation.alias == alias:
                if place.grouped is not None and not place.inside_aggregate:
                    return None  # GROUP BY has the coordinates, not the column that is made of them
                named: Mapping[Any, str] = relation.source.positions if len(columns) == 2 else relation.source.circles
                hidden = named.get(columns)
                return identifier(alias, hidden) if hidden else None
        place = place.outer
    return None


def _check_latitude(values: Values, node: Node, lat: float) -> None:
    if not -90 <= lat <= 90:
        raise values.error(node, f"a latitude of {lat:g} degrees: they run from -90 to 90")


def _circle(values: Values, node: Call, scope: Scope) -> Value:
    """CIRCLE"""
    *place, size = node.arguments
    frame = _frame(values, node)
    radius = values.number(size, scope)
    if len(place) == 2:
        center = _point_from(values, place[0], place[1], scope, frame)
    else:
        center = _shape(values, place[0], scope, "POINT")
    stored = error_circle(center, radius, scope)
    if stored is not None:
        return _geometry(stored)
    constant = radius.constant
    if isinstance(constant, int | float):
        if not constant >= 0 or not math.isfinite(constant):
            raise values.error(size, "a radius cannot be negative")
        return _geometry(shapes.circle_at(center, min(float(constant), 180.0)))
    return _geometry(Shape("CIRCLE", center=center, radius=sql("({})::float8", radius.sql)))


def error_circle(center: Shape, radius: Value, scope: Scope) -> Shape | None:
    """The indexed circle with this centre and radius, if the table has it."""
    if center.origin is None or radius.origin is None or center.origin[0] != radius.origin[0]:
        return None
    alias, lon, lat = center.origin
    stored = _stored(scope, alias, (lon, lat, radius.origin[1]))
    if stored is None:
        return None
    return Shape("CIRCLE", stored, center=center, radius=sql("({})::float8", radius.sql), indexed=True)


def _box(values: Values, node: Call, scope: Scope) -> Value:
    """BOX: a polygon around the origin, turned to its place"""
    *place, wide, high = node.arguments
    frame = _frame(values, node)
    if len(place) == 2:
        center = _point_from(values, place[0], place[1], scope)
    else:
        center = _shape(values, place[0], scope, "POINT")
    sizes = [values.number(size, scope) for size in (wide, high)]
    for size, argument in zip(sizes, (wide, high), strict=True):
        if isinstance(size.constant, int | float) and not 0 < size.constant < 180:
            hint = "for a range of coordinates write ra BETWEEN ... AND dec BETWEEN ..."
            raise values.error(argument, "width and height of a BOX are more than 0 and less than 180 degrees", hint)
    width, height = (size.constant for size in sizes)
    if isinstance(width, int | float) and isinstance(height, int | float):
        corners = polygons.box_at_origin(float(width), float(height))
        if center.vertices:
            at = [polygons.moved(corner, *center.vertices[0]) for corner in corners]
            return _geometry(shapes.polygon_of(tuple(frame.to_icrs(*corner) if frame else corner for corner in at)))
        flat = shapes.polygon_of(corners).sphere
    else:
        w, h = (sql("radians(({})::float8 / 2)", size.sql) for size in sizes)
        y = sql("atan(tan({}) * cos({}))", h, w)
        corners_sql = [(w, y), (sql("(- {})", w), y), (sql("(- {})", w), sql("(- {})", y)), (w, sql("(- {})", y))]
        flat = _aggregated(values, node, [sql("spoint({}, {})", a, b) for a, b in corners_sql])
    # First along the meridian, then along the equator.
    turned = sql("({} + strans(0, -lat({}), long({}), 'XYZ'))", flat, center.sphere, center.sphere)
    return _geometry(Shape("POLYGON", frame.turned(turned) if frame else turned))


def _polygon(values: Values, node: Call, scope: Scope) -> Value:
    """POLYGON"""
    frame = _frame(values, node)
    arguments = node.arguments
    made = [values.value(argument, scope) for argument in arguments]
    if all(one.type == "POINT" for one in made):
        corners = [one.shape for one in made if one.shape is not None]
    else:
        for argument, one in zip(arguments, made, strict=True):
            if one.is_geometry:
                raise values.error(argument, "a polygon is made of points or of numbers, not of both", USAGE["POLYGON"])
        if len(arguments) % 2 or len(arguments) < 6:
            raise values.error(node, "a polygon needs three pairs of coordinates or more", f"write {USAGE['POLYGON']}")
        pairs = zip(arguments[::2], arguments[1::2], strict=True)
        corners = [_point_from(values, lon, lat, scope, frame) for lon, lat in pairs]
    constant = [corner.vertices[0] for corner in corners if corner.vertices]
    if len(constant) == len(corners):
        return _geometry(constant_polygon(values, node, constant))
    if len(corners) > polygons.MAX_VERTICES:
        raise values.error(node, f"a polygon has at most {polygons.MAX_VERTICES:,} vertices")
    sphere = _aggregated(values, node, [corner.sphere for corner in corners])
    dali = sql("({})", joined(" || ", [corner.dali for corner in corners]))
    return _geometry(Shape("POLYGON", sphere, shapes.guarded(sphere, dali)))


def _aggregated(values: Values, node: Call, corners: list[Sql]) -> Sql:
    """An spoly from spoints in order; NULL where one of them is."""
    if any("count(*)" in corner for corner in corners):
        # PostgreSQL would count the corners: no column tells it whose rows are meant.
        raise values.error(node, "COUNT(*) cannot be a coordinate here", "count in a subquery in FROM")
    rows = joined(", ", [sql("({}, {})", integer(n), corner) for n, corner in enumerate(corners)])
    return shapes.polygon_through(sql("(VALUES {})", rows))


def constant_polygon(values: Values, node: Node, corners: list[Vertex]) -> Shape:
    """A polygon from constant vertices, checked."""
    try:
        return shapes.polygon_of(polygons.checked(corners))
    except ValueError as error:
        raise values.error(node, str(error)) from None


def shape_from_numbers(values: Values, node: Node, numbers: list[float], kind: Kind) -> Shape:
    """A shape from its DALI form (DALI 1.1 §3.3.5-7)."""
    count = len(numbers)
    fits = {"POINT": count == 2, "CIRCLE": count == 3, "POLYGON": count >= 6 and count % 2 == 0}[kind]
    if not fits or not all(map(math.isfinite, numbers)):
        form = {"POINT": "'lon lat'", "CIRCLE": "'lon lat radius'", "POLYGON": "'lon1 lat1 lon2 lat2 lon3 lat3 ...'"}
        raise values.error(node, f"this string is not {WORDS[kind]}", f"write {form[kind]}, in degrees")
    if kind == "POLYGON":
        for lat in numbers[1::2]:
            _check_latitude(values, node, lat)
        return constant_polygon(values, node, list(zip(numbers[::2], numbers[1::2], strict=True)))
    _check_latitude(values, node, numbers[1])
    point = shapes.point_at(numbers[0], numbers[1])
    if kind == "POINT":
        return point
    if numbers[2] < 0:
        raise values.error(node, "a radius cannot be negative")
    return shapes.circle_at(point, min(numbers[2], 180.0))


def _region(values: Values, node: Call, scope: Scope) -> Value:
    """REGION: STC-S or DALI in a string"""
    made = values.value(node.arguments[0], scope)
    if not isinstance(made.constant, str):
        raise values.error(node, "REGION needs a text that is known beforehand", f"write {USAGE['REGION']}")
    try:
        kind, numbers, frame = region.parse(made.constant)
    except ValueError as error:
        raise values.error(node.arguments[0], str(error), region.USAGE) from None
    if kind == "BOX":
        lon, lat, width, height = numbers
        _check_latitude(values, node, lat)
        if not (0 < width < 180 and 0 < height < 180):
            raise values.error(node, "width and height of a BOX are more than 0 and less than 180 degrees")
        numbers = [number for corner in polygons.box(lon, lat, width, height) for number in corner]
        kind = "POLYGON"
    if frame is not None:
        turn = numbers[: -1 if kind == "CIRCLE" else None]
        pairs = [frame.to_icrs(a, b) for a, b in zip(turn[::2], turn[1::2], strict=False)]
        numbers = [number for pair in pairs for number in pair] + numbers[len(turn) :]
    return _geometry(shape_from_numbers(values, node, numbers, kind))  # type: ignore[arg-type]


# --------------------------------------------------------------------------------- what can be asked


def _shape(values: Values, node: ValueNode, scope: Scope, *kinds: Kind) -> Shape:
    """The geometry that an argument is."""
    made = values.value(node, scope)
    if made.shape is None or (kinds and made.shape.kind not in kinds):
        wanted = " or ".join(WORDS[kind] for kind in kinds) if kinds else "a geometry"
        hint = "write POINT(ra, dec)" if made.is_number and "POINT" in kinds else ""
        raise values.error(node, f"{wanted} is needed here, but this is {WORDS[made.type]}", hint)
    return made.shape


def _two_shapes(values: Values, node: Call, scope: Scope) -> tuple[Shape, Shape]:
    """Two shapes that can be held against each other: a MOC goes with a MOC or a point."""
    one, other = (_shape(values, argument, scope) for argument in node.arguments)
    for shape, argument in ((one, node.arguments[0]), (other, node.arguments[1])):
        if "MOC" in (one.kind, other.kind) and shape.kind in ("CIRCLE", "POLYGON"):
            hint = f"make it one, as in MOC(8, {shape.kind}(...))"
            raise values.error(argument, f"{WORDS[shape.kind]} cannot be held against a MOC", hint)
    return one, other


def _contains(values: Values, node: Call, scope: Scope) -> Value:
    """CONTAINS"""
    inner, outer = _two_shapes(values, node, scope)
    return _truth(predicates.contains(inner, outer), "contains")


def _intersects(values: Values, node: Call, scope: Scope) -> Value:
    """INTERSECTS"""
    a, b = _two_shapes(values, node, scope)
    return _truth(predicates.intersects(a, b), "intersects")


def _truth(condition: Sql, name: str) -> Value:
    # CASE WHEN ... THEN 1 ELSE 0 would turn NULL into 0.
    return Value("INTEGER", sql("({})::int4", condition), truth=condition, name=name)


def two_points(values: Values, node: Call, scope: Scope) -> tuple[Shape, Shape]:
    """The two points of DISTANCE, in either form."""
    arguments = node.arguments
    if len(arguments) == 2:
        return _shape(values, arguments[0], scope, "POINT"), _shape(values, arguments[1], scope, "POINT")
    return _point_from(values, arguments[0], arguments[1], scope), _point_from(
        values, arguments[2], arguments[3], scope
    )


def _distance(values: Values, node: Call, scope: Scope) -> Value:
    """DISTANCE"""
    a, b = two_points(values, node, scope)
    return Value(
        "DOUBLE",
        separation.distance(a, b),
        unit="deg",
        ucd="pos.angDistance",
        description="Distance on the sky",
        name="distance",
    )


def _area(values: Values, node: Call, scope: Scope) -> Value:
    """AREA"""
    shape = _shape(values, node.arguments[0], scope, "POINT", "CIRCLE", "POLYGON")
    return Value(
        "DOUBLE", predicates.area(shape), unit="deg**2", ucd="phys.angArea", description="Area on the sky", name="area"
    )


def _centroid(values: Values, node: Call, scope: Scope) -> Value:
    """CENTROID"""
    shape = _shape(values, node.arguments[0], scope, "POINT", "CIRCLE", "POLYGON")
    if shape.kind == "POINT":
        return _geometry(shape, "pos.eq")
    if shape.kind == "CIRCLE":
        return _geometry(shape.disc[0], "pos.eq")
    if shape.vertices:
        return _geometry(shapes.point_at(*polygons.centroid(shape.vertices)), "pos.eq")
    return _geometry(Shape("POINT", sql(_CENTROID, shape.dali)), "pos.eq")


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


def _coordinate(name: str, axis: str, index: int) -> Callable[[Values, Call, Scope], Value]:
    def coordinate(values: Values, node: Call, scope: Scope) -> Value:
        shape = _shape(values, node.arguments[0], scope, "POINT")
        piece = sql("({})[{}]", shape.dali, integer(index)) if shape.dali_sql else sql(axis, shape.sphere)
        if shape.vertices:
            piece = double((shape.vertices[0][0] % 360, shape.vertices[0][1])[index - 1])
        ucd = ("pos.eq.ra", "pos.eq.dec")[index - 1]
        return Value("DOUBLE", piece, unit="deg", ucd=ucd, name=name)

    return coordinate


def _coordsys(values: Values, node: Call, scope: Scope) -> Value:
    """COORDSYS: everything here is in ICRS"""
    shape = _shape(values, node.arguments[0], scope)
    piece = text("ICRS") if shape.given is None else shapes.guarded(shape.given, text("ICRS"))
    return Value("CHAR", piece, name="coordsys", ucd="pos.frame")


FUNCTIONS: dict[str, Callable[[Values, Call, Scope], Value]] = {
    "POINT": _point,
    "CIRCLE": _circle,
    "BOX": _box,
    "POLYGON": _polygon,
    "REGION": _region,
    "CONTAINS": _contains,
    "INTERSECTS": _intersects,
    "DISTANCE": _distance,
    "AREA": _area,
    "CENTROID": _centroid,
    "COORD1": _coordinate("coord1", "degrees(long({}))", 1),
    "COORD2": _coordinate("coord2", "degrees(lat({}))", 2),
    "COORDSYS": _coordsys,
}
