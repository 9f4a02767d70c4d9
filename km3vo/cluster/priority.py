"""The priority of the database's processes: cone searches come before streams of rows, and those before long work.

PostgreSQL has no such setting. On the same machine the kernel does it, and it goes down only: a process that was slowed
for long work is not used again.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import psycopg

from km3vo.database.logins import Database

# Of 19; beside somebody with the usual priority these get a third and a tenth of the processor.
STREAM = 5
LONG = 10
_TRIES = 10
_PAUSE = 0.1  # seconds; the kernel takes so many changes of a session's priority from all who are not root


def lower(database: Database, nice: int, name: str) -> None:
    """Lower the priority of the processes whose session has this ``application_name``; best effort.

    Args:
        database: of the embedded cluster, whose processes are on this machine.
        nice: to what.
        name: as pg_stat_activity shows it.
    """
    with contextlib.suppress(psycopg.Error, OSError), psycopg.connect(database.admin, autocommit=True) as admin:
        asked = "SELECT pid FROM pg_catalog.pg_stat_activity WHERE application_name = %s"
        for (pid,) in admin.execute(asked, (name,)):
            os.setpriority(os.PRIO_PROCESS, pid, nice)
            _lower_session(pid, nice)


def _lower_session(pid: int, nice: int) -> None:
    """Lower a process that is a session of its own, as all of PostgreSQL are, among the sessions.

    Where Linux shares the processors among sessions, the priority of a process counts within its own only (sched(7),
    "The autogroup feature").
    """
    group = Path(f"/proc/{pid}/autogroup")
    if os.getsid(pid) != pid or not group.exists():
        return
    for _ in range(_TRIES):
        with contextlib.suppress(BlockingIOError):
            group.write_text(str(nice))
            return
        time.sleep(_PAUSE)
