"""The account that PostgreSQL runs under: never root, which PostgreSQL refuses."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from km3vo.errors import SetupError

# The first that exists is taken when root starts the cluster. `nobody` is shared with other services, so it comes last.
CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """A user of this machine.

    Attributes:
        name, uid, gid: as in /etc/passwd.
        other: True when it is not the caller's own account, so that the caller, root, has to switch to it.
    """

    name: str
    uid: int
    gid: int
    other: bool

    def own(self, path: Path) -> None:
        """Give a file or folder to this account."""
        if self.other:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def run(self, command: Sequence[str], *, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a command as this account, in a session of its own, with nothing on its standard input."""
        return subprocess.run(
            command,
            env=env,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            umask=0o077,
            # A session of its own: Ctrl-C in the terminal is for the service, which then stops PostgreSQL in order.
            start_new_session=True,
            user=self.uid if self.other else None,
            group=self.gid if self.other else None,
            extra_groups=[] if self.other else None,
        )


def account_for(data: Path) -> Account:
    """The account that runs the cluster whose data folder is `data`.

    The caller's own; for root, the owner of the data, or the first of `CANDIDATES` when there are none yet.

    Raises:
        SetupError: the data belong to somebody else, or there is no account to run under.
    """
    entry: pwd.struct_passwd | None
    if os.geteuid() != 0:
        entry = _entry(os.geteuid())
        if data.exists() and data.stat().st_uid != os.geteuid():
            raise SetupError(f"{data} belongs to another user, {_name(data.stat().st_uid)}: run km3vo as that user")
        # A container may run under a number that has no name.
        return Account(_name(os.geteuid()), os.geteuid(), os.getegid(), other=False)
    if data.exists():
        owner = data.stat()
        if owner.st_uid == 0:
            raise SetupError(f"{data} belongs to root, as whom PostgreSQL cannot run: remove it if it holds nothing")
        return Account(_name(owner.st_uid), owner.st_uid, owner.st_gid, other=True)
    for name in CANDIDATES:
        if entry := _entry(name):
            return Account(name, entry.pw_uid, entry.pw_gid, other=True)
    raise SetupError("PostgreSQL cannot run as root and there is no other account: adduser --system --group postgres")


def check_reachable(folder: Path, account: Account) -> None:
    """See that `account` can get to `folder`, which it cannot below /root, for instance.

    Raises:
        SetupError: it cannot; or the caller, root, may not switch to it, as in a container without that right.
    """
    if not account.other:
        return
    for place in reversed([folder, *folder.parents]):
        try:
            entered = account.run(["test", "-x", str(place)], env={"PATH": os.defpath})
        except PermissionError as error:
            raise SetupError(
                f"PostgreSQL cannot run as root, and here root may not become {account.name}: "
                "run km3vo as an ordinary user"
            ) from error
        if entered.returncode:
            raise SetupError(
                f"PostgreSQL runs as user {account.name}, who may not enter {place}: "
                f"set KM3VO_HOME to another place, or chmod o+x {place}"
            )


def _entry(who: int | str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(who) if isinstance(who, int) else pwd.getpwnam(who)
    except KeyError:
        return None


def _name(uid: int) -> str:
    entry = _entry(uid)
    return entry.pw_name if entry else str(uid)
