"""The folder of the embedded cluster's Unix socket: its path must be plain, and nobody else may take its place."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
from pathlib import Path

from km3vo.cluster.account import Account
from km3vo.errors import SetupError

# The number in the socket's name. It means nothing, as nothing listens on TCP.
PORT = 5432

# sockaddr_un.sun_path has 108 bytes, the last of them a zero.
LONGEST = 107

_ELSEWHERE = "socket.path"


def prepare(folder: Path, account: Account) -> None:
    """Make sure that the cluster in `folder` has a place for its socket, owned by `account`.

    That is `folder/socket`; or, where its path will not do, a folder with a random name in $XDG_RUNTIME_DIR,
    /run or /tmp, of which `folder/socket.path` keeps a note, so that it is the same at the next start.
    """
    place = directory(folder)
    if _fits(place) and _belongs_to(place, account):
        return
    place = folder / "socket"
    if _fits(place):
        place.mkdir(mode=0o700, exist_ok=True)
    else:
        place = Path(tempfile.mkdtemp(prefix="km3vo-", dir=_short_place()))
        (folder / _ELSEWHERE).write_text(str(place))
    account.own(place)


def directory(folder: Path) -> Path:
    """The folder where the cluster in `folder` has its socket."""
    note = folder / _ELSEWHERE
    return Path(note.read_text()) if note.exists() else folder / "socket"


def listening(folder: Path) -> bool:
    """Whether somebody answers at the socket of the cluster in `folder`."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(directory(folder) / f".s.PGSQL.{PORT}"))
        except OSError:
            return False
    return True


def clear(folder: Path) -> None:
    """Remove the socket and its lock file, after PostgreSQL was killed."""
    for left in directory(folder).glob(".s.PGSQL.*"):
        left.unlink()


def remove(folder: Path) -> None:
    """Remove a folder elsewhere, together with a cluster that is thrown away."""
    if directory(folder) != folder / "socket":
        shutil.rmtree(directory(folder), ignore_errors=True)


def _fits(place: Path) -> bool:
    # PostgreSQL and libpq both take a comma for the end of one place and the beginning of the next.
    return "," not in str(place) and len(os.fsencode(place / f".s.PGSQL.{PORT}")) <= LONGEST


def _belongs_to(place: Path, account: Account) -> bool:
    """Whether the folder is there, and not one that somebody else put in its place after a reboot emptied /tmp."""
    try:
        told = place.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(told.st_mode) and told.st_uid == account.uid and stat.S_IMODE(told.st_mode) == 0o700


def _short_place() -> Path:
    for place in (os.environ.get("XDG_RUNTIME_DIR", ""), "/run", "/tmp"):
        if os.path.isabs(place) and os.access(place, os.W_OK | os.X_OK):
            # Where others write too, the sticky bit must keep them from replacing what is not theirs.
            mode = os.stat(place).st_mode
            if not mode & stat.S_IWOTH or mode & stat.S_ISVTX:
                return Path(place)
    raise SetupError("There is no place for PostgreSQL's socket: set KM3VO_HOME to a folder with a shorter path")
