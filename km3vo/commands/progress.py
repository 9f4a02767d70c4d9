"""What long work shows on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


def on_terminal() -> Console:
    """The terminal: the standard error, since the standard output is for what was asked for."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


class Bar:
    """A bar on the terminal. It is called with the phase, what is done, and of how much."""

    def __init__(self, shown: Progress, title: str) -> None:
        self._shown = shown
        self._title = title
        self._task = shown.add_task(title, total=None)

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Show how far it is; 0 of 0 where nobody can say."""
        self._shown.update(self._task, description=f"{self._title}: {phase}", completed=done, total=total or None)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Without the bar, while something else is said."""
        self._shown.stop()
        yield
        self._shown.start()


@contextmanager
def bar(console: Console, title: str) -> Iterator[Bar]:
    """A bar that shows how far a load is; yields what the load reports to."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        yield Bar(shown, title)
