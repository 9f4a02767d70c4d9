"""Live-time and numbers of events of each configuration: /configurations, and its twins for programs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from km3vo.correlation import configurations
from km3vo.correlation.configurations import COLUMNS
from km3vo.correlation.tables import Ask, Rows
from km3vo.database.audiences import Audience
from km3vo.database.logins import SERVICE
from km3vo.embargo.release import UP_TO
from km3vo.holdings import kept
from km3vo.protocols.dali.work import in_thread
from km3vo.protocols.http.authentication import user_of
from km3vo.protocols.http.documents import respond
from km3vo.results import formats
from km3vo.results.stream import Result, arrow_type
from km3vo.service import Service
from km3vo.web.pages import html, json_document

DESCRIPTION = (
    "When each configuration of a telescope took data, and how many of its events came up through the Earth, which "
    "only neutrinos do. Numbers are of the events that you may see; live-time is that of the good runs."
)
TABLE = "configurations"
MJD_OF_1970 = 40587.0
FORMS = {"csv": "csv", "vot": "votable/td"}


class _Kept:
    """What the public was told last, and of which rows: numbers are worked out anew when public rows move."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.stamp: object = None
        self.rows: list[dict[str, Any]] = []


def router(running: Service) -> APIRouter:
    """The routes of the page and of its twins."""
    routes = APIRouter(tags=["Configurations"])
    settings, kept = running.settings, _Kept()

    async def rows(request: Request) -> list[dict[str, Any]]:
        known = await running.holdings.read()
        until = _until(known.up_to)
        audience = user_of(request).audience
        if audience != "public":
            return await in_thread(running, _rows, running, audience, until)
        stamp = sorted((name, one.fingerprint) for name, one in known.coverages.items()), sorted(until.items())
        async with kept.lock:
            if stamp != kept.stamp:
                kept.rows = await in_thread(running, _rows, running, audience, until)
                kept.stamp = stamp
            return kept.rows

    @routes.get("/configurations", summary="Live-time and events of each configuration", response_class=Response)
    async def page(request: Request) -> Response:
        url = f"{settings.base_url}/configurations"
        twins = [
            {"type": kind, "url": f"{url}.{end}", "title": title}
            for end, kind, title in (
                ("json", "application/json", "This page as JSON"),
                ("csv", "text/csv", "This page as CSV"),
                ("vot", "application/x-votable+xml", "This page as VOTable"),
            )
        ]
        shown = {
            "url": url,
            "description": DESCRIPTION,
            "twins": twins,
            "lists": _by_list(running, await rows(request)),
        }
        return html(request, settings, "configurations.html", shown)

    @routes.get("/configurations.json", summary="The same as JSON", response_class=Response)
    async def as_json(request: Request) -> Response:
        return json_document(request, {"configurations": await rows(request)})

    @routes.get("/configurations.{form}", summary="The same as .csv or .vot", response_class=Response)
    async def as_table(request: Request, form: str) -> Response:
        chosen = formats.find(FORMS.get(form, form))
        content = b"".join(chosen.write(_result(await rows(request))))
        return respond(request, content, chosen.content_type)

    return routes


def refresh(running: Service) -> None:
    """Bring the tables of configurations up to date (`km3net.configurations`, …), with what the public sees."""
    with running.database.connect(SERVICE) as own:
        until = _until({name: time for name, time in own.execute(UP_TO).fetchall() if time})
    tables = {table.schema: table for table in running.published.tables if table.name == TABLE}
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in _rows(running, "public", until):
        # Names of columns that ADQL keeps for itself are others in the tables.
        row |= {name: _moment(row[ours]) for ours, name in (("first", "start_time"), ("last", "stop_time"))}
        of = running.published.table(row["table_name"])
        if of.schema in tables and (of.simulated or not tables[of.schema].simulated):
            rows.setdefault(of.schema, []).append(row)
    with running.database.connect(SERVICE) as own:
        for schema, table in tables.items():
            kept.replace(own, table, rows.get(schema, []))


def _moment(mjd: float | None) -> datetime | None:
    """A time as the database has it: UTC without a zone, to the millisecond."""
    if mjd is None:
        return None
    return datetime(1970, 1, 1) + timedelta(milliseconds=round((mjd - MJD_OF_1970) * 86_400_000))


def _until(up_to: Mapping[str, datetime]) -> dict[str, float]:
    """Up to which time (MJD) the events of embargoed tables are public."""
    return {name: moment.timestamp() / 86400 + MJD_OF_1970 for name, moment in up_to.items()}


def asking(running: Service, audience: Audience, seconds: float, *, long: bool = False) -> Ask:
    """A function that answers queries in ADQL as an audience, each within so many seconds."""

    def ask(text: str) -> Rows:
        translation = running.translate(text, "2.1", None, audience)
        tables = [running.published.table(".".join(name)) for name in sorted(translation.tables)]
        stream = running.readers[audience].stream(translation.sql, seconds, long=long)
        return Rows(translation.columns, stream.to_the_end(), tables)

    return ask


def _rows(running: Service, audience: Audience, until: dict[str, float]) -> list[dict[str, Any]]:
    ask = asking(running, audience, running.settings.limits.sync_seconds)
    runs_by_table = [
        (
            table,
            configurations.configurations(
                table, runs, ask, until.get(table.qualified) if table.release.embargoed else None,
                everything=audience == "member" or not table.release.embargoed,
            ),
        )
        for table, runs in configurations.lists(running.published)
    ]  # fmt: skip
    return configurations.rows(runs_by_table)


def _by_list(running: Service, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    shown = []
    for table, _ in configurations.lists(running.published):
        mine = [row for row in rows if row["table_name"] == table.qualified]
        days = [row["livetime"] for row in mine if row["livetime"]]
        shown.append(
            {
                "title": table.title,
                "name": table.qualified,
                "url": f"{running.settings.base_url}/browse/{table.schema}/{table.name}",
                "simulated": table.simulated,
                "up_going": table.observation.up_going if table.observation else None,
                "longest": max(days, default=0.0),
                "rows": mine,
            }
        )
    return shown


def _result(rows: list[dict[str, Any]]) -> Result:
    arrays = [pa.array([row[column.name] for row in rows], arrow_type(column)) for column in COLUMNS]
    batch = pa.RecordBatch.from_arrays(arrays, names=[column.name for column in COLUMNS])
    return Result(columns=COLUMNS, source=[batch], name="configurations")
