"""The released lists of ANTARES and IceCube, loaded as they are found."""

from __future__ import annotations

import contextlib
import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from km3vo.catalog.model import Catalog
from km3vo.database.logins import INGEST, Database
from km3vo.errors import LoadError
from km3vo.loading import loads
from km3vo.loading.columns import match
from km3vo.loading.files import find_sources, open_file
from km3vo.readers.opened import Options

Ask = Callable[[str], list[tuple[object, ...]]]


@pytest.fixture(scope="module")
def ask(database: Database, catalog: Catalog, data_dir: Path) -> Ask:
    """A function that asks the database after both lists of ANTARES were loaded into it."""
    for name in ("ant20_01.main", "antares.data"):
        table = catalog.table(name)
        with database.connect(INGEST) as connection:
            loads.load(connection, table, find_sources(table, data_dir))

    def ask(query: str) -> list[tuple[object, ...]]:
        with database.connect() as admin:
            return admin.execute(query).fetchall()

    return ask


def test_all_events_are_there(ask: Ask) -> None:
    assert ask("SELECT count(*), count(DISTINCT id) FROM ant20_01.main") == [(8754, 8754)]
    assert ask("SELECT count(*), count(DISTINCT id) FROM antares.data") == [(5921, 5921)]


def test_right_ascensions_of_360_are_0(ask: Ask) -> None:
    assert ask("SELECT id, decl FROM ant20_01.main WHERE ra = 0 ORDER BY id") == [
        ("ANT1870", -42.5),
        ("ANT2373", -47.0),
        ("ANT5781", 35.5),
        ("ANT6260", -20.2),
    ]
    assert ask("SELECT count(*) FROM antares.data WHERE ra = 0") == [(2,)]


def test_identifiers_count_the_lines_of_the_release(ask: Ask) -> None:
    """The file is not in order of time, so that sorting it first would give other identifiers."""
    assert ask("SELECT id, ra, decl, nhit, beta, mjd FROM ant20_01.main WHERE id IN ('ANT0001', 'ANT0004')") == [
        ("ANT0001", 68.2, 19.5, 21, 1.0, 54138.3105),
        ("ANT0004", 271.8, -8.6, 41, 0.3, 54140.6394),
    ]
    assert ask("SELECT ra, decl, n_hits, beta, epoch_mjd FROM antares.data WHERE id = 'ANT0712-0001'") == [
        (38.3, -36.7, 43, 0.3, 54138.0746)
    ]


def test_the_two_lists_of_antares_share_what_the_collaboration_says(ask: Ask) -> None:
    assert ask(
        "SELECT count(*) FROM antares.data AS a JOIN ant20_01.main AS b "
        "ON (a.ra, a.decl, a.n_hits, a.beta, a.epoch_mjd) = (b.ra, b.decl, b.nhit, b.beta, b.mjd)"
    ) == [(5435,)]


def test_loading_them_again_changes_nothing(ask: Ask, database: Database, catalog: Catalog, data_dir: Path) -> None:
    table = catalog.table("antares.data")
    with database.connect(INGEST) as connection:
        assert loads.load(connection, table, find_sources(table, data_dir)).rows == 0


def test_the_same_events_in_another_file_are_refused(
    ask: Ask, database: Database, catalog: Catalog, data_dir: Path
) -> None:
    """The collaboration's own text file and our copy of it as CSV give the same identifiers."""
    copy = data_dir / "antares_2007_2017" / "antares_2007_2017.csv"
    with database.connect(INGEST) as connection, pytest.raises(LoadError) as caught:
        loads.load(connection, catalog.table("ant20_01.main"), [copy])
    assert 'antares_2007_2017.csv line 2: column id: "ANT0001" is in ant20_01.main already' in str(caught.value)


@pytest.mark.slow
def test_all_events_of_icecube_are_there(ask: Ask, database: Database, catalog: Catalog, data_dir: Path) -> None:
    table = catalog.table("icecube.ps3yr")
    with database.connect(INGEST) as connection:
        assert loads.load(connection, table, find_sources(table, data_dir)).rows == 334677
    assert ask("SELECT season, count(*), count(DISTINCT id) FROM icecube.ps3yr GROUP BY season ORDER BY season") == [
        ("IC79-2010", 93133, 93133),
        ("IC86-2011", 136244, 136244),
        ("IC86-2012", 105300, 105300),
    ]
    assert ask("SELECT max(ra) < 360 FROM icecube.ps3yr") == [(True,)]
    assert ask(
        "SELECT mjd, log10_energy, ang_err, ra, dec, azimuth, zenith FROM icecube.ps3yr WHERE id = 'IC86-2012-000001'"
    ) == [(56043.42668248, 4.9467, 0.1982, 265.9496, -56.9132, 192.2055, 33.0810)]


def test_the_tables_as_icecube_releases_them_are_read_too(catalog: Catalog, data_dir: Path, tmp_path: Path) -> None:
    """White-space tables with a line of names above; here one of them, made again from our copy."""
    copy = data_dir / "icecube_3yr_2010_2012" / "IC86-2012-events.csv.gz"
    lines = gzip.decompress(copy.read_bytes()).decode().splitlines()[1:]
    table = tmp_path / "IC86-2012-events.txt"
    table.write_text("\n".join(["# MJD  log10(E/GeV)  ...", *(line.replace(",", "   ") for line in lines), ""]))
    assert read(catalog, table) == read(catalog, copy)


def read(catalog: Catalog, file: Path) -> pa.Table:
    """The rows of a released file, as they would be loaded."""
    table = catalog.table("icecube.ps3yr")
    source = next(source for source in table.sources if source.file == file.name)

    def note(line: int, text: str) -> None:
        raise AssertionError(text)

    with contextlib.closing(open_file(file, source, note, Options())) as opened:
        fitting = match(table, opened, source, note)
        batches = [fitting.fit(block) for block in fitting.opened.blocks]
    return pa.Table.from_batches(batches).combine_chunks()


def test_files_are_found_wherever_they_lie_and_only_if_all_are_there(catalog: Catalog, tmp_path: Path) -> None:
    deep = tmp_path / "some" / "where"
    deep.mkdir(parents=True)
    (deep / "antares_2007_2017.csv").touch()
    assert find_sources(catalog.table("ant20_01.main"), tmp_path) == [deep / "antares_2007_2017.csv"]
    (tmp_path / "PublicData_0717.dat").touch()
    assert find_sources(catalog.table("ant20_01.main"), tmp_path) == [tmp_path / "PublicData_0717.dat"]
    (deep / "IC79-2010-events.csv.gz").touch()
    assert find_sources(catalog.table("icecube.ps3yr"), tmp_path) == []
    assert find_sources(catalog.table("km3net.events"), tmp_path) == []
    shutil.rmtree(deep)
    assert find_sources(catalog.table("antares.data"), tmp_path) == []
