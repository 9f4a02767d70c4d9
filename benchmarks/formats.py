"""What each output format costs: a million rows in processor seconds, and fifty rows in milliseconds.

No database takes part: the batches are made beforehand, each of about 1 MiB, as the driver hands them over.
"""

from __future__ import annotations

import cProfile
import pstats
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parent.parent))

from km3vo.catalog.model import Column
from km3vo.results import formats
from km3vo.results.stream import Info, Result, arrow_type

COLUMNS = (
    Column(name="event_id", datatype="char", arraysize="*", ucd="meta.id;meta.main", description="Name of the event."),
    Column(name="ra", datatype="double", unit="deg", ucd="pos.eq.ra;meta.main", description="Right ascension."),
    Column(name="dec", datatype="double", unit="deg", ucd="pos.eq.dec;meta.main", description="Declination."),
    Column(name="err50", datatype="float", unit="deg", ucd="stat.error;pos.eq", description="Median error."),
    Column(name="mjd", datatype="double", unit="d", ucd="time.epoch", description="Time of the event."),
    Column(name="energy", datatype="double", unit="GeV", ucd="em.energy", description="Estimated energy."),
    Column(name="nhits", datatype="int", ucd="meta.number", description="Number of hits."),
    Column(name="run", datatype="long", ucd="obs", description="Run."),
    Column(name="quality", datatype="float", nullable=True, description="Likelihood of the fit."),
    Column(name="channel", datatype="char", arraysize="*", ucd="meta.code", description="Track or shower."),
    Column(name="obs_time", datatype="char", arraysize="*", xtype="timestamp", description="Time of the event."),
)
INFOS = tuple(Info(name, f"The {name} of this result") for name in ("publisher", "contact", "query", "request_date"))
BATCH_ROWS = 11_000


def batch(rows: int, seed: int) -> pa.RecordBatch:
    """Random events, some of them without a quality."""
    random = np.random.default_rng(seed)
    cells = [
        [f"KM3-{seed:04d}-{number:07d}" for number in range(rows)],
        random.uniform(0, 360, rows),
        np.degrees(np.arcsin(random.uniform(-1, 1, rows))),
        random.uniform(0.1, 5, rows).astype("f4"),
        random.uniform(58000, 60000, rows),
        10 ** random.uniform(2, 7, rows),
        random.integers(20, 4000, rows, "i4"),
        random.integers(7000, 20000, rows),
        pa.array(random.uniform(-9, 0, rows).astype("f4"), mask=random.random(rows) < 0.05),
        random.choice(["track", "shower"], rows).tolist(),
        random.integers(1_500_000_000_000, 1_600_000_000_000, rows) * 1000,
    ]
    arrays = [
        array if isinstance(array, pa.Array) else pa.array(array).cast(arrow_type(column), safe=False)
        for array, column in zip(cells, COLUMNS, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in COLUMNS])


def large(batches: list[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The same batches again and again, up to a number of rows."""
    for start in range(0, rows, BATCH_ROWS):
        yield batches[start // BATCH_ROWS % len(batches)].slice(0, rows - start)


@click.command(help=__doc__)
@click.argument("names", nargs=-1)
@click.option("--rows", default=1_000_000, show_default=True)
@click.option("--profile", is_flag=True, help="Also print where the time goes.")
def main(names: tuple[str, ...], rows: int, profile: bool) -> None:
    batches = [batch(BATCH_ROWS, seed) for seed in range(8)]
    few = batches[0].slice(0, 50)
    click.echo(
        f"{'format':24s} {'CPU s':>6s} {'wall s':>6s} {'MB':>6s} {'chunk KiB':>9s} {'peak MB':>7s} {'50 rows ms':>10s}"
    )
    for format in formats.FORMATS:
        if names and format.name not in names:
            continue
        # First the small ones: what a format imports, once in a server's life, is then not part of the large one.
        shortest = min(small(format, few) for _ in range(200))
        profiler = cProfile.Profile()
        if profile:
            profiler.enable()
        cpu, wall, size, chunks = time.process_time(), time.perf_counter(), 0, 0
        for chunk in format.write(Result(COLUMNS, large(batches, rows), infos=INFOS)):
            size += len(chunk)
            chunks += 1
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        profiler.disable()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        click.echo(
            f"{format.name:24s} {cpu:6.2f} {wall:6.2f} {size / 1e6:6.0f} {size / chunks / 1024:9.0f} "
            f"{peak:7.0f} {shortest * 1e3:10.3f}"
        )
        if profile:
            pstats.Stats(profiler).sort_stats("tottime").print_stats(18)


def small(format: formats.Format, few: pa.RecordBatch) -> float:
    """Seconds that one small result takes."""
    start = time.perf_counter()
    for _ in format.write(Result(COLUMNS, (few,), infos=INFOS)):
        pass
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
