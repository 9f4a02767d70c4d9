"""What is done now and then goes on, whatever happens to it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import psycopg
import pytest

from km3vo.errors import UnavailableError
from km3vo.schedule import Schedule, Task


@pytest.fixture
def schedule() -> Iterator[Schedule]:
    schedule = Schedule()
    yield schedule
    schedule.stop()


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left"), psycopg.OperationalError(), AssertionError(), KeyError()]
)
def test_a_task_survives_whatever_happens_to_it(schedule: Schedule, error: Exception) -> None:
    outcomes = iter([error, error, None])
    recovered = threading.Event()

    def work() -> None:
        if (outcome := next(outcomes, None)) is not None:
            raise outcome
        recovered.set()

    schedule.every(0.01, "work", work)
    schedule.start()
    assert recovered.wait(10)


def test_a_task_says_how_it_went(caplog: pytest.LogCaptureFixture) -> None:
    energy = 17.3
    broken = [True]

    def work() -> None:
        if broken:
            raise psycopg.DataError(f"value {energy} of an embargoed event")

    task = Task("work", 1, work)
    task.run()
    assert task.failed_at and (task.failure, task.failures, task.succeeded_at) == ("DataError", 1, None)
    assert "work failed, and is tried again in 1 s: DataError" in caplog.text and "in work" in caplog.text
    assert "17.3" not in caplog.text, "the database's words may quote a row"
    task.run()
    assert task.failures == 2 and len(caplog.records) == 1, "a failure that lasts is not logged again and again"
    broken.clear()
    task.run()
    assert task.succeeded_at and (task.failure, task.failures) == (None, 0)
    assert "works again after 2 failures" in caplog.text


def test_our_own_errors_are_told_in_their_words(caplog: pytest.LogCaptureFixture) -> None:
    def work() -> None:
        raise UnavailableError("the database cannot be reached just now")

    with caplog.at_level(logging.ERROR):
        Task("work", 1, work).run()
    assert caplog.messages == ["work failed, and is tried again in 1 s: the database cannot be reached just now"]


def test_stopping_waits_for_what_is_under_way(schedule: Schedule) -> None:
    begun, ended = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        while not schedule.stopping:
            threading.Event().wait(0.01)
        ended.set()

    schedule.every(60, "work", work)
    schedule.every(0, "never", pytest.fail)
    schedule.start()
    assert begun.wait(10)
    schedule.stop()
    assert ended.is_set() and [task.name for task in schedule.tasks] == ["work"]
