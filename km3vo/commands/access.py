"""`km3vo access`: the log of what people with credentials asked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from urllib.parse import unquote_plus

import click

from km3vo.commands.opening import WHEN, duration, opened, utc, when
from km3vo.terminal import quoted, tell, visible

SHOWN = 1000  # characters of a parameter

NEWEST = """
SELECT at, who, audience, client, method, path, parameters, status, location FROM km3vo.access_log
WHERE (%(who)s::text IS NULL OR who = %(who)s) AND (%(since)s::timestamptz IS NULL OR at >= %(since)s)
ORDER BY id DESC LIMIT %(last)s
"""
PRUNE = "DELETE FROM km3vo.access_log WHERE at < clock_timestamp() - %s"


@click.group("access")
def command() -> None:
    """Look at what members asked, and at credentials that were refused.

    Members and observers, that is.

    What the public asks is not logged.

    \b
    Examples:
      km3vo access list --who grace --since 2027-03-01
      km3vo access prune --older-than 365d
    """


@command.command("list")
@click.option("--who", help="Only this person.")
@click.option("--since", type=WHEN, help="From this time on, UTC.")
@click.option("--last", default=100, show_default=True, type=click.IntRange(1), help="At most so many.")
@click.option("--whole", is_flag=True, help="Show long queries whole.")
def asked_(who: str | None, since: datetime | None, last: int, whole: bool) -> None:
    """Show who asked what, when and from where; the newest last.

    Of credentials that were refused ("refused"), the name is the one that was sent: anybody can send any.

    \b
    Examples:
      km3vo access list
      km3vo access list --who grace --since 2027-03-01T12:00 --last 1000
    """
    from km3vo.database.logins import OWNER

    with opened() as (_settings, database), database.connect(OWNER) as connection:
        rows = connection.execute(NEWEST, {"who": who, "since": utc(since), "last": last}).fetchall()
    for at, name, audience, client, method, path, parameters, status, location in reversed(rows):
        role = "observer" if audience.startswith("km3vo_observer_") else audience
        target = f" -> {quoted(location)}" if location else ""
        sent = "  ".join(_parameters(parameters, 10**9 if whole else SHOWN))
        asked = f"{method} {quoted(path)} {status}{target}  {sent}".rstrip()
        tell(f"{when(at)}  {quoted(name)} ({role}) from {client or 'an unknown address'}  {asked}")


def _parameters(recorded: str, most: int) -> Iterator[str]:
    """The parameters of an entry (protocols/http/record.py), each with at most so many characters."""
    for part in filter(None, recorded.split("&")):
        name, _, value = part.partition("=")
        if name == "*":
            count, characters, sha256 = value.split(",")
            yield f"({count} others without effect, {characters} characters, SHA-256 {sha256})"
        elif value.startswith("file:"):
            size, sha256 = value.removeprefix("file:").split(",")
            yield f"{visible(unquote_plus(name))}=(file, {size} bytes, SHA-256 {sha256})"
        else:
            text = unquote_plus(value)
            rest = f" (and {len(text) - most} characters more: --whole)" if len(text) > most else ""
            yield f"{visible(unquote_plus(name))}={quoted(text[:most])}{rest}"


@command.command("prune")
@click.option("--older-than", required=True, help="An age: 365d, 12h or 30m.")
def prune_(older_than: str) -> None:
    """Delete old entries.

    \b
    Example:
      km3vo access prune --older-than 365d
    """
    from km3vo.database.logins import OWNER

    age = duration(older_than)
    with opened() as (_settings, database), database.connect(OWNER) as connection:
        deleted = connection.execute(PRUNE, (age,)).rowcount
        tell(f"{deleted} entries were deleted")
