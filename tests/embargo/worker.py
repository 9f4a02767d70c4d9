"""A process to be killed: it loads batches of alerts, as `km3vo load` does, supersedes and withdraws some of each, and
promotes them, as the service does.

Says "loaded N" when batch N is committed, then "superseded N" and "withdrawn N". Half of each batch is due, half
is not.
"""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from km3vo.catalog.files import read_catalog
from km3vo.catalog.model import Table
from km3vo.database.logins import INGEST, OWNER, Database
from km3vo.embargo import corrections
from km3vo.embargo.promoter import Promoter
from km3vo.errors import Km3voError
from km3vo.loading import loads
from km3vo.schedule import Schedule
from tests.embargo.lab import SCHEMAS

ROWS = 200
# Of each batch, by their places in it: half of them are due.
SUPERSEDED = [*range(10), *range(ROWS - 10, ROWS)]
WITHDRAWN = [*range(10, 20), *range(ROWS - 20, ROWS - 10)]
NEW = "v2"  # what the newer versions are called


def batch(number: int) -> pa.RecordBatch:
    """The rows of a batch: the first half of 2020, the second of 2090."""
    ids = range(number * ROWS, (number + 1) * ROWS)
    times = [datetime(2020 if n % ROWS < ROWS // 2 else 2090, 1, 1) + timedelta(seconds=n % 86400) for n in ids]
    return pa.RecordBatch.from_pydict(
        {
            "number": pa.array(ids, pa.int64()),
            "obs_time": pa.array(times, pa.timestamp("us")),
            "event_id": pa.array([f"e{n}" for n in ids]),
        }
    )


def correct(database: Database, table: Table, number: int, folder: Path) -> None:
    """Supersede some events of a batch, public or not, and withdraw others."""
    newer = batch(number).take(pa.array(SUPERSEDED))
    file = folder / f"{number}.csv"
    csv.write_csv(newer.set_column(2, "event_id", pa.array([NEW] * len(newer))), file)
    with database.connect(INGEST) as loader:
        loads.load(loader, table, [file], superseding=loads.Superseding("test", "test", public=True))
    print("superseded", number, flush=True)  # noqa: T201
    ids = tuple(str(number * ROWS + place) for place in WITHDRAWN)
    with database.connect(OWNER) as owner:
        corrections.withdraw(owner, table, corrections.ByIds(ids), public=True, reason="test", who="test")
    print("withdrawn", number, flush=True)  # noqa: T201


def main(admin: str, passwords: str, first: int) -> None:
    """Load batches from ``first`` on, until killed."""
    database = Database(admin, json.loads(passwords))
    table = read_catalog(SCHEMAS).table("lab.alerts")
    schedule = Schedule()
    schedule.every(0.02, "promotion", Promoter(database, [table]).look)
    schedule.start()
    number, folder = first, Path(tempfile.mkdtemp(prefix="km3vo-killed-"))
    while True:
        try:
            with database.connect(INGEST) as loader:
                while True:
                    loads.load_batches(loader, table, [batch(number)], name=str(number), rows=ROWS)
                    print("loaded", number, flush=True)  # noqa: T201
                    correct(database, table, number, folder)
                    number += 1
        except Km3voError as error:
            print("refused", number, error, flush=True)  # noqa: T201
            number += 1


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
