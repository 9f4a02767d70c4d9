"""Processes to be killed: one accepts alerts one after the other, one sends them by the channels of a file.

The first says "accepted N" when message N is committed, and waits while a file is there; every third message is an
update of the one before. The second says "sends 0" when it begins to.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from km3vo.alerts.intake import Sender, accept
from km3vo.alerts.sending import channels
from km3vo.alerts.sending.dispatcher import Dispatcher
from km3vo.alerts.sending.outbox import Outgoing
from km3vo.alerts.tables import AlertTables
from km3vo.catalog.files import read_catalog
from km3vo.database.logins import SERVICE, Database
from km3vo.errors import Km3voError
from km3vo.schedule import Schedule
from km3vo.settings import Alerts, Settings
from tests.support import samples
from tests.support.folders import ROOT

REVISIONS = 3


def message(number: int) -> dict[str, Any]:
    """The standard event with this number: an alert has so many revisions, one after the other."""
    alert, revision = divmod(number, REVISIONS)
    # Names are given by the day, and a day has 702.
    moment = f"{datetime(2020, 1, 1) + timedelta(days=alert // 500):%Y-%m-%d}T01:16:47.703Z"
    made = samples.km3_230213a() | {"alert_id": f"a-{alert}", "ra": 94.0 + revision / 10, "time": moment}
    made["events"] = [made["events"][0] | {"time": moment}]
    del made["event_name"]
    return made if revision == 0 else made | {"type": "update"}


def outgoing(file: Path) -> Outgoing:
    """What is sent of each alert, by the channels of a file."""
    settings = Settings(url="https://vo.example.org")
    settings.__dict__["alerts"] = Alerts(channels=file)
    return Outgoing(settings, channels.read(settings), AlertTables(read_catalog(ROOT / "schemas")))


def dispatch(database: Database, what: Outgoing) -> Schedule:
    """Dispatchers for all channels, as the service has them."""
    schedule = Schedule()
    for channel in what.channels:
        sending = Dispatcher(database, channel, timedelta(days=7), lambda: schedule.stopping)
        schedule.every(0.2, channel.name, sending.run)
    schedule.start()
    return schedule


def take(database: Database, what: Outgoing, pause: Path, first: int) -> None:
    """Accept messages from ``first`` on, until killed."""
    number = first
    while True:
        try:
            with database.connect(SERVICE, autocommit=True) as connection:
                while True:
                    accept(connection, json.dumps(message(number)).encode(), Sender("me"), outgoing=what)
                    print("accepted", number, flush=True)  # noqa: T201
                    number += 1
                    while pause.exists():
                        time.sleep(0.02)
        except Km3voError:
            time.sleep(0.1)  # as a pipeline does: the same message again


def main(admin: str, passwords: str, file: str, *first: str) -> None:
    """Accept messages from ``first`` on; or send, when none is named."""
    database, what = Database(admin, json.loads(passwords)), outgoing(Path(file))
    if first:
        take(database, what, Path(file).with_suffix(".pause"), int(first[0]))
    dispatch(database, what)
    print("sends", 0, flush=True)  # noqa: T201
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
