"""Who made an answer, from what, and how to cite it: the INFOs of "Data Origin in the VO" 1.2."""

from __future__ import annotations

from collections.abc import Iterable

from km3vo import __version__, times
from km3vo.catalog.model import Table
from km3vo.results.stream import Info
from km3vo.settings import Settings


def service_infos(settings: Settings, protocol: str, request: str, query: str = "") -> tuple[Info, ...]:
    """INFOs about the service and the request."""
    publisher = settings.publisher
    infos = [
        Info("publisher", publisher.name, "who published the data"),
        Info("server_software", f"km3vo/{__version__}", "the software that answered"),
        Info("service_protocol", protocol, "the protocol of the request"),
        Info("request", request, "the request"),
        Info("request_date", times.seconds(times.now()), "when the request was answered (UTC)"),
        Info("contact", publisher.contact_email, "whom to ask"),
    ]
    if query:
        infos.insert(4, Info("query", query, "the query in ADQL"))
    return tuple(infos)


def table_infos(settings: Settings, tables: Iterable[Table]) -> tuple[Info, ...]:
    """INFOs about the tables that the data come from."""
    infos = []
    for table in tables:
        citation = table.citation
        facts = {
            "data_ivoid": settings.ivoid(table.schema, table.name),
            "citation": citation.text or (f"doi:{citation.doi}" if citation.doi else None),
            "reference_url": citation.reference_url,
            "resource_version": citation.version,
            "rights": citation.licence,
            "rights_uri": citation.rights_uri,
            "article": citation.article or citation.bibcode,
            "publication_date": citation.publication_date,
        }
        infos += [Info(name, value, f"of {table.qualified}") for name, value in facts.items() if value]
        infos += [Info("creator", name, f"of {table.qualified}") for name in citation.creators]
        if table.simulated:
            infos.append(Info("simulated", "true", f"the rows of {table.qualified} are simulated, not measured"))
    return tuple(infos)
