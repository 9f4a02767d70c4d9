"""How to cite a table: in words, as BibTeX, for DataCite, and for search engines (schema.org)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from km3vo.catalog.model import Table
from km3vo.registry.resources import identifier
from km3vo.settings import Settings
from km3vo.store.coverage import Coverage
from km3vo.store.editions import Edition

UAT = "http://astrothesaurus.org/uat/"
_TEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    character: f"\\{character}" for character in "{}&%$#_"
}
_MJD_ZERO = datetime(1858, 11, 17, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Cited:
    """A table and what is known of it."""

    settings: Settings
    table: Table
    coverage: Coverage | None = None
    edition: Edition | None = None

    @property
    def url(self) -> str:
        """Its page."""
        return f"{self.settings.base_url}/browse/{self.table.schema}/{self.table.name}"

    @property
    def ivoid(self) -> str:
        """Its identifier in the Virtual Observatory."""
        return identifier(self.settings, self.table.schema, self.table.name)

    @property
    def place(self) -> str:
        """Where to find it: the DOI if it has one, else the page."""
        doi = self.table.citation.doi
        return f"https://doi.org/{doi}" if doi else self.url

    @property
    def year(self) -> str | None:
        """Of publication; of the first edition here where no other is known."""
        published = self.table.citation.publication_date
        if published:
            return published[:4]
        return f"{self.edition.made_at:%Y}" if self.edition else None

    @property
    def edition_words(self) -> str:
        """Which edition of the rows, in words."""
        if self.edition is None:
            return ""
        return f"edition {self.edition.number} of {self.edition.made_at:%Y-%m-%d}, {self.edition.rows} rows"


def text(cited: Cited) -> str:
    """The reference to the data, as it may stand in a list of references."""
    citation, title = cited.table.citation, cited.table.title
    authors = ", ".join(citation.creators) or citation.publisher
    year = f" ({cited.year})" if cited.year else ""
    parts = [f"{authors}{year}, {title}, version {citation.version}"]
    if cited.edition:
        parts[0] += f" ({cited.edition_words})"
    return ". ".join((*parts, citation.publisher, cited.place))


def bibtex(cited: Cited) -> str:
    """The reference as BibTeX."""
    citation = cited.table.citation
    authors = citation.creators or (citation.publisher,)
    notes = [cited.edition_words, f"Identifier {cited.ivoid}"]
    if cited.table.simulated:
        notes.insert(0, "SIMULATED, not data")
    fields = {
        "author": " and ".join("{" + _tex(name) + "}" for name in authors),
        "title": "{" + _tex(cited.table.title) + "}",
        "year": cited.year,
        "version": _tex(citation.version),
        "publisher": _tex(citation.publisher),
        "doi": citation.doi,
        "url": cited.url,
        "note": _tex("; ".join(filter(None, notes))),
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    key = re.sub(r"[^a-z0-9]+", "-", f"{authors[0].split()[0]}-{cited.table.qualified}".lower())
    return "\n".join((f"@misc{{{key},", *lines, "}", ""))


def _tex(words: str) -> str:
    return "".join(_TEX.get(character, character) for character in words)


def datacite(cited: Cited) -> dict[str, Any]:
    """The reference as DataCite metadata (schema 4.6, as its REST interface writes it)."""
    table, citation = cited.table, cited.table.citation
    dates = []
    if citation.publication_date:
        dates.append({"date": citation.publication_date, "dateType": "Issued"})
    if cited.edition:
        dates.append({"date": f"{cited.edition.made_at:%Y-%m-%dT%H:%M:%SZ}", "dateType": "Updated"})
    if span := _span(cited.coverage):
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
        "publicationYear": cited.year,
        "subjects": [
            {"subject": name, "subjectScheme": "Unified Astronomy Thesaurus", "schemeUri": UAT}
            for name in table.subjects
        ],
        "dates": dates,
        "language": "en",
        "alternateIdentifiers": [{"alternateIdentifier": cited.ivoid, "alternateIdentifierType": "IVOID"}],
        "relatedIdentifiers": _related(cited),
        "sizes": [f"{cited.edition.rows} rows"] if cited.edition else [],
        "version": citation.version,
        "rightsList": _rights(cited),
        "descriptions": [{"description": table.description, "descriptionType": "Abstract"}],
        "url": cited.url,
    }


def _related(cited: Cited) -> list[dict[str, str]]:
    citation, found = cited.table.citation, []
    if citation.bibcode:
        found.append((citation.bibcode, "bibcode"))
    if citation.article:
        doi = citation.article.partition("doi.org/")[2]
        found.append((doi, "DOI") if doi else (citation.article, "URL"))
    return [
        {"relatedIdentifier": value, "relatedIdentifierType": kind, "relationType": "IsSupplementTo"}
        for value, kind in found
    ]


def _rights(cited: Cited) -> list[dict[str, str]]:
    citation = cited.table.citation
    if not citation.licence:
        return []
    rights = {"rights": citation.licence}
    if uri := citation.rights_uri:
        rights["rightsUri"] = uri
        if spdx := re.search(r"spdx\.org/licenses/([A-Za-z0-9.+-]+?)(\.html)?$", uri):
            rights |= {"rightsIdentifier": spdx[1], "rightsIdentifierScheme": "SPDX"}
    return [rights]


def schema_org(cited: Cited, files: dict[str, str]) -> dict[str, Any]:
    """The reference as schema.org's Dataset, in JSON-LD.

    Args:
        files: media type → URL of a download.
    """
    table, citation = cited.table, cited.table.citation
    publisher = {"@type": "Organization", "name": citation.publisher}
    facts: dict[str, Any] = {
        "@context": "https://schema.org/",
        "@type": "Dataset",
        "@id": cited.place,
        "name": table.title,
        "description": table.description,
        "url": cited.url,
        "identifier": [cited.ivoid, *([f"https://doi.org/{citation.doi}"] if citation.doi else [])],
        "creator": [{"@type": "Organization", "name": name} for name in citation.creators] or publisher,
        "publisher": publisher,
        "version": citation.version,
        "license": citation.rights_uri or citation.licence,
        "datePublished": citation.publication_date,
        "dateModified": cited.edition and f"{cited.edition.made_at:%Y-%m-%dT%H:%M:%SZ}",
        "temporalCoverage": _span(cited.coverage),
        "keywords": [name.replace("-", " ") for name in table.subjects],
        "citation": citation.article or citation.text or None,
        "isAccessibleForFree": True,
        "includedInDataCatalog": {
            "@type": "DataCatalog",
            "name": cited.settings.publisher.title,
            "url": f"{cited.settings.base_url}/",
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


def _span(found: Coverage | None) -> str | None:
    if found is None or found.mjd_from is None or found.mjd_to is None:
        return None
    return f"{date(found.mjd_from):%Y-%m-%d}/{date(found.mjd_to):%Y-%m-%d}"


def date(mjd: float) -> datetime:
    """The UTC date of a Modified Julian Date."""
    return _MJD_ZERO + timedelta(days=mjd)
