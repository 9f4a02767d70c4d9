"""Two years of an experiment, by its data manager's commands and a clock that is put forward.

Runs are loaded and judged, events held, released early, superseded, withdrawn and reinstated, a load is undone, the
latency changed, a column and a table are added. After each step everybody is told what should be told, and in the end
every edition that there was can be had, with the checksum that it had.

`KM3VO_STEP_DAYS` is how much time passes between two loads (default 61; `make test-years` takes a day).
"""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from km3vo.catalog.files import read_catalog
from km3vo.catalog.model import Table
from km3vo.cluster.embedded import Cluster
from km3vo.commands.main import main
from km3vo.database.logins import MEMBER, SERVICE, Database
from km3vo.embargo import release
from km3vo.registry.refresh import refresh_metadata
from tests.support.databases import database_of, drop, make_tables
from tests.support.faked_clock import FakedClock
from tests.support.folders import ROOT
from tests.support.server import Server, serve
from tests.support.truth import told

pytestmark = pytest.mark.slow

STEP = timedelta(days=int(os.environ.get("KM3VO_STEP_DAYS", "61")))
YEARS = timedelta(days=731)
DAY = timedelta(days=1)
EACH = 8  # events of a load
MJD_ZERO = datetime(1858, 11, 17, tzinfo=UTC)

SCHEMA = """\
schema: arca
title: Two years (simulated)
description: Nothing in it was measured.
tables:
  - name: events
    title: Events (simulated)
    description: Events with a latency of a year.
    simulated: true
    id: event_id
    position: {ra: ra, dec: dec}
    time: mjd
    release: {stream: offline, latency: P365D, time: obs_time}
    observation: {facility: KM3NeT, instrument: ARCA, analysis: simulation, event_type: track}
    columns:
      - {name: event_id, datatype: char, arraysize: "*", ucd: meta.id;meta.main, description: Name, nullable: false}
      - {name: mjd, datatype: double, unit: d, ucd: time.epoch, description: Time as MJD, nullable: false}
      - {name: obs_time, datatype: char, arraysize: "*", xtype: timestamp, ucd: time.epoch, nullable: false,
         description: Time}
      - {name: ra, datatype: double, unit: deg, ucd: pos.eq.ra;meta.main, description: Right ascension, nullable: false}
      - {name: dec, datatype: double, unit: deg, ucd: pos.eq.dec;meta.main, description: Declination, nullable: false}
      - {name: energy, datatype: double, unit: GeV, ucd: phys.energy, description: Energy}
      - {name: detector, datatype: char, arraysize: "*", ucd: meta.id;instr.tel, description: Detector}
      - {name: run, datatype: int, ucd: meta.id;obs, description: Run}
"""
COLUMN = "      - {name: quality, datatype: double, ucd: stat.fit.goodness, description: Quality}\n"
TABLE = """\
  - name: runs
    title: Runs (simulated)
    description: Runs of the detector.
    simulated: true
    id: run_id
    columns:
      - {name: run_id, datatype: char, arraysize: "*", ucd: meta.id;meta.main, description: Name, nullable: false}
      - {name: hours, datatype: double, unit: h, ucd: time.duration, description: Live time}
"""


@dataclass
class Event:
    """What should be known of an event."""

    name: str
    observed: datetime
    energy: float
    run: int
    counted_from: datetime
    passed: bool = False
    held: bool = False
    early: bool = False
    public: bool = False


@dataclass
class Experiment:
    """The data manager, and what should be told after everything that was done."""

    database: Database
    clock: FakedClock
    schemas: Path
    folder: Path
    server: Server
    latency: timedelta = timedelta(days=365)
    there: dict[str, Event] = field(default_factory=dict)
    gone: dict[str, Event] = field(default_factory=dict)
    editions: dict[int, tuple[str, dict[str, float]]] = field(default_factory=dict)
    columns: str = "event_id,mjd,obs_time,ra,dec,energy,detector,run"
    files: int = 0

    @property
    def table(self) -> Table:
        return read_catalog(self.schemas).table("arca.events")

    def km3vo(self, *words: str) -> str:
        """Call a command that has to work."""
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, (words, done.output, done.exception)
        return done.output

    def load(self, events: list[Event], *more: str) -> int:
        """Load events from a file; the number of the load."""
        self.files += 1
        file = self.folder / f"{self.files}.csv"
        lines = [self.columns]
        for place, one in enumerate(events):
            mjd = (one.observed - MJD_ZERO) / DAY
            stamp = f"{one.observed:%Y-%m-%dT%H:%M:%S}"
            lines.append(f"{one.name},{mjd:.9f},{stamp},{place * 7 % 360},{one.run % 80},{one.energy},ARCA,{one.run}")
            lines[-1] += ",0.5" if "quality" in self.columns else ""
        file.write_text("\n".join(lines) + "\n")
        told = self.km3vo("load", "arca.events", str(file), *more)
        self.there |= {one.name: one for one in events}
        return int(told.rpartition("(load ")[2].partition(")")[0])

    def look(self) -> None:
        """What the service does every minute: release what is due, in daily batches, and tell it."""
        with self.database.connect(SERVICE, autocommit=True) as service:
            release.run(service, [self.table], every=DAY)
        midnight = self.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        for one in self.there.values():
            due = (one.counted_from + self.latency <= midnight and not one.held) or one.early
            one.public = one.public or (due and one.passed)

    def tell(self) -> None:
        """See that everybody is told what should be."""
        refresh_metadata(self.server.settings, self.database, read_catalog(self.schemas))
        public = {one.name: one.energy for one in self.there.values() if one.public}
        query = {"LANG": "ADQL", "QUERY": "SELECT event_id, energy FROM arca.events", "FORMAT": "csv"}
        answer = httpx.get(f"{self.server.tap}/sync", params=query)
        rows = list(csv.reader(io.StringIO(answer.text)))[1:]
        assert {name: float(energy) for name, energy in rows} == public
        with self.database.connect(MEMBER) as member:
            all_of_them = member.execute("SELECT event_id, energy FROM arca.events").fetchall()
        assert dict(all_of_them) == {one.name: one.energy for one in self.there.values()}
        if not public and not self.editions:
            return
        assert set(told(self.server, self.database, self.table).values()) == {len(public)}
        listed = httpx.get(f"{self.server.url}/download/arca/events.json").json()
        (kept,) = (
            file for file in listed["files"]
            if file["format"] == "Parquet" and file["edition"] == listed["editions"][0]["number"]
        )  # fmt: skip
        assert self.editions.setdefault(kept["edition"], (kept["sha256"], public)) == (kept["sha256"], public)


@pytest.fixture
def experiment(
    cluster: Cluster, new_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Experiment, ExitStack]]:
    """An experiment that begins, and what is open: a server, which may be started again."""
    home, schemas = tmp_path / "home", tmp_path / "schemas"
    home.mkdir()
    schemas.mkdir()
    (schemas / "arca.yaml").write_text(SCHEMA)
    shutil.copy(ROOT / "schemas" / "ivoa.yaml", schemas)
    shutil.copy(cluster.folder / "passwords.json", home)
    database = database_of(cluster, new_database())
    for name, value in (("HOME", home), ("SCHEMAS", schemas), ("DATABASE_URL", database.admin)):
        monkeypatch.setenv(f"KM3VO_{name}", str(value))
    clock = FakedClock(database)
    make_tables(database, read_catalog(schemas))
    with ExitStack() as stack:
        server = stack.enter_context(serve(database, home, promote_seconds=0, metadata_seconds=0))
        yield Experiment(database, clock, schemas, tmp_path, server), stack
    drop(database)


def test_two_years(experiment: tuple[Experiment, ExitStack]) -> None:
    lab, stack = experiment
    begin = lab.clock.now()
    steps = YEARS // STEP
    plan = {steps * n // 24: act for n, act in ACTS.items()}
    assert len(plan) == len(ACTS)
    for step in range(steps + 1):
        since = [STEP * step - STEP * (n + 1) / (EACH + 1) for n in range(EACH)]
        observed = [(begin + one).replace(microsecond=0) for one in since]
        events = [
            Event(
                f"K-{step:04d}{n}",
                time.replace(microsecond=0),
                100.0 + n,
                2 * step + n % 2,
                time.replace(microsecond=0),
            )
            for n, time in enumerate(observed)
        ]
        lab.load(events)
        lab.look()
        lab.tell()
        lab.km3vo("release", "qc", "arca.events", "passed", "--run", f"ARCA/{2 * step}", "--reason", "run list")
        for one in events:
            one.passed = one.run == 2 * step
        if act := plan.get(step):
            act(lab)
            if act in (add_a_column, add_a_table):
                stack.close()
                lab.server = stack.enter_context(
                    serve(lab.database, lab.server.settings.home, promote_seconds=0, metadata_seconds=0)
                )
        lab.look()
        lab.tell()
        lab.clock.put_forward(STEP)
    assert sum(one.public for one in lab.there.values()) > steps
    look_at_the_editions(lab)


def look_at_the_editions(lab: Experiment) -> None:
    """Each that was ever told can be had, has its checksum, and holds what was public then, in every format."""
    assert len(lab.editions) > 6
    url = f"{lab.server.url}/download/arca/events"
    for number, (sha256, public) in lab.editions.items():
        kept = httpx.get(f"{url}/{number}.parquet")
        assert httpx.get(f"{url}/{number}.parquet.sha256").text.startswith(sha256)
        table = pq.read_table(io.BytesIO(kept.content))
        assert dict(zip(table["event_id"].to_pylist(), table["energy"].to_pylist(), strict=True)) == public
        rows = list(csv.DictReader(io.StringIO(httpx.get(f"{url}.csv?edition={number}").text)))
        assert {row["event_id"]: float(row["energy"]) for row in rows} == public


# What is done beside loading; each hangs on what there is by then.


def failed_run(lab: Experiment) -> None:
    run = max(one.run for one in lab.there.values()) - 2
    lab.km3vo("release", "qc", "arca.events", "failed", "--run", f"ARCA/{run}", "--reason", "sparking")
    for one in lab.there.values():
        one.passed = one.passed and one.run != run


def hold_one(lab: Experiment) -> None:
    one = waiting(lab)[0]
    lab.km3vo("release", "hold", "arca.events", one.name, "--reason", "to be looked at")
    one.held = True


def release_early(lab: Experiment) -> None:
    one = waiting(lab)[-1]
    lab.km3vo("release", "early", "arca.events", one.name, "--reason", "paper")
    one.early = True


def withdraw_and_reinstate(lab: Experiment) -> None:
    run = waiting(lab)[-1].run
    query = f"SELECT event_id FROM arca.events WHERE run = {run}"
    said = lab.km3vo("withdraw", "arca.events", "--select", query, "--reason", "another look")
    chosen = [one for one in lab.there.values() if one.run == run]
    assert f"{len(chosen)} events of arca.events were withdrawn, 0 of them public" in said
    for one in chosen:
        lab.gone[one.name] = lab.there.pop(one.name)
    lab.tell()
    some = chosen[:2]
    lab.km3vo("reinstate", "arca.events", "--ids", ",".join(one.name for one in some), "--reason", "they were right")
    for one in some:
        lab.there[one.name] = lab.gone.pop(one.name)


def process_again(lab: Experiment) -> None:
    """A period is processed anew: events have other energies, some are gone, one is earlier than it was."""
    old = waiting(lab)[-4:]
    first, last = (f"{moment:%Y-%m-%d}" for moment in (old[0].observed - DAY, old[-1].observed + DAY))
    inside = [one for one in lab.there.values() if first <= f"{one.observed:%Y-%m-%d}" < last]
    kept = [replace(one, energy=one.energy + 1000, passed=False) for one in inside[2:]]
    kept[0] = replace(
        kept[0], observed=kept[0].observed - STEP - 9 * DAY
    )  # and still counts from when it was thought to be
    lab.load(kept, "--supersede", "--period", first, last, "--reason", "reprocessing v2")
    for one in inside[:2]:
        lab.gone[one.name] = lab.there.pop(one.name)
    lab.tell()
    lab.km3vo("release", "qc", "arca.events", "passed", "--all-pending", "--reason", "reprocessed")
    for one in lab.there.values():
        one.passed = True


def undo_a_load(lab: Experiment) -> None:
    run = max(one.run for one in lab.there.values()) + 1000
    now = lab.clock.now().replace(microsecond=0)
    number = lab.load([Event(f"W-{n}", now - DAY * n, 5.0, run, now - DAY * n) for n in range(1, 4)])
    lab.tell()
    lab.km3vo("unload", str(number), "--reason", "wrong file")
    for name in [name for name, one in lab.there.items() if one.run == run]:
        del lab.there[name]


def withdraw_public(lab: Experiment) -> None:
    one = shown(lab)[0]
    refused = CliRunner().invoke(main, ["withdraw", "arca.events", "--ids", one.name, "--reason", "wrong"])
    assert "are public: add --public" in str(refused.exception)
    lab.km3vo("withdraw", "arca.events", "--ids", one.name, "--public", "--reason", "wrong time")
    lab.gone[one.name] = lab.there.pop(one.name)


def supersede_public(lab: Experiment) -> None:
    chosen = shown(lab)[:3]
    lab.load(
        [replace(one, energy=one.energy + 5000) for one in chosen], "--supersede", "--public", "--reason", "calibration"
    )


def change_the_latency(lab: Experiment) -> None:
    lab.km3vo("release", "latency", "offline", "P300D", "--reason", "decision of the board")
    lab.latency = timedelta(days=300)


def lift_the_hold(lab: Experiment) -> None:
    (one,) = (one for one in lab.there.values() if one.held)
    lab.km3vo("release", "lift", "arca.events", one.name, "--reason", "it was right")
    one.held = False


def add_a_column(lab: Experiment) -> None:
    (lab.schemas / "arca.yaml").write_text(SCHEMA + COLUMN)
    lab.km3vo("publish")
    lab.columns += ",quality"


def add_a_table(lab: Experiment) -> None:
    (lab.schemas / "arca.yaml").write_text(SCHEMA + COLUMN + TABLE)
    assert "created arca.runs" in lab.km3vo("publish")
    file = lab.folder / "runs.csv"
    file.write_text("run_id,hours\nARCA/1,5.5\n")
    assert "arca.runs has no embargo: 1 rows are public at once" in lab.km3vo("load", "arca.runs", str(file))


def waiting(lab: Experiment) -> list[Event]:
    """Embargoed events that passed and have no exception, the earliest first."""
    found = [one for one in lab.there.values() if not (one.public or one.held or one.early) and one.passed]
    return sorted(found, key=lambda one: one.observed)


def shown(lab: Experiment) -> list[Event]:
    return sorted((one for one in lab.there.values() if one.public), key=lambda one: one.name)


# In which month of the two years.
ACTS: dict[int, Callable[[Experiment], None]] = {
    2: hold_one,
    4: release_early,
    6: withdraw_and_reinstate,
    8: process_again,
    10: undo_a_load,
    12: failed_run,
    14: withdraw_public,
    16: supersede_public,
    18: change_the_latency,
    20: lift_the_hold,
    22: add_a_column,
    24: add_a_table,
}
