"""DataLink 1.1: all that belongs to a published table or to an alert, at /datalink?ID=ivo://…"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from km3vo.alerts.documents import FORMS as ALERT_FORMS
from km3vo.alerts.messages import places
from km3vo.alerts.revision import Revision
from km3vo.catalog import origin
from km3vo.catalog.model import Column, Table
from km3vo.errors import NotFoundError, ParameterError
from km3vo.holdings.downloads import FORMATS
from km3vo.holdings.editions import Download
from km3vo.holdings.holdings import Holding, Holdings
from km3vo.protocols.dali.forms import read_parameters
from km3vo.protocols.dali.work import in_thread
from km3vo.protocols.http.addresses import asked_url
from km3vo.registry.auxiliary import address, find_file
from km3vo.response import functions
from km3vo.results import formats, votable
from km3vo.results.stream import Descriptor, Info, Result, arrow_type
from km3vo.service import Service
from km3vo.settings import Settings

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
# Of ObsCore's rows, the column that has the identifier (ObsCore 1.1 §4.3.3).
_IDENTIFIER = "obs_publisher_did"
Row = tuple[str, str | None, None, str | None, str, str, str | None, int | None]


def links(holding: Holding, made: list[Download], responses: Sequence[str]) -> Iterator[Row]:
    """The links of a table: the whole list in each format, coverage, responses, and what its description names."""
    settings, path, ivoid = holding.settings, holding.path, holding.ivoid
    base = settings.base_url

    def row(url: str, semantics: str, description: str, kind: str, size: int | None = None) -> Row:
        return ivoid, url, None, None, semantics, description, kind, size

    if holding.edition:
        sizes = {file.extension: file.bytes for file in made if file.number == holding.edition.number}
        for extension, form in FORMATS.items():
            url = f"{base}/download/{path}.{extension}"
            yield row(url, "#this", f"All public rows as {form.title}", form.media_type, sizes.get(extension))
    yield row(holding.url, "#documentation", "Page about the table: columns, citation, services", "text/html")
    if holding.coverage and holding.coverage.moc:
        url = f"{base}/coverage/{path}?format="
        yield row(f"{url}fits", "#auxiliary", "Coverage of the sky as a MOC", "application/fits")
        yield row(f"{url}svg", "#preview-image", "Map of the density of events", "image/svg+xml")
    for name in responses if holding.table.observation else ():
        url = f"{base}/response/{holding.table.schema}/{name}.fits"
        yield row(url, "#auxiliary", f"Response of {name}: area, directions, energies (GADF)", "application/fits")
    for link in holding.table.links:
        if found := address(settings, holding.table, link):
            file = find_file(settings, link)
            size = file.stat().st_size if file else None
            yield row(found, link.semantics, link.description, link.content_type, size)


def links_of_alert(ivoid: str, revision: Revision, settings: Settings) -> Iterator[Row]:
    """The links of a revision of an alert."""

    def row(form: str, semantics: str, description: str) -> Row:
        return (
            ivoid,
            places.document(revision, settings, form),
            None,
            None,
            semantics,
            description,
            ALERT_FORMS[form],
            None,
        )

    if revision.ra is not None:
        yield row("fits", "#this", "Sky map of many orders (HEALPix)")
        yield row("png", "#preview", "The map as a picture")
        yield row("moc.fits", "#auxiliary", "Region of 90 per cent as a MOC")
    page = places.page(revision, settings)
    yield ivoid, page, None, None, "#documentation", "Page of the alert, with all revisions", "text/html", None
    yield row("json", "#documentation", "The revision as a GCN notice")
    yield row("xml", "#documentation", "The revision as a VOEvent")
    yield row("txt", "#documentation", "The revision as a text")


async def _of_alert(running: Service, ivoid: str) -> list[Row]:
    """The links of a VOEvent of ours; none when there is no such."""
    found = places.named(ivoid, running.settings)
    if found is None:
        return []
    name, number = found
    try:
        revisions = await running.alerts.named(name)
    except NotFoundError:
        return []
    said = revisions[number - 1].found if 0 < number <= len(revisions) else None
    same = said is not None and places.ivoid(said, running.settings).lower() == ivoid.replace("?", "#").lower()
    return list(links_of_alert(ivoid, said, running.settings)) if said and same else []


def _responses(holdings: Holdings, schema: str) -> Sequence[str]:
    """The responses of a schema, once the table of its effective areas has rows."""
    area = functions.tables(holdings.catalog, schema).get("area")
    loaded = area and holdings.coverages.get(area.qualified)
    return functions.names(holdings.catalog, schema) if loaded and loaded.rows else ()


def descriptors(settings: Settings, tables: Iterable[Table]) -> tuple[Descriptor, ...]:
    """What tells a client of a query's result where all is that belongs to its rows (DataLink 1.1 §4)."""
    url = f"{settings.base_url}/datalink"
    found = []
    for table in tables:
        if table.qualified == "ivoa.obscore":
            what = "All that belongs to the data of a row"
            found.append(Descriptor(STANDARD, url, column=_IDENTIFIER, description=what))
        elif table.observation is not None:
            what = f"All that belongs to {table.qualified}"
            found.append(Descriptor(STANDARD, url, value=settings.ivoid(table.schema, table.name), description=what))
    return tuple(found)


def router(running: Service) -> APIRouter:
    """The routes of the links."""
    routes = APIRouter(tags=["DataLink"])

    async def answer(request: Request) -> Response:
        """The links of one or more identifiers; an identifier that is not ours has a row with an error."""
        parameters = await read_parameters(request, running)
        wanted = dict.fromkeys(ivoid for text in parameters.all("ID") if (ivoid := text.strip()))
        if not wanted:
            document = votable.error_document(
                "UsageFault: ID is missing: give the IVOID of a published table or an alert"
            )
            return Response(document, status_code=400, media_type="application/x-votable+xml")
        if (asked := parameters.one("RESPONSEFORMAT")) and asked.partition(";")[0].strip().lower() not in (
            "votable",
            "application/x-votable+xml",
            "text/xml",
        ):
            raise ParameterError(f"RESPONSEFORMAT={asked[:60]}: links come as VOTable alone")
        holdings = await running.holdings.read_if_there()
        ours = {holding.ivoid.lower(): holding for holding in map(holdings.of, running.published.tables)}
        rows: list[Row] = []
        given: set[str] = set()
        for ivoid in wanted:
            holding = ours.get(ivoid.lower())
            if holding is None and (of_alert := await _of_alert(running, ivoid)):
                rows += of_alert
            elif holding is None:
                rows.append(
                    (ivoid, None, None, f"NotFoundFault: {ivoid[:200]} is not one of ours", "#this", "", None, None)
                )
            elif holding.ivoid not in given:  # once, in however many ways it is written
                given.add(holding.ivoid)
                made = await in_thread(running, running.downloads.made, holding.table)
                rows += links(holding, made, _responses(holdings, holding.table.schema))
        cells = zip(*rows, strict=True)
        arrays = [pa.array(cell, arrow_type(column)) for cell, column in zip(cells, COLUMNS, strict=True)]
        result = Result(
            columns=COLUMNS,
            source=[pa.RecordBatch.from_arrays(arrays, names=[column.name for column in COLUMNS])],
            name="links",
            infos=origin.service_infos(running.settings, STANDARD, asked_url(request, running.settings)),
            table_infos=(Info("standardID", STANDARD),),
        )
        return Response(b"".join(formats.find("votable/td").write(result)), headers={"content-type": MEDIA_TYPE})

    async def auxiliary(request: Request, schema: str, table: str, name: str) -> Response:
        """A file that belongs to a table."""
        described = running.published_table(schema, table)
        for link in described.links:
            if link.file and Path(link.file).name == name and (file := find_file(running.settings, link)):
                return FileResponse(
                    file, media_type=link.content_type, filename=name, content_disposition_type="inline"
                )
        raise NotFoundError(f"{described.qualified} has no file {name[:80]}.")

    routes.add_api_route(
        "/datalink",
        answer,
        methods=["GET", "POST"],
        summary="All that belongs to a published table or an alert: ID=ivo://…",
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
