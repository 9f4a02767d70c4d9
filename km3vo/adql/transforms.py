"""Shapes from one reference frame to another."""

from __future__ import annotations

from dataclasses import replace

from km3vo.adql import shapes
from km3vo.adql.frames import ICRS, Frame, Rotation
from km3vo.adql.shapes import Shape


def to(shape: Shape, frame: Frame) -> Shape:
    """A shape with its coordinates in a frame; what was turned from ICRS is turned from there, not once more."""
    if shape.frame is frame:
        return shape
    if shape.icrs is not None:
        shape = shape.icrs
        if frame is ICRS:
            return shape
    icrs = shape if shape.frame is ICRS else None
    return replace(_turned(shape, shape.frame.to(frame)), frame=frame, stated=(frame,), icrs=icrs)


def together(a: Shape, b: Shape) -> tuple[Shape, Shape]:
    """Two shapes in one frame: ICRS, where the indexes are, unless both are in another and have never been in ICRS."""
    if a.frame is b.frame and a.icrs is None and b.icrs is None:
        return a, b
    return to(a, ICRS), to(b, ICRS)


def stated(shape: Shape, frame: Frame) -> Shape | None:
    """A shape that the query says is in a frame; None where it is known to be in another."""
    if not shape.stated:
        return replace(shape, frame=frame, stated=(frame,))
    return shape if frame in shape.stated else None


def _turned(shape: Shape, rotation: Rotation) -> Shape:
    """A point, circle or polygon after a rotation."""
    if shape.kind == "CIRCLE":
        center, radius = shape.disc
        return Shape("CIRCLE", center=_turned(center, rotation), radius=radius, radius_value=shape.radius_value)
    if shape.kind == "POLYGON":
        if shape.vertices:
            return shapes.polygon_of(tuple(rotation.of(*corner) for corner in shape.vertices))
        return Shape("POLYGON", rotation.turned(shape.sphere))
    if shape.vertices:
        return shapes.point_at(*rotation.of(*shape.vertices[0]))
    point = Shape("POINT", rotation.rotated(shape.sphere))
    if shape.coordinates is not None:
        point.dali_sql = shapes.guarded(shape.sphere, rotation.array(*shape.coordinates))
    return point
