"""How to cite a table: in words, as BibTeX, for DataCite, and for search engines (schema.org)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from km3vo import times
from km3vo.holdings.coverage import Coverage
from km3vo.holdings.holdings import Holding

UAT = "http://astrothesaurus.org/uat/"
_TEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    character: f"\\{character}" for character in "{}&%$#_"
}


def place(holding: Holding) -> str:
    """Where to find the data: at the DOI if they have one, else on the page."""
    doi = holding.table.citation.doi
    return f"https://doi.org/{doi}" if doi else holding.url


def year(holding: Holding) -> str | None:
    """The year of publication; of the first edition here where no other is known."""
    published = holding.table.citation.publication_date
    if published:
        return published[:4]
    return f"{holding.edition.made_at:%Y}" if holding.edition else None


def edition_words(holding: Holding) -> str:
    """Which edition of the rows, in words."""
    edition = holding.edition
    return f"edition {edition.number} of {edition.made_at:%Y-%m-%d}, {edition.rows} rows" if edition else ""


def text(holding: Holding) -> str:
    """The reference to the data, as it may stand in a list of references."""
    citation, title = holding.table.citation, holding.table.title
    authors = ", ".join(citation.creators) or citation.publisher
    published = year(holding)
    when = f" ({published})" if published else ""
    parts = [f"{authors}{when}, {title}, version {citation.version}"]
    if holding.edition:
        parts[0] += f" ({edition_words(holding)})"
    return ". ".join((*parts, citation.publisher, place(holding)))


def bibtex(holding: Holding) -> str:
    """The reference as BibTeX."""
    citation = holding.table.citation
    authors = citation.creators or (citation.publisher,)
    notes = [edition_words(holding), f"Identifier {holding.ivoid}"]
    if holding.table.simulated:
        notes.insert(0, "SIMULATED, not data")
    fields = {
        "author": " and ".join("{" + _tex(name) + "}" for name in authors),
        "title": "{" + _tex(holding.table.title) + "}",
        "year": year(holding),
        "version": _tex(citation.version),
        "publisher": _tex(citation.publisher),
        "doi": citation.doi,
        "url": holding.url,
        "note": _tex("; ".join(filter(None, notes))),
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    key = re.sub(r"[^a-z0-9]+", "-", f"{authors[0].split()[0]}-{holding.table.qualified}".lower())
    return "\n".join((f"@misc{{{key},", *lines, "}", ""))


def _tex(words: str) -> str:
    return "".join(_TEX.get(character, character) for character in words)


def datacite(holding: Holding) -> dict[str, Any]:
    """The reference as DataCite metadata (schema 4.6, as its REST interface writes it)."""
    table, citation = holding.table, holding.table.citation
    dates = []
    if citation.publication_date:
        dates.append({"date": citation.publication_date, "dateType": "Issued"})
    if holding.edition:
        dates.append({"date": times.seconds(holding.edition.made_at), "dateType": "Updated"})
    if span := _span(holding.coverage):
        dates.append({"date": span, "dateType": "Collected"})
    return {
        **({"doi": citation.doi} if citation.doi else {}),
        "schemaVersion": "http://datacite.org/schema/kernel-4",
        "types": {
            "resourceTypeGeneral": "Dataset",
            "resourceType": "Simulated event list" if table.simulated else "Event list",
        },
        "creators": [
            {"name": name, "nameType": "Organizational"} for name in citation.creators or (citation.publisher,)
        ],
        "titles": [{"title": table.title}],
        "publisher": {"name": citation.publisher},
        "publicationYear": year(holding),
        "subjects": [
            {"subject": name, "subjectScheme": "Unified Astronomy Thesaurus", "schemeUri": UAT}
            for name in table.subjects
        ],
        "dates": dates,
        "language": "en",
        "alternateIdentifiers": [{"alternateIdentifier": holding.ivoid, "alternateIdentifierType": "IVOID"}],
        "relatedIdentifiers": _related(holding),
        "sizes": [f"{holding.edition.rows} rows"] if holding.edition else [],
        "version": citation.version,
        "rightsList": _rights(holding),
        "descriptions": [{"description": table.description, "descriptionType": "Abstract"}],
        "url": holding.url,
    }


def _related(holding: Holding) -> list[dict[str, str]]:
    citation, found = holding.table.citation, []
    if citation.bibcode:
        found.append((citation.bibcode, "bibcode"))
    if citation.article:
        doi = citation.article.partition("doi.org/")[2]
        found.append((doi, "DOI") if doi else (citation.article, "URL"))
    return [
        {"relatedIdentifier": value, "relatedIdentifierType": kind, "relationType": "IsSupplementTo"}
        for value, kind in found
    ]


def _rights(holding: Holding) -> list[dict[str, str]]:
    citation = holding.table.citation
    if not citation.licence:
        return []
    rights = {"rights": citation.licence}
    if uri := citation.rights_uri:
        rights["rightsUri"] = uri
        if spdx := re.search(r"spdx\.org/licenses/([A-Za-z0-9.+-]+?)(\.html)?$", uri):
            rights |= {"rightsIdentifier": spdx[1], "rightsIdentifierScheme": "SPDX"}
    return [rights]


def schema_org(holding: Holding, files: dict[str, str]) -> dict[str, Any]:
    """The reference as schema.org's Dataset, in JSON-LD.

    Args:
        files: media type → URL of a download.
    """
    table, citation = holding.table, holding.table.citation
    publisher = {"@type": "Organization", "name": citation.publisher}
    facts: dict[str, Any] = {
        "@context": "https://schema.org/",
        "@type": "Dataset",
        "@id": place(holding),
        "name": table.title,
        "description": table.description,
        "url": holding.url,
        "identifier": [holding.ivoid, *([f"https://doi.org/{citation.doi}"] if citation.doi else [])],
        "creator": [{"@type": "Organization", "name": name} for name in citation.creators] or publisher,
        "publisher": publisher,
        "version": citation.version,
        "license": citation.rights_uri or citation.licence,
        "datePublished": citation.publication_date,
        "dateModified": holding.edition and times.seconds(holding.edition.made_at),
        "temporalCoverage": _span(holding.coverage),
        "keywords": [name.replace("-", " ") for name in table.subjects],
        "citation": citation.article or citation.text or None,
        "isAccessibleForFree": True,
        "includedInDataCatalog": {
            "@type": "DataCatalog",
            "name": holding.settings.publisher.title,
            "url": f"{holding.settings.base_url}/",
        },
        "variableMeasured": [
            {
                "@type": "PropertyValue",
                "name": column.name,
                **({"description": column.description} if column.description else {}),
                **({"unitText": column.unit} if column.unit else {}),
            }
            for column in table.columns
        ],
        "distribution": [
            {"@type": "DataDownload", "encodingFormat": kind, "contentUrl": url} for kind, url in files.items()
        ],
    }
    return {name: value for name, value in facts.items() if value}


def _span(coverage: Coverage | None) -> str | None:
    if coverage is None or coverage.mjd_from is None or coverage.mjd_to is None:
        return None
    return f"{date(coverage.mjd_from):%Y-%m-%d}/{date(coverage.mjd_to):%Y-%m-%d}"


def date(mjd: float) -> datetime:
    """The UTC date of a Modified Julian Date."""
    return times.MJD_ZERO + timedelta(days=mjd)
