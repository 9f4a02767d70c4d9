"""Simple Cone Search 1.03 (with the DALI parameters of the 1.1 draft): /scs/{schema}/{table}."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from psycopg import sql
from starlette.responses import Response

from km3vo.catalog.model import Column, Table
from km3vo.errors import Km3voError, ParameterError
from km3vo.protocols import dali, origin
from km3vo.protocols.dali import ByteStream
from km3vo.protocols.identity import asker
from km3vo.results import formats, votable
from km3vo.results.formats import Format
from km3vo.results.stream import Result
from km3vo.service import Service
from km3vo.settings import Settings
from km3vo.store import embargo, lines
from km3vo.store.embargo import Audience
from km3vo.store.queries import Reader, Stream

DISTANCE = Column(
    name="_r",
    datatype="double",
    unit="deg",
    ucd="pos.distance",
    description="Distance to the centre of the cone",
    nullable=False,
)
# TABLEDATA, which clients as old as the protocol read; and the type that SCS 1.03 §2.2 asks for.
DEFAULT = replace(formats.find("votable/td"), content_type="text/xml")
STANDARD = "ivo://ivoa.net/std/ConeSearch"
MAX_CIRCLE = 90.0  # degrees; pgSphere has no larger circles
WIDE = 5.0  # degrees; a cone of that size may take PostgreSQL a while


class Asked(NamedTuple):
    """The parameters of a cone's statements, in their order: the centre twice, the radius, the most rows to give."""

    ra: float
    dec: float
    ra_again: float
    dec_again: float
    radius: float
    rows: int

    @property
    def large(self) -> bool:
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
        template = sql.SQL(self.cells[asked.large].replace("%s", "{}"))
        return template.format(*map(sql.Literal, asked)).as_string()


def plan(table: Table, audience: Audience, verbosity: int) -> Cone:
    """The statements for a table as an audience sees it.

    VERB=1 gives identifier and position, 2 the principal columns, 3 all of them (SCS 1.03 §2.1).
    """
    assert table.position is not None
    main = {table.id: "ID_MAIN", table.position.ra: "POS_EQ_RA_MAIN", table.position.dec: "POS_EQ_DEC_MAIN"}
    shown = [
        column
        for column in table.columns
        if column.name in main or verbosity == 3 or (verbosity == 2 and column.principal)
    ]
    names = dict(table.cone_names)
    columns = [replace(column, ucd=main.get(column.name, column.ucd)) for column in shown]
    if names:
        order = {name: place for place, name in enumerate(names)}
        columns.sort(key=lambda column: order.get(column.name, len(order)))
        columns = [replace(column, name=names.get(column.name, column.name)) for column in columns]
    selected = sql.SQL(", ").join(sql.Identifier(column.sql) for column in columns)
    # In sub-selects, since what hangs on parameters would be computed anew for every row.
    centre = sql.SQL("spoint(radians(%s::float8), radians(%s::float8))")
    small, large = (
        sql.SQL(
            "SELECT degrees(_pos <-> (SELECT {centre})), {columns} FROM {relation} WHERE {inside} "
            "ORDER BY 1 LIMIT %s::bigint"
        ).format(
            centre=centre,
            columns=selected,
            relation=sql.Identifier(*embargo.relation(table, audience)),
            inside=inside.format(centre=centre),
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


class ConeSearch:
    """The cone search of one table."""

    def __init__(self, table: Table, settings: Settings) -> None:
        self.table = table
        self.infos = origin.table_infos(settings, (table,))
        self.plans = {
            (sight, verbosity): plan(table, sight, verbosity) for sight in embargo.SIGHTS for verbosity in (1, 2, 3)
        }

    async def __call__(self, request: Request) -> Response:
        """Answer a cone search; whatever is wrong with it comes back as a VOTable, too (SCS 1.03 §2.3)."""
        try:
            return await self.search(request)
        except Km3voError as error:
            return Response(votable.cone_error_document(str(error)), media_type="text/xml")

    async def search(self, request: Request) -> Response:
        """The answer to a request without mistakes; raises Km3voError otherwise."""
        running = dali.service(request)
        limits = running.settings.limits
        given = await dali.parameters(request)
        ra, dec = given.number("RA", 0, 360), given.number("DEC", -90, 90)
        radius = given.number("SR", 0, limits.cone_maxsr)
        verbosity = given.one("VERB", "2").strip() or "2"
        if verbosity not in ("1", "2", "3"):
            raise ParameterError(f"VERB={verbosity[:40]} is not 1, 2 or 3")
        maxrec = given.maxrec(limits.cone_maxrec, limits.maxrec_hard)
        chosen = given.format(DEFAULT)
        who = asker(request)
        reader = running.readers[who.audience]
        cone = self.plans[embargo.sight(who.audience), int(verbosity)]
        # A radius of nothing asks for the columns alone (SCS 1.03 §2.1).
        asked = Asked(ra, dec, ra, dec, radius, 0 if radius == 0 else maxrec + 1)
        answer = Result(
            columns=cone.columns,
            source=(),
            maxrec=maxrec,
            name=self.table.name,
            infos=origin.service_infos(running.settings, STANDARD, str(request.url)),
            table_infos=self.infos,
            description=f"{self.table.title}: cone search",
        )
        if maxrec > limits.cone_maxrec:
            stream = await self.stream(request, reader, cone.literally(asked))
            answer.source = stream
            return ByteStream(running, chosen.write(answer), stream, chosen.content_type)
        written = self.written(running, reader, cone, asked, answer, chosen)
        # To listen for the client's leaving takes as long as a small cone.
        body = await (dali.while_there(request, written) if radius > WIDE else written)
        return Response(body, headers={"content-type": chosen.content_type})

    async def written(
        self, running: Service, reader: Reader, cone: Cone, asked: Asked, answer: Result, chosen: Format
    ) -> bytes:
        """The document of an answer that is kept in memory; ``answer`` has no rows as yet."""
        if chosen.write is DEFAULT.write:
            rows = await reader.rows(cone.lines[asked.large], asked)
            body = await dali.soon(running, len(rows), lambda: votable.of_lines(answer, [line for (line,) in rows]))
            if body is not None:
                return body
        batch = await reader.batch(cone.cells[asked.large], asked, cone.columns)
        answer.source = [batch]
        return await dali.soon(running, batch.num_rows, lambda: b"".join(chosen.write(answer)))

    async def stream(self, request: Request, reader: Reader, statement: str) -> Stream:
        """The rows of an answer that may be too long to be kept in memory."""
        running = dali.service(request)
        begun: list[Stream] = []

        def cancel() -> None:
            for stream in begun:
                stream.cancel()

        seconds = running.settings.limits.sync_seconds
        work = functools.partial(reader.stream, statement, seconds, begun.append)
        return await dali.unless_gone(request, running.threads, work, cancel)


class _Plain(APIRoute):
    """A route whose endpoint takes a request and gives a response, with nothing for FastAPI to find out."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What the route calls."""
        return self.endpoint


def router(tables: tuple[Table, ...], settings: Settings) -> APIRouter:
    """The routes of every table that has positions, with their aliases."""
    routes = APIRouter(tags=["Simple Cone Search"], route_class=_Plain)
    for table in tables:
        if table.position is None:
            continue

        answer = ConeSearch(table, settings)
        for path in (f"/scs/{table.schema}/{table.name}", *table.aliases):
            routes.add_api_route(
                path,
                answer.__call__,
                methods=["GET", "POST"],
                summary=f"Cone search: {table.title}",
                response_class=Response,
                openapi_extra=PARAMETERS,
            )
    return routes


def _parameter(name: str, description: str, schema: dict[str, object], *, required: bool = False) -> dict[str, object]:
    return {"name": name, "in": "query", "required": required, "description": description, "schema": schema}


PARAMETERS = {
    "parameters": [
        _parameter("RA", "Right ascension of the centre, ICRS, degrees", {"type": "number"}, required=True),
        _parameter("DEC", "Declination of the centre, ICRS, degrees", {"type": "number"}, required=True),
        _parameter("SR", "Radius, degrees; 0 for the columns alone", {"type": "number"}, required=True),
        _parameter("VERB", "1: few columns, 2: the usual ones, 3: all", {"type": "integer", "enum": [1, 2, 3]}),
        _parameter("MAXREC", "Most rows", {"type": "integer", "minimum": 0}),
        _parameter("RESPONSEFORMAT", "A format's name or media type", {"type": "string"}),
    ]
}
