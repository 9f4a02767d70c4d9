"""Sky maps that come as files with their alerts."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from astropy.io import fits

from km3vo.alerts import holding, profile, revision
from km3vo.alerts.intake import release
from km3vo.alerts.redaction import redact
from km3vo.alerts.skymaps import files
from km3vo.alerts.tables import AlertTables
from km3vo.catalog.model import Catalog
from km3vo.database.logins import OWNER, SERVICE, Database
from tests.support import samples
from tests.support.samples import NOW
from tests.support.server import Server, serve


@pytest.fixture
def server(copy_published: Database, tmp_path: Path) -> Iterator[Server]:
    with serve(copy_published, tmp_path, promote_seconds=0, metadata_seconds=0) as running:
        yield running


@pytest.fixture
def headers(copy_published: Database) -> dict[str, str]:
    return samples.token(copy_published, "alerts:write")


@pytest.fixture(scope="module")
def skymap() -> bytes:
    """A map that no circle of the alert would make: an ellipse of its own."""
    ellipse = {"containment": 0.9, "semi_major": 8, "semi_minor": 1, "position_angle": 30}
    event = profile.check(samples.km3_230213a() | {"skymap": {"ellipse": ellipse}}, now=NOW)
    return files.document(revision.first(event, event_name="KM3-230213A", received=NOW))


def post(
    server: Server, headers: dict[str, str], message: dict[str, Any], skymap: bytes, **query: str
) -> httpx.Response:
    parts = {"event": ("e.json", json.dumps(message).encode()), "skymap": ("m.fits", skymap)}
    return httpx.post(f"{server.url}/alerts", files=parts, headers=headers, params=query, timeout=60)


def area(document: bytes) -> float:
    with fits.open(io.BytesIO(document)) as hdus:
        return float(hdus[1].header["CONT90"])


def test_the_map_that_was_sent_is_the_map_of_the_alert(server: Server, headers: dict[str, str], skymap: bytes) -> None:
    made = post(server, headers, samples.km3_230213a(), skymap)
    assert made.status_code == 201, made.text
    page = made.headers["location"]
    got = httpx.get(f"{page}.fits", timeout=60).content
    assert area(got) == pytest.approx(area(skymap), rel=1e-9)
    assert len(httpx.get(f"{page}.moc.fits", timeout=60).content) > 2880
    again = post(server, headers, samples.km3_230213a(), skymap)
    assert (again.status_code, again.json()["revision"]) == (200, 1)
    # The next revision names it.
    update = samples.km3_230213a() | {"type": "update", "energy": 2.2e8}
    update["skymap"] = {"file": hashlib.sha256(skymap).hexdigest()}
    second = httpx.post(f"{server.url}/alerts", json=update, headers=headers)
    assert second.status_code == 201, second.text
    assert area(httpx.get(f"{page}/2.fits", timeout=60).content) == pytest.approx(area(skymap), rel=1e-9)
    # One without has the circle.
    plain = samples.km3_230213a() | {"type": "update"}
    assert httpx.post(f"{server.url}/alerts", json=plain, headers=headers).status_code == 201
    assert area(httpx.get(f"{page}/3.fits", timeout=60).content) != pytest.approx(area(skymap), rel=0.1)


def test_what_is_wrong_with_a_map_is_told(server: Server, headers: dict[str, str], skymap: bytes) -> None:
    message = samples.km3_230213a()
    contradicting = message | {"skymap": {"file": "0" * 64}}
    for sent, file in ((message, skymap[:5000]), (message, b"no map"), (contradicting, skymap)):
        refused = post(server, headers, sent, file)
        assert refused.status_code == 422
        assert [each["path"] for each in refused.json()["mistakes"]] == ["skymap"]
    unknown = httpx.post(f"{server.url}/alerts", json=contradicting, headers=headers)
    assert [each["path"] for each in unknown.json()["mistakes"]] == ["skymap.file"]
    assert post(server, headers, message, skymap + bytes(21 * 2**20)).status_code == 413
    parts = {"event": ("e.json", b"{}"), "other": ("x", b"")}
    assert httpx.post(f"{server.url}/alerts", files=parts, headers=headers).status_code == 400
    assert httpx.get(f"{server.url}/alerts.json").json()["alerts"] == []


def kept(database: Database) -> int:
    with database.connect(SERVICE) as service:
        row = service.execute("SELECT count(*) FROM km3vo.alert_skymap").fetchone()
        assert row is not None
        return int(row[0])


def test_a_dry_run_keeps_no_map(
    server: Server, headers: dict[str, str], skymap: bytes, copy_published: Database
) -> None:
    assert post(server, headers, samples.km3_230213a(), skymap, dry_run="1").status_code == 200
    assert kept(copy_published) == 0


def test_an_alert_that_waited_has_its_map_and_redaction_takes_it_away(
    server: Server, headers: dict[str, str], skymap: bytes, copy_published: Database
) -> None:
    service = server.app.state.service
    with copy_published.connect(SERVICE, autocommit=True) as connection:
        holding.pause(connection, "", reason="maintenance", by="ada")
        assert post(server, headers, samples.km3_230213a(), skymap).json()["state"] == "held"
        (one,) = holding.waiting(connection)
        published = release(connection, one, service.outgoing)
    address = f"{server.url}/alerts/{published.record.event_name}.fits"
    assert area(httpx.get(address, timeout=60).content) == pytest.approx(area(skymap), rel=1e-9)
    with copy_published.connect(OWNER) as owner:
        redact(owner, published.record.event_name, AlertTables(Catalog(())), reason="a court", by="ada")
    assert kept(copy_published) == 0
    assert httpx.get(address).status_code == 410
