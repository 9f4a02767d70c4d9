"""Holds, early releases, changed latencies, quality control: who decided what, and what follows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from km3vo.catalog.model import Catalog, Column, Release, Table
from km3vo.database.logins import OWNER, Database
from km3vo.embargo import decisions, partitions
from km3vo.errors import NotFoundError, SetupError
from km3vo.publishing.publish import publish
from tests.embargo.lab import add_alert, add_event, where

pytestmark = pytest.mark.slow


def refused(connection: psycopg.Connection, statement: str) -> str | None:
    with pytest.raises(psycopg.Error) as refusal:
        connection.execute(statement)
    return refusal.value.sqlstate


def change(catalog: Catalog, name: str, **rule: Any) -> Catalog:
    """The catalogue with another release rule for one table."""

    def changed(table: Table) -> Table:
        return replace(table, release=replace(table.release, **rule)) if table.qualified == name else table

    return Catalog(tuple(replace(schema, tables=tuple(map(changed, schema.tables))) for schema in catalog.schemas))


def test_hold_and_lift(owner: psycopg.Connection, service: psycopg.Connection, alerts: Table) -> None:
    add_alert(owner, 7, "2020-01-01")
    # The identifier may be written in several ways.
    held = "SELECT km3vo.hold('lab.alerts', ' 007', 'infinity', 'under review', 'me')"
    assert owner.execute(held).fetchone() == (True,)
    assert partitions.promote(service, alerts).moved == 0
    assert refused(owner, held) == "KM005"
    owner.execute("SELECT km3vo.lift('lab.alerts', '7', 'reviewed', 'me')")
    assert partitions.promote(service, alerts).moved == 1
    log = owner.execute("SELECT what, event, reason, decided_by FROM km3vo.release_log ORDER BY id").fetchall()
    assert log == [
        ("hold", "7", "under review", "me"),
        ("lift", "7", "reviewed", "me"),
        ("release", None, None, "km3vo_service"),
    ]
    # What is public stays public.
    assert refused(owner, held) == "KM003"


def test_hold_for_an_event_that_has_not_arrived(
    owner: psycopg.Connection, service: psycopg.Connection, alerts: Table
) -> None:
    statement = "SELECT km3vo.hold('lab.alerts', '7', 'infinity', 'why', 'me')"
    assert owner.execute(statement).fetchone() == (False,)
    add_alert(owner, 7, "2020-01-01")
    assert partitions.promote(service, alerts).moved == 0


def test_hold_until_a_time_is_never_an_early_release(owner: psycopg.Connection, events: Table) -> None:
    add_event(owner, "a", "2090-01-01")
    decisions.hold(owner, events, "a", until=datetime(2000, 1, 1, tzinfo=UTC), reason="why", who="me")
    assert owner.execute("SELECT _release_time::date::text FROM lab.events").fetchone() == ("2092-01-01",)


def test_early_release(owner: psycopg.Connection, service: psycopg.Connection, events: Table) -> None:
    add_event(owner, "a", "2090-01-01")
    add_event(owner, "b", "2090-01-01")
    owner.execute("SELECT km3vo.release_early('lab.events', 'a', now(), 'paper', 'me')")
    assert partitions.promote(service, events).moved == 0  # not before quality control says so
    owner.execute("SELECT km3vo.set_quality('lab.events', 'passed', '{a}', '', 'me')")
    assert partitions.promote(service, events).moved == 1
    assert (where(owner, "a"), where(owner, "b")) == ("p", "e")
    # Lifting it hides nothing.
    owner.execute("SELECT km3vo.lift('lab.events', 'a', 'why', 'me')")
    assert where(owner, "a") == "p"


def test_early_release_is_never_later(owner: psycopg.Connection) -> None:
    add_event(owner, "a", "2090-01-01")
    owner.execute("SELECT km3vo.release_early('lab.events', 'a', '2095-01-01', 'why', 'me')")
    assert owner.execute("SELECT _release_time::date::text FROM lab.events").fetchone() == ("2092-01-01",)


def test_hold_of_what_is_never_public_stays_never(owner: psycopg.Connection, events: Table) -> None:
    owner.execute("SELECT km3vo.set_latency('slow', NULL, 'why', 'me')")
    add_event(owner, "a", "2015-01-01")
    decisions.hold(owner, events, "a", until=datetime(2016, 1, 1, tzinfo=UTC), reason="why", who="me")
    assert owner.execute("SELECT _release_time FROM lab.events").fetchone() == (None,)


def test_unknown_things(owner: psycopg.Connection) -> None:
    for statement in (
        "SELECT km3vo.hold('lab.alerts', 'x', 'infinity', 'why', 'me')",
        "SELECT km3vo.hold('lab.known', 'x', 'infinity', 'why', 'me')",
        "SELECT km3vo.lift('lab.alerts', '1', 'why', 'me')",
        "SELECT km3vo.set_latency('none', '1 day', 'why', 'me')",
        "SELECT km3vo.set_quality('lab.none', 'passed', NULL, 'why', 'me')",
        "SELECT km3vo.promote('lab.none')",
    ):
        assert refused(owner, statement) == "KM004", statement


def test_quality_of_a_public_event_cannot_be_taken_back(
    owner: psycopg.Connection, service: psycopg.Connection, alerts: Table
) -> None:
    add_alert(owner, 1, "2020-01-01")
    partitions.promote(service, alerts)
    assert refused(owner, "SELECT km3vo.set_quality('lab.alerts', 'failed', '{1}', 'why', 'me')") == "KM003"


def test_latency_changes_forward_only(owner: psycopg.Connection, service: psycopg.Connection, alerts: Table) -> None:
    add_alert(owner, 1, "2020-01-01")
    partitions.promote(service, alerts)
    add_alert(owner, 2, "2020-02-01")
    changed = owner.execute("SELECT km3vo.set_latency('quick', '100 years', 'more time', 'me')").fetchone()
    assert changed == (1,)
    assert partitions.promote(service, alerts).moved == 0
    assert owner.execute("SELECT number FROM lab.alerts_public").fetchall() == [(1,)]
    owner.execute("SELECT km3vo.set_latency('quick', '2 hours', 'enough', 'me')")
    assert partitions.promote(service, alerts).moved == 1
    log = owner.execute("SELECT rows, reason FROM km3vo.release_log WHERE what = 'latency' ORDER BY id").fetchall()
    assert log == [(1, "from 01:00:00 to 100 years: more time"), (1, "from 100 years to 02:00:00: enough")]


def test_negative_latency_is_refused(owner: psycopg.Connection) -> None:
    assert refused(owner, "SELECT km3vo.set_latency('quick', '-1 day', 'why', 'me')") == "23514"


def test_latency_of_the_description(database: Database, owner: psycopg.Connection, catalog: Catalog) -> None:
    def latency() -> str:
        row = owner.execute("SELECT latency::text FROM km3vo.stream WHERE name = 'slow'").fetchone()
        assert row is not None
        return row[0]

    def publish_with(described: str) -> None:
        with database.connect(OWNER) as connection:
            publish(connection, change(catalog, "lab.events", latency=described))

    add_event(owner, "a", "2015-01-01")
    publish_with("P3Y")
    assert latency() == "3 years"
    assert owner.execute("SELECT _release_time::date::text FROM lab.events").fetchone() == ("2018-01-01",)
    # A decision by command stands until the description says something new, else publishing could release early.
    owner.execute("SELECT km3vo.set_latency('slow', '10 years', 'why', 'me')")
    publish_with("P3Y")
    assert latency() == "10 years"
    publish_with("P4Y")
    assert latency() == "4 years"
    publish_with("never")
    assert owner.execute("SELECT latency FROM km3vo.stream WHERE name = 'slow'").fetchone() == (None,)


def test_impossible_descriptions(database: Database, catalog: Catalog) -> None:
    with database.connect(OWNER) as connection:
        for changed, words in (
            (change(catalog, "lab.events", latency="immediate"), "write latency: P0D"),
            (change(catalog, "lab.known", latency="P1Y", stream="x", time="obs_time"), "cannot be hidden"),
            (change(catalog, "lab.alerts", stream="slow"), "a stream of its own"),
        ):
            with pytest.raises(SetupError, match=words):
                publish(connection, changed)
            connection.rollback()


def test_another_time_column_or_stream(database: Database, owner: psycopg.Connection, catalog: Catalog) -> None:
    add_alert(owner, 1, "2020-01-01")
    with database.connect(OWNER) as connection:
        publish(connection, change(catalog, "lab.alerts", stream="other", latency="P1Y"))
    assert owner.execute("SELECT _release_time::date::text FROM lab.alerts").fetchone() == ("2021-01-01",)


def test_release_defaults_to_waiting_for_quality_control() -> None:
    assert Release(latency="P1Y").qc == "pending"


def test_quality_of_a_run_and_of_unknown_events(
    owner: psycopg.Connection, service: psycopg.Connection, events: Table
) -> None:
    """The column tag stands for the run."""
    for event in ("a", "b", "c"):
        add_event(owner, event, "2015-01-01")
    owner.execute("UPDATE lab.events SET tag = 'other' WHERE event_id = 'c'")
    with pytest.raises(NotFoundError, match=r"d: there is no such event in lab\.events"):
        decisions.set_quality(owner, events, "passed", ["a", "d"], reason="why", who="me")
    with pytest.raises(NotFoundError, match="run y"):
        decisions.of_run(owner, events, {"tag": "y"})
    found = decisions.of_run(owner, events, {"tag": "x"})
    assert decisions.set_quality(owner, events, "passed", found, reason="why", who="me", which="x") == 2
    assert partitions.promote(service, events).moved == 2
    log = owner.execute("SELECT what, event, rows FROM km3vo.release_log ORDER BY id LIMIT 1").fetchone()
    assert log == ("quality passed", "x", 2)


def test_values_keep_their_meaning(database: Database, owner: psycopg.Connection, catalog: Catalog) -> None:
    """Another unit, UCD or xtype of a column that has values is refused until it is said to be meant."""

    def described(**changed: Any) -> Catalog:
        def column_of(column: Column) -> Column:
            return replace(column, **changed) if column.name == "energy" else column

        def table_of(table: Table) -> Table:
            return replace(table, columns=tuple(map(column_of, table.columns)))

        schemas = {schema.name: schema for schema in catalog.schemas}
        lab = replace(schemas["lab"], tables=tuple(map(table_of, schemas["lab"].tables)))
        return Catalog(tuple((schemas | {"lab": lab}).values()))

    with database.connect(OWNER) as connection:
        publish(connection, described(unit="TeV"))  # nothing is there yet
        publish(connection, catalog)
    add_event(owner, "a", "2015-01-01")
    with database.connect(OWNER) as connection:
        for changed in ({"unit": "TeV"}, {"ucd": "phys.energy;em.gamma"}):
            with pytest.raises(SetupError, match=r"lab\.events\.energy has values, .* becomes"):
                publish(connection, described(**changed))
            connection.rollback()
        publish(connection, described(description="Energy, in other words"))
        publish(connection, described(unit="TeV"), new_meaning=True)
