"""Simple Cone Search 1.03 (with the DALI parameters of the 1.1 draft): /scs/{schema}/{table}."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Coroutine
from dataclasses import replace
from typing import Any

import pyarrow as pa
from fastapi import APIRouter, Request
from starlette.responses import Response

from km3vo.catalog import origin
from km3vo.catalog.model import Table
from km3vo.database import cones
from km3vo.database.audiences import Audience
from km3vo.database.cones import Asked, Cone
from km3vo.database.queries import DatabaseReader, RowStream
from km3vo.database.turns import Lanes, Turn
from km3vo.embargo import marking, partitions
from km3vo.errors import Km3voError, ParameterError
from km3vo.identity.user import User
from km3vo.logs import request_id, text_of
from km3vo.protocols.dali import work
from km3vo.protocols.dali.forms import read_parameters
from km3vo.protocols.dali.streams import ByteStream
from km3vo.protocols.http.addresses import asked_url
from km3vo.protocols.http.authentication import user_of
from km3vo.results import formats, votable
from km3vo.results.formats import Format
from km3vo.results.stream import Result
from km3vo.service import Service

# TABLEDATA, which clients as old as the protocol read; and the type that SCS 1.03 §2.2 asks for.
DEFAULT = replace(formats.find("votable/td"), content_type="text/xml")
STANDARD = "ivo://ivoa.net/std/ConeSearch"
WIDE = 5.0  # degrees; a cone of that size may take PostgreSQL a while


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
    return cones.plan(partitions.relation(table, audience), columns)


class ConeSearch:
    """The cone search of one table."""

    def __init__(self, running: Service, table: Table) -> None:
        self.running = running
        self.table = table
        self.infos = origin.table_infos(running.settings, (table,))
        self.plans = {
            (kind, verbosity): plan(table, kind, verbosity) for kind in partitions.KINDS for verbosity in (1, 2, 3)
        }

    async def __call__(self, request: Request) -> Response:
        """Answer a cone search; whatever is wrong with it comes back as a VOTable, too (SCS 1.03 §2.3)."""
        try:
            return await self.search(request)
        except Km3voError as error:
            # With status 200 as clients of SCS expect it, unless it is the service that cannot just now.
            status = error.status if error.status == 503 else 200
            document = votable.cone_error_document(text_of(error))
            return Response(document, status_code=status, headers=error.headers, media_type="text/xml")

    async def search(self, request: Request) -> Response:
        """The answer to a request without mistakes; raises Km3voError otherwise."""
        running = self.running
        limits = running.settings.limits
        parameters = await read_parameters(request, running)
        ra, dec = parameters.number("RA", 0, 360), parameters.number("DEC", -90, 90)
        radius = parameters.number("SR", 0, limits.cone_maxsr)
        verbosity = parameters.one("VERB", "2").strip() or "2"
        if verbosity not in ("1", "2", "3"):
            raise ParameterError(f"VERB={verbosity[:40]} is not 1, 2 or 3")
        maxrec = parameters.maxrec(limits.cone_maxrec, limits.maxrec_hard)
        chosen = parameters.format(DEFAULT)
        user = user_of(request)
        audience = user.audience
        reader = running.readers[audience]
        cone = self.plans[partitions.kind(audience), int(verbosity)]
        # A radius of nothing asks for the columns alone (SCS 1.03 §2.1).
        asked = Asked(ra, dec, ra, dec, radius, 0 if radius == 0 else maxrec + 1)
        answer = Result(
            columns=cone.columns,
            source=(),
            maxrec=maxrec,
            name=self.table.name,
            infos=(
                *origin.service_infos(running.settings, STANDARD, asked_url(request, running.settings)),
                *marking.infos(audience, (self.table,), user.name),
            ),
            table_infos=self.infos,
            description=f"{self.table.title}: cone search",
            heading=f"{self.table.title}: the events in a circle on the sky",
        )
        headers = {}
        if marking.is_marked(audience, (self.table,)):
            name = marking.file_name(self.table.qualified, chosen.extension, marked=True)
            headers["content-disposition"] = f'inline; filename="{name}"'
        if maxrec > limits.cone_maxrec:
            lanes = running.lanes[audience]
            turn = await work.turn_of(request, lanes.short, user)
            try:
                stream = await self.stream(request, reader, cone.literally(asked), turn, lanes)
            except BaseException:
                turn.end()
                raise
            answer.source = stream
            return ByteStream(running, chosen.write(answer), stream, turn, chosen.content_type, headers)
        written = self.written(reader, cone, asked, answer, chosen)
        body = await (self.wide if radius > WIDE else self.narrow)(request, user, written)
        return Response(body, headers={"content-type": chosen.content_type} | headers)

    async def written(self, reader: DatabaseReader, cone: Cone, asked: Asked, answer: Result, chosen: Format) -> bytes:
        """The document of an answer that is kept in memory; ``answer`` has no rows as yet."""

        async def of_lines(rows: list[str]) -> bytes | None:
            return await work.soon(self.running, len(rows), lambda: votable.of_lines(answer, rows))

        async def of_cells(batch: pa.RecordBatch) -> bytes:
            answer.source = [batch]
            return await work.soon(self.running, batch.num_rows, lambda: b"".join(chosen.write(answer)))

        return await cone.document(reader, asked, of_lines if chosen.write is DEFAULT.write else None, of_cells)

    async def wide(self, request: Request, user: User, written: Coroutine[Any, Any, bytes]) -> bytes:
        """The document of a cone that may take a while: a turn for it, and an ear for the client's leaving.

        Both take as long as a small cone.
        """
        turn = await _turn(work.turn_of(request, self.running.lanes[user.audience].wide, user), written)
        try:
            return await work.while_there(request, written)
        finally:
            turn.end()

    async def narrow(self, request: Request, user: User, written: Coroutine[Any, Any, bytes]) -> bytes:
        """The document of a small cone, in the client's turn: one that asks for many at once waits for its own."""
        turns, client = self.running.lanes[user.audience].narrow, work.client_of(request, user)
        if turns.try_take(client):
            try:
                return await written
            finally:
                turns.give_back(client)
        # With no ear for the client's leaving, which takes as long as the search.
        turn = await _turn(turns.take(client), written)
        try:
            return await written
        finally:
            turn.end()

    async def stream(
        self, request: Request, reader: DatabaseReader, statement: str, turn: Turn, lanes: Lanes
    ) -> RowStream:
        """The rows of an answer that may be too long to be kept in memory."""
        begun: list[RowStream] = []

        def cancel() -> None:
            for stream in begun:
                stream.cancel()

        seconds = self.running.settings.limits.sync_seconds
        outlived = work.moving(turn, lanes.long, lambda: begun[0] if begun else None)
        name = request_id.get()
        start = functools.partial(reader.stream, statement, seconds, begun.append, name=name, outlived=outlived)
        return await work.unless_gone(request, self.running.writers, start, cancel)


def router(running: Service) -> APIRouter:
    """The routes of every table that has positions, with their aliases."""
    routes = APIRouter(tags=["Simple Cone Search"])
    for table in running.published.tables:
        if table.position is None:
            continue

        answer = ConeSearch(running, table)
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


async def _turn(turn: Awaitable[Turn], written: Coroutine[Any, Any, bytes]) -> Turn:
    """The turn for a document, which is not begun when there is none. Raises what the wait for the turn raises."""
    try:
        return await turn
    except BaseException:
        written.close()
        raise


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
