"""Polygons, boxes and MOCs on the sky, and by which planes or pixels astropy says what is inside."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from astropy import units as u
from astropy.coordinates import SkyCoord

from tests.adql.differential.piece import Piece
from tests.adql.differential.sky import FRAMES

_Vector = npt.NDArray[np.float64]


def polygon(rng: random.Random, alias: str) -> Piece:
    """Whether a position is in a star-shaped polygon: in one of the triangles that its sides make with its middle."""
    frame, middle = _middle(rng)
    corners = rng.randint(3, 7)
    vertices = []
    for corner in range(corners):
        bearing = (corner + rng.uniform(-0.25, 0.25)) * 360 / corners
        vertices.append(middle.directional_offset_by(bearing * u.deg, rng.uniform(15, 40) * u.deg))
    if rng.random() < 0.5:
        vertices.reverse()  # whichever way they run
    written = ", ".join(f"{_degrees(vertex)}" for vertex in vertices)
    center, around = _vector(middle), [_vector(vertex) for vertex in vertices]
    triangles = []
    for one, other in itertools.pairwise([*around, around[0]]):
        normals = [np.cross(center, one), np.cross(one, other), np.cross(other, center)]
        turn = np.sign(np.dot(center, normals[1]))
        triangles.append(_inside(alias, [turn * normal for normal in normals]))
    return Piece(
        f"CONTAINS({_position(rng, alias)}, POLYGON('{frame}', {written}))", f"({' OR '.join(triangles)})::INT"
    )


def box(rng: random.Random, alias: str) -> Piece:
    """Whether a position is in a box: between planes through the sphere's middle, at right angles to its cross."""
    frame, middle = _middle(rng)
    width, height = rng.randint(10, 150), rng.randint(10, 150)
    east, north = (_vector(middle.directional_offset_by(bearing * u.deg, 90 * u.deg)) for bearing in (90, 0))
    center = _vector(middle)
    planes = [
        sign * side + np.tan(np.radians(size / 2)) * center
        for side, size in ((east, width), (north, height))
        for sign in (1, -1)
    ]
    inside = _inside(alias, [*planes, center])
    return Piece(
        f"CONTAINS({_position(rng, alias)}, BOX('{frame}', {_degrees(middle)}, {width}, {height}))", f"({inside})::INT"
    )


def moc(rng: random.Random, alias: str) -> Piece:
    """Whether a position is in one or two MOCs: whether its pixel is among theirs."""
    one, other = (_moc(rng, alias) for _ in range(2))
    point = _position(rng, alias, moved=False)
    return rng.choice(
        [
            Piece(f"CONTAINS({point}, {one.adql})", f"({one.duck})::INT"),
            Piece(f"INTERSECTS({point}, {one.adql})", f"({one.duck})::INT"),
            Piece(f"CONTAINS({point}, gavo_mocunion({one.adql}, {other.adql}))", f"({one.duck} OR {other.duck})::INT"),
            Piece(
                f"CONTAINS({point}, gavo_mocintersect({one.adql}, {other.adql}))",
                f"({one.duck} AND {other.duck})::INT",
            ),
        ]
    )


def _moc(rng: random.Random, alias: str) -> Piece:
    order = rng.randint(0, 3)
    pixels = sorted(rng.sample(range(12 * 4**order), rng.randint(1, 2 + 2 * order)))
    written = f"MOC('{order}/{' '.join(map(str, pixels))}')"
    return Piece(written, f"({alias}.pixel29 // {4 ** (29 - order)} IN ({', '.join(map(str, pixels))}))")


def _middle(rng: random.Random) -> tuple[str, SkyCoord]:
    frame = rng.choice(list(FRAMES))
    return frame, SkyCoord(rng.uniform(0, 360) * u.deg, rng.uniform(-80, 80) * u.deg, frame=FRAMES[frame])


def _degrees(place: SkyCoord) -> str:
    return f"{float(place.spherical.lon.deg)!r}, {float(place.spherical.lat.deg):.17f}"


def _vector(place: SkyCoord) -> _Vector:
    return np.array(place.icrs.cartesian.xyz.value)


def _inside(alias: str, planes: Iterable[_Vector]) -> str:
    """Whether the row's direction is on the inner side of all planes."""
    sides = [f"({x:.17f} * {alias}.vx + {y:.17f} * {alias}.vy + {z:.17f} * {alias}.vz)" for x, y, z in planes]
    return f"({' AND '.join(f'{side} >= 0' for side in sides)})"


def _position(rng: random.Random, alias: str, *, moved: bool = True) -> str:
    plain = f"POINT({alias}.ra, {alias}.decl)"
    frames = ("GALACTIC", "FK5", "FK4", "ECLIPTIC")
    transformed = [f"ivo_geom_transform('ICRS', '{frame}', {plain})" for frame in frames] if moved else []
    return rng.choice([plain, f"POINT('ICRS', {alias}.ra, {alias}.decl)", *transformed])
