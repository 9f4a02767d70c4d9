"""The registry's records, derived from the catalogue, the settings, and what the public rows cover."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from lxml import etree

from km3vo.catalog.model import Schema, Table
from km3vo.catalog.tap_schema import TAP_SCHEMA
from km3vo.holdings.holdings import Holding, Holdings
from km3vo.registry.capabilities import cone_capabilities, interface, tap_capabilities
from km3vo.registry.elements import TYPE, plain
from km3vo.registry.resources import Summary, coverage_element, finish, resource, rights
from km3vo.registry.tableset import schema_element
from km3vo.settings import Settings

VOEVENT = "ivo://ivoa.net/std/voevent"
TAP_AUXILIARY = "ivo://ivoa.net/std/TAP#aux"


def records(holdings: Holdings) -> dict[str, bytes]:
    """All records, by their IVOIDs, as XML without dates."""
    settings = holdings.settings
    found = [registry(settings), authority(settings), organisation(settings), tap(holdings)]
    found += [stream(settings, test=False), stream(settings, test=True)]
    for schema in holdings.catalog.schemas:
        for table in schema.tables:
            found.append(collection(holdings.of(table), schema))
            if table.position:
                found.append(cone(holdings.of(table), schema))
    return {str(record.findtext("identifier")): finish(record) for record in found}


def registry(settings: Settings) -> etree._Element:
    """This publishing registry itself (Registry Interfaces 1.1 §2.2)."""
    about = Summary(
        title=f"{settings.publisher.title} publishing registry",
        short="registry",
        description=f"The registry in which {settings.publisher.name} announces its data and services.",
        url=f"{settings.base_url}/",
        type=("Registry",),
    )
    record = resource(settings, "vg:Registry", settings.ivoid("registry"), about)
    harvest = plain.interface(
        plain.accessURL(f"{settings.base_url}/oai", use="base"), {TYPE: "vg:OAIHTTP"}, role="std", version="1.0"
    )
    record.append(
        plain.capability(
            harvest,
            plain.maxRecords(str(settings.limits.oai_records)),
            {TYPE: "vg:Harvest"},
            standardID="ivo://ivoa.net/std/Registry",
        )
    )
    record.append(plain.full("false"))
    record.append(plain.managedAuthority(settings.publisher.authority))
    return record


def authority(settings: Settings) -> etree._Element:
    """The naming authority (Registry Interfaces 1.1 §4.2)."""
    publisher = settings.publisher
    about = Summary(
        title=f"{publisher.name} naming authority",
        short="authority",
        description=f"Identifiers that begin with ivo://{publisher.authority}/ are given by {publisher.name}.",
        url=publisher.reference_url,
        type=("Other",),
    )
    record = resource(settings, "vg:Authority", settings.ivoid(), about)
    record.append(plain.managingOrg(publisher.name, {"ivo-id": settings.ivoid("organisation")}))
    return record


def organisation(settings: Settings) -> etree._Element:
    """The publisher."""
    publisher = settings.publisher
    about = Summary(
        title=publisher.name,
        short=publisher.name,
        description=f"{publisher.name} publishes what is described in this registry.",
        url=publisher.reference_url,
        type=("Organisation",),
    )
    return resource(settings, "vr:Organisation", settings.ivoid("organisation"), about)


def tap(holdings: Holdings) -> etree._Element:
    """The TAP service, with the capabilities that it declares itself."""
    settings = holdings.settings
    tables = holdings.catalog.tables
    names = "; ".join(f"{table.qualified} ({table.title})" for table in tables)
    about = Summary(
        title=f"{settings.publisher.title}: TAP service",
        short="TAP",
        description=f"All public tables of {settings.publisher.name} for queries in ADQL: {names}.",
        url=f"{settings.base_url}/",
        type=("Catalog",),
        related=tuple(("IsServiceFor", table.title, settings.ivoid(table.schema, table.name)) for table in tables),
    )
    record = resource(settings, "vs:CatalogService", settings.ivoid("tap"), about, "tr")
    record.extend(rights(table.citation for table in tables))
    record.extend(tap_capabilities(settings, f"{settings.base_url}/tap", holdings.catalog))
    record.append(coverage_element(settings, None))
    record.append(_tableset((*holdings.catalog.schemas, TAP_SCHEMA)))
    return record


def stream(settings: Settings, *, test: bool) -> etree._Element:
    """The stream of alerts, or of their tests, which the identifiers of VOEvents begin with (VOEvent 2.1 §4)."""
    publisher = settings.publisher
    about = Summary(
        title=f"{publisher.title}: {'tests of alerts' if test else 'alerts'}",
        short="alert tests" if test else "alerts",
        description=f"VOEvents of {publisher.name}{', which are no observations' if test else ''}. "
        "The page has them in other forms too, and says how to follow them.",
        url=f"{settings.base_url}/alerts",
        type=("Other",),
    )
    record = resource(settings, "vs:CatalogService", settings.ivoid(f"VOEvent{'_test' if test else ''}"), about, "voe")
    if settings.alerts.stream_url and not test:
        kafka = interface(
            settings.alerts.stream_url, kind="voe:StreamEndpoint", role="std", standardID=f"{VOEVENT}#acc-kafka"
        )
        record.append(plain.capability(kafka, standardID=VOEVENT))
    record.append(plain.capability(interface(f"{settings.base_url}/alerts", kind="vr:WebBrowser")))
    record.append(coverage_element(settings, None))
    return record


def collection(holding: Holding, schema: Schema) -> etree._Element:
    """A table as what it is: data, served by the services it names (VODataService 1.2 §3.1)."""
    settings, table = holding.settings, holding.table
    served = [("IsServedBy", f"{settings.publisher.title}: TAP service", settings.ivoid("tap"))]
    if table.position:
        served.append(("IsServedBy", f"{table.title}: cone search", settings.ivoid(table.schema, table.name, "scs")))
    about = _about(holding, table.title, table.qualified, tuple(served))
    record = resource(settings, "vs:CatalogResource", holding.ivoid, about, "vs")
    record.extend(rights((table.citation,)))
    query = interface(f"{settings.base_url}/tap", use="base", role="std", version="1.1")
    record.append(plain.capability(query, standardID=TAP_AUXILIARY))
    page = interface(holding.url, kind="vr:WebBrowser")
    record.append(plain.capability(page))
    record.extend(_observed(table))
    record.append(coverage_element(settings, holding.coverage))
    record.append(_tableset((replace(schema, tables=(table,)),)))
    return record


def cone(holding: Holding, schema: Schema) -> etree._Element:
    """The cone search of a table (SimpleDALRegExt 1.2 §3.1)."""
    settings, table = holding.settings, holding.table
    related = (("IsServiceFor", table.title, holding.ivoid),)
    about = _about(holding, f"{table.title}: cone search", table.name, related)
    record = resource(settings, "vs:CatalogService", settings.ivoid(table.schema, table.name, "scs"), about, "cs")
    record.extend(rights((table.citation,)))
    base = f"{settings.base_url}/scs/{table.schema}/{table.name}"
    record.extend(cone_capabilities(settings, base, holding.coverage))
    record.extend(_observed(table))
    record.append(coverage_element(settings, holding.coverage))
    record.append(_tableset((replace(schema, tables=(table,)),)))
    return record


def _about(holding: Holding, title: str, short: str, related: tuple[tuple[str, str, str], ...]) -> Summary:
    table = holding.table
    return Summary(
        title=title,
        short=short,
        description=table.description,
        url=holding.url,
        type=("Simulation", "Catalog") if table.simulated else ("Catalog",),
        subjects=table.subjects or ("neutrino-astronomy",),
        citation=table.citation,
        edition=holding.edition,
        related=related,
    )


def _observed(table: Table) -> list[etree._Element]:
    if table.observation is None:
        return []
    return [plain.facility(table.observation.facility), plain.instrument(table.observation.instrument)]


def _tableset(schemas: Iterable[Schema]) -> etree._Element:
    return plain.tableset(*(schema_element(schema) for schema in schemas))
