"""HDF5 and ROOT files, as an operator loads them: against what their own libraries wrote."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.time import Time

from km3vo.catalog.files import read_catalog
from km3vo.errors import LoadError, ReadError
from km3vo.loading import columns as matching
from km3vo.loading.files import open_file
from km3vo.readers.content import Content
from km3vo.readers.formats import open_table
from km3vo.readers.opened import FileColumn, Options
from tests.support.folders import ROOT

h5py = pytest.importorskip("h5py")
uproot = pytest.importorskip("uproot")

Read = tuple[dict[str, list[Any]], dict[str, FileColumn]]


def read(file: Path, table: str | None = None) -> Read:
    """All cells of a file by the names of its columns, and the columns."""
    notes: list[str] = []
    opened = open_file(file, None, lambda line, text: notes.append(f"{line}: {text}"), Options(table=table))
    cells: dict[str, list[Any]] = {column.name: [] for column in opened.columns}
    lines: list[int] = []
    for block in opened.blocks:
        lines += block.lines.to_pylist()
        for column, array in zip(opened.columns, block.columns, strict=True):
            cells[column.name] += array.to_pylist()
    assert lines == list(range(1, opened.size + 1)) and opened.done() == opened.size
    opened.close()
    assert not notes
    return cells, {column.name: column for column in opened.columns}


def refusal(file: Path, table: str | None = None) -> str:
    with pytest.raises(LoadError) as caught:
        read(file, table)
    return str(caught.value)


def hdf5(file: Path, datasets: Mapping[str, Any]) -> Path:
    with h5py.File(file, "w") as out:
        for name, cells in datasets.items():
            out[name] = cells
    return file


RECORDS = np.array(
    [(b"A1", 1, 2.5, True, (1, 2), 7), (b"A2", 2**40, np.nan, False, (3, 4), 8)],
    dtype=[("id", "S4"), ("n", ">i8"), ("x", "<f4"), ("good", "?"), ("pair", "<i2", 2), ("w", "c16")],
)


def test_a_dataset_of_records(tmp_path: Path) -> None:
    file = hdf5(tmp_path / "x.h5", {"reco/best": RECORDS})
    for name in (None, "reco/best", "best", "1"):
        cells, columns = read(file, name)
        assert cells["id"] == ["A1", "A2"]
        assert cells["n"] == [1, 2**40]
        assert cells["x"][0] == 2.5 and np.isnan(cells["x"][1])
        assert (cells["good"], cells["pair"]) == ([True, False], [[1, 2], [3, 4]])
        assert "w" not in columns, "complex numbers"
    packed = tmp_path / "x.h5.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    assert read(packed)[0]["n"] == [1, 2**40]


def test_a_group_of_columns(tmp_path: Path) -> None:
    file = hdf5(tmp_path / "x.h5", {"ra": np.arange(70_000.0), "name": [f"é{n}" for n in range(70_000)]})
    with h5py.File(file, "a") as out:
        out["ra"].attrs["unit"] = "rad"
        out["ra"].attrs["description"] = "where"
        out["_i_x/sorted"] = [1, 2, 3]
    cells, columns = read(file)
    assert cells["ra"] == list(range(70_000))
    assert cells["name"][-1] == "é69999"
    assert (columns["ra"].column.unit, columns["ra"].column.description) == ("rad", "where")


def test_which_table_is_told(tmp_path: Path) -> None:
    file = hdf5(tmp_path / "x.h5", {"a/one": RECORDS, "a/two": RECORDS, "b/x": [1.0], "b/y": [1.0, 2.0]})
    assert "holds 2 tables: 1 (a/one), 2 (a/two). Say with --table" in refusal(file)
    assert "holds no table" in refusal(hdf5(tmp_path / "y.h5", {"b/x": [1.0], "b/y": [1.0, 2.0]}))


def test_what_astropy_wrote(tmp_path: Path) -> None:
    table = Table(
        {
            "t": Time([58000.25, 58001.5], format="mjd", scale="tt"),
            "where": SkyCoord([1, 2], [3, 4], unit="deg", frame="fk5"),
            "energy": [1.0, 2.0] * u.TeV,
        }
    )
    table.write(tmp_path / "x.hdf5", path="events", serialize_meta=True)
    cells, columns = read(tmp_path / "x.hdf5")
    assert columns["t"].clock is not None and columns["t"].clock.scale == "tt"
    assert columns["ra"].frame is not None and str(columns["ra"].frame).startswith("FK5")
    assert (columns["energy"].column.unit, cells["energy"]) == ("TeV", [1.0, 2.0])


def test_what_attributes_say(tmp_path: Path) -> None:
    """In one text or in an array of one, as CF, ctapipe and others write them."""
    file = hdf5(tmp_path / "x.h5", {"e": [1.0, -9.0], "t": [1.0, 2.0], "ra": [1.0, 2.0], "pair": [[1, 2], [3, 4]]})
    with h5py.File(file, "a") as out:
        out["e"].attrs.update({"units": np.array([b"TeV"]), "_FillValue": np.array([-9.0]), "scale_factor": 1.0})
        out["t"].attrs.update({"unit": "d", "timeorigin": "JD"})
        out["ra"].attrs["equinox"] = "B1950"
        out["pair"].attrs["missing_value"] = 3
    cells, columns = read(file)
    assert (cells["e"], cells["pair"]) == ([1.0, None], [[1, 2], [None, 4]])
    assert columns["e"].column.unit == "TeV"
    clock, frame = columns["t"].clock, columns["ra"].frame
    assert clock is not None and not clock.is_ours and frame is not None and frame.system == "fk4"
    with h5py.File(file, "a") as out:
        out["e"].attrs["scale_factor"] = 1000.0
    assert "column e holds numbers that have to be turned by its attribute scale_factor" in refusal(file)


@pytest.mark.parametrize("said", [
    {"x_UNIT": "TeV"}, {"CTAFIELD_2_NAME": "x", "CTAFIELD_2_UNIT": "TeV"}, {"units": ["", "", "TeV", "", "", ""]},
    {"unit": "TeV"}, {"CTAFIELD_2_TRANSFORM_SCALE": 100.0},
], ids=str)  # fmt: skip
def test_what_is_said_of_records(tmp_path: Path, said: dict[str, Any]) -> None:
    file = hdf5(tmp_path / "x.h5", {"t": RECORDS})
    with h5py.File(file, "a") as out:
        out["t"].attrs.update(said)
    if told := {"unit": "does not say of which columns", "CTAFIELD_2_TRANSFORM_SCALE": "turned"}.get(next(iter(said))):
        assert told in refusal(file)
    else:
        columns = read(file)[1]
        assert (columns["x"].column.unit, columns["n"].column.unit) == ("TeV", None)


def test_a_published_column_is_not_left_out(tmp_path: Path) -> None:
    table = read_catalog(ROOT / "schemas").table("km3net.events")
    file, told = hdf5(tmp_path / "x.h5", {"energy": [1 + 2j], "w": [1j], "run": [1]}), list[str]()
    opened = open_file(file, None, lambda line, text: None, Options())
    matching.match(table, opened, None, lambda _, text: told.append(text))
    opened.close()
    assert [text for text in told if "not read" in text] == [
        'column "energy": cells of its type are not read: leave it out, or write numbers'
    ]


def test_damaged_hdf5(tmp_path: Path) -> None:
    whole = hdf5(tmp_path / "x.h5", {"t": RECORDS}).read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    assert "is damaged" in refusal(tmp_path / "cut.h5")
    (tmp_path / "not.h5").write_text("a,b\n1,2\n")
    assert "it is no HDF5 file" in refusal(tmp_path / "not.h5")
    rng = np.random.default_rng(1)
    for _ in range(200):
        broken = bytearray(whole)
        for place in rng.integers(8, len(whole), 3):
            broken[place] = rng.integers(256)
        (tmp_path / "broken.h5").write_bytes(broken)
        try:
            read(tmp_path / "broken.h5")
        except LoadError:
            pass
        except AssertionError:  # a text that is told not to be one
            pass


def test_uploads_are_never_of_these_formats(tmp_path: Path) -> None:
    """Their libraries are not made for files of strangers."""
    for file in (hdf5(tmp_path / "x.h5", {"t": RECORDS}), root(tmp_path / "x.root")):
        with file.open("rb") as plain, pytest.raises(ReadError, match="of no known format"):
            open_table(Content(plain), lambda line, text: None, Options())


def root(file: Path, events: int = 5) -> Path:
    """A file like KM3NeT's: trees E and T side by side, of which E has lists, and another tree."""
    awkward = pytest.importorskip("awkward")
    number = np.arange(events)
    with uproot.recreate(file) as out:
        events_tree = {
            **{name: number.astype(np.int32) for name in ("det_id", "run_id", "frame_index", "trigger_counter")},
            "t.fSec": (1_570_665_618 + number).astype(np.int32),
            "t.fNanoSec": np.full(events, 500_000_000, np.int32),
            "trks.E": awkward.Array([[10.0 * n + 1, 5.0] if n % 2 else [] for n in number]),
        }
        tree(out, "E", events_tree)
        summary = {"coords.trackfit_ra": np.where(number == 1, -999.0, number / 10), "n": number.astype(np.uint64)}
        tree(out, "T", summary)
        tree(out, "META", {"x": np.array([1.0])})
    return file


def tree(out: Any, name: str, cells: Mapping[str, Any]) -> None:
    """Write a tree, not an RNTuple."""
    kinds = {branch: getattr(each, "dtype", None) or each.type.content for branch, each in cells.items()}
    out.mktree(name, kinds)
    out[name].extend(cells)


def test_a_summary_of_events(tmp_path: Path) -> None:
    cells, columns = read(root(tmp_path / "x.root"))
    assert cells["trks.E[0]"] == [None, 11.0, None, 31.0, None]
    assert cells["trks.E"] == [[], [11.0, 5.0], [], [31.0, 5.0], []]
    assert cells["coords.trackfit_ra"] == [0.0, None, 0.2, 0.3, 0.4], "-999 is none"
    assert columns["coords.trackfit_ra"].column.unit == "rad"
    assert (cells["run_id"], cells["n"]) == ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])
    assert str(cells["event_time"][1]) == "2019-10-10 00:00:19.500000"
    assert cells["event_mjd"][0] == pytest.approx(58766 + 18.5 / 86400, abs=1e-9)
    assert len(set(cells["event_key"])) == 5 and all(key.startswith("KM3-") for key in cells["event_key"])
    assert "T" not in read(tmp_path / "x.root", "E")[1] and "n" not in read(tmp_path / "x.root", "E")[1]
    assert read(tmp_path / "x.root", "META")[0] == {"x": [1.0]}


def test_only_what_is_wanted_is_read(tmp_path: Path) -> None:
    opened = open_file(root(tmp_path / "x.root"), None, lambda line, text: None, Options())
    names = [column.name for column in opened.columns]
    opened.want({names.index("run_id")})
    (block,) = opened.blocks
    assert block.columns[names.index("run_id")].null_count == 0
    assert block.columns[names.index("trks.E")].null_count == 5


def test_damaged_root(tmp_path: Path) -> None:
    whole = root(tmp_path / "x.root").read_bytes()
    for name, content in (("cut", whole[: len(whole) // 2]), ("head", whole[:20]), ("zero", whole[:64] + bytes(4000))):
        (tmp_path / f"{name}.root").write_bytes(content)
        assert any(words in refusal(tmp_path / f"{name}.root") for words in ("damaged", "holds no table"))
    with uproot.recreate(tmp_path / "uneven.root") as out:
        tree(out, "E", {"x": np.arange(3)})
        tree(out, "T", {"y": np.arange(4)})
    assert "different numbers of events" in refusal(tmp_path / "uneven.root")
    with uproot.recreate(tmp_path / "none.root") as out:
        out["words"] = "none"
    assert "holds no table" in refusal(tmp_path / "none.root")
    with uproot.recreate(tmp_path / "newer.root") as out:
        out.mkrntuple("events", {"x": np.arange(3)})
    assert "RNTuples, which are not read" in refusal(tmp_path / "newer.root")


def test_files_of_the_collaboration() -> None:
    """The real ones, where the package of the collaboration's samples is installed."""
    samples = pytest.importorskip("km3net_testdata")
    cells, _ = read(Path(samples.data_path("dst/orca4_sample.root")))
    assert len(cells["event_key"]) == len(set(cells["event_key"])) == 2500
    assert cells["event_mjd"] == pytest.approx(cells["coords.mjd"], abs=1e-9)
    assert read(Path(samples.data_path("hdf5/basic_analysis_sample.h5")), "reco/gandalf")[0]["dir_z"]
