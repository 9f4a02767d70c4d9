"""The publishing registry: OAI-PMH 2.0 with the rules of Registry Interfaces 1.1 §2, at /oai."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from lxml import etree
from lxml.builder import ElementMaker
from starlette.requests import Request
from starlette.responses import Response

from km3vo import times
from km3vo.protocols.dali.forms import read_pairs
from km3vo.protocols.oai.arguments import PREFIXES, SETS, Listing, OaiError, check, check_prefix, listing, seal
from km3vo.registry import dublin, harvested
from km3vo.registry.elements import NAMESPACES, XSI, document
from km3vo.registry.harvested import Record
from km3vo.service import Service

OAI = "http://www.openarchives.org/OAI/2.0/"
FORMATS = {
    "ivo_vor": (NAMESPACES["ri"], NAMESPACES["ri"]),
    "oai_dc": (dublin.OAI_DC, "http://www.openarchives.org/OAI/2.0/oai_dc.xsd"),
}
# With a prefix: the elements of VOResource have no namespace, and a default one would swallow them.
tag = ElementMaker(namespace=OAI, nsmap={"oai": OAI, "xsi": XSI})


async def _identify(running: Service, arguments: dict[str, str]) -> etree._Element:
    settings = running.settings
    async with running.pool.connection() as connection:
        earliest = await harvested.earliest(connection)
        ours = await harvested.find(connection, settings.ivoid("registry"))
    content = tag.Identify(
        tag.repositoryName(f"{settings.publisher.title} publishing registry"),
        tag.baseURL(f"{settings.base_url}/oai"),
        tag.protocolVersion("2.0"),
        tag.adminEmail(settings.publisher.contact_email),
        tag.earliestDatestamp(times.seconds(earliest or times.now())),
        tag.deletedRecord("persistent"),
        tag.granularity("YYYY-MM-DDThh:mm:ssZ"),
    )
    if ours and ours.xml:
        content.append(tag.description(_dated(ours)))
    return content


async def _formats(running: Service, arguments: dict[str, str]) -> etree._Element:
    if "identifier" in arguments:
        record = await _find(running, arguments["identifier"])
        if record.xml is None:
            raise OaiError("noMetadataFormats", "this record was deleted")
    return tag.ListMetadataFormats(
        *(
            tag.metadataFormat(tag.metadataPrefix(prefix), tag.schema(schema), tag.metadataNamespace(namespace))
            for prefix, (namespace, schema) in FORMATS.items()
        )
    )


async def _sets(running: Service, arguments: dict[str, str]) -> etree._Element:
    if "resumptionToken" in arguments:
        raise OaiError("badResumptionToken", "the list of sets is not so long as to need one")
    return tag.ListSets(*(tag.set(tag.setSpec(name), tag.setName(title)) for name, title in SETS.items()))


async def _get(running: Service, arguments: dict[str, str]) -> etree._Element:
    check_prefix(arguments["metadataPrefix"])
    record = await _find(running, arguments["identifier"])
    return tag.GetRecord(_record(record, arguments["metadataPrefix"]))


async def _find(running: Service, ivoid: str) -> Record:
    async with running.pool.connection() as connection:
        record = await harvested.find(connection, ivoid)
    if record is None:
        raise OaiError("idDoesNotExist", f"there is no record {ivoid[:200]}")
    return record


async def _list(running: Service, arguments: dict[str, str]) -> tuple[etree._Element, datetime]:
    """A page of ListRecords or ListIdentifiers, and when it was read."""
    wanted = listing(arguments)
    most = running.settings.limits.oai_records
    async with running.pool.connection() as connection:
        page = await harvested.page(connection, wanted.window, wanted.after, most)
    if not page.records:
        raise OaiError("noRecordsMatch", "no record was changed in that time")
    content = tag(arguments["verb"])
    for record in page.records:
        content.append(_record(record, wanted.prefix) if arguments["verb"] == "ListRecords" else _header(record))
    if page.more or wanted.after:
        content.append(_rest(wanted, page, most))
    return content, page.read_at


def _rest(wanted: Listing, page: harvested.Page, most: int) -> etree._Element:
    """Where the next page begins; empty on the last one (OAI-PMH 2.0 §3.5)."""
    size = {"completeListSize": str(max(page.total, wanted.cursor + len(page.records))), "cursor": str(wanted.cursor)}
    if not page.more:
        return tag.resumptionToken(size)
    cursor = wanted.cursor + len(page.records)
    return tag.resumptionToken(
        seal(Listing(wanted.prefix, wanted.since, wanted.until, page.records[-1].identifier, cursor)), size
    )


def _header(record: Record) -> etree._Element:
    header = tag.header(tag.identifier(record.identifier), tag.datestamp(times.seconds(record.updated)))
    header.extend(tag.setSpec(name) for name in SETS)
    if record.xml is None:
        header.set("status", "deleted")
    return header


def _record(record: Record, prefix: str) -> etree._Element:
    element = tag.record(_header(record))
    if record.xml is not None:
        resource = _dated(record)
        element.append(tag.metadata(resource if prefix == "ivo_vor" else dublin.core(resource)))
    return element


def _dated(record: Record) -> etree._Element:
    assert record.xml is not None
    resource = etree.fromstring(record.xml)
    resource.set("created", times.seconds(record.created))
    resource.set("updated", times.seconds(record.updated))
    return resource


_OTHERS = {"Identify": _identify, "ListMetadataFormats": _formats, "ListSets": _sets, "GetRecord": _get}
assert set(FORMATS) == set(PREFIXES)


def router(running: Service) -> APIRouter:
    """The route of the registry."""
    routes = APIRouter(tags=["Registry"])

    async def answer(request: Request) -> Response:
        """Answer a harvester. Whatever is wrong with its request comes as a document, too, with status 200."""
        pairs = await read_pairs(request, running)
        echo: dict[str, str] = {}
        now = times.now()
        try:
            arguments = check(pairs)
            if arguments["verb"] in ("ListRecords", "ListIdentifiers"):
                content, now = await _list(running, arguments)
            else:
                content = await _OTHERS[arguments["verb"]](running, arguments)
            echo = arguments
        except OaiError as error:
            if error.code not in ("badVerb", "badArgument"):
                echo = arguments
            content = tag.error(str(error), code=error.code)
        root = tag("OAI-PMH", {f"{{{XSI}}}schemaLocation": f"{OAI} http://www.openarchives.org/OAI/2.0/OAI-PMH.xsd"})
        root.append(tag.responseDate(times.seconds(now)))
        root.append(tag.request(f"{running.settings.base_url}/oai", echo))
        root.append(content)
        return Response(document(root), media_type="text/xml", headers={"Cache-Control": "no-cache"})

    routes.add_api_route(
        "/oai", answer, methods=["GET", "POST"], summary="Publishing registry (OAI-PMH)", response_class=Response
    )
    return routes
