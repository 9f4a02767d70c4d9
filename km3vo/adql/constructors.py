"""Geometries that a query makes: POINT, CIRCLE, BOX, POLYGON and REGION (ADQL 2.1 §4.2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from km3vo.adql import frames, polygons, region, shapes, transforms
from km3vo.adql.frames import FRAMES, ICRS, Frame
from km3vo.adql.resolver import ValueResolver
from km3vo.adql.scope import Scope
from km3vo.adql.shapes import Kind, Position, Shape, Vertex
from km3vo.adql.sql import Sql, double, identifier, integer, joined, sql
from km3vo.adql.tree import Call, Node, Null, String, ValueNode
from km3vo.adql.types import WORDS
from km3vo.adql.value import Value, common_frame
from km3vo.adql.words import USAGE


def _system(resolver: ValueResolver, node: Call) -> Frame | None:
    """The frame that the arguments are said to be in; None where nothing is said."""
    written = node.system
    if written is None or isinstance(written, Null):
        return None
    assert isinstance(written, String)
    try:
        return frames.system(written.text)
    except KeyError:
        hint = f"known are {frames.NAMES}"
        raise resolver.error(written, f"unknown coordinate system '{written.text[:40]}'", hint) from None


def _in_icrs(resolver: ValueResolver, node: Node, shape: Shape, system: Frame | None) -> Shape:
    """A shape that the query says is in a coordinate system, converted to ICRS; as it is where nothing is said.

    Raises AdqlError where it is known to be in another.
    """
    if system is None:
        return shape
    said = transforms.stated(shape, system)
    if said is None:
        raise resolver.error(node, f"this is in {shape.frame.name}, not in {system.name}", _TRANSFORM)
    return replace(transforms.to(said, ICRS), stated=(system, ICRS))


_TRANSFORM = "to convert it write ivo_geom_transform('from', 'to', shape)"


def _point(resolver: ValueResolver, node: Call, scope: Scope) -> Value:
    """POINT"""
    lon, lat = node.arguments
    return value_of(point_from(resolver, lon, lat, scope, _system(resolver, node)))


def value_of(shape: Shape) -> Value:
    """A geometry as a value."""
    ucd = shape.frame.ucd[0] if shape.kind == "POINT" else None
    return Value(shape.kind, shape=shape, unit="deg", ucd=ucd, name=shape.kind.lower())


def point_from(
    resolver: ValueResolver, lon: ValueNode, lat: ValueNode, scope: Scope, system: Frame | None = None
) -> Shape:
    """The point with two coordinates, in ICRS if a coordinate system is named; a stored position where there is one."""
    return _in_icrs(resolver, lon, _native_point(resolver, lon, lat, scope, system), system)


def _native_point(resolver: ValueResolver, lon: ValueNode, lat: ValueNode, scope: Scope, system: Frame | None) -> Shape:
    """The same in the frame of its coordinates."""
    x, y = resolver.number(lon, scope), resolver.number(lat, scope)
    if system in (None, ICRS) and x.origin and y.origin and x.origin[0] == y.origin[0]:
        stored = _stored(scope, x.origin[0], (x.origin[1], y.origin[1]))
        if stored is not None:
            column, position = stored
            array = sql("ARRAY[{}, {}]::float8[]", x.sql, y.sql)
            point = Shape("POINT", column, shapes.guarded(column, array), indexed=True, position=position)
            point.coordinates = (sql("({})::float8", x.sql), sql("({})::float8", y.sql))
            point.origin = (*x.origin, y.origin[1])
            return point
    return point_of(resolver, lon, lat, x, y, system)


def point_of(resolver: ValueResolver, lon: Node, lat: Node, x: Value, y: Value, system: Frame | None = None) -> Shape:
    """The point with two resolved coordinates, in their frame."""
    point = _constant_point(resolver, lon, lat, x, y) or _computed_point(resolver, lat, x, y)
    return in_frame_of(resolver, lon, x, y, point, system)


def in_frame_of(
    resolver: ValueResolver, node: Node, x: Value, y: Value, point: Shape, system: Frame | None = None
) -> Shape:
    """A point in the frame of its two coordinates. Raises AdqlError where they are in different ones."""
    frame, stated = _frame_of(resolver, node, x, y, system)
    return replace(point, frame=frame, stated=stated)


def _constant_point(resolver: ValueResolver, lon: Node, lat: Node, x: Value, y: Value) -> Shape | None:
    if not isinstance(x.constant, int | float) or not isinstance(y.constant, int | float):
        return None
    _check_latitude(resolver, lat, float(y.constant))
    if not math.isfinite(x.constant):
        raise resolver.error(lon, "this is no longitude")
    return shapes.point_at(shapes.flushed(x.constant), shapes.flushed(y.constant))


def _computed_point(resolver: ValueResolver, lat: Node, x: Value, y: Value) -> Shape:
    if isinstance(y.constant, int | float):
        _check_latitude(resolver, lat, float(y.constant))
        parallel = double(shapes.flushed(y.constant))
    else:
        # pgSphere folds latitudes beyond the poles to the other side, silently. The root of a negative number is an
        # error that PostgreSQL tells apart.
        parallel = sql("(({})::float8 + 0 * sqrt(90 - abs(({})::float8)))", y.sql, y.sql)
    sphere = sql("spoint(radians(({})::float8), radians({}))", x.sql, parallel)
    meridian = sql("({})::float8 - 360 * floor(({})::float8 / 360)", x.sql, x.sql)
    array = sql("ARRAY[{}, ({})::float8]", meridian, y.sql)
    point = Shape("POINT", sphere, shapes.guarded(sphere, array))
    if shapes.is_plain(x.sql) and shapes.is_plain(parallel):
        point.coordinates = sql("({})::float8", x.sql), parallel
    return point


def _frame_of(
    resolver: ValueResolver, node: Node, x: Value, y: Value, system: Frame | None
) -> tuple[Frame, tuple[Frame, ...]]:
    """The frame of two coordinates, and those that the query states.

    A column's ICRS may be a guess and gives way to what the query says; other frames come from the query itself, or
    from whoever described the column. Raises AdqlError where they contradict one another.
    """
    name = common_frame((x, y))
    if name is not None and name != ICRS.name and (system is None or name != system.name):
        if name not in FRAMES or system is not None:
            other = f", not in {system.name}" if system is not None else ""
            raise resolver.error(node, f"these coordinates are in {name}{other}", _TRANSFORM)
        return FRAMES[name], (FRAMES[name],)
    return (ICRS, ()) if system is None else (system, (system,))


def _stored(scope: Scope, alias: str, columns: tuple[str, ...]) -> tuple[Sql, Position | None] | None:
    """The indexed column that holds the position or circle that the named columns describe, and what it is."""
    place: Scope | None = scope
    while place is not None:
        for relation in place.relations:
            if relation.alias == alias:
                if place.grouped is not None and not place.inside_aggregate:
                    return None  # GROUP BY has the coordinates, not the column that is made of them
                named: Mapping[Any, str] = relation.table.positions if len(columns) == 2 else relation.table.circles
                hidden = named.get(columns)
                return (identifier(alias, hidden), relation.table.position(columns, hidden)) if hidden else None
        place = place.outer
    return None


def _check_latitude(resolver: ValueResolver, node: Node, lat: float) -> None:
    if not -90 <= lat <= 90:
        raise resolver.error(node, f"a latitude of {lat:g} degrees: they run from -90 to 90")


def _circle(resolver: ValueResolver, node: Call, scope: Scope) -> Value:
    """CIRCLE"""
    *place, size = node.arguments
    system = _system(resolver, node)
    radius = resolver.number(size, scope)
    if len(place) == 2:
        center = point_from(resolver, place[0], place[1], scope, system)
    else:
        center = _in_icrs(resolver, place[0], shape_of(resolver, place[0], scope, "POINT"), system)
    stored = error_circle(center, radius, scope)
    if stored is not None:
        return value_of(stored)
    constant = radius.constant
    if isinstance(constant, int | float):
        if not constant >= 0 or not math.isfinite(constant):
            raise resolver.error(size, "a radius cannot be negative")
        return value_of(like(center, shapes.circle_at(center, min(float(constant), 180.0))))
    return value_of(like(center, Shape("CIRCLE", center=center, radius=sql("({})::float8", radius.sql))))


def like(model: Shape, shape: Shape) -> Shape:
    """A shape in the frame of the one that it is made of."""
    return replace(shape, frame=model.frame, stated=model.stated)


def error_circle(center: Shape, radius: Value, scope: Scope) -> Shape | None:
    """The indexed circle with this centre and radius, if the table has it."""
    if center.origin is None or radius.origin is None or center.origin[0] != radius.origin[0]:
        return None
    alias, lon, lat = center.origin
    stored = _stored(scope, alias, (lon, lat, radius.origin[1]))
    if stored is None:
        return None
    column, position = stored
    size = sql("({})::float8", radius.sql)
    return Shape("CIRCLE", column, center=center, radius=size, indexed=True, position=position)


def _box(resolver: ValueResolver, node: Call, scope: Scope) -> Value:
    """BOX: a polygon around the origin, turned to its place"""
    *place, wide, high = node.arguments
    system = _system(resolver, node)
    if len(place) == 2:
        center = _native_point(resolver, place[0], place[1], scope, system)
    else:
        center = shape_of(resolver, place[0], scope, "POINT")
    sizes = [resolver.number(size, scope) for size in (wide, high)]
    for size, argument in zip(sizes, (wide, high), strict=True):
        if isinstance(size.constant, int | float) and not 0 < size.constant < 180:
            hint = "for a range of coordinates write ra BETWEEN ... AND dec BETWEEN ..."
            raise resolver.error(argument, "width and height of a BOX are more than 0 and less than 180 degrees", hint)
    width, height = (size.constant for size in sizes)
    if isinstance(width, int | float) and isinstance(height, int | float):
        corners = polygons.box_at_origin(float(width), float(height))
        if center.vertices:
            moved = shapes.polygon_of(tuple(polygons.moved(corner, *center.vertices[0]) for corner in corners))
            return value_of(_in_icrs(resolver, node, like(center, moved), system))
        flat = shapes.polygon_of(corners).sphere
    else:
        w, h = (sql("radians(({})::float8 / 2)", size.sql) for size in sizes)
        y = sql("atan(tan({}) * cos({}))", h, w)
        corners_sql = [(w, y), (sql("(- {})", w), y), (sql("(- {})", w), sql("(- {})", y)), (w, sql("(- {})", y))]
        flat = _aggregated(resolver, node, [sql("spoint({}, {})", a, b) for a, b in corners_sql])
    # First along the meridian, then along the equator.
    sphere = sql("({} + strans(0, -lat({}), long({}), 'XYZ'))", flat, center.sphere, center.sphere)
    return value_of(_in_icrs(resolver, node, like(center, Shape("POLYGON", sphere)), system))


def _polygon(resolver: ValueResolver, node: Call, scope: Scope) -> Value:
    """POLYGON"""
    system = _system(resolver, node)
    arguments = node.arguments
    values = [resolver.value(argument, scope) for argument in arguments]
    if all(value.type == "POINT" for value in values):
        points = zip(arguments, values, strict=True)
        corners = [_in_icrs(resolver, argument, value.shape, system) for argument, value in points if value.shape]
    else:
        for argument, value in zip(arguments, values, strict=True):
            if value.is_geometry:
                message = "a polygon is made of points or of numbers, not of both"
                raise resolver.error(argument, message, USAGE["POLYGON"])
        if len(arguments) % 2 or len(arguments) < 6:
            message = "a polygon needs three pairs of coordinates or more"
            raise resolver.error(node, message, f"write {USAGE['POLYGON']}")
        pairs = zip(arguments[::2], arguments[1::2], strict=True)
        corners = [point_from(resolver, lon, lat, scope, system) for lon, lat in pairs]
    if len({corner.frame.name for corner in corners}) > 1:
        corners = [transforms.to(corner, ICRS) for corner in corners]
    return value_of(like(_most_stated(corners), _polygon_of(resolver, node, corners)))


def _most_stated(corners: list[Shape]) -> Shape:
    """The corner of which most is known, to tell the frame of all: constants are in that of the others."""
    return max(corners, key=lambda corner: len(corner.stated))


def _polygon_of(resolver: ValueResolver, node: Call, corners: list[Shape]) -> Shape:
    """A polygon with these corners, which are in one frame."""
    constant = [corner.vertices[0] for corner in corners if corner.vertices]
    if len(constant) == len(corners):
        return constant_polygon(resolver, node, constant)
    if len(corners) > polygons.MAX_VERTICES:
        raise resolver.error(node, f"a polygon has at most {polygons.MAX_VERTICES:,} vertices")
    sphere = _aggregated(resolver, node, [corner.sphere for corner in corners])
    dali = sql("({})", joined(" || ", [corner.dali for corner in corners]))
    return Shape("POLYGON", sphere, shapes.guarded(sphere, dali))


def _aggregated(resolver: ValueResolver, node: Call, corners: list[Sql]) -> Sql:
    """An spoly from spoints in order; NULL where one of them is."""
    if any("count(*)" in corner for corner in corners):
        # PostgreSQL would count the corners: no column tells it whose rows are meant.
        raise resolver.error(node, "COUNT(*) cannot be a coordinate here", "count in a subquery in FROM")
    rows = joined(", ", [sql("({}, {})", integer(n), corner) for n, corner in enumerate(corners)])
    return shapes.polygon_through(sql("(VALUES {})", rows))


def constant_polygon(resolver: ValueResolver, node: Node, corners: list[Vertex]) -> Shape:
    """A polygon from constant vertices, checked."""
    try:
        return shapes.polygon_of(polygons.checked(corners))
    except ValueError as error:
        raise resolver.error(node, str(error)) from None


def shape_from_numbers(resolver: ValueResolver, node: Node, numbers: list[float], kind: Kind) -> Shape:
    """A shape from its DALI form (DALI 1.1 §3.3.5-7)."""
    count = len(numbers)
    fits = {"POINT": count == 2, "CIRCLE": count == 3, "POLYGON": count >= 6 and count % 2 == 0}[kind]
    if not fits or not all(map(math.isfinite, numbers)):
        form = {"POINT": "'lon lat'", "CIRCLE": "'lon lat radius'", "POLYGON": "'lon1 lat1 lon2 lat2 lon3 lat3 ...'"}
        raise resolver.error(node, f"this string is not {WORDS[kind]}", f"write {form[kind]}, in degrees")
    if kind == "POLYGON":
        for lat in numbers[1::2]:
            _check_latitude(resolver, node, lat)
        return constant_polygon(resolver, node, list(zip(numbers[::2], numbers[1::2], strict=True)))
    _check_latitude(resolver, node, numbers[1])
    point = shapes.point_at(numbers[0], numbers[1])
    if kind == "POINT":
        return point
    if numbers[2] < 0:
        raise resolver.error(node, "a radius cannot be negative")
    return shapes.circle_at(point, min(numbers[2], 180.0))


def _region(resolver: ValueResolver, node: Call, scope: Scope) -> Value:
    """REGION: STC-S or DALI in a string"""
    value = resolver.value(node.arguments[0], scope)
    if not isinstance(value.constant, str):
        raise resolver.error(node, "REGION needs a text that is known beforehand", f"write {USAGE['REGION']}")
    try:
        kind, numbers, system = region.parse(value.constant)
    except ValueError as error:
        raise resolver.error(node.arguments[0], str(error), region.USAGE) from None
    if kind == "BOX":
        lon, lat, width, height = numbers
        _check_latitude(resolver, node, lat)
        if not (0 < width < 180 and 0 < height < 180):
            raise resolver.error(node, "width and height of a BOX are more than 0 and less than 180 degrees")
        numbers = [number for corner in polygons.box(lon, lat, width, height) for number in corner]
        kind = "POLYGON"
    shape = shape_from_numbers(resolver, node, numbers, kind)  # type: ignore[arg-type]
    return value_of(_in_icrs(resolver, node, shape, system))


def shape_of(resolver: ValueResolver, node: ValueNode, scope: Scope, *kinds: Kind) -> Shape:
    """The geometry that an argument is."""
    value = resolver.value(node, scope)
    if value.shape is None or (kinds and value.shape.kind not in kinds):
        needed = " or ".join(WORDS[kind] for kind in kinds) if kinds else "a geometry"
        hint = "write POINT(ra, dec)" if value.is_number and "POINT" in kinds else ""
        raise resolver.error(node, f"{needed} is needed here, but this is {WORDS[value.type]}", hint)
    return value.shape


# By the names of the functions.
CONSTRUCTORS: dict[str, Callable[[ValueResolver, Call, Scope], Value]] = {
    "POINT": _point,
    "CIRCLE": _circle,
    "BOX": _box,
    "POLYGON": _polygon,
    "REGION": _region,
}
