"""TAP 1.1: /tap/sync here; /tap/async in uws.py, /tap/tables, /capabilities and /availability in vosi.py."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import Response

from km3vo.errors import Km3voError, ParameterError, TooLargeError
from km3vo.protocols import origin
from km3vo.protocols.dali import ByteStream, Parameters, in_thread, parameters, service
from km3vo.protocols.identity import asker
from km3vo.results import formats, votable
from km3vo.results.formats import Format
from km3vo.results.stream import Result
from km3vo.service import Asker, Service
from km3vo.store.queries import Stream

# LANG, as declared in the capabilities → the version of ADQL to read (TAP 1.1 §2.7.1).
LANGUAGES = {"ADQL": "2.1", "ADQL-2.0": "2.0", "ADQL-2.1": "2.1"}
STANDARD = "ivo://ivoa.net/std/TAP"
RUNID_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Wanted:
    """A TAP query, validated: what to run, and how to answer."""

    query: str
    version: str
    maxrec: int
    format: Format
    runid: str


def read(running: Service, given: Parameters) -> Wanted:
    """The query in a request's parameters (TAP 1.1 §2.7).

    Raises:
        ParameterError: a parameter is missing, given twice, or not understood.
        TooLargeError: the query is too long.
    """
    limits = running.settings.limits
    language = given.one("LANG", "ADQL").strip().upper()
    if language not in LANGUAGES:
        raise ParameterError(f"unknown query language {language[:40]}: LANG is one of {', '.join(LANGUAGES)}")
    query = given.one("QUERY")
    if not query.strip():
        raise ParameterError("QUERY is missing: give a query in ADQL, such as SELECT TOP 5 * FROM tap_schema.tables")
    if len(query) > limits.query_length:
        raise TooLargeError(f"the query has {len(query)} characters; the limit is {limits.query_length}")
    runid = given.one("RUNID")
    if len(runid) > RUNID_LENGTH:
        raise ParameterError(f"RUNID has {len(runid)} characters; the limit is {RUNID_LENGTH}")
    return Wanted(
        query=query,
        version=LANGUAGES[language],
        maxrec=given.maxrec(limits.maxrec, limits.maxrec_hard),
        format=given.format(formats.DEFAULT),
        runid=runid,
    )


def run(running: Service, wanted: Wanted, who: Asker, url: str, seconds: float) -> tuple[Result, Stream]:
    """Translate and start a query; returns its result and the running statement, which the caller closes.

    Blocks until the first rows are there.

    Raises:
        Km3voError: the query cannot be translated, or fails at once.
    """
    translation = running.translate(wanted.query, wanted.version, wanted.maxrec, who.audience)
    stream = running.readers[who.audience].stream(translation.sql, seconds)
    tables = [running.table(".".join(name)) for name in sorted(translation.tables)]
    result = Result(
        columns=translation.columns,
        source=stream,
        maxrec=wanted.maxrec,
        infos=origin.service_infos(running.settings, STANDARD, url, wanted.query),
        table_infos=origin.table_infos(running.settings, filter(None, tables)),
    )
    return result, stream


async def sync(request: Request) -> Response:
    """Run a query and answer with its rows (TAP 1.1 §2.2)."""
    running = service(request)
    try:
        given = await parameters(request)
        wanted = read(running, given)
        result, stream = await in_thread(
            running, run, running, wanted, asker(request), str(request.url), running.settings.limits.sync_seconds
        )
    except Km3voError as error:
        return error_response(error)
    return ByteStream(running, wanted.format.write(result), stream, wanted.format.content_type)


def error_response(error: Km3voError) -> Response:
    """A DALI error document with the status that fits (DALI 1.1 §4.2)."""
    return Response(
        votable.error_document(str(error)), status_code=error.status, media_type="application/x-votable+xml"
    )


def router(prefix: str) -> APIRouter:
    """The routes of the service at ``prefix``."""
    routes = APIRouter(prefix=prefix, tags=["TAP"])
    routes.add_api_route(
        "/sync",
        sync,
        methods=["GET", "POST"],
        summary="Run a query and wait for its rows",
        response_class=Response,
        openapi_extra=PARAMETERS,
    )
    return routes


PARAMETERS = {
    "parameters": [
        {"name": "QUERY", "in": "query", "description": "A query in ADQL", "schema": {"type": "string"}},
        {"name": "LANG", "in": "query", "description": "ADQL", "schema": {"type": "string", "enum": list(LANGUAGES)}},
        {"name": "MAXREC", "in": "query", "description": "Most rows", "schema": {"type": "integer", "minimum": 0}},
        {"name": "RESPONSEFORMAT", "in": "query", "description": "A format", "schema": {"type": "string"}},
        {"name": "RUNID", "in": "query", "description": "Shown in logs", "schema": {"type": "string"}},
    ]
}
