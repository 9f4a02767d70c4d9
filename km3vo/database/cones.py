"""Cone searches in PostgreSQL: the statements for a table, and which form its rows come in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
from psycopg import sql

from km3vo.column import Column
from km3vo.database import lines
from km3vo.database.queries import DatabaseReader

MAX_CIRCLE = 90.0  # degrees; pgSphere has no larger circles

DISTANCE = Column(
    name="_r",
    datatype="double",
    unit="deg",
    ucd="pos.distance",
    description="Distance to the centre of the cone",
    nullable=False,
)


class Asked(NamedTuple):
    """The parameters of a cone's statements, in their order: the centre twice, the radius, the most rows to give."""

    ra: float
    dec: float
    ra_again: float
    dec_again: float
    radius: float
    rows: int

    @property
    def is_large(self) -> bool:
        """Whether the statement is the second one."""
        return self.radius > MAX_CIRCLE


@dataclass(frozen=True, slots=True)
class Cone:
    """What a cone search of one table asks PostgreSQL: its statements and the columns of the answer.

    Attributes:
        columns: of the answer.
        cells: two statements: for a radius up to 90°, which uses the index on _pos, and for a larger one, which
            measures every distance.
        lines: the same two, with rows that PostgreSQL writes as text.
    """

    columns: tuple[Column, ...]
    cells: tuple[str, str]
    lines: tuple[str, str]

    def literally(self, asked: Asked) -> str:
        """The statement for cells with its parameters written into it, as streams want it."""
        template = sql.SQL(self.cells[asked.is_large].replace("%s", "{}"))
        return template.format(*map(sql.Literal, asked)).as_string()

    async def document(
        self,
        reader: DatabaseReader,
        asked: Asked,
        of_lines: Callable[[list[str]], Awaitable[bytes | None]] | None,
        of_cells: Callable[[pa.RecordBatch], Awaitable[bytes]],
    ) -> bytes:
        """The document of the rows that are found, from lines where it can be made of those, else from cells.

        Args:
            reader: asks the database.
            asked: the parameters.
            of_lines: makes the document from lines, or gives None where a cell has another form in it than in a line;
                None when the format is not one for lines.
            of_cells: makes it from cells.

        Raises:
            Km3voError: as ``DatabaseReader.rows`` and ``DatabaseReader.batch``.
        """
        if of_lines is not None:
            rows = await reader.rows(self.lines[asked.is_large], asked)
            document = await of_lines([line for (line,) in rows])
            if document is not None:
                return document
        return await of_cells(await reader.batch(self.cells[asked.is_large], asked, self.columns))


def plan(relation: tuple[str, ...], columns: Sequence[Column]) -> Cone:
    """The statements for a relation with a column ``_pos``, named with its schema.

    The answer has the distance and then these columns.
    """
    selected = sql.SQL(", ").join(sql.Identifier(column.sql) for column in columns)
    # In sub-selects, since what hangs on parameters would be computed anew for every row.
    centre = sql.SQL("spoint(radians(%s::float8), radians(%s::float8))")
    small, large = (
        sql.SQL(
            "SELECT degrees(_pos <-> (SELECT {centre})), {columns} FROM {relation} WHERE {inside} "
            "ORDER BY 1 LIMIT %s::bigint"
        ).format(
            centre=centre, columns=selected, relation=sql.Identifier(*relation), inside=inside.format(centre=centre)
        )
        for inside in (
            sql.SQL("_pos <@ (SELECT scircle({centre}, radians(%s::float8)))"),
            sql.SQL("_pos <-> (SELECT {centre}) <= radians(%s::float8)"),
        )
    )
    answered = (DISTANCE, *columns)
    return Cone(
        answered,
        cells=(small.as_string(), large.as_string()),
        lines=(lines.written(small, answered).as_string(), lines.written(large, answered).as_string()),
    )
