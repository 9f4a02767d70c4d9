"""`km3vo alert`: alerts by hand, and what was done with them."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from km3vo.commands import held
from km3vo.commands.opening import WHEN, WRITTEN, catalog, decision, opened, utc, when
from km3vo.errors import SetupError
from km3vo.terminal import quoted, tell, tell_lines

if TYPE_CHECKING:
    from km3vo.alerts.intake import Accepted, Sender

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("alert")
def command() -> None:
    """Send alerts by hand, look at them, retract them.

    Pipelines send theirs by HTTP, with a token: docs/alerts.md says how. What a file may say is in /alerts/schema.json.

    \b
    From a first look to a retraction:
      km3vo alert check my.json
      km3vo alert send my.json --dry-run
      km3vo alert send my.json
      km3vo alert retract KM3-261127A --reason "an optical beacon was on"
      km3vo alert log KM3-261127A
    """


@command.command("check")
@click.argument("file", type=FILE)
def check_(file: Path) -> None:
    """Tell what is wrong with the standard event in FILE.

    It needs no database and keeps nothing.

    \b
    Example:
      km3vo alert check my.json
    """
    from km3vo.alerts import profile

    event = profile.read(file.read_bytes(), now=datetime.now(UTC))
    tell(f"{file} is a standard event: {event.type} of {event.pipeline}, tense {event.tense}")


@command.command("send")
@click.argument("file", type=FILE)
@click.option("--skymap", type=FILE, help="FITS file with its sky map.")
@click.option("--dry-run", is_flag=True, help="Keep and send nothing; show the notice that would go out.")
@click.option("--offline-approved", is_flag=True, help="You approve an update made from offline data; needs --reason.")
@click.option("--reason", default="", help="Why it is approved; it goes into the log.")
@click.option("--by", type=WRITTEN, default=getpass.getuser, show_default="your account", help="Who sends it.")
def send_(file: Path, skymap: Path | None, dry_run: bool, offline_approved: bool, reason: str, by: str) -> None:
    """Send the standard event in FILE. It is public at once.

    Sent again, it changes nothing.

    \b
    Examples:
      km3vo alert send my.json --dry-run
      km3vo alert send my.json
      km3vo alert send my.json --skymap my.multiorder.fits
      km3vo alert send better.json --offline-approved --reason "decided on 2026-11-20"
    """
    from km3vo.alerts.intake import Sender

    if offline_approved != bool(reason):
        raise SetupError("--offline-approved and --reason go together")
    sent = skymap.read_bytes() if skymap else None
    _send(file.read_bytes(), Sender(by, offline_reason=reason), dry_run=dry_run, skymap=sent)


@command.command("retract")
@click.argument("name")
@decision
@click.option("--dry-run", is_flag=True, help="Keep and send nothing; show the notice that would go out.")
def retract_(name: str, reason: str, by: str, dry_run: bool) -> None:
    """Retract the alert NAME: its last revision, which says why.

    \b
    Example:
      km3vo alert retract KM3-261127A --reason "an optical beacon was on"
    """
    import json

    from km3vo.alerts.intake import Sender
    from km3vo.alerts.records import find
    from km3vo.database.logins import SERVICE

    with opened() as (_settings, database), database.connect(SERVICE, autocommit=True) as connection:
        newest = find(connection, name)[-1].said
    event = {
        "alert_id": newest.alert_id,
        "type": "retraction",
        "tense": newest.tense,
        "pipeline": newest.pipeline,
        "text": reason,
    }
    _send(json.dumps(event).encode(), Sender(by), dry_run=dry_run)


def _send(document: bytes, sender: Sender, *, dry_run: bool, skymap: bytes | None = None) -> Accepted:
    from km3vo.alerts.intake import Held, accept
    from km3vo.alerts.messages import notice, places
    from km3vo.alerts.sending import channels
    from km3vo.alerts.sending.outbox import Outgoing
    from km3vo.alerts.tables import AlertTables
    from km3vo.database.logins import SERVICE

    with opened() as (settings, database), database.connect(SERVICE, autocommit=True) as connection:
        outgoing = Outgoing(settings, channels.read(settings), AlertTables(catalog(settings)))
        taken = accept(connection, document, sender, outgoing=outgoing, skymap=skymap, dry_run=dry_run)
    if isinstance(taken, Held):
        raise SetupError(f"{taken.alert_id} is held, {taken.why}: see `km3vo alert held`")
    if dry_run:
        tell_lines(notice.document(taken.record.said, settings).decode())
    tell(f"{_what(taken, dry_run)}: {places.page(taken.record.said, settings)}", err=True)
    return taken


def _what(taken: Accepted, dry_run: bool) -> str:
    named = f"{taken.record.event_name} revision {taken.record.revision}"
    if taken.repeated:
        return f"{named} was there already, and nothing was sent"
    return f"{named} would be published" if dry_run else f"{named} is public"


@command.command("list")
@click.option("--number", default=20, show_default=True, type=click.IntRange(1), help="How many.")
@click.option("--tests", is_flag=True, help="Tests and injections, too.")
def list_(number: int, tests: bool) -> None:
    """List the newest revisions of alerts.

    \b
    Examples:
      km3vo alert list
      km3vo alert list --number 100 --tests
    """
    from km3vo.alerts.records import newest
    from km3vo.database.logins import SERVICE

    with opened() as (_settings, database), database.connect(SERVICE, autocommit=True) as connection:
        for record in newest(connection, number, test=tests):
            one = record.said
            state = f"revision {one.revision}  {one.type}, {one.tense}"
            tell(f"{one.event_name}  {state}  {when(one.time)}  {one.pipeline}")


@command.command("show")
@click.argument("name")
@click.option("--revision", type=click.IntRange(1), help="Which; the newest unless given.")
@click.option("--form", type=click.Choice(["txt", "json", "xml"]), default="txt", show_default=True, help="As what.")
def show_(name: str, revision: int | None, form: str) -> None:
    """Show the alert NAME as its recipients see it.

    \b
    Examples:
      km3vo alert show KM3-230213A
      km3vo alert show KM3-230213A --revision 1 --form xml
    """
    from km3vo.alerts.documents import Documents
    from km3vo.alerts.records import find
    from km3vo.database.logins import SERVICE

    with opened() as (settings, database), database.connect(SERVICE, autocommit=True) as connection:
        revisions = find(connection, name)
        if revision is not None and revision > len(revisions):
            raise SetupError(f"{name} has {len(revisions)} revisions")
        tell_lines(Documents(settings).write(revisions[(revision or 0) - 1].said, form).decode())


@command.command("redact")
@click.argument("name")
@decision
def redact_(name: str, reason: str, by: str) -> None:
    """Take away what the alert NAME says, for legal reasons. Its name stays, and nothing brings the rest back.

    Whoever has it already keeps it. To say that an alert was wrong, retract it.

    \b
    Example:
      km3vo alert redact KM3-261127A --reason "court order of 2026-12-01"
    """
    from km3vo.alerts.redaction import redact
    from km3vo.alerts.tables import AlertTables
    from km3vo.database.logins import OWNER

    with opened() as (settings, database), database.connect(OWNER) as connection:
        done = redact(connection, name, AlertTables(catalog(settings)), reason=reason, by=by)
        tell(f"{name}: {done} revisions were taken away")


@command.command("log")
@click.argument("name", required=False)
@click.option("--number", default=50, show_default=True, type=click.IntRange(1), help="How many lines.")
def log_(name: str | None, number: int) -> None:
    """Tell what was done with alerts, or with the alert NAME.

    That is who sent what, what was refused, and why.

    \b
    Examples:
      km3vo alert log
      km3vo alert log KM3-261127A
    """
    from km3vo.alerts.records import log
    from km3vo.database.logins import SERVICE

    with opened() as (_settings, database), database.connect(SERVICE, autocommit=True) as connection:
        for one in log(connection, name, number):
            about = f"{one.event_name} revision {one.revision}" if one.event_name else "-"
            tell(f"{when(one.at)}  {quoted(one.who)}  {one.what}  {about}  {(one.sha256 or '')[:12]}  {one.detail}")


@command.command("replay")
@click.option("--channel", "name", required=True, help="Name of the channel.")
@click.option("--alert", help="All revisions of this alert.")
@click.option("--since", type=WHEN, help="Those accepted from this time on (UTC).")
@click.option("--until", type=WHEN, help="Those accepted before this time (UTC).")
@click.option("--to", help="Another topic, address or URL than the channel's own.")
@click.option("--yes-public", is_flag=True, help="Also current alerts older than an hour, to the channel's own place.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be sent.")
@click.option("--by", type=WRITTEN, default=getpass.getuser, show_default="your account", help="Who sends it.")
def replay_(
    name: str,
    alert: str | None,
    since: datetime | None,
    until: datetime | None,
    to: str | None,
    yes_public: bool,
    dry_run: bool,
    by: str,
) -> None:
    """Send again what was sent by a channel, byte by byte.

    Receivers know it by its identifiers, and by a header that says that it is a replay.

    \b
    Examples:
      km3vo alert replay --channel gcn --alert KM3-261127A --to rehearsal.topic
      km3vo alert replay --channel gcn --since 2026-11-01 --dry-run
    """
    from km3vo.alerts.sending import channels, outbox
    from km3vo.alerts.sending.dispatcher import transport
    from km3vo.database.logins import SERVICE

    if (alert is None) == (since is None):
        raise SetupError("give --alert or --since")
    with opened() as (settings, database), database.connect(SERVICE, autocommit=True) as connection:
        known = {channel.name: channel for channel in channels.read(settings)}
        if name not in known:
            raise SetupError(f"there is no channel {name}: those are {', '.join(known) or 'none'}")
        channel = known[name].model_copy(update={"to": to} if to else {})
        messages = outbox.stored(connection, name, name=alert, since=utc(since), until=utc(until))
        old = [one for one in messages if not one.is_test and datetime.now(UTC) - one.created > timedelta(hours=1)]
        if old and not (to or yes_public or dry_run):
            raise SetupError(f"{len(old)} alerts are older than an hour: add --yes-public if all shall get them again")
        sending = None if dry_run else transport(channel)
        for one in messages:
            if sending is None:
                tell(f"{one.key} would be sent to {channel.to}")
                continue
            for _, outcome in sending.send([one]):
                told = outcome.reference if isinstance(outcome, outbox.Arrived) else f"refused, {outcome.why}"
                outbox.note_replay(connection, name, channel.to, by, one, told)
                tell(f"{one.key} to {channel.to}: {told}")
        if sending is not None:
            sending.close()


@command.command("drill")
@click.option("--seconds", default=60, show_default=True, type=click.IntRange(1), help="How long to wait.")
@click.option("--dry-run", is_flag=True, help="Keep and send nothing; show the notice that would go out.")
@click.option("--by", type=WRITTEN, default=getpass.getuser, show_default="your account", help="Who sends it.")
def drill_(seconds: int, dry_run: bool, by: str) -> None:
    """Send a test through every channel, and tell how long each took.

    It has the tense test, whatever happens, and no other can be given. The service must be running. Once a week keeps
    the credentials of GCN alive.

    \b
    Examples:
      km3vo alert drill --dry-run
      km3vo alert drill
    """
    import json
    import time

    from km3vo.alerts.intake import Sender
    from km3vo.alerts.sending import outbox
    from km3vo.database.logins import SERVICE

    taken = _send(json.dumps(_drill()).encode(), Sender(by, tests_only=True), dry_run=dry_run)
    if dry_run:
        return
    end = time.monotonic() + seconds
    with opened() as (_settings, database), database.connect(SERVICE, autocommit=True) as connection:
        while True:
            latencies = outbox.latencies(connection, taken.record.event_name, taken.record.revision)
            if all(took is not None for _, took, _ in latencies) or time.monotonic() > end:
                break
            time.sleep(0.1)
    for channel, took, error in latencies:
        tell(f"{channel}: {f'{took:.3f} s' if took is not None else f'did not arrive {error}'.rstrip()}")
    if not latencies:
        tell("there is no channel: KM3VO_ALERTS_CHANNELS names the file with them")
    if any(took is None for _, took, _ in latencies):
        raise SetupError("not every channel got it: see `km3vo alert channels`")


def _drill() -> dict[str, Any]:
    """A standard event that nobody can take for an observation."""
    from secrets import token_hex

    now = datetime.now(UTC).isoformat()
    place = {"time": now, "ra": 266.417, "dec": -29.008, "err50": 1.0, "energy": 1e5, "cos_zenith": -0.5}
    return {
        "alert_id": f"drill-{token_hex(8)}",
        "type": "initial",
        "tense": "test",
        **place,
        "topology": "Track",
        "detector": "ARCA",
        "configuration": "ARCA1",
        "pipeline": "drill",
        "far": 1.0,
        "events": [{"id": "drill", **place, "topology": "track"}],
        "text": "A drill: this is no observation.",
    }


@command.command("channels")
def channels_() -> None:
    """Tell how the channels are by which alerts are sent.

    That is how many wait and since when, how many arrived or were given up, and what went wrong last.

    \b
    Example:
      km3vo alert channels
    """
    from km3vo.alerts.sending import channels, outbox
    from km3vo.database.logins import SERVICE

    with opened() as (settings, database), database.connect(SERVICE, autocommit=True) as connection:
        known = {state["channel"]: state for state in outbox.states(connection)}
        for channel in channels.read(settings):
            state = known.pop(channel.name, None)
            tell(f"{channel.name} ({channel.kind} to {channel.to}, {channel.format}): {_state(state)}")
        for name, state in known.items():
            tell(f"{name} (no longer configured): {_state(state)}")


def _state(state: dict[str, Any] | None) -> str:
    if state is None:
        return "nothing was sent yet"
    waiting = f"{state['waiting']} wait" + (f" since {when(state['oldest'])}" if state["waiting"] else "")
    told = f"{waiting}, {state['sent']} arrived, the last at {when(state['last'])}, {state['failed']} given up"
    return f"{told}; last error: {state['error']}" if state["error"] else told


for _one in (held.held, held.confirm, held.drop, held.pause, held.resume):
    command.add_command(_one)
