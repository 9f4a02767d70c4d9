"""`km3vo describe`: a file, its description, and what loading the file by it comes to."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Table as AstropyTable
from astropy.time import Time
from click.testing import CliRunner

from km3vo.catalog.files import read_schema
from km3vo.catalog.model import Table
from km3vo.cluster.embedded import Cluster
from km3vo.commands.main import main
from km3vo.database.logins import Database
from km3vo.errors import SetupError
from km3vo.loading.describing import describe
from km3vo.publishing.upgrade import upgrade
from km3vo.readers.opened import Options
from tests.support.databases import database_of, drop

CSV = """\
Event ID,RA,Dec,E [TeV],MJD,size,n_hits,note
A1,1.5,2,3.5,58000.5,7,3,x
A2,2,-3,,58001.25,8,4,\u00e9
"""


def described(text: str, folder: Path) -> Table:
    """The table of a description."""
    (folder / "lab.yaml").write_text(text)
    (table,) = read_schema(folder / "lab.yaml").tables
    return table


def test_what_a_text_tells(tmp_path: Path) -> None:
    (tmp_path / "my.csv").write_text(CSV)
    text = describe(tmp_path / "my.csv", "lab.events", Options())
    table = described(text, tmp_path)
    found = {column.name: column for column in table.columns}
    assert list(found) == ["event_id", "ra", "dec", "e", "mjd", "obs_time", "size_of", "n_hits", "note"]
    assert table.id == "event_id" and table.time == "mjd" and table.position is not None
    assert (found["e"].unit, found["e"].ucd, found["dec"].unit) == ("TeV", "phys.energy", "deg")
    assert (found["n_hits"].datatype, found["n_hits"].ucd) == ("long", "meta.number")
    assert found["note"].datatype == "unicodeChar"
    assert table.release.embargoed and table.release.latency == "never"
    assert "# guess: unit, ucd" in text


def test_what_a_table_tells_is_kept(tmp_path: Path) -> None:
    table = AstropyTable(
        {
            "name": ["a", "b"],
            "ra": [1.0, 2.0] * u.rad,
            "dec": [0.1, 0.2] * u.rad,
            "seen": Time([58000.0, 58001.0], format="mjd"),
            "E": np.array([1, 2], np.float32) * u.Unit("erg"),
            "path": [[1.0, 2.0], [3.0, 4.0]],
        }
    )
    table["E"].description = "Energy"
    table.write(tmp_path / "x.ecsv")
    found = described(describe(tmp_path / "x.ecsv", "lab.x", Options()), tmp_path)
    assert (found.time, found.release.time, found.column("seen").unit) == ("seen", "obs_time", "d")
    assert (found.column("e").description, found.column("e").datatype) == ("Energy", "float")
    assert found.column("path").arraysize == "2"
    assert found.column("ra").unit == "deg", "which is what is published"


def test_texts_that_are_times_are_what_an_embargo_counts_from(tmp_path: Path) -> None:
    seen = ["2026-01-01T00:00:00.5", "2026-01-02T00:00:00"]
    AstropyTable({"event": ["a", "b"], "seen": seen, "note": [seen[0], "x"]}).write(tmp_path / "x.fits")
    text = describe(tmp_path / "x.fits", "lab.x", Options())
    found = described(text, tmp_path)
    assert (found.release.time, found.release.embargoed, found.column("note").xtype) == ("seen", True, None)
    assert "# guess: xtype" in text


def test_rows_without_times_would_be_public_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "my.csv").write_text("name,flux\nx,1\n")
    text = describe(tmp_path / "my.csv", "lab.sources", Options())
    assert "# ROWS ARE PUBLIC AT ONCE" in text
    assert not described(text, tmp_path).release.embargoed
    for name in ("lab", "Lab.x", "lab.select"):
        with pytest.raises(SetupError, match=r"write SCHEMA.TABLE"):
            describe(tmp_path / "my.csv", name, Options())


@pytest.fixture(scope="module")
def empty(cluster: Cluster, new_database: Callable[[], str]) -> Iterator[Database]:
    """A database without tables."""
    database = database_of(cluster, new_database())
    upgrade(database)
    yield database
    drop(database)


@pytest.mark.slow
def test_a_file_is_described_published_and_loaded(
    empty: Database, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the commands that the description itself names; nothing of it is public."""
    home, schemas, file = tmp_path / "home", tmp_path / "schemas", tmp_path / "my events.csv"
    home.mkdir()
    schemas.mkdir()
    shutil.copy(cluster.folder / "passwords.json", home)
    for name, value in (("HOME", home), ("SCHEMAS", schemas), ("DATABASE_URL", empty.admin)):
        monkeypatch.setenv(f"KM3VO_{name}", str(value))
    file.write_text(CSV)
    run = CliRunner().invoke
    text = run(main, ["describe", str(file), "--as", "lab.events"]).output
    (schemas / "lab.yaml").write_text(text)
    for line in text.splitlines()[2:4]:
        done = run(main, shlex.split(line.removeprefix("#   km3vo ")))
        assert done.exit_code == 0, done.output
    assert '"my events.csv": 2 rows' in run(main, ["history", "lab.events"]).output
    with empty.connect() as admin:
        found = admin.execute("SELECT event_id, ra, e, obs_time::text, size_of FROM lab.events ORDER BY 1").fetchall()
        assert found == [("A1", 1.5, 3.5, "2017-09-04 12:00:00", 7), ("A2", 2.0, None, "2017-09-05 06:00:00", 8)]
        assert admin.execute("SELECT count(*) FROM lab.events_public").fetchone() == (0,)
