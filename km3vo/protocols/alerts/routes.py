"""Alerts over HTTP: POST takes standard events in; documents and a feed give them out."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from km3vo.alerts import attached, chosen, heartbeat, profile
from km3vo.alerts.documents import FORMS, Documents
from km3vo.alerts.intake import Accepted, EarlyError, Held, Sender, accept, check_size
from km3vo.alerts.messages import atom, places
from km3vo.alerts.records import Record
from km3vo.alerts.standard import MOST_BYTES, MOST_SKYMAP_BYTES
from km3vo.database.logins import SERVICE
from km3vo.errors import (
    ForbiddenError,
    Km3voError,
    NoCredentialsError,
    NotFoundError,
    ParameterError,
    RequestError,
    SetupError,
    UnavailableError,
)
from km3vo.identity.challenges import challenges
from km3vo.logs import text_of
from km3vo.protocols.alerts.rate import Rate
from km3vo.protocols.dali.forms import read_body, read_form
from km3vo.protocols.dali.work import in_thread
from km3vo.protocols.http.addresses import asked_url, base_url
from km3vo.protocols.http.authentication import user_of
from km3vo.protocols.http.documents import respond
from km3vo.service import Service

log = logging.getLogger(__name__)

T = TypeVar("T")

FEED = 100  # entries of the feed
AGAIN = 0.5  # seconds between looks whether the alert that is revised has come
MAPS = ("fits", "fits.gz", "png")  # how the forms of sky maps end
LATEST, IMMUTABLE = "max-age=5", "max-age=31536000, immutable"
_KEY = re.compile(r"[!-~]{1,200}")
_FILE = re.compile(r"(\d{1,9})\.([a-z.]+)")


class MediaTypeError(RequestError):
    """A body is of a kind that is not taken."""

    status = 415


def router(running: Service) -> APIRouter:
    """The routes for programs; the pages are in ``web.alerts``."""
    routes = APIRouter(tags=["Alerts"])
    settings, rate = running.settings, Rate()

    @routes.post("/alerts", summary="Send a standard event; dry_run=1 keeps nothing", response_class=Response)
    async def send(request: Request) -> Response:
        dry_run = request.query_params.get("dry_run", "0") not in ("", "0")
        try:
            sender, key = _sender(request), _key(request)
            rate.take(sender.name)
            document, skymap = await _message(request, running, with_form=True)
            taken = await _accepted(running, document, sender, key, dry_run, skymap)
        except Km3voError as error:
            return _refusal(running, request, error)
        if isinstance(taken, Held):
            log.warning("an alert is held: %s", taken.why)
            return _json(taken.answer, 201)
        revision = taken.record.said
        answer: dict[str, Any] = taken.answer | {"url": places.page(revision, settings)}
        if dry_run:
            written = {form: running.documents.write(revision, form).decode() for form in ("json", "xml", "txt")}
            answer["would_send"] = written | {"json": json.loads(written["json"])}
            return _json(answer, 200)
        return _json(answer, 200 if taken.repeated else 201, Location=places.page(revision, settings))

    @routes.post("/alerts/heartbeat", summary="Say that a pipeline looks for alerts, once a minute")
    async def beat(request: Request) -> Response:
        try:
            sender = _sender(request)
            rate.take(f"heartbeat of {sender.name}")
            document, _ = await _message(request, running, with_form=False)
            heard = await in_thread(running, _with_service, running, heartbeat.accept, document, sender)
        except Km3voError as error:
            return _refusal(running, request, error)
        return _json({"pipeline": heard.pipeline, "detector": heard.detector, "status": heard.status}, 200)

    @routes.get("/alerts/schema.json", summary="The standard event as a JSON Schema", response_class=Response)
    async def schema(request: Request) -> Response:
        return respond(request, json.dumps(profile.schema(), indent=1).encode(), "application/schema+json")

    @routes.get("/alerts/feed.atom", summary="The newest alerts as an Atom feed, with the filters of the list")
    async def feed(request: Request) -> Response:
        wanted = chosen.read(request.query_params)
        found = wanted.of(await running.alerts.newest(FEED, test=wants_tests(request)))
        entries = [(record.said, record.published) for record in found]
        return respond(
            request, atom.feed(entries, settings, address=asked_url(request, settings)), "application/atom+xml"
        )

    @routes.get("/alerts/{alert}/{revision}", summary="A revision: 1.json, .xml, .txt, .fits, .moc.fits, .png")
    async def revised(request: Request, alert: str, revision: str) -> Response:
        match = _FILE.fullmatch(revision)
        number, form = (int(match[1]), match[2]) if match else (0, "")
        found = await running.alerts.named(alert)
        if form not in FORMS or not 0 < number <= len(found):
            raise NotFoundError(f"An alert's documents are called 1.json, 1.xml: a revision, and {', '.join(FORMS)}.")
        return await document(running, request, found, number, form, IMMUTABLE)

    return routes


def wants_tests(request: Request) -> bool:
    """Whether tests and injections are asked for."""
    return request.query_params.get("test", "0") not in ("", "0")


async def document(
    running: Service, request: Request, found: list[Record], number: int, form: str, caching: str
) -> Response:
    """A document of a revision.

    Args:
        found: all revisions of the alert.
        number: which of them, from 1.
        form: of ``FORMS``.
    """
    version = request.query_params.get("version", "2.0")
    if version not in ("2.0", "2.1"):
        raise ParameterError("VOEvents come in version=2.0 and 2.1")
    revision = found[number - 1].said
    shape = revision.skymap
    skymap = await attached.find(running.pool, shape.file) if shape and shape.file and form.endswith(MAPS) else None
    written = await in_thread(running, Documents.write, running.documents, revision, form, version, skymap)
    answer = respond(request, written, FORMS[form])
    answer.headers["Cache-Control"] = caching
    answer.headers["Link"] = _links(running, revision, len(found), form)
    if form.endswith(MAPS) and form != "png":
        name = f"{revision.key}.{'' if form == 'moc.fits' else 'multiorder.'}{form}"
        answer.headers["Content-Disposition"] = f'inline; filename="{name}"'
    return answer


def _links(running: Service, revision: Any, newest: int, form: str) -> str:
    """Where the newest revision is, and the one before (RFC 5829)."""
    page = places.page(revision, running.settings)
    links = [f'<{page}/{newest}.{form}>; rel="latest-version"']
    if revision.revision > 1:
        links.append(f'<{page}/{revision.revision - 1}.{form}>; rel="predecessor-version"')
    return ", ".join(links)


def _sender(request: Request) -> Sender:
    user = user_of(request)
    if user.name is None:
        raise NoCredentialsError("alerts are sent with a token: `km3vo token create NAME --scope alerts:write`")
    if not user.scopes:
        raise ForbiddenError("this token sends no alerts: `km3vo token create NAME --scope alerts:write` makes one")
    return Sender(user.name, tests_only="alerts:write" not in user.scopes, pipelines=user.pipelines)


def _key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise ParameterError("an Idempotency-Key has up to 200 printable characters, and no spaces")
    return key


async def _message(request: Request, running: Service, *, with_form: bool) -> tuple[bytes, bytes | None]:
    """The JSON of a message, and the sky map that came with it in a form, where there may be one."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return await read_body(request, running, MOST_BYTES), None
    if kind != "multipart/form-data" or not with_form:
        form = ", or as a form with the parts event and skymap" if with_form else ""
        raise MediaTypeError(f"send it as application/json{form}")
    fields, files = await read_form(request, running, MOST_BYTES + MOST_SKYMAP_BYTES)
    parts = {name: value.encode() for name, value in fields} | {name: await one.read() for name, one in files.items()}
    if "event" not in parts or not parts.keys() <= {"event", "skymap"}:
        raise ParameterError("the parts of the form are event, the standard event, and skymap, a FITS file")
    check_size(len(parts["event"]))
    return parts["event"], parts.get("skymap")


async def _accepted(
    running: Service, document: bytes, sender: Sender, key: str | None, dry_run: bool, skymap: bytes | None
) -> Accepted | Held:
    """Take it in; one that comes before the alert which it revises waits for that a while."""
    until = time.monotonic() + running.settings.alerts.early_seconds

    def take(connection: psycopg.Connection) -> Accepted | Held:
        return accept(connection, document, sender, outgoing=running.outgoing, key=key, skymap=skymap, dry_run=dry_run)

    while True:
        try:
            return await in_thread(running, _with_service, running, take)
        except EarlyError:
            if time.monotonic() > until or dry_run:
                raise
        await asyncio.sleep(AGAIN)


def _with_service(running: Service, work: Callable[..., T], *values: Any) -> T:
    """Do something with a connection of the service's. Raises UnavailableError when there is none."""
    try:
        connection = running.database.connect(SERVICE, autocommit=True)
    except SetupError:
        raise UnavailableError("the database cannot be reached, and nothing was kept: send it again") from None
    with connection:
        return work(connection, *values)


def _json(content: dict[str, Any], status: int, **headers: str) -> Response:
    return Response(
        json.dumps(content, ensure_ascii=False, indent=1) + "\n", status, headers, media_type="application/json"
    )


def _refusal(running: Service, request: Request, error: Km3voError) -> Response:
    """What is wrong, for the pipeline's program and its author: each mistake with path, value, and repair."""
    found = getattr(error, "mistakes", ())
    told = [{"path": each.path, "value": each.value, "repair": each.repair} for each in found]
    answer = _json({"error": text_of(error), "mistakes": told}, error.status, **error.headers)
    for challenge in challenges(error, base_url(request, running.settings), running.settings.oidc.issuer):
        answer.headers.append("WWW-Authenticate", challenge)
    return answer
