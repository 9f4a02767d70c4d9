"""What long work shows on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


def on_terminal() -> Console:
    """The terminal: the standard error, since the standard output is for what was asked for."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def bar(console: Console, title: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar that shows how far a load is; yields what the load reports to: phase, rows done, and rows in all."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task(title, total=None)

        def report(phase: str, done: int, total: int) -> None:
            shown.update(task, description=f"{title}: {phase}", completed=done, total=total or None)

        yield report
