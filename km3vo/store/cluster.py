"""The embedded cluster: a private PostgreSQL that km3vo creates, starts and stops.

In its folder:

    data/            PostgreSQL's own files, made once by initdb
    socket/          where it listens: this Unix socket is the only way in
    log/             a file per weekday, and start.log
    postgresql.conf  written at each start; pg_hba.conf likewise
    postgresql.local.conf   the operator's own settings, if there are any
    passwords        the superuser's, in libpq's format, readable by the owner of the folder only
    name             tells this cluster's processes from others'
    start.lock       held while somebody starts or stops PostgreSQL
    use.lock         held, shared, by everybody who uses the cluster

**Who stops it.** Whoever calls `start` uses the cluster until `stop`, or until the process ends, however it ends: the
kernel takes the lock back. `stop` stops PostgreSQL when nobody else uses it. So a `km3vo load` beside a running service
leaves PostgreSQL alone, and what a killed service left running is taken over by the next one.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from psycopg.conninfo import make_conninfo

from km3vo.errors import SetupError
from km3vo.store import cluster_programs
from km3vo.store.cluster_account import Account, account_for, check_reachable
from km3vo.store.cluster_settings import ACCESS, as_text, settings

SUPERUSER = "km3vo_admin"

# The number in the socket's name. It means nothing, as nothing listens on TCP.
PORT = 5432

# After kill -9 PostgreSQL replays its log before it lets anybody in, at worst `max_wal_size` of it.
START_SECONDS = 300
STOP_SECONDS = 60

# sockaddr_un.sun_path has 108 bytes, the last of them a zero.
LONGEST_SOCKET = 107


def default_home() -> Path:
    """Where cluster and results lie unless KM3VO_HOME says otherwise."""
    if os.geteuid() == 0:
        # Not below /root: PostgreSQL, which does not run as root, could not get there.
        return Path("/var/lib/km3vo")
    data = os.environ.get("XDG_DATA_HOME", "")
    # The XDG base directory specification says to ignore a relative path.
    return (Path(data) if os.path.isabs(data) else Path.home() / ".local" / "share") / "km3vo"


class Cluster:
    """A private PostgreSQL under a folder.

    Attributes:
        folder: everything that belongs to the cluster; made when it is not there.
        throwaway: for tests: fast, and lost when the power goes.
    """

    def __init__(self, folder: Path, *, throwaway: bool = False) -> None:
        self.folder = folder.absolute()
        self.throwaway = throwaway
        self._use: int | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def passwords(self) -> Path:
        """A file in libpq's `passfile` format."""
        return self.folder / "passwords"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def running(self) -> bool:
        """Whether PostgreSQL is there; it may still be replaying its log."""
        return self._listening() or self._postmaster() is not None

    def start(self) -> None:
        """Make the cluster if it is new, start PostgreSQL unless it runs, and wait until it lets us in.

        Calling it again does no harm, and brings PostgreSQL back when it has died.

        Raises:
            SetupError: PostgreSQL or pgSphere is missing, the folder cannot be used, or PostgreSQL does not start.
        """
        account = self._prepare_folder()
        with self._alone():
            if self._use is None:
                self._use = self._lock("use.lock", fcntl.LOCK_SH)
            programs = cluster_programs.find(self._major())
            if not self.data.exists():
                self._create(programs, account)
            self._launch(programs, account)

    def stop(self) -> None:
        """Use the cluster no longer, and stop PostgreSQL if nobody else does."""
        if not self.data.exists():
            return
        with self._alone():
            if self._use is not None:
                os.close(self._use)
                self._use = None
            last = self._lock("use.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
            if last is None:
                return
            try:
                self._shut_down()
            finally:
                os.close(last)

    def conninfo(self, dbname: str = "km3vo", user: str = SUPERUSER) -> str:
        """A libpq connection string for a running cluster, without a password: that is read from `passwords`."""
        return make_conninfo(
            host=str(self._sockets()), port=PORT, dbname=dbname, user=user, passfile=str(self.passwords)
        )

    def describe(self) -> str:
        """One line for the operator."""
        state = f"running, process {pid}" if (pid := self._postmaster()) else "running" if self.running else "stopped"
        return f"PostgreSQL {self._major() or 'not made yet'} in {self.folder}: {state}"

    # Making it

    def _prepare_folder(self) -> Account:
        for folder in reversed([self.folder, *self.folder.parents]):
            if not folder.exists():
                _make_folder(folder)
        if self.folder.stat().st_uid != os.geteuid():
            raise SetupError(f"{self.folder} belongs to another user: run km3vo as that user, or set KM3VO_HOME")
        if os.geteuid() == 0:
            self.folder.chmod(0o711)
        account = account_for(self.data)
        check_reachable(self.folder, account)
        for name in ("socket", "log"):
            if not (self.folder / name).exists():
                (self.folder / name).mkdir(mode=0o700)
                account.own(self.folder / name)
        return account

    def _major(self) -> int | None:
        told = self.data / "PG_VERSION"
        return int(told.read_text()) if told.exists() else None

    def _create(self, programs: cluster_programs.Programs, account: Account) -> None:
        password = secrets.token_urlsafe(24)
        _write(self.passwords, f"*:*:*:{SUPERUSER}:{password}\n", mode=0o600)
        _write(self.folder / "name", f"km3vo_{secrets.token_hex(6)}", mode=0o600)
        # Made beside its place and renamed, so that an initdb that was killed half-way is not taken for a cluster.
        new = self.folder / "data.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        account.own(new)
        told = self.folder / "initdb.password"
        _write(told, password, mode=0o600)
        account.own(told)
        command = [programs["initdb"], "-D", str(new), "-U", SUPERUSER, "--pwfile", str(told), "--encoding=UTF8"]
        command += ["--auth-local=scram-sha-256", "--auth-host=reject", "--data-checksums"]
        command += ["--no-sync"] if self.throwaway else []
        try:
            # Musl and old glibc have no C.UTF-8.
            for locale in ("C.UTF-8", "C"):
                done = account.run([*command, f"--locale={locale}"], env=_environment())
                if done.returncode == 0:
                    break
        finally:
            told.unlink()
        if done.returncode:
            raise SetupError(f"The embedded cluster could not be made in {self.folder}: {_last_line(done.stderr)}")
        new.rename(self.data)

    # Starting and stopping it

    def _launch(self, programs: cluster_programs.Programs, account: Account) -> None:
        """Start PostgreSQL unless it runs, and wait until it lets us in."""
        until = time.monotonic() + START_SECONDS
        attempts = 0
        while not self._accepting():
            if not self.running:
                attempts += 1
                # Twice: what seemed to run may have been about to die.
                if attempts > 2:
                    raise SetupError(f"PostgreSQL does not start; {self.log} says why: {self._last_words()}")
                self._clear_remains()
                pid = self._spawn(programs, account)
                _wait(lambda pid=pid: self.running or not _lives(pid), 30)  # type: ignore[misc]
            elif time.monotonic() > until:
                raise SetupError(f"PostgreSQL is not ready after {START_SECONDS} s; see {self.log}, then try again")
            time.sleep(0.02)

    def _spawn(self, programs: cluster_programs.Programs, account: Account) -> int:
        name = (self.folder / "name").read_text()
        values = settings(name, self.folder, self._new_sockets(account), throwaway=self.throwaway)
        _write(self.folder / "postgresql.conf", as_text(values, self.folder / "postgresql.local.conf"), mode=0o644)
        _write(self.folder / "pg_hba.conf", ACCESS, mode=0o644)
        postgres = [programs["postgres"], "-D", str(self.data), "-c", f"config_file={self.folder / 'postgresql.conf'}"]
        # The shell leaves PostgreSQL behind as nobody's child: it shall outlive a service that is killed.
        behind = ["/bin/sh", "-c", 'log=$1; shift; "$@" >"$log" 2>&1 & echo $!', "km3vo", str(self.log / "start.log")]
        return int(account.run([*behind, *postgres], env=_environment()).stdout)

    def _accepting(self) -> bool:
        # Asking PostgreSQL itself would fill its log with refusals while it replays.
        lines = self._pidfile()
        return len(lines) > 7 and lines[7].strip() == "ready" and self._listening()

    def _shut_down(self) -> None:
        # Fast: sessions are ended, everything is written. Immediate, if that takes too long: the log is replayed later.
        for how, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 10)):
            pid = self._postmaster()
            if pid is None:
                break
            os.kill(pid, how)
            if _wait(lambda pid=pid: not _lives(pid), seconds):  # type: ignore[misc]
                break
        self._remove_sockets()

    def _clear_remains(self) -> None:
        """Remove what a PostgreSQL that was killed left behind."""
        # The number in its files may by now be another process's, and then PostgreSQL would refuse to start.
        self._remove_sockets()
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        # Sessions notice the death of their parent when they next wait for something; a long query does not wait.
        for how in (signal.SIGQUIT, signal.SIGKILL):
            for pid in self._orphans():
                os.kill(pid, how)
            if _wait(lambda: not self._orphans(), 10):
                break

    # Looking at its processes. Their command lines can be read by everybody, in containers too.

    def _postmaster(self) -> int | None:
        """The process number of the running PostgreSQL."""
        lines = self._pidfile()
        if not lines or not lines[0].isdigit():
            return None
        pid = int(lines[0])
        return pid if str(self.data) in _command(pid) and _lives(pid) else None

    def _orphans(self) -> list[int]:
        """Sessions and workers of this cluster; to be asked only when there is no postmaster."""
        title = f"postgres: {(self.folder / 'name').read_text()}: "
        numbers = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
        return [pid for pid in numbers if " ".join(_command(pid)).startswith(title) and _lives(pid)]

    def _pidfile(self) -> list[str]:
        # Process number, data folder, start time, port, socket folder, address, memory key, state.
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, PermissionError):
            return []

    def _last_words(self) -> str:
        texts = [path.read_text(errors="replace") for path in self.log.glob("*.log")]
        fatal = [line for text in texts for line in text.splitlines() if "FATAL:" in line or "could not" in line]
        return fatal[-1] if fatal else "nothing was written there"

    # Its socket

    def _sockets(self) -> Path:
        """The folder of the running cluster's socket."""
        lines = self._pidfile()
        return Path(lines[4]) if len(lines) > 4 and lines[4] else self.folder / "socket"

    def _new_sockets(self, account: Account) -> Path:
        """A folder for the socket: in the cluster's own if its path is short enough."""
        folder = self.folder / "socket"
        if len(os.fsencode(_socket(folder))) > LONGEST_SOCKET:
            # Its name is random, only its owner may enter, and nobody else can replace it: /run and /tmp see to that.
            folder = Path(tempfile.mkdtemp(prefix="km3vo-", dir=_short_place()))
            account.own(folder)
        return folder

    def _remove_sockets(self) -> None:
        folder = self._sockets()
        if folder == self.folder / "socket":
            for left in folder.iterdir():
                left.unlink()
        else:
            shutil.rmtree(folder, ignore_errors=True)

    def _listening(self) -> bool:
        """Whether somebody answers at the socket."""
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(_socket(self._sockets())))
            except OSError:
                return False
        return True

    # Its locks

    @contextmanager
    def _alone(self) -> Iterator[None]:
        held = self._lock("start.lock", fcntl.LOCK_EX)
        assert held is not None
        try:
            yield
        finally:
            os.close(held)

    def _lock(self, name: str, how: int) -> int | None:
        opened = os.open(self.folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(opened, how)
        except BlockingIOError:
            os.close(opened)
            return None
        return opened


def _make_folder(folder: Path) -> None:
    folder.mkdir()
    # Root's folders have to be passed through by PostgreSQL's account, whatever the umask; other people's are private.
    folder.chmod(0o711 if os.geteuid() == 0 else 0o700)


def _write(path: Path, text: str, *, mode: int) -> None:
    """Write a file in one step, with these permissions from the beginning."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
    new.rename(path)


def _environment() -> dict[str, str]:
    """What PostgreSQL's programs see: nothing of the caller's PGDATA, PGHOST or language."""
    return {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _short_place() -> Path:
    private = os.environ.get("XDG_RUNTIME_DIR", "")
    for place in (private, "/run", "/tmp"):
        if os.path.isabs(place) and os.path.isdir(place) and os.access(place, os.W_OK | os.X_OK):
            # Others may write here only if the sticky bit keeps them from replacing what is not theirs.
            mode = os.stat(place).st_mode
            if not mode & stat.S_IWOTH or mode & stat.S_ISVTX:
                return Path(place)
    raise SetupError("There is no place for PostgreSQL's socket: set KM3VO_HOME to a folder with a shorter path")


def _socket(folder: Path) -> Path:
    return folder / f".s.PGSQL.{PORT}"


def _command(pid: int) -> list[str]:
    """The command line of a process, or [] when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode(errors="replace").split("\0")
    except OSError:
        return []


def _lives(pid: int) -> bool:
    """Whether a process is there and has not ended: one whose parent never asks stays listed as a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _wait(done: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not (over := done()) and time.monotonic() < until:
        time.sleep(0.05)
    return over


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no reason was given"
