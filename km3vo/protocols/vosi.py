"""VOSI 1.1: what a service is (capabilities), whether it works (availability), and what tables it has.

The documents follow from the catalogue and the settings, test queries from what is public, and all have an ETag.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime

from fastapi import APIRouter
from lxml import etree
from lxml.builder import ElementMaker
from starlette.requests import Request
from starlette.responses import Response

from km3vo import adql
from km3vo.catalog.model import Catalog, Column, Schema, Table
from km3vo.catalog.tap_schema import as_written, is_indexed
from km3vo.errors import NotFoundError, ParameterError, UnavailableError
from km3vo.protocols import tap_plus
from km3vo.protocols.dali import base_url, parameters, service
from km3vo.results import formats
from km3vo.service import Service
from km3vo.settings import Settings
from km3vo.store.coverage import Coverage

XSI = "http://www.w3.org/2001/XMLSchema-instance"
NAMESPACES = {
    "xsi": XSI,
    "vosi": "http://www.ivoa.net/xml/VOSICapabilities/v1.0",
    "avail": "http://www.ivoa.net/xml/VOSIAvailability/v1.0",
    "vtm": "http://www.ivoa.net/xml/VOSITables/v1.0",
    "vr": "http://www.ivoa.net/xml/VOResource/v1.0",
    "vs": "http://www.ivoa.net/xml/VODataService/v1.1",
    "tr": "http://www.ivoa.net/xml/TAPRegExt/v1.0",
    "cs": "http://www.ivoa.net/xml/ConeSearch/v1.0",
}
TYPE = f"{{{XSI}}}type"
plain = ElementMaker()  # the schemas' local elements are unqualified
STARTED = datetime.now(UTC)
OBSCORE = "ivo://ivoa.net/std/ObsCore#core-1.1"
TEST_RADIUS = "1"  # degrees: covers a HEALPix pixel of order 6, see store.coverage


def document(root: etree._Element) -> bytes:
    """A tree as an XML document."""
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def respond(request: Request, body: bytes, media_type: str = "text/xml") -> Response:
    """A whole document with an ETag; 304 when the client has it already."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)


def _root(prefix: str, name: str, *used: str) -> etree._Element:
    prefixes = {key: NAMESPACES[key] for key in ("xsi", prefix, *used)}
    return etree.Element(f"{{{NAMESPACES[prefix]}}}{name}", nsmap=prefixes)


def interface(url: str, *, kind: str = "vs:ParamHTTP", use: str = "full", **attributes: str) -> etree._Element:
    """An interface with its access URL (VOResource 1.1 §2.2.2)."""
    return plain.interface(plain.accessURL(url, use=use), {TYPE: kind}, **attributes)


def with_password(element: etree._Element) -> etree._Element:
    """An interface to which members may send a token as password (identity.py); one method each (VOResource 1.1)."""
    element.append(plain.securityMethod(standardID="ivo://ivoa.net/sso#BasicAA"))
    return element


def standard_capabilities(base: str) -> list[etree._Element]:
    """The VOSI resources beside a service at ``base``."""
    return [
        plain.capability(interface(f"{base}/{path}"), standardID=f"ivo://ivoa.net/std/VOSI#{name}")
        for name, path in (("capabilities", "capabilities"), ("availability", "availability"), ("tables-1.1", "tables"))
    ]


def tap_capabilities(settings: Settings, base: str, catalog: Catalog) -> list[etree._Element]:
    """All capabilities of the TAP service at ``base``, in its own document and in the registry."""
    examples = plain.capability(interface(f"{base}/examples"), standardID="ivo://ivoa.net/std/DALI#examples")
    return [*standard_capabilities(base), examples, tap_capability(settings, base, catalog)]


def tap_capability(settings: Settings, base: str, catalog: Catalog) -> etree._Element:
    """The TAP service's own capability, with its real limits (TAPRegExt 1.0)."""
    limits = settings.limits
    access = interface(base, use="base", role="std", version="1.1")
    # The same address, so without a role: validators want exactly one standard interface (taplint W_CPI2).
    known = with_password(interface(base, use="base", version="1.1"))
    capability = plain.capability(access, known, {TYPE: "tr:TableAccess"}, standardID="ivo://ivoa.net/std/TAP")
    if any(table.utype == OBSCORE for table in catalog.tables):
        capability.append(plain.dataModel("ObsCore-1.1", {"ivo-id": OBSCORE}))
    language = plain.language(
        plain.name("ADQL"),
        plain.version("2.0", {"ivo-id": "ivo://ivoa.net/std/ADQL#v2.0"}),
        plain.version("2.1", {"ivo-id": "ivo://ivoa.net/std/ADQL#v2.1"}),
        plain.description("ADQL 2.0 and 2.1"),
    )
    for feature in adql.FEATURES:
        features = plain.languageFeatures(type=feature.type)
        for name, description in feature.forms:
            item = plain.feature(plain.form(name))
            if description:
                item.append(plain.description(description))
            features.append(item)
        language.append(features)
    capability.append(language)
    for form in formats.FORMATS:
        attributes = {"ivo-id": form.ivo_id} if form.ivo_id else {}
        capability.append(
            plain.outputFormat(plain.mime(form.mime), *(plain.alias(alias) for alias in form.aliases), attributes)
        )
    for method in ("inline", "http", "https"):
        capability.append(plain.uploadMethod({"ivo-id": f"ivo://ivoa.net/std/TAPRegExt#upload-{method}"}))
    days = 24 * 3600
    capability.append(
        plain.retentionPeriod(
            plain.default(str(int(limits.retention_days * days))),
            plain.hard(str(int(limits.retention_days_hard * days))),
        )
    )
    capability.append(
        plain.executionDuration(plain.default(str(limits.async_seconds)), plain.hard(str(limits.async_seconds_hard)))
    )
    capability.append(
        plain.outputLimit(
            plain.default(str(limits.maxrec), unit="row"), plain.hard(str(limits.maxrec_hard), unit="row")
        )
    )
    rows = str(limits.upload_rows)
    capability.append(plain.uploadLimit(plain.default(rows, unit="row"), plain.hard(rows, unit="row")))
    return capability


def cone_capabilities(settings: Settings, base: str, found: Coverage | None) -> list[etree._Element]:
    """All capabilities of the cone search at ``base``, in its own document and in the registry."""
    return [*standard_capabilities(base), cone_capability(settings, base, found)]


def cone_capability(settings: Settings, url: str, found: Coverage | None) -> etree._Element:
    """A cone search's own capability (SimpleDALRegExt 1.2 §3.1); its test query is made where there are public rows."""
    capability = plain.capability(
        interface(f"{url}?", use="base", role="std"),
        with_password(interface(f"{url}?", use="base", role="std")),
        {TYPE: "cs:ConeSearch"},
        standardID="ivo://ivoa.net/std/ConeSearch",
    )
    for name, value in (
        ("maxSR", f"{settings.limits.cone_maxsr:g}"),
        ("maxRecords", str(settings.limits.cone_maxrec)),
        ("verbosity", "true"),
    ):
        capability.append(plain(name, value))
    if found and found.ra is not None and found.dec is not None:
        capability.append(plain.testQuery(plain.ra(str(found.ra)), plain.dec(str(found.dec)), plain.sr(TEST_RADIUS)))
    return capability


def capabilities(items: Iterable[etree._Element]) -> bytes:
    """The capabilities document (VOSI 1.1 §2)."""
    root = _root("vosi", "capabilities", "vr", "vs", "tr", "cs")
    root.extend(items)
    return document(root)


def availability(available: bool, note: str) -> bytes:
    """The availability document (VOSI 1.1 §5)."""
    root = _root("avail", "availability")
    maker = ElementMaker(namespace=NAMESPACES["avail"])
    root.append(maker.available("true" if available else "false"))
    root.append(maker.upSince(STARTED.strftime("%Y-%m-%dT%H:%M:%SZ")))
    root.append(maker.note(note))
    return document(root)


async def check(request: Request) -> Response:
    """Whether the database answers just now."""
    alive = await service(request).readers["public"].alive()
    note = "The service is at work." if alive else "The database does not answer."
    return Response(availability(alive, note), media_type="text/xml", headers={"Cache-Control": "no-store"})


def tableset(catalog: Catalog, *, columns: bool = True) -> bytes:
    """The tables document (VOSI 1.1 §4); without columns for detail=min."""
    root = _root("vtm", "tableset", "vs")
    root.extend(schema_element(schema, columns=columns) for schema in catalog.schemas)
    return document(root)


def table_document(table: Table) -> bytes:
    """The document of one table (VOSI 1.1 §4.2)."""
    root = _root("vtm", "table", "vs")
    root.set("type", table.kind)
    root.extend(_table(table, columns=True))
    return document(root)


def schema_element(schema: Schema, *, columns: bool = True) -> etree._Element:
    """A schema with its tables (VODataService 1.2 §3.3)."""
    element = plain.schema(plain.name(schema.name), plain.title(schema.title), plain.description(schema.description))
    for table in schema.tables:
        element.append(_table(table, columns=columns))
    return element


def _table(table: Table, *, columns: bool) -> etree._Element:
    element = plain.table(
        plain.name(table.qualified), plain.title(table.title), plain.description(table.description), type=table.kind
    )
    if table.utype:
        element.append(plain.utype(table.utype))
    if columns:
        element.extend(_column(column, table) for column in table.columns)
        for key in table.keys:
            foreign = plain.foreignKey(plain.targetTable(key.target))
            for here, there in key.columns:
                foreign.append(plain.fkColumn(plain.fromColumn(here), plain.targetColumn(there)))
            if key.description:
                foreign.append(plain.description(key.description))
            if key.utype:
                foreign.append(plain.utype(key.utype))
            element.append(foreign)
    return element


def _column(column: Column, table: Table) -> etree._Element:
    element = plain.column(plain.name(as_written(column.name)))
    for name in ("description", "unit", "ucd", "utype"):
        if value := getattr(column, name):
            element.append(plain(name, value))
    attributes = {"arraysize": column.arraysize, "extendedType": column.xtype}
    element.append(
        plain.dataType(column.datatype, {TYPE: "vs:VOTableType"}, **{k: v for k, v in attributes.items() if v})
    )
    flags = {"indexed": is_indexed(table, column), "primary": column.name == table.id, "nullable": column.nullable}
    element.extend(plain.flag(flag) for flag, present in flags.items() if present)
    if column.std:
        element.set("std", "true")
    return element


# From the address of the whole service.
Items = Callable[[str], Awaitable[list[etree._Element]]]


def tap_items(running: Service, prefix: str) -> Items:
    """What the TAP service at ``prefix`` declares."""

    async def items(base: str) -> list[etree._Element]:
        return tap_capabilities(running.settings, base + prefix, running.published)

    return items


def cone_items(running: Service, table: Table, prefix: str) -> Items:
    """What the cone search at ``prefix`` declares; its test query is made where rows are public just now."""

    async def items(base: str) -> list[etree._Element]:
        try:
            found = (await running.holdings.known()).coverages.get(table.qualified)
        except UnavailableError:
            found = None  # what the service can do is told also while its database is away
        return cone_capabilities(running.settings, base + prefix, found)

    return items


def router(prefix: str, items: Items, catalog: Catalog) -> APIRouter:
    """The VOSI resources of a service at ``prefix`` with these capabilities and tables."""
    routes = APIRouter(prefix=prefix, tags=["VOSI"])
    whole, names = tableset(catalog), tableset(catalog, columns=False)

    @routes.get("/capabilities", summary="What the service can do", response_class=Response)
    async def capabilities_(request: Request) -> Response:
        return respond(request, capabilities(await items(base_url(request))))

    @routes.get("/tables", summary="The tables; detail=min leaves out the columns", response_class=Response)
    async def tables(request: Request) -> Response:
        given = await parameters(request)
        # astroquery's TapPlus has a name of its own for it.
        brief = given.one("ONLY_TABLES").lower() == "true"
        detail = given.one("DETAIL", "min" if brief else "max").lower()
        if detail not in ("min", "max"):
            raise ParameterError(f"detail={detail[:40]} is not min or max")
        body = whole if detail == "max" else names
        if given.all("TABLES"):
            try:
                body = tableset(tap_plus.selected(catalog, given.one("TABLES").split(",")), columns=detail == "max")
            except KeyError:
                raise NotFoundError(f"there is no table {given.one('TABLES')[:80]}: see {prefix}/tables") from None
        answer = respond(request, tap_plus.flagged(body) if tap_plus.is_client(request) else body)
        answer.headers.add_vary_header("User-Agent")
        return answer

    @routes.get("/tables/{name}", summary="One table", response_class=Response)
    async def table(request: Request, name: str) -> Response:
        try:
            return respond(request, table_document(catalog.table(name.replace('"', ""))))
        except KeyError:
            raise NotFoundError(f"there is no table {name[:80]}: see {prefix}/tables") from None

    routes.get("/availability", summary="Whether the service works", response_class=Response)(check)
    return routes
