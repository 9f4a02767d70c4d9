"""What was found: one line for each thing looked at, and what to mend."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from rich.console import Console
from rich.text import Text

from km3vo.terminal import visible, visible_lines

SHOWN = 5  # mistakes of one kind; more would not be read
MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "mistake": ("✗", "red")}


@dataclass(slots=True)
class Report:
    """Findings, printed as they come.

    Attributes:
        mistakes, warnings: how many things were not right, or not quite.
    """

    console: Console
    mistakes: int = field(default=0, init=False)
    warnings: int = field(default=0, init=False)

    def section(self, title: str) -> None:
        """Begin a new part."""
        self.console.print(f"\n[bold]{title}[/bold]")

    def note(self, what: str, mistakes: Iterable[str] = (), *, warning: bool = False) -> bool:
        """Tell about one thing that was looked at; it is right when there are no mistakes. Returns whether it is."""
        distinct = list(dict.fromkeys(mistakes))
        kind = "ok" if not distinct else "warning" if warning else "mistake"
        mark, style = MARKS[kind]
        self.console.print(Text.assemble(("  " + mark, style), " ", visible(what)))
        for mistake in distinct[:SHOWN]:
            self.console.print(Text("      " + visible_lines(mistake), style=style), soft_wrap=True)
        if len(distinct) > SHOWN:
            self.console.print(Text(f"      … and {len(distinct) - SHOWN} more", style=style))
        self.mistakes += kind == "mistake"
        self.warnings += kind == "warning"
        return not distinct
