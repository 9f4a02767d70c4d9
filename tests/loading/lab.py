"""A laboratory for loads: two described tables, rows for them, and what loading them comes to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Table as AstropyTable

from km3vo.catalog.model import Table
from km3vo.database.logins import INGEST, Database
from km3vo.errors import LoadError
from km3vo.loading import loads

SCHEMA = """\
schema: lab
title: Laboratory
description: Tables for tests.
tables:
  - &hits
    name: hits
    title: Hits
    description: Some hits.
    id: id
    position: {ra: ra, dec: dec, error: err}
    time: mjd
    sources:
      - file: released.dat
        separator: whitespace
        rows: 2
        skip: 1
        header: [right, dec, mjd, junk]
        ignore: [junk]
        columns:
          id: {line: "REL{line:03d}"}
          ra: {column: right, fold: 360}
          kind: {value: track}
    columns:
      - {name: id, datatype: char, arraysize: "*", nullable: false, description: Identifier}
      - {name: ra, datatype: double, unit: deg, nullable: false, description: Right ascension}
      - {name: dec, datatype: double, unit: deg, nullable: false, description: Declination}
      - {name: mjd, datatype: double, unit: d, nullable: false, range: "[50000,70000]", description: Time}
      - {name: kind, datatype: char, arraysize: "*", values: [track, shower], nullable: false, description: Kind}
      - {name: err, datatype: float, unit: deg, description: Error}
      - {name: energy, datatype: double, unit: GeV, range: "(0,]", description: Energy}
      - {name: hits, datatype: int, range: "[1,]", description: Hits}
      - {name: remark, datatype: unicodeChar, arraysize: "*", description: Remark}
      - {name: path, datatype: double, arraysize: "*", description: Path}
      - {name: good, datatype: boolean, description: Good}
  - name: late
    title: Late
    description: Hits under embargo.
    id: id
    position: {ra: ra, dec: dec}
    time: mjd
    release: {stream: slow, latency: P2Y, time: seen}
    columns:
      - {name: id, datatype: char, arraysize: "*", nullable: false, description: Identifier}
      - {name: ra, datatype: double, unit: deg, nullable: false, description: Right ascension}
      - {name: dec, datatype: double, unit: deg, nullable: false, description: Declination}
      - {name: mjd, datatype: double, unit: d, nullable: false, description: Time}
      - {name: seen, datatype: char, arraysize: "*", xtype: timestamp, nullable: false, description: Time}
"""
HEADER = "id,ra,dec,mjd,kind\n"
ROW = "A1,10.5,-20.5,58000.5,track\n"
FORMATS = {"x.ecsv": "ascii.ecsv", "x.vot": "votable", "x.fits": "fits", "x.parquet": "parquet"}

Write = Callable[..., Path]


def load(lab: Database, table: Table, *files: Path) -> loads.Loaded:
    with lab.connect(INGEST) as connection:
        return loads.load(connection, table, files)


def stored(lab: Database, what: str = "id", table: str = "lab.hits") -> list[tuple[object, ...]]:
    with lab.connect() as admin:
        return admin.execute(f"SELECT {what} FROM {table} ORDER BY id").fetchall()


def refused(lab: Database, table: Table, *files: Path) -> list[str]:
    """The lines of the complaint, after having seen that nothing was loaded."""
    with pytest.raises(LoadError) as caught:
        load(lab, table, *files)
    assert stored(lab, table=table.qualified) == []
    with lab.connect() as admin:
        assert admin.execute("SELECT count(*) FROM km3vo.load").fetchone() == (0,)
    return str(caught.value).splitlines()


def table_of_two(**changes: object) -> AstropyTable:
    columns: dict[str, object] = {
        "id": ["A1", "A2"],
        "RA": np.array([10.5, 11.5]) * u.deg,
        "dec": np.array([-20.5, -21.5]) * u.deg,
        "mjd": np.array([58000.5, 58001.5]) * u.d,
        "kind": ["track", "shower"],
        "energy": np.array([1.0, 2.0]) * u.TeV,
        "hits": np.ma.MaskedArray(np.array([3, 0], np.int32), mask=[False, True]),
    }
    return AstropyTable(columns | changes)
