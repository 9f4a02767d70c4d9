"""Files that do not name their columns as we do, and that come by patterns, addresses and the standard input."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from astropy.table import Table as AstropyTable
from astropy.time import Time
from click.testing import CliRunner, Result

from km3vo.catalog.model import Table
from km3vo.cluster.embedded import Cluster
from km3vo.commands import opening
from km3vo.commands.main import main
from km3vo.database.logins import INGEST, Database
from km3vo.errors import LoadError, SetupError
from km3vo.loading import loads
from km3vo.loading.arrivals import gathered
from km3vo.loading.mapping import Mapping, pairs
from tests.loading.lab import HEADER, ROW, SCHEMA, Write, refused, stored
from tests.support.changes import unguarded

pytestmark = pytest.mark.slow

Run = Callable[..., Result]


@pytest.fixture
def run(lab: Database, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A function that calls km3vo in a home whose database is `lab`."""
    home, schemas = tmp_path / "home", tmp_path / "schemas"
    home.mkdir()
    schemas.mkdir()
    (schemas / "lab.yaml").write_text(SCHEMA)
    shutil.copy(cluster.folder / "passwords.json", home)
    for name, value in (("HOME", home), ("SCHEMAS", schemas), ("DATABASE_URL", lab.admin)):
        monkeypatch.setenv(f"KM3VO_{name}", str(value))
    return lambda *words, **more: CliRunner().invoke(main, words, **more)


def mapped(lab: Database, table: Table, file: Path, **what: Any) -> loads.Loaded:
    with lab.connect(INGEST) as loader:
        return loads.load(loader, table, [file], mapping=Mapping(**what))


def test_columns_and_units_are_told_on_the_command_line(run: Run, hits: Table, lab: Database, write: Write) -> None:
    write("Name,R.A.,decl,mjd,E,junk\nA1,1,10,58000,2.5,x\n", "one.csv")
    write("Name,R.A.,decl,mjd,E,junk\nA2,2,20,58000,,x\n", "two.csv")
    folder = write("", "empty").parent
    done = run(
        *("load", "lab.hits", f"{folder}/*.csv", "--map", "name=id", "--map", "R.A.=ra", "--map", "decl=dec"),
        *("--unit", "R.A.=hourangle", "--map", "E=energy", "--unit", "E=TeV", "--set", "kind=track", "--ignore", "*"),
    )
    assert done.exit_code == 0, done.output
    assert "lab.hits has no embargo: 2 rows are public at once" in done.output
    assert "one.csv: 1 rows" in done.output and "column energy: TeV was turned into GeV (times 1000)" in done.output
    assert stored(lab, "id, ra, energy, kind") == [("A1", 15.0, 2500.0, "track"), ("A2", 30.0, None, "track")]


def test_a_mapping_that_does_not_fit(lab: Database, hits: Table, write: Write) -> None:
    file = write("Name,ra,dec,mjd,kind,id\nA1,1,10,58000,track,7\n")
    what: dict[str, Any]
    for what, words in (
        ({"columns": (("Name", "identifier"),)}, "lab.hits has no column identifier"),
        ({"values": (("enrgy", "1"),)}, "do you mean energy?"),
        ({"columns": (("Name", "id"), ("ra", "id"))}, "made twice"),
        ({"units": (("ra", "deg"), ("ra", "rad"))}, "two units"),
    ):
        with pytest.raises(SetupError, match=words):
            mapped(lab, hits, file, **what)
    for what, words in (
        ({"columns": (("Nome", "id"),)}, r'there is no column "Nome" in it \(did you mean name\?\)'),
        ({"units": (("energy", "TeV"),)}, 'there is no column "energy" in it'),
        ({"columns": (("Name", "id"),)}, 'column "id" has no use, since id is made from Name'),
        ({"values": (("energy", "much"),), "ignored": ("Name",)}, 'column energy: "much" is not a number'),
    ):
        with pytest.raises(LoadError, match=words):
            mapped(lab, hits, file, **what)
    for wrong in ("x", "=x", "x="):
        with pytest.raises(SetupError, match="--map NAME=NAME"):
            pairs("--map", [wrong])
    assert pairs("--map", ["a=b=c"]) == (("a=b", "c"),)
    assert pairs("--set", ["a=b=c", "remark="], first=True) == (("a", "b=c"), ("remark", ""))
    assert stored(lab) == []


def test_a_unit_that_contradicts_the_file(lab: Database, hits: Table, write: Write) -> None:
    file = write(
        "# %ECSV 1.0\n# ---\n# datatype:\n"
        "# - {name: id, datatype: string}\n# - {name: ra, datatype: float64, unit: deg}\n"
        "# - {name: dec, datatype: float64}\n# - {name: mjd, datatype: float64}\n# - {name: kind, datatype: string}\n"
        "id ra dec mjd kind\nA1 1 1 58000 track\n",
        "x.ecsv",
    )
    with pytest.raises(LoadError, match='column ra: the file says that its unit is "deg", and not rad'):
        mapped(lab, hits, file, units=(("ra", "rad"),))
    assert mapped(lab, hits, file, units=(("ra", "degree"), ("dec", "rad"))).rows == 1
    assert stored(lab, "ra, round(dec::numeric, 2)::float") == [(1.0, 57.3)]


def test_the_same_file_read_otherwise_is_another(lab: Database, hits: Table, write: Write) -> None:
    file = write(HEADER + ROW)
    assert mapped(lab, hits, file).rows == 1
    assert mapped(lab, hits, file).files[0].before is not None
    with pytest.raises(LoadError, match="already; to replace it"):
        mapped(lab, hits, file, values=(("energy", "5"),))


def test_from_the_standard_input(run: Run, hits: Table, lab: Database) -> None:
    done = run("load", "lab.hits", "-", input=(HEADER + ROW).replace(",", ";"))
    assert done.exit_code == 0, done.output
    assert "standard input: 1 rows" in done.output
    assert stored(lab) == [("A1",)]
    assert run("load", "lab.hits", "-", input="").exit_code == 1
    assert "once only" in str(run("load", "lab.hits", "-", "-", input=HEADER + ROW).exception)


def test_from_an_address(hits: Table, lab: Database, write: Write, web: str) -> None:
    folder = write(HEADER + ROW, "a b.csv").parent
    with gathered([f"{web}/{folder.name}/a%20b.csv", f"{folder}/*.csv", f"{folder}/a b.csv"]) as files:
        assert [file.name for file in files] == ["a b.csv", "a b.csv"]
        with lab.connect(INGEST) as loader:
            assert loads.load(loader, hits, files[:1]).rows == 1
    assert not files[0].exists()
    for name, words in (
        (f"{web}/none.csv", "says 404"),
        ("http://127.0.0.1:9/x.csv", "does not answer"),
        ("http://[x/x.csv", "cannot be had"),
        (f"{folder}/*.fits", "There is no file"),
        (str(folder), "is a folder: name the files in it"),
    ):
        with pytest.raises(LoadError, match=words), gathered([name]):
            pass


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A web server on loopback that gives the tests' files."""
    root = tmp_path_factory.getbasetemp()

    class Files(SimpleHTTPRequestHandler):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given, directory=str(root))

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_wrong_values_are_told_beside_wrong_types(lab: Database, hits: Table, write: Write) -> None:
    bad = "A2,x,0,58000,track\nA3,1,99,58000,track\nA1,2,0,58000,track\nA4,3,0,58000,muon\n"
    assert refused(lab, hits, write(HEADER + ROW + bad)) == [
        "Nothing was loaded, because of 4 mistakes:",
        '  events.csv line 3: column ra: "x" is not a number',
        "  events.csv line 4: column dec: 99 is not in [-90,90]",
        '  events.csv line 5: column id: "A1" is there already, in line 2',
        '  events.csv line 6: column kind: "muon" is not one of track, shower',
    ]


def test_a_file_without_rows_is_said_to_have_none(run: Run, hits: Table, write: Write) -> None:
    done = run("load", "lab.hits", str(write(HEADER)))
    assert done.exit_code == 0
    assert "events.csv: 0 rows" in done.output and "it has no rows" in done.output


def test_when_rows_become_public_is_told_and_asked(
    run: Run, hits: Table, lab: Database, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = write("id,ra,dec,mjd,seen\nA,1,2,58849,2020-01-01\nB,1,2,88069,2100-01-01\n", "late.csv")
    for check in ("--check", "--yes"):
        done = run("load", "lab.late", str(late), check)
        assert done.exit_code == 0, done.output
        assert "1 rows are due already: they become public after quality control" in done.output
        assert "1 rows become public 2102-01-01 after quality control" in done.output
    monkeypatch.setattr(opening, "can_be_asked", lambda: True)
    refused = run("load", "lab.hits", str(write(HEADER + ROW)), input="n\n")
    assert str(refused.exception) == "Nothing was loaded." and stored(lab) == []
    assert "1 rows are public at once" in refused.output and "Load them?" in refused.output
    assert run("load", "lab.hits", str(write(HEADER + ROW)), input="y\n").exit_code == 0
    assert "Load them?" not in run("load", "lab.hits", str(write(HEADER + ROW.replace("A1", "A2"))), "--yes").output
    assert len(stored(lab)) == 2


def test_a_time_is_made_of_the_other_one(lab: Database, tables: dict[str, Table], write: Write, tmp_path: Path) -> None:
    """Files have one time, where the table has it as MJD and as the time that the embargo counts from."""
    late = tables["late"]
    with lab.connect() as admin:
        unguarded(admin)
        admin.execute("TRUNCATE lab.late, km3vo.load")
    days = write("id,ra,dec,mjd\nA,1,2,58849.25\n")
    with pytest.raises(LoadError, match="column seen is missing: --map mjd=seen makes it of mjd"):
        mapped(lab, late, days)
    mapped(lab, late, days, columns=(("mjd", "seen"),))
    dates = write("id,ra,dec,seen\nB,1,2,2020-01-01T06:00:00\n")
    mapped(lab, late, dates, columns=(("seen", "mjd"),))
    AstropyTable({"id": ["C"], "ra": [1.0], "dec": [2.0], "t": [58849.25]}).write(tmp_path / "c.fits")
    mapped(lab, late, tmp_path / "c.fits", columns=(("t", "seen"), ("t", "mjd")))
    AstropyTable({"id": ["D"], "ra": [1.0], "dec": [2.0], "t": Time([58849.25], format="mjd", scale="utc")}).write(
        tmp_path / "d.parquet"
    )
    mapped(lab, late, tmp_path / "d.parquet", columns=(("t", "seen"), ("t", "mjd")))
    assert stored(lab, "id, mjd, seen::text", "lab.late") == [
        (name, 58849.25, "2020-01-01 06:00:00") for name in "ABCD"
    ]
    with pytest.raises(LoadError, match='"noon" is not a number'):
        mapped(lab, late, write("id,ra,dec,seen\nE,1,2,noon\n"), columns=(("seen", "mjd"),))
