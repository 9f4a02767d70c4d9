"""What lies near a direction in every published table, and how much would lie there by chance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from km3vo.catalog.model import Table
from km3vo.database.audiences import Audience
from km3vo.embargo import partitions
from km3vo.followup.places import Place, sigma_of

MOST = 40  # rows of one table that are shown
WIDEST = 45.0  # degrees
ENOUGH = 3000  # rows of a table in the field, for a density
WITHOUT_ERROR = 1.0  # radius, degrees
SHARE = 0.9  # of the probability that the circle holds unless another radius is chosen

# The centre stands in sub-selects, since what hangs on parameters would be computed anew for every row.
_NEAR = """
{name} AS MATERIALIZED (
    SELECT {id} AS id, {ra} AS ra, {dec} AS dec, {time} AS mjd, {error} AS error,
        degrees(_pos <-> (SELECT spoint(radians(%(ra)s::float8), radians(%(dec)s::float8)))) AS distance
    FROM {relation}
    WHERE {other} AND _pos <@ (
        SELECT scircle(spoint(radians(%(ra)s::float8), radians(%(dec)s::float8)), radians({reach}::float8))
    )
)"""
_FOUND = """
SELECT {number} AS number, NULL::text AS id, NULL::float8 AS ra, NULL::float8 AS dec, NULL::float8 AS mjd,
    NULL::float8 AS error, NULL::float8 AS distance, count(*) AS within_field,
    count(*) FILTER (WHERE distance <= %(radius)s::float8) AS within
FROM {name}
UNION ALL
(SELECT {number}, id::text, ra, dec, mjd, error, distance, NULL, NULL FROM {name} ORDER BY distance, id LIMIT {most})"""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A row near the direction.

    Attributes:
        table: that it is in.
        distance: degrees.
        sigmas: the distance in standard deviations of both directions together; None where neither has an error.
        later: days after the event (before it, when negative); None where one of them has no time.
        hidden: whether it is under embargo, and so others do not see it.
    """

    table: Table
    id: str
    ra: float
    dec: float
    distance: float
    sigmas: float | None
    later: float | None
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What one table has near the direction.

    Attributes:
        within: rows within the radius.
        reach: radius of the part of the field in which this table was looked through, degrees.
        around: rows in that part beyond the circle, of which the density is taken.
        expected: rows within the radius by chance, from that density.
        nearest: rows in the field, the nearest first, at most ``MOST``.
    """

    table: Table
    within: int
    reach: float
    around: int
    expected: float
    nearest: tuple[Neighbour, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """A circle around a direction, and a field around the circle.

    Attributes:
        place: the direction.
        mjd: time of the event, or None.
        radius: of the circle, degrees.
        field: radius of the field, degrees.
        own: the row that the direction is of, which is no neighbour: its table, and its identifier as stored; or
            None.
    """

    place: Place
    mjd: float | None
    radius: float
    field: float
    own: tuple[Table, str | int] | None

    def reach(self, rows: int | None) -> float:
        """How far to look in a table with so many rows: long lists tell their density nearby."""
        share = ENOUGH / rows if rows else 1.0  # of the sky
        enough = math.degrees(2 * math.asin(math.sqrt(min(1.0, share))))
        return min(self.field, max(1.5 * self.radius, enough))

    def statement(
        self, tables: Sequence[Table], reaches: Sequence[float], audience: Audience
    ) -> tuple[sql.Composed, dict[str, Any]]:
        """One statement for all tables, as an audience finds their rows, and its parameters.

        Args:
            reaches: how far each table is looked through, degrees.
        """
        near = [self._near(number, table, audience) for number, table in enumerate(tables)]
        found = [
            sql.SQL(_FOUND).format(number=sql.Literal(number), name=_named(number), most=sql.Literal(MOST))
            for number in range(len(tables))
        ]
        statement = sql.SQL("WITH") + sql.SQL(", ").join(near) + sql.SQL(" UNION ALL ").join(found)
        values = {"ra": self.place.ra, "dec": self.place.dec, "radius": self.radius}
        values |= {f"reach{number}": reach for number, reach in enumerate(reaches)}
        return statement, values | ({"own": self.own[1]} if self.own else {})

    def _near(self, number: int, table: Table, audience: Audience) -> sql.Composed:
        position = table.position
        assert position is not None and table.id is not None
        other = sql.SQL("{} <> %(own)s" if self.own and table.qualified == self.own[0].qualified else "true")
        return sql.SQL(_NEAR).format(
            name=_named(number),
            reach=sql.Placeholder(f"reach{number}"),
            id=sql.Identifier(table.column(table.id).sql),
            ra=_number(table, position.ra),
            dec=_number(table, position.dec),
            time=_number(table, table.time),
            error=_number(table, position.error),
            relation=sql.Identifier(*partitions.relation(table, audience)),
            other=other.format(sql.Identifier(table.column(table.id).sql)),
        )

    def read(
        self,
        tables: Sequence[Table],
        reaches: Sequence[float],
        rows: Sequence[tuple[Any, ...]],
        public: Sequence[tuple[Any, ...]] | None,
    ) -> Iterator[Found]:
        """What the statement found.

        Args:
            rows: of the statement, as the asker finds them.
            public: the same as everybody finds them, where that differs.
        """
        seen = None if public is None else {(row[0], row[1]) for row in public}
        for number, (table, reach) in enumerate(zip(tables, reaches, strict=True)):
            mine = [row for row in rows if row[0] == number]
            in_field, within = next((row[7], row[8]) for row in mine if row[7] is not None)
            nearest = tuple(
                self._neighbour(table, row, hidden=seen is not None and (number, row[1]) not in seen)
                for row in mine
                if row[7] is None
            )
            around = in_field - within
            yield Found(table, within, reach, around, self._expected(around, reach), nearest)

    def _neighbour(self, table: Table, row: tuple[Any, ...], *, hidden: bool) -> Neighbour:
        _, id, ra, dec, mjd, error, distance, _, _ = row
        assert table.position is not None
        both = math.hypot(self.place.sigma or 0.0, sigma_of(table.position, error) or 0.0)
        return Neighbour(
            table=table,
            id=id,
            ra=ra,
            dec=dec,
            distance=distance,
            sigmas=distance / both if both else None,
            later=None if mjd is None or self.mjd is None else mjd - self.mjd,
            hidden=hidden,
        )

    def _expected(self, around: int, reach: float) -> float:
        circle, field = _area(self.radius), _area(reach)
        return around * circle / (field - circle)


def search(place: Place, mjd: float | None, own: tuple[Table, str | int] | None, radius: float | None = None) -> Search:
    """The circle that holds the true direction with ``SHARE``, or of another radius, and a field to compare it with."""
    if radius is None:
        radius = place.radius(SHARE) or WITHOUT_ERROR
    radius = min(radius, WIDEST)
    # Ten error circles across are enough to see where the event lies, and need not be half of the sky.
    field = max(1.0, 2 * radius, min(10 * place.radius(0.5), 20.0))
    return Search(place, mjd, radius, min(field, 90.0), own)


def searched(tables: Sequence[Table]) -> list[Table]:
    """The tables whose rows can be neighbours: with positions, and with identifiers."""
    return [table for table in tables if table.position is not None and table.id is not None]


def _named(number: int) -> sql.Identifier:
    return sql.Identifier(f"near{number}")


def _number(table: Table, column: str | None) -> sql.Composable:
    if column is None:
        return sql.SQL("NULL::float8")
    return sql.SQL("{}::float8").format(sql.Identifier(table.column(column).sql))


def _area(radius: float) -> float:
    """In proportion to the solid angle; with the half angle, since 1 - cos(r) loses all digits for small circles."""
    return math.sin(math.radians(radius) / 2) ** 2
