"""DataLink 1.1: all that belongs to a published table, at /datalink?ID=ivo://…"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from km3vo.catalog.model import Column, Table
from km3vo.errors import NotFoundError, ParameterError
from km3vo.protocols import origin
from km3vo.protocols.dali import in_thread, parameters, service
from km3vo.protocols.download import snapshots
from km3vo.protocols.pages import find_table, look
from km3vo.registry.auxiliary import address, find_file
from km3vo.registry.resources import identifier
from km3vo.results import formats, votable
from km3vo.results.stream import Info, Result, arrow_type
from km3vo.service import Service
from km3vo.store.editions import Download
from km3vo.web.describe import DOWNLOADS, View

STANDARD = "ivo://ivoa.net/std/DataLink#links-1.1"
MEDIA_TYPE = "application/x-votable+xml;content=datalink"


def _text(name: str, ucd: str, description: str) -> Column:
    return Column(name=name, datatype="char", arraysize="*", ucd=ucd, description=description)


# DataLink 1.1 §3.2, in its order.
COLUMNS = (
    _text("ID", "meta.id;meta.main", "Identifier of the data that the link belongs to"),
    _text("access_url", "meta.ref.url", "Where it is"),
    _text("service_def", "meta.ref", "Service that gives it"),
    _text("error_message", "meta.code.error", "Why there is no link"),
    _text("semantics", "meta.code", "What it is to the data (http://www.ivoa.net/rdf/datalink/core)"),
    _text("description", "meta.note", "What it is, in words"),
    _text("content_type", "meta.code.mime", "Its media type"),
    Column(
        name="content_length",
        datatype="long",
        unit="byte",
        ucd="phys.size;meta.file",
        description="Its size, where it is known",
    ),
)
Row = tuple[str, str | None, None, str | None, str, str, str | None, int | None]


async def answer(request: Request) -> Response:
    """The links of one or more identifiers; an identifier that is not ours has a row with an error."""
    running = service(request)
    given = await parameters(request)
    wanted = [ivoid for text in given.all("ID") if (ivoid := text.strip())]
    if not wanted:
        document = votable.error_document("UsageFault: ID is missing: give the IVOID of a published table")
        return Response(document, status_code=400, media_type="application/x-votable+xml")
    if (asked := given.one("RESPONSEFORMAT")) and asked.partition(";")[0].strip().lower() not in (
        "votable",
        "application/x-votable+xml",
        "text/xml",
    ):
        raise ParameterError(f"RESPONSEFORMAT={asked[:60]}: links come as VOTable alone")
    view = await look(running)
    known = {identifier(running.settings, table.schema, table.name): table for table in running.published.tables}
    rows: list[Row] = []
    for ivoid in wanted:
        table = next((table for name, table in known.items() if name.lower() == ivoid.lower()), None)
        if table is None:
            rows.append(
                (ivoid, None, None, f"NotFoundFault: {ivoid[:200]} is not one of ours", "#this", "", None, None)
            )
        else:
            made = await in_thread(running, snapshots(running).made, table)
            rows += links(running, view, table, made)
    cells = zip(*rows, strict=True)
    arrays = [pa.array(cell, arrow_type(column)) for cell, column in zip(cells, COLUMNS, strict=True)]
    result = Result(
        columns=COLUMNS,
        source=[pa.RecordBatch.from_arrays(arrays, names=[column.name for column in COLUMNS])],
        name="links",
        infos=(Info("standardID", STANDARD), *origin.service_infos(running.settings, STANDARD, str(request.url))),
    )
    return Response(b"".join(formats.find("votable/td").write(result)), headers={"content-type": MEDIA_TYPE})


def links(running: Service, view: View, table: Table, made: list[Download]) -> Iterator[Row]:
    """The links of a table: the whole list in each format, its coverage, and what its description names."""
    cited = view.cited(table)
    base, path, ivoid = view.base, f"{table.schema}/{table.name}", cited.ivoid

    def row(url: str, semantics: str, description: str, kind: str, size: int | None = None) -> Row:
        return ivoid, url, None, None, semantics, description, kind, size

    if cited.edition:
        sizes = {file.extension: file.bytes for file in made if file.number == cited.edition.number}
        for extension, (name, kind) in DOWNLOADS.items():
            url = f"{base}/download/{path}.{extension}"
            yield row(url, "#this", f"All public rows as {name}", kind, sizes.get(extension))
    yield row(cited.url, "#documentation", "Page about the table: columns, citation, services", "text/html")
    if cited.coverage and cited.coverage.moc:
        url = f"{base}/coverage/{path}?format="
        yield row(f"{url}fits", "#auxiliary", "Coverage of the sky as a MOC", "application/fits")
        yield row(f"{url}svg", "#preview-image", "Map of the density of events", "image/svg+xml")
    for link in table.links:
        if found := address(running.settings, table, link):
            file = find_file(running.settings, link)
            size = file.stat().st_size if file else None
            yield row(found, link.semantics, link.description, link.content_type, size)


async def auxiliary(request: Request, schema: str, table: str, name: str) -> Response:
    """A file that belongs to a table."""
    running = service(request)
    described = find_table(running, schema, table)
    for link in described.links:
        if link.file and Path(link.file).name == name and (file := find_file(running.settings, link)):
            return FileResponse(file, media_type=link.content_type, filename=name, content_disposition_type="inline")
    raise NotFoundError(f"{described.qualified} has no file {name[:80]}.")


def router() -> APIRouter:
    """The routes of the links."""
    routes = APIRouter(tags=["DataLink"])
    routes.add_api_route(
        "/datalink",
        answer,
        methods=["GET", "POST"],
        summary="All that belongs to a published table: ID=ivo://…",
        response_class=Response,
    )
    routes.add_api_route(
        "/auxiliary/{schema}/{table}/{name}",
        auxiliary,
        methods=["GET", "HEAD"],
        summary="A file that belongs to a table, such as an effective area",
        response_class=Response,
    )
    return routes
