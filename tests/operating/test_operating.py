"""What an operator sees: health, downtimes, status, metrics, slow queries; and that the public sees none of it."""

from __future__ import annotations

import gc
import json
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from lxml import etree

from km3vo import downtime
from km3vo.adql.fingerprint import fingerprint
from km3vo.catalog.files import read_catalog
from km3vo.cluster.embedded import Cluster
from km3vo.commands.main import main
from km3vo.database.logins import OWNER, Database
from km3vo.errors import NotFoundError, SetupError
from km3vo.operating import troubles
from km3vo.operating.state import look
from km3vo.protocols import health
from km3vo.settings import Settings
from tests.support.folders import ROOT
from tests.support.server import Server, serve
from tests.support.tap import QUICK, Client
from tests.support.waiting import until

pytestmark = pytest.mark.slow


@pytest.fixture
def home(copy_published: Database, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home whose service has the test's database."""
    place = tmp_path / "home"
    place.mkdir()
    shutil.copy(cluster.folder / "passwords.json", place)
    monkeypatch.setenv("KM3VO_HOME", str(place))
    monkeypatch.setenv("KM3VO_DATABASE_URL", copy_published.admin)
    yield place


def test_health(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert httpx.get(f"{server.url}/healthz").text == "alive\n"
    ready = httpx.get(f"{server.url}/readyz")
    assert (ready.status_code, set(ready.json().values())) == (200, {True})
    promoter = server.app.state.service.promoter
    monkeypatch.setattr(promoter, "clock_is_trusted", False)
    monkeypatch.setattr(health, "RESERVE", 2**60)
    found = httpx.get(f"{server.url}/readyz")
    assert found.status_code == 503
    assert found.json() == {"database": True, "disk": False, "releases": True, "clock": False}


def test_nobody_looks_for_due_events(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    service = server.app.state.service
    (task,) = (task for task in service.schedule.tasks if task.name == "release of events")
    until(lambda: task.succeeded_at is not None and task.started_at is None)  # its first run
    monkeypatch.setattr(task, "succeeded_at", datetime.now(UTC) - timedelta(hours=1))
    monkeypatch.setattr(task, "failed_at", None)
    assert httpx.get(f"{server.url}/readyz").json()["releases"] is False


def test_a_downtime_is_shown_to_people_and_clients(copy_published: Database, tmp_path: Path) -> None:
    begins = datetime(2090, 3, 1, 6, tzinfo=UTC)
    with copy_published.connect(OWNER) as owner:
        with pytest.raises(SetupError, match="ends after it begins"):
            downtime.announce(owner, begins, begins, "never", "me")
        number = downtime.announce(owner, begins, begins + timedelta(hours=3), "<PostgreSQL> is upgraded", "me")
    with serve(copy_published, tmp_path) as server:
        until = time.monotonic() + 30
        while not server.app.state.service.downtimes:
            assert time.monotonic() < until
            time.sleep(0.05)
        page = httpx.get(server.url, headers={"Accept": "text/html"}).text
        assert "away from <time>2090-03-01T06:00:00Z</time>" in page
        assert "&lt;PostgreSQL&gt; is upgraded" in page
        told = etree.fromstring(httpx.get(f"{server.tap}/availability").content)
        assert [child.tag.rpartition("}")[2] for child in told] == [
            "available", "upSince", "downAt", "backAt", "note", "note"
        ]  # fmt: skip
        assert told.findtext("{*}backAt") == "2090-03-01T09:00:00Z"
        assert "<PostgreSQL> is upgraded" in told.findall("{*}note")[1].text
    with copy_published.connect(OWNER) as owner:
        downtime.withdraw(owner, number)
        assert not downtime.read(owner)
        with pytest.raises(NotFoundError):
            downtime.withdraw(owner, number)


def test_the_commands(home: Path) -> None:
    run = CliRunner().invoke
    spoken = ["downtime", "--from", "2090-03-01", "--to", "2090-03-02", "--note", "we move"]
    assert "is announced" in run(main, spoken).output
    assert "we move" in run(main, ["downtime"]).output
    assert isinstance(run(main, ["downtime", "--note", "x"]).exception, SetupError)
    told = run(main, ["status"])
    assert told.exit_code == 0, told.output
    for words in ("km3net.events: ", " embargoed", "GiB free", "sessions: ", "nothing is wrong", "downtime: 2090"):
        assert words in told.output, told.output
    assert "is withdrawn" in run(main, ["downtime", "--withdraw", "1"]).output


def test_what_is_wrong_is_told_with_what_to_type(published: Database, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    state = look(settings, published, read_catalog(settings.schemas))
    assert troubles.of(state, settings) == []
    events = next(table for table in state.tables if table.table == "km3net.events")
    state.tables = [replace(events, due=5, doubled=1, checked_at=datetime.now(UTC) - timedelta(days=1))]
    state.free, state.sessions, state.clock = 2**30, state.most_sessions, "the clock is ahead"
    state.jobs = [("QUEUED", "short", 3, 900.0), ("QUEUED", "long", 9, 9000.0)]
    state.channels, state.held = [("gcn", 7, 400.0, 0), ("hop", 1, 20.0, 2)], 1
    told = troubles.of(state, settings)
    for words, command in (
        *(("little room", "make room"), ("connections", "KM3VO_WORKERS"), ("the clock is ahead", "--clock-checked")),
        *(("nobody looks", "running?"), ("public already", "km3vo release status"), ("3 short jobs", "running?")),
        *(("7 alerts wait for gcn", "alert channels"), ("2 alerts were given up on hop", "alert log")),
        ("1 alerts wait for a person", "alert held"),
    ):
        assert sum(words in trouble and command in trouble for trouble in told) == 1, (words, told)
    assert len(told) == 9
    away = look(settings, Database("host=/nowhere dbname=none", published.passwords), read_catalog(settings.schemas))
    assert any("cannot log in" in trouble for trouble in troubles.of(away, settings))


def test_metrics_have_a_port_of_their_own(home: Path) -> None:
    """They tell of embargoed events, so the service's own port has none of them; two processes are added up.

    Each of the processes writes a line for each request.
    """
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    settings = {"KM3VO_PORT": str(ports[0]), "KM3VO_METRICS_PORT": str(ports[1]), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", "from km3vo.commands.main import main; main()", "serve", "--workers", "2"]
    url, metrics = (f"http://127.0.0.1:{port}" for port in ports)
    with subprocess.Popen(command, env=os.environ | settings, stderr=subprocess.PIPE) as process:
        try:
            until = time.monotonic() + 180  # two processes begin, on a machine that may be busy
            while True:
                assert process.poll() is None and time.monotonic() < until
                try:
                    httpx.get(f"{url}/healthz")
                    break
                except httpx.TransportError:
                    time.sleep(0.2)
            for _ in range(20):
                asked = {"LANG": "ADQL", "QUERY": QUICK}
                assert httpx.get(f"{url}/tap/sync", params=asked).status_code == 200
            assert httpx.get(f"{url}/metrics").status_code == 404
            while 'lane="short",state="held"' not in (told := httpx.get(metrics).text):
                assert time.monotonic() < until, told
                time.sleep(0.5)
        finally:
            process.terminate()
            process.wait(30)
        assert process.stderr
        lines = [json.loads(line) for line in process.stderr if line.startswith(b"{")]
    answered = [line for line in lines if (line["logger"], line.get("route")) == ("km3vo.access", "/tap/sync")]
    assert len({line["request"] for line in answered}) == 20
    assert {(line["level"], line["status"], line["audience"]) for line in answered} == {("info", 200, "public")}
    assert all(line["time"].endswith("Z") and line["ms"] > 0 and line["bytes"] > 0 for line in answered)
    assert 'km3vo_requests_total{audience="public",route="/tap/sync",status="200"} 20.0' in told
    for name in (
        'km3vo_request_seconds_bucket{le="1.0",route="/tap/sync"}',
        'km3vo_events{state="embargoed",table="km3net.events"} 1', 'km3vo_promotion_lag_seconds{table="km3net.events"}',
        "km3vo_disk_free_bytes ", "km3vo_clock_trusted 1.0", "km3vo_up 1.0", "km3vo_sessions ", "km3vo_memory_bytes ",
    ):  # fmt: skip
        assert name in told, f"{name}\n{told}"


def test_a_slow_query_is_told_by_its_form(
    copy_published: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("KM3VO_LIMITS_SHORT_SECONDS", "0.01")
    query = "SELECT COUNT(*) FROM icecube.ps3yr AS a, icecube.ps3yr AS b WHERE a.ra + b.ra < 4711"
    with serve(copy_published, tmp_path) as server, (client := Client(server)).http, caplog.at_level(logging.INFO):
        assert client.sync(query).status_code == 200
        until = time.monotonic() + 20
        while not (told := [record for record in caplog.records if record.message == "slow query"]):
            assert time.monotonic() < until
            time.sleep(0.05)
    fields = vars(told[0])["fields"]
    assert fields["fingerprint"] == fingerprint(query.replace("4711", "12").lower())
    assert fields["lane"] == "long" and fields["seconds"] > 0
    assert "4711" not in str(fields)


def test_fingerprints() -> None:
    assert fingerprint("SELECT a FROM t WHERE b = 'x' -- y") == fingerprint("select  A from T where B='z'")
    assert fingerprint("SELECT a FROM t WHERE b = 1") != fingerprint("SELECT a FROM t WHERE c = 1")
    assert len(fingerprint("not § ADQL")) == 12


def test_rules_and_dashboard_speak_of_figures_that_there_are() -> None:
    code = "".join((ROOT / "km3vo" / name).read_text() for name in ("metrics.py", "operating/metrics_server.py"))
    known = set(re.findall(r'"(km3vo_\w+)"', code))
    for file in ("alerts.yaml", "grafana.json"):
        for name in re.findall(r"km3vo_\w+", (ROOT / "docs" / "monitoring" / file).read_text()):
            assert re.sub("_(total|bucket)$", "", name) in known, f"{file} has {name}"


def test_what_is_there_from_the_start_is_not_looked_through_again(published: Database, tmp_path: Path) -> None:
    with serve(published, tmp_path):
        assert gc.get_freeze_count() > 100_000
