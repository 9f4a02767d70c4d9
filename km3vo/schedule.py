"""What is done now and then beside the requests: releasing events, keeping records true, looking after jobs.

Each task has a thread. Whatever goes wrong in one is logged, kept for whoever asks how the service is, and tried again
when the task is next due: a task whose thread had ended would leave its work undone, and tell nobody.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from km3vo.errors import Km3voError

log = logging.getLogger(__name__)

STOP_SECONDS = 5.0
REPEAT_SECONDS = 300.0  # a failure that lasts is logged once in this time


@dataclass(slots=True)
class Task:
    """Something done now and then, and how it went.

    Attributes:
        name: for logs and metrics.
        seconds: pause between the end of one run and the begin of the next.
        work: what is done.
        started_at: begin of the run that is under way, or None.
        succeeded_at: end of the last run without an error.
        failed_at: end of the last run with one.
        failure: what went wrong in the last run, in words that may be shown; None when nothing did.
        failures: how many runs in a row went wrong.
    """

    name: str
    seconds: float
    work: Callable[[], object]
    started_at: datetime | None = None
    succeeded_at: datetime | None = None
    failed_at: datetime | None = None
    failure: str | None = None
    failures: int = 0
    _logged: float = 0.0

    def run(self) -> None:
        """Do it once; never raises."""
        self.started_at = datetime.now(UTC)
        try:
            self.work()
        except Exception as error:
            self._failed(error)
        else:
            if self.failures:
                log.warning("%s: works again after %d failures", self.name, self.failures)
            self.succeeded_at, self.failure, self.failures = datetime.now(UTC), None, 0
        finally:
            self.started_at = None

    def _failed(self, error: Exception) -> None:
        # The text of an error that is not ours may quote a row.
        ours = isinstance(error, Km3voError)
        failure = str(error) if ours else " ".join(filter(None, (type(error).__name__, getattr(error, "sqlstate", ""))))
        if failure != self.failure or time.monotonic() - self._logged > REPEAT_SECONDS:
            self._logged = time.monotonic()
            frames = "" if ours else "".join(("\n", *traceback.format_tb(error.__traceback__)))
            log.error("%s failed, and is tried again in %g s: %s%s", self.name, self.seconds, failure, frames)
        self.failed_at, self.failure, self.failures = datetime.now(UTC), failure, self.failures + 1


class Schedule:
    """The tasks of one process.

    Attributes:
        tasks: in the order in which they were added.
    """

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def every(self, seconds: float, name: str, work: Callable[[], object]) -> None:
        """Add a task, to be done at once when the schedule starts and every ``seconds`` from then on; 0 for never."""
        if seconds > 0:
            self.tasks.append(Task(name, seconds, work))

    def start(self) -> None:
        """Begin."""
        for task in self.tasks:
            thread = threading.Thread(target=self._repeat, args=(task,), name=task.name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Begin nothing any more, and wait a few seconds for what is under way."""
        self._stopping.set()
        until = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    @property
    def stopping(self) -> bool:
        """Whether a task should come to an end."""
        return self._stopping.is_set()

    def _repeat(self, task: Task) -> None:
        while not self.stopping:
            task.run()
            self._stopping.wait(task.seconds)
