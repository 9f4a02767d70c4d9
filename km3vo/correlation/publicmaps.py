"""The maps of significance of the published event lists, kept in a folder and made anew when their public rows move.

Each list has a folder with a file for each extension, and one with tiles. What its rows were is in the name of the
folder, so that nobody gets files of two maps; the public's own login reads them, so that no embargoed event has a share
in a map.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from km3vo.catalog.model import Table
from km3vo.correlation.mapfiles import facts
from km3vo.correlation.process import Map, Work
from km3vo.correlation.question import query
from km3vo.correlation.tables import Ask, events_in
from km3vo.errors import ParameterError

NSIDE = 64
LAYOUT = 2  # of a folder: one of an older layout is made anew
SECONDS = 600  # of the processor, for a map
FEWEST = 100  # events that make a map
DAY = 86400.0


def mapped(tables: Iterable[Table]) -> list[Table]:
    """The tables that have maps: lists of events with directions."""
    return [
        table
        for table in tables
        if table.position and table.position.error and (table.observation or table.release.embargoed)
    ]


def folder(home: Path, table: Table) -> Path | None:
    """The folder with the files of the newest map of a table; None when there is none yet."""
    kept = sorted(_all(home, table), key=lambda one: one.stat().st_mtime)
    return kept[-1] if kept else None


def refresh(home: Path, table: Table, fingerprint: str, ask: Ask, stopping: Callable[[], bool]) -> bool:
    """Make the map of a table if its public rows have moved, but no more than once a day; says whether it did.

    One process makes it, the others leave it to that one.

    Args:
        home: the folder of all maps.
        table: of the events.
        fingerprint: of its public rows; it tells nothing else.
        ask: asks a query as the public.
        stopping: whether to give up.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return _refresh(home, table, fingerprint, ask, stopping)


def _refresh(home: Path, table: Table, fingerprint: str, ask: Ask, stopping: Callable[[], bool]) -> bool:
    wanted = home / table.qualified / hashlib.sha256(f"{NSIDE} {LAYOUT} {fingerprint}".encode()).hexdigest()[:16]
    newest = folder(home, table)
    if wanted.is_dir() or (newest is not None and time.time() - newest.stat().st_mtime < DAY):
        return False
    try:
        listed = events_in(ask(query(table.qualified, "")), table.qualified)
    except ParameterError:  # it has no rows
        return False
    if len(listed) < FEWEST:
        return False
    if stopping():
        return False
    files = Work(Map(listed, facts(listed, table.qualified, "", "public"), NSIDE, SECONDS)).run()
    fresh = wanted.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    for path, content in files.items():
        (fresh / path).parent.mkdir(parents=True, exist_ok=True)
        (fresh / path).write_bytes(content)
    fresh.replace(wanted)
    # Whoever reads the one before has a day.
    for old in sorted(_all(home, table), key=lambda one: one.stat().st_mtime)[:-2]:
        shutil.rmtree(old, ignore_errors=True)
    return True


def _all(home: Path, table: Table) -> list[Path]:
    place = home / table.qualified
    return [one for one in place.iterdir() if one.is_dir() and not one.suffix] if place.is_dir() else []
