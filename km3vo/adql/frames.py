"""Coordinate systems named in a geometry, as rotations to ICRS (ADQL 2.1 §4.2.5).

ADQL 2.1 lets a service ignore the name; a circle in Galactic coordinates would then lie elsewhere without a word.
So it is converted, and where that cannot be done, refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from km3vo.adql.sql import Sql, double, sql

Row = tuple[float, float, float]


@dataclass(frozen=True)
class Frame:
    """A rotation that turns directions in a frame into ICRS."""

    matrix: tuple[Row, Row, Row]

    def to_icrs(self, lon: float, lat: float) -> tuple[float, float]:
        """A direction in ICRS, degrees."""
        x, y, z = (sum(m * v for m, v in zip(row, vector(lon, lat), strict=True)) for row in self.matrix)
        return direction(x, y, z)

    @cached_property
    def inverse(self) -> Frame:
        """The rotation from ICRS to the frame."""
        a, b, c = self.matrix
        return Frame(((a[0], b[0], c[0]), (a[1], b[1], c[1]), (a[2], b[2], c[2])))

    @cached_property
    def _angles(self) -> tuple[float, float, float]:
        """About z, x and z again, as pgSphere's strans wants them."""
        m = self.matrix
        return (
            math.atan2(m[2][0], m[2][1]),
            math.atan2(math.hypot(m[0][2], m[1][2]), m[2][2]),
            math.atan2(m[0][2], -m[1][2]),
        )

    def rotated(self, point: Sql) -> Sql:
        """An spoint in ICRS. By hand: pgSphere rounds small rotations to its 0.2 mas, and FK5's is 22 mas."""
        return sql(_ROTATED, *(double(number) for row in self.matrix for number in row), point)

    def array(self, lon: Sql, lat: Sql) -> Sql:
        """The same in DALI's form, from coordinates in degrees: without pgSphere's rounding near 0 and the poles."""
        return sql(_ARRAY, *(double(number) for row in self.matrix for number in row), lon, lat)

    def after(self, first: Frame) -> Frame:
        """One rotation and then this one."""
        columns = list(zip(*first.matrix, strict=True))
        rows = [
            tuple(sum(m * v for m, v in zip(row, column, strict=True)) for column in columns) for row in self.matrix
        ]
        return Frame(tuple(rows))  # type: ignore[arg-type]

    def turned(self, polygon: Sql) -> Sql:
        """An spoly in ICRS."""
        return sql("({} + strans({}, {}, {}))", polygon, *map(double, self._angles))


_ROTATED = (
    "(SELECT spoint(atan2(r.y, r.x), atan2(r.z, sqrt(r.x ^ 2 + r.y ^ 2))) FROM"
    " (SELECT {} * v.x + {} * v.y + {} * v.z AS x, {} * v.x + {} * v.y + {} * v.z AS y,"
    " {} * v.x + {} * v.y + {} * v.z AS z FROM"
    " (SELECT cos(long(p.p)) * cos(lat(p.p)) AS x, sin(long(p.p)) * cos(lat(p.p)) AS y, sin(lat(p.p)) AS z"
    " FROM (SELECT {} AS p) AS p) AS v) AS r)"
)

_ARRAY = (
    "(SELECT ARRAY[d.l - 360 * floor(d.l / 360), d.b] FROM"
    " (SELECT degrees(atan2(r.y, r.x)) AS l, degrees(atan2(r.z, sqrt(r.x ^ 2 + r.y ^ 2))) AS b FROM"
    " (SELECT {} * v.x + {} * v.y + {} * v.z AS x, {} * v.x + {} * v.y + {} * v.z AS y,"
    " {} * v.x + {} * v.y + {} * v.z AS z FROM"
    " (SELECT cosd(p.l) * cosd(p.b) AS x, sind(p.l) * cosd(p.b) AS y, sind(p.b) AS z"
    " FROM (SELECT {} AS l, {} AS b OFFSET 0) AS p) AS v) AS r) AS d)"
)


def vector(lon: float, lat: float) -> Row:
    """The unit vector of a direction in degrees."""
    a, b = math.radians(lon), math.radians(lat)
    return math.cos(a) * math.cos(b), math.sin(a) * math.cos(b), math.sin(b)


def direction(x: float, y: float, z: float) -> tuple[float, float]:
    """Longitude in [0, 360) and latitude of a vector, degrees."""
    return math.degrees(math.atan2(y, x)) % 360, math.degrees(math.atan2(z, math.hypot(x, y)))


# From astropy 7: Galactic (Liu et al. 2011, as rounded by the IAU definition) and FK5 (J2000) to ICRS.
_GALACTIC = Frame(
    (
        (-0.05487565771259163, 0.4941094371927268, -0.8676661375596576),
        (-0.8734370519556159, -0.4448297212232952, -0.19807633727300053),
        (-0.48383507361671546, 0.7469821839866676, 0.4559838136873016),
    )
)
_FK5 = Frame(
    (
        (0.9999999999999921, 1.1102233723050035e-07, 4.411803426976326e-08),
        (-1.1102233297408327e-07, 0.9999999999999889, -9.647792751958126e-08),
        (-4.411804498096771e-08, 9.647792246010129e-08, 0.9999999999999943),
    )
)

_FRAMES: dict[str, Frame | None] = {
    "ICRS": None,
    "UNKNOWNFRAME": None,
    "FK5": _FK5,
    "J2000": _FK5,
    "GALACTIC": _GALACTIC,
    "GALACTIC_II": _GALACTIC,
}

# Where the observer stands makes no difference to a direction far away; nor does the flavour (STC-S §2).
_REST = frozenset(
    {"GEOCENTER", "BARYCENTER", "HELIOCENTER", "TOPOCENTER", "LSR", "LSRK", "LSRD", "RELOCATABLE", "UNKNOWNREFPOS"}
    | {"GALACTIC_CENTER", "LOCAL_GROUP_CENTER", "EMBARYCENTER", "SPHERICAL2", "UNITSPHERE"}
)

NAMES = "'', 'ICRS', 'FK5' and 'GALACTIC'"


def frame(system: str) -> Frame | None:
    """The frame that a coordinate system names; None for ICRS. Raises KeyError when it is not known."""
    words = system.upper().split()
    found: Frame | None = None
    for position, word in enumerate(words):
        if position == 0 and word in _FRAMES:
            found = _FRAMES[word]
        elif word not in _REST:
            raise KeyError(word)
    return found
