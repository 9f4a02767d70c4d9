"""20,000 embargoed events in one cone leave every public map, correlation, report and job as it was, and as fast.

The cone holds fifty times as many as there are public events, at a declination that these have: a share in a
background, a scramble or a pixel would show. Bytes are compared file by file; times as in test_timing.py, between a
server without embargoed events, its twin, and the one that has them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from km3vo.commands.main import main
from km3vo.correlation import question as questions
from km3vo.correlation.mapfiles import FILES
from km3vo.correlation.question import query
from km3vo.correlation.tables import events_in, gather
from km3vo.database.logins import Database
from km3vo.service import Service
from km3vo.settings import Settings
from km3vo.web.configurations import asking
from tests.embargo.differential import builds, routes, skies
from tests.embargo.differential.actions import Sides
from tests.embargo.differential.client import Client
from tests.embargo.differential.pair import Pair
from tests.embargo.differential.timing import told_apart
from tests.embargo.lab import SCHEMAS
from tests.support.server import Server

pytestmark = pytest.mark.slow

BLOCKS, ROUNDS = 30, 5
JOBS = 6
IN_A_CONE = "SELECT * FROM lab.events WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE({}))"
ASKED: dict[str, dict[str, str]] = {
    "count": {"METHOD": "count", "SCRAMBLES": "100"},
    "window": {"METHOD": "count", "WINDOW": "-5d,5d", "SCRAMBLES": "20"},
    "likelihood": {"METHOD": "likelihood", "SCRAMBLES": "10"},
    "stacking": {"METHOD": "stacking", "SCRAMBLES": "10"},
    "flare": {"METHOD": "flare", "SOURCES": "nhits = 230", "SCRAMBLES": "3"},
    "another cone": {"EVENTS": IN_A_CONE.format("20, 15, 12"), "METHOD": "likelihood", "SCRAMBLES": "10"},
    "that cone": {"EVENTS": IN_A_CONE.format("200.15, -39.7, 1")},
    "as sources": {"EVENTS": "lab.known", "CATALOGUE": "lab.events", "METHOD": "count"},
}


@pytest.fixture
def pair(crowded_servers: list[Server]) -> Iterator[Pair]:
    """The first and the last."""
    both = Pair(crowded_servers[0], crowded_servers[2])
    yield both
    both.close()


@pytest.mark.parametrize("name", ASKED)
def test_every_byte_of_a_correlation(pair: Pair, name: str) -> None:
    phase, found = skies.correlated(pair, ASKED[name])
    assert not found, "\n\n".join(found)
    assert phase == ("ERROR" if name == "that cone" else "COMPLETED")


def test_every_byte_of_a_map(pair: Pair) -> None:
    assert not list(skies.mapped(pair))
    assert pair.statuses == {200: len(skies.of_maps())}


@pytest.mark.parametrize(
    "words",
    [
        ["skymap", "lab.events", "--nside", "16", "--scrambles", "5", "-o", "out.fits"],
        ["correlate", "lab.events", "lab.known", "--method", "likelihood", "--scrambles", "5", "-o", "out.vot"],
    ],
    ids=lambda words: words[0],
)
def test_every_byte_of_a_command(
    crowded: list[Database], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    written: list[dict[str, bytes]] = []
    for name, database in zip("ab", crowded[::2], strict=True):
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.chdir(folder)
        _command_settings(monkeypatch, folder, database)
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, done.output
        written.append({file.name: file.read_bytes() for file in folder.glob("out*")} | {"": done.stdout.encode()})
    assert written[0] == written[1]
    assert len(written[0]) == {"skymap": len(FILES) + 1, "correlate": 5}[words[0]]


def _command_settings(monkeypatch: pytest.MonkeyPatch, home: Path, database: Database) -> None:
    (home / "passwords.json").write_text(json.dumps(database.passwords))
    for name, value in (("HOME", str(home)), ("DATABASE_URL", database.admin), ("SCHEMAS", str(SCHEMAS))):
        monkeypatch.setenv(f"KM3VO_{name}", value)
    assert Settings().schemas == SCHEMAS


def reading(running: Service) -> None:
    """What a correlation and a map read, before they compute: only there could an embargoed event be met."""
    ask = asking(running, "public", 60)
    gather(questions.read(routes.CORRELATION | {"WINDOW": "-5d,5d"}), running.published, ask)
    events_in(ask(query("lab.events", "")), "lab.events")


def test_reading_takes_as_long(crowded_servers: list[Server]) -> None:
    running = [server.app.state.service for server in crowded_servers]
    noise, difference = told_apart(lambda place: reading(running[place]), BLOCKS, ROUNDS)
    assert difference < noise, f"{difference * 1e3:.3f} ms between them, {noise * 1e3:.3f} ms between equals"


def test_jobs_take_as_long(crowded_servers: list[Server]) -> None:
    clients = [Client(server.settings.port) for server in crowded_servers]

    def work(place: int) -> None:
        assert (
            skies.ended(clients[place], skies.begun(clients[place], {"METHOD": "count", "SCRAMBLES": "10"}))
            == "COMPLETED"
        )

    noise, difference = told_apart(work, JOBS, 1)
    for client in clients:
        client.close()
    assert difference < noise, f"{difference * 1e3:.1f} ms between them, {noise * 1e3:.1f} ms between equals"


# That these tests can see: what members are answered is another thing, and takes another time.


def test_a_share_in_a_correlation_or_a_map_would_show(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    bare, loaded = (app.state.service for app in pair.apps)
    sides = Sides(bare.database, loaded.database, bare.published, Path())
    builds.correlations_see_all_rows(sides, monkeypatch)
    _, found = skies.correlated(pair, ASKED["count"])
    assert any("/results/report" in one for one in found) and any("/results/pairs" in one for one in found)
    builds.maps_are_made_of_all_rows(sides, monkeypatch)
    assert any("events.fits" in one for one in skies.mapped(pair))


def test_rows_that_are_read_would_take_longer(crowded_servers: list[Server]) -> None:
    running = [server.app.state.service for server in crowded_servers]

    def as_member(place: int) -> None:
        gather(questions.read(routes.CORRELATION), running[place].published, asking(running[place], "member", 60))

    noise, difference = told_apart(as_member, 8, 3)
    assert difference > noise, f"{difference * 1e3:.3f} ms, {noise * 1e3:.3f} ms between equals"
