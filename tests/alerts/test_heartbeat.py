"""Heartbeats: who says that it looks for alerts, and who is missed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from km3vo.database.logins import SERVICE, Database
from km3vo.operating import troubles
from km3vo.operating.state import look
from tests.support import samples
from tests.support.server import Server, serve


@pytest.fixture
def server(copy_published: Database, tmp_path: Path) -> Iterator[Server]:
    with serve(copy_published, tmp_path, promote_seconds=0, metadata_seconds=0) as running:
        yield running


def beat(server: Server, headers: dict[str, str], **changes: Any) -> httpx.Response:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    message = {"pipeline": "arca_HE", "detector": "ARCA", "time": now, "status": "on", "latency_s": 9.5} | changes
    return httpx.post(f"{server.url}/alerts/heartbeat", json=message, headers=headers)


def detectors(server: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(f"{server.url}/alerts.json").json()["detectors"]
    return found


def age(database: Database, seconds: float) -> None:
    with database.connect(SERVICE) as service:
        service.execute("UPDATE km3vo.alert_heartbeat SET heard = heard - make_interval(secs => %s)", (seconds,))


def test_who_looks_is_shown(server: Server, copy_published: Database) -> None:
    headers = samples.token(copy_published, "alerts:write")
    assert detectors(server) == []
    heard = beat(server, headers)
    assert (heard.status_code, heard.json()["status"]) == (200, "on"), heard.text
    assert beat(server, headers, pipeline="arca_SN", status="degraded").status_code == 200
    assert beat(server, headers, pipeline="orca", detector="ORCA", status="off").status_code == 200
    assert [(one["detector"], one["looks"]) for one in detectors(server)] == [("ARCA", True), ("ORCA", False)]
    page = httpx.get(f"{server.url}/alerts").text
    assert "ARCA: looking for alerts, heard 0 s ago" in page or "heard 1 s ago" in page
    assert "ORCA: <strong>no alerts are to be expected</strong>" in page
    assert "arca_HE" not in page, "which pipelines there are is nobody's business"


def test_who_is_not_heard_any_more_is_missed(server: Server, copy_published: Database) -> None:
    service = server.app.state.service
    beat(server, samples.token(copy_published, "alerts:write"))
    told = troubles.of(look(server.settings, copy_published, service.published), server.settings)
    assert not [one for one in told if "arca_HE" in one]
    age(copy_published, 301)
    (arca,) = detectors(server)
    assert not arca["looks"] and arca["heard_seconds_ago"] >= 301
    told = troubles.of(look(server.settings, copy_published, service.published), server.settings)
    assert [one for one in told if one.startswith("pipeline arca_HE of ARCA was last heard 30")]


def test_beats_are_counted_by_the_hour(server: Server, copy_published: Database) -> None:
    headers = samples.token(copy_published, "alerts:write")
    for status in ("on", "on", "off"):
        beat(server, headers, status=status)
    with copy_published.connect(SERVICE) as service:
        counted = service.execute("SELECT sum(beats), sum(beats_on) FROM km3vo.alert_heartbeat_count").fetchone()
    assert counted == (3, 2)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"status": "fine"}, "status"),
        ({"detector": "ANTARES"}, "detector"),
        ({"latency_s": -1}, "latency_s"),
        ({"latency_s": None}, "latency_s"),
        ({"time": "yesterday"}, "time"),
        ({"time": "2023-02-13T01:16:47.703Z"}, "time"),
        ({"extra": 1}, "extra"),
    ],
)
def test_what_is_wrong_is_told(server: Server, copy_published: Database, changes: dict[str, Any], path: str) -> None:
    refused = beat(server, samples.token(copy_published, "alerts:write"), **changes)
    assert refused.status_code == 422
    assert [each["path"] for each in refused.json()["mistakes"]] == [path]
    assert detectors(server) == []


def test_who_may_speak_for_a_pipeline(server: Server, copy_published: Database) -> None:
    assert beat(server, {}).status_code == 401
    assert beat(server, samples.token(copy_published)).status_code == 403
    bound = samples.token(copy_published, "alerts:write", pipelines=("orca",))
    assert beat(server, bound).status_code == 403
    assert beat(server, bound, pipeline="orca", detector="ORCA").status_code == 200


def test_a_heartbeat_is_no_form(server: Server, copy_published: Database) -> None:
    headers = samples.token(copy_published, "alerts:write")
    refused = httpx.post(f"{server.url}/alerts/heartbeat", files={"event": ("e.json", b"{}")}, headers=headers)
    assert refused.status_code == 415
