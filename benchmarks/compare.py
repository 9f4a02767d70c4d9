"""`python -m benchmarks.compare FILE.json`: what `--save FILE` measured beside what docs/performance.md records.

Only ratios are compared, each to a floor of its own run: figures in milliseconds say as much of the machine.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

RECORDED = Path(__file__).parent.parent / "docs" / "performance.md"
# Percentages are recorded without decimals: of smaller ones the rounding would be compared.
SMALLEST = 0.05


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio to a floor; of rates more is better, of durations less."""

    value: float
    floor: str

    def worse(self, recorded: Ratio) -> float:
        """By which part this is worse than what is recorded; negative when it is better."""
        if self.floor == "hello":
            return recorded.value / self.value - 1 if self.value else float("inf")
        return self.value / recorded.value - 1

    def __str__(self) -> str:
        return f"{self.value:.0%} of {self.floor}" if self.floor == "hello" else f"{self.value:.2f} × {self.floor}"


def recorded(page: str) -> dict[str, Ratio]:
    """Case → ratio, from the table of a page."""
    ratios = {}
    for case, number, percent, floor in re.findall(
        r"^\| ([^|]+?) \| [^|]* \| ([\d.]+)(?: ×|(%) of) (\w+) \|", page, re.MULTILINE
    ):
        ratio = Ratio(float(number) / (100 if percent else 1), floor)
        if ratio.value >= SMALLEST:
            ratios[case] = ratio
    return ratios


def measured(document: str) -> dict[str, Ratio]:
    """Case → ratio, from what `--save` wrote."""
    figures = json.loads(document)["figures"]
    return {one["case"]: Ratio(one["ratio"], one["floor"]) for one in figures if one["ratio"] is not None}


def compare(new: Mapping[str, Ratio], old: Mapping[str, Ratio], tolerance: float) -> list[str]:
    """A line for each case that got worse by more than ``tolerance``, or was not measured."""
    lines = []
    for case, ratio in old.items():
        if case not in new:
            lines.append(f"{case}: not measured; recorded is {ratio}")
        elif (worse := new[case].worse(ratio)) > tolerance:
            lines.append(f"{case}: {new[case]}, {worse:.0%} worse than {ratio}")
    return lines


@click.command(context_settings={"show_default": True})
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option("--tolerance", default=0.25, help="What may be worse, as a part of what is recorded.")
def main(file: Path, tolerance: float) -> None:
    """Say which ratios got worse; the exit status is 1 if one did."""
    old = recorded(RECORDED.read_text())
    if lines := compare(measured(file.read_text()), old, tolerance):
        click.echo("\n".join(lines))
        sys.exit(1)
    click.echo(f"None of {len(old)} ratios is more than {tolerance:.0%} worse than docs/performance.md records.")


if __name__ == "__main__":
    main()
