"""Two small tables with missing values, in PostgreSQL and, with what astropy makes of their positions, in duckdb."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import psycopg
from astropy import units as u
from astropy.coordinates import FK5, BarycentricMeanEcliptic, FK4NoETerms, Galactic, SkyCoord
from astropy.time import Time
from astropy_healpix import HEALPix
from scipy import special, stats

from km3vo.adql import QueryTable, QueryTables
from km3vo.column import Column

COLUMNS = (
    Column(name="id", datatype="int", ucd="meta.id", nullable=False),
    Column(name="n", datatype="short", ucd="meta.number"),
    Column(name="k", datatype="long"),
    Column(name="x", datatype="double", unit="GeV", ucd="phys.energy"),
    Column(name="y", datatype="float", unit="TeV"),
    Column(name="s", datatype="char", arraysize="*", ucd="meta.code"),
    Column(name="ra", datatype="double", unit="deg", ucd="pos.eq.ra;meta.main", nullable=False),
    Column(name="decl", datatype="double", unit="deg", ucd="pos.eq.dec;meta.main", nullable=False),
    Column(name="mjd", datatype="double", unit="d", ucd="time.epoch"),
    Column(name="t", datatype="char", arraysize="*", xtype="timestamp", ucd="time.epoch"),
    Column(name="flag", datatype="boolean"),
)
_TYPES = "id int4 NOT NULL, n int2, k int8, x float8, y float4, s text, ra float8 NOT NULL, decl float8 NOT NULL, "
_TYPES += "mjd float8, t timestamp, flag bool"
# What astropy makes of a position: in other frames, its direction, the middle of its pixel, where it has moved.
_AXES = ("gl", "gb", "fk5l", "fk5b", "fk4l", "fk4b", "ecll", "eclb", "vx", "vy", "vz", "cl", "cb", "ml", "mb")
ROWS = {"one": 40, "two": 25}
PIXEL_ORDER = 6
ORDERS = (0, PIXEL_ORDER, 13, 29)
TABLES = QueryTables(QueryTable(("sky", name), ("public", name), COLUMNS) for name in ROWS)
FRAMES = {"ICRS": "icrs", "FK5": "fk5", "GALACTIC": Galactic()}


def rows(name: str) -> list[list[Any]]:
    """The rows of a table, the same each time."""
    rng = random.Random(name)

    def some(value: Any, share: float = 0.25) -> Any:
        return None if rng.random() < share else value

    return [
        [
            number,
            some(rng.randint(0, 4)),
            some(rng.randint(-(10**12), 10**12)),
            some(round(rng.uniform(-10, 10), 3)),
            some(rng.randint(-64, 64) / 8),
            some(rng.choice(["a", "ab", "B", "Abc", "x_y", "a%", "'"])),
            rng.uniform(0, 360),
            rng.uniform(-90, 90),
            some(round(rng.uniform(59000, 59010), 4)),
            some(datetime(2021, 1, 1) + timedelta(milliseconds=rng.randrange(10**10))),
            some(rng.random() < 0.5),
        ]
        for number in range(ROWS[name])
    ]


def fill(connection: psycopg.Connection) -> None:
    """Make the tables in PostgreSQL."""
    for name in ROWS:
        connection.execute(f"CREATE TABLE {name} ({_TYPES})".encode())
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {name} VALUES ({', '.join(['%s'] * len(COLUMNS))})".encode(), rows(name))


def engine() -> duckdb.DuckDBPyConnection:
    """The same in duckdb."""
    connection = duckdb.connect()
    # The haversine formula, which pgSphere does not use.
    connection.execute(
        "CREATE MACRO apart(a, b, c, d) AS degrees(2 * asin(sqrt(pow(sin(radians(d - b) / 2), 2) + "
        "cos(radians(b)) * cos(radians(d)) * pow(sin(radians(c - a) / 2), 2))))"
    )
    for function, arguments in _STATISTICS.items():
        connection.create_function(function.__name__, function, arguments, "DOUBLE")
    for name in ROWS:
        made = rows(name)
        places = SkyCoord([row[6] for row in made] * u.deg, [row[7] for row in made] * u.deg)
        more = list(zip(*_axes(places), *map(list, _pixels(places)), strict=True))
        added = [f"{axis} float8" for axis in _AXES] + [f"pixel{order} int8" for order in ORDERS]
        connection.execute(f"CREATE TABLE {name} ({_TYPES}, {', '.join(added)})")
        marks = ", ".join(["?"] * (len(COLUMNS) + len(added)))
        connection.executemany(
            f"INSERT INTO {name} VALUES ({marks})", [[*row, *extra] for row, extra in zip(made, more, strict=True)]
        )
    return connection


def _axes(places: SkyCoord) -> Iterator[list[float]]:
    for frame in (Galactic(), FK5(), FK4NoETerms(), BarycentricMeanEcliptic()):
        turned = places.transform_to(frame).spherical
        yield from (turned.lon.deg.tolist(), turned.lat.deg.tolist())
    yield from (axis.tolist() for axis in places.cartesian.xyz.value)
    grid = HEALPix(2**PIXEL_ORDER, order="nested")
    yield from (axis.deg.tolist() for axis in grid.healpix_to_lonlat(grid.lonlat_to_healpix(places.ra, places.dec)))
    moving = SkyCoord(
        places.ra,
        places.dec,
        distance=np.full(len(places), 1e6) * u.pc,
        pm_ra_cosdec=np.full(len(places), 250) * u.mas / u.yr,
        pm_dec=np.full(len(places), -140) * u.mas / u.yr,
        obstime=Time(2000, format="jyear"),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        moved = moving.apply_space_motion(new_obstime=Time(2016, format="jyear"))
    yield from (moved.ra.deg.tolist(), moved.dec.deg.tolist())


def _pixels(places: SkyCoord) -> Iterator[list[int]]:
    for order in ORDERS:
        yield HEALPix(2**order, order="nested").lonlat_to_healpix(places.ra, places.dec).tolist()


def poisson_p(count: int, mean: float) -> float:
    return float(stats.poisson.sf(count - 1, mean))


def binomial_p(on: int, off: int, tau: float) -> float:
    return float(special.betainc(on, 1 + off, 1 / (1 + tau))) if on else 1.0


def lima(on: int, off: int, alpha: float) -> float:
    total = on + off
    above = special.xlogy(on, (1 + alpha) / alpha * on / total) + special.xlogy(off, (1 + alpha) * off / total)
    return math.copysign(math.sqrt(2 * max(above, 0.0)), on - alpha * off)


_STATISTICS: dict[Any, Any] = {
    poisson_p: ["INTEGER", "DOUBLE"],
    binomial_p: ["INTEGER", "INTEGER", "DOUBLE"],
    lima: ["INTEGER", "INTEGER", "DOUBLE"],
}


def icrs(frame: str, lon: float, lat: float) -> tuple[float, float]:
    """A position in ICRS, by astropy."""
    place = SkyCoord(lon * u.deg, lat * u.deg, frame=FRAMES[frame]).icrs
    return float(place.ra.deg), float(place.dec.deg)
