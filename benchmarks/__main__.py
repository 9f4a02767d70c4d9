"""`python -m benchmarks`: measure, print, and save."""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table as Grid

from benchmarks import cases, loads, skies
from benchmarks.cases import Figure
from benchmarks.target import COLUMNS, MILLION, TABLE, Target, ours

console = Console()
GROUPS = ("cones", "queries", "downloads", "jobs", "uploads", "ourselves", "skies", "loads")
ALONE = GROUPS[-2:]  # ask no service


@click.command(context_settings={"show_default": True})
@click.option("--rows", default=1_000_000, help="Simulated events to measure on; 5000000 and 20000000 show growth.")
@click.option("--home", type=click.Path(path_type=Path), help="Folder of the events, kept for the next run.")
@click.option("--only", multiple=True, type=click.Choice(GROUPS), help="Measure these groups alone.")
@click.option("--save", type=click.Path(path_type=Path), help="Write the figures to FILE.json and FILE.md.")
@click.option("--url", help="Measure this TAP service instead of ours.")
@click.option("--cone", default="", help="With --url: its cone search.")
@click.option("--table", default=TABLE, help="With --url: its table.")
@click.option("--columns", default=COLUMNS, help="With --url: columns to ask for.")
@click.option("--position", default="ra,dec", help="With --url: the columns of position.")
@click.option("--error", default="err50", help="With --url: the column with the error radius.")
@click.option("--group", default="detector", help="With --url: a column with few values.")
def main(
    rows: int,
    home: Path | None,
    only: tuple[str, ...],
    save: Path | None,
    url: str | None,
    cone: str,
    table: str,
    columns: str,
    position: str,
    error: str,
    group: str,
) -> None:
    """Measure the service, each figure beside a floor from the same run.

    \b
    python -m benchmarks                                     ours, on a million simulated events
    python -m benchmarks --rows 5000000 --only cones         how cone searches grow
    python -m benchmarks --only skies                        maps, scrambles and pairs, without a service
    python -m benchmarks --only loads                        loading, another latency and releasing
    python -m benchmarks --url http://host/tap --cone http://host/scs --table ivoa.t ...    a peer
    """
    chosen = only or (GROUPS[: -len(ALONE)] if url else GROUPS)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if url:
            ra, dec = position.split(",")
            target = Target(url.rstrip("/"), cone, table, columns, ra, dec, error, group)
        elif set(chosen) <= set(ALONE):
            target = Target("", "")
        else:
            base = home or Path(os.environ.get("KM3VO_BENCH_HOME", "/var/tmp/km3vo-bench")) / str(rows)
            target = stack.enter_context(ours(base, rows, console))
        groups: dict[str, Callable[[], Iterator[Figure]]] = {
            "cones": lambda: cases.cones(target) if target.cone else iter(()),
            "queries": lambda: cases.queries(target),
            "downloads": lambda: cases.downloads(target),
            "jobs": lambda: cases.jobs(target),
            "uploads": lambda: cases.uploads(target, folder),
            "ourselves": lambda: cases.ourselves(target),
            "skies": skies.skies,
            "loads": lambda: loads.figures(min(rows, MILLION)),
        }
        figures = []
        for name in chosen:
            for figure in groups[name]():
                figures.append(figure)
                console.print(_line(figure), highlight=False)
    machine = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "rows": rows,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[1], 2),
        "python": platform.python_version(),
        "service": url or "km3vo",
    }
    _print(figures)
    if save:
        save.with_suffix(".json").write_text(
            json.dumps({"machine": machine, "figures": [figure.as_row() for figure in figures]}, indent=1)
        )
        save.with_suffix(".md").write_text(_markdown(machine, figures))
        console.print(f"saved {save.with_suffix('.json')} and {save.with_suffix('.md')}")


def _line(figure: Figure) -> str:
    ratio = f"  {_ratio(figure)}" if figure.ratio else ""
    return f"{figure.case:42} {_number(figure.value):>9} {figure.unit}{ratio}  {figure.note}"


def _ratio(figure: Figure) -> str:
    assert figure.ratio is not None
    return f"{figure.ratio:.2f} × {figure.floor}" if figure.ratio >= 1 else f"{figure.ratio:.0%} of {figure.floor}"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _print(figures: list[Figure]) -> None:
    grid = Grid("case", "figure", "ratio", "bar", "")
    for figure in figures:
        grid.add_row(*_cells(figure))
    console.print(grid)


def _cells(figure: Figure) -> tuple[str, ...]:
    ratio = _ratio(figure) if figure.ratio else ""
    return figure.case, f"{_number(figure.value)} {figure.unit}", ratio, cases.BARS.get(figure.case, ""), figure.note


def _markdown(machine: dict[str, object], figures: list[Figure]) -> str:
    lines = [", ".join(f"{name}: {value}" for name, value in machine.items()), ""]
    lines += ["| case | figure | ratio | bar | |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(_cells(figure))} |" for figure in figures]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
