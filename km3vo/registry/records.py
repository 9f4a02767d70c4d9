"""The registry's records, derived from the catalogue, the settings, and what the public rows cover."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from lxml import etree

from km3vo.catalog.model import Catalog, Schema, Table
from km3vo.protocols import vosi
from km3vo.protocols.vosi import TYPE, plain
from km3vo.registry.resources import (
    Summary,
    coverage_element,
    finish,
    identifier,
    resource,
    rights,
)
from km3vo.settings import Settings
from km3vo.store.coverage import Coverage
from km3vo.store.editions import Edition

TAP_AUXILIARY = "ivo://ivoa.net/std/TAP#aux"


@dataclass(frozen=True, slots=True)
class Shelf:
    """What the records are made from.

    Attributes:
        catalog: all tables; ``published`` are those that have records (without TAP_SCHEMA).
        coverages: by the tables' names.
        editions: the latest of each table that has one.
    """

    settings: Settings
    published: Catalog
    catalog: Catalog
    coverages: Mapping[str, Coverage] = field(default_factory=dict)
    editions: Mapping[str, Edition] = field(default_factory=dict)

    def page(self, *path: str) -> str:
        """URL of a page."""
        return "/".join((self.settings.base_url, *path)) if path else f"{self.settings.base_url}/"

    def ivoid(self, *path: str) -> str:
        """IVOID of a resource of ours."""
        return identifier(self.settings, *path)


def records(shelf: Shelf) -> dict[str, bytes]:
    """All records, by their IVOIDs, as XML without dates."""
    found = [registry(shelf), authority(shelf), organisation(shelf), tap(shelf)]
    for schema in shelf.published.schemas:
        for table in schema.tables:
            found.append(collection(shelf, schema, table))
            if table.position:
                found.append(cone(shelf, schema, table))
    return {str(record.findtext("identifier")): finish(record) for record in found}


def registry(shelf: Shelf) -> etree._Element:
    """This publishing registry itself (Registry Interfaces 1.1 §2.2)."""
    settings = shelf.settings
    about = Summary(
        title=f"{settings.publisher.title} publishing registry",
        short="registry",
        description=f"The registry in which {settings.publisher.name} announces its data and services.",
        url=shelf.page(),
        type=("Registry",),
    )
    record = resource(settings, "vg:Registry", shelf.ivoid("registry"), about)
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


def authority(shelf: Shelf) -> etree._Element:
    """The naming authority (Registry Interfaces 1.1 §4.2)."""
    publisher = shelf.settings.publisher
    about = Summary(
        title=f"{publisher.name} naming authority",
        short="authority",
        description=f"Identifiers that begin with ivo://{publisher.authority}/ are given by {publisher.name}.",
        url=publisher.reference_url,
        type=("Other",),
    )
    record = resource(shelf.settings, "vg:Authority", shelf.ivoid(), about)
    record.append(plain.managingOrg(publisher.name, {"ivo-id": shelf.ivoid("organisation")}))
    return record


def organisation(shelf: Shelf) -> etree._Element:
    """The publisher."""
    publisher = shelf.settings.publisher
    about = Summary(
        title=publisher.name,
        short=publisher.name,
        description=f"{publisher.name} publishes what is described in this registry.",
        url=publisher.reference_url,
        type=("Organisation",),
    )
    return resource(shelf.settings, "vr:Organisation", shelf.ivoid("organisation"), about)


def tap(shelf: Shelf) -> etree._Element:
    """The TAP service, with the capabilities that it declares itself."""
    settings = shelf.settings
    tables = shelf.published.tables
    names = "; ".join(f"{table.qualified} ({table.title})" for table in tables)
    about = Summary(
        title=f"{settings.publisher.title}: TAP service",
        short="TAP",
        description=f"All public tables of {settings.publisher.name} for queries in ADQL: {names}.",
        url=shelf.page(),
        type=("Catalog",),
        related=tuple(("IsServiceFor", table.title, shelf.ivoid(table.schema, table.name)) for table in tables),
    )
    record = resource(settings, "vs:CatalogService", shelf.ivoid("tap"), about, "tr")
    record.extend(rights(table.citation for table in tables))
    record.extend(vosi.tap_capabilities(settings, f"{settings.base_url}/tap", shelf.published))
    record.append(coverage_element(settings, None))
    record.append(_tableset(shelf.catalog.schemas))
    return record


def collection(shelf: Shelf, schema: Schema, table: Table) -> etree._Element:
    """A table as what it is: data, served by the services it names (VODataService 1.2 §3.1)."""
    settings = shelf.settings
    served = [("IsServedBy", f"{settings.publisher.title}: TAP service", shelf.ivoid("tap"))]
    if table.position:
        served.append(("IsServedBy", f"{table.title}: cone search", shelf.ivoid(table.schema, table.name, "scs")))
    about = _about(shelf, table, table.title, table.qualified, tuple(served))
    record = resource(settings, "vs:CatalogResource", shelf.ivoid(table.schema, table.name), about, "vs")
    record.extend(rights((table.citation,)))
    query = vosi.interface(f"{settings.base_url}/tap", use="base", role="std", version="1.1")
    record.append(plain.capability(query, standardID=TAP_AUXILIARY))
    page = vosi.interface(shelf.page("browse", table.schema, table.name), kind="vr:WebBrowser")
    record.append(plain.capability(page))
    record.extend(_observed(table))
    record.append(coverage_element(settings, shelf.coverages.get(table.qualified)))
    record.append(_tableset((replace(schema, tables=(table,)),)))
    return record


def cone(shelf: Shelf, schema: Schema, table: Table) -> etree._Element:
    """The cone search of a table (SimpleDALRegExt 1.2 §3.1)."""
    settings = shelf.settings
    found = shelf.coverages.get(table.qualified)
    related = (("IsServiceFor", table.title, shelf.ivoid(table.schema, table.name)),)
    about = _about(shelf, table, f"{table.title}: cone search", table.name, related)
    record = resource(settings, "vs:CatalogService", shelf.ivoid(table.schema, table.name, "scs"), about, "cs")
    record.extend(rights((table.citation,)))
    base = f"{settings.base_url}/scs/{table.schema}/{table.name}"
    record.extend(vosi.cone_capabilities(settings, base, found))
    record.extend(_observed(table))
    record.append(coverage_element(settings, found))
    record.append(_tableset((replace(schema, tables=(table,)),)))
    return record


def _about(shelf: Shelf, table: Table, title: str, short: str, related: tuple[tuple[str, str, str], ...]) -> Summary:
    return Summary(
        title=title,
        short=short,
        description=table.description,
        url=shelf.page("browse", table.schema, table.name),
        type=("Simulation", "Catalog") if table.simulated else ("Catalog",),
        subjects=table.subjects or ("neutrino-astronomy",),
        citation=table.citation,
        edition=shelf.editions.get(table.qualified),
        related=related,
    )


def _observed(table: Table) -> list[etree._Element]:
    if table.observation is None:
        return []
    return [plain.facility(table.observation.facility), plain.instrument(table.observation.instrument)]


def _tableset(schemas: Iterable[Schema]) -> etree._Element:
    return plain.tableset(*(vosi.schema_element(schema) for schema in schemas))
