"""`python -m benchmarks.against OTHER`: this checkout beside another one, both running, measured in turns.

On a shared machine two runs one after the other compare the machine with itself. Here each case is measured of the one
and at once of the other, round by round, and the medians of all rounds are compared.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table as Grid

from benchmarks import cases, measure
from benchmarks.target import MILLION, Target

# Run in the other checkout's own environment, whose code may be older than this file.
SERVE = """
import json, sys
from pathlib import Path
from rich.console import Console
from benchmarks.target import ours
with ours(Path(sys.argv[1]), int(sys.argv[2]), Console(stderr=True)) as target:
    print(json.dumps({"tap": target.tap, "cone": target.cone}), flush=True)
    sys.stdin.read()
"""

console = Console()


@click.command(context_settings={"show_default": True})
@click.argument("other", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--home", type=click.Path(path_type=Path), required=True, help="Events of this checkout's service.")
@click.option("--other-home", type=click.Path(path_type=Path), required=True, help="Events of the other's.")
@click.option("--rows", default=1_000_000, help="Simulated events in each.")
@click.option("--rounds", default=7, help="How often each case is measured of each.")
@click.option("--only", default="", help="Measure the cases alone whose names contain this.")
def main(other: Path, home: Path, other_home: Path, rows: int, rounds: int, only: str) -> None:
    """Compare the service of this checkout with that of OTHER, a checkout with an environment of its own in .venv.

    \b
    git worktree add ../before 42566f1 && (cd ../before && scripts/venv.sh requirements-test.lock)
    python -m benchmarks.against ../before --home /var/tmp/now --other-home /var/tmp/before
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        here = stack.enter_context(_running(Path.cwd(), home, rows))
        there = stack.enter_context(_running(other, other_home, rows))
        grid = Grid("case", "other", "here", "here ÷ other", "rounds between")
        chosen = {name: case for name, case in measured(folder).items() if only in name}
        for name, case in track(chosen.items(), "measuring", console=Console(stderr=True)):
            pairs = [(case(there), case(here)) for _ in range(rounds)]
            quotients = sorted(mine / others for others, mine in pairs)
            before, now = (statistics.median(column) for column in zip(*pairs, strict=True))
            grid.add_row(
                name,
                f"{before:.3g}",
                f"{now:.3g}",
                f"{statistics.median(quotients):.2f}",
                f"{quotients[0]:.2f} … {quotients[-1]:.2f}",
            )
        console.print(grid)


def measured(folder: Path) -> dict[str, Callable[[Target], float]]:
    """Name → the figure of a service; milliseconds or, where the name says so, requests per second."""
    ours = Target("", "")
    rates: dict[str, Callable[[Target], float]] = {
        f"cone {radius}°, {clients} clients, /s": lambda it, n=clients, r=radius: (  # type: ignore[misc]
            measure.rate(it.cone, n, r, seconds=3).per_second
        )
        for radius in (0.1, 1, 10)
        for clients in (1, 8)
    }
    queries: dict[str, Callable[[Target], float]] = {
        f"{name}, ms": lambda it, t=text, n=name: (  # type: ignore[misc]
            cases.query_latency(it, t, 10 if "count" in n or "group" in n else 40)
        )
        for name, text in cases.texts(ours).items()
    }
    downloads: dict[str, Callable[[Target], float]] = {
        f"1M rows {form}, ms": lambda it, f=form: cases.download(it, MILLION, f).total * 1e3  # type: ignore[misc]
        for form in ("votable", "csv", "fits", "parquet")
    }
    table, near = measure.positions(1000, folder), cases.conditions(ours)["within 1°"]
    return {
        **rates,
        **queries,
        **downloads,
        "upload 1000, count within 1°, ms": lambda it: (cases.upload(it, table, near, 5) or math.nan) * 1e3,
    }


@contextmanager
def _running(checkout: Path, home: Path, rows: int) -> Iterator[Target]:
    command = [str(checkout.resolve() / ".venv/bin/python"), "-c", SERVE, str(home.resolve()), str(rows)]
    with subprocess.Popen(command, cwd=checkout, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdin is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise SystemExit(f"the service of {checkout} did not start")
            yield Target(**json.loads(line))
        finally:
            process.stdin.close()


if __name__ == "__main__":
    sys.exit(main())
