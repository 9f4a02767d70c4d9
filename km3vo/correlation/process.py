"""An answer or a map worked out in a process of its own, which yields to others and is easily stopped.

`python -m km3vo.correlation.process` reads a task on its standard input and writes the answer on its standard output,
both pickled by this module; how far it is goes to the standard error, a line for each step.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import resource
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

from km3vo.correlation.exposure import Exposure
from km3vo.correlation.listed import Listed
from km3vo.correlation.parts import Progress
from km3vo.correlation.question import Question
from km3vo.errors import Km3voError, ParameterError, TimeoutExceeded, UnavailableError

if TYPE_CHECKING:
    from km3vo.correlation.answer import Answer
    from km3vo.correlation.mapfiles import Facts

# Somebody waits for a correlation; a map is made when nothing else wants the processors, and leaves one of two alone.
NICER, NICEST = 10, 19
THREADS = 2
PR_SET_PDEATHSIG = 1  # of prctl(2)


class Correlation(NamedTuple):
    """A correlation that is to be worked out, in at most so many seconds of the processor."""

    question: Question
    events: Listed
    catalogue: Listed
    exposure: Exposure | None
    seconds: int

    @property
    def nicer(self) -> int:
        """By how much it yields to whoever began it."""
        return NICER

    def work_out(self, progress: Progress) -> Answer:
        """Do it."""
        from km3vo.correlation.answer import answer

        return answer(self.question, self.events, self.catalogue, self.exposure, threads=THREADS, progress=progress)


class Map(NamedTuple):
    """A map of significance that is to be made, likewise."""

    events: Listed
    facts: Facts
    nside: int
    seconds: int

    @property
    def nicer(self) -> int:
        """By how much it yields to whoever began it."""
        return NICEST

    def work_out(self, progress: Progress) -> dict[str, bytes]:
        """Its files and its tiles, by their paths in the folder of the map."""
        from km3vo.correlation import background, hips, mapfiles, skymap
        from km3vo.correlation.answer import events_of

        events, _ = events_of(self.events)
        significance = skymap.make(
            events, background.of_list(events), skymap.Recipe(nside=self.nside), progress=progress
        )
        files = mapfiles.files(significance, self.facts)
        tiles = hips.files(significance, self.facts)
        return {f"map.{extension}": content for extension, content in files.items()} | {
            f"hips/{path}": content for path, content in tiles.items()
        }


Done = TypeVar("Done", covariant=True)


class Task(Protocol[Done]):
    """What can be worked out."""

    @property
    def seconds(self) -> int:
        """Of the processor, at most."""

    @property
    def nicer(self) -> int:
        """By how much it yields to whoever began it, as `nice` has it."""

    def work_out(self, progress: Progress) -> Done:
        """Do it."""


class Work(Generic[Done]):
    """A task on its way. ``run`` in one thread; ``cancel`` from any.

    Attributes:
        done: steps that are done.
    """

    def __init__(self, task: Task[Done]) -> None:
        self._task = task
        self._process: subprocess.Popen[bytes] | None = None
        self._cancelled = False
        self.done = 0

    def run(self) -> Done:
        """Work it out.

        Raises:
            ParameterError: the task cannot be done as it stands.
            TimeoutExceeded: it took too long, or was cancelled.
            UnavailableError: the process died.
        """
        command = [sys.executable, "-m", "km3vo.correlation.process"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            self._process = process
            if self._cancelled:
                process.kill()
            watcher = threading.Thread(target=self._watch, args=(process,), daemon=True)
            watcher.start()
            assert process.stdin and process.stdout
            with contextlib.suppress(BrokenPipeError), process.stdin:  # the end says why
                pickle.dump(self._task, process.stdin)
            written = process.stdout.read()
        watcher.join()
        if self._cancelled or process.returncode in (-9, -24):
            raise TimeoutExceeded("the correlation was stopped, or took longer than it may")
        if process.returncode:
            raise UnavailableError("the correlation failed; please tell the service's contact")
        files_or_mistake: Done | str = pickle.loads(written)
        if isinstance(files_or_mistake, str):
            raise ParameterError(files_or_mistake)
        return files_or_mistake

    def cancel(self) -> None:
        """Stop it."""
        self._cancelled = True
        if self._process is not None:
            self._process.kill()

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr
        for line in process.stderr:
            if line.strip().isdigit():
                self.done = int(line)


def main() -> None:
    """Work out one task."""
    # With the thread that waits for the answer this process goes, too: nobody reads it any more.
    with contextlib.suppress(AttributeError):  # Linux has it
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    task: Task[object] = pickle.load(sys.stdin.buffer)
    os.nice(task.nicer)
    resource.setrlimit(resource.RLIMIT_CPU, (task.seconds, task.seconds + 5))

    def progress(done: int, total: int) -> None:
        sys.stderr.write(f"{done}\n")
        sys.stderr.flush()

    files_or_mistake: object
    try:
        files_or_mistake = task.work_out(progress)
    except Km3voError as error:
        files_or_mistake = str(error)
    pickle.dump(files_or_mistake, sys.stdout.buffer)


if __name__ == "__main__":
    main()
