"""The parts that registry records are made of (VOResource 1.1, VODataService 1.2, Registry Interfaces 1.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lxml import etree

from km3vo import times
from km3vo.catalog.model import Citation
from km3vo.holdings.coverage import Coverage
from km3vo.holdings.editions import Edition
from km3vo.registry.elements import NAMESPACES, TYPE, XSI, plain
from km3vo.settings import Settings

MOC_STANDARD = "ivo://ivoa.net/std/moc"
_PREFIXES = {key: NAMESPACES[key] for key in ("ri", "vg", "xsi", "vr", "vs", "tr", "cs", "voe")}
_SHORT_NAME = 16  # VOResource 1.1 §3.1
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What every record tells about its resource."""

    title: str
    short: str
    description: str
    url: str
    type: tuple[str, ...]
    subjects: tuple[str, ...] = ("neutrino-astronomy", "virtual-observatories")
    citation: Citation | None = None
    edition: Edition | None = None
    related: tuple[tuple[str, str, str], ...] = ()  # relationship, title, IVOID


def resource(settings: Settings, kind: str, ivoid: str, about: Summary, *extensions: str) -> etree._Element:
    """A record of a kind such as ``vs:CatalogService``, with all that comes before its own elements.

    It has no dates of its own yet: those are kept with the record (harvested.py).
    """
    # Values of xsi:type need their prefixes declared, and no library does that by itself.
    used = {"ri", "xsi", "vr", kind.partition(":")[0], *extensions}
    record = etree.Element(
        f"{{{NAMESPACES['ri']}}}Resource", nsmap={key: uri for key, uri in _PREFIXES.items() if key in used}
    )
    record.set(TYPE, kind)
    record.set("status", "active")
    record.append(plain.title(about.title))
    if len(about.short) <= _SHORT_NAME:
        record.append(plain.shortName(about.short))
    record.append(plain.identifier(ivoid))
    if about.citation and about.citation.doi:
        record.append(plain.altIdentifier(f"doi:{about.citation.doi}"))
    record.append(_curation(settings, about))
    record.append(_content(about))
    return record


def finish(record: etree._Element) -> bytes:
    """The record as bytes, with the location of the schema of every namespace that it uses (RI 1.1 §3.1)."""
    tree = etree.fromstring(etree.tostring(record))  # copies namespaces that parts brought along
    types = {element.get(TYPE, "").partition(":")[0] for element in tree.iter(etree.Element)}
    uris = [uri for prefix, uri in _PREFIXES.items() if prefix in types | {"ri", "vr"}]
    tree.set(f"{{{XSI}}}schemaLocation", " ".join(f"{uri} {uri}" for uri in uris))
    return bytes(etree.tostring(tree))


def _curation(settings: Settings, about: Summary) -> etree._Element:
    publisher = settings.publisher
    citation = about.citation
    element = plain.curation(plain.publisher(publisher.name, {"ivo-id": settings.ivoid("organisation")}))
    for name in (citation and citation.creators) or (publisher.name,):
        element.append(plain.creator(plain.name(name)))
    if citation and _DATE.fullmatch(citation.publication_date or ""):
        element.append(plain.date(str(citation.publication_date), role="Issued"))
    if about.edition:
        element.append(plain.date(times.seconds(about.edition.made_at), role="Updated"))
    if citation:
        element.append(plain.version(citation.version))
    element.append(plain.contact(plain.name(publisher.contact_name), plain.email(publisher.contact_email)))
    return element


def _content(about: Summary) -> etree._Element:
    element = plain.content()
    element.extend(plain.subject(subject) for subject in about.subjects)
    element.append(plain.description(about.description))
    if about.citation and (source := _source(about.citation)) is not None:
        element.append(source)
    element.append(plain.referenceURL(about.url))
    element.extend(plain.type(kind) for kind in about.type)
    element.append(plain.contentLevel("Research"))
    for relationship in dict.fromkeys(kind for kind, _, _ in about.related):
        relation = plain.relationship(plain.relationshipType(relationship))
        for kind, title, ivoid in about.related:
            if kind == relationship:
                relation.append(plain.relatedResource(title, {"ivo-id": ivoid}))
        element.append(relation)
    return element


def _source(citation: Citation) -> etree._Element | None:
    if citation.bibcode:
        return plain.source(citation.bibcode, format="bibcode")
    doi = (citation.article or "").partition("doi.org/")[2]
    return plain.source(f"doi:{doi}", format="doi") if doi else None


def rights(citations: Iterable[Citation]) -> list[etree._Element]:
    """The licences, each once."""
    found = dict.fromkeys((c.licence, c.rights_uri) for c in citations if c.licence)
    return [plain.rights(str(name), {"rightsURI": uri} if uri else {}) for name, uri in found]


def coverage_element(settings: Settings, coverage: Coverage | None) -> etree._Element:
    """The coverage (VODataService 1.2 §3.2): of the public rows, in the sky, in time, and in energy."""
    element = plain.coverage()
    if coverage and coverage.moc:
        element.append(plain.spatial(coverage.moc))
    if coverage and coverage.mjd_from is not None and coverage.mjd_to is not None:
        element.append(plain.temporal(f"{coverage.mjd_from:.5f} {coverage.mjd_to:.5f}"))
    if coverage and coverage.joule_from is not None and coverage.joule_to is not None:
        element.append(plain.spectral(f"{coverage.joule_from:.5g} {coverage.joule_to:.5g}"))
    if coverage and coverage.moc:
        url = f"{settings.base_url}/coverage/{coverage.published.replace('.', '/')}?format=fits"
        element.append(plain.footprint(url, {"ivo-id": MOC_STANDARD}))
    element.append(plain.waveband("Neutrino"))
    return element
