"""Spherical polygons with constant vertices: checks, boxes and centroids, worked out while the query is translated."""

from __future__ import annotations

import math

from km3vo.adql.frames import Row, direction, vector
from km3vo.adql.shapes import Vertex

# pgSphere takes points closer than this for the same (radians).
_EPSILON = 1e-9
MAX_VERTICES = 10_000


def checked(vertices: list[Vertex]) -> tuple[Vertex, ...]:
    """The vertices without repetitions. Raises ValueError, with a reason, for what pgSphere would refuse."""
    if len(vertices) > MAX_VERTICES:
        raise ValueError(f"a polygon has at most {MAX_VERTICES:,} vertices")
    corners: list[Vertex] = []
    for lon, lat in vertices:
        if not corners or not _same((lon, lat), corners[-1]):
            corners.append((lon, lat))
    while len(corners) > 1 and _same(corners[0], corners[-1]):
        corners.pop()
    if len(corners) < 3:
        raise ValueError("a polygon needs three different vertices")
    vectors = [vector(*corner) for corner in corners]
    middle = tuple(sum(v[i] for v in vectors) for i in range(3))
    if math.hypot(*middle) < 1e-6 or any(_dot(v, middle) <= 0 for v in vectors):  # type: ignore[arg-type]
        raise ValueError("a polygon must be smaller than half of the sky")
    if _crosses(vectors):
        raise ValueError("the sides of a polygon must not cross")
    return tuple(corners)


def box(lon: float, lat: float, width: float, height: float) -> tuple[Vertex, ...]:
    """The corners of BOX (ADQL 2.1 §4.2.10): a cross at the centre, with great circles at right angles to its arms.

    Seen from the centre the box is the same everywhere: width is not stretched by 1/cos(latitude).
    """
    return tuple(moved(corner, lon, lat) for corner in box_at_origin(width, height))


def box_at_origin(width: float, height: float) -> tuple[Vertex, ...]:
    """The corners of a box centred on (0, 0), counter-clockwise."""
    x = width / 2
    y = math.degrees(math.atan(math.tan(math.radians(height / 2)) * math.cos(math.radians(x))))
    return ((x, y), (360 - x, y), (360 - x, -y), (x, -y))


def moved(vertex: Vertex, lon: float, lat: float) -> Vertex:
    """A vertex after the turn that takes (0, 0) to (lon, lat) along the meridian first."""
    x, y, z = vector(*vertex)
    a, b = math.radians(lat), math.radians(lon)
    x, z = x * math.cos(a) - z * math.sin(a), x * math.sin(a) + z * math.cos(a)
    return direction(x * math.cos(b) - y * math.sin(b), x * math.sin(b) + y * math.cos(b), z)


def centroid(vertices: tuple[Vertex, ...]) -> Vertex:
    """The centroid of the area: the sum over the sides of their length times their normal."""
    vectors = [vector(*vertex) for vertex in vertices]
    total = [0.0, 0.0, 0.0]
    for a, b in zip(vectors, vectors[1:] + vectors[:1], strict=True):
        normal = _cross(a, b)
        size = math.hypot(*normal)
        if size:
            angle = math.atan2(size, _dot(a, b))
            total = [t + angle * n / size for t, n in zip(total, normal, strict=True)]
    # Turned the other way round, the vertices are those of the same polygon.
    x, y, z = total
    if sum(_dot(v, (x, y, z)) for v in vectors) < 0:
        x, y, z = -x, -y, -z
    return direction(x, y, z)


def _same(a: Vertex, b: Vertex) -> bool:
    return math.dist(vector(*a), vector(*b)) < _EPSILON


def _dot(a: Row, b: Row) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: Row, b: Row) -> Row:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _crosses(vectors: list[Row]) -> bool:
    """Whether two sides that are not neighbours meet."""
    count = len(vectors)
    if count > 200:  # the work is quadratic: the database finds out about longer ones
        return False
    sides = [(vectors[i], vectors[(i + 1) % count]) for i in range(count)]
    normals = [_cross(a, b) for a, b in sides]
    for i in range(count):
        for j in range(i + 2, count):
            if i == 0 and j == count - 1:
                continue
            (a, b), (c, d) = sides[i], sides[j]
            # c and d on different sides of the great circle through a and b, and the other way round …
            one, two = _dot(normals[i], c), _dot(normals[i], d)
            three, four = _dot(normals[j], a), _dot(normals[j], b)
            if one * two < 0 and three * four < 0 and one * three < 0:
                return True
    return False
