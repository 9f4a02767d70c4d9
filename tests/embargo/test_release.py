"""What operators and the public are told about releases, and the promotion in the background."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from km3vo.catalog.model import Catalog, Table
from km3vo.errors import ConflictError, NotFoundError, SetupError
from km3vo.store import release, release_decisions
from km3vo.store.database import OWNER, SERVICE, Database
from km3vo.store.release_task import Promoter
from tests.embargo.lab import add_alert, add_event

pytestmark = pytest.mark.slow


def wait_for(condition: object, seconds: float = 20) -> None:
    assert callable(condition)
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


def public(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT count(*) FROM lab.alerts_public").fetchone()
    assert row is not None
    return int(row[0])


def test_status_and_plan(
    owner: psycopg.Connection, service: psycopg.Connection, events: Table, catalog: Catalog
) -> None:
    soon = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=728)
    for event, observed in (("old", "2015-01-01"), ("soon", soon), ("failed", "2015-01-01"), ("pending", soon)):
        add_event(owner, event, observed)
    with owner.transaction():
        release_decisions.set_quality(owner, events, "failed", ["failed"], reason="noise", who="me")
        release_decisions.set_quality(owner, events, "passed", ["old", "soon"], reason="fine", who="me")
    release_decisions.hold(owner, events, "later", until=None, reason="why", who="me")
    before = release.status(owner, events)
    assert (before.public, before.embargoed, before.pending, before.failed, before.due) == (0, 4, 1, 1, 1)
    assert (before.held, before.early, before.doubled, before.looked_at) == (1, 0, 0, None)
    assert before.next is not None and before.next > datetime.now(UTC)
    assert [row[1:] for row in release.plan(owner, events, 30)] == [(1, 0), (1, 1)]
    release.run(service, catalog.tables)
    after = release.status(owner, events)
    assert (after.public, after.embargoed, after.due) == (1, 3, 0)
    assert after.looked_at is not None and after.released_at is not None


def test_status_tells_of_a_latency_set_by_command(owner: psycopg.Connection, events: Table) -> None:
    assert release.status(owner, events).described is None
    release_decisions.set_latency(owner, "slow", "never", reason="why", who="me")
    assert (release.status(owner, events).latency, release.status(owner, events).described) == (None, "P2Y")


def test_public_figures_do_not_depend_on_embargoed_events(
    owner: psycopg.Connection, service: psycopg.Connection, events: Table, alerts: Table
) -> None:
    assert release.released_up_to(service, events) is None
    assert release.last_release(service, events) is None
    at = datetime(2024, 2, 29, 12, tzinfo=UTC)
    figures = []
    for step in range(2):
        if step:
            add_event(owner, "a", "2024-02-28")
        release.run(service, [events, alerts], at=at)
        figures.append([release.released_up_to(service, events), release.released_up_to(service, alerts)])
        assert release.last_release(service, events) is None
    assert figures[0] == figures[1] == [datetime(2022, 2, 28, 12) + timedelta(days=1 - 1), datetime(2024, 2, 29, 11)]
    add_alert(owner, 1, "2020-01-01")
    release.run(service, [alerts])
    assert release.last_release(service, alerts) is not None
    assert release.last_release(service, events) is None


def test_decisions_say_what_is_wrong(owner: psycopg.Connection, service: psycopg.Connection, alerts: Table) -> None:
    add_alert(owner, 1, "2020-01-01")
    release.run(service, [alerts])
    with pytest.raises(ConflictError, match=r"1 of lab\.alerts is public already"):
        release_decisions.hold(owner, alerts, "1", until=None, reason="why", who="me")
    with pytest.raises(NotFoundError, match=r"identifier .*lab\.alerts x"):
        release_decisions.hold(owner, alerts, "x", until=None, reason="why", who="me")
    release_decisions.hold(owner, alerts, "2", until=None, reason="why", who="me")
    with pytest.raises(ConflictError, match=r"km3vo release lift lab\.alerts 2"):
        release_decisions.release_early(owner, alerts, "2", at=None, reason="why", who="me")


def test_clock_that_jumped_is_told(owner: psycopg.Connection, service: psycopg.Connection, alerts: Table) -> None:
    owner.execute("UPDATE km3vo.embargoed SET clock_checked_at = now() - interval '1 year'")
    with pytest.raises(SetupError, match="--clock-checked"):
        release.run(service, [alerts])
    release.confirm_clock(owner)
    release.run(service, [alerts])


def test_the_background_releases(database: Database, owner: psycopg.Connection, catalog: Catalog) -> None:
    promoters = [Promoter(database, catalog.tables, 0.1) for _ in range(3)]
    for promoter in promoters:
        promoter.start()
    try:
        add_alert(owner, 1, "2020-01-01")
        wait_for(lambda: public(owner) == 1)
        # Whoever holds the lock goes; another one goes on.
        with database.connect() as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE usename = %s AND datname = current_database()",
                (SERVICE,),
            )
        promoters[0].stop()
        add_alert(owner, 2, "2020-01-01")
        wait_for(lambda: public(owner) == 2)
    finally:
        for promoter in promoters:
            promoter.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "promotion"]


def test_the_background_stops_when_the_clock_leaps(
    database: Database, owner: psycopg.Connection, alerts: Table, caplog: pytest.LogCaptureFixture
) -> None:
    """The clock cannot be set here, so the promoter is told that it last looked an hour ago, a moment ago by uptime."""
    add_alert(owner, 1, "2020-01-01")
    promoter = Promoter(database, [alerts], 0)
    with database.connect(SERVICE, autocommit=True) as connection:
        assert promoter._clock_is_steady(connection)
        assert promoter._seen is not None
        uptime, clock, checked = promoter._seen
        promoter._seen = uptime, clock - timedelta(hours=1), checked
        with caplog.at_level(logging.ERROR):
            promoter._look(connection)
        assert public(owner) == 0
        assert "jumped ahead" in caplog.text
        with database.connect(OWNER) as other:
            release.confirm_clock(other)
        promoter._look(connection)
        assert public(owner) == 1
