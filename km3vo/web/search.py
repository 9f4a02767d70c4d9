"""/browse/{schema}/{table}/search: the form of a table. It writes ADQL, which runs at /tap/sync like any other."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from km3vo.catalog.model import Column, Table
from km3vo.holdings.coverage import Coverage, energy, joules
from km3vo.protocols.dali.parameters import query_pairs
from km3vo.protocols.dali.work import in_thread
from km3vo.protocols.http.authentication import user_of
from km3vo.search.constraints import can_be_constrained
from km3vo.search.form import CONSTRAINT, RADIUS_UNITS, Form, place_of
from km3vo.search.sesame import Sesame, UnansweredError
from km3vo.search.targets import Name, Target
from km3vo.service import Service
from km3vo.web.describe import Page
from km3vo.web.pages import html
from km3vo.web.query import CHOICES

MANY_WORDS = 15
UNRESOLVED = "Names cannot be resolved just now; give coordinates."


def router(running: Service) -> APIRouter:
    """The route of the form."""
    routes = APIRouter(tags=["Query"])
    limits, sesame = running.settings.limits, Sesame(running.settings.sesame_url)

    @routes.get("/browse/{schema}/{table}/search", summary="Search a table by a form", response_class=Response)
    async def search(request: Request, schema: str, table: str) -> Response:
        described = running.published_table(schema, table)
        values: dict[str, list[str]] = {}
        for name, value in query_pairs(request):
            values.setdefault(name, []).append(value)
        form = Form(described, values)
        unresolved = ""
        if isinstance(form.target, Name):
            name = form.target.name
            form.target = await _found(running, request, form.target)
            if form.target is None:
                form.target, unresolved = await _asked(running, sesame, name, wanted=bool(form.values.get("sesame")))
        adql = "" if unresolved else form.adql(limits.maxrec_hard)
        if adql and values.get("run"):
            asked = {"LANG": "ADQL", "RESPONSEFORMAT": form.one("format", "html"), "QUERY": adql}
            if len(limit := form.one("limit")) and int(limit) > limits.maxrec:
                asked["MAXREC"] = limit
            return RedirectResponse(f"/tap/sync?{urlencode(asked)}", status_code=303)
        found = (await running.holdings.read_if_there()).of(described).coverage
        page = _page(running, form, adql, unresolved, _extents(described, found))
        answer = html(request, running.settings, "search.html", page, [described])
        if form.mistakes:
            answer.status_code = 400
        # Whoever may read more finds the names of more events.
        answer.headers.add_vary_header("Authorization")
        answer.headers["Cache-Control"] = "private, no-store"
        return answer

    return routes


async def _found(running: Service, request: Request, name: Name) -> Target | None:
    """The position of what is called so in a table here, of rows that the asker may read."""
    audience = user_of(request).audience
    for table in running.published.tables:
        if not (query := place_of(table, name.name)):
            continue
        made = await in_thread(running, running.translate, query, "2.1", 1, audience)
        rows = await running.readers[audience].rows(made.sql.replace("%", "%%"))
        if rows and None not in rows[0]:
            return Target(float(rows[0][0]), float(rows[0][1]), f"the position in {table.qualified}")
    return None


async def _asked(running: Service, sesame: Sesame, name: str, *, wanted: bool) -> tuple[Target | None, str]:
    """The position of what is in no table here, and why there is none. Names go to CDS only if that is ``wanted``."""
    if not running.settings.sesame_url:
        return None, f"{name} is in no table here: give coordinates."
    if not wanted:
        return None, f"{name} is in no table here: let CDS be asked for it, or give coordinates."
    try:
        found = await sesame.find(name)
    except UnansweredError:
        return None, UNRESOLVED
    return found, "" if found else f"Neither we nor CDS know {name}: give coordinates."


def _extents(table: Table, found: Coverage | None) -> dict[str, str]:
    """From where to where the public rows go, of the columns of which that is measured; the same for whoever asks."""
    extents = {}
    if found and table.time and found.mjd_from is not None and found.mjd_to is not None:
        extents[table.time] = f"{found.mjd_from:.2f} … {found.mjd_to:.2f}"
    if (column := energy(table)) and found and found.joule_from is not None and found.joule_to is not None:
        size = joules(str(column.unit))
        extents[column.name] = f"{found.joule_from / size:.4g} … {found.joule_to / size:.4g}"
    return extents


def _page(running: Service, form: Form, adql: str, unresolved: str, extents: dict[str, str]) -> Page:
    table, base = form.table, running.settings.base_url
    shown = {column.name for column in form.shown}
    columns = sorted(table.columns, key=lambda column: not column.principal)
    return {
        "url": f"{base}/browse/{table.schema}/{table.name}/search",
        "twins": [],
        "description": f"Search {table.title} by position and by its columns.",
        "table": {
            "name": table.qualified,
            "title": table.title,
            "url": f"{base}/browse/{table.schema}/{table.name}",
            "schema": f"{base}/browse/{table.schema}",
            "simulated": table.simulated,
            "position": table.position is not None,
            "error": bool(table.position and table.position.error),
        },
        "values": {
            name: form.one(name, default)
            for name, default in (
                *(("target", ""), ("radius", "1"), ("unit", "deg"), ("shape", "cone"), ("times", "1")),
                *(("sort", ""), ("way", "asc"), ("sort2", ""), ("way2", "asc")),
                *(("limit", "100"), ("format", "html")),
            )
        },
        "understood": str(form.target) if isinstance(form.target, Target) else "",
        "read_as": form.target.read_as if isinstance(form.target, Target) else "",
        "unresolved": unresolved,
        "asks": bool(running.settings.sesame_url),
        "sesame": bool(form.values.get("sesame")),
        "mistakes": form.mistakes,
        "first": next(iter(form.mistakes), "target" if unresolved else ""),
        "columns": [_column(form, column, column.name in shown, extents.get(column.name, "")) for column in columns],
        "units": list(RADIUS_UNITS),
        "formats": CHOICES,
        "most": running.settings.limits.maxrec_hard,
        "adql": adql,
        "edit": f"{base}/query?{urlencode({'sql': adql})}" if adql else "",
        "filled": bool(form.values),
    }


def _column(form: Form, column: Column, shown: bool, extent: str) -> Page:
    field = CONSTRAINT + column.name
    words = list(column.values) if 0 < len(column.values) <= MANY_WORDS else []
    written = form.constraint(column)
    ticked = [value.strip() for value in form.values.get(field, ()) if value.strip() in words]
    return {
        "name": column.name,
        "field": field,
        "unit": column.unit or "",
        "ucd": (column.ucd or "").replace(";", "; "),
        "description": column.description or "",
        "range": extent or (str(column.range) if column.range else ""),
        "principal": column.principal,
        "shown": shown,
        "constrained": can_be_constrained(column),
        "words": words,
        "ticked": ticked,
        "written": ", ".join(value for value in map(str.strip, form.values.get(field, ())) if value not in ticked),
        "mistake": form.mistakes.get(field, "") if written else "",
    }
