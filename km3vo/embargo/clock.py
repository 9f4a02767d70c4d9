"""Whether the database's clock may be trusted: by it events become public, and that cannot be undone.

It is right when the system says that this machine's clock is synchronised and the database's is not ahead of it; when
a person says so; and then as long as it runs no faster than this machine's uptime, which nobody can set. What is known
of it is kept in the database, so that a restart forgets nothing. A clock that is behind releases late and nothing
early: it is left alone, and so is its being set right again.
"""

from __future__ import annotations

import ctypes
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg.rows import class_row

from km3vo.errors import SetupError

AHEAD = timedelta(minutes=2)  # by so much the database's clock may be ahead of what it is compared with
DRIFT = 2e-4  # and by this part of the time since it was vouched for: no clock of a computer is worse
# After a reboot nobody knows how long the machine was off, unless the system's clock is synchronised.
REBOOT = timedelta(minutes=10)

BOOT = Path("/proc/sys/kernel/random/boot_id")
UPTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # goes on while the machine sleeps
TIME_ERROR = 5  # adjtimex(2): nobody keeps the clock right
PROCESS = str(uuid4())  # where boots have no names, what is known of one holds for this process

READ = "SELECT clock_timestamp() AS clock, good_at, checked_at, checked_by, boot, uptime, stopped FROM km3vo.clock"
GOOD = "UPDATE km3vo.clock SET good_at = greatest(good_at, %s)"
VOUCH = """
UPDATE km3vo.clock SET good_at = %(clock)s, checked_at = %(clock)s, checked_by = %(by)s, boot = %(boot)s,
    uptime = %(uptime)s, stopped = NULL
"""
STOP = "UPDATE km3vo.clock SET stopped = %s"
LOG = "INSERT INTO km3vo.release_log (what, reason, decided_by) VALUES ('clock', %s, %s)"


@dataclass(frozen=True, slots=True)
class Machine:
    """What this machine says of the time.

    Attributes:
        boot: which of its boots this is.
        uptime: seconds since then.
        clock: what its clock says.
        synchronised: whether the system keeps the clock right by others (NTP, PTP).
    """

    boot: str
    uptime: float
    clock: datetime
    synchronised: bool


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the database's clock.

    Attributes:
        clock: what it says now.
        good_at: what it said when it was last found right.
        checked_at, checked_by: what it said when the system or a person last vouched for it, and who.
        boot, uptime: of the machine on which that was, then.
        stopped: why nothing is released until a person has looked; None when that is not so.
    """

    clock: datetime
    good_at: datetime
    checked_at: datetime
    checked_by: str
    boot: str | None
    uptime: float | None
    stopped: str | None


def machine() -> Machine:
    """What this machine says of the time just now."""
    boot = BOOT.read_text().strip() if BOOT.is_file() else PROCESS
    return Machine(boot, time.clock_gettime(UPTIME), datetime.now(UTC), _is_synchronised())


def read(connection: psycopg.Connection) -> Known:
    """What is known of the clock."""
    known = connection.cursor(row_factory=class_row(Known)).execute(READ).fetchone()
    assert known is not None
    return known


def look(connection: psycopg.Connection, here: Machine | None = None) -> None:
    """Look at the clock, and remember that it is right.

    Args:
        connection: of the service's login, or the owner's.
        here: the machine that the service runs on; the present one unless given.

    Raises:
        SetupError: it is ahead of what it should be, and neither the system nor a person vouches for it; or releases
            were stopped.
    """
    here = here or machine()
    with connection.transaction():
        known = read(connection)
        if known.stopped:
            raise SetupError(f"nothing is released: {known.stopped}; then say `km3vo release run --clock-checked`")
        if here.synchronised and known.clock - here.clock <= AHEAD:
            values = {"clock": known.clock, "by": "the system", "boot": here.boot, "uptime": here.uptime}
            connection.execute(VOUCH, values)
            return
        if known.boot == here.boot and known.uptime is not None:
            since = timedelta(seconds=here.uptime - known.uptime)
            expected, allowed = known.checked_at + since, AHEAD + DRIFT * since
        else:
            expected, allowed = known.good_at, REBOOT
        if known.clock - expected > allowed:
            raise SetupError(_refusal(known, expected))
        if known.boot != here.boot:
            # Whatever the time is, it is not earlier than it was: a clock that was set back may be set right again.
            start = {"clock": max(known.clock, expected), "by": known.checked_by}
            connection.execute(VOUCH, start | {"boot": here.boot, "uptime": here.uptime})
        connection.execute(GOOD, (expected if known.boot == here.boot else known.clock,))


def vouch(connection: psycopg.Connection, by: str, here: Machine | None = None) -> None:
    """Note that a person has looked at the clock and found it right. ``connection`` belongs to the owner; commits."""
    here = here or machine()
    with connection.transaction():
        known = read(connection)
        connection.execute(VOUCH, {"clock": known.clock, "by": by, "boot": here.boot, "uptime": here.uptime})
        connection.execute(LOG, (f"found right at {known.clock:%Y-%m-%dT%H:%M:%SZ}", by))
    connection.commit()


def stop(connection: psycopg.Connection, until: str) -> None:
    """Release nothing until a person has looked. ``connection`` belongs to the owner; left uncommitted.

    Args:
        until: what to do first ("look whether …").
    """
    connection.execute(STOP, (until,))


def _refusal(known: Known, expected: datetime) -> str:
    return (
        f"nothing is released: the clock of the database says {known.clock:%Y-%m-%d %H:%M} UTC, and by what was known "
        f"of it ({known.checked_by}, {known.checked_at:%Y-%m-%d %H:%M}) it should be about {expected:%Y-%m-%d %H:%M}. "
        "Set it right, or have the system synchronise it; if it is right (the machine was off for so long), say so "
        "with `km3vo release run --clock-checked`"
    )


def _is_synchronised() -> bool:
    """Whether the kernel knows of somebody who keeps the clock right; anybody may ask it."""
    if os.uname().sysname != "Linux":
        return False
    try:
        # A struct timex, whose modes are 0: nothing is changed. It has 208 bytes.
        state: int = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512))
    except (AttributeError, OSError):
        return False
    return 0 <= state < TIME_ERROR
