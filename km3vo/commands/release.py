"""`km3vo release`: what becomes public when, and who decides about it."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import click

from km3vo.commands.opening import WHEN, WRITTEN, decision, embargoed, opened, utc, when
from km3vo.errors import SetupError
from km3vo.terminal import quoted, tell

if TYPE_CHECKING:
    import psycopg

    from km3vo.catalog.model import Table
    from km3vo.embargo.decisions import Verdict


@click.group("release")
def command() -> None:
    """See, plan and decide what becomes public when.

    Events become public by themselves while the service runs, once a day at midnight unless KM3VO_RELEASE_HOURS says
    otherwise. Times are UTC. What is public stays public. docs/embargo.md says how it works.

    \b
    What one asks and decides:
      km3vo release status
      km3vo release plan --days 90
      km3vo release hold km3net.offline 20270301T1234 --reason "to be looked at"
      km3vo release log
    """


@command.command("run")
@click.option("--clock-checked", is_flag=True, help="You looked at the clock of the database, and it is right.")
@click.option(
    "--by", type=WRITTEN, default=getpass.getuser, show_default="your account", help="Who looked at the clock."
)
def run_(clock_checked: bool, by: str) -> None:
    """Release what is due, now. The running service does so by itself, in daily batches (KM3VO_RELEASE_HOURS).

    A clock that jumped by more than a week stops all releases, here and in the service, until a person has looked at
    it and says so.

    \b
    Examples:
      km3vo release run
      km3vo release run --clock-checked
    """
    from km3vo.database.logins import OWNER, SERVICE
    from km3vo.embargo import clock, statistics
    from km3vo.embargo import release as releasing

    with opened() as (settings, database):
        if clock_checked:
            with database.connect(OWNER) as owner:
                clock.vouch(owner, by)
        with database.connect(SERVICE, autocommit=True) as service:
            for done in releasing.run(service, embargoed(settings)):
                latest = f", the latest due at {when(done.up_to)}" if done.moved else ""
                tell(f"{done.table}: {done.moved} events became public{latest}")
        statistics.settle(database, embargoed(settings))


@command.command("status")
def status_() -> None:
    """Count the public, embargoed and held events of each table.

    It also tells how many wait for quality control, and when the next become public.

    \b
    Example:
      km3vo release status
    """
    from km3vo.database.logins import OWNER
    from km3vo.embargo import clock
    from km3vo.embargo import release as releasing

    with opened() as (settings, database), database.connect(OWNER) as owner:
        known = clock.read(owner)
        batch = settings.release_every and when(releasing.next_batch(known.clock, settings.release_every))
        tell(
            f"the clock says {when(known.clock)}; {quoted(known.checked_by)} vouched for it at {when(known.checked_at)}"
        )
        if known.stopped:
            tell(f"nothing is released: {known.stopped}; then say `km3vo release run --clock-checked`")
        for table in embargoed(settings):
            one = releasing.status(owner, table)
            tell(f"{one.table} (stream {one.stream}, latency {one.latency or 'never'})")
            if one.described:
                tell(f"  schemas/ say {one.described}; the latency was changed by command")
            tell(f"  public      {one.public}")
            tell(f"  embargoed   {one.embargoed}, of which {one.pending} wait for quality control")
            waits = f"; the next batch is released at {batch}" if batch else ""
            tell(f"              {one.failed} did not pass it, and {one.due} are due{waits}")
            tell(f"  exceptions  {one.held} held, {one.early} released early")
            tell(f"  next due    {when(one.next)}")
            tell(f"  public to   {when(one.looked_at)}: what was due then")
            tell(f"  last look   {when(one.checked_at)}; last release {when(one.released_at)}")
            if one.doubled:
                tell(f"  {one.doubled} embargoed events have identifiers that are public already: look at them")


@command.command("plan")
@click.option("--days", default=30, show_default=True, type=click.IntRange(1), help="How far to look ahead.")
def plan_(days: int) -> None:
    """Tell what becomes public in the coming days.

    \b
    Example:
      km3vo release plan --days 90
    """
    from km3vo.database.logins import OWNER
    from km3vo.embargo import release as releasing

    with opened() as (settings, database), database.connect(OWNER) as owner:
        for table in embargoed(settings):
            rows = releasing.plan(owner, table, days)
            tell(table.qualified if rows else f"{table.qualified}: nothing in {days} days")
            for day, passed, pending in rows:
                tell(f"  {day:%Y-%m-%d}  {passed} events, and {pending} if they pass quality control")


@command.command("log")
@click.option("--last", default=50, show_default=True, type=click.IntRange(1), help="How many entries.")
def log_(last: int) -> None:
    """Show what was released and decided, by whom and why.

    The newest is the last.

    \b
    Example:
      km3vo release log --last 500
    """
    from km3vo.database.logins import OWNER
    from km3vo.embargo import release

    with opened() as (_settings, database), database.connect(OWNER) as owner:
        for at, what, of, event, count, by, reason in reversed(release.log(owner, last)):
            parts = (
                event and quoted(event),
                None if count is None else f"{count} events",
                f"by {quoted(by)}",
                reason and quoted(reason),
            )
            tell(f"{when(at)}  {what} {of}".rstrip() + ": " + ", ".join(filter(None, parts)))


@contextmanager
def _deciding(table: str) -> Iterator[tuple[psycopg.Connection, Table]]:
    """The owner's connection, and the embargoed table about which is decided."""
    from km3vo.database.logins import OWNER

    with opened() as (settings, database), database.connect(OWNER) as owner:
        (target,) = embargoed(settings, table)
        yield owner, target


def _told(there: bool) -> str:
    return "" if there else "; there is no such event yet, and this applies when it arrives"


@command.command("hold")
@click.argument("table")
@click.argument("event", type=WRITTEN)
@click.option("--until", type=WHEN, help="UTC; without it, until the hold is lifted.")
@decision
def hold_(table: str, event: str, until: datetime | None, reason: str, by: str) -> None:
    """Keep one EVENT of TABLE back, whatever its latency. What is public already cannot be held.

    \b
    Examples:
      km3vo release hold km3net.offline 20270301T1234 --reason "to be looked at"
      km3vo release hold km3net.offline 20270301T1234 --until 2030-01-01 --reason "paper in preparation"
    """
    from km3vo.embargo import decisions

    with _deciding(table) as (owner, target):
        there = decisions.hold(owner, target, event, until=utc(until), reason=reason, who=by)
        tell(f"{event} is held{_told(there)}")


@command.command("early")
@click.argument("table")
@click.argument("event", type=WRITTEN)
@click.option("--at", type=WHEN, help="UTC; without it, within a minute.")
@decision
def early_(table: str, event: str, at: datetime | None, reason: str, by: str) -> None:
    """Release one EVENT of TABLE before its latency is over. This cannot be undone once the event is public.

    \b
    Examples:
      km3vo release early km3net.offline 20270301T1234 --reason "paper published"
      km3vo release early km3net.offline 20270301T1234 --at 2027-06-01T12:00 --reason "press release"
    """
    from km3vo.embargo import decisions

    with _deciding(table) as (owner, target):
        there = decisions.release_early(owner, target, event, at=utc(at), reason=reason, who=by)
        tell(f"{event} is released early{_told(there)}")


@command.command("lift")
@click.argument("table")
@click.argument("event", type=WRITTEN)
@decision
def lift_(table: str, event: str, reason: str, by: str) -> None:
    """End the hold or early release of one EVENT of TABLE.

    An early release can be ended as long as it has not happened.

    \b
    Example:
      km3vo release lift km3net.offline 20270301T1234 --reason "reconstruction was right"
    """
    from km3vo.embargo import decisions

    with _deciding(table) as (owner, target):
        decisions.lift(owner, target, event, reason=reason, who=by)
        tell(f"{event} becomes public after the latency of its stream, as other events do")


@command.command("latency")
@click.argument("stream")
@click.argument("latency")
@decision
def latency_(stream: str, latency: str, reason: str, by: str) -> None:
    """Change the LATENCY of a STREAM.

    It counts for all events that are not public yet. P2Y, P18M, P30D and PT12H are durations; with P0D the events
    become public with the next batch, or by `km3vo release run`; with `never` they do not. The new latency holds until
    the description in schemas/*.yaml is changed and published.

    \b
    Examples:
      km3vo release latency measured P18M --reason "decision of the Institute Board"
      km3vo release latency measured never --reason "until the calibration is done again"
    """
    from km3vo.catalog import metadata
    from km3vo.database.logins import OWNER
    from km3vo.embargo import decisions

    try:
        latency = metadata.latency(latency)
    except ValueError as error:
        raise SetupError(str(error)) from None
    if latency == "immediate":
        raise SetupError("a stream cannot become immediate; with P0D its events become public with the next batch")
    with opened() as (_settings, database), database.connect(OWNER) as owner:
        changed = decisions.set_latency(owner, stream, latency, reason=reason, who=by)
        tell(f"{stream}: latency {latency}; {changed} embargoed events have another release time now")


@command.command("qc")
@click.argument("table")
@click.argument("verdict", type=click.Choice(["passed", "failed", "pending"]))
@click.argument("events", type=WRITTEN, nargs=-1)
@click.option("--all-pending", is_flag=True, help="All events that wait for quality control.")
@click.option("--run", metavar="[DETECTOR/]RUN", help="All events of a run that are not public yet.")
@decision
def qc_(
    table: str, verdict: Verdict, events: tuple[str, ...], all_pending: bool, run: str | None, reason: str, by: str
) -> None:
    """Note what quality control says of EVENTS of TABLE.

    Only events that passed become public. "-" reads the events' identifiers from the standard input.

    \b
    Examples:
      km3vo release qc km3net.offline passed --all-pending --reason "run list of March"
      km3vo release qc km3net.offline passed --run ARCA/4711 --reason "run list of March"
      km3vo release qc km3net.offline failed - --reason "sparking module" < identifiers.txt
    """
    from km3vo.embargo import decisions
    from km3vo.embargo.versions import parts_of_run

    if [bool(events), all_pending, run is not None].count(True) != 1:
        raise SetupError("name the events, or say --run or --all-pending")
    if events == ("-",):
        events = tuple(sys.stdin.read().split())
    with _deciding(table) as (owner, target):
        named = None if all_pending else list(events)
        if run is not None:
            named = decisions.of_run(owner, target, parts_of_run(target, run))
        changed = decisions.set_quality(owner, target, verdict, named, reason=reason, who=by, which=run)
        tell(f"{changed} events of {target.qualified} are {verdict} now")
