"""`km3vo token`, `km3vo grant`, `km3vo access`: who may see more than the public, and who has looked."""

from __future__ import annotations

import getpass
import re
from datetime import datetime, timedelta
from urllib.parse import parse_qsl

import click

from km3vo.errors import SetupError
from km3vo.store.release_command import WHEN, embargoed, opened, utc, when

_DURATION = re.compile(r"(\d{1,5})([dhm])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def duration(text: str) -> timedelta:
    """A duration like 90d, 12h or 30m.

    Raises:
        SetupError: it is none.
    """
    found = _DURATION.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise SetupError(f"{text} is not a duration: write 90d, 12h or 30m")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


@click.group()
def token() -> None:
    """Make and revoke personal tokens, for scripts and for programs that ask for a password.

    People with an account at the identity provider (KM3VO_OIDC_ISSUER) need none.
    """


@token.command("create")
@click.argument("owner")
@click.option("--observer", is_flag=True, help="The owner is no member and sees what `km3vo grant` grants.")
@click.option("--expires", default="90d", show_default=True, help="90d, 12h or 30m from now.")
@click.option("--label", default="", help="What it is for.")
@click.option("--by", default=getpass.getuser, show_default="your account", help="Who makes it.")
def create_(owner: str, observer: bool, expires: str, label: str, by: str) -> None:
    """Make a token for OWNER and show it, once."""
    from km3vo.store import tokens
    from km3vo.store.database import OWNER

    valid = duration(expires)
    with opened() as (_settings, database), database.connect(OWNER) as connection:
        number, made = tokens.create(
            connection, owner, audience="observer" if observer else "member", label=label, valid=valid, by=by
        )
    click.echo(f"token {number} of {owner}, valid for {expires}; it is not shown again:", err=True)
    click.echo(made)


@token.command("list")
def list_() -> None:
    """Tell which tokens there are, whose, and whether they are valid; not the tokens."""
    from km3vo.store import tokens
    from km3vo.store.database import OWNER

    with opened() as (_settings, database), database.connect(OWNER) as connection:
        for one in tokens.find_all(connection):
            click.echo(
                f"{one.id}  {one.owner} ({one.audience})  {one.state}, expires {when(one.expires_at)}, "
                f"last used {when(one.last_used_at)}  {one.label}".rstrip()
            )


@token.command("revoke")
@click.argument("number", type=int, required=False)
@click.option("--owner", help="All tokens of this person.")
def revoke_(number: int | None, owner: str | None) -> None:
    """Revoke the token with this NUMBER, or all of one person. It is refused from then on."""
    from km3vo.store import tokens
    from km3vo.store.database import OWNER

    if (number is None) == (owner is None):
        raise SetupError("give the number of a token (`km3vo token list`), or --owner")
    with opened() as (_settings, database), database.connect(OWNER) as connection:
        click.echo(f"{tokens.revoke(connection, number=number, owner=owner)} tokens were revoked")


@click.group()
def grant() -> None:
    """Let single people outside the Collaboration see embargoed events, until a date.

    An observer is known by the name in the token (`km3vo token create --observer NAME`), or by the `sub` that the
    identity provider gives.
    """


@grant.command("add")
@click.argument("observer")
@click.argument("table")
@click.option("--until", required=True, type=WHEN, help="When the grant ends, UTC.")
@click.option("--observed-from", type=WHEN, help="Events observed from this time on, UTC.")
@click.option("--observed-to", type=WHEN, help="Events observed before this time, UTC.")
@click.option("--reason", required=True, help="Why; it is kept with the grant.")
@click.option("--by", default=getpass.getuser, show_default="your account", help="Who decided.")
def add_(
    observer: str,
    table: str,
    until: datetime,
    observed_from: datetime | None,
    observed_to: datetime | None,
    reason: str,
    by: str,
) -> None:
    """Let OBSERVER see embargoed events of TABLE."""
    from km3vo.store import grants

    ends_at = utc(until)
    assert ends_at is not None
    with opened() as (settings, database):
        (target,) = embargoed(settings, table)
        number = grants.add(
            database,
            target,
            observer,
            observed_from=observed_from,
            observed_to=observed_to,
            ends_at=ends_at,
            reason=reason,
            by=by,
        )
    click.echo(f"grant {number}: {observer} sees embargoed events of {target.qualified} until {when(ends_at)}")


@grant.command("list")
def grants_() -> None:
    """Tell who was granted what, until when, by whom and why."""
    from km3vo.store import grants

    with opened() as (_settings, database):
        for one in grants.find_all(database):
            period = f"{one.observed_from or 'the beginning'} to {one.observed_to or 'the end'}"
            click.echo(
                f"{one.id}  {one.observer}  {one.published}, observed {period}  {one.state}, until {when(one.ends_at)}"
                f"  by {one.decided_by}: {one.reason}"
            )


@grant.command("revoke")
@click.argument("number", type=int)
def end_(number: int) -> None:
    """End the grant with this NUMBER now."""
    from km3vo.store import grants

    with opened() as (_settings, database):
        grants.revoke(database, number)
    click.echo(f"grant {number} is revoked")


@click.group()
def access() -> None:
    """Look at what people with credentials asked."""


@access.command("list")
@click.option("--who", help="Only this person.")
@click.option("--since", type=WHEN, help="UTC.")
@click.option("--last", default=100, show_default=True, type=click.IntRange(1), help="At most so many, the newest.")
def asked_(who: str | None, since: datetime | None, last: int) -> None:
    """Show who asked what and when; the newest last."""
    from km3vo.store.database import OWNER

    with opened() as (_settings, database), database.connect(OWNER) as connection:
        rows = connection.execute(
            "SELECT at, who, audience, method, path, parameters, status FROM km3vo.access_log "
            "WHERE (%(who)s::text IS NULL OR who = %(who)s) AND (%(since)s::timestamptz IS NULL OR at >= %(since)s) "
            "ORDER BY id DESC LIMIT %(last)s",
            {"who": who, "since": utc(since), "last": last},
        ).fetchall()
    for at, name, audience, method, path, parameters, status in reversed(rows):
        given = "  ".join(f"{key}={' '.join(value.split())}" for key, value in parse_qsl(parameters))
        role = audience if audience == "member" else "observer"
        click.echo(f"{when(at)}  {name} ({role})  {method} {path} {status}  {given}".rstrip())


@access.command("prune")
@click.option("--older-than", required=True, help="365d, 12h or 30m.")
def prune_(older_than: str) -> None:
    """Delete old entries."""
    from km3vo.store.database import OWNER

    age = duration(older_than)
    with opened() as (_settings, database), database.connect(OWNER) as connection:
        done = connection.execute("DELETE FROM km3vo.access_log WHERE at < clock_timestamp() - %s", (age,))
        click.echo(f"{done.rowcount} entries were deleted")
