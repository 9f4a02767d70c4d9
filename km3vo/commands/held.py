"""`km3vo alert held` and what ends it: alerts that wait for a person."""

from __future__ import annotations

import getpass

import click

from km3vo.commands.opening import WRITTEN, catalog, decision, opened, when
from km3vo.errors import NotFoundError
from km3vo.terminal import quoted, tell


@click.command("held")
def held() -> None:
    """List the alerts that wait for a person.

    They are accepted, and nobody outside hears of them.

    \b
    Example:
      km3vo alert held
    """
    from km3vo.alerts import holding
    from km3vo.database.logins import SERVICE

    with opened() as (_settings, database), database.connect(SERVICE, autocommit=True) as connection:
        for one in holding.waiting(connection):
            tell(f"{one.alert_id}  {one.pipeline}  since {when(one.at)}  from {quoted(one.sender)}  {one.why}")


@click.command("confirm")
@click.argument("alert_id")
@click.option("--by", type=WRITTEN, default=getpass.getuser, show_default="your account", help="Who decided.")
def confirm(alert_id: str, by: str) -> None:
    """Publish the alert ALERT_ID that waits, and its revisions that do.

    \b
    Example:
      km3vo alert confirm a-3f5c
    """
    from km3vo.alerts import holding
    from km3vo.alerts.intake import note, release
    from km3vo.alerts.messages import places
    from km3vo.alerts.sending import channels
    from km3vo.alerts.sending.outbox import Outgoing
    from km3vo.alerts.tables import AlertTables
    from km3vo.database.logins import SERVICE

    with opened() as (settings, database), database.connect(SERVICE, autocommit=True) as connection:
        held = holding.waiting(connection, alert=alert_id)
        if not held:
            raise NotFoundError(f"no alert {alert_id} waits: see `km3vo alert held`")
        outgoing = Outgoing(settings, channels.read(settings), AlertTables(catalog(settings)))
        for one in held:
            record = release(connection, one, outgoing).record
            note(connection, by, "confirmed", record, detail=one.why)
            tell(f"{record.event_name} revision {record.revision} is public: {places.page(record.said, settings)}")


@click.command("drop")
@click.argument("alert_id")
@decision
def drop(alert_id: str, reason: str, by: str) -> None:
    """Drop the alert ALERT_ID that waits, and its revisions.

    It is never published.

    \b
    Example:
      km3vo alert drop a-3f5c --reason "the pipeline was being tested"
    """
    from km3vo.alerts import holding
    from km3vo.alerts.intake import note
    from km3vo.database.logins import SERVICE

    with opened() as (_settings, database), database.connect(SERVICE, autocommit=True) as connection:
        held = holding.waiting(connection, alert=alert_id)
        if not held:
            raise NotFoundError(f"no alert {alert_id} waits: see `km3vo alert held`")
        for one in held:
            holding.end(connection, one)
            note(connection, by, "dropped", detail=f"{alert_id}: {reason}")
        tell(f"{alert_id}: {len(held)} messages were dropped")


@click.command("pause")
@click.option("--pipeline", default="", help="This pipeline alone; all of them unless given.")
@decision
def pause(pipeline: str, reason: str, by: str) -> None:
    """Let alerts wait for a person from now on. They are accepted all the same.

    Retractions of what is public go out.

    \b
    Examples:
      km3vo alert pause --reason "calibration runs"
      km3vo alert pause --pipeline orca_HE --reason "a loose threshold"
    """
    from km3vo.alerts import holding
    from km3vo.alerts.intake import note
    from km3vo.database.logins import SERVICE

    with opened() as (_settings, database), database.connect(SERVICE, autocommit=True) as connection:
        holding.pause(connection, pipeline, reason=reason, by=by)
        note(connection, by, "paused", detail=f"{pipeline or 'all pipelines'}: {reason}")
    tell(f"{pipeline or 'all pipelines'}: alerts wait until `km3vo alert confirm`")


@click.command("resume")
@click.option("--pipeline", default="", help="The pipeline that was paused; all of them unless given.")
@click.option("--by", type=WRITTEN, default=getpass.getuser, show_default="your account", help="Who decided.")
def resume(pipeline: str, by: str) -> None:
    """End a pause. What waits already goes on waiting until it is confirmed or dropped.

    \b
    Example:
      km3vo alert resume --pipeline orca_HE
    """
    from km3vo.alerts import holding
    from km3vo.alerts.intake import note
    from km3vo.database.logins import SERVICE

    with opened() as (_settings, database), database.connect(SERVICE, autocommit=True) as connection:
        holding.resume(connection, pipeline)
        note(connection, by, "resumed", detail=pipeline or "all pipelines")
        left = len(holding.waiting(connection, pipeline=pipeline or None))
    tell(f"{pipeline or 'all pipelines'}: alerts go out again; {left} still wait (`km3vo alert held`)")
