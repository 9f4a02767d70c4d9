"""Whole lists: made once, the same rows in every format, never an embargoed one."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from km3vo.catalog.files import read_catalog
from km3vo.catalog.model import Table as Published
from km3vo.database.logins import INGEST, OWNER, SERVICE, Database
from km3vo.embargo import corrections
from km3vo.holdings import coverage
from km3vo.jobs.quota import ResultsQuota
from tests.support import changes
from tests.support.folders import ROOT
from tests.support.registry import tell
from tests.support.server import Server, serve

pytestmark = pytest.mark.slow

READERS = {"fits": "fits", "vot": "votable", "csv": "ascii.csv", "ecsv": "ascii.ecsv"}


@pytest.fixture
def running(copy_published: Database, tmp_path: Path) -> Iterator[tuple[Server, Database]]:
    """A service of a database that the test may change."""
    with serve(copy_published, tmp_path, metadata_seconds=0, promote_seconds=0) as server:
        tell(server, copy_published)
        yield server, copy_published


def events(database: Database, where: str = "true") -> set[str]:
    with database.connect(OWNER) as owner:
        return {name for (name,) in owner.execute(f"SELECT event_id FROM km3net.events WHERE {where}")}


def test_all_formats_hold_the_public_rows_and_no_others(registered: Server, published: Database) -> None:
    public = events(published, "_access = 'p'")
    assert 100 < len(public) < len(events(published))
    url = f"{registered.url}/download/km3net/events"
    parquet = pq.read_table(io.BytesIO(httpx.get(f"{url}.parquet").content))
    assert set(parquet["event_id"].to_pylist()) == public
    names = [column.name for column in registered.app.state.service.published.table("km3net.events").columns]
    assert parquet.column_names == names
    for extension, form in READERS.items():
        content = httpx.get(f"{url}.{extension}").content
        table = Table.read(io.BytesIO(content), format=form)
        assert table.colnames == names
        assert sorted(str(name).strip() for name in table["event_id"]) == sorted(public), extension
        assert sorted(table["energy"]) == pytest.approx(sorted(parquet["energy"].to_pylist()))


def test_a_file_is_made_once_and_has_its_checksum(registered: Server) -> None:
    url = f"{registered.url}/download/ant20_01/main.csv"
    first, second = httpx.get(url), httpx.get(url)
    assert first.content == second.content
    digest = hashlib.sha256(first.content).hexdigest()
    assert first.headers["etag"] == f'"{digest}"'
    assert first.headers["last-modified"] == second.headers["last-modified"]
    assert httpx.get(f"{url}.sha256").text == f"{digest}  ant20_01.main-1.csv\n"
    assert 'filename="ant20_01.main-1.csv"' in first.headers["content-disposition"]
    assert httpx.get(url, headers={"If-None-Match": f'"{digest}"'}).status_code == 304
    assert httpx.head(url).headers["content-length"] == str(len(first.content))
    numbered = httpx.get(f"{registered.url}{first.headers['content-location']}")
    assert numbered.content == first.content
    assert "immutable" in numbered.headers["cache-control"]
    assert "immutable" not in first.headers["cache-control"]
    (entry,) = [
        entry
        for entry in httpx.get(f"{registered.url}/download/ant20_01/main.json").json()["files"]
        if entry["url"].endswith("/1.csv")
    ]
    assert (entry["sha256"], entry["bytes"]) == (digest, len(first.content))


def test_a_download_goes_on_where_it_broke_off(registered: Server) -> None:
    url = f"{registered.url}/download/icecube/ps3yr.vot"
    whole = httpx.get(url)
    assert whole.headers["accept-ranges"] == "bytes"
    assert "content-encoding" not in whole.headers  # a part of a compressed file would be of no use
    middle = len(whole.content) // 2
    part = httpx.get(url, headers={"Range": f"bytes={middle}-", "If-Range": whole.headers["etag"]})
    assert (part.status_code, part.content) == (206, whole.content[middle:])
    changed = httpx.get(url, headers={"Range": f"bytes={middle}-", "If-Range": '"another"'})
    assert (changed.status_code, changed.content) == (200, whole.content)
    assert httpx.get(url, headers={"Range": f"bytes={len(whole.content)}-"}).status_code == 416


def test_many_at_once_get_one_file(running: tuple[Server, Database]) -> None:
    server, _ = running
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: httpx.get(f"{server.url}/download/icecube/ps3yr.ecsv"), range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.headers["etag"] for answer in answers}) == 1
    assert len({answer.headers["last-modified"] for answer in answers}) == 1


def test_a_release_makes_a_new_edition_and_the_old_one_is_kept(running: tuple[Server, Database]) -> None:
    server, database = running
    url = f"{server.url}/download/km3net/events"
    old = httpx.get(f"{url}.csv")
    with database.connect(OWNER, autocommit=True) as owner:
        row = owner.execute("SELECT event_id FROM km3net.events WHERE _access = 'e' ORDER BY 1 LIMIT 1").fetchone()
        assert row is not None
        assert row[0] not in old.text
        from km3vo.embargo import decisions

        table = server.app.state.service.published.table("km3net.events")
        decisions.release_early(owner, table, row[0], at=None, reason="test", who="test")
    assert httpx.get(f"{url}.csv").content == old.content  # decided, but not released yet
    from km3vo.database.logins import SERVICE
    from km3vo.embargo import release

    with database.connect(SERVICE, autocommit=True) as service:
        release.run(service, [table])
    new = httpx.get(f"{url}.csv")
    assert row[0] in new.text
    assert len(new.text.splitlines()) == len(old.text.splitlines()) + 1
    assert httpx.get(f"{url}/1.csv").content == old.content
    assert httpx.get(f"{url}/2.csv").content == new.content
    assert httpx.get(f"{url}/1.fits").status_code == 200  # from the Parquet file that was kept
    assert httpx.get(f"{url}/3.csv").status_code == 404


def test_what_can_be_made_again_makes_room_and_rows_are_kept(running: tuple[Server, Database]) -> None:
    """One GET a minute while releases go on filled the disk with 140 GB a day."""
    server, database = running
    url = f"{server.url}/download/antares/data"
    first = httpx.get(f"{url}.csv").content
    drop_one(database)
    httpx.get(f"{url}.csv")
    downloads, folder = server.app.state.service.downloads, server.settings.downloads / "antares.data"
    used = sum(file.stat().st_size for file in server.settings.downloads.rglob("*"))
    downloads._quota = ResultsQuota(server.settings.downloads, used + 1000)
    assert httpx.get(f"{server.url}/download/ant20_01/main.fits").status_code == 200
    assert [file.name for file in sorted(folder.glob("antares*"))] == [
        "antares.data-1.parquet", "antares.data-2.csv", "antares.data-2.parquet"
    ]  # fmt: skip
    downloads._quota = ResultsQuota(server.settings.downloads, 2 * used)
    assert httpx.get(f"{url}/1.csv").content == first
    downloads._quota = ResultsQuota(server.settings.downloads, 1)
    drop_one(database)
    full = httpx.get(f"{url}.csv")
    assert (full.status_code, full.headers["retry-after"]) == (503, "60")
    assert httpx.get(f"{url}/2.csv").status_code == 200
    assert httpx.get(f"{url}/3.csv").status_code == 404, "no edition without its rows"
    downloads._quota = ResultsQuota(server.settings.downloads, 2 * used)
    assert len(httpx.get(f"{url}.csv").text.splitlines()) == len(first.splitlines()) - 2
    assert httpx.get(f"{url}/3.csv").status_code == 200


def drop_one(database: Database) -> None:
    """Take a row of antares.data away, as a correction does."""
    with database.connect(OWNER) as owner:
        ids = owner.execute("SELECT min(id) FROM antares.data").fetchone()
        owner.rollback()
        table = read_catalog(ROOT / "schemas").table("antares.data")
        corrections.withdraw(owner, table, corrections.ByIds(ids or ()), public=True, reason="test", who="test")


def test_loading_embargoed_events_changes_and_delays_nothing(
    running: tuple[Server, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Editions follow from what was released: after a load, and during one, files are made as before it."""
    server, database = running
    url = f"{server.url}/download/km3net/events"
    old = httpx.get(f"{url}.csv")
    measured: list[str] = []
    monkeypatch.setattr(coverage, "measure", lambda *_, **__: measured.append("again"))
    with database.connect(INGEST) as loader:
        for turn, extension in enumerate(("fits", "ecsv")):
            load_one(loader, server.app.state.service.published.table("km3net.events"), f"embargoed {turn}")
            new = httpx.get(f"{url}.{extension}")
            assert new.status_code == 200
            assert new.headers["content-location"].endswith(f"/1.{extension}")
            loader.commit()
            assert httpx.get(f"{url}.csv.sha256").text == httpx.get(f"{url}/1.csv.sha256").text
    assert httpx.get(f"{url}.vot").status_code == 200
    assert httpx.get(f"{url}.csv").headers["etag"] == old.headers["etag"]
    assert not measured


def load_one(loader: psycopg.Connection, table: Published, event: str) -> None:
    """Load an event that is far from being due, and say so in the log of loads."""
    values = {"event_id": "%(event)s", "obs_time": "timestamp '2090-01-01'"}
    columns = [column.sql for column in table.columns]
    loader.execute(
        f"INSERT INTO km3net.events ({', '.join(columns)}) "
        f"SELECT {', '.join(values.get(column, column) for column in columns)} FROM km3net.events LIMIT 1",
        {"event": event},
    )
    loader.execute(
        "INSERT INTO km3vo.load (number, published, sha256, file, rows) "
        "SELECT max(number) + 1, 'km3net.events', %s, 'x', 1 FROM km3vo.load",
        (event,),
    )


def test_while_releases_go_on_there_is_always_a_latest_list(running: tuple[Server, Database]) -> None:
    server, database = running
    table = server.app.state.service.published.table("km3net.events")
    url = f"{server.url}/download/km3net/events"
    ended = threading.Event()

    def release_one_by_one() -> None:
        with database.connect(OWNER, autocommit=True) as owner, database.connect(SERVICE, autocommit=True) as service:
            owner.execute("SELECT km3vo.set_quality('km3net.events', 'passed', NULL, 'test', 'test')")
            owner.execute("SELECT km3vo.set_latency('offline', '0', 'test', 'test')")
            while not ended.is_set():
                service.execute("SELECT km3vo.promote(%s, 1)", (table.qualified,))

    thread = threading.Thread(target=release_one_by_one)
    thread.start()
    try:
        answers = [httpx.get(f"{url}.{extension}", timeout=60) for extension in ("csv", "vot", "csv", "parquet", "csv")]
    finally:
        ended.set()
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * 5, [answer.text[:200] for answer in answers]
    # Each file holds the rows of its edition: no more, no fewer.
    with database.connect(OWNER) as owner:
        found = owner.execute("SELECT number, rows FROM km3vo.edition WHERE published = 'km3net.events'").fetchall()
    rows: dict[int, int] = dict(found)
    numbers = []
    for answer in answers:
        number, extension = answer.headers["content-location"].rpartition("/")[2].split(".")
        numbers.append(int(number))
        if extension == "csv":
            assert len(answer.text.splitlines()) - 1 == rows[int(number)]
    assert numbers == sorted(numbers)
    assert numbers[0] < numbers[-1], "nothing was released meanwhile"


def test_an_edition_can_be_had_for_ever_though_nobody_asked_for_it(running: tuple[Server, Database]) -> None:
    """Citations name it."""
    server, database = running
    url = f"{server.url}/download/antares/data"
    listed = httpx.get(f"{url}.json").json()
    ((first, kind),) = [(file["edition"], file["format"]) for file in listed["files"]]
    assert (first, kind) == (1, "Parquet")
    with database.connect(OWNER) as owner:
        ids = {id for (id,) in owner.execute("SELECT id FROM antares.data")}
    drop_one(database)
    tell(server, database)
    old = httpx.get(f"{url}/1.parquet")
    assert hashlib.sha256(old.content).hexdigest() == listed["files"][0]["sha256"]
    assert set(pq.read_table(io.BytesIO(old.content))["id"].to_pylist()) == ids
    assert httpx.get(f"{url}.csv?edition=1").content == httpx.get(f"{url}/1.csv").content
    assert len(httpx.get(f"{url}/2.csv").text.splitlines()) == len(ids)
    for wrong in ("3", "0", "x", "", "9999999999"):
        assert httpx.get(f"{url}.csv?edition={wrong}").status_code == 404, wrong
    (server.settings.downloads / "antares.data" / "antares.data-1.parquet").unlink()
    assert "were not kept" in httpx.get(f"{url}/1.fits").text
    assert httpx.get(f"{url}/1.csv").status_code == 200
    with database.connect(OWNER) as owner:
        changes.begin(owner, "antares.data")
        owner.execute("DELETE FROM antares.data")
    server.app.state.service.downloads.refresh(read_catalog(ROOT / "schemas").table("antares.data"), force=True)
    assert len(httpx.get(f"{url}.csv").text.splitlines()) == 1, "a list that was emptied"


def test_a_file_that_was_lost_is_made_again(running: tuple[Server, Database]) -> None:
    server, _ = running
    url = f"{server.url}/download/antares/data.csv"
    first = httpx.get(url)
    for file in (server.settings.downloads / "antares.data").glob("*.csv"):
        file.write_bytes(b"cut off")
    second = httpx.get(url)
    assert second.text.splitlines()[-1] == first.text.splitlines()[-1]
    assert not list((server.settings.downloads / "antares.data").glob(".*.csv.*"))


@pytest.mark.parametrize(
    "path",
    [
        "ant20_01/main.exe",
        "ant20_01/none.csv",
        "ant20_01/main/x.csv",
        "ant20_01/main/0.csv",
        "ant20_01/main/9999999999.csv",
        "ant20_01/..%2F..%2Fetc.csv",
    ],
)
def test_what_is_not_there_is_not_there(registered: Server, path: str) -> None:
    assert httpx.get(f"{registered.url}/download/{path}").status_code == 404


def test_the_files_say_where_they_come_from(registered: Server) -> None:
    text = httpx.get(f"{registered.url}/download/ant20_01/main.vot").text
    for words in ("ivo://km3net.org/ant20_01/main", "ANTARES Collaboration", "CC BY 4.0", 'name="edition"'):
        assert words in text
    assert "simulated" in httpx.get(f"{registered.url}/download/km3net/events.vot").text
