"""Other ways in than a request: a folder; and how much of one sender comes in."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import psycopg
import pytest

from km3vo.alerts import records
from km3vo.alerts.folder import Folder
from km3vo.alerts.sending.outbox import Outgoing
from km3vo.database.logins import SERVICE, Database
from km3vo.errors import Km3voError, TooManyError
from km3vo.protocols.alerts.rate import Rate
from km3vo.settings import Settings
from tests.support import samples


def test_a_folder(copy_published: Database, tmp_path: Path) -> None:
    folder = Folder(tmp_path, copy_published, Outgoing(Settings()))
    first = samples.km3_230213a()
    (tmp_path / "1.json").write_text(json.dumps(first))
    (tmp_path / "2.json").write_text(json.dumps(first | {"type": "update", "ra": 95.0}))
    (tmp_path / "3.json").write_text(json.dumps(first | {"alert_id": "x", "ra": 361}))
    (tmp_path / "4.json").write_text(json.dumps(first | {"alert_id": "y", "type": "update"}))
    (tmp_path / "5.json").write_bytes(b" " * (2**20 + 1))
    (tmp_path / "6.json.part").write_text("is still written")
    folder.look()

    def names(where: str) -> list[str]:
        return sorted(file.name for file in (tmp_path / where).iterdir() if file.is_file())

    assert names("done") == ["1.json", "2.json"]
    assert names("refused") == ["3.json", "3.json.txt", "5.json", "5.json.txt"]
    assert "ra = 361" in (tmp_path / "refused" / "3.json.txt").read_text()
    assert names(".") == ["4.json", "6.json.part"], "what comes early waits"
    with copy_published.connect(SERVICE, autocommit=True) as service:
        assert [one.revision for one in records.newest(service, 9)] == [2, 1]
    long_ago = time.time() - 100
    os.utime(tmp_path / "4.json", (long_ago, long_ago))
    (tmp_path / "done" / "1.json").rename(tmp_path / "1.json")  # as after a crash before the move
    folder.look()
    assert names(".") == ["6.json.part"] and "4.json" in names("refused")
    with copy_published.connect(SERVICE, autocommit=True) as service:
        assert len(records.newest(service, 9)) == 2


def test_a_folder_keeps_its_files_while_the_database_is_away(copy_published: Database, tmp_path: Path) -> None:
    away = Database(psycopg.conninfo.make_conninfo(copy_published.admin, port="1"), copy_published.passwords)
    (tmp_path / "1.json").write_text(json.dumps(samples.km3_230213a()))
    with pytest.raises(Km3voError):
        Folder(tmp_path, away, Outgoing(Settings())).look()
    assert [file.name for file in tmp_path.iterdir()] == ["1.json"]


def test_a_flood_of_one_does_not_delay_another() -> None:
    clock = [0.0]
    rate = Rate(lambda: clock[0])
    for _ in range(20):
        rate.take("one")
    with pytest.raises(TooManyError) as caught:
        rate.take("one")
    assert caught.value.retry_after == 1
    rate.take("another")
    clock[0] = 3.0
    for _ in range(3):
        rate.take("one")
    with pytest.raises(TooManyError):
        rate.take("one")
