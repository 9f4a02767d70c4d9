"""The settings of the embedded cluster, fitted to the machine."""

from __future__ import annotations

import os
from pathlib import Path

MIB = 1 << 20
GIB = 1 << 30

CONNECTIONS = 100  # unless somebody knows how many are needed

# Who may log in: whoever knows a password, through the socket. There is no line for TCP.
ACCESS = "local all all scram-sha-256\n"

# Where losing the data on a power cut does not matter. They still survive kill -9.
THROWAWAY = {"fsync": "off", "full_page_writes": "off"}


def settings(folder: Path, sockets: Path, *, throwaway: bool, connections: int = CONNECTIONS) -> dict[str, str]:
    """The settings of a cluster in `folder`, with its socket in `sockets`, by PostgreSQL's names."""
    return {
        "hba_file": str(folder / "pg_hba.conf"),
        "listen_addresses": "",
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        "password_encryption": "scram-sha-256",
        "max_connections": str(connections),
        # A query whose reader has gone is cancelled within a second, and an abandoned transaction does not hold locks.
        "client_connection_check_interval": "1s",
        "idle_in_transaction_session_timeout": "15min",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "datestyle": "iso, ymd",
        "lc_messages": "C",
        **memory(memory_for(throwaway)),
        "max_wal_size": "1GB" if throwaway else "4GB",
        "random_page_cost": "1.1",
        # Compiling costs more than it saves: our queries take milliseconds, or scan and stream.
        "jit": "off",
        # Publications: a public-only database elsewhere can follow the public partitions (docs/architecture.md).
        "wal_level": "logical",
        **_log(folder / "log"),
        **(THROWAWAY if throwaway else {}),
    }


def memory_for(throwaway: bool) -> int:
    """Bytes of memory to size PostgreSQL for: what this process may use, or little for a throw-away cluster."""
    return GIB // 2 if throwaway else available_memory()


def as_text(values: dict[str, str], own: Path) -> str:
    """The text of a postgresql.conf with these values; what the operator writes into the file `own` wins."""
    lines = ["# Written by km3vo at each start. Settings of your own: " + str(own), ""]
    lines += [f"{name} = {_quoted(value)}" for name, value in values.items()]
    lines += ["", f"include_if_exists = {_quoted(str(own))}", ""]
    return "\n".join(lines)


def memory(available: int) -> dict[str, str]:
    """The settings that follow from so many bytes of memory."""
    values = {
        # A quarter is PostgreSQL's own advice; past 8 GiB the page cache does as well.
        "shared_buffers": min(max(available // 4, 32 * MIB), 8 * GIB),
        "effective_cache_size": available * 5 // 8,
        # Each sort of each query may take this much, so a quarter of the memory is spread over all connections.
        "work_mem": min(max(available // 400, 4 * MIB), 64 * MIB),
        "maintenance_work_mem": min(max(available // 16, 64 * MIB), GIB),
    }
    settings = {name: f"{value // MIB}MB" for name, value in values.items()}
    # Containers get 64 MiB of /dev/shm, and parallel queries fail there with "could not resize shared memory segment".
    if _size("/dev/shm") < GIB // 2:
        settings["dynamic_shared_memory_type"] = "mmap"
    return settings


def process_memory(available: int, shared_buffers: int) -> int:
    """Bytes of address space that one process of PostgreSQL may take, where the machine has ``available`` of memory.

    PostgreSQL has no such limit itself. A process that reaches it refuses its query ("out of memory") and goes on; one
    that the kernel ends for want of memory takes all sessions with it.
    """
    # Programs and libraries, the rest of the shared memory, and what processes of one query share.
    around = shared_buffers + GIB // 2
    # One address may have eight queries at work: all of them together must not have the kernel look for a victim.
    return around + min(max(available // 16, GIB), 4 * GIB)


def _log(folder: Path) -> dict[str, str]:
    """A file per weekday, overwritten a week later; never a statement or a value, which may be embargoed."""
    return {
        "logging_collector": "on",
        "log_directory": str(folder),
        "log_filename": "postgresql-%a.log",
        "log_file_mode": "0600",
        "log_truncate_on_rotation": "on",
        "log_rotation_age": "1d",
        "log_rotation_size": "0",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        "log_statement": "none",
        "log_min_duration_statement": "-1",
        "log_min_error_statement": "panic",
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
        # Leaves out DETAIL lines, which quote rows: "Key (id)=(…) already exists".
        "log_error_verbosity": "terse",
    }


def available_memory() -> int:
    """Bytes of memory that this machine has, or that its container may use."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        text = Path(limit).read_text().strip() if Path(limit).is_file() else ""
        if text.isdigit():
            total = min(total, int(text))
    return total


def _size(folder: str) -> int:
    if not os.path.isdir(folder):
        return 0
    told = os.statvfs(folder)
    return told.f_blocks * told.f_frsize


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
