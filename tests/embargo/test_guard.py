"""Nobody who may write gets rows into the public partition but by a promotion: not the loader, not the owner."""

from __future__ import annotations

import psycopg
import pytest

from km3vo.database.logins import INGEST, MEMBER, OWNER, PUBLIC, Database
from tests.embargo.lab import add_alert, add_event, where
from tests.support import changes

INSERT = (
    "INSERT INTO {} (event_id, mjd, obs_time, ra, dec, err50, _access, _qc, _release_time) "
    "VALUES ('a', 60000, %s, 1, 1, 1, 'p', %s, '2000-01-01')"
)


@pytest.mark.parametrize("relation", ["lab.events", "lab.events_public"])
@pytest.mark.parametrize(
    ("observed", "quality"),
    [("now", "passed"), ("2015-01-01", "pending"), ("2015-01-01", "failed"), ("-infinity", "passed")],
)
def test_no_event_is_inserted_into_the_public_partition_early(
    owner: psycopg.Connection, relation: str, observed: str, quality: str
) -> None:
    with pytest.raises(psycopg.Error) as refusal:
        owner.execute(INSERT.format(relation), (observed, quality))
    assert refusal.value.sqlstate == "KM001"


def test_release_time_of_the_client_is_ignored(owner: psycopg.Connection) -> None:
    owner.execute(
        "INSERT INTO lab.events (event_id, mjd, obs_time, ra, dec, err50, _qc, _release_time) "
        "VALUES ('a', 60000, now(), 1, 1, 1, 'passed', '2000-01-01')"
    )
    assert owner.execute("SELECT _release_time > now() + interval '1 year' FROM lab.events").fetchone() == (True,)


@pytest.mark.parametrize(
    "change",
    [
        "_access = 'p'",
        "_access = 'p', _qc = 'passed'",
        "_access = 'p', _qc = 'passed', _release_time = '2000-01-01'",
    ],
)
def test_owner_cannot_move_an_event_early(owner: psycopg.Connection, change: str) -> None:
    add_event(owner, "a", "now")
    with pytest.raises(psycopg.Error) as refusal:
        owner.execute(f"UPDATE lab.events SET {change}")
    assert refusal.value.sqlstate == "KM001"
    assert where(owner, "a") == "e"


def test_public_events_cannot_be_hidden_again(owner: psycopg.Connection, service: psycopg.Connection) -> None:
    add_alert(owner, 1, "2020-01-01")
    service.execute("SELECT km3vo.promote('lab.alerts')")
    with pytest.raises(psycopg.Error) as refusal:
        owner.execute("UPDATE lab.alerts SET _access = 'e'")
    assert refusal.value.sqlstate == "KM003"


def test_public_event_can_be_corrected_but_not_become_another(
    owner: psycopg.Connection, service: psycopg.Connection
) -> None:
    add_alert(owner, 1, "2020-01-01")
    service.execute("SELECT km3vo.promote('lab.alerts')")
    owner.execute("SELECT km3vo.set_latency('quick', '100 years', 'test', 'test')")
    with owner.transaction():
        changes.begin(owner, "lab.alerts")
        owner.execute("UPDATE lab.alerts SET event_id = 'corrected'")
    assert owner.execute("SELECT event_id, _access::text FROM lab.alerts").fetchone() == ("corrected", "p")
    with pytest.raises(psycopg.Error) as refusal:
        owner.execute("UPDATE lab.alerts SET obs_time = now()")
    assert refusal.value.sqlstate == "KM001"


def test_an_event_is_there_once(
    owner: psycopg.Connection, service: psycopg.Connection, ingest: psycopg.Connection
) -> None:
    add_alert(ingest, 1, "2020-01-01")
    service.execute("SELECT km3vo.promote('lab.alerts')")
    for number in (1, 2):
        add_alert(ingest, 2, "2020-01-01") if number == 2 else None
        with pytest.raises(psycopg.errors.UniqueViolation):
            add_alert(ingest, number, "2020-01-01")
    assert owner.execute("SELECT count(*) FROM lab.alerts").fetchone() == (2,)


def test_loading_an_event_while_it_is_promoted_does_not_double_it(database: Database) -> None:
    with database.connect(INGEST) as loader, database.connect(OWNER) as mover, database.connect(OWNER) as looker:
        add_alert(loader, 1, "2020-01-01")
        loader.commit()
        mover.execute("SELECT km3vo.promote('lab.alerts')")  # uncommitted
        import threading

        failures: list[BaseException] = []

        def again() -> None:
            try:
                add_alert(loader, 1, "2020-01-01")  # waits for the promotion
                loader.commit()
            except psycopg.Error as error:
                failures.append(error)

        thread = threading.Thread(target=again)
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
        mover.commit()
        thread.join(10)
        assert [type(failure) for failure in failures] == [psycopg.errors.UniqueViolation]
        assert looker.execute("SELECT count(*) FROM lab.alerts").fetchone() == (1,)


def test_a_double_that_got_in_does_not_stop_the_others(owner: psycopg.Connection, service: psycopg.Connection) -> None:
    add_alert(owner, 1, "2020-01-01")
    service.execute("SELECT km3vo.promote('lab.alerts')")
    owner.execute("INSERT INTO lab.alerts_embargo (number, obs_time, _access) VALUES (1, '2020-01-01', 'e')")
    add_alert(owner, 2, "2020-01-01")
    moved = service.execute("SELECT moved, complete FROM km3vo.promote('lab.alerts')").fetchone()
    assert moved == (1, True)


def test_the_loader_fills_published_columns_only(ingest: psycopg.Connection) -> None:
    for column, value in (("_access", "p"), ("_qc", "passed"), ("_release_time", "2000-01-01")):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ingest.execute(f"INSERT INTO lab.alerts (number, obs_time, {column}) VALUES (1, '2020-01-01', '{value}')")


@pytest.mark.parametrize("login", [PUBLIC, MEMBER])
def test_readers_cannot_write_or_promote(database: Database, login: str) -> None:
    with database.connect(login, autocommit=True) as reader:
        reader.execute("SET default_transaction_read_only = off")
        for statement in (
            "INSERT INTO lab.alerts (number, obs_time) VALUES (1, now())",
            "INSERT INTO lab.alerts_public (number, obs_time) VALUES (1, now())",
            "UPDATE lab.alerts_public SET number = 2",
            "DELETE FROM lab.alerts_public",
            "SELECT km3vo.promote('lab.alerts')",
            "SELECT km3vo.set_latency('quick', '0', '', '')",
            "SELECT lab.alerts_guard()",
        ):
            with pytest.raises(psycopg.Error) as refusal:
                reader.execute(statement)
            assert refusal.value.sqlstate in ("42501", "0A000"), statement
