"""A clock that cannot be trusted releases nothing: across restarts, reboots, and whatever is published meanwhile.

The clock of the database cannot be set here. Instead what is known of it is moved: a record that is six days older is,
to whoever reads it, a clock that went six days ahead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from km3vo.catalog.model import Catalog, Table
from km3vo.database.logins import OWNER, SERVICE, Database
from km3vo.embargo import clock, release
from km3vo.embargo.promoter import Promoter
from km3vo.errors import SetupError
from km3vo.publishing.publish import publish
from tests.embargo.lab import add_alert, where_alert

pytestmark = pytest.mark.slow

DAYS = timedelta(days=6)
Here = Callable[..., clock.Machine]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Here:
    """A function that says what this machine says of the time from now on: as it is, but for what is given."""
    real = clock.machine

    def say(*, off: timedelta = timedelta(), **changes: object) -> clock.Machine:
        def machine() -> clock.Machine:
            now = real()
            told = replace(now, uptime=now.uptime + off.total_seconds(), synchronised=False)
            return replace(told, **changes)  # type: ignore[arg-type]

        monkeypatch.setattr(clock, "machine", machine)
        return machine()

    say()
    return say


@pytest.fixture
def due(database: Database, here: Here) -> Database:
    """A database that was looked at a moment ago, with one alert that is due."""
    with database.connect(OWNER) as owner:
        clock.vouch(owner, "tests")
        add_alert(owner, 1, "2020-01-01")
    return database


def ahead(database: Database, by: timedelta) -> None:
    """Let the clock run ahead: what is known of it is older than it was."""
    with database.connect(OWNER) as owner:
        owner.execute("UPDATE km3vo.clock SET good_at = good_at - %(by)s, checked_at = checked_at - %(by)s", {"by": by})


def released(database: Database, alerts: Table) -> bool:
    """Whether a look, of a service that was started just now, releases the alert."""
    promoter = Promoter(database, [alerts])
    try:
        promoter.look()
    finally:
        promoter.close()
    with database.connect(OWNER) as owner:
        return where_alert(owner, 1) == "p"


def test_a_clock_that_runs_as_it_should(due: Database, alerts: Table) -> None:
    assert released(due, alerts)


@pytest.mark.parametrize("by", [DAYS, timedelta(minutes=3)], ids=["six days", "three minutes"])
def test_a_clock_ahead_when_the_service_starts_releases_nothing(due: Database, alerts: Table, by: timedelta) -> None:
    ahead(due, by)
    for _ in range(3):  # however often one looks
        with pytest.raises(SetupError, match="--clock-checked"):
            released(due, alerts)
    with due.connect(OWNER) as owner:
        clock.vouch(owner, "ada")
    assert released(due, alerts)
    with due.connect(OWNER) as owner:
        assert owner.execute(
            "SELECT decided_by FROM km3vo.release_log WHERE what = 'clock' ORDER BY id"
        ).fetchall() == [
            ("tests",),
            ("ada",),
        ]


def test_the_same_after_a_reboot(due: Database, alerts: Table, here: Here) -> None:
    """Uptime begins anew; the clock may be ahead by as long as a reboot takes."""
    ahead(due, DAYS)
    here(boot="another", uptime=60.0)
    with pytest.raises(SetupError, match="--clock-checked"):
        released(due, alerts)


def test_a_short_reboot_needs_nobody(due: Database, alerts: Table, here: Here) -> None:
    ahead(due, timedelta(minutes=5))
    here(boot="another", uptime=60.0)
    assert released(due, alerts)


def test_reboots_do_not_add_up(due: Database, here: Here) -> None:
    """Each adds what a reboot may take, and no look adds anything."""
    with due.connect(OWNER) as owner:
        start = clock.read(owner)
        for _ in range(50):
            clock.look(owner)
            clock.look(owner)
        after = clock.read(owner)
    assert (start.checked_at, start.uptime) == (after.checked_at, after.uptime)
    assert after.good_at <= after.clock + clock.AHEAD


def test_a_clock_that_is_a_little_ahead_is_not_remembered_as_right(due: Database) -> None:
    """Else each reboot would add to what it is ahead."""
    ahead(due, clock.AHEAD / 2)
    with due.connect(OWNER) as owner:
        clock.look(owner)
        after = clock.read(owner)
    assert after.good_at <= after.clock - clock.AHEAD / 4


def test_the_machine_was_off_for_a_week_and_the_system_says_that_its_clock_is_right(
    due: Database, alerts: Table, here: Here
) -> None:
    ahead(due, DAYS)
    here(boot="another", uptime=60.0, synchronised=True)
    assert released(due, alerts)


def test_a_database_that_is_ahead_of_a_synchronised_machine_is_not_believed(
    due: Database, alerts: Table, here: Here
) -> None:
    ahead(due, DAYS)
    here(synchronised=True, clock=datetime.now(UTC) - DAYS)
    with pytest.raises(SetupError, match="--clock-checked"):
        released(due, alerts)


def test_the_machine_was_asleep(due: Database, alerts: Table, here: Here) -> None:
    """Uptime goes on meanwhile, and so may the clock."""
    ahead(due, DAYS)
    here(off=DAYS)
    assert released(due, alerts)


@pytest.mark.parametrize("boot", [None, "another"], ids=["running", "rebooted"])
def test_a_clock_that_was_a_day_back_and_is_right_again_needs_nobody(
    due: Database, alerts: Table, here: Here, boot: str | None
) -> None:
    day = timedelta(days=1)
    ahead(due, -day)  # the clock is set back …
    with due.connect(SERVICE, autocommit=True) as service:
        if boot:
            here(boot=boot, uptime=60.0)
        for _ in range(3):
            clock.look(service)
    ahead(due, day)  # … and right again
    assert released(due, alerts)


def test_a_clock_that_is_behind_releases_late_and_goes_on_doing_so(due: Database, alerts: Table) -> None:
    ahead(due, -timedelta(days=1))
    assert released(due, alerts)


def test_publishing_a_table_does_not_vouch_for_the_clock(
    due: Database, alerts: Table, catalog: Catalog, here: Here
) -> None:
    ahead(due, timedelta(days=400))
    another = replace(catalog.table("lab.alerts"), name="alerts_too")
    schemas = [
        replace(schema, tables=(*schema.tables, another)) if schema.name == "lab" else schema
        for schema in catalog.schemas
    ]
    with due.connect(OWNER) as owner:
        publish(owner, Catalog(tuple(schemas)))
    for look in (released, _promote):
        with pytest.raises((SetupError, psycopg.Error)):
            look(due, alerts)


def _promote(database: Database, table: Table) -> None:
    with database.connect(SERVICE, autocommit=True) as service:
        service.execute("SELECT km3vo.promote(%s)", (table.qualified,))


def test_a_stop_outlasts_a_synchronised_clock(due: Database, alerts: Table, here: Here) -> None:
    """After a restore it is not the clock that a person has to look at."""
    here(synchronised=True)
    with due.connect(OWNER) as owner:
        clock.stop(owner, "look what was decided meanwhile")
    with pytest.raises(SetupError, match="look what was decided meanwhile"):
        released(due, alerts)
    with due.connect(OWNER) as owner:
        clock.vouch(owner, "ada")
    assert released(due, alerts)


def test_the_command_releases_by_the_same_rule(due: Database, alerts: Table) -> None:
    ahead(due, DAYS)
    with due.connect(SERVICE, autocommit=True) as service, pytest.raises(SetupError, match="--clock-checked"):
        release.run(service, [alerts])


def test_what_this_machine_says() -> None:
    one, two = clock.machine(), clock.machine()
    assert one.boot == two.boot
    assert one.uptime <= two.uptime
    assert abs((one.clock - datetime.now(UTC)).total_seconds()) < 60
    assert isinstance(one.synchronised, bool)
