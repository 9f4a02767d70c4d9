"""A process to be killed: it loads batches of alerts, as `km3vo load` does, and promotes them, as the service does.

Says "loaded N" when batch N is committed. Half of each batch is due, half is not.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta

import pyarrow as pa

from km3vo.catalog.files import read_catalog
from km3vo.database.logins import INGEST, Database
from km3vo.embargo.promoter import Promoter
from km3vo.errors import Km3voError
from km3vo.loading import loads
from km3vo.schedule import Schedule
from tests.embargo.lab import SCHEMAS

ROWS = 200


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


def main(admin: str, passwords: str, first: int) -> None:
    """Load batches from ``first`` on, until killed."""
    database = Database(admin, json.loads(passwords))
    table = read_catalog(SCHEMAS).table("lab.alerts")
    schedule = Schedule()
    schedule.every(0.02, "promotion", Promoter(database, [table]).look)
    schedule.start()
    number = first
    while True:
        try:
            with database.connect(INGEST) as loader:
                while True:
                    loads.load_batches(loader, table, [batch(number)], name=str(number), rows=ROWS)
                    print("loaded", number, flush=True)  # noqa: T201
                    number += 1
        except Km3voError as error:
            print("refused", number, error, flush=True)  # noqa: T201
            number += 1


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
