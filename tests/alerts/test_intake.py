"""Sending standard events: what is kept, what is refused, and that nothing is changed or doubled afterwards."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from km3vo.alerts import intake, records
from km3vo.alerts.intake import EarlyError, Sender, accept
from km3vo.alerts.mistakes import ClashError
from km3vo.alerts.redaction import redact
from km3vo.alerts.tables import AlertTables
from km3vo.catalog.files import read_catalog
from km3vo.database.logins import MEMBER, OWNER, PUBLIC, SERVICE, Database
from km3vo.embargo import tokens
from km3vo.errors import ConflictError, ForbiddenError, GoneError
from tests.support import samples
from tests.support.folders import ROOT
from tests.support.server import Server, serve

ME = Sender("me")
CATALOG = read_catalog(ROOT / "schemas")


def fresh(**changes: Any) -> dict[str, Any]:
    """A current alert of this minute."""
    now = datetime.now(UTC).isoformat()
    message = samples.current(time=now) | changes
    message["events"] = [message["events"][0] | {"time": now}]
    return message


@pytest.fixture
def service(copy_published: Database) -> Iterator[psycopg.Connection]:
    with copy_published.connect(SERVICE, autocommit=True) as connection:
        yield connection


def send(connection: psycopg.Connection, message: dict[str, Any], sender: Sender = ME, **options: Any) -> Any:
    return accept(connection, json.dumps(message).encode(), sender, **options)


def count(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT count(*) FROM km3vo.alert").fetchone()
    assert row is not None
    return int(row[0])


def test_an_alert_and_its_life(service: psycopg.Connection) -> None:
    first = send(service, fresh()).record
    day = f"{first.said.time:%y%m%d}"
    assert (first.number, first.event_name, first.revision) == (1, f"KM3-{day}A", 1)
    better = send(service, fresh(type="update", ra=11.0)).record
    assert (better.number, better.event_name, better.revision) == (2, first.event_name, 2)
    with pytest.raises(ConflictError, match="is called"):
        send(service, fresh(type="update", event_name=f"KM3-{day}Z"))
    last = send(service, samples.retraction()).record
    assert (last.said.type, last.said.ra, last.said.text) == ("retraction", 11.0, "An optical beacon was on.")
    with pytest.raises(ConflictError, match="only another initial"):
        send(service, fresh(type="update", ra=12.0))
    again = send(service, fresh(ra=200.0)).record
    assert (again.event_name, again.revision) == (f"KM3-{day}B", 1)
    assert [one.said for one in records.find(service, first.event_name)] == [first.said, better.said, last.said]


def test_what_is_stored_reads_back_as_it_was(service: psycopg.Connection) -> None:
    for sample in (samples.km3_230213a, samples.multiplet, samples.supernova):
        message = sample() | {"time": "2023-02-13T01:16:47.703Z", "tense": "archival"}
        message["events"] = [one | {"time": message["time"]} for one in message.get("events", ())]
        made = send(service, message).record
        assert records.find(service, made.event_name)[0] == made


def test_a_message_sent_again_changes_nothing(service: psycopg.Connection) -> None:
    message = fresh()
    one, two = send(service, message), send(service, dict(reversed(message.items())))
    assert (one.repeated, two.repeated) == (False, True)
    assert one.answer == two.answer and count(service) == 1
    assert [each.what for each in records.log(service, None, 9)] == ["accepted", "repeated"]


def test_another_alert_of_the_same_identifier_is_told_apart(service: psycopg.Connection) -> None:
    send(service, fresh())
    with pytest.raises(ClashError) as caught:
        send(service, fresh(far=1e-9))
    assert "far" in [each.path for each in caught.value.mistakes] and "1e-09" in str(caught.value)
    with pytest.raises(ConflictError, match="pipeline orca_HE"):
        send(service, fresh(type="update", pipeline="other"))
    with pytest.raises(ConflictError, match="only a test revises a test"):
        send(service, fresh(type="update", tense="test"))
    assert count(service) == 1


def test_a_key_belongs_to_one_message(service: psycopg.Connection) -> None:
    message = fresh()
    one = send(service, message, key="k")
    assert send(service, message, key="k").answer == one.answer
    with pytest.raises(ConflictError, match="Idempotency-Key"):
        send(service, fresh(alert_id="b"), key="k")
    send(service, fresh(alert_id="b"), Sender("another"), key="k")


def test_names_of_tests_count_by_themselves(service: psycopg.Connection) -> None:
    test = send(service, fresh(tense="test", alert_id="t")).record
    real = send(service, fresh()).record
    assert test.event_name == f"TEST-{real.event_name}" and real.event_name.endswith("A")


def test_what_a_sender_may_not(service: psycopg.Connection) -> None:
    with pytest.raises(ForbiddenError, match="tests alone"):
        send(service, fresh(), Sender("x", tests_only=True))
    with pytest.raises(ForbiddenError, match="not of orca_HE"):
        send(service, fresh(), Sender("x", pipelines=("arca_HE",)))
    send(service, fresh(tense="test"), Sender("x", tests_only=True, pipelines=("orca_HE",)))
    assert count(service) == 1
    assert [each.what for each in records.log(service, None, 9)] == ["refused", "refused", "accepted"]


def test_offline_data_need_a_reason(service: psycopg.Connection) -> None:
    send(service, fresh())
    offline = fresh(type="update", reconstruction="offline", ra=11.0)
    with pytest.raises(Exception, match="an operator sends it"):
        send(service, offline)
    send(service, offline, Sender("ada", offline_reason="decided"))
    assert records.log(service, None, 1)[0].detail == "decided"


def test_a_revision_that_comes_early_is_refused(service: psycopg.Connection) -> None:
    with pytest.raises(EarlyError):
        send(service, fresh(type="update"))
    assert records.log(service, None, 9) == []


def test_clocks_that_differ(service: psycopg.Connection) -> None:
    now = datetime.now(UTC)
    with pytest.raises(Exception, match="mend the clock"):
        send(service, fresh(sent=(now - timedelta(minutes=5)).isoformat()))


def test_a_dry_run_keeps_nothing(service: psycopg.Connection) -> None:
    assert send(service, fresh(), dry_run=True).record.event_name
    assert count(service) == 0 and records.log(service, None, 9) == []


def test_names_and_numbers_are_given_one_after_the_other(copy_published: Database) -> None:
    made: list[Any] = []

    def work(number: int) -> None:
        with copy_published.connect(SERVICE, autocommit=True) as connection:
            made.extend(send(connection, fresh(alert_id=f"{number}-{n}")).record for n in range(5))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.number for one in made) == list(range(1, 31))
    assert len({one.event_name for one in made}) == 30


def test_revisions_are_never_changed(copy_published: Database, service: psycopg.Connection) -> None:
    name = send(service, fresh()).record.event_name
    with copy_published.connect(OWNER, autocommit=True) as owner:
        for statement in (
            "UPDATE km3vo.alert SET document = '{}'",
            "UPDATE km3vo.alert SET document = NULL, redacted = now(), revision = 7",
            "DELETE FROM km3vo.alert",
            "TRUNCATE km3vo.alert CASCADE",
        ):
            with pytest.raises(psycopg.errors.RaiseException, match="never changed"):
                owner.execute(statement)
    for login in (PUBLIC, MEMBER):
        with copy_published.connect(login) as reader, pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("SELECT * FROM km3vo.alert")
    with copy_published.connect(OWNER) as owner:
        assert redact(owner, name, AlertTables(CATALOG), reason="a court", by="ada") == 1
    (left,) = records.find(service, name)
    with pytest.raises(GoneError):
        _ = left.said
    assert records.log(service, name, 1)[0].detail == "a court"


# By HTTP


@pytest.fixture(scope="module")
def alerting(published: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KM3VO_ALERTS_EARLY_SECONDS", "0")
        with serve(published, tmp_path_factory.mktemp("home"), promote_seconds=0, metadata_seconds=0) as running:
            yield running


@pytest.fixture(scope="module")
def token(published: Database) -> Callable[..., dict[str, str]]:
    return partial(samples.token, published)


def post(server: Server, message: Any, headers: dict[str, str], **options: Any) -> httpx.Response:
    return httpx.post(f"{server.url}/alerts", json=message, headers=headers, timeout=60, **options)


def test_sending_by_http(alerting: Server, token: Callable[..., dict[str, str]]) -> None:
    headers, message = token("alerts:write"), fresh(alert_id="h-1")
    made = post(alerting, message, headers)
    assert made.status_code == 201, made.text
    answer = made.json()
    assert made.headers["location"] == answer["url"] == f"{alerting.url}/alerts/{answer['event_name']}"
    again = post(alerting, message, headers)
    assert (again.status_code, again.json()) == (200, answer)
    wrong = post(alerting, fresh(alert_id="h-2", ra=361, dec=None), headers)
    assert wrong.status_code == 422
    assert [each["path"] for each in wrong.json()["mistakes"]] == ["ra", "dec"]
    assert all(each["repair"] for each in wrong.json()["mistakes"])
    assert post(alerting, fresh(alert_id="h-1", far=1e-12), headers).status_code == 409
    assert post(alerting, fresh(alert_id="h-3", type="update"), headers).status_code == 409
    large = httpx.post(
        f"{alerting.url}/alerts", content=b" " * 2**21, headers=headers | {"Content-Type": "application/json"}
    )
    assert large.status_code == 413
    assert httpx.post(f"{alerting.url}/alerts", content=b"{}", headers=headers).status_code == 415
    written = headers | {"Content-Type": "Application/JSON; charset=utf-8"}
    assert httpx.post(f"{alerting.url}/alerts", content=json.dumps(message), headers=written).status_code == 200


def test_who_may_send(alerting: Server, token: Callable[..., dict[str, str]]) -> None:
    nobody = post(alerting, fresh(), {})
    assert nobody.status_code == 401 and "Bearer" in nobody.headers["www-authenticate"]
    assert post(alerting, fresh(), token(audience="member")).status_code == 403
    assert post(alerting, fresh(), token("alerts:test")).status_code == 403
    assert post(alerting, fresh(), token("alerts:write", pipelines=("arca_HE",))).status_code == 403
    assert post(alerting, fresh(alert_id="w", tense="test"), token("alerts:test")).status_code == 201
    # It reads what the public does.
    query = {"LANG": "ADQL", "QUERY": "SELECT COUNT(*) AS n FROM km3net.events", "RESPONSEFORMAT": "csv"}
    seen = [httpx.get(f"{alerting.tap}/sync", params=query, headers=one).text for one in ({}, token("alerts:write"))]
    assert seen[0] == seen[1]


def test_a_dry_run_shows_what_would_go_out(alerting: Server, token: Callable[..., dict[str, str]]) -> None:
    shown = post(alerting, fresh(alert_id="d-1"), token("alerts:write"), params={"dry_run": "1"})
    assert shown.status_code == 200
    would = shown.json()["would_send"]
    assert would["json"]["id"] == "d-1" and "<voe:VOEvent" in would["xml"] and "EVENT_NAME" in would["txt"]
    assert httpx.get(shown.json()["url"]).status_code == 404


def test_a_revision_waits_for_its_alert(
    copy_published: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KM3VO_ALERTS_EARLY_SECONDS", "60")
    with copy_published.connect(OWNER) as owner:
        made = tokens.create(
            owner, "p", audience="public", label="", valid=timedelta(1), by="t", scopes=["alerts:write"]
        )
    headers = {"Authorization": f"Bearer {made[1]}"}
    with serve(copy_published, tmp_path, promote_seconds=0, metadata_seconds=0) as server:
        answers: list[httpx.Response] = []
        update = threading.Thread(target=lambda: answers.append(post(server, fresh(type="update", ra=11.0), headers)))
        update.start()
        first = post(server, fresh(), headers)
        update.join()
    assert (first.status_code, answers[0].status_code) == (201, 201)
    assert answers[0].json()["revision"] == 2


def test_away_from_its_database_it_keeps_nothing(
    alerting: Server, token: Callable[..., dict[str, str]], published: Database
) -> None:
    headers, message = token("alerts:write"), fresh(alert_id="away")
    answers: list[httpx.Response] = []
    with published.connect(SERVICE) as holding, published.connect(autocommit=True) as admin:
        holding.execute(intake.TURN)
        sending = threading.Thread(target=lambda: answers.append(post(alerting, message, headers)))
        sending.start()
        cut = 0
        while not cut:
            cut = admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE usename = %s AND wait_event_type = 'Lock' AND datname = current_database()",
                (SERVICE,),
            ).rowcount
        sending.join()
    assert answers[0].status_code == 503 and answers[0].headers["retry-after"]
    assert post(alerting, message, headers).status_code == 201
