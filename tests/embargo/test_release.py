"""What operators and the public are told about releases, and the promotion in the background."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from km3vo.catalog.model import Catalog, Table
from km3vo.database.logins import SERVICE, Database
from km3vo.embargo import decisions, release
from km3vo.embargo.promoter import Promoter
from km3vo.errors import ConflictError, NotFoundError
from km3vo.schedule import Schedule
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
        decisions.set_quality(owner, events, "failed", ["failed"], reason="noise", who="me")
        decisions.set_quality(owner, events, "passed", ["old", "soon"], reason="fine", who="me")
    decisions.hold(owner, events, "later", until=None, reason="why", who="me")
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
    decisions.set_latency(owner, "slow", "never", reason="why", who="me")
    assert (release.status(owner, events).latency, release.status(owner, events).described) == (None, "P2Y")


def test_public_figures_do_not_depend_on_embargoed_events(
    owner: psycopg.Connection, service: psycopg.Connection, events: Table, alerts: Table
) -> None:
    def up_to() -> dict[str, datetime | None]:
        return dict(service.execute(release.UP_TO).fetchall())

    assert set(up_to().values()) == {None}
    at = datetime(2024, 2, 29, 12, tzinfo=UTC)
    figures = []
    for step in range(2):
        if step:
            add_event(owner, "a", "2024-02-28")
        release.run(service, [events, alerts], at=at)
        figures.append(up_to())
    expected = {
        events.qualified: datetime(2022, 2, 28, 12),
        "km3net.alert_links": datetime(2022, 2, 28, 12),  # follows them
        alerts.qualified: datetime(2024, 2, 29, 11),
        "km3net.candidates": None,
    }
    assert figures == [expected, expected]


def test_decisions_say_what_is_wrong(owner: psycopg.Connection, service: psycopg.Connection, alerts: Table) -> None:
    add_alert(owner, 1, "2020-01-01")
    release.run(service, [alerts])
    with pytest.raises(ConflictError, match=r"1 of lab\.alerts is public already"):
        decisions.hold(owner, alerts, "1", until=None, reason="why", who="me")
    with pytest.raises(NotFoundError, match=r"identifier .*lab\.alerts x"):
        decisions.hold(owner, alerts, "x", until=None, reason="why", who="me")
    decisions.hold(owner, alerts, "2", until=None, reason="why", who="me")
    with pytest.raises(ConflictError, match=r"km3vo release lift lab\.alerts 2"):
        decisions.release_early(owner, alerts, "2", at=None, reason="why", who="me")


def test_the_background_releases(database: Database, owner: psycopg.Connection, catalog: Catalog) -> None:
    promoters = [Promoter(database, catalog.tables) for _ in range(3)]
    schedules = [Schedule() for _ in promoters]
    for schedule, promoter in zip(schedules, promoters, strict=True):
        schedule.every(0.1, "promotion", promoter.look)
        schedule.start()
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
        schedules[0].stop()
        promoters[0].close()
        add_alert(owner, 2, "2020-01-01")
        wait_for(lambda: public(owner) == 2)
    finally:
        for schedule, promoter in zip(schedules, promoters, strict=True):
            schedule.stop()
            promoter.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "promotion"]
