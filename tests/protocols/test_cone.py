"""Simple Cone Search 1.03, asked as clients ask, checked against astropy's geometry."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import astropy.units as u
import httpx
import numpy as np
import pytest
import pyvo
from astropy.coordinates import SkyCoord
from astropy.io.votable import parse
from astropy.table import Table

from km3vo.database.logins import Database
from tests.support.databases import ROWS
from tests.support.server import Server, serve


def search(server: Server, table: str = "icecube/ps3yr", **parameters: Any) -> Table:
    answer = httpx.get(f"{server.url}/scs/{table}", params=parameters)
    assert answer.headers["content-type"].startswith("text/xml")
    return parse(io.BytesIO(answer.content)).get_first_table().to_table()


def error(server: Server, method: str = "GET", **parameters: Any) -> str:
    """The message of an error answer, which must have the form that SCS 1.03 §2.3 asks for."""
    answer = httpx.request(method, f"{server.url}/scs/icecube/ps3yr", params=parameters)
    assert answer.status_code == 200
    (info,) = parse(io.BytesIO(answer.content)).infos
    assert info.name == "Error"
    return str(info.value)


@pytest.fixture(scope="module")
def events(server: Server) -> Table:
    """All events of the table, by TAP."""
    return pyvo.dal.TAPService(server.tap).search("SELECT id, ra, dec FROM icecube.ps3yr").to_table()


@pytest.mark.parametrize(
    ("ra", "dec", "radius"),
    [
        (180, 0, 10), (0, 10, 15), (359.9, -20, 15), (0, 90, 20), (123, -90, 20), (45, 60, 89.9),
        (45, 60, 90), (45, 60, 90.1), (200, -30, 150), (10, 10, 180), (360, 0, 10),
    ],
)  # fmt: skip
def test_the_answer_is_all_events_within_the_radius(
    server: Server, events: Table, ra: float, dec: float, radius: float
) -> None:
    found = search(server, RA=ra, DEC=dec, SR=radius)
    distance = SkyCoord(events["ra"], events["dec"], unit="deg").separation(SkyCoord(ra, dec, unit="deg")).deg
    assert set(found["id"]) == set(events["id"][distance <= radius])
    assert np.all(np.diff(found["_r"]) >= 0), "nearest first"
    there = SkyCoord(found["ra"], found["dec"], unit="deg").separation(SkyCoord(ra, dec, unit="deg"))
    assert np.allclose(there.deg, found["_r"], atol=1e-9)


def test_no_radius_asks_for_the_columns_alone(server: Server) -> None:
    found = search(server, RA=180, DEC=0, SR=0)
    assert len(found) == 0
    assert {"id", "ra", "dec"} <= set(found.colnames)


@pytest.mark.parametrize("verbosity", [1, 2, 3])
def test_identifier_and_position_are_always_there_by_their_old_names(server: Server, verbosity: int) -> None:
    answer = httpx.get(f"{server.url}/scs/km3net/events?RA=0&DEC=0&SR=40&VERB={verbosity}")
    fields = parse(io.BytesIO(answer.content)).get_first_table().fields
    ucds = [field.ucd for field in fields]
    for ucd in ("ID_MAIN", "POS_EQ_RA_MAIN", "POS_EQ_DEC_MAIN"):
        assert ucds.count(ucd) == 1
    assert len(fields) == {1: 4, 2: len(fields), 3: 21}[verbosity]


def test_a_longer_answer_than_maxrec_is_marked(server: Server) -> None:
    answer = httpx.get(f"{server.url}/scs/icecube/ps3yr?RA=0&DEC=0&SR=180&MAXREC=5")
    assert b'value="OVERFLOW"' in answer.content
    assert len(search(server, RA=0, DEC=0, SR=180, MAXREC=5)) == 5
    whole = httpx.get(f"{server.url}/scs/icecube/ps3yr?RA=0&DEC=0&SR=180&MAXREC={ROWS['icecube.ps3yr']}")
    assert b"OVERFLOW" not in whole.content


@pytest.mark.parametrize("table", ["ant20_01/main", "antares/data", "icecube/ps3yr", "km3net/events"])
def test_rows_written_by_postgresql_are_those_written_cell_by_cell(server: Server, table: str) -> None:
    asked = {"RA": 200, "DEC": -20, "SR": 60, "VERB": 3}
    texts, cells = search(server, table, **asked), search(server, table, **asked, RESPONSEFORMAT="text/xml;version=1.5")
    assert len(texts) > 0
    assert texts.colnames == cells.colnames
    for name in texts.colnames:
        left, right = texts[name], cells[name]
        if left.dtype.kind == "O":
            left, right = ([str(cell).rstrip("0") for cell in column] for column in (left, right))  # of seconds
        assert np.array_equal(left, right), name


@pytest.mark.parametrize("form", ["votable", "votable/td", "csv"])
def test_a_long_answer_is_streamed_and_the_same(
    published: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setenv("KM3VO_LIMITS_CONE_MAXREC", "50")
    with serve(published, tmp_path) as server:
        whole = f"{server.url}/scs/icecube/ps3yr?RA=10.5&DEC=-0.25&SR={{}}&RESPONSEFORMAT={form}&MAXREC={{}}"
        streamed = httpx.get(whole.format(180, 1999))
        assert "content-length" not in streamed.headers
        if form == "csv":
            assert len(streamed.text.splitlines()) == 2000
        else:
            assert len(parse(io.BytesIO(streamed.content)).get_first_table().array) == 1999
            assert b'value="OVERFLOW"' in streamed.content
        near, far = (httpx.get(whole.format(3, maxrec)).content for maxrec in (50, 51))
        rows = [document.partition(b"<TABLE")[2] for document in (near, far)]
        assert rows[0] == rows[1]
        assert httpx.get(whole.format(0, 51)).status_code == 200


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"DEC": 0, "SR": 1}, "RA is missing"),
        ({"RA": "", "DEC": 0, "SR": 1}, "RA is missing"),
        ({"RA": 400, "DEC": 0, "SR": 1}, "RA=400 is outside"),
        ({"RA": 0, "DEC": -91, "SR": 1}, "DEC=-91 is outside"),
        ({"RA": 0, "DEC": 0, "SR": -1}, "SR=-1 is outside"),
        ({"RA": 0, "DEC": 0, "SR": 181}, "SR=181 is outside"),
        ({"RA": "nan", "DEC": 0, "SR": 1}, "RA=nan is outside"),
        ({"RA": "12:30:00", "DEC": 0, "SR": 1}, "RA=12:30:00 is not a number"),
        ({"RA": 0, "DEC": 0, "SR": 1, "VERB": 7}, "VERB=7"),
        ({"RA": 0, "DEC": 0, "SR": 1, "MAXREC": -1}, "MAXREC=-1"),
        ({"RA": [1, 2], "DEC": 0, "SR": 1}, "RA is given 2 times"),
        ({"RA": 0, "DEC": 0, "SR": 1, "RESPONSEFORMAT": "papyrus"}, "papyrus"),
    ],
)
def test_a_mistake_is_told_in_a_votable(server: Server, parameters: dict[str, Any], words: str) -> None:
    assert words in error(server, **parameters)


def test_a_mistake_cannot_break_out_of_the_document(server: Server) -> None:
    assert '"><x/>' in error(server, RA='"><x/>', DEC=0, SR=1)


def test_parameters_in_any_case_and_by_post(server: Server) -> None:
    url = f"{server.url}/scs/icecube/ps3yr"
    asked = {"ra": "180", "Dec": "0", "sr": "10", "unknown": "ignored"}
    got = [httpx.get(url, params=asked), httpx.post(url, data=asked), httpx.post(url, files={}, data=asked)]
    counts = {len(parse(io.BytesIO(answer.content)).get_first_table().array) for answer in got}
    assert len(counts) == 1
    assert counts != {0}


@pytest.mark.parametrize("path", ["/scs/ant20_01/main", "/ant20_01/nu/cone/scs.xml"])
def test_the_columns_of_todays_server(server: Server, path: str) -> None:
    answer = httpx.get(f"{server.url}{path}?RA=180&DEC=-30&SR=90")
    table = parse(io.BytesIO(answer.content)).get_first_table()
    assert [field.name for field in table.fields] == ["_r", "MJD", "Beta", "Nhit", "RA", "Decl", "ID"]
    assert len(table.array) > 0


def test_pyvo(server: Server, events: Table) -> None:
    found = pyvo.dal.SCSService(f"{server.url}/scs/icecube/ps3yr").search((43, 35), 20)
    distance = SkyCoord(events["ra"], events["dec"], unit="deg").separation(SkyCoord(43 * u.deg, 35 * u.deg)).deg
    assert {record.id for record in found} == set(events["id"][distance <= 20])


def test_csv(server: Server) -> None:
    answer = httpx.get(f"{server.url}/scs/icecube/ps3yr?RA=180&DEC=0&SR=20&RESPONSEFORMAT=csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.text.splitlines()[0].startswith("_r,id,")


def test_nothing_found_is_an_answer_like_others(server: Server) -> None:
    for parameters in ({"SR": 1e-7}, {"SR": 10, "MAXREC": 0}):
        answer = httpx.get(f"{server.url}/scs/icecube/ps3yr", params={"RA": 1.2345, "DEC": 6.789, **parameters})
        document = parse(io.BytesIO(answer.content))
        assert len(document.get_first_table().array) == 0
        assert len(document.get_first_table().fields) > 3
        assert [info.name for info in document.infos if info.name == "Error"] == []


def test_there_is_one_table_and_one_of_each_mandatory_field(server: Server) -> None:
    """A text, unique, and two numbers: what registries' validators look for first (SCS 1.03 §2.2)."""
    for path in ("ant20_01/main", "antares/data", "icecube/ps3yr", "km3net/events"):
        answer = httpx.get(f"{server.url}/scs/{path}?RA=180&DEC=-30&SR=60")
        document = parse(io.BytesIO(answer.content))
        assert len(document.resources) == len(list(document.iter_tables())) == 1
        table = document.get_first_table()
        (identifier,) = [field for field in table.fields if field.ucd == "ID_MAIN"]
        assert (identifier.datatype, identifier.arraysize) == ("char", "*")
        values = list(table.array[identifier.ID])
        assert len(set(values)) == len(values) > 0
        for ucd in ("POS_EQ_RA_MAIN", "POS_EQ_DEC_MAIN"):
            (position,) = [field for field in table.fields if field.ucd == ucd]
            assert (position.datatype, position.arraysize, str(position.unit)) == ("double", None, "deg")


def _said(content: bytes) -> dict[str, tuple[Any, ...]]:
    """What a VOTable says of each column: everything but its UCD, with the systems that it refers to."""
    document = parse(io.BytesIO(content))
    systems = {each.ID: (each.system, each.equinox) for each in document.iter_coosys()}
    systems |= {each.ID: (each.timescale, each.refposition, str(each.timeorigin)) for each in document.iter_timesys()}
    return {
        field.name: (str(field.unit), field.datatype, field.arraysize, field.xtype, systems.get(field.ref))
        for field in document.get_first_table().fields
    }


@pytest.mark.parametrize("table", ["icecube.ps3yr", "km3net.events", "antares.data"])
def test_a_cone_says_of_its_columns_what_tap_says(server: Server, table: str) -> None:
    place = {"RA": 180, "DEC": 0, "SR": 0, "VERB": 3}
    cone = _said(httpx.get(f"{server.url}/scs/{table.replace('.', '/')}", params=place).content)
    asked = {"LANG": "ADQL", "QUERY": f"SELECT TOP 1 * FROM {table}", "RESPONSEFORMAT": "votable/td"}
    tap = _said(httpx.get(f"{server.tap}/sync", params=asked, timeout=60).content)
    assert cone.pop("_r")[0] == "deg"
    assert cone == {name: tap[name] for name in cone}
    assert any(unit == "deg" for unit, *_ in cone.values())
    assert any(system and system[0] == "UTC" for *_, system in cone.values())
