"""Processes to be killed with -9 at random moments, and a cluster that outlives it."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg

from km3vo.cluster.embedded import Cluster
from km3vo.database.logins import Database
from km3vo.errors import SetupError
from tests.support.folders import ROOT


@contextmanager
def lasting_cluster() -> Iterator[Cluster]:
    """A cluster that survives: what is committed is on disk."""
    folder = Path(tempfile.mkdtemp(prefix="km3vo-killed-"))
    one = Cluster(folder)
    one.start()
    yield one
    one.stop()
    shutil.rmtree(folder)


class Worker:
    """A process that says what it has done, in lines of a word and a number.

    Attributes:
        lines: the (word, number) of each line that it ended.
    """

    def __init__(self, module: str, database: Database, *arguments: object) -> None:
        self.lines: list[tuple[str, int]] = []
        words = [database.admin, json.dumps(database.passwords), *map(str, arguments)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            if line.endswith("\n"):  # else it was killed as it spoke
                word, number, *_ = line.split()
                self.lines.append((word, int(number)))

    def said(self, word: str) -> set[int]:
        """The numbers that came with a word."""
        return {number for said, number in self.lines if said == word}

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join()
        assert self._process.stdout
        self._process.stdout.close()


def kill_one(chooser: random.Random, cluster: Cluster, worker: Worker, logins: Collection[str], word: str) -> None:
    """Kill something at a random moment after the worker said a word, and end the worker.

    What is killed is the worker itself, all of PostgreSQL, or a session of one of the logins.
    """
    try:
        until = time.monotonic() + 120
        while not worker.said(word):
            assert time.monotonic() < until, "the worker does not begin"
            time.sleep(0.01)
        time.sleep(chooser.uniform(0, 0.5))
        kill(_victim(chooser, cluster, worker, logins))
        time.sleep(chooser.uniform(0, 0.2))
    finally:
        worker.end()


def kill(pid: int) -> None:
    """Kill a process, unless it ended by itself, as sessions do."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _victim(chooser: random.Random, cluster: Cluster, worker: Worker, logins: Collection[str]) -> int:
    postmaster, session = of_postgresql(chooser, cluster, logins)
    return chooser.choice([worker.pid, postmaster, session])


def of_postgresql(chooser: random.Random, cluster: Cluster, logins: Collection[str]) -> tuple[int, int]:
    """The process above all others, and a session of one of the logins; the first again when there is none."""
    postmaster = int((cluster.data / "postmaster.pid").read_text().split()[0])
    sessions = [
        child.pid
        for child in psutil.Process(postmaster).children()
        if any(login in _command(child) for login in logins)
    ]
    return postmaster, chooser.choice(sessions or [postmaster])


def _command(process: psutil.Process) -> str:
    """The command line of a process; sessions come and go, and one that went has none."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def restarted(cluster: Cluster, database: Database) -> None:
    """PostgreSQL brought back, and its recovery over."""
    until = time.monotonic() + 120
    while True:
        try:
            cluster.start()
            with psycopg.connect(database.admin):
                return
        except (psycopg.OperationalError, SetupError):
            assert time.monotonic() < until
            time.sleep(0.1)
