"""What is wrong in the files to be loaded: every mistake with its place, and one message about all of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from km3vo.errors import LoadError

SHOWN = 10  # more than a screenful would not be read
ENOUGH = 1000  # a file with so many mistakes is not read to its end


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """A mistake in a file.

    Attributes:
        file: number of the file among those loaded together, from 0.
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
        files: name of each file, and what its rows are called ("line" or "row").
        found: those that will be shown, and perhaps some more.
        total: how many there are.
    """

    files: list[tuple[str, str]]
    found: list[Mistake] = field(default_factory=list)
    total: int = 0

    def add(self, file: int, line: int, text: str) -> None:
        """Note a mistake."""
        self.found.append(Mistake(file, line, text))
        self.total += 1

    @property
    def enough(self) -> bool:
        """Whether it makes no sense to look for more."""
        return self.total >= ENOUGH

    def refuse(self) -> None:
        """Raise LoadError if anything is wrong."""
        if self.total:
            raise LoadError(self._message())

    def _message(self) -> str:
        count = "1 mistake" if self.total == 1 else f"{self.total}{' or more' if self.enough else ''} mistakes"
        lines = [f"Nothing was loaded, because of {count}:"]
        for mistake in sorted(self.found)[:SHOWN]:
            name, unit = self.files[mistake.file]
            where = f"{name} {unit} {mistake.line}" if mistake.line else name
            lines.append(f"  {where}: {mistake.text}")
        if self.total > SHOWN:
            lines.append(f"  … and {self.total - SHOWN} more.")
        return "\n".join(lines)


def shown(value: object) -> str:
    """A value as it is quoted in a message: short, and with nothing that a terminal would act upon."""
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return f'"{text[:40]}…"' if len(text) > 40 else f'"{text}"' if isinstance(value, str | bytes) else text
