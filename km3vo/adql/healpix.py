"""The number of the HEALPix pixel that holds a point, as the database works it out (km3vo/database/statistics.sql)."""

from __future__ import annotations

from km3vo.adql.shapes import Shape
from km3vo.adql.sql import Sql, sql


def index(order: Sql, point: Shape) -> Sql:
    """The number in nested order; NULL where the point or the order is, or there is no such order."""
    if point.coordinates is not None:
        # As they were written: pgSphere moves what is near a pole or the meridian.
        return sql("km3_healpix({}, radians({}), radians({}))", order, *point.coordinates)
    return sql("(SELECT km3_healpix({}, long(p.s), lat(p.s)) FROM (SELECT {} AS s OFFSET 0) AS p)", order, point.sphere)
