"""What operators wait for: loading, another latency, releasing; beside COPY of the same rows into a bare table.

Seconds of the processor, of this process and the cluster's, stand beside those of the clock: they hardly hang on who
else uses the machine.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
import psycopg
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
from psycopg import sql

from benchmarks.cases import Figure
from benchmarks.target import TABLE
from km3vo.catalog.files import read_catalog
from km3vo.catalog.model import Table
from km3vo.cluster.embedded import Cluster
from km3vo.commands import prepare
from km3vo.database.logins import INGEST, OWNER, SERVICE, Database, read_passwords
from km3vo.embargo import decisions, partitions
from km3vo.loading import loads
from km3vo.publishing.publish import publish
from km3vo.publishing.upgrade import upgrade
from km3vo.settings import Settings
from km3vo.simulation import simulate

FLOOR = "COPY in"
CREATE = "CREATE TEMPORARY TABLE bare ON COMMIT DROP AS SELECT {columns} FROM {table} LIMIT 0"
COPY = "COPY bare ({columns}) FROM STDIN (FORMAT csv)"
EVER, AT_ONCE = "P100Y", "P0D"


def figures(rows: int) -> Iterator[Figure]:
    """Load, judge and release ``rows`` events in a database of their own, each step beside the floor."""
    table = read_catalog(Settings().schemas).table(TABLE)
    with tempfile.TemporaryDirectory(prefix="km3vo-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        file = folder / "events.parquet"
        pq.write_table(pa.Table.from_batches(simulate(table, rows, seed=1)), file)
        # With the memory of a service: that of a throw-away cluster does not hold the indexes of a million events.
        with Cluster(folder / "cluster").kept() as cluster:
            database = Database(cluster.conninfo("km3vo"), read_passwords(folder))
            prepare.create_database(database)
            upgrade(database)
            with database.connect(OWNER) as owner:
                publish(owner, read_catalog(Settings().schemas))
                floor = _measure(cluster, lambda: _copy(owner, table, file))
                owner.rollback()
            yield Figure(f"{FLOOR} of {rows} events", floor.clock, "s", note=f"{floor.processor:.1f} s of processor")
            for case, step in _steps(database, table, file):
                took = _measure(cluster, step)
                note = f"{took.processor:.1f} s of processor, {took.processor / floor.processor:.1f} × COPY's"
                yield Figure(case, took.clock, "s", took.clock / floor.clock, FLOOR, note)


def _steps(database: Database, table: Table, file: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    with database.connect(INGEST) as loader:
        yield "load of embargoed events", lambda: loads.load(loader, table, [file])
    with database.connect(OWNER) as owner:
        for case, latency in (("another latency", EVER), ("another latency again", AT_ONCE)):
            why = {"reason": "benchmark", "who": "benchmark"}
            yield case, partial(decisions.set_latency, owner, table.release.stream, latency, **why)
    with database.connect(SERVICE, autocommit=True) as service:
        yield "release", lambda: partitions.promote(service, table)


def _copy(owner: psycopg.Connection, table: Table, file: Path) -> None:
    """The least that could be done: the rows as text, into a table without indexes."""
    rows, text = pq.read_table(file), io.BytesIO()
    arrow_csv.write_csv(rows, text, arrow_csv.WriteOptions(include_header=False))
    columns = sql.SQL(", ").join(map(sql.Identifier, rows.column_names))
    owner.execute(sql.SQL(CREATE).format(columns=columns, table=sql.Identifier(table.schema, table.name)))
    with owner.cursor() as cursor, cursor.copy(sql.SQL(COPY).format(columns=columns)) as sink:
        sink.write(text.getbuffer())


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds by the clock, and of the processor."""

    clock: float
    processor: float


def _measure(cluster: Cluster, step: Callable[[], object]) -> Took:
    began, worked = time.perf_counter(), _processor(cluster)
    step()
    return Took(time.perf_counter() - began, _processor(cluster) - worked)


def _processor(cluster: Cluster) -> float:
    """Seconds of the processor of this process and of all of the cluster's, those that have ended too."""
    postmaster = psutil.Process(int((cluster.data / "postmaster.pid").read_text().split()[0]))
    own = psutil.Process().cpu_times()
    while True:
        ended = postmaster.cpu_times()
        times = [own.user, own.system, ended.children_user, ended.children_system]
        for one in postmaster.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                spent = one.cpu_times()
                times += [spent.user, spent.system]
        if postmaster.cpu_times() == ended:  # else one has ended meanwhile, and is counted in both places or in none
            return sum(times)
