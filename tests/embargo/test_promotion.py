"""Events pass into the public partition when they are due, by the database's clock alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from km3vo.catalog.model import Catalog, Table
from km3vo.database.logins import INGEST, OWNER, SERVICE, Database
from km3vo.embargo import decisions, partitions, release
from tests.embargo.lab import add_alert, add_event, where, where_alert

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
    done = partitions.promote(service, events)
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
    assert partitions.promote(service, events).moved == 1
    assert where(owner, "old_pending") == "p"
    assert where(owner, "old_failed") == "e"


def test_a_row_that_follows_waits_for_its_event(
    owner: psycopg.Connection, service: psycopg.Connection, events: Table, catalog: Catalog
) -> None:
    """However old it is; and it goes with its event, however new it is. The owner cannot make it go before."""
    links = catalog.table("km3net.alert_links")
    add_event(owner, "old", "2015-06-01")
    add_event(owner, "new", "2090-01-01")
    owner.execute(
        "INSERT INTO km3net.alert_links (link_id, event_name, event_id, obs_time) VALUES ('of old', 'a', 'old', "
        "'2015-06-01'), ('of new', 'a', 'new', '2015-06-01'), ('of none', 'a', 'none', '2015-06-01')"
    )
    assert partitions.promote(service, links).moved == 0
    assert release.status(owner, links).due == 0
    with pytest.raises(psycopg.Error) as refused:
        owner.execute(
            "INSERT INTO km3net.alert_links (link_id, event_name, event_id, obs_time, _qc, _release_time, _access) "
            "SELECT 'x' || link_id, event_name, event_id, obs_time, 'passed', _release_time, 'p' "
            "FROM km3net.alert_links"
        )
    assert refused.value.sqlstate == "KM001"
    with pytest.raises(psycopg.Error) as refused:
        owner.execute("UPDATE km3net.alert_links SET _access = 'p' WHERE link_id = 'of new'")
    assert refused.value.sqlstate == "KM001"
    owner.execute("SELECT km3vo.set_quality('lab.events', 'passed', NULL, 'looked at', 'me')")
    partitions.promote(service, events)
    assert release.status(owner, links).due == 1
    assert partitions.promote(service, links).moved == 1
    decisions.release_early(owner, events, "new", at=datetime(2020, 1, 1, tzinfo=UTC), reason="a paper", who="me")
    partitions.promote(service, events)
    assert partitions.promote(service, links).moved == 1
    seen = owner.execute("SELECT link_id FROM km3net.alert_links_public ORDER BY link_id").fetchall()
    assert seen == [("of new",), ("of old",)]


def test_at_can_only_be_earlier(owner: psycopg.Connection, service: psycopg.Connection, alerts: Table) -> None:
    add_alert(owner, 1, "2020-01-01")
    add_alert(owner, 2, "2021-01-01")
    add_alert(owner, 3, datetime.now(UTC).replace(tzinfo=None) - timedelta(minutes=59))
    assert partitions.promote(service, alerts, at=datetime(2020, 6, 1, tzinfo=UTC)).moved == 1
    assert partitions.promote(service, alerts, at=datetime(2999, 1, 1, tzinfo=UTC)).moved == 1
    assert owner.execute("SELECT number FROM lab.alerts_embargo").fetchall() == [(3,)]


def test_a_batch_takes_the_time_it_takes(owner: psycopg.Connection, service: psycopg.Connection, alerts: Table) -> None:
    """A batch that the login's time limit cut off would be tried, and cut off, for ever."""
    owner.execute("INSERT INTO lab.alerts (number, obs_time) SELECT n, '2020-01-01' FROM generate_series(1, 5000) AS n")
    service.execute("SET statement_timeout = '50ms'")
    assert partitions.promote(service, alerts).moved == 5000
    assert service.execute("SHOW statement_timeout").fetchone() == ("50ms",)


def test_in_batches(owner: psycopg.Connection, service: psycopg.Connection, alerts: Table) -> None:
    owner.execute("INSERT INTO lab.alerts (number, obs_time) SELECT n, '2020-01-01' FROM generate_series(1, 100) AS n")
    assert partitions.promote(service, alerts, batch=7).moved == 100
    assert owner.execute("SELECT count(*), count(DISTINCT number) FROM lab.alerts_public").fetchone() == (100, 100)
    log = owner.execute("SELECT sum(rows), count(*) FROM km3vo.release_log WHERE what = 'release'").fetchone()
    assert log == (100, 15)
    assert partitions.promote(service, alerts).moved == 0


def test_what_is_due_by_its_latency_waits_for_the_daily_batch(
    owner: psycopg.Connection, service: psycopg.Connection, alerts: Table
) -> None:
    """Lists get an edition a day and not one a minute. What a person releases early is punctual."""
    ((now, midnight),) = owner.execute("SELECT c, date_trunc('day', c, 'UTC') FROM clock_timestamp() AS c").fetchall()
    hour, day = timedelta(hours=1), timedelta(days=1)  # the latency of alerts, and the batch
    today = (midnight + (now - midnight) / 2 - hour).astimezone(UTC).replace(tzinfo=None)
    add_alert(owner, 1, (midnight - 2 * hour).astimezone(UTC).replace(tzinfo=None))
    add_alert(owner, 2, today)
    add_alert(owner, 3, "2090-01-01")
    decisions.release_early(owner, alerts, "3", at=None, reason="why", who="who")
    assert release.run(service, [alerts], every=day)[0].moved == 2
    assert [where_alert(owner, number) for number in (1, 2, 3)] == ["p", "e", "p"]
    assert release.status(owner, alerts).looked_at == midnight
    assert partitions.promote(service, alerts).moved == 1
    looked = release.status(owner, alerts).looked_at
    add_alert(owner, 4, today)
    assert release.run(service, [alerts], every=day)[0].moved == 1, "it was due when somebody looked"
    told = release.status(owner, alerts)
    assert told.looked_at == looked
    assert told.checked_at is not None and looked is not None and told.checked_at > looked
    assert release.next_batch(now, day) == midnight + day
    assert release.next_batch(midnight + 9 * hour, 5 * hour) == midnight + 10 * hour


def test_one_at_a_time(database: Database, owner: psycopg.Connection, alerts: Table) -> None:
    owner.execute("INSERT INTO lab.alerts (number, obs_time) SELECT n, '2020-01-01' FROM generate_series(1, 3000) AS n")
    with database.connect(SERVICE) as slow, database.connect(SERVICE, autocommit=True) as other:
        slow.execute("SELECT * FROM km3vo.promote('lab.alerts', 10)")
        done = partitions.promote(other, alerts)
        assert (done.moved, done.complete) == (0, False)
    moved = []

    def run() -> None:
        with database.connect(SERVICE, autocommit=True) as connection:
            while not (done := partitions.promote(connection, alerts, batch=50)).complete:
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


def test_the_database_refuses_a_clock_that_nobody_found_right(
    owner: psycopg.Connection, service: psycopg.Connection, alerts: Table
) -> None:
    """The net below km3vo/embargo/clock.py: whoever calls the promotion, it does nothing."""
    add_alert(owner, 1, "2020-01-01")
    for change in ("good_at = now() - interval '25 hours'", "good_at = now(), stopped = 'a backup was restored'"):
        owner.execute(f"UPDATE km3vo.clock SET {change}")
        with pytest.raises(psycopg.Error) as refusal:
            partitions.promote(service, alerts)
        assert refusal.value.sqlstate == "KM002"
    owner.execute("UPDATE km3vo.clock SET stopped = NULL")
    assert partitions.promote(service, alerts).moved == 1


def test_a_clock_that_was_set_back_hides_nothing(
    owner: psycopg.Connection, service: psycopg.Connection, alerts: Table
) -> None:
    add_alert(owner, 1, "2020-01-01")
    partitions.promote(service, alerts)
    partitions.promote(service, alerts, at=datetime(2000, 1, 1, tzinfo=UTC))
    assert owner.execute("SELECT count(*) FROM lab.alerts_public").fetchone() == (1,)


def test_rules_wait_for_loads_and_apply_to_them(database: Database) -> None:
    """An early release decided while its event is being loaded is not missed, however the two end."""
    with database.connect(INGEST) as loader, database.connect(OWNER, autocommit=True) as owner:
        add_event(loader, "a", "2090-01-01")  # uncommitted
        owner.execute("SET lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            owner.execute("SELECT km3vo.release_early('lab.events', 'a', '2020-01-01', 'why', 'who')")
        loader.commit()
        owner.execute("SELECT km3vo.release_early('lab.events', 'a', '2020-01-01', 'why', 'who')")
        assert owner.execute("SELECT _release_time::date::text FROM lab.events").fetchone() == ("2020-01-01",)


def test_a_hold_waits_for_no_load(database: Database, alerts: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in force at once, also for events that are being loaded, and that say in their rows that they are due."""
    monkeypatch.setattr(decisions, "WAIT", "200ms")
    with (
        database.connect(OWNER) as other,  # is closed after the load, which it waits for
        database.connect(INGEST) as loader,
        database.connect(OWNER, autocommit=True) as owner,
    ):
        add_alert(owner, 1, "2020-01-01")
        add_alert(loader, 2, "2020-01-01")  # uncommitted
        # Somebody else waits for the load, and would be in the way of whoever waits after him.
        waiting = threading.Thread(target=other.execute, args=("SELECT km3vo.lock_rules('lab.alerts')",))
        waiting.start()
        assert decisions.hold(owner, alerts, "1", until=None, reason="why", who="me")
        assert not decisions.hold(owner, alerts, "2", until=None, reason="why", who="me")
        loader.commit()
        waiting.join()
        other.rollback()
        with database.connect(SERVICE, autocommit=True) as service:
            assert partitions.promote(service, alerts).moved == 0
        assert owner.execute("SELECT number, _release_time::text FROM lab.alerts ORDER BY 1").fetchall() == [
            (1, "infinity"),
            (2, "infinity"),
        ]


@pytest.mark.parametrize("place", ["before the events are moved", "after they were moved"])
def test_a_hold_stops_a_release_that_is_under_way(database: Database, alerts: Table, place: str) -> None:
    """It neither waits for the batch nor is overtaken by it: the batch is given up, and the next leaves the event."""
    moved = []

    def release_all() -> None:
        with database.connect(SERVICE, autocommit=True) as service:
            moved.append(partitions.promote(service, alerts).moved)

    with database.connect(OWNER, autocommit=True) as owner, database.connect(OWNER) as other:
        for number in (1, 2, 3):
            add_alert(owner, number, "2020-01-01")
        if place == "after they were moved":
            # Held, and its row does not say so yet: that is mended once the others are moved.
            owner.execute("SELECT km3vo.hold('lab.alerts', '3', 'infinity', 'why', 'me')")
        other.execute("SELECT FROM lab.alerts WHERE number = 3 FOR UPDATE")  # so that the batch stands still
        thread = threading.Thread(target=release_all)
        thread.start()
        with database.connect(autocommit=True) as admin:
            waiting = "SELECT FROM pg_stat_activity WHERE usename = %s AND wait_event = 'transactionid'"
            while admin.execute(waiting, (SERVICE,)).fetchone() is None:
                pass
        decisions.hold(owner, alerts, "1", until=None, reason="why", who="me")
        assert thread.is_alive()
        other.rollback()
        thread.join()
        public = [number for (number,) in owner.execute("SELECT number FROM lab.alerts_public ORDER BY 1")]
        assert public == ([2] if place == "after they were moved" else [2, 3])
        assert moved == [len(public)]


def test_a_hold_that_is_being_written_down_is_not_missed(database: Database, alerts: Table) -> None:
    """Not even when an exception of another table, of a higher number, is in the log before it."""
    moved = []

    def release_all() -> None:
        with database.connect(SERVICE, autocommit=True) as service:
            moved.append(partitions.promote(service, alerts).moved)

    with database.connect(OWNER, autocommit=True) as owner, database.connect(OWNER) as slow:
        for number in (1, 2):
            add_alert(owner, number, "2020-01-01")
        slow.execute("SELECT km3vo.hold('lab.alerts', '1', 'infinity', 'why', 'me')")  # uncommitted
        owner.execute("SELECT km3vo.hold('lab.events', 'a', 'infinity', 'why', 'me')")
        thread = threading.Thread(target=release_all)
        thread.start()
        with database.connect(autocommit=True) as admin:
            waiting = "SELECT FROM pg_stat_activity WHERE usename = %s AND wait_event = 'advisory'"
            while admin.execute(waiting, (SERVICE,)).fetchone() is None:
                pass
        slow.commit()
        thread.join()
        assert (where_alert(owner, 1), where_alert(owner, 2), moved) == ("e", "p", [1])


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
