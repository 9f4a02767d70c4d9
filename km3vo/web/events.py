"""/events/{schema}/{table}/{id}: a row with what its values mean, what lies near it, and where else to look.

A row that the reader may not see is answered as one that does not exist: it is looked for by the reader's own login,
which cannot find it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

import pyarrow as pa
from fastapi import APIRouter
from markupsafe import Markup
from psycopg import sql
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from km3vo import times
from km3vo.alerts import tables as alert_tables
from km3vo.catalog import origin
from km3vo.catalog.model import Column, Table
from km3vo.database.audiences import Audience
from km3vo.datatypes import DATATYPES
from km3vo.embargo import marking, partitions
from km3vo.errors import NotFoundError, ParameterError
from km3vo.followup import elsewhere, neighbours
from km3vo.followup.neighbours import Found, Search
from km3vo.followup.places import Place, sexagesimal, sigma_of
from km3vo.holdings.holdings import Holding
from km3vo.protocols import datalink
from km3vo.protocols.cone import WIDE
from km3vo.protocols.dali import work
from km3vo.protocols.dali.parameters import Parameters, query_parameters
from km3vo.protocols.http.addresses import asked_url
from km3vo.protocols.http.authentication import user_of
from km3vo.registry import citation
from km3vo.results import formats, text
from km3vo.results.stream import Result
from km3vo.service import Service
from km3vo.settings import Settings
from km3vo.web import fieldview
from km3vo.web.describe import Page
from km3vo.web.pages import html, json_document
from km3vo.web.revisions import revision_page
from km3vo.web.visibility import Asked, Observatories, draw

SHOWN = 12  # neighbours of one table in the list
LONGEST = 300  # characters of an identifier
FORMS = {"json": "application/json", "votable": "application/x-votable+xml", "jsonld": "application/ld+json"}
TITLES = {
    "json": "This page as JSON",
    "votable": "The row as VOTable",
    "jsonld": "The row for search engines (JSON-LD)",
}
ONE = "SELECT {columns} FROM {relation} WHERE {id} = %s"
IS_THERE = "SELECT FROM {relation} WHERE {id} = %s"
# Everybody sees the events of alerts; this asks whether the event that the reader sees is one of them.
ALERTED = "SELECT DISTINCT alert_key FROM {relation} WHERE event_id = %s ORDER BY 1 LIMIT 20"
_STYLE = text.Style(nan="not a number", positive="+∞", negative="−∞", escape=lambda strings: strings, between=", ")


def address(settings: Settings, table: Table, id: str) -> str:
    """The address of the page of a row."""
    return f"{settings.base_url}/events/{table.schema}/{table.name}/{quote(id, safe='')}"


def router(running: Service) -> APIRouter:
    """The routes of the pages."""
    routes = APIRouter(tags=["Events"])
    known = Observatories(running.sites)

    @routes.get(
        "/events", summary="The page of an event: id=, and table= where several have it", response_class=Response
    )
    async def asked(request: Request) -> Response:
        id, name = (request.query_params.get(one, "").strip() for one in ("id", "table"))
        if not id:
            raise ParameterError("id is missing: write the identifier of an event")
        if not name:
            return await _found(running, request, id)
        return RedirectResponse(address(running.settings, running.published_table(*_halves(name)), id), 303)

    @routes.get("/events/{id}", summary="The same, with the identifier in the address", response_class=Response)
    async def named(request: Request, id: str) -> Response:
        return await _found(running, request, id)

    @routes.get(
        "/events/{schema}/{table}/{id:path}",
        summary="An event: page, or with format=json, votable, jsonld; radius= around it in degrees",
        response_class=Response,
    )
    async def event(request: Request, schema: str, table: str, id: str) -> Response:
        described = running.published_table(schema, table)
        parameters = query_parameters(request)
        form, radius = parameters.one("format"), _radius(parameters)
        if form and form not in FORMS:
            raise ParameterError(f"format={form[:40]}: an event comes as {', '.join(FORMS)}")
        night = known.asked(parameters)
        return await _Event(running, request, described, id).answer(form, radius, known, night)

    return routes


def _halves(name: str) -> tuple[str, str]:
    schema, _, table = name.partition(".")
    return schema, table


def _radius(parameters: Parameters) -> float | None:
    return parameters.number_or("radius", 0, 0.001, neighbours.WIDEST) if parameters.one("radius").strip() else None


async def _found(running: Service, request: Request, id: str) -> Response:
    """Lead to the page of the one event of that identifier which the reader sees."""
    audience, found = user_of(request).audience, []
    reader = running.readers[audience]
    for table in running.published.tables:
        key = _key(table, id)
        if isinstance(key, str) and await reader.rows(statement(IS_THERE, table, audience), (key,)):
            found.append(table)
    if not found:
        raise NotFoundError(f"There is no event {id[:80]}.")
    if len(found) > 1:
        places = ", ".join(table.qualified for table in found)
        raise ParameterError(f"{id[:80]} is in several tables: choose one with table=, of {places}")
    return RedirectResponse(address(running.settings, found[0], id), 303)


def _key(table: Table, id: str) -> str | int | None:
    """An identifier as the table has it; None where it cannot have such a one."""
    if table.id is None or not id or len(id) > LONGEST or "\x00" in id:
        return None
    column = table.column(table.id)
    if column.is_string:
        return id
    known = DATATYPES[column.datatype]
    # Each number has one address: 7, and neither 07 nor +7.
    if known.low is None or known.high is None or len(id) > 20 or not id.removeprefix("-").isdecimal():
        return None
    return int(id) if str(int(id)) == id and known.low <= int(id) <= known.high else None


def statement(template: str, table: Table, audience: Audience) -> sql.Composed:
    """A statement about rows of a table, as an audience finds them, by their identifiers."""
    return sql.SQL(template).format(
        columns=sql.SQL(", ").join(sql.Identifier(column.sql) for column in table.columns),
        relation=sql.Identifier(*partitions.relation(table, audience)),
        id=sql.Identifier(table.column(str(table.id)).sql),
    )


async def near(running: Service, request: Request, search: Search) -> list[Found]:
    """What the asker sees near a position, in his or her turn for cone searches."""
    tables, user = neighbours.searched(running.published.tables), user_of(request)
    # Of public rows, for everybody: how far is looked must not tell how many others there are.
    known = (await running.holdings.read_if_there()).coverages
    reaches = [search.reach(known[one.qualified].rows if one.qualified in known else None) for one in tables]
    lanes = running.lanes[user.audience]
    turn = await work.turn_of(request, lanes.wide if search.field > WIDE else lanes.narrow, user)
    try:
        rows = await running.readers[user.audience].rows(*search.statement(tables, reaches, user.audience))
        public = None
        if user.audience != "public":
            public = await running.readers["public"].rows(*search.statement(tables, reaches, "public"))
    finally:
        turn.end()
    return list(search.read(tables, reaches, rows, public))


class _Event:
    """One row, as somebody asks for it."""

    def __init__(self, running: Service, request: Request, table: Table, id: str) -> None:
        self.running = running
        self.request = request
        self.table = table
        self.id = id
        self.audience = user_of(request).audience
        self.reader = running.readers[self.audience]

    async def answer(
        self,
        form: str,
        radius: float | None,
        known: Observatories,
        asked: Asked,
    ) -> Response:
        """The page, or one of its twins. Raises NotFoundError."""
        key, row = _key(self.table, self.id), None
        if key is not None:
            row = await self.reader.batch(statement(ONE, self.table, self.audience), (key,), self.table.columns)
        if key is None or row is None or not row.num_rows:
            raise NotFoundError(f"There is no event {self.id[:80]} in {self.table.qualified}.")
        hidden = await self._is_hidden(key)
        if form == "votable":
            return self._votable(row, hidden=hidden)
        holding = (await self.running.holdings.read_if_there()).of(self.table)
        page = self._described(holding, row, hidden=hidden)
        if form == "jsonld":
            return json_document(self.request, page["schema_org"], FORMS[form])
        page |= {"alerts": await self._alerts()}
        found: list[Found] = []
        if place := _place(self.table, row):
            search = neighbours.search(place, _mjd(self.table, row), (self.table, key), radius)
            found = await near(self.running, self.request, search)
            page |= sky(self.running.settings, search, found)
            page["elsewhere"] = [
                {"name": link.name, "who": link.who, "url": link.url, "clipped": link.clipped}
                for link in elsewhere.links(self.running.elsewhere, place, search.radius)
            ]
            circle = min(place.radius(neighbours.SHARE), neighbours.WIDEST)
            page["visibility"], night = await work.in_thread(self.running, known.page, asked, place, circle, self.id)
        if form == "json":
            return json_document(self.request, page)
        if place:
            words = f"Altitude of {self.id} at {asked.site.name} in the night of {asked.day}"
            page["night"] = Markup(draw(night, words).decode())
            page["asked"] = {} if radius is None else {"radius": f"{radius:g}"}
            title = f"The sky around {self.id}, out to {search.field:.3g} degrees"
            view = fieldview.View(place, search.field)
            page["picture"] = Markup(fieldview.draw(view, fieldview.circles(place), found, title).decode())
        return html(self.request, self.running.settings, "event.html", page, [self.table])

    async def _is_hidden(self, key: str | int) -> bool:
        """Whether the row is under embargo: then the public's login does not find it."""
        if self.audience == "public" or not self.table.release.embargoed:
            return False
        there = statement(IS_THERE, self.table, "public")
        return not await self.running.readers["public"].rows(there, (key,))

    async def _alerts(self) -> list[Page]:
        """The alerts that this event was in, with all their revisions."""
        try:
            events = self.running.published.table(f"{alert_tables.SCHEMA}.{alert_tables.EVENTS}")
        except KeyError:
            return []
        if self.table.schema != events.schema or self.table.observation is None:
            return []
        alerted = sql.SQL(ALERTED).format(relation=sql.Identifier(*partitions.relation(events, self.audience)))
        keys = [key for (key,) in await self.reader.rows(alerted, (self.id,))]
        shown = []
        for name in dict.fromkeys(key.rpartition("_")[0] for key in keys):
            records = await self.running.alerts.named(name)
            shown.append(
                {
                    "name": name,
                    "url": f"{self.running.settings.base_url}/alerts/{name}",
                    "retracted": any(one.found is not None and one.found.type == "retraction" for one in records),
                    "revisions": [
                        revision_page(records, number, self.running.settings)
                        for number in reversed(range(len(records)))
                    ],
                }
            )
        return shown

    def _votable(self, row: pa.RecordBatch, *, hidden: bool) -> Response:
        settings, chosen = self.running.settings, formats.find("votable/td")
        result = Result(
            columns=self.table.columns,
            source=[row],
            name=self.table.name,
            infos=(
                *origin.service_infos(settings, "", asked_url(self.request, settings)),
                *(marking.infos(self.audience, (self.table,), user_of(self.request).name) if hidden else ()),
            ),
            table_infos=origin.table_infos(settings, (self.table,)),
            descriptors=datalink.descriptors(settings, (self.table,)),
            description=f"{self.table.title}: {self.id}",
        )
        name = marking.file_name(self.table.qualified, chosen.extension, marked=hidden)
        headers = {"content-type": chosen.content_type, "content-disposition": f'inline; filename="{name}"'}
        return Response(b"".join(chosen.write(result)), headers=headers)

    def _described(self, holding: Holding, row: pa.RecordBatch, *, hidden: bool) -> Page:
        """What is said of the row itself."""
        table, settings = self.table, self.running.settings
        url, place, mjd = address(settings, table, self.id), _place(table, row), _mjd(table, row)
        told = [array[0].as_py() for array in text.texts(row, _STYLE)]
        values = [
            _value(column, cell, shown) for column, cell, shown in zip(table.columns, _cells(row), told, strict=True)
        ]
        find = urlencode({f"c.{table.id}": f'"{self.id}"' if table.column(str(table.id)).is_string else self.id})
        # An identifier of a row is what stands after the table's (IVOA Identifiers 2.0 §2.3.3).
        ivoid = f"{holding.ivoid}?{quote(self.id, safe='')}"
        return {
            "url": url,
            "id": self.id,
            "description": f"{self.id}, a row of {table.title}.",
            "ivoid": ivoid,
            "simulated": table.simulated,
            "embargo": marking.SENTENCE_OF_ONE if hidden else None,
            "state": "under embargo" if hidden else "public",
            "table": {
                "name": table.qualified,
                "title": table.title,
                "url": holding.url,
                "schema": {"name": table.schema, "url": f"{settings.base_url}/browse/{table.schema}"},
                "find": f"{holding.url}/search?{find}",
                "datalink": f"{settings.base_url}/datalink?{urlencode({'ID': holding.ivoid})}",
                "edition": None
                if hidden or holding.edition is None
                else {"number": holding.edition.number, "made_at": times.seconds(holding.edition.made_at)},
            },
            "time": None if mjd is None else {"mjd": mjd, "utc": times.milliseconds(citation.date(mjd))},
            "position": _position(place),
            "values": values,
            "citation": f"{citation.text(holding)}. Event {self.id}, {ivoid}, {url}",
            "schema_org": _schema_org(holding, url, ivoid, self.id, values, mjd),
            "alerts": [],
            "neighbours": [],
            "elsewhere": [],
            "visibility": None,
            "twins": [
                {"title": TITLES[form], "url": f"{url}?format={form}", "type": kind} for form, kind in FORMS.items()
            ],
        }


def _cells(row: pa.RecordBatch) -> list[Any]:
    return [array[0].as_py() for array in row.columns]


def _named(table: Table, row: pa.RecordBatch, name: str | None) -> float | None:
    """A number of the row, or None where there is none."""
    if name is None:
        return None
    value = _cells(row)[[column.name for column in table.columns].index(name)]
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _mjd(table: Table, row: pa.RecordBatch) -> float | None:
    mjd = _named(table, row, table.time)
    return mjd if mjd is not None and -678_000 < mjd < 2_970_000 else None  # years 1 to 9990


def _place(table: Table, row: pa.RecordBatch) -> Place | None:
    position = table.position
    if position is None:
        return None
    ra, dec = _named(table, row, position.ra), _named(table, row, position.dec)
    if ra is None or dec is None:
        return None
    return Place(ra, dec, sigma_of(position, _named(table, row, position.error)))


def _value(column: Column, cell: Any, shown: str | None) -> Page:
    """A value as a number where JSON has it, else as a text."""
    number = isinstance(cell, (bool, int, str)) or (isinstance(cell, float) and math.isfinite(cell))
    return {
        "name": column.name,
        "value": cell if number and not isinstance(cell, datetime) else shown,
        "text": shown,
        "unit": column.unit,
        "description": column.description,
        "ucd": column.ucd,
        "principal": column.principal,
    }


def _position(place: Place | None) -> Page | None:
    if place is None:
        return None
    hours, degrees = sexagesimal(place.ra, place.dec)
    return {
        "ra": place.ra,
        "dec": place.dec,
        "sexagesimal": [hours, degrees],
        "galactic": [round(angle, 6) for angle in place.galactic],
        "ecliptic": [round(angle, 6) for angle in place.ecliptic],
        "err50": round(place.radius(0.5), 6) or None,
        "err90": round(place.radius(0.9), 6) or None,
    }


def sky(settings: Settings, search: Search, found: Sequence[Found]) -> Page:
    """What lies near, for the page and its twin."""
    return {
        "radius": round(search.radius, 6),
        "field": round(search.field, 6),
        "neighbours": [
            {
                "table": one.table.qualified,
                "title": one.table.title,
                "simulated": one.table.simulated,
                "within": one.within,
                "reach": round(one.reach, 6),
                "around": one.around,
                "expected": float(f"{one.expected:.3g}"),
                "rows": [
                    {
                        "id": near.id,
                        "url": address(settings, near.table, near.id),
                        "ra": near.ra,
                        "dec": near.dec,
                        "distance": round(near.distance, 6),
                        "sigmas": None if near.sigmas is None else round(near.sigmas, 3),
                        "days_later": None if near.later is None else round(near.later, 6),
                        "embargo": near.hidden,
                    }
                    for near in one.nearest[:SHOWN]
                    if near.distance <= search.radius
                ],
            }
            for one in found
        ],
    }


def _schema_org(holding: Holding, url: str, ivoid: str, id: str, values: list[Page], mjd: float | None) -> Page:
    """The row as schema.org's Dataset of one, which belongs to its table's."""
    credit = holding.table.citation
    facts = {
        "@context": "https://schema.org/",
        "@type": "Dataset",
        "@id": url,
        "name": f"{id} of {holding.table.title}",
        "description": f"{'SIMULATED, not data. ' if holding.table.simulated else ''}A row of {holding.table.title}.",
        "url": url,
        "identifier": ivoid,
        "isPartOf": {"@type": "Dataset", "@id": citation.place(holding), "name": holding.table.title},
        "creator": [{"@type": "Organization", "name": name} for name in credit.creators or (credit.publisher,)],
        "license": credit.rights_uri or credit.licence,
        "temporalCoverage": None if mjd is None else times.milliseconds(citation.date(mjd)),
        "variableMeasured": [
            {
                "@type": "PropertyValue",
                "name": one["name"],
                "value": one["value"],
                **({"unitText": one["unit"]} if one["unit"] else {}),
                **({"description": one["description"]} if one["description"] else {}),
            }
            for one in values
            if one["value"] is not None
        ],
    }
    return {name: value for name, value in facts.items() if value}
