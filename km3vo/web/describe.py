"""What a page says, as plain values: the templates print them, and the pages' JSON twins are nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from km3vo.catalog.model import Catalog, Column, Example, Schema, Table
from km3vo.registry import auxiliary, citation
from km3vo.registry.citation import Cited
from km3vo.registry.holdings import Known
from km3vo.registry.resources import stamp
from km3vo.settings import Settings
from km3vo.store.coverage import Coverage
from km3vo.store.editions import Download, Edition
from km3vo.web import skymap

Page = dict[str, Any]
# Extension of a whole-list download → its name and media type.
DOWNLOADS = {
    "parquet": ("Parquet", "application/vnd.apache.parquet"),
    "fits": ("FITS", "application/fits"),
    "vot": ("VOTable", "application/x-votable+xml"),
    "csv": ("CSV", "text/csv"),
    "ecsv": ("ECSV", "text/plain"),
}
GEV = 1.602176634e-10  # joule
_DURATION = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_UNITS = ("year", "month", "week", "day", "hour", "minute", "second")


@dataclass(frozen=True, slots=True)
class View:
    """What there is to describe."""

    settings: Settings
    catalog: Catalog
    known: Known

    @property
    def base(self) -> str:
        """The service's address."""
        return self.settings.base_url

    def cited(self, table: Table) -> Cited:
        """A table with what is known of it."""
        name = table.qualified
        return Cited(self.settings, table, self.known.coverages.get(name), self.known.latest.get(name))


def home(view: View) -> Page:
    """The front page."""
    publisher = view.settings.publisher
    schemas = [
        {
            "name": schema.name,
            "title": schema.title,
            "url": f"{view.base}/browse/{schema.name}",
            "tables": [summary(view, table) for table in schema.tables],
        }
        for schema in sorted(view.catalog.schemas, key=lambda schema: not any(t.position for t in schema.tables))
    ]
    services = [{"title": "TAP service: all tables, in ADQL", "url": f"{view.base}/tap"}]
    services += [
        {"title": f"Cone search: {table.title}", "url": f"{view.base}/scs/{table.schema}/{table.name}?"}
        for table in view.catalog.tables
        if table.position
    ]
    services.append({"title": "Publishing registry (OAI-PMH)", "url": f"{view.base}/oai"})
    return {
        "url": f"{view.base}/",
        "title": publisher.title,
        "description": f"Event lists of neutrino telescopes, published by {publisher.name} with the protocols of the "
        "Virtual Observatory. Browse them here, download them whole, or search them from TOPCAT, Aladin and Python.",
        "simulated": any(table.simulated for table in view.catalog.tables),
        "schemas": schemas,
        "services": services,
        "first": _first(view),
        "twins": [
            _link("This page as JSON", f"{view.base}/index.json", "application/json"),
            _link("All tables (VOSI)", f"{view.base}/tap/tables", "text/xml"),
        ],
    }


def schema(view: View, described: Schema) -> Page:
    """The page of a schema."""
    url = f"{view.base}/browse/{described.name}"
    return {
        "url": url,
        "name": described.name,
        "title": described.title,
        "description": described.description,
        "tables": [summary(view, table) for table in described.tables],
        "examples": [example(view, found) for found in described.examples],
        "twins": [_link("This page as JSON", f"{url}.json", "application/json")],
    }


def tap(view: View) -> Page:
    """The page of the TAP service."""
    url = f"{view.base}/tap"
    examples = [found for described in view.catalog.schemas for found in described.examples]
    return {
        "url": url,
        "service": url,
        "description": "All public tables for queries in ADQL, the Astronomical Data Query Language: at once at /sync, "
        "as jobs at /async.",
        "tables": [summary(view, table) for table in view.catalog.tables],
        "examples": [example(view, found) for found in examples],
        "links": [
            _link("What it can do", f"{url}/capabilities", "text/xml"),
            _link("Its tables", f"{url}/tables", "text/xml"),
            _link("Examples for TOPCAT", f"{url}/examples", "application/xhtml+xml"),
            _link("Is it well?", f"{url}/availability", "text/xml"),
        ],
        "twins": [_link("This page as JSON", f"{view.base}/index.json", "application/json")],
    }


def summary(view: View, table: Table) -> Page:
    """A table in a few words."""
    found = view.known.coverages.get(table.qualified)
    return {
        "name": table.qualified,
        "title": table.title,
        "url": f"{view.base}/browse/{table.schema}/{table.name}",
        "simulated": table.simulated,
        "rows": found.rows if found else None,
        "from": _moment(found.mjd_from if found else None),
        "to": _moment(found.mjd_to if found else None),
        "released_to": _stamp(view.known.up_to.get(table.qualified)),
        "map": f"{view.base}/coverage/{table.schema}/{table.name}?format=svg" if found and found.moc else None,
    }


def table(view: View, parent: Schema, described: Table) -> Page:
    """The page of a table."""
    cited = view.cited(described)
    found, path = cited.coverage, f"{described.schema}/{described.name}"
    files = {ext: f"{view.base}/download/{path}.{ext}" for ext in DOWNLOADS} if cited.edition else {}
    credit = described.citation
    editions = view.known.editions.get(described.qualified, [])
    return {
        **summary(view, described),
        "url": cited.url,
        "ivoid": cited.ivoid,
        "schema": {"name": parent.name, "title": parent.title, "url": f"{view.base}/browse/{parent.name}"},
        "description": described.description,
        "sky": found.sky if found else None,
        "density": _density(found),
        "energy": _energy(found),
        "release": _release(described),
        "version": credit.version,
        "edition": _edition(editions[0]) if editions else None,
        "editions": [_edition(edition) for edition in editions],
        "licence": {"name": credit.licence, "url": credit.rights_uri} if credit.licence else None,
        "creators": list(credit.creators),
        "reference_url": credit.reference_url,
        "coverage": {kind: f"{view.base}/coverage/{path}?format={kind}" for kind in ("fits", "ascii", "json")},
        "downloads": [
            {"title": DOWNLOADS[ext][0], "type": DOWNLOADS[ext][1], "url": url} for ext, url in files.items()
        ],
        "files": f"{view.base}/download/{path}",
        "cone": _cone(described, found),
        "services": _services(view, described),
        "examples": [example(view, found) for found in parent.examples if described.qualified in found.query],
        "columns": [_column(column) for column in described.columns],
        "links": [
            _link(link.description, url, link.content_type)
            for link in described.links
            if (url := auxiliary.address(view.settings, described, link))
        ],
        "citation": {
            "text": citation.text(cited),
            "article": credit.text or credit.article,
            "bibtex": citation.bibtex(cited),
            "files": [
                _link("BibTeX", f"{view.base}/cite/{path}.bib", "application/x-bibtex"),
                _link(
                    "DataCite JSON", f"{view.base}/cite/{path}.datacite.json", "application/vnd.datacite.datacite+json"
                ),
                _link("JSON-LD", f"{view.base}/cite/{path}.jsonld", "application/ld+json"),
            ],
        },
        "schema_org": citation.schema_org(cited, {DOWNLOADS[ext][1]: url for ext, url in files.items()}),
        "machine": _machine(view, described, cited),
        "twins": [
            _link("This page as JSON", f"{cited.url}.json", "application/json"),
            _link("The columns (VOSI)", f"{view.base}/tap/tables/{described.qualified}", "text/xml"),
        ],
    }


def files(view: View, described: Table, made: Iterable[Download]) -> Page:
    """The page with the files of a table."""
    url = f"{view.base}/download/{described.schema}/{described.name}"
    latest = view.known.latest.get(described.qualified)
    return {
        "url": url,
        "title": f"Files of {described.qualified}",
        "table": summary(view, described),
        "latest": [
            {"title": DOWNLOADS[ext][0], "type": DOWNLOADS[ext][1], "url": f"{url}.{ext}"}
            for ext in (DOWNLOADS if latest else ())
        ],
        "editions": [_edition(edition) for edition in view.known.editions.get(described.qualified, [])],
        "files": [
            {
                "edition": file.number,
                "format": DOWNLOADS[file.extension][0],
                "url": f"{url}/{file.number}.{file.extension}",
                "bytes": file.bytes,
                "sha256": file.sha256,
                "made_at": _stamp(file.made_at),
            }
            for file in made
        ],
        "twins": [_link("This page as JSON", f"{url}.json", "application/json")],
    }


def example(view: View, found: Example) -> Page:
    """An example query, with links that run it."""

    def run(form: str) -> str:
        return f"{view.base}/tap/sync?" + urlencode({"LANG": "ADQL", "RESPONSEFORMAT": form, "QUERY": found.query})

    return {
        "name": found.name,
        "description": found.description,
        "query": found.query.strip(),
        "html": run("html"),
        "votable": run("votable/td"),
        "csv": run("csv"),
    }


def _cone(described: Table, found: Coverage | None) -> Page | None:
    if described.position is None:
        return None
    place = found if found and found.ra is not None else None
    return {
        "path": f"/scs/{described.schema}/{described.name}",
        "ra": place.ra if place else 180,
        "dec": place.dec if place else 0,
    }


def _services(view: View, described: Table) -> list[Page]:
    services = [{"title": "TAP service", "url": f"{view.base}/tap"}]
    if described.position:
        cone = f"{view.base}/scs/{described.schema}/{described.name}?"
        services.insert(0, {"title": "cone search", "url": cone})
    return services


def _machine(view: View, described: Table, cited: Cited) -> list[Page]:
    path = f"{described.schema}/{described.name}"
    record = urlencode({"verb": "GetRecord", "metadataPrefix": "ivo_vor", "identifier": cited.ivoid})
    links = [
        _link("This page as JSON", f"{cited.url}.json", "application/json"),
        _link("The columns as VOSI tables (XML)", f"{view.base}/tap/tables/{described.qualified}", "text/xml"),
        _link("The registry record (XML)", f"{view.base}/oai?{record}", "text/xml"),
        _link(
            "All that belongs to it (DataLink)", f"{view.base}/datalink?{urlencode({'ID': cited.ivoid})}", "text/xml"
        ),
    ]
    if described.position:
        links += [
            _link("Coverage as a MOC (FITS)", f"{view.base}/coverage/{path}?format=fits", "application/fits"),
            _link("Coverage as a MOC (text)", f"{view.base}/coverage/{path}?format=ascii", "text/plain"),
            _link("What the cone search can do", f"{view.base}/scs/{path}/capabilities", "text/xml"),
        ]
    return links


def _column(column: Column) -> Page:
    size = column.arraysize
    kind = "string" if column.is_string else column.datatype + (f"[{size}]" if size else "")
    return {
        "name": column.name,
        "type": column.xtype or kind,
        "unit": column.unit,
        "ucd": column.ucd,
        "description": column.description,
    }


def _density(found: Coverage | None) -> Page | None:
    if found is None or not found.density:
        return None
    filled = [count for count in skymap.picture(found.density) if count]
    return {"cell": round(skymap.cell(found.density)), "least": min(filled), "most": max(filled)}


def _edition(edition: Edition) -> Page:
    return {
        "number": edition.number,
        "made_at": _stamp(edition.made_at),
        "rows": edition.rows,
        "released_to": _stamp(edition.released_to),
    }


def _energy(found: Coverage | None) -> str | None:
    if found is None or found.joule_from is None or found.joule_to is None:
        return None
    return f"{found.joule_from / GEV:.3g} to {found.joule_to / GEV:.3g} GeV"


def _release(described: Table) -> str | None:
    latency = described.release.latency
    if latency in ("immediate", "never"):
        return None if latency == "immediate" else "events of this table do not become public"
    match = _DURATION.fullmatch(latency)
    counts = match.groups() if match else ()
    words = [f"{n} {unit}{'' if n == '1' else 's'}" for n, unit in zip(counts, _UNITS, strict=True) if n and n != "0"]
    return f"events become public {' '.join(words)} after they were recorded" if words else "at once"


def _first(view: View) -> Page:
    """The table that the examples speak of: a real one with positions, if there is one."""
    table = min(view.catalog.tables, key=lambda table: (table.position is None, table.simulated))
    cone = f"{view.base}/scs/{table.schema}/{table.name}?" if table.position else None
    return {"name": table.qualified, "cone": cone}


def _link(title: str, url: str, kind: str) -> Page:
    return {"title": title, "url": url, "type": kind}


def _moment(mjd: float | None) -> str | None:
    return None if mjd is None else _stamp(citation.date(mjd))


def _stamp(time: datetime | None) -> str | None:
    return None if time is None else stamp(time)
