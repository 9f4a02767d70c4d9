"""What a page says, as plain values: the templates print them, and the pages' JSON twins are nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from km3vo import times
from km3vo.catalog.model import Column, Example, Schema, Table
from km3vo.holdings.coverage import Coverage
from km3vo.holdings.downloads import FORMATS
from km3vo.holdings.editions import Download, Edition
from km3vo.holdings.holdings import Holding, Holdings
from km3vo.registry import auxiliary, citation
from km3vo.web import skymap

Page = dict[str, Any]
GEV = 1.602176634e-10  # joule
_DURATION = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_UNITS = ("year", "month", "week", "day", "hour", "minute", "second")


def home(holdings: Holdings) -> Page:
    """The front page."""
    publisher = holdings.settings.publisher
    schemas = [
        {
            "name": schema.name,
            "title": schema.title,
            "url": f"{holdings.base}/browse/{schema.name}",
            "tables": [summary(holdings.of(table)) for table in schema.tables],
        }
        for schema in sorted(holdings.catalog.schemas, key=lambda schema: not any(t.position for t in schema.tables))
    ]
    services = [{"title": "TAP service: all tables, in ADQL", "url": f"{holdings.base}/tap"}]
    services += [
        {"title": f"Cone search: {table.title}", "url": f"{holdings.base}/scs/{table.schema}/{table.name}?"}
        for table in holdings.catalog.tables
        if table.position
    ]
    services.append({"title": "Alerts (Atom feed)", "url": f"{holdings.base}/alerts/feed.atom"})
    services.append({"title": "Publishing registry (OAI-PMH)", "url": f"{holdings.base}/oai"})
    return {
        "url": f"{holdings.base}/",
        "title": publisher.title,
        "description": f"Event lists of neutrino telescopes, published by {publisher.name} with the protocols of the "
        "Virtual Observatory. Browse them here, download them whole, or search them from TOPCAT, Aladin and Python.",
        "simulated": any(table.simulated for table in holdings.catalog.tables),
        "schemas": schemas,
        "services": services,
        "first": _first(holdings),
        "twins": [
            _link("This page as JSON", f"{holdings.base}/index.json", "application/json"),
            _link("All tables (VOSI)", f"{holdings.base}/tap/tables", "text/xml"),
        ],
    }


def schema(holdings: Holdings, described: Schema) -> Page:
    """The page of a schema."""
    url = f"{holdings.base}/browse/{described.name}"
    return {
        "url": url,
        "name": described.name,
        "title": described.title,
        "description": described.description,
        "tables": [summary(holdings.of(table)) for table in described.tables],
        "examples": [example(holdings.base, found) for found in described.examples],
        "twins": [_link("This page as JSON", f"{url}.json", "application/json")],
    }


def tap(holdings: Holdings) -> Page:
    """The page of the TAP service."""
    url = f"{holdings.base}/tap"
    examples = [found for described in holdings.catalog.schemas for found in described.examples]
    return {
        "url": url,
        "service": url,
        "description": "All public tables for queries in ADQL, the Astronomical Data Query Language: at once at /sync, "
        "as jobs at /async.",
        "tables": [summary(holdings.of(table)) for table in holdings.catalog.tables],
        "examples": [example(holdings.base, found) for found in examples],
        "links": [
            _link("What it can do", f"{url}/capabilities", "text/xml"),
            _link("Its tables", f"{url}/tables", "text/xml"),
            _link("Examples for TOPCAT", f"{url}/examples", "application/xhtml+xml"),
            _link("Is it well?", f"{url}/availability", "text/xml"),
        ],
        "twins": [_link("This page as JSON", f"{holdings.base}/index.json", "application/json")],
    }


def summary(holding: Holding) -> Page:
    """A table in a few words."""
    table, coverage, base = holding.table, holding.coverage, holding.settings.base_url
    return {
        "name": table.qualified,
        "title": table.title,
        "url": holding.url,
        "simulated": table.simulated,
        "rows": coverage.rows if coverage else None,
        "from": _moment(coverage.mjd_from if coverage else None),
        "to": _moment(coverage.mjd_to if coverage else None),
        "released_to": _stamp(holding.up_to),
        "map": f"{base}/coverage/{holding.path}?format=svg" if coverage and coverage.moc else None,
    }


def table(holding: Holding, parent: Schema) -> Page:
    """The page of a table."""
    described, found, path, base = holding.table, holding.coverage, holding.path, holding.settings.base_url
    files = {ext: f"{base}/download/{path}.{ext}" for ext in FORMATS} if holding.edition else {}
    credit = described.citation
    return {
        **summary(holding),
        "ivoid": holding.ivoid,
        "schema": {"name": parent.name, "title": parent.title, "url": f"{base}/browse/{parent.name}"},
        "description": described.description,
        "sky": found.sky if found else None,
        "density": _density(found),
        "energy": _energy(found),
        "release": _release(described),
        "version": credit.version,
        "edition": _edition(holding.edition) if holding.edition else None,
        "editions": [_edition(edition) for edition in holding.editions],
        "licence": {"name": credit.licence, "url": credit.rights_uri} if credit.licence else None,
        "creators": list(credit.creators),
        "reference_url": credit.reference_url,
        "coverage": {kind: f"{base}/coverage/{path}?format={kind}" for kind in ("fits", "ascii", "json")},
        "downloads": [
            {"title": FORMATS[ext].title, "type": FORMATS[ext].media_type, "url": url} for ext, url in files.items()
        ],
        "files": f"{base}/download/{path}",
        "cone": _cone(described, found),
        "search": f"/browse/{path}/search",
        "identifier": described.id,
        "services": _services(base, described),
        "examples": [example(base, found) for found in parent.examples if described.qualified in found.query],
        "columns": [_column(column) for column in described.columns],
        "links": [
            _link(link.description, url, link.content_type)
            for link in described.links
            if (url := auxiliary.address(holding.settings, described, link))
        ],
        "citation": {
            "text": citation.text(holding),
            "article": credit.text or credit.article,
            "bibtex": citation.bibtex(holding),
            "files": [
                _link("BibTeX", f"{base}/cite/{path}.bib", "application/x-bibtex"),
                _link("DataCite JSON", f"{base}/cite/{path}.datacite.json", "application/vnd.datacite.datacite+json"),
                _link("JSON-LD", f"{base}/cite/{path}.jsonld", "application/ld+json"),
            ],
        },
        "schema_org": citation.schema_org(holding, {FORMATS[ext].media_type: url for ext, url in files.items()}),
        "machine": _machine(holding),
        "twins": [
            _link("This page as JSON", f"{holding.url}.json", "application/json"),
            _link("The columns (VOSI)", f"{base}/tap/tables/{described.qualified}", "text/xml"),
        ],
    }


def files(holding: Holding, made: Iterable[Download]) -> Page:
    """The page with the files of a table."""
    url = f"{holding.settings.base_url}/download/{holding.path}"
    return {
        "url": url,
        "title": f"Files of {holding.table.qualified}",
        "table": summary(holding),
        "latest": [
            {"title": FORMATS[ext].title, "type": FORMATS[ext].media_type, "url": f"{url}.{ext}"}
            for ext in (FORMATS if holding.edition else ())
        ],
        "editions": [_edition(edition) for edition in holding.editions],
        "files": [
            {
                "edition": file.number,
                "format": FORMATS[file.extension].title,
                "url": f"{url}/{file.number}.{file.extension}",
                "bytes": file.bytes,
                "sha256": file.sha256,
                "made_at": _stamp(file.made_at),
            }
            for file in made
        ],
        "twins": [_link("This page as JSON", f"{url}.json", "application/json")],
    }


def example(base: str, found: Example) -> Page:
    """An example query, with links that run it."""

    def run(form: str) -> str:
        return f"{base}/tap/sync?" + urlencode({"LANG": "ADQL", "RESPONSEFORMAT": form, "QUERY": found.query})

    return {
        "name": found.name,
        "description": found.description,
        "query": found.query.strip(),
        "edit": f"{base}/query?" + urlencode({"sql": found.query.strip()}),
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


def _services(base: str, described: Table) -> list[Page]:
    services = [{"title": "TAP service", "url": f"{base}/tap"}]
    if described.position:
        cone = f"{base}/scs/{described.schema}/{described.name}?"
        services.insert(0, {"title": "cone search", "url": cone})
    return services


def _machine(holding: Holding) -> list[Page]:
    described, path, base = holding.table, holding.path, holding.settings.base_url
    record = urlencode({"verb": "GetRecord", "metadataPrefix": "ivo_vor", "identifier": holding.ivoid})
    links = [
        _link("This page as JSON", f"{holding.url}.json", "application/json"),
        _link("The columns as VOSI tables (XML)", f"{base}/tap/tables/{described.qualified}", "text/xml"),
        _link("The registry record (XML)", f"{base}/oai?{record}", "text/xml"),
        _link("All that belongs to it (DataLink)", f"{base}/datalink?{urlencode({'ID': holding.ivoid})}", "text/xml"),
    ]
    if described.position:
        links += [
            _link("Coverage as a MOC (FITS)", f"{base}/coverage/{path}?format=fits", "application/fits"),
            _link("Coverage as a MOC (text)", f"{base}/coverage/{path}?format=ascii", "text/plain"),
            _link("What the cone search can do", f"{base}/scs/{path}/capabilities", "text/xml"),
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


def _energy(coverage: Coverage | None) -> str | None:
    if coverage is None or coverage.joule_from is None or coverage.joule_to is None:
        return None
    return f"{coverage.joule_from / GEV:.3g} to {coverage.joule_to / GEV:.3g} GeV"


def _release(described: Table) -> str | None:
    latency = described.release.latency
    if described.release.follows:
        return f"rows become public with the events of {described.release.follows} that they name"
    if latency in ("immediate", "never"):
        return None if latency == "immediate" else "events of this table do not become public"
    match = _DURATION.fullmatch(latency)
    counts = match.groups() if match else ()
    words = [f"{n} {unit}{'' if n == '1' else 's'}" for n, unit in zip(counts, _UNITS, strict=True) if n and n != "0"]
    return f"events become public {' '.join(words)} after they were recorded" if words else "at once"


def _first(holdings: Holdings) -> Page:
    """The table that the examples speak of: a real one with positions, if there is one."""
    table = min(holdings.catalog.tables, key=lambda table: (table.position is None, table.simulated))
    cone = f"{holdings.base}/scs/{table.schema}/{table.name}?" if table.position else None
    return {"name": table.qualified, "cone": cone}


def _link(title: str, url: str, kind: str) -> Page:
    return {"title": title, "url": url, "type": kind}


def _moment(mjd: float | None) -> str | None:
    return None if mjd is None else _stamp(citation.date(mjd))


def _stamp(time: datetime | None) -> str | None:
    return None if time is None else times.seconds(time)
