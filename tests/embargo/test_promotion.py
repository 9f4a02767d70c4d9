"""Events pass into the public partition when they are due, by the database's clock alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from km3vo.catalog.model import Table
from km3vo.store import embargo
from km3vo.store.database import INGEST, OWNER, SERVICE, Database
from tests.embargo.lab import add_alert, add_event, where

pytestmark = pytest.mark.slow


def test_due_and_checked_events_are_released(
    owner: psycopg.Connection, service: psycopg.Connection, events: Table
) -> None:
    for event, observed, quality in (
        ("old", "2015-06-01", "passed"),
        ("old_pending", "2015-06-01", "pending"),
        ("old_failed", "2015-06-01", "failed"),
        ("new", "now", "passed"),
        ("nan", "infinity", "passed"),
    ):
        add_event(owner, event, observed)
        owner.execute("UPDATE lab.events SET _qc = %s WHERE event_id = %s", (quality, event))
    done = embargo.promote(service, events)
    assert (done.moved, done.complete, done.up_to) == (1, True, datetime(2017, 6, 1, tzinfo=UTC))
    assert {event: where(owner, event) for event in ("old", "old_pending", "old_failed", "new", "nan")} == {
        "old": "p",
        "old_pending": "e",
        "old_failed": "e",
        "new": "e",
        "nan": "e",
    }
    # Late data wait for quality control, and for nothing else.
    owner.execute("SELECT km3vo.set_quality('lab.events', 'passed', NULL, 'looked at', 'me')")
    assert embargo.promote(service, events).moved == 1
    assert where(owner, "old_pending") == "p"
    assert where(owner, "old_failed") == "e"


def test_at_can_only_be_earlier(owner: psycopg.Connection, service: psycopg.Connection, alerts: Table) -> None:
    add_alert(owner, 1, "2020-01-01")
    add_alert(owner, 2, "2021-01-01")
    add_alert(owner, 3, datetime.now(UTC).replace(tzinfo=None) - timedelta(minutes=59))
    assert embargo.promote(service, alerts, at=datetime(2020, 6, 1, tzinfo=UTC)).moved == 1
    assert embargo.promote(service, alerts, at=datetime(2999, 1, 1, tzinfo=UTC)).moved == 1
    assert owner.execute("SELECT number FROM lab.alerts_embargo").fetchall() == [(3,)]


def test_a_batch_takes_the_time_it_takes(owner: psycopg.Connection, service: psycopg.Connection, alerts: Table) -> None:
    """A batch that the login's time limit cut off would be tried, and cut off, for ever."""
    owner.execute("INSERT INTO lab.alerts (number, obs_time) SELECT n, '2020-01-01' FROM generate_series(1, 5000) AS n")
    service.execute("SET statement_timeout = '50ms'")
    assert embargo.promote(service, alerts).moved == 5000
    assert service.execute("SHOW statement_timeout").fetchone() == ("50ms",)


def test_in_batches(owner: psycopg.Connection, service: psycopg.Connection, alerts: Table) -> None:
    owner.execute("INSERT INTO lab.alerts (number, obs_time) SELECT n, '2020-01-01' FROM generate_series(1, 100) AS n")
    assert embargo.promote(service, alerts, batch=7).moved == 100
    assert owner.execute("SELECT count(*), count(DISTINCT number) FROM lab.alerts_public").fetchone() == (100, 100)
    log = owner.execute("SELECT sum(rows), count(*) FROM km3vo.release_log WHERE what = 'release'").fetchone()
    assert log == (100, 15)
    assert embargo.promote(service, alerts).moved == 0


def test_one_at_a_time(database: Database, owner: psycopg.Connection, alerts: Table) -> None:
    owner.execute("INSERT INTO lab.alerts (number, obs_time) SELECT n, '2020-01-01' FROM generate_series(1, 3000) AS n")
    with database.connect(SERVICE) as slow, database.connect(SERVICE, autocommit=True) as other:
        slow.execute("SELECT * FROM km3vo.promote('lab.alerts', 10)")
        done = embargo.promote(other, alerts)
        assert (done.moved, done.complete) == (0, False)
    moved = []

    def run() -> None:
        with database.connect(SERVICE, autocommit=True) as connection:
            while not (done := embargo.promote(connection, alerts, batch=50)).complete:
                moved.append(done.moved)
            moved.append(done.moved)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(moved) == 2990
    assert owner.execute("SELECT count(*), count(DISTINCT number) FROM lab.alerts_public").fetchone() == (3000, 3000)


def test_readers_are_not_blocked(database: Database, owner: psycopg.Connection) -> None:
    add_alert(owner, 1, "2020-01-01")
    with database.connect(SERVICE) as mover, database.connect("km3vo_public", autocommit=True) as reader:
        mover.execute("SELECT * FROM km3vo.promote('lab.alerts')")
        reader.execute("SET lock_timeout = '100ms'")
        assert reader.execute("SELECT count(*) FROM lab.alerts_public").fetchone() == (0,)
        mover.commit()
        assert reader.execute("SELECT count(*) FROM lab.alerts_public").fetchone() == (1,)


def test_a_clock_that_jumped_releases_nothing(
    owner: psycopg.Connection, service: psycopg.Connection, alerts: Table
) -> None:
    """The last look and the last word of a person are more than a week ago by the clock: somebody has to look at it."""
    add_alert(owner, 1, "2020-01-01")
    owner.execute(
        "UPDATE km3vo.embargoed SET looked_at = now() - interval '8 days', clock_checked_at = now() - interval '1 year'"
    )
    with pytest.raises(psycopg.Error) as refusal:
        embargo.promote(service, alerts)
    assert refusal.value.sqlstate == "KM002"
    owner.execute("UPDATE km3vo.embargoed SET clock_checked_at = clock_timestamp()")
    assert embargo.promote(service, alerts).moved == 1


def test_a_clock_that_was_set_back_hides_nothing(
    owner: psycopg.Connection, service: psycopg.Connection, alerts: Table
) -> None:
    add_alert(owner, 1, "2020-01-01")
    embargo.promote(service, alerts)
    embargo.promote(service, alerts, at=datetime(2000, 1, 1, tzinfo=UTC))
    assert owner.execute("SELECT count(*) FROM lab.alerts_public").fetchone() == (1,)


def test_rules_wait_for_loads_and_apply_to_them(database: Database) -> None:
    """A hold placed while its event is being loaded is not missed, however the two end."""
    with database.connect(INGEST) as loader, database.connect(OWNER, autocommit=True) as owner:
        add_event(loader, "a", "2015-01-01")  # uncommitted
        owner.execute("SET lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            owner.execute("SELECT km3vo.except_event('lab.events', 'a', 'hold', 'infinity', 'why', 'who')")
        loader.commit()
        owner.execute("SELECT km3vo.except_event('lab.events', 'a', 'hold', 'infinity', 'why', 'who')")
        assert owner.execute("SELECT _release_time::text FROM lab.events").fetchone() == ("infinity",)


def test_how_public_rows_lie_does_not_tell_of_others(new_published: Callable[[], Database], events: Table) -> None:
    """Rows without ORDER BY come as they lie; a plan for moving them that depends on what stays would show there."""
    orders = []
    for hidden in (0, 20_000):
        with new_published().connect(OWNER, autocommit=True) as owner:
            owner.execute(
                "INSERT INTO lab.events (event_id, mjd, obs_time, ra, dec, err50) SELECT n, 60000, CASE "
                "WHEN n %% 100 = 0 THEN timestamp '2015-01-01' + n * interval '1 hour' ELSE '2090-01-01' END, "
                "n * 7 %% 360, n * 13 %% 90, 1 FROM generate_series(1, 30000) AS n WHERE n %% 100 = 0 OR n <= %s",
                (hidden,),
            )
            owner.execute("ANALYZE lab.events")
            owner.execute("SELECT km3vo.set_quality('lab.events', 'passed', NULL, '', '')")
            for _ in range(3):
                owner.execute("SELECT km3vo.promote('lab.events', 100)")
            orders.append(owner.execute("SELECT ctid::text, event_id FROM lab.events_public ORDER BY ctid").fetchall())
    assert len(orders[0]) == 300
    assert orders[0] == orders[1]
