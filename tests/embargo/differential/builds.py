"""Builds that are weaker than ours: each lets something show that only embargoed events change.

Each is put in place before the servers are asked, with the actions that give it away.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from km3vo.catalog.model import Table
from km3vo.correlation.tables import Ask
from km3vo.database.audiences import Audience
from km3vo.database.logins import MEMBER, OWNER
from km3vo.embargo import partitions, statistics
from km3vo.holdings import coverage, obscore
from km3vo.holdings.coverage import Coverage
from km3vo.holdings.downloads import DownloadFiles
from km3vo.holdings.holdings import Holdings
from km3vo.identity.user import User
from km3vo.protocols import correlate
from km3vo.protocols.tap.execution import Execution
from km3vo.service import Service
from km3vo.web import maps
from km3vo.web.configurations import asking
from tests.embargo.differential import actions
from tests.embargo.differential.actions import Action, Sides

Build = Callable[[Sides, pytest.MonkeyPatch], None]


def alter(sides: Sides, function: str, *changes: tuple[str, str]) -> None:
    """Change the text of a function in both databases."""
    for database in sides.both:
        with database.connect(OWNER) as owner:
            row = owner.execute("SELECT pg_get_functiondef(%s::regproc)", (function,)).fetchone()
            assert row is not None
            text = row[0]
            for old, new in changes:
                assert old in text, f"{function} no longer says {old}"
                text = text.replace(old, new)
            owner.execute(text)


def loads_analyse_all_rows(sides: Sides, patch: pytest.MonkeyPatch) -> None:
    """The statistics of public rows are renewed when embargoed ones were loaded, and plans turn."""
    patch.setattr(statistics, "ANALYZE_HIDDEN", "ANALYZE {parent}")


def loads_make_editions(sides: Sides, patch: pytest.MonkeyPatch) -> None:
    """An edition is counted whenever something was loaded."""
    measure = coverage.measure

    def always_another(connection: psycopg.Connection, table: Table, **known: Any) -> Coverage | None:
        found = measure(connection, table, pixel=known.get("pixel"))
        return found and replace(found, fingerprint=f"{found.fingerprint}{uuid4().hex}")

    patch.setattr(coverage, "RELEASES", coverage.LOADS)
    patch.setattr(coverage, "measure", always_another)


def downloads_wait_for_loads(sides: Sides, patch: pytest.MonkeyPatch) -> None:
    """A list is only given when nobody loads."""
    get = DownloadFiles.get

    def patient(snapshots: DownloadFiles, table: Table, extension: str, number: int | None = None) -> Any:
        with snapshots._database.connect(OWNER) as owner:
            if table.release.embargoed:
                owner.execute("SELECT km3vo.lock_rules(%s)", (table.qualified,))
            return get(snapshots, table, extension, number)

    patch.setattr(DownloadFiles, "get", patient)


def coverage_counts_all_rows(sides: Sides, patch: pytest.MonkeyPatch) -> None:
    """Counts, maps and ranges on pages and in records are those of all events."""
    relation = partitions.relation

    def whole(table: Table, audience: Audience) -> tuple[str, str]:
        return relation(table, "member" if threading.current_thread().name.startswith("describing") else audience)

    measure = coverage.measure

    def measured(connection: psycopg.Connection, table: Table, **known: Any) -> Coverage | None:
        thread = threading.current_thread()
        before, thread.name = thread.name, "describing"
        try:
            return measure(connection, table, **known)
        finally:
            thread.name = before

    patch.setattr(partitions, "relation", whole)
    patch.setattr(coverage, "PUBLIC", MEMBER)
    patch.setattr(coverage, "measure", measured)


def obscore_counts_all_rows(sides: Sides, patch: pytest.MonkeyPatch) -> None:
    """The row of the list in ivoa.obscore_hea says how many events there are."""
    refresh = obscore.refresh

    def counting(connection: psycopg.Connection, holdings: Holdings) -> list[Table]:
        changed = refresh(connection, holdings)
        for database in sides.both:
            if f"dbname={connection.info.dbname} " in database.admin:
                with database.connect() as admin:
                    admin.execute("UPDATE ivoa.obscore_hea SET ev_xel = (SELECT count(*) FROM lab.events)")
        return changed

    patch.setattr(obscore, "refresh", counting)


def loads_move_stamps(sides: Sides, patch: pytest.MonkeyPatch) -> None:
    """A load counts as a look, and "released up to" moves."""
    for database in sides.both:
        with database.connect() as admin:
            admin.execute(
                "CREATE FUNCTION km3vo.look() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN "
                "UPDATE km3vo.embargoed SET looked_at = now() WHERE published = NEW.published; RETURN NULL; END $$"
            )
            admin.execute("CREATE TRIGGER look AFTER INSERT ON km3vo.load FOR EACH ROW EXECUTE FUNCTION km3vo.look()")


def everything_is_due(sides: Sides, patch: pytest.MonkeyPatch) -> None:
    """Events become public with quality control, whatever their latency."""
    alter(sides, "km3vo.by_rule", ("RETURN LEAST(", "RETURN LEAST(timestamptz '2000-01-01', "))
    alter(sides, "km3vo.promote", ("- $4 + interval ''4 days''", "+ interval ''400 years''"))


def releases_lie_by_what_waits(sides: Sides, patch: pytest.MonkeyPatch) -> None:
    """The order in which events are moved hangs on how many stay."""
    another = " ORDER BY hashtext(%3$I::text || (SELECT count(*) FROM %1$s)) RETURNING"
    alter(sides, "km3vo.promote", (" ORDER BY %6$s %3$I RETURNING", another))


def releases_wait_for_loads(sides: Sides, patch: pytest.MonkeyPatch) -> None:
    """A release is made when nobody loads."""
    alter(
        sides,
        "km3vo.promote",
        ("IF busy THEN", "PERFORM pg_advisory_xact_lock(20301, km3vo.key(known.parent)); IF busy THEN"),
    )


def maps_are_made_of_all_rows(sides: Sides, patch: pytest.MonkeyPatch) -> None:
    """Maps of significance are made as a member."""

    def of_members(running: Service, audience: Audience, seconds: float, *, long: bool = False) -> Ask:
        return asking(running, "member", seconds, long=long)

    patch.setattr(maps, "asking", of_members)


def correlations_see_all_rows(sides: Sides, patch: pytest.MonkeyPatch) -> None:
    """Correlations read their tables as a member."""
    made = correlate._execution

    def of_members(*asked: Any) -> Execution:
        execution = made(*asked)
        execution._user = User("member")
        return execution

    patch.setattr(correlate, "_execution", of_members)


@dataclass(frozen=True)
class Weak:
    """A weaker build.

    Attributes:
        build: puts it in place.
        actions: give it away.
        shows: is part of what tells the two sides apart.
    """

    build: Build
    actions: tuple[Action, ...]
    shows: str


BUILDS = (
    Weak(loads_analyse_all_rows, (actions.load_by_command, actions.load_slowly), "WHERE mjd BETWEEN"),
    Weak(loads_make_editions, (actions.load_by_command,), "/download/lab/events"),
    Weak(downloads_wait_for_loads, (actions.load_slowly,), "/download/lab/events"),
    Weak(coverage_counts_all_rows, (actions.load_slowly, actions.release_and_describe), "lab/events"),
    Weak(obscore_counts_all_rows, (actions.load_by_command,), "ivoa.obscore_hea"),
    Weak(loads_move_stamps, (actions.load_by_command,), "released_to"),
    Weak(everything_is_due, (actions.load_slowly, actions.judge), "h1000"),
    Weak(releases_lie_by_what_waits, (actions.load_slowly, actions.release_and_describe), "w10000"),
    Weak(maps_are_made_of_all_rows, (actions.load_by_command,), "/skymaps/lab/events"),
    Weak(correlations_see_all_rows, (actions.load_by_command,), "/results/pairs"),
    Weak(releases_wait_for_loads, (actions.release_during_a_load,), "could not be done"),
)
