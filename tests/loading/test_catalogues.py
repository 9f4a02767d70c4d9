"""Catalogues of sources, loaded from the copies at hand: rows, units, times, and what is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from km3vo.catalog.model import Catalog, Recipe, ReleasedFile, Table
from km3vo.column import Column
from km3vo.database.logins import INGEST, Database
from km3vo.loading import loads
from km3vo.loading.columns import match
from km3vo.loading.files import find_sources, open_file
from km3vo.readers.opened import Options

ROWS = {
    "cat.fermi_4fgl": 6659,
    "cat.fermi_3fgl": 3034,
    "cat.gamma_cat": 166,
    "cat.grbweb": 7489,
    "cat.fermi_gbm": 3000,
    "cat.fermi_lat_grb": 146,
    "cat.swift_bat": 1516,
    "icecube.icecat1": 348,
    "icecube.cascades": 26,
    "icecube.gcn_notices": 321,
}
FIRST = {
    "cat.fermi_4fgl": ("name = '4FGL J0509.4+0542'", "round(conf_95_semimajor::numeric, 4), class1", (0.0121, "bll")),
    "cat.fermi_lat_grb": ("name = 'GRB080916009'", "round(mjd::numeric, 6), ra", (54725.008854, 119.84717)),
    "cat.swift_bat": (
        "grb = 'GRB220715B'",
        "id, trigger_time::text, round((pos_error * 60)::numeric, 5)",
        ("BAT-0001", "2022-07-15 22:24:42.17808", 1.06689),
    ),
    "icecube.icecat1": ("name = 'IC170922A'", "p_astro, energy", (0.631, 264)),
    "icecube.cascades": ("name = 'IC240518A'", "err90, p_astro", (15.38, None)),
    "icecube.gcn_notices": (
        "notice_id = 'HESE-01'",
        "run, event, mjd, err50, p_track, comment",
        (132628, 41485283, 58632.0801181713, 8.9, 0.53, "AMON_ICECUBE_HESE"),
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_catalogue_is_loaded(database: Database, catalog: Catalog, data_dir: Path, name: str) -> None:
    table = catalog.table(name)
    with database.connect(INGEST) as connection:
        assert loads.load(connection, table, find_sources(table, data_dir)).rows == ROWS[name]
    with database.connect() as admin:
        found = admin.execute(f"SELECT count(*) FROM {name} WHERE ra IS NULL OR dec IS NULL").fetchone()
        assert found == (0,)
        if name in FIRST:
            condition, columns, expected = FIRST[name]
            row = admin.execute(f"SELECT {columns} FROM {name} WHERE {condition}").fetchone()
            assert row is not None
            assert [float(v) if isinstance(w, float | int) else v for v, w in zip(row, expected, strict=True)] == [
                pytest.approx(w) if isinstance(w, float | int) else w for w in expected
            ]


RESPONSES = {
    "icecube.effective_area": 42000,
    "icecube.angular_resolution": 21,
    "km3net.arca230_area": 1440,
    "km3net.arca230_spread": 64000,
    "km3net.arca230_energy": 800,
    "km3net.arca230_background": 1600,
}


@pytest.mark.parametrize("name", RESPONSES)
def test_a_response_is_loaded(database: Database, catalog: Catalog, data_dir: Path, name: str) -> None:
    table = catalog.table(name)
    with database.connect(INGEST) as connection:
        assert loads.load(connection, table, find_sources(table, data_dir)).rows == RESPONSES[name]


TABLE = Table(
    schema="s",
    name="t",
    title="",
    description="",
    columns=(
        Column(name="a", datatype="double", unit="deg", ucd="stat.error;pos.eq"),
        Column(name="t", datatype="double", unit="d", ucd="time.epoch"),
    ),
)
SOURCE = ReleasedFile(
    file="x.csv",
    columns=(("a", Recipe(column="r", unit="arcmin")), ("t", Recipe(column="day", seconds="sec"))),
    ignore=("*",),
    missing=("None",),
    required=("ra",),
)


def read(tmp_path: Path, text: str) -> tuple[list[tuple[object, ...]], list[int], list[str]]:
    """The rows that are made of a file, their lines, and the mistakes."""
    (tmp_path / "x.csv").write_text(text)
    mistakes: list[str] = []
    note = lambda line, text: mistakes.append(f"{line}: {text}")  # noqa: E731
    opened = open_file(tmp_path / "x.csv", SOURCE, note, Options())
    fitting = match(TABLE, opened, SOURCE, note)
    rows: list[tuple[object, ...]] = []
    lines: list[int] = []
    for block in fitting.opened.blocks:
        rows += zip(*(column.to_pylist() for column in fitting.fit(block).columns), strict=True)
        lines += block.lines.to_pylist()
    opened.close()
    return rows, lines, mistakes


def test_units_dates_missing_words_and_rows_without_a_position(tmp_path: Path) -> None:
    text = "ra,r,day,sec,other\n1,30,2000-01-01,43200,x\n,30,2000-01-01,0,x\n2,None,2000-01-02,None,x\n"
    rows, lines, mistakes = read(tmp_path, text)
    assert rows == [(pytest.approx(0.5), 51544.5), (None, None)]
    assert lines == [2, 4] and not mistakes


def test_a_date_that_is_none_is_told(tmp_path: Path) -> None:
    _, _, mistakes = read(tmp_path, "ra,r,day,sec\n1,30,soon,43200\n1,30,2000-01-01,noon\n")
    assert len(mistakes) == 2 and "line" not in mistakes[0]
    assert mistakes[0].startswith("2: column t:") and mistakes[1].startswith("3: column t:")


def test_a_column_of_seconds_that_is_not_there(tmp_path: Path) -> None:
    _, _, mistakes = read(tmp_path, "ra,r,day\n1,30,2000-01-01\n")
    assert any("sec" in mistake for mistake in mistakes)
