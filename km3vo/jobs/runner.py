"""What a kind of job has to bring: how one of it is made ready, run, and stopped.

The workers know no kind. Each is put into their table of runners by the wiring (km3vo/app.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias

from km3vo.jobs.job import Job


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job left behind.

    Attributes:
        file: the result.
        content_type: its media type.
        size: its bytes.
        rows: its rows.
        overflow: whether it was truncated.
    """

    file: Path
    content_type: str
    size: int
    rows: int
    overflow: bool


class Other(NamedTuple):
    """A file that jobs of a kind leave beside their result: what it is called, and its media type."""

    name: str
    file: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of job: its name in the job's row, and what it leaves beside its result."""

    name: str
    others: tuple[Other, ...] = ()


class Work(Protocol):
    """One job, ready to be run once."""

    @property
    def rows(self) -> int:
        """How many rows of the result there are by now."""

    def run(self) -> Outcome:
        """Do it; in a thread. Lets go of all that it holds.

        Raises:
            Km3voError, OSError: it failed; a TimeoutExceeded is the job's time limit.
        """

    def cancel(self) -> None:
        """Stop it, from any thread, before or while it runs; may be called again and again."""


class Runner(Protocol):
    """How jobs of one kind are run."""

    async def prepare(self, job: Job) -> Work:
        """Read the parameters, and get what the job needs. May be cancelled.

        Raises:
            Km3voError: the job cannot be run as it stands.
        """


# By the kind in the job's row.
Runners: TypeAlias = Mapping[str, Runner]
