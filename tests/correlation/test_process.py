"""Heavy sums are worked out in a process of their own, which yields to whoever began it and ends when it is told to."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import NamedTuple

import numpy as np
import psutil
import pyarrow as pa
import pytest

from km3vo.correlation import mapfiles, process
from km3vo.correlation.listed import Listed
from km3vo.correlation.parts import Progress
from km3vo.correlation.question import read
from km3vo.errors import TimeoutExceeded
from tests.correlation.skies import isotropic
from tests.support.folders import ROOT
from tests.support.waiting import until


class Place(NamedTuple):
    """A task that says where it is worked out."""

    seconds: int
    nicer: int

    def work_out(self, progress: Progress) -> tuple[int, int]:
        return os.getpid(), os.nice(0)


class Endless(NamedTuple):
    """A task that takes all the processor that it is given."""

    seconds: int
    nicer: int = 0

    def work_out(self, progress: Progress) -> None:
        progress(1, 2)
        while True:
            pass


def listed(number: int) -> Listed:
    events = isotropic(1, number)
    return Listed(
        name="sky", ids=pa.array([f"{n:05d}" for n in range(number)]), ra=events.ra, dec=events.dec,
        sigma=events.sigma, mjd=events.mjd, group=None, groups=(), weight=None, without=0,
    )  # fmt: skip


def test_it_is_another_process_and_yields() -> None:
    number, niceness = process.Work(Place(60, 3)).run()
    assert number != os.getpid()
    assert niceness == min(19, os.nice(0) + 3)


def test_correlations_yield_to_queries_and_maps_to_all() -> None:
    question = read({"EVENTS": "sky", "CATALOGUE": "sky"})
    few = listed(10)
    told = mapfiles.facts(few, "sky", "", "public")
    assert process.Correlation(question, few, few, None, 60).nicer >= 10
    assert process.Map(few, told, 8, 60).nicer == 19


def test_it_may_not_take_more_of_the_processor_than_its_task_says() -> None:
    with pytest.raises(TimeoutExceeded):
        process.Work(Endless(1)).run()


def test_it_is_stopped_from_another_thread() -> None:
    work = process.Work(Endless(600))
    failures: list[Exception] = []

    def run() -> None:
        try:
            work.run()
        except TimeoutExceeded as error:
            failures.append(error)

    running = threading.Thread(target=run)
    running.start()
    while not work.done:
        time.sleep(0.05)
    work.cancel()
    running.join(60)
    assert failures and not running.is_alive()


def test_it_does_not_outlive_whoever_waits_for_it() -> None:
    """Maps are made in a thread that a service leaves behind when it ends, with what the thread has begun."""
    begin = "from km3vo.correlation.process import Work; from tests.correlation.test_process import Endless; "
    service = psutil.Popen([sys.executable, "-c", begin + "Work(Endless(600, 1)).run()"], cwd=ROOT)
    (child,) = until(service.children)
    until(lambda: child.nice() > service.nice())  # once it has read its task
    service.kill()
    assert not psutil.wait_procs([child], timeout=60)[1]
    service.wait()


def test_a_map_comes_with_its_tiles() -> None:
    events = listed(400)
    files = process.Map(events, mapfiles.facts(events, "sky", "", "public"), 8, 60).work_out(lambda done, total: None)
    assert {f"map.{extension}" for extension in mapfiles.FILES} < files.keys()
    assert "hips/Norder0/Dir0/Npix11.png" in files and np.all([len(content) for content in files.values()])
