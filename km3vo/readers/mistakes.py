"""What is wrong in files of tables: every mistake with its place, and one message about all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa

SHOWN = 10  # more than a screenful would not be read
ENOUGH = 1000  # a file with so many mistakes is not read to its end

# Takes a line (or row) and what is wrong there; line 0 when the whole file is meant.
Note = Callable[[int, str], None]


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """A mistake in a file.

    Attributes:
        file: number of the file among those read together, from 0.
        line: line of a text file, or row of a table; 0 when the whole file is meant.
        text: column, value and rule, as a sentence without its subject: "column ra: 360 is not in [0,360)".
    """

    file: int
    line: int
    text: str


@dataclass(slots=True)
class Mistakes:
    """The mistakes found so far in some files.

    Attributes:
        files: name of each file, or "" where it goes without saying, and what its rows are called ("line" or "row").
        found: those that will be shown, and perhaps some more.
        total: how many there are.
        turned: for each file the columns whose values are not those that stand in it: in another unit or system.
    """

    files: list[tuple[str, str]]
    found: list[Mistake] = field(default_factory=list)
    total: int = 0
    turned: dict[int, frozenset[str]] = field(default_factory=dict)

    def add(self, file: int, line: int, text: str) -> None:
        """Note a mistake."""
        self.found.append(Mistake(file, line, text))
        self.total += 1

    @property
    def enough(self) -> bool:
        """Whether it makes no sense to look for more."""
        return self.total >= ENOUGH

    def message(self, outcome: str) -> str:
        """All of them in words; ``outcome`` begins the first sentence: "Nothing was loaded"."""
        count = "1 mistake" if self.total == 1 else f"{self.total}{' or more' if self.enough else ''} mistakes"
        lines = [f"{outcome}, because of {count}:"]
        for mistake in sorted(self.found)[:SHOWN]:
            name, unit = self.files[mistake.file]
            where = " ".join([*filter(None, [name]), *([f"{unit} {mistake.line}"] if mistake.line else [])])
            lines.append(f"  {where}: {mistake.text}" if where else f"  {mistake.text}")
        if self.total > SHOWN:
            lines.append(f"  … and {self.total - SHOWN} more.")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the cells of one column are, for messages about them.

    Attributes:
        column: its name.
        lines: the line or row of each cell.
        note: takes what is wrong.
    """

    column: str
    lines: pa.Array
    note: Note

    def tell(self, index: int, value: object, wrong: str) -> None:
        """Note that a cell is not what it should be; ``wrong`` goes after its value: "is not a number"."""
        self.note(self.lines[index].as_py(), f"column {named(self.column)}: {shown(value)} {wrong}")


def shown(value: object) -> str:
    """A value as it is quoted in a message: short, and with nothing that a terminal would act upon."""
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    text = _printable(text)
    return f'"{text[:40]}…"' if len(text) > 40 else f'"{text}"' if isinstance(value, str | bytes) else text


def named(column: str) -> str:
    """A column's name as it stands in a message."""
    text = _printable(column)
    return text[:60] + "…" if len(text) > 60 else text


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:100])
