"""Loading: all rows of all files or none, once, and written down."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import psycopg
import pyarrow as pa
import pytest

from km3vo.catalog.model import Table
from km3vo.database.logins import INGEST, OWNER, PUBLIC, Database
from km3vo.errors import ConflictError, LoadError
from km3vo.loading import history, loads
from tests.loading.lab import HEADER, ROW, Write, load, stored

pytestmark = pytest.mark.slow


def test_rows_arrive_as_they_are_written(lab: Database, hits: Table, write: Write) -> None:
    file = write(
        "REMARK,id,ra,dec,mjd,kind,err,energy,hits,path,good\n"
        '"a ""b"", \u00fc\u03bd",A1,0.1,-89.999,58000.123456789,track,0.25, 1e5 ,7,1 2.5,true\n'
        ",A2,359.9,90,58000,shower,,nan,,,\n"
    )
    loaded = load(lab, hits, file)
    assert (loaded.table, loaded.rows) == ("lab.hits", 2)
    assert stored(lab, "id, ra, dec, mjd, kind, err, energy, hits, remark, path, good") == [
        ("A1", 0.1, -89.999, 58000.123456789, "track", 0.25, 1e5, 7, 'a "b", \u00fc\u03bd', [1.0, 2.5], True),
        ("A2", 359.9, 90.0, 58000.0, "shower", None, None, None, None, None, None),
    ]


def test_what_is_hidden_from_users_is_filled_by_the_database(lab: Database, hits: Table, write: Write) -> None:
    load(lab, hits, write(HEADER + ROW))
    ((ra,),) = stored(lab, "degrees(long(_pos))")
    assert ra == pytest.approx(10.5)


def test_rows_lie_in_healpix_order(lab: Database, hits: Table, write: Write) -> None:
    rng = np.random.default_rng(1)
    lines = [f"A{n:04d},{rng.uniform(0, 360)},{rng.uniform(-90, 90)},58000,track\n" for n in range(2000)]
    load(lab, hits, write(HEADER + "".join(lines)))
    with lab.connect() as admin:
        pixels = [pixel for (pixel,) in admin.execute("SELECT healpix_nest(12, _pos) FROM lab.hits ORDER BY ctid")]
    assert pixels == sorted(pixels)


def test_loading_again_changes_nothing_and_says_when_it_was_loaded(lab: Database, hits: Table, write: Write) -> None:
    assert load(lab, hits, write(HEADER + ROW)).files[0].before is None
    again = load(lab, hits, write(HEADER + ROW, "copy.csv"), write(HEADER + ROW.replace("A1", "A2"), "new.csv"))
    assert again.rows == 1
    assert [(file.name, file.rows, file.before is None) for file in again.files] == [
        ("copy.csv", 1, False),
        ("new.csv", 1, True),
    ]
    assert stored(lab) == [("A1",), ("A2",)]


def test_the_same_file_given_twice_is_loaded_once(lab: Database, hits: Table, write: Write) -> None:
    assert load(lab, hits, write(HEADER + ROW, "a.csv"), write(HEADER + ROW, "b.csv")).rows == 1


def test_nothing_is_loaded_where_the_service_writes(lab: Database, hits: Table, write: Write) -> None:
    kept = replace(hits, kept_by_service=True)
    with lab.connect(INGEST) as loader, pytest.raises(LoadError, match="written by the service itself"):
        loads.load(loader, kept, [])


def test_new_events_are_under_embargo_whatever_their_age(
    lab: Database, hits: Table, tables: dict[str, Table], write: Write
) -> None:
    load(lab, tables["late"], write("id,ra,dec,mjd,seen\nA1,1,2,58000,2017-09-04\n"))
    with lab.connect(PUBLIC) as public:
        assert public.execute("SELECT count(*) FROM lab.late_public").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            public.execute("SELECT count(*) FROM lab.late")


def test_progress_is_told(lab: Database, hits: Table, write: Write) -> None:
    told: list[tuple[str, int, int]] = []
    file = write(HEADER + ROW)
    with lab.connect(INGEST) as connection:
        loads.load(connection, hits, [file], progress=lambda *step: told.append(step))
    size = file.stat().st_size
    assert told == [("reading events.csv", size, size), ("checking", 0, 0), ("inserting", 0, 0)]


def test_two_loads_of_the_same_events_cannot_both_succeed(
    lab: Database, hits: Table, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second waits for the first at the log of loads, and then gives way."""
    file = write(HEADER + ROW)
    inserting, go_on = threading.Event(), threading.Event()

    def wait(doing: str, done: int, size: int) -> None:
        if doing == "inserting":
            inserting.set()
            assert go_on.wait(20)

    outcome: list[object] = []

    def first() -> None:
        with lab.connect(INGEST) as connection:
            outcome.append(loads.load(connection, hits, [file], progress=wait))

    thread = threading.Thread(target=first)
    thread.start()
    assert inserting.wait(20)
    threading.Timer(0.3, go_on.set).start()
    with pytest.raises(ConflictError, match="Somebody else"):
        load(lab, hits, file)
    thread.join(20)
    assert len(outcome) == 1
    assert stored(lab) == [("A1",)]


def test_simulated_rows_are_marked_in_the_log(lab: Database, hits: Table) -> None:
    batch = pa.record_batch({"id": ["SIM1"], "ra": [1.0], "dec": [2.0], "mjd": [58000.0], "kind": ["track"]})
    with lab.connect(INGEST) as connection:
        assert history.is_empty(connection, hits)
        assert loads.load_batches(connection, hits, [batch], name="seed 1", rows=1).rows == 1
        assert history.is_simulated(connection, hits)
        assert not history.is_empty(connection, hits)
        connection.commit()
        again = loads.load_batches(connection, hits, [batch], name="seed 1", rows=1)
    assert again.rows == 0
    assert again.files[0].name == "simulated: seed 1"


def test_measured_and_simulated_rows_are_not_mixed(lab: Database, hits: Table, write: Write) -> None:
    batch = pa.record_batch({"id": ["SIM1"], "ra": [1.0], "dec": [2.0], "mjd": [58000.0], "kind": ["track"]})
    with lab.connect(INGEST) as connection:
        loads.load_batches(connection, hits, [batch], name="seed 1", rows=1)
        with pytest.raises(ConflictError, match=r"holds simulated rows, and events\.csv would be mixed with them"):
            loads.load(connection, hits, [write(HEADER + ROW)])
    assert stored(lab) == [("SIM1",)]


def test_real_rows_are_not_marked(lab: Database, hits: Table, write: Write) -> None:
    load(lab, hits, write(HEADER + ROW))
    with lab.connect(INGEST) as connection:
        assert not history.is_simulated(connection, hits)


def test_statistics_are_renewed_by_the_owner(lab: Database, hits: Table, write: Write) -> None:
    load(lab, hits, write(HEADER + ROW))
    with lab.connect(OWNER) as owner:
        loads.analyze(owner, hits)
    with lab.connect() as admin:
        assert admin.execute("SELECT reltuples FROM pg_class WHERE oid = 'lab.hits'::regclass").fetchone() == (1,)


def test_checking_loads_nothing(lab: Database, hits: Table, write: Write) -> None:
    file = write(HEADER + ROW)
    with lab.connect(INGEST) as loader:
        checked = loads.load(loader, hits, [file], check_only=True)
        assert [(one.rows, one.number) for one in checked.files] == [(1, None)]
        with pytest.raises(LoadError, match="kind"):
            loads.load(loader, hits, [write(HEADER + ROW.replace("track", "x"), "bad.csv")], check_only=True)
    assert stored(lab) == []
    assert load(lab, hits, file).rows == 1
