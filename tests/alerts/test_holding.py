"""Alerts that wait for a person: nobody hears of them until one decides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from km3vo.alerts import holding, records
from km3vo.alerts.intake import Accepted, Held, Sender, accept, release
from km3vo.alerts.sending.outbox import Outgoing
from km3vo.database.logins import SERVICE, Database
from km3vo.errors import NotFoundError
from km3vo.settings import Alerts, Settings
from tests.support import samples
from tests.support.server import serve


def settings(**changes: Any) -> Settings:
    made = Settings(url="https://vo.example.org")
    made.__dict__["alerts"] = Alerts(**changes)
    return made


def fresh(number: int = 0, **changes: Any) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    message = samples.current(time=now, alert_id=f"a-{number}") | changes
    return message | {"events": [one | {"time": now} for one in message["events"]]}


@pytest.fixture
def service(copy_published: Database) -> Iterator[psycopg.Connection]:
    with copy_published.connect(SERVICE, autocommit=True) as connection:
        yield connection


def send(connection: psycopg.Connection, message: dict[str, Any], outgoing: Outgoing | None = None) -> Any:
    return accept(connection, json.dumps(message).encode(), Sender("me"), outgoing=outgoing)


def test_a_pause_holds_all_but_retractions_of_what_is_public(service: psycopg.Connection) -> None:
    before, first = fresh(9), fresh(0)
    public = send(service, before)
    holding.pause(service, "orca_HE", reason="a test", by="ada")
    assert send(service, first) == Held("a-0", "paused: a test")
    assert send(service, first) == Held("a-0", "paused: a test")
    better = fresh(0, type="update", ra=11.0)
    assert send(service, better) == Held("a-0", "what it revises waits")
    assert isinstance(send(service, before), Accepted), "what is public already is known again"
    assert isinstance(send(service, samples.retraction(alert_id="a-9")), Accepted)
    assert isinstance(send(service, fresh(5, pipeline="arca_HE")), Accepted), "another pipeline"
    assert [one.alert_id for one in holding.waiting(service)] == ["a-0", "a-0"]
    holding.resume(service, "orca_HE")
    with pytest.raises(NotFoundError):
        holding.resume(service, "orca_HE")
    outgoing = Outgoing(settings())
    made = [release(service, one, outgoing).record for one in holding.waiting(service, alert="a-0")]
    assert [(one.revision, one.event_name) for one in made] == [(1, made[0].event_name), (2, made[0].event_name)]
    # Its name says that it was published third, and nothing of when it came.
    assert made[0].event_name == public.record.event_name[:-1] + "C"
    assert holding.waiting(service) == []


def test_what_waits_does_not_keep_a_public_alert_from_being_retracted(service: psycopg.Connection) -> None:
    assert isinstance(send(service, fresh(0, pipeline="arca_HE")), Accepted)
    holding.pause(service, "orca_HE", reason="a test", by="ada")
    # Another pipeline's message with the same alert_id, and an update of its own.
    assert isinstance(send(service, fresh(0)), Held)
    assert isinstance(send(service, samples.retraction(alert_id="a-0", pipeline="arca_HE")), Accepted)


def test_an_update_that_waits_does_not_keep_its_alert_from_being_retracted(service: psycopg.Connection) -> None:
    assert isinstance(send(service, fresh(0)), Accepted)
    holding.pause(service, "orca_HE", reason="a test", by="ada")
    assert isinstance(send(service, fresh(0, type="update", ra=11.0)), Held)
    assert isinstance(send(service, samples.retraction(alert_id="a-0")), Accepted)


def test_what_a_person_confirms(service: psycopg.Connection) -> None:
    outgoing = Outgoing(settings(confirm=["orca_HE"]))
    assert isinstance(send(service, fresh(0), outgoing), Held)
    assert isinstance(send(service, fresh(1, tense="test"), outgoing), Accepted)
    (one,) = holding.waiting(service, pipeline="orca_HE")
    release(service, one, outgoing)
    # Killed before it was noted that it waits no more, the same is done again.
    assert release(service, one, outgoing).repeated
    assert len(records.newest(service, 9)) == 1


def test_a_pipeline_that_runs_away(service: psycopg.Connection) -> None:
    outgoing = Outgoing(settings(most_a_day=2))
    taken = [send(service, fresh(number), outgoing) for number in range(4)]
    assert [isinstance(one, Accepted) for one in taken] == [True, True, False, False]
    assert taken[2].why == "there were 2 current alerts within a day"
    assert isinstance(send(service, samples.km3_230213a(), outgoing), Accepted), "archival ones do not count"


def test_nobody_outside_sees_what_is_held(
    copy_published: Database, service: psycopg.Connection, tmp_path: Path
) -> None:
    with serve(copy_published, tmp_path, promote_seconds=0, metadata_seconds=0) as server:
        paths = ["/alerts", "/alerts.json?test=1", "/alerts/feed.atom", "/alerts/stream?follow=0&last=0"]
        query = {"LANG": "ADQL", "QUERY": "SELECT COUNT(*) AS n FROM km3net.alerts", "RESPONSEFORMAT": "csv"}

        def seen() -> list[bytes]:
            pages = [httpx.get(server.url + path).content for path in paths]
            return [*pages, httpx.get(f"{server.tap}/sync", params=query).content]

        before = seen()
        holding.pause(service, "", reason="a test", by="ada")
        assert isinstance(send(service, fresh(0), server.app.state.service.outgoing), Held)
        assert seen() == before
