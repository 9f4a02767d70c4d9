"""`km3vo release`: what becomes public when, and who decides about it."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from km3vo.catalog.model import Catalog, Table
from km3vo.errors import SetupError
from km3vo.settings import Settings

if TYPE_CHECKING:
    from km3vo.store.database import Database
    from km3vo.store.release_decisions import Verdict

WHEN = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


@contextmanager
def opened() -> Iterator[tuple[Settings, Database]]:
    """The settings and the running database that they name."""
    from km3vo.app import find_database
    from km3vo.cli import _cluster

    settings = Settings()
    with _cluster(settings):
        yield settings, find_database(settings)


def catalog(settings: Settings) -> Catalog:
    """The published tables."""
    from km3vo.catalog.files import read_catalog

    return read_catalog(settings.schemas)


def embargoed(settings: Settings, name: str | None = None) -> list[Table]:
    """The embargoed tables, or the one of that name.

    Raises:
        SetupError: there is none.
    """
    tables = [table for table in catalog(settings).tables if table.release.embargoed]
    if name is None:
        return tables
    known = ", ".join(table.qualified for table in tables) or "none"
    for table in tables:
        if table.qualified.lower() == name.lower():
            return [table]
    raise SetupError(f"{name} is not an embargoed table: those are {known}")


def decision(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a decision: why, and whose it is."""
    command = click.option("--by", default=getpass.getuser, show_default="your account", help="Who decided.")(command)
    return click.option("--reason", required=True, help="Why; it goes into the log.")(command)


def when(moment: datetime | None) -> str:
    """A time for people, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if moment else "never"


def utc(moment: datetime | None) -> datetime | None:
    """A time given on the command line, which is UTC."""
    return moment.replace(tzinfo=UTC) if moment else None


@click.group()
def release() -> None:
    """Release events: what becomes public when, and who decides about it.

    Events become public by themselves while the service runs. Times are UTC. What is public stays public.
    """


@release.command("run")
@click.option("--clock-checked", is_flag=True, help="You looked at the clock of the database, and it is right.")
def run_(clock_checked: bool) -> None:
    """Release what is due, now."""
    from km3vo.store import release as releasing
    from km3vo.store.database import OWNER, SERVICE

    with opened() as (settings, database):
        if clock_checked:
            with database.connect(OWNER) as owner:
                releasing.confirm_clock(owner)
        with database.connect(SERVICE, autocommit=True) as service:
            for done in releasing.run(service, embargoed(settings)):
                latest = f", the latest due at {when(done.up_to)}" if done.moved else ""
                click.echo(f"{done.table}: {done.moved} events became public{latest}")


@release.command("status")
def status_() -> None:
    """Tell how many events are public, embargoed, pending, held, and when the next are due."""
    from km3vo.store import release as releasing
    from km3vo.store.database import OWNER

    with opened() as (settings, database), database.connect(OWNER) as owner:
        for table in embargoed(settings):
            one = releasing.status(owner, table)
            click.echo(f"{one.table} (stream {one.stream}, latency {one.latency or 'never'})")
            if one.described:
                click.echo(f"  schemas/ say {one.described}; the latency was changed by command")
            click.echo(f"  public      {one.public}")
            click.echo(f"  embargoed   {one.embargoed}, of which {one.pending} wait for quality control")
            click.echo(f"              {one.failed} did not pass it, and {one.due} are due")
            click.echo(f"  exceptions  {one.held} held, {one.early} released early")
            click.echo(f"  next due    {when(one.next)}")
            click.echo(f"  last look   {when(one.looked_at)}; last release {when(one.released_at)}")
            if one.doubled:
                click.echo(f"  {one.doubled} embargoed events have identifiers that are public already: look at them")


@release.command("plan")
@click.option("--days", default=30, show_default=True, type=click.IntRange(1), help="How far to look ahead.")
def plan_(days: int) -> None:
    """Tell what becomes public in the coming days."""
    from km3vo.store import release as releasing
    from km3vo.store.database import OWNER

    with opened() as (settings, database), database.connect(OWNER) as owner:
        for table in embargoed(settings):
            rows = releasing.plan(owner, table, days)
            click.echo(table.qualified if rows else f"{table.qualified}: nothing in {days} days")
            for day, passed, pending in rows:
                click.echo(f"  {day:%Y-%m-%d}  {passed} events, and {pending} if they pass quality control")


@release.command("log")
@click.option("--last", default=50, show_default=True, type=click.IntRange(1), help="How many entries.")
def log_(last: int) -> None:
    """Show what was released and decided, when, by whom and why; the newest last."""
    from km3vo.store.database import OWNER

    with opened() as (_settings, database), database.connect(OWNER) as owner:
        rows = owner.execute(
            "SELECT at, what, coalesce(published, 'stream ' || stream), event, rows, decided_by, reason "
            "FROM km3vo.release_log ORDER BY id DESC LIMIT %s",
            (last,),
        ).fetchall()
        for at, what, of, event, count, by, reason in reversed(rows):
            parts = (event, None if count is None else f"{count} events", f"by {by}", reason)
            click.echo(f"{when(at)}  {what} {of}: " + ", ".join(filter(None, parts)))


def _told(there: bool) -> str:
    return "" if there else "; there is no such event yet, and this applies when it arrives"


@release.command("hold")
@click.argument("table")
@click.argument("event")
@click.option("--until", type=WHEN, help="UTC; without it, until the hold is lifted.")
@decision
def hold_(table: str, event: str, until: datetime | None, reason: str, by: str) -> None:
    """Keep one EVENT of TABLE back, whatever its latency."""
    from km3vo.store import release_decisions
    from km3vo.store.database import OWNER

    with opened() as (settings, database), database.connect(OWNER) as owner:
        (target,) = embargoed(settings, table)
        there = release_decisions.hold(owner, target, event, until=utc(until), reason=reason, who=by)
        click.echo(f"{event} is held{_told(there)}")


@release.command("early")
@click.argument("table")
@click.argument("event")
@click.option("--at", type=WHEN, help="UTC; without it, at the next look.")
@decision
def early_(table: str, event: str, at: datetime | None, reason: str, by: str) -> None:
    """Release one EVENT of TABLE before its latency is over."""
    from km3vo.store import release_decisions
    from km3vo.store.database import OWNER

    with opened() as (settings, database), database.connect(OWNER) as owner:
        (target,) = embargoed(settings, table)
        there = release_decisions.release_early(owner, target, event, at=utc(at), reason=reason, who=by)
        click.echo(f"{event} is released early{_told(there)}")


@release.command("lift")
@click.argument("table")
@click.argument("event")
@decision
def lift_(table: str, event: str, reason: str, by: str) -> None:
    """End the hold or early release of one EVENT of TABLE."""
    from km3vo.store import release_decisions
    from km3vo.store.database import OWNER

    with opened() as (settings, database), database.connect(OWNER) as owner:
        (target,) = embargoed(settings, table)
        release_decisions.lift(owner, target, event, reason=reason, who=by)
        click.echo(f"{event} goes by the latency of its stream")


@release.command("latency")
@click.argument("stream")
@click.argument("latency")
@decision
def latency_(stream: str, latency: str, reason: str, by: str) -> None:
    """Change the LATENCY of a STREAM for all events that are not public yet.

    P2Y, P18M, P30D and PT12H are durations; P0D releases at the next look, and never is never. It stands until
    schemas/*.yaml say something new.
    """
    from km3vo.catalog import metadata
    from km3vo.store import release_decisions
    from km3vo.store.database import OWNER

    try:
        latency = metadata.latency(latency)
    except ValueError as error:
        raise SetupError(str(error)) from None
    if latency == "immediate":
        raise SetupError("a stream cannot become immediate; P0D releases its events at the next look")
    with opened() as (_settings, database), database.connect(OWNER) as owner:
        changed = release_decisions.set_latency(owner, stream, latency, reason=reason, who=by)
        click.echo(f"{stream}: latency {latency}; {changed} embargoed events have another release time now")


@release.command("qc")
@click.argument("table")
@click.argument("verdict", type=click.Choice(["passed", "failed", "pending"]))
@click.argument("events", nargs=-1)
@click.option("--all-pending", is_flag=True, help="All events that wait for quality control.")
@decision
def qc_(table: str, verdict: Verdict, events: tuple[str, ...], all_pending: bool, reason: str, by: str) -> None:
    """Note what quality control says of EVENTS of TABLE; "-" reads their identifiers from the standard input.

    Only events that passed become public.
    """
    from km3vo.store import release_decisions
    from km3vo.store.database import OWNER

    if bool(events) == all_pending:
        raise SetupError("name the events, or say --all-pending")
    if events == ("-",):
        events = tuple(sys.stdin.read().split())
    with opened() as (settings, database), database.connect(OWNER) as owner:
        (target,) = embargoed(settings, table)
        changed = release_decisions.set_quality(
            owner,
            target,
            verdict,
            None if all_pending else events,
            reason=reason,
            who=by,
        )
        click.echo(f"{changed} events of {target.qualified} are {verdict} now")
