"""The life of an event: superseded, withdrawn, reinstated, unloaded; and what of it the public may see."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from km3vo.catalog.model import Catalog, Table
from km3vo.database.logins import INGEST, MEMBER, OWNER, PUBLIC, SERVICE, Database
from km3vo.embargo import corrections, decisions, partitions
from km3vo.embargo.corrections import ByIds, Equal
from km3vo.errors import ConflictError, LoadError, NotFoundError
from km3vo.loading import loads
from km3vo.loading.loads import Loaded, Superseding
from tests.embargo.lab import add_event, where
from tests.support import changes

pytestmark = pytest.mark.slow

Load = Callable[..., Loaded]
Release = Callable[[], int]
HEADER = "event_id,mjd,obs_time,ra,dec,err50,energy,nhits,tag\n"
OLD, LATER, NEW = "2015-01-01", "2016-01-01", "2090-01-01"
MJD = {OLD: 57023, LATER: 57388, NEW: 84417}
WHY: Any = {"reason": "why", "who": "me"}


def row(event: str, observed: str = OLD, energy: float = 1, nhits: int = 1) -> str:
    return f"{event},{MJD[observed]},{observed}T00:00:00,10,20,1,{energy},{nhits},x\n"


@pytest.fixture
def load(database: Database, events: Table, tmp_path: Path) -> Load:
    """A function that loads rows as a file, superseding what is there when told to."""

    def load(*rows: str, table: Table = events, **superseding: Any) -> Loaded:
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.csv"
        file.write_text(HEADER + "".join(rows))
        how = Superseding(**WHY, **superseding) if superseding else None
        with database.connect(INGEST) as loader:
            return loads.load(loader, table, [file], superseding=how)

    return load


@pytest.fixture
def release(database: Database, events: Table) -> Release:
    """A function that passes all events and releases what is due; how many."""

    def release() -> int:
        with database.connect(OWNER) as owner:
            decisions.set_quality(owner, events, "passed", None, **WHY)
        with database.connect(SERVICE, autocommit=True) as service:
            return partitions.promote(service, events).moved

    return release


def seen(database: Database, login: str, what: str = "event_id, energy", table: str = "lab.events") -> list[Any]:
    name = f"{table}_public" if login == PUBLIC and table == "lab.events" else table
    with database.connect(login) as reader:
        return reader.execute(f"SELECT {what} FROM {name} ORDER BY event_id").fetchall()


def test_a_new_version_takes_the_place_of_an_embargoed_one(database: Database, events: Table, load: Load) -> None:
    first = load(row("a", NEW), row("b", NEW))
    with pytest.raises(LoadError, match=r'"a" is in lab\.events already; to replace it, add --supersede'):
        load(row("a", NEW, 2))
    second = load(row("a", NEW, 2), row("c", NEW), public=False)
    assert second.superseded == loads.Superseded(1, 0, 0)
    assert seen(database, MEMBER) == [("a", 2.0), ("b", 1.0), ("c", 1.0)]
    with database.connect(OWNER) as owner:
        one, two = corrections.of_event(owner, events, "a")
    assert (one.number, one.load, one.ended, one.public) == (1, first.files[0].number, "superseded", False)
    assert (two.number, two.load, two.until, two.public) == (2, second.files[0].number, None, False)
    assert one.since is not None and one.until == two.since


@pytest.mark.parametrize(("before", "after"), [(OLD, NEW), (NEW, OLD), ("-", OLD)])
def test_the_later_release_rule_counts(
    database: Database,
    owner: psycopg.Connection,
    load: Load,
    release: Release,
    before: str,
    after: str,
) -> None:
    """Also for the third version, and when the latency is changed afterwards."""
    if before == "-":
        owner.execute(
            "INSERT INTO lab.events (event_id, mjd, obs_time, ra, dec, err50) VALUES ('a', 1, 'infinity', 1, 1, 1)"
        )
    else:
        load(row("a", before))
    load(row("a", after, 2), public=False)
    load(row("a", OLD, 3), public=False)
    expected = None if before == "-" else "2092-01-01"
    due = "SELECT _release_time::date::text FROM lab.events"
    assert owner.execute(due).fetchone() == (expected,)
    owner.execute("SELECT km3vo.set_latency('slow', '3 years', 'why', 'me')")
    assert owner.execute(due).fetchone() == (expected and "2093-01-01",)
    assert release() == 0
    owner.execute("SELECT km3vo.release_early('lab.events', 'a', '2020-01-01', 'a decision', 'me')")
    assert release() == 1
    assert seen(database, PUBLIC) == [("a", 3.0)]


def test_a_new_version_waits_for_quality_control(
    database: Database, owner: psycopg.Connection, load: Load, service: psycopg.Connection, events: Table
) -> None:
    load(row("a"))
    decisions.set_quality(owner, events, "passed", ["a"], **WHY)
    load(row("a", OLD, 2), public=False)
    assert partitions.promote(service, events).moved == 0
    assert owner.execute("SELECT _qc FROM lab.events").fetchone() == ("pending",)


def test_a_public_event_changes_by_decision_only_and_stays_public(
    database: Database, owner: psycopg.Connection, load: Load, release: Release, events: Table
) -> None:
    load(row("a"), row("b", NEW))
    assert release() == 1
    with pytest.raises(ConflictError, match=r"1 of the events of lab\.events .* are public: add --public"):
        load(row("a", OLD, 2), row("b", NEW, 2), public=False)
    assert seen(database, MEMBER) == [("a", 1.0), ("b", 1.0)]
    # Whatever the rule is by now: public events stay public.
    owner.execute("SELECT km3vo.set_latency('slow', '100 years', 'why', 'me')")
    done = load(row("a", OLD, 2), row("b", NEW, 2), row("c"), public=True)
    assert done.superseded == loads.Superseded(2, 0, 1)
    assert seen(database, PUBLIC) == [("a", 2.0)]
    assert seen(database, MEMBER) == [("a", 2.0), ("b", 2.0), ("c", 1.0)]
    assert [one.public for one in corrections.of_event(owner, events, "a")] == [True, True]
    # With another time it would be another event, which is not due.
    with pytest.raises(ConflictError, match="is not due"):
        load(row("a", LATER, 3), public=True)
    assert seen(database, PUBLIC) == [("a", 2.0)]


def test_whole_runs_and_periods(database: Database, load: Load) -> None:
    """The column nhits stands for the run."""
    load(row("a", NEW), row("b", NEW), row("c", NEW, nhits=2), row("d", OLD, nhits=3))
    done = load(row("a", NEW, 2), same=("nhits",))
    assert done.superseded == loads.Superseded(1, 1, 0)
    assert seen(database, MEMBER) == [("a", 2.0), ("c", 1.0), ("d", 1.0)]
    done = load(row("a", NEW, 3), period=(84000.0, 85000.0))
    assert done.superseded == loads.Superseded(1, 1, 0)
    assert seen(database, MEMBER) == [("a", 3.0), ("d", 1.0)]


def test_withdrawn_and_reinstated(
    database: Database, owner: psycopg.Connection, load: Load, release: Release, events: Table
) -> None:
    load(row("a"), row("b", NEW), row("c"))
    release()
    with pytest.raises(ConflictError, match=r"1 of these events of lab\.events are public: add --public"):
        corrections.withdraw(owner, events, ByIds(["a", "b"]), public=False, **WHY)
    with pytest.raises(NotFoundError, match=r"x: there is no such event in lab\.events"):
        corrections.withdraw(owner, events, ByIds(["a", "x"]), public=True, **WHY)
    assert corrections.withdraw(owner, events, ByIds(["a", "b"]), public=True, **WHY) == (2, 1)
    assert (seen(database, PUBLIC), seen(database, MEMBER)) == ([("c", 1.0)], [("c", 1.0)])
    with pytest.raises(LoadError, match='"a" was withdrawn; reinstate it, or add --supersede'):
        load(row("a"))
    with pytest.raises(NotFoundError, match="c: not withdrawn"):
        corrections.reinstate(owner, events, ByIds(["a", "c"]), **WHY)
    assert corrections.reinstate(owner, events, ByIds(["a", "b"]), **WHY) == 2
    assert seen(database, PUBLIC) == [("c", 1.0)]
    assert release() == 1  # it was passed before
    assert (seen(database, PUBLIC), where(owner, "b")) == ([("a", 1.0), ("c", 1.0)], "e")
    one, now = corrections.of_event(owner, events, "a")
    assert (one.ended, one.public, now.number, now.public) == ("withdrawn", True, 1, True)
    assert one.until is not None and now.since is not None and one.until < now.since
    log = "SELECT what, rows, reason, decided_by FROM km3vo.release_log WHERE transaction IS NOT NULL ORDER BY id"
    assert owner.execute(log).fetchall() == [("withdraw", 2, "why", "me"), ("reinstate", 2, "why", "me")]


def test_a_new_version_of_what_was_withdrawn_is_under_embargo(
    database: Database, owner: psycopg.Connection, load: Load, release: Release, events: Table
) -> None:
    load(row("a", LATER))
    release()
    corrections.withdraw(owner, events, ByIds(["a"]), public=True, **WHY)
    load(row("a", OLD, 2), public=False)
    assert seen(database, PUBLIC) == []
    assert owner.execute("SELECT _release_time::date::text, _qc, _version FROM lab.events").fetchall() == [
        ("2018-01-01", "pending", 2)
    ]


def test_unloading_brings_the_state_before_back(
    database: Database, owner: psycopg.Connection, load: Load, release: Release, events: Table
) -> None:
    load(row("a"), row("b", NEW), row("c", NEW, nhits=7))
    release()
    before = seen(database, MEMBER, "event_id, energy, _access::text, _qc, _release_time, _load, _version")
    again = load(row("a", OLD, 2), row("b", NEW, 2, nhits=7), row("d", NEW), same=("nhits",), public=True)
    assert again.superseded == loads.Superseded(2, 1, 1)
    number = again.files[0].number or 0
    with pytest.raises(ConflictError, match="add --public"):
        corrections.unload(owner, number, public=False, **WHY)
    assert corrections.unload(owner, number, public=True, **WHY) == ("lab.events", 3, 3)
    assert seen(database, MEMBER, "event_id, energy, _access::text, _qc, _release_time, _load, _version") == before
    with pytest.raises(NotFoundError, match="no load of that number"):
        corrections.unload(owner, number, public=True, **WHY)
    # The file may be loaded again; what was a mistake leaves nothing behind.
    assert load(row("d", OLD, 2)).rows == 1
    assert owner.execute("SELECT _basis, _version FROM lab.events WHERE event_id = 'd'").fetchall() == [(None, 2)]


def test_loads_that_superseded_each_other_are_undone_one_by_one(
    database: Database, owner: psycopg.Connection, load: Load, events: Table
) -> None:
    first, second = (
        load(*rows, **how).files[0].number or 0
        for rows, how in (((row("a", NEW), row("b", NEW)), {}), ((row("a", NEW, 2),), {"public": False}))
    )
    with pytest.raises(
        NotFoundError, match=rf"load {second} has superseded .*`km3vo withdraw lab.events --load {first}`"
    ):
        corrections.unload(owner, first, public=False, **WHY)
    assert seen(database, MEMBER) == [("a", 2.0), ("b", 1.0)]
    for number, left in ((second, [("a", 1.0), ("b", 1.0)]), (first, [])):
        corrections.unload(owner, number, public=False, **WHY)
        assert seen(database, MEMBER) == left
    listed = [(number, rows, undone is not None) for number, _, _, rows, *_, undone in corrections.loads(owner, events)]
    assert listed == [(first, 2, True), (second, 1, True)]


def test_tables_without_embargo(database: Database, owner: psycopg.Connection, load: Load, catalog: Catalog) -> None:
    known = catalog.table("lab.known")
    first = load(row("a"), row("b"), table=known)
    load(row("a", OLD, 2), table=known, public=True)
    assert seen(database, PUBLIC, table="lab.known") == [("a", 2.0), ("b", 1.0)]
    choice = Equal({"_load": first.files[0].number})
    assert corrections.withdraw(owner, known, choice, public=True, **WHY) == (1, 1)
    assert seen(database, PUBLIC, table="lab.known") == [("a", 2.0)]
    assert corrections.reinstate(owner, known, ByIds(["b"]), **WHY) == 1
    assert seen(database, PUBLIC, table="lab.known") == [("a", 2.0), ("b", 1.0)]


@pytest.mark.parametrize("statement", [
    "UPDATE lab.events SET energy = 2", "UPDATE lab.events_public SET energy = 2", "DELETE FROM lab.events",
    "DELETE FROM lab.events_public", "TRUNCATE lab.events", "TRUNCATE lab.events_public", "DELETE FROM lab.known",
    "UPDATE lab.known SET energy = 2", "TRUNCATE lab.known",
    "MERGE INTO lab.events AS e USING lab.known AS k ON e.event_id = k.event_id WHEN MATCHED THEN DELETE",
])  # fmt: skip
def test_nothing_else_changes_public_rows(
    database: Database, load: Load, release: Release, catalog: Catalog, statement: str
) -> None:
    """Neither the owner nor the administrator, who may do everything else."""
    load(row("a"), row("b", NEW))
    load(row("a"), table=catalog.table("lab.known"))
    release()
    for login in (OWNER, None):
        with database.connect(login) as connection:
            with pytest.raises(psycopg.Error) as refusal:
                connection.execute(statement)
            assert refusal.value.sqlstate == "KM007"
            # A change of another table, or one that is over, allows nothing.
            connection.rollback()
            changes.begin(connection, "lab.alerts")
            with pytest.raises(psycopg.Error) as refusal:
                connection.execute(statement)
            assert refusal.value.sqlstate == "KM007"
    assert seen(database, PUBLIC) == [("a", 1.0)]


def test_nobody_reads_the_history_but_the_owner(database: Database, load: Load) -> None:
    load(row("a", NEW))
    load(row("a", NEW, 2), public=False)
    for login in (PUBLIC, MEMBER, SERVICE):
        with database.connect(login) as reader, pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("SELECT count(*) FROM lab.events_history")
    with database.connect(INGEST) as loader, pytest.raises(psycopg.errors.InsufficientPrivilege):
        loader.execute("SELECT energy FROM lab.events_history")


def test_two_who_supersede_the_same_event(database: Database, events: Table, load: Load) -> None:
    """One of them is told so; the event is there once."""
    load(row("a", NEW))
    outcome: list[object] = []

    def again(energy: float) -> None:
        try:
            outcome.append(load(row("a", NEW, energy), public=False).rows)
        except ConflictError as error:
            outcome.append(str(error))

    with database.connect(OWNER) as other:
        other.execute("SELECT FROM lab.events_embargo FOR UPDATE")
        threads = [threading.Thread(target=again, args=(energy,)) for energy in (2.0, 3.0)]
        for thread in threads:
            thread.start()
        threads[0].join(3)
        other.rollback()
    for thread in threads:
        thread.join(30)
    assert len(seen(database, MEMBER)) == 1
    assert 1 in outcome and len(outcome) == 2


@pytest.mark.parametrize("name", ["lab.events", "lab.known"])
def test_where_corrected_rows_lie_does_not_tell_of_an_open_load(
    new_published: Callable[[], Database], catalog: Catalog, tmp_path: Path, name: str
) -> None:
    """Pages have room when nobody can see their earlier rows any more: an open load keeps those."""
    table, orders = catalog.table(name), []
    for number in range(2):  # one after the other: what is open in another database of the server keeps rows as well
        database = new_published()

        def load(*rows: str, database: Database = database, **superseding: Any) -> int:
            file = tmp_path / f"{len(list(tmp_path.iterdir()))}.csv"
            file.write_text(HEADER + "".join(rows))
            how = Superseding(**WHY, **superseding) if superseding else None
            with database.connect(INGEST) as loader:
                return loads.load(loader, table, [file], superseding=how).files[0].number or 0

        load(*(row(f"e{n}") for n in range(400)))
        with database.connect(OWNER) as owner, database.connect(INGEST) as loader:
            if table.release.embargoed:
                decisions.set_quality(owner, table, "passed", None, **WHY)
                with database.connect(SERVICE, autocommit=True) as service:
                    assert partitions.promote(service, table).moved == 400
            if number:
                add_event(loader, "h", NEW)  # uncommitted
            for version in range(3):
                again = load(*(row(f"e{n}", OLD, version) for n in range(version, 400, 4)), public=True)
                seen(database, PUBLIC, table=name)
            corrections.unload(owner, again, public=True, **WHY)
            with database.connect(PUBLIC) as reader:
                relation = sql.Identifier(*partitions.relation(table, "public"))
                lie = sql.SQL("SELECT ctid::text, event_id FROM {}").format(relation)
                orders.append(reader.execute(lie).fetchall())
    assert len(orders[0]) == 400
    assert orders[0] == orders[1]
