"""MOCs: parts of the sky as sets of HEALPix cells, from a string or a shape (MOC 2.0; DALI 1.2 §3.3.8).

Neither ADQL nor the catalogue of functions (EN-UDF 1.2) knows them. The names are those of DaCHS, where they can be
met with already. No index of pgSphere's finds points in a MOC, so circles around its cells pick the candidates.
"""

from __future__ import annotations

import math
import re

from km3vo.adql import healpix, transforms
from km3vo.adql.frames import ICRS, vector
from km3vo.adql.resolver import ValueResolver
from km3vo.adql.shapes import Search, Shape, by_index
from km3vo.adql.sql import Sql, double, integer, joined, quoted, sql
from km3vo.adql.tree import Call
from km3vo.adql.types import WORDS
from km3vo.adql.value import Value

Ranges = dict[int, list[tuple[int, int]]]

MAX_ORDER = 29
# Of MOCs made from shapes: at 14 the cells are 13 arc seconds wide, and half of the sky has a border of a million.
MAX_MADE = 14
# Circles that are searched in turn; more cells are taken together in larger ones.
_CIRCLES = 24

USAGE = "write MOC('4/30-33 38 52 5/324-934') or MOC(order, CIRCLE(ra, dec, radius))"
_TOKEN = re.compile(r"(?P<order>\d{1,2})/|(?P<first>\d{1,20})(?:-(?P<last>\d{1,20}))?(?=[\s,]|$)|[\s,]+")


def parse(text: str) -> Ranges:
    """The cells of an ASCII MOC (MOC 2.0 §4.3.2), by order: first and last of each range.

    Raises ValueError, with a reason, for what is none.
    """
    ranges: Ranges = {}
    order, place = -1, 0
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            raise ValueError(f"a MOC cannot have '{text[place : place + 10]}' at character {place + 1}")
        place = token.end()
        if token["order"] is not None:
            order = int(token["order"])
            if order > MAX_ORDER:
                raise ValueError(f"the order of a MOC is at most {MAX_ORDER}, not {order}")
            ranges.setdefault(order, [])
        elif token["first"] is not None:
            first = int(token["first"])
            last = int(token["last"] or first)
            if order < 0:
                raise ValueError("a MOC begins with an order, as in 4/30-33")
            if not first <= last < 12 * 4**order:
                raise ValueError(f"at order {order} the cells of a MOC are numbered 0 to {12 * 4**order - 1}")
            ranges[order].append((first, last))
    if not ranges:
        raise ValueError("this MOC is empty, without even an order")
    return ranges


def literal(cells: Ranges) -> Shape:
    """A constant MOC. Printed anew, as pgSphere likes it: it takes a blank behind an order for a cell."""
    shown = []
    for order, ranges in cells.items():
        numbers = [f"{first}-{last}" if last > first else str(first) for first, last in ranges]
        if numbers or order == max(cells):
            shown.append(f"{order}/{' '.join(numbers)}")
    return Shape("MOC", sql("smoc {}", quoted(" ".join(shown))), cover=_cover(cells))


def _cover(cells: Ranges) -> tuple[Sql, ...]:
    """Circles that hold all the cells, few and small ones; none where they would be half of the sky."""
    coarse: set[tuple[int, int]] = set()
    for top in range(13):
        finer = _coarse(cells, top)
        if finer is None:
            break
        coarse = finer
    if sum(1 - math.cos(math.radians(_reach(order))) for order, _ in coarse) > 1:
        return ()
    return tuple(
        sql("scircle(centre_of_healpix_nest({}, {}), radians({}))", integer(order), integer(n), double(_reach(order)))
        for order, n in sorted(coarse)
    )


def _coarse(cells: Ranges, top: int) -> set[tuple[int, int]] | None:
    """Order and number of the cells, those of a finer order than ``top`` in those that hold them; None if many."""
    coarse: set[tuple[int, int]] = set()
    for order, ranges in cells.items():
        shift = 2 * max(order - top, 0)
        for first, last in ranges:
            if (last >> shift) - (first >> shift) >= _CIRCLES:
                return None
            coarse.update((min(order, top), n) for n in range(first >> shift, (last >> shift) + 1))
            if len(coarse) > _CIRCLES:
                return None
    return coarse


def _reach(order: int) -> float:
    """How far the corners of a cell may be from its centre, degrees, and a hundredth more.

    Farthest are those of the cells where the caps begin, at a latitude of asin(2/3) (Gorski et al. 2005, section 5.2).
    """
    side = 2**order
    center = vector(45 / side, math.degrees(math.asin(2 / 3)))
    corner = vector(0, math.degrees(math.asin(1 - (1 - 1 / side) ** 2 / 3)))
    return 1.01 * math.degrees(2 * math.asin(math.dist(center, corner) / 2))


# ------------------------------------------------------------------------------------------- functions


def moc(resolver: ValueResolver, node: Call, arguments: list[Value]) -> Value:
    """MOC('4/30-33') and MOC(order, shape)"""
    if len(arguments) == 1:
        try:
            return _value(literal(parse(str(arguments[0].constant))))
        except ValueError as error:
            raise resolver.error(node.arguments[0], str(error), USAGE) from None
    order, shape = arguments[0].constant, arguments[1].shape
    assert isinstance(order, int) and shape is not None
    shape = transforms.to(shape, ICRS)
    most = MAX_ORDER if shape.kind == "POINT" else MAX_MADE
    if not 0 <= order <= most:
        raise resolver.error(
            node.arguments[0], f"a MOC of {WORDS[shape.kind]} is made at an order between 0 and {most}"
        )
    if shape.is_large:
        raise resolver.error(node.arguments[1], "a MOC is made of circles of up to 90 degrees")
    cover: tuple[Sql, ...] = ()
    # pgSphere takes all cells that the circle touches and some of their neighbours.
    reach = (shape.radius_value or 0.0) + 3 * _reach(order)
    if shape.kind == "CIRCLE" and shape.radius_value is not None and shape.center is not None and reach < 60:
        cover = (sql("scircle({}, radians({}))", shape.center.sphere, double(reach)),)
    made = _cell(order, shape) if shape.kind == "POINT" else sql("smoc({}, {})", integer(order), shape.sphere)
    return _value(Shape("MOC", made, cover=cover))


def union(resolver: ValueResolver, node: Call, arguments: list[Value]) -> Value:
    """gavo_mocunion"""
    a, b = _pair(arguments)
    cover = a.cover + b.cover if a.cover and b.cover else ()
    return _value(Shape("MOC", sql("({} | {})", a.sphere, b.sphere), cover=cover))


def intersection(resolver: ValueResolver, node: Call, arguments: list[Value]) -> Value:
    """gavo_mocintersect"""
    a, b = _pair(arguments)
    return _value(Shape("MOC", sql("({} & {})", a.sphere, b.sphere), cover=a.cover or b.cover))


def contains(point: Shape, whole: Shape) -> Search:
    """Whether a point is in a MOC, asked as if it were one itself: pgSphere 1.2's spoint <@ smoc loses some points."""
    inside = sql("({} && {})", _cell(MAX_ORDER, point), whole.sphere)
    if not point.indexed or not whole.cover:
        return Search(inside)
    near = [sql("{} <@ {}", point.sphere, circle) for circle in whole.cover]
    return by_index(sql("(({}) AND {})", joined(" OR ", near), inside), point)


def _cell(order: int, point: Shape) -> Sql:
    """The MOC of the pixel that holds a point."""
    return sql("('{}/' || ({})::text)::smoc", integer(order), healpix.index(integer(order), point))


def _pair(arguments: list[Value]) -> tuple[Shape, Shape]:
    one, other = (value.shape for value in arguments)
    assert one is not None and other is not None
    return one, other


def _value(shape: Shape) -> Value:
    return Value("MOC", shape=shape)
