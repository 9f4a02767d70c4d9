"""A run of the benchmark beside the recorded one: what got worse is told, and by how much."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from benchmarks.cases import BARS
from benchmarks.compare import RECORDED, Ratio, main, recorded

FLOORS = ("COPY", "hello", "numpy", "nside64")


@pytest.fixture
def figures() -> list[dict[str, Any]]:
    """What a run would save whose ratios are those that are recorded."""
    ratios = recorded(RECORDED.read_text())
    return [{"case": case, "ratio": ratio.value, "floor": ratio.floor} for case, ratio in ratios.items()]


def compared(figures: list[dict[str, Any]], folder: Path) -> Result:
    file = folder / "new.json"
    file.write_text(json.dumps({"figures": [*figures, {"case": "a new one", "ratio": None, "floor": ""}]}))
    return CliRunner().invoke(main, [str(file)])


def test_the_ratios_of_the_page_are_found() -> None:
    ratios = recorded(RECORDED.read_text())
    assert ratios["1M rows votable"].floor == "COPY" and ratios["1M rows votable"].value > 1
    assert ratios["cone 1°, 8 clients"].floor == "hello" and 0.05 <= ratios["cone 1°, 8 clients"].value < 1
    bars = {case for case, bar in BARS.items() if any(floor in bar for floor in FLOORS)}
    assert bars <= ratios.keys(), "every ratio with a bar is recorded"


def test_the_same_is_not_worse(figures: list[dict[str, Any]], tmp_path: Path) -> None:
    result = compared(figures, tmp_path)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(("case", "factor"), [("1M rows csv", 1.5), ("cone 1°, 8 clients", 1 / 1.5)])
def test_what_got_worse_is_told(figures: list[dict[str, Any]], tmp_path: Path, case: str, factor: float) -> None:
    for figure in figures:
        # All others got better.
        better = 2 if figure["floor"] == "hello" else 0.5
        figure["ratio"] *= factor if figure["case"] == case else better
    result = compared(figures, tmp_path)
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert line.startswith(f"{case}: ") and "50% worse than" in line


def test_what_was_not_measured_is_told(figures: list[dict[str, Any]], tmp_path: Path) -> None:
    result = compared(figures[1:], tmp_path)
    assert result.exit_code == 1 and f"{figures[0]['case']}: not measured" in result.output


def test_a_rate_of_nothing_is_infinitely_worse() -> None:
    assert Ratio(0, "hello").worse(Ratio(0.2, "hello")) == float("inf")
