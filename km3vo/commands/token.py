"""`km3vo token`: credentials for scripts, and for programs that ask for a password."""

from __future__ import annotations

import getpass
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from km3vo.commands.opening import WRITTEN, duration, opened, when
from km3vo.errors import NotFoundError, SetupError
from km3vo.terminal import quoted, tell

if TYPE_CHECKING:
    from km3vo.embargo.tokens import Token


@click.group("token")
def command() -> None:
    """Make and revoke personal tokens.

    They are for scripts, and for programs that ask for a password. People with an account at the identity provider
    (KM3VO_OIDC_ISSUER) need none. docs/access.md says how they are sent.

    \b
    From the first to the last day:
      km3vo token create ada --label "nightly script"
      km3vo token list
      km3vo token revoke --owner ada
    """


@command.command("create")
@click.argument("owner", type=WRITTEN)
@click.option("--observer", is_flag=True, help="The owner is no member and sees what `km3vo grant` grants.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(["alerts:write", "alerts:test"]),
    help="The owner is a program that sends alerts, or tests of them, and reads what the public does.",
)
@click.option("--pipeline", "pipelines", multiple=True, help="Send alerts of this pipeline alone; may be repeated.")
@click.option("--expires", default="90d", show_default=True, help="90d, 12h or 30m from now.")
@click.option("--label", default="", help="What it is for.")
@click.option("--by", type=WRITTEN, default=getpass.getuser, show_default="your account", help="Who makes it.")
def create_(
    owner: str,
    observer: bool,
    scopes: tuple[str, ...],
    pipelines: tuple[str, ...],
    expires: str,
    label: str,
    by: str,
) -> None:
    """Make a token for OWNER and show it, once. Only a hash of it is kept.

    \b
    Examples:
      km3vo token create ada --label laptop                    a member, for 90 days
      km3vo token create ada --expires 12h
      km3vo token create grace --observer --expires 30d        then: km3vo grant add grace TABLE
      km3vo token create arca --scope alerts:write --pipeline arca_HE --expires 365d
    """
    from km3vo.database.logins import OWNER
    from km3vo.embargo import tokens

    valid = duration(expires)
    if (scopes and observer) or (pipelines and not scopes):
        raise SetupError("--pipeline goes with --scope, and --scope without --observer")
    audience = "public" if scopes else "observer" if observer else "member"
    with opened() as (_settings, database), database.connect(OWNER) as connection:
        number, made = tokens.create(
            connection,
            owner,
            audience=audience,
            label=label,
            valid=valid,
            by=by,
            scopes=scopes,
            pipelines=pipelines,
        )
    tell(f"token {number} of {owner}, valid for {expires}; it is not shown again:", err=True)
    tell(made)


@command.command("list")
def list_() -> None:
    """Tell whose tokens there are and whether they are valid.

    The tokens themselves are kept nowhere.

    \b
    Example:
      km3vo token list
    """
    from km3vo.database.logins import OWNER
    from km3vo.embargo import tokens

    with opened() as (_settings, database), database.connect(OWNER) as connection:
        for one in tokens.find_all(connection):
            tell(
                f"{one.id}  {quoted(one.owner)} ({_use(one)})  {one.state}, expires {when(one.expires_at)}, "
                f"last used {when(one.last_used_at)}  {quoted(one.label)}"
            )


def _use(token: Token) -> str:
    """What a token is for."""
    if not token.scopes:
        return token.audience
    return " ".join((*token.scopes, *(f"of {quoted(pipeline)}" for pipeline in token.pipelines)))


@command.command("revoke")
@click.argument("number", type=int, required=False)
@click.option("--owner", type=WRITTEN, help="All tokens and sessions of this person.")
def revoke_(number: int | None, owner: str | None) -> None:
    """Revoke the token with this NUMBER, or all of one person. It is refused from then on.

    Of a person, sessions in browsers end as well. Who is a member at the identity provider can begin another.

    \b
    Examples:
      km3vo token revoke 7
      km3vo token revoke --owner ada
      km3vo token revoke --owner 8f3c@sso.example.org/realms/main
    """
    from km3vo.database.logins import OWNER
    from km3vo.embargo import tokens

    if (number is None) == (owner is None):
        raise SetupError("give the number of a token (`km3vo token list`), or --owner")
    with opened() as (_settings, database), database.connect(OWNER) as connection:
        if owner is not None and (ended := tokens.end_sessions(connection, owner)):
            tell(f"{ended} sessions were ended")
            with suppress(NotFoundError):
                tell(f"{tokens.revoke(connection, owner=owner)} tokens were revoked")
        else:
            tell(f"{tokens.revoke(connection, number=number, owner=owner)} tokens were revoked")
