"""Correlations and maps of both servers: every byte of every file of a job, of its pages, and of the public's maps."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace

from km3vo.correlation import hips, mapfiles
from km3vo.protocols import correlate
from km3vo.web import maps
from tests.embargo.differential import routes
from tests.embargo.differential.client import Client
from tests.embargo.differential.pair import Pair, first
from tests.embargo.differential.question import Question

MAP_PAGES = ("/skymaps", "/skymaps.json")


def begun(client: Client, asked: dict[str, str]) -> str:
    """Begin a correlation; its id."""
    made = Question("POST", "/correlate/async", routes.CORRELATION | {"PHASE": "RUN"} | asked)
    return made.ask(client).header("location").rpartition("/")[2]


def ended(client: Client, job: str) -> str:
    """The phase in which a correlation ends."""
    while (phase := client.ask("GET", f"/correlate/async/{job}/phase").body) in (b"QUEUED", b"EXECUTING"):
        time.sleep(0.02)
    return phase.decode()


def paths() -> list[str]:
    """Whatever a correlation answers, below /correlate: documents of the job, its files, and its page."""
    documents = [path.removeprefix("/correlate") for path in routes.uws("/correlate", {}) if routes.JOB in path]
    return [*documents, *(f"{routes.JOB}/results/{other.name}" for other in correlate.KIND.others), "/{id}"]


def correlated(pair: Pair, asked: dict[str, str]) -> tuple[str, list[str]]:
    """A correlation by both: the phase in which it ended on the second, and what tells the two apart."""
    jobs = [begun(client, asked) for client in pair.clients]
    phases = [ended(client, job) for client, job in zip(pair.clients, jobs, strict=True)]
    made, found = Question("POST", "/correlate/async", routes.CORRELATION | asked), []
    for path in paths():
        seen = []
        for client, job in zip(pair.clients, jobs, strict=True):
            answer = client.ask("GET", "/correlate" + path.format(id=job, name="mine"))
            body = answer.body.replace(job.encode(), b"ID").replace(job[:8].encode(), b"ID")
            seen.append(pair.seen(replace(answer, body=body), made)[::2])
        if seen[0] != seen[1]:
            found.append(f"{asked} {path}\n{first(*map(repr, seen))}")
    pair.count(len(paths()))
    return phases[1], found


def mapped(pair: Pair) -> Iterator[str]:
    """The public's maps, made anew by both: what tells the two apart."""
    for app in pair.apps:
        running = app.state.service
        shutil.rmtree(running.settings.skymaps, ignore_errors=True)
        maps.refresh(running)
    yield from pair.differences(of_maps())


def of_maps() -> list[Question]:
    """The addresses of the maps."""
    files = [f"/skymaps/lab/events.{extension}" for extension in mapfiles.FILES]
    tiles = [f"/hips/lab/events/{path}" for path in hips.FILES]
    read = [f"/maps/lab/events{ending}" for ending in ("", ".json", ".png", ".hottest.moc.fits")]
    return [
        *(Question("GET", path) for path in (*MAP_PAGES, *files, *tiles)),
        *(Question("GET", path, {"ra": "10", "dec": "20", "projection": "mollweide"}) for path in read),
    ]
