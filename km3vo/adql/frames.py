"""Reference frames as rotations to ICRS (ADQL 2.1 §4.2.5; EN-UDF 1.2, ivo_geom_transform).

ADQL 2.1 lets a service ignore the name of a coordinate system; a circle in Galactic coordinates would then lie
elsewhere, and nobody would know. So every geometry is in a frame, shapes in different ones are converted before they
are compared, and what cannot be converted is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from km3vo.adql.sql import Sql, double, sql

Row = tuple[float, float, float]


@dataclass(frozen=True)
class Rotation:
    """A rotation of the sky.

    Attributes:
        matrix: from Cartesian coordinates before it to those after it.
    """

    matrix: tuple[Row, Row, Row]

    def of(self, lon: float, lat: float) -> tuple[float, float]:
        """A direction after it, degrees."""
        x, y, z = (sum(m * v for m, v in zip(row, vector(lon, lat), strict=True)) for row in self.matrix)
        return direction(x, y, z)

    @cached_property
    def inverse(self) -> Rotation:
        """The rotation back."""
        a, b, c = self.matrix
        return Rotation(((a[0], b[0], c[0]), (a[1], b[1], c[1]), (a[2], b[2], c[2])))

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
        """An spoint after it. By hand: pgSphere rounds small rotations to its 0.2 mas, and FK5's is 22 mas."""
        return sql(_ROTATED, *(double(number) for row in self.matrix for number in row), point)

    def array(self, lon: Sql, lat: Sql) -> Sql:
        """The same in DALI's form, from coordinates in degrees: without pgSphere's rounding near 0 and the poles."""
        return sql(_ARRAY, *(double(number) for row in self.matrix for number in row), lon, lat)

    def after(self, first: Rotation) -> Rotation:
        """One rotation and then this one."""
        columns = list(zip(*first.matrix, strict=True))
        rows = [
            tuple(sum(m * v for m, v in zip(row, column, strict=True)) for column in columns) for row in self.matrix
        ]
        return Rotation(tuple(rows))  # type: ignore[arg-type]

    def turned(self, polygon: Sql) -> Sql:
        """An spoly after it."""
        return sql("({} + strans({}, {}, {}))", polygon, *map(double, self._angles))


# OFFSET 0 keeps PostgreSQL from writing what stands inside once more wherever it is named: it would be worked out
# hundreds of times for each row.
_ROTATED = (
    "(SELECT spoint(atan2(r.y, r.x), atan2(r.z, sqrt(r.x ^ 2 + r.y ^ 2))) FROM"
    " (SELECT {} * v.x + {} * v.y + {} * v.z AS x, {} * v.x + {} * v.y + {} * v.z AS y,"
    " {} * v.x + {} * v.y + {} * v.z AS z FROM"
    " (SELECT cos(long(p.p)) * cos(lat(p.p)) AS x, sin(long(p.p)) * cos(lat(p.p)) AS y, sin(lat(p.p)) AS z"
    " FROM (SELECT {} AS p OFFSET 0) AS p OFFSET 0) AS v) AS r)"
)

_ARRAY = (
    "(SELECT ARRAY[d.l - 360 * floor(d.l / 360), d.b] FROM"
    " (SELECT degrees(atan2(r.y, r.x)) AS l, degrees(atan2(r.z, sqrt(r.x ^ 2 + r.y ^ 2))) AS b FROM"
    " (SELECT {} * v.x + {} * v.y + {} * v.z AS x, {} * v.x + {} * v.y + {} * v.z AS y,"
    " {} * v.x + {} * v.y + {} * v.z AS z FROM"
    " (SELECT cosd(p.l) * cosd(p.b) AS x, sind(p.l) * cosd(p.b) AS y, sind(p.b) AS z"
    " FROM (SELECT {} AS l, {} AS b OFFSET 0) AS p OFFSET 0) AS v) AS r) AS d)"
)


def vector(lon: float, lat: float) -> Row:
    """The unit vector of a direction in degrees."""
    a, b = math.radians(lon), math.radians(lat)
    return math.cos(a) * math.cos(b), math.sin(a) * math.cos(b), math.sin(b)


def direction(x: float, y: float, z: float) -> tuple[float, float]:
    """Longitude in [0, 360) and latitude of a vector, degrees."""
    return math.degrees(math.atan2(y, x)) % 360, math.degrees(math.atan2(z, math.hypot(x, y)))


@dataclass(frozen=True)
class Frame:
    """A reference frame.

    Attributes:
        name: as the vocabulary refframe has it.
        rotation: from its directions to those of ICRS.
        ucd: what UCD1+ calls a position in it, and its longitude and latitude.
    """

    name: str
    rotation: Rotation
    ucd: tuple[str, str, str]

    def to(self, other: Frame) -> Rotation:
        """The rotation from this frame to another."""
        return other.rotation.inverse.after(self.rotation)


_EQUATORIAL = ("pos.eq", "pos.eq.ra", "pos.eq.dec")

# From astropy 7: Galactic (Liu et al. 2011, as rounded by the IAU definition), FK5 of J2000, FK4 of B1950 without the
# E-terms of aberration, which are no rotation (so has the catalogue it), and the mean ecliptic of J2000.
ICRS = Frame("ICRS", Rotation(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))), _EQUATORIAL)
FK5 = Frame(
    "FK5",
    Rotation(
        (
            (0.9999999999999921, 1.1102233723050035e-07, 4.411803426976326e-08),
            (-1.1102233297408327e-07, 0.9999999999999889, -9.647792751958126e-08),
            (-4.411804498096771e-08, 9.647792246010129e-08, 0.9999999999999943),
        )
    ),
    _EQUATORIAL,
)
FK4 = Frame(
    "FK4",
    Rotation(
        (
            (0.9999256809514503, -0.011181372203849847, -0.004858959705285336),
            (0.011181371753884808, 0.9999374861373455, -2.7258532094273114e-05),
            (0.004858960740738831, -2.707332853596652e-05, 0.9999881948140962),
        )
    ),
    _EQUATORIAL,
)
GALACTIC = Frame(
    "GALACTIC",
    Rotation(
        (
            (-0.05487565771259163, 0.4941094371927268, -0.8676661375596576),
            (-0.8734370519556159, -0.4448297212232952, -0.19807633727300053),
            (-0.48383507361671546, 0.7469821839866676, 0.4559838136873016),
        )
    ),
    ("pos.galactic", "pos.galactic.lon", "pos.galactic.lat"),
)
ECLIPTIC = Frame(
    "ECLIPTIC",
    Rotation(
        (
            (0.9999999999999942, 3.289700416258306e-08, -1.020704472070512e-07),
            (-7.078369026537745e-08, 0.9174821299149585, -0.3977769994440431),
            (8.056213977613187e-08, 0.39777699944404793, 0.9174821299149555),
        )
    ),
    ("pos.ecliptic", "pos.ecliptic.lon", "pos.ecliptic.lat"),
)

# Those that ivo_geom_transform knows, by name.
FRAMES = {frame.name: frame for frame in (ICRS, FK5, FK4, GALACTIC, ECLIPTIC)}

# What may stand in front of the arguments of a geometry, and in a region. None: it is not said which frame it is.
_SYSTEMS: dict[str, Frame | None] = {
    "ICRS": ICRS,
    "UNKNOWNFRAME": None,
    "FK5": FK5,
    "J2000": FK5,
    "GALACTIC": GALACTIC,
    "GALACTIC_II": GALACTIC,
}

# Where the observer stands makes no difference to a direction far away; nor does the flavour (STC-S §2).
_REST = frozenset(
    {"GEOCENTER", "BARYCENTER", "HELIOCENTER", "TOPOCENTER", "LSR", "LSRK", "LSRD", "RELOCATABLE", "UNKNOWNREFPOS"}
    | {"GALACTIC_CENTER", "LOCAL_GROUP_CENTER", "EMBARYCENTER", "SPHERICAL2", "UNITSPHERE"}
)

NAMES = "'', 'ICRS', 'FK5' and 'GALACTIC'"


def system(words: str) -> Frame | None:
    """The frame that a coordinate system names; None where it names none. Raises KeyError when it is not known."""
    named: Frame | None = None
    for position, word in enumerate(words.upper().split()):
        if position == 0 and word in _SYSTEMS:
            named = _SYSTEMS[word]
        elif word not in _REST:
            raise KeyError(word)
    return named
