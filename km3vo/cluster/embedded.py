"""The embedded cluster: a private PostgreSQL that km3vo creates, starts and stops.

In its folder:

    data/            PostgreSQL's own files, made once by initdb
    socket/          where it listens: this Unix socket is the only way in (see cluster_socket.py)
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
import logging
import os
import secrets
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from km3vo.cluster import processes, programs, socket
from km3vo.cluster.account import Account, account_for, check_reachable
from km3vo.cluster.initdb import ENVIRONMENT, SPARED, make_data, write
from km3vo.cluster.programs import Programs
from km3vo.cluster.settings import ACCESS, CONNECTIONS, as_text, memory_for, process_memory, settings
from km3vo.ending import ending
from km3vo.errors import SetupError
from km3vo.schedule import Schedule

log = logging.getLogger(__name__)

SUPERUSER = "km3vo_admin"
DATABASE = "km3vo"
BLOCK = 8192  # bytes; the unit of shared_buffers

# After kill -9 PostgreSQL replays its log before it lets anybody in, at worst `max_wal_size` of it.
START_SECONDS = 300
STOP_SECONDS = 60


class Cluster:
    """A private PostgreSQL under a folder.

    Attributes:
        folder: everything that belongs to the cluster; made when it is not there.
        throwaway: for tests: fast, and lost when the power goes.
        connections: most at once, when this object starts it.
    """

    def __init__(self, folder: Path, *, throwaway: bool = False, connections: int = CONNECTIONS) -> None:
        self.folder = folder.resolve()
        self.throwaway = throwaway
        self.connections = connections
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
        return socket.listening(self.folder) or self._postmaster() is not None

    def start(self) -> None:
        """Make the cluster if it is new, start PostgreSQL unless it runs, and wait until it lets us in.

        Calling it again does no harm, and brings PostgreSQL back when it has died.

        Raises:
            SetupError: PostgreSQL or pgSphere is missing, the folder cannot be used, or PostgreSQL does not start.
        """
        installed = programs.find(self._major())
        self._prepare_folder()
        with self._alone():
            account = self._prepare_account()
            self._check_complete()
            if not self.data.exists():
                self._create(installed, account)
            self._launch(installed, account)
            self._make_database()
            if self._use is None:
                self._use = self._lock("use.lock", fcntl.LOCK_SH)

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

    def destroy(self) -> None:
        """Stop a throw-away cluster and delete it, unless somebody uses it."""
        self.stop()
        if self.throwaway and not self.running:
            socket.remove(self.folder)
            shutil.rmtree(self.folder)

    @contextmanager
    def kept(self, seconds: float = 2) -> Iterator[Cluster]:
        """The cluster running during a block: started before, brought back when it dies, stopped afterwards.

        SIGTERM, by which systemd and containers end a service, leaves the block too. To be called in the main thread.

        Args:
            seconds: how often to look.
        """
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        signal.signal(signal.SIGTERM, _leave)
        schedule = Schedule()
        schedule.every(seconds, "PostgreSQL", self._bring_back)
        try:
            self.start()
            schedule.start()
            ending.database = self.stop
            yield self
        finally:
            # Whoever asks again would leave PostgreSQL behind.
            for number in before:
                signal.signal(number, signal.SIG_IGN)
            schedule.stop()
            ending.stop_database()
            ending.database = None
            for number, handler in before.items():
                signal.signal(number, handler)

    def conninfo(self, dbname: str = DATABASE, user: str = SUPERUSER) -> str:
        """A libpq connection string for a running cluster, without a password: that is read from `passwords`."""
        return make_conninfo(
            host=str(socket.directory(self.folder)),
            port=socket.PORT,
            dbname=dbname,
            user=user,
            passfile=str(self.passwords),
        )

    def describe(self) -> str:
        """One line for the operator."""
        state = f"running, process {pid}" if (pid := self._postmaster()) else "running" if self.running else "stopped"
        return f"PostgreSQL {self._major() or 'not made yet'} in {self.folder}: {state}"

    # Making it

    def _prepare_folder(self) -> None:
        for folder in reversed([self.folder, *self.folder.parents]):
            if not folder.exists():
                _make_folder(folder)
        if self.folder.stat().st_uid != os.geteuid():
            raise SetupError(f"{self.folder} belongs to another user: run km3vo as that user, or set KM3VO_HOME")
        if os.geteuid() == 0:
            self.folder.chmod(0o711)

    def _prepare_account(self) -> Account:
        account = account_for(self.data)
        check_reachable(self.folder, account)
        self.log.mkdir(mode=0o700, exist_ok=True)
        account.own(self.log)
        socket.prepare(self.folder, account)
        return account

    def _major(self) -> int | None:
        told = self.data / "PG_VERSION"
        return int(told.read_text()) if told.exists() else None

    def _check_complete(self) -> None:
        for path in (self.passwords, self.folder / "name"):
            if self.data.exists() and not path.exists():
                raise SetupError(f"{path} is missing: bring it back from a backup, or move {self.folder} away")

    def _create(self, installed: Programs, account: Account) -> None:
        password = secrets.token_urlsafe(24)
        write(self.passwords, f"*:*:*:{SUPERUSER}:{password}\n", mode=0o600)
        write(self.folder / "name", f"km3vo_{secrets.token_hex(6)}", mode=0o600)
        make_data(self.data, SUPERUSER, password, programs=installed, account=account, throwaway=self.throwaway)

    # Starting and stopping it

    def _launch(self, installed: Programs, account: Account) -> None:
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
                pid = self._spawn(installed, account)
                processes.wait(lambda pid=pid: self.running or not processes.lives(pid), 30)  # type: ignore[misc]
            elif time.monotonic() > until:
                raise SetupError(f"PostgreSQL is not ready after {START_SECONDS} s; see {self.log}, then try again")
            time.sleep(0.02)

    def _spawn(self, installed: Programs, account: Account) -> int:
        sockets = socket.directory(self.folder)
        values = settings(self.folder, sockets, throwaway=self.throwaway, connections=self.connections)
        write(self.folder / "postgresql.conf", as_text(values, self.folder / "postgresql.local.conf"), mode=0o644)
        write(self.folder / "pg_hba.conf", ACCESS, mode=0o644)
        postgres = [installed["postgres"], "-D", str(self.data), "-c", self._title()]
        postgres += ["-c", f"config_file={self.folder / 'postgresql.conf'}"]
        # Asked of PostgreSQL, since the operator's own settings count.
        blocks = account.run([*postgres, "-C", "shared_buffers"], env=ENVIRONMENT).stdout.strip()
        shared = int(blocks) * BLOCK if blocks.isdigit() else 0
        most = process_memory(memory_for(self.throwaway), shared)
        # PostgreSQL is not a child of ours, and so outlives a service that is killed.
        script = 'ulimit -v $1; log=$2; shift 2; "$@" >"$log" 2>&1 & echo $!'
        behind = ["/bin/sh", "-c", script, "km3vo", str(most // 1024), str(self.log / "start.log")]
        return int(account.run([*behind, *postgres], env=ENVIRONMENT | SPARED).stdout)

    def _bring_back(self) -> None:
        if not self.running:
            log.error("PostgreSQL has died; starting it again")
            self.start()

    def _make_database(self) -> None:
        try:
            connection = psycopg.connect(self.conninfo("postgres"), autocommit=True)
        except psycopg.OperationalError as error:
            raise SetupError(f"PostgreSQL runs but refuses {SUPERUSER}; {self.log} says why") from error
        with connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    def _accepting(self) -> bool:
        # Asking PostgreSQL itself would fill its log with refusals while it replays.
        lines = self._pidfile()
        return len(lines) > 7 and lines[7].strip() == "ready" and socket.listening(self.folder)

    def _shut_down(self) -> None:
        # Fast: sessions are ended, everything is written. Immediate, if that takes too long: the log is replayed later.
        for how, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 10)):
            if (pid := self._postmaster()) is None:
                return
            processes.signal_to(pid, how)
            if processes.wait(lambda: self._postmaster() is None, seconds):
                return

    def _clear_remains(self) -> None:
        """Remove what a PostgreSQL that was killed left behind."""
        socket.clear(self.folder)
        # The number in it may by now be another process's, and then PostgreSQL would refuse to start.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        # Sessions notice the death of their parent when they next wait for something; a long query does not wait, and
        # PostgreSQL does not start while one is left.
        title = f"postgres: {self._name()}: "  # as PostgreSQL writes it with a cluster_name
        for how in (signal.SIGQUIT, signal.SIGKILL):
            for pid in processes.titled(title):
                processes.signal_to(pid, how)
            if processes.wait(lambda: not processes.titled(title), 10):
                return

    def _name(self) -> str:
        return (self.folder / "name").read_text()

    def _title(self) -> str:
        """What the command line of this cluster's postmaster holds and no other's: paths differ between containers."""
        return f"cluster_name={self._name()}"

    # Looking at it

    def _postmaster(self) -> int | None:
        """The number of PostgreSQL's process. The file alone proves nothing: the number may be another's by now."""
        lines = self._pidfile()
        if not lines or not lines[0].isdigit():
            return None
        pid = int(lines[0])
        return pid if self._title() in processes.command(pid) and processes.lives(pid) else None

    def _pidfile(self) -> list[str]:
        # Process number, data folder, start time, port, socket folder, address, memory key, state.
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, PermissionError):
            return []

    def _last_words(self) -> str:
        """Why PostgreSQL gave up, as it says itself: the reason is in its last line or in the one before."""
        for path in sorted(self.log.glob("*.log"), key=lambda path: path.stat().st_mtime, reverse=True):
            # Without time and process number.
            lines = [line.rpartition("] ")[2] for line in path.read_text(errors="replace").splitlines()]
            for number in reversed(range(len(lines))):
                if "FATAL:" in lines[number]:
                    return "; ".join(lines[max(number - 1, 0) : number + 1])
        return "nothing was written there"

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


def _leave(number: int, _: object) -> None:
    ending.begin()
    raise SystemExit(128 + number)


def _make_folder(folder: Path) -> None:
    folder.mkdir()
    # Root's folders have to be passed through by PostgreSQL's account, whatever the umask; other people's are private.
    folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
