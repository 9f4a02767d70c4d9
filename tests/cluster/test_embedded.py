"""The embedded cluster against everything that happens to a real one."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from km3vo.cluster import processes, socket
from km3vo.cluster.embedded import Cluster
from km3vo.errors import SetupError

pytestmark = pytest.mark.slow


@pytest.fixture
def place() -> Iterator[Path]:
    """A new folder that PostgreSQL's account may enter, which pytest's own, under root, is not."""
    folder = Path(tempfile.mkdtemp(prefix="km3vo-place-")).resolve()
    folder.chmod(0o711)
    yield folder
    for left in list(folder.rglob("start.lock")):
        Cluster(left.parent, throwaway=True).destroy()
        assert not left.exists(), "it is still used"
    shutil.rmtree(folder)


@pytest.fixture
def own(place: Path) -> Iterator[Cluster]:
    """A cluster of the test's own, not yet made; what is left of it is stopped and removed afterwards."""
    cluster = Cluster(place / 'it\'s, a "cluster"', throwaway=True)
    yield cluster
    cluster.stop()


def ask(cluster: Cluster, query: str) -> object:
    """The only value of a query's only row."""
    with psycopg.connect(cluster.conninfo()) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def fill(cluster: Cluster) -> None:
    with psycopg.connect(cluster.conninfo()) as connection:
        connection.execute("CREATE TABLE event (id int)")
        connection.execute("INSERT INTO event SELECT generate_series(1, 1000)")


def postmaster(cluster: Cluster) -> int:
    return int((cluster.data / "postmaster.pid").read_text().splitlines()[0])


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    assert processes.wait(lambda: not processes.lives(pid), 10)


# What it is like


def test_it_listens_on_a_socket_only_and_asks_for_a_password(cluster: Cluster) -> None:
    assert ask(cluster, "SHOW listen_addresses") == ""
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(cluster.conninfo(), passfile="/nowhere", password="guessed")
    assert ask(cluster, "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'") == 0


def test_the_password_is_readable_by_its_owner_only_and_not_in_the_conninfo(cluster: Cluster) -> None:
    assert stat.S_IMODE(cluster.passwords.stat().st_mode) == 0o600
    password = cluster.passwords.read_text().strip().rpartition(":")[2]
    assert len(password) >= 32
    assert password not in cluster.conninfo()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("data_checksums", "on"),
        ("TimeZone", "UTC"),
        ("server_encoding", "UTF8"),
        ("wal_level", "logical"),
        ("jit", "off"),
        ("client_connection_check_interval", "1s"),
        ("password_encryption", "scram-sha-256"),
        ("log_statement", "none"),
    ],
)
def test_it_is_set_up_as_documented(cluster: Cluster, setting: str, value: str) -> None:
    assert ask(cluster, f"SHOW {setting}") == value


def test_it_sorts_by_code_point(cluster: Cluster) -> None:
    assert ask(cluster, "SELECT datcollate FROM pg_database WHERE datname = 'km3vo'") in ("C.UTF-8", "C")


def test_no_setting_is_refused(cluster: Cluster) -> None:
    assert ask(cluster, "SELECT count(*) FROM pg_file_settings WHERE error IS NOT NULL") == 0


def test_it_does_not_run_as_root(cluster: Cluster) -> None:
    assert Path(f"/proc/{postmaster(cluster)}").stat().st_uid != 0


def test_nobody_else_may_look_into_its_folders(cluster: Cluster) -> None:
    for folder in (cluster.data, cluster.log, socket.directory(cluster.folder)):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_its_log_holds_neither_statements_nor_values(cluster: Cluster) -> None:
    with psycopg.connect(cluster.conninfo(), autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE hidden (tag text PRIMARY KEY)")
        connection.execute("INSERT INTO hidden VALUES (%s)", ("embargoed-1",))
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO hidden VALUES (%s)", ("embargoed-1",))
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO hidden VALUES ('embargoed-1')")

    def log() -> str:
        return "".join(path.read_text() for path in cluster.log.iterdir())

    # A process of its own writes the log, a little later.
    assert processes.wait(lambda: log().count("duplicate key") == 2, 10)
    assert "embargoed-1" not in log()


# Starting and stopping


def test_it_starts_twice_and_keeps_its_data(own: Cluster) -> None:
    own.start()
    fill(own)
    first = postmaster(own)
    own.start()
    assert postmaster(own) == first
    own.stop()
    assert not own.running
    assert own.describe().endswith("stopped")
    own.start()
    assert ask(own, "SELECT count(*) FROM event") == 1000


def test_postgresql_killed_in_the_middle_of_a_query(own: Cluster) -> None:
    """The session that goes on without its parent, in a query that waits for nothing, is ended."""
    own.start()
    fill(own)
    endless = "SELECT count(*) FROM generate_series(1, 100000000000) AS number"
    with psycopg.connect(own.conninfo()) as connection, ThreadPoolExecutor() as pool:
        busy = pool.submit(connection.execute, endless)
        pid = connection.info.backend_pid
        assert processes.wait(lambda: "SELECT" in " ".join(processes.command(pid)), 10)
        kill(postmaster(own))
        assert processes.lives(pid)
        own.start()
        assert not processes.lives(pid)
        assert isinstance(busy.exception(10), psycopg.OperationalError)
    assert ask(own, "SELECT count(*) FROM event") == 1000


SERVICE = """
import sys, time
from pathlib import Path
from km3vo.cluster.embedded import Cluster
with Cluster(Path(sys.argv[1]), throwaway=True).kept():
    print("started", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def service(own: Cluster) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """A function that starts a process which uses the cluster."""
    started = []

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SERVICE, str(own.folder)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_what_a_killed_service_left_running_is_taken_over(
    own: Cluster, service: Callable[[], subprocess.Popen[str]]
) -> None:
    process = service()
    fill(own)
    first = postmaster(own)
    process.kill()
    process.wait()
    assert own.running
    own.start()
    assert postmaster(own) == first
    assert ask(own, "SELECT count(*) FROM event") == 1000
    own.stop()
    assert not own.running


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_service_that_is_told_to_end_stops_it(
    own: Cluster, service: Callable[[], subprocess.Popen[str]], how: signal.Signals
) -> None:
    process = service()
    process.send_signal(how)
    process.wait(60)
    assert not own.running


def test_the_last_one_out_stops_it(own: Cluster, service: Callable[[], subprocess.Popen[str]]) -> None:
    process = service()
    own.start()
    own.stop()
    assert own.running
    process.kill()
    process.wait()
    own.stop()
    assert not own.running


def test_many_may_start_it_at_once(own: Cluster) -> None:
    users = [Cluster(own.folder, throwaway=True) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(Cluster.start, users))
    assert {ask(user, "SELECT pg_postmaster_start_time()") for user in users} == {
        ask(own, "SELECT pg_postmaster_start_time()")
    }
    for user in users:
        assert own.running
        user.stop()
    assert not own.running


def test_it_is_brought_back_while_it_is_kept(own: Cluster) -> None:
    with own.kept(seconds=0.1):
        fill(own)
        first = postmaster(own)
        kill(first)
        assert processes.wait(lambda: own.running and postmaster(own) != first, 30)
        # Waits until it is ready.
        own.start()
        assert ask(own, "SELECT count(*) FROM event") == 1000
    assert not own.running
    assert "PostgreSQL" not in {thread.name for thread in threading.enumerate()}


def test_it_is_brought_back_although_that_failed_at_first(own: Cluster) -> None:
    """As on a full disk, or without files to open: what is wrong is no SetupError, and passes."""
    with own.kept(seconds=0.1):
        fill(own)
        first = postmaster(own)
        written = own.folder / "postgresql.conf"
        written.unlink()
        written.mkdir()
        kill(first)
        assert not processes.wait(lambda: own.running, 2)
        written.rmdir()
        assert processes.wait(lambda: own.running and postmaster(own) != first, 30)
        own.start()
        assert ask(own, "SELECT count(*) FROM event") == 1000


def growing(levels: int, terms: int) -> str:
    """A query whose strings grow by a factor with each level; four levels of 128 terms took 20 GB."""
    query = "SELECT 'a long text, as there are many' AS s FROM generate_series(1, 3)"
    for _ in range(levels):
        query = f"SELECT {'||'.join(['t.s'] * terms)} AS s FROM ({query} OFFSET 0) AS t"
    return f"SELECT length(s) FROM ({query} OFFSET 0) AS t"


def test_a_query_that_fills_the_memory_ends_alone(own: Cluster) -> None:
    own.start()
    fill(own)
    with psycopg.connect(own.conninfo()) as other, psycopg.connect(own.conninfo()) as greedy:
        first = postmaster(own)
        with pytest.raises((psycopg.errors.OutOfMemory, psycopg.errors.ProgramLimitExceeded)):
            greedy.execute(growing(4, 128))
        greedy.rollback()
        assert greedy.execute("SELECT count(*) FROM event").fetchone() == (1000,)
        assert other.execute("SELECT count(*) FROM event").fetchone() == (1000,)
        (pid,) = greedy.execute("SELECT pg_backend_pid()").fetchone() or (0,)
        peak = re.search(r"VmPeak:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        assert peak is not None and int(peak[1]) < 3 * 1024**2
        assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "500"
    assert postmaster(own) == first


# What may be found in its folder


def test_the_number_of_the_dead_process_may_be_another_ones_by_now(own: Cluster) -> None:
    own.start()
    kill(postmaster(own))
    remains = own.data / "postmaster.pid"
    lock = socket.directory(own.folder) / f".s.PGSQL.{socket.PORT}.lock"
    with subprocess.Popen(["sleep", "600"], user=remains.stat().st_uid) as other:
        for path in (remains, lock):
            path.write_text(f"{other.pid}\n" + path.read_text().partition("\n")[2])
        own.start()
        assert ask(own, "SELECT 1") == 1
        other.kill()


def test_a_half_made_cluster_is_made_again(own: Cluster) -> None:
    half = own.folder / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("15\n")
    own.start()
    assert not half.exists()
    assert ask(own, "SELECT 1") == 1


def test_a_cluster_without_its_passwords_says_so(own: Cluster) -> None:
    own.start()
    own.stop()
    own.passwords.unlink()
    with pytest.raises(SetupError, match=r"passwords is missing: bring it back"):
        own.start()


def test_what_keeps_postgresql_from_starting_is_told(own: Cluster) -> None:
    own.start()
    own.stop()
    (own.folder / "postgresql.local.conf").write_text("shared_buffers = nonsense\n")
    with pytest.raises(SetupError, match=r"PostgreSQL does not start.*shared_buffers"):
        own.start()
    (own.folder / "postgresql.local.conf").write_text("shared_buffers = 1MB\n")
    own.start()
    assert ask(own, "SHOW shared_buffers") == "1MB"


def test_a_folder_with_a_long_name(place: Path) -> None:
    cluster = Cluster(place / ("long " * 20) / ("$HOME'\"" * 8), throwaway=True)
    cluster.start()
    folder = socket.directory(cluster.folder)
    assert folder.parent != cluster.folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    fill(cluster)
    kill(postmaster(cluster))
    cluster.start()
    assert socket.directory(cluster.folder) == folder, "open pools go on knowing the way"
    assert ask(cluster, "SELECT count(*) FROM event") == 1000
    cluster.stop()
    # After a reboot /tmp is empty, and anybody can make a folder of that name.
    shutil.rmtree(folder)
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    try:
        cluster.start()
        assert socket.directory(cluster.folder) != folder
    finally:
        folder.rmdir()
    cluster.destroy()
    assert not cluster.folder.exists()
    assert not socket.directory(cluster.folder).exists()


def test_one_folder_by_two_names(own: Cluster, place: Path) -> None:
    own.start()
    (place / "link").symlink_to(own.folder)
    other = Cluster(place / "link", throwaway=True)
    other.start()
    other.stop()
    assert own.running
    own.stop()
    assert not own.running


@pytest.mark.skipif(os.geteuid() != 0, reason="only root switches to another account")
def test_a_place_that_postgresql_may_not_enter_is_named(place: Path) -> None:
    private = place / "private"
    private.mkdir(mode=0o700)
    with pytest.raises(SetupError, match=f"may not enter {private}: set KM3VO_HOME to another place"):
        Cluster(private / "deep" / "cluster").start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_somebody_elses_folder_is_left_alone(own: Cluster) -> None:
    own.folder.mkdir()
    os.chown(own.folder, 65534, 65534)
    with pytest.raises(SetupError, match="belongs to another user: run km3vo as that user"):
        own.start()


def test_a_newer_postgresql_is_not_let_at_old_data(own: Cluster) -> None:
    own.start()
    own.stop()
    (own.data / "PG_VERSION").write_text("9\n")
    with pytest.raises(SetupError, match="made by PostgreSQL 9, which is not installed: apt-get install postgresql-9"):
        own.start()


def test_an_unfinished_start_does_not_count_as_use(own: Cluster) -> None:
    own.start()
    own.stop()
    (own.folder / "postgresql.local.conf").write_text("port = nonsense\n")
    with pytest.raises(SetupError):
        own.start()
    (own.folder / "postgresql.local.conf").unlink()
    other = Cluster(own.folder, throwaway=True)
    other.start()
    other.stop()
    assert not other.running


def test_stopping_what_was_never_made(own: Cluster) -> None:
    own.stop()
    assert not own.folder.exists()
    assert "not made yet" in own.describe()
