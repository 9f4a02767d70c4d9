"""From tables to answers: roles, lists, methods, and the tables and reports that come out."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET

import numpy as np
import pyarrow as pa
import pytest
from astropy.io.votable import parse_single_table

from km3vo.catalog.model import Position, Table
from km3vo.column import Column
from km3vo.correlation import listed, process, question, report, results, roles
from km3vo.correlation.answer import Answer, answer
from km3vo.correlation.listed import Listed
from km3vo.correlation.question import Question
from km3vo.errors import Km3voError, ParameterError, TooLargeError
from km3vo.results import formats
from tests.correlation.skies import injected, isotropic

RA = Column(name="alpha", datatype="double", unit="deg", ucd="pos.eq.ra;meta.main")
DEC = Column(name="delta", datatype="double", unit="deg", ucd="pos.eq.dec;meta.main")
ERROR = Column(name="r", datatype="float", unit="arcmin", ucd="stat.error;pos.eq")
NAME = Column(name="name", datatype="char", arraysize="*", ucd="meta.id;meta.main")
WHEN = Column(name="seen", datatype="char", arraysize="*", xtype="timestamp", ucd="time.epoch")
COLUMNS = (NAME, ERROR, DEC, RA, WHEN)
SOURCE = (120.0, -30.0)


def batch(*rows: tuple[object, ...]) -> pa.RecordBatch:
    types = (pa.string(), pa.float32(), pa.float64(), pa.float64(), pa.timestamp("us"))
    cells = [pa.array(cell, kind) for cell, kind in zip(zip(*rows, strict=True), types, strict=True)]
    return pa.RecordBatch.from_arrays(cells, names=[column.name for column in COLUMNS])


ROWS = (
    ("b", 60.0, -10.0, 20.0, 86_400_000_000),
    ("a", None, 10.0, 30.0, None),
    ("c", 6.0, None, 40.0, 0),
)


def test_a_table_is_read_by_what_its_columns_mean() -> None:
    found = roles.find(COLUMNS, [], "events")
    read = listed.read("mine", COLUMNS, [batch(*ROWS[:2]), batch(*ROWS[2:])], found, 10)
    assert read.ids.to_pylist() == ["a", "b"] and read.without == 1
    np.testing.assert_allclose(read.ra, [30, 20])
    np.testing.assert_allclose(read.sigma, [np.nan, 1.0], rtol=1e-9)
    assert read.mjd is not None
    np.testing.assert_allclose(read.mjd, [np.nan, 40588])


def test_what_the_catalogue_says_of_a_table_comes_first() -> None:
    table = Table(
        schema="s", name="t", title="", description="", columns=(*COLUMNS, DEC, ERROR),
        position=Position(ra="alpha", dec="delta", error="r", share=0.9),
    )  # fmt: skip
    assert roles.find(COLUMNS, [table], "events").share == 0.9
    assert roles.find(COLUMNS, [table], "events", 0.5).share == 0.5
    assert roles.find(COLUMNS, [], "events").share == pytest.approx(1 - np.exp(-0.5))


def test_configurations_are_numbered_by_their_names() -> None:
    columns = (NAME, RA, DEC, Column(name="setup", datatype="char", arraysize="*", ucd="instr.setup"))
    cells = [
        pa.array(list("abcd")),
        pa.array([1.0, 2, 3, 4]),
        pa.array([1.0, 2, 3, 4]),
        pa.array(["Y", "X", None, "Y"]),
    ]
    whole = pa.RecordBatch.from_arrays(cells, names=[column.name for column in columns])
    read = listed.read("mine", columns, [whole.slice(0, 3), whole.slice(3)], roles.find(columns, [], "events"), 9)
    assert read.groups == ("", "X", "Y") and read.group is not None
    assert read.group.tolist() == [2, 1, 0, 2]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (COLUMNS[:3], "no position"),
        ((NAME, Column(name="l", datatype="double", unit="deg", ucd="pos.eq.ra", frame="GALACTIC"), DEC), "GALACTIC"),
    ],
)
def test_a_table_without_a_position_is_refused(columns: tuple[Column, ...], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        roles.find(columns, [], "sources")


def test_too_many_rows_are_refused_with_the_number() -> None:
    with pytest.raises(TooLargeError, match="more than 2 rows"):
        listed.read("mine", COLUMNS, [batch(*ROWS)], roles.find(COLUMNS, [], "events"), 2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"EVENTS": ""}, "EVENTS is missing"),
        ({"METHOD": "magic"}, "likelihood"),
        ({"WINDOW": "1d"}, "-500s,1d"),
        ({"WINDOW": "1d,-1d"}, "stops after"),
        ({"RADIUS": "large"}, "q90"),
        ({"RADIUS": "61"}, "60 degrees"),
        ({"SCRAMBLES": "1000000"}, "10000"),
        ({"SEED": "-1"}, "whole number"),
        ({"EVENTS_SHARE": "90"}, "0.9"),
    ],
)
def test_a_wrong_question_says_what_to_write(given: dict[str, str], said: str) -> None:
    with pytest.raises(Km3voError, match=said):
        question.read({"EVENTS": "a.b", "CATALOGUE": "c.d"} | given)


def test_windows_and_queries() -> None:
    assert question.window("-500s,1d") == (500 / 86400, 1)
    assert question.query("a.b", "dec > 0") == "SELECT * FROM a.b WHERE dec > 0"
    assert question.query("select 1 from x", "") == "select 1 from x"
    for table, condition in (("a.b; DROP", ""), ("SELECT * FROM a", "dec > 0")):
        with pytest.raises(ParameterError):
            question.query(table, condition)


def sky(seed: int = 5) -> Listed:
    """2000 events, of which 15 come from one direction, within ten days."""
    events = injected(isotropic(seed, 2000), seed, 15, *SOURCE, 0.5, (57500, 10))
    assert events.mjd is not None
    return Listed(
        name="sky", ids=pa.array([f"e{number:05d}" for number in range(2000)]), ra=events.ra, dec=events.dec,
        sigma=events.sigma, mjd=events.mjd, group=None, groups=(), weight=None, without=0,
    )  # fmt: skip


def sources() -> Listed:
    ra, dec = np.array([SOURCE[0], 10.0, 200.0, 300.0, 5.0]), np.array([SOURCE[1], 40.0, 0.0, -60.0, 89.0])
    return Listed(
        name="sources", ids=pa.array(list("PQRSX")), ra=ra, dec=dec, sigma=np.full(5, 0.1),
        mjd=np.array([57500.0, 57100, 57200, 57300, np.nan]), group=None, groups=(), weight=None, without=0,
    )  # fmt: skip


def asked(**given: str) -> Question:
    return question.read({"EVENTS": "sky", "CATALOGUE": "sources", "SEED": "7", **given})


QUESTIONS = {
    "count": asked(METHOD="count", SCRAMBLES="200"),
    "window": asked(METHOD="count", WINDOW="-20d,20d", SCRAMBLES="200"),
    "likelihood": asked(METHOD="likelihood", SCRAMBLES="30"),
    "stacking": asked(METHOD="stacking", SCRAMBLES="30"),
    "flare": asked(METHOD="flare", SCRAMBLES="4"),
}
ANSWERS: dict[str, Answer] = {}


def answered(name: str) -> Answer:
    if name not in ANSWERS:
        ANSWERS[name] = answer(QUESTIONS[name], sky(), sources(), threads=2)
    return ANSWERS[name]


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_source_is_found_and_the_pole_is_not_searched(name: str) -> None:
    found = answered(name)
    values = found.ts if name in ("likelihood", "stacking", "flare") else -found.p_local
    assert np.nanargmax(values) == 0
    if name == "window":  # without X, which has no time
        assert found.sources.ids.to_pylist() == list("PQRS") and found.start is not None
    else:
        assert list(found.searched) == [True] * 4 + [False]
        assert np.isnan(found.p_local[4]) and np.isnan(found.ts[4])
    if name == "flare":
        assert found.t0 is not None and found.width is not None
        assert abs(found.t0[0] - 57500) < 10 and 3 < found.width[0] < 40
    elif name != "count":
        assert found.p_local[0] < 1e-6
    near = found.pairs
    assert (near.separation < 15).all() and (found.p_pair > 0).all()
    assert found.s_over_b[near.source == 0].max() > 10


def test_scrambles_judge_what_formulas_say() -> None:
    found = answered("count")
    known = ~np.isnan(found.p_scramble)
    np.testing.assert_allclose(found.p_scramble[known], found.p_local[known], atol=0.12)
    assert np.isnan(found.p_scramble[0])  # none of 200 reached it: nothing is printed
    assert answered("stacking").stack is not None and answered("stacking").stack.ts > 20  # type: ignore[union-attr]


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_tables_hold_what_their_columns_say(name: str) -> None:
    found = answered(name)
    for made, rows in ((results.sources(found), len(found.sources)), (results.pairs(found), len(found.pairs))):
        document = b"".join(formats.find("votable").write(made))
        table = parse_single_table(io.BytesIO(document), verify="exception")
        assert len(table.array) == rows
        assert all(field.ucd for field in table.fields)
    infos = {
        element.get("name"): element.get("value") for element in ET.fromstring(document).iter() if "INFO" in element.tag
    }
    assert infos["seed"] == "7" and infos["method"] == found.question.method and "none" in str(infos["response"])


def test_the_order_of_rows_changes_no_byte() -> None:
    """The same rows in another order, on other threads: the same numbers, ids and pairs."""
    columns = (NAME, RA, DEC, Column(name="sigma", datatype="double", unit="deg", ucd="stat.error;pos.eq"))
    events = sky()

    def document(order: np.ndarray, threads: int) -> bytes:
        cells = [events.ids.take(pa.array(order)), *(pa.array(v[order]) for v in (events.ra, events.dec, events.sigma))]
        whole = pa.RecordBatch.from_arrays(cells, names=["name", "alpha", "delta", "sigma"])
        read = listed.read("sky", columns, [whole.slice(0, 700), whole.slice(700)], roles.find(columns, [], "e"), 9999)
        found = answer(QUESTIONS["likelihood"], read, sources(), threads=threads)
        tables = (results.sources(found), results.pairs(found))
        return b"".join(b"".join(formats.find("votable").write(table)) for table in tables)

    straight = np.arange(2000)
    assert document(straight, 1) == document(np.random.default_rng(1).permutation(straight), 2)


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_report_says_what_was_done_and_what_it_does_not_mean(name: str) -> None:
    found = answered(name)
    told = report.report(found)
    text = report.text(told)
    assert "2,000 events of sky" in text and "seed 7" in text and "no flux" in text
    assert told.rows[0][0] == "P"
    page = report.document(told, "picture.svg").decode()
    assert "<h1>sky and sources</h1>" in page and 'src="picture.svg"' in page
    drawn = ET.fromstring(report.drawn(found))
    assert len(drawn.findall(".//{*}g/{*}circle")) == len(found.sources)


def test_names_that_no_xml_can_hold_are_no_fault() -> None:
    listed = sources()
    found = answer(asked(METHOD="count", SCRAMBLES="0"), sky(), listed)
    strange = Listed(**{name: getattr(listed, name) for name in Listed.__slots__} | {"ids": pa.array(["\x01<&"] * 5)})
    changed = Answer(**{name: getattr(found, name) for name in Answer.__slots__} | {"sources": strange})
    assert ET.fromstring(report.drawn(changed)) is not None
    assert b"\x01" not in report.document(report.report(changed), "p")


def test_a_process_of_its_own_gives_the_same_and_can_be_stopped() -> None:
    work = process.Work(process.Correlation(QUESTIONS["likelihood"], sky(), sources(), None, 60))
    found = work.run()
    np.testing.assert_array_equal(found.ts, answered("likelihood").ts)
    assert work.done == 30
    bad = process.Work(process.Correlation(QUESTIONS["window"], sky(), sources().rows(np.array([4])), None, 60))
    with pytest.raises(ParameterError, match="no times"):
        bad.run()
    late = process.Work(process.Correlation(QUESTIONS["likelihood"], sky(), sources(), None, 60))
    late.cancel()
    with pytest.raises(Km3voError, match="stopped"):
        late.run()
