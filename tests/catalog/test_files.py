"""Descriptions of schemas are read strictly, and what is wrong in them is said with its place and its repair."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from km3vo.catalog import entries
from km3vo.catalog.files import read_catalog
from km3vo.catalog.model import Range
from km3vo.errors import SetupError
from tests.support.folders import ROOT


def is_entry(kind: object) -> bool:
    """Whether it is a class of entries of schemas/*.yaml."""
    return isinstance(kind, type) and issubclass(kind, entries.Entry) and kind is not entries.Entry


SCHEMAS = ROOT / "schemas"

GOOD = """\
schema: lab
title: Laboratory
description: Tables for tests.
tables:
  - name: hits
    title: Hits
    description: Some hits.
    id: id
    position: {ra: ra, dec: dec, error: err}
    time: mjd
    columns:
      - {name: id, datatype: char, arraysize: "*", ucd: meta.id;meta.main, nullable: false, description: Identifier}
      - {name: ra, datatype: double, unit: deg, ucd: pos.eq.ra;meta.main, nullable: false, description: Right ascension}
      - {name: dec, datatype: double, unit: deg, ucd: pos.eq.dec;meta.main, nullable: false, description: Declination}
      - {name: err, datatype: double, unit: deg, ucd: stat.error;pos.eq, description: Error}
      - {name: mjd, datatype: double, unit: d, ucd: time.epoch, nullable: false, description: Time}
      - {name: seen, datatype: char, arraysize: "*", xtype: timestamp, nullable: false, description: Time again}
      - {name: charge, datatype: float, unit: pC, ucd: phys.electCharge, description: Charge}
"""

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A function that writes a description and returns its folder."""

    def write(text: str) -> Path:
        (tmp_path / "lab.yaml").write_text(text, encoding="utf-8")
        return tmp_path

    return write


def complaint(folder: Path) -> str:
    with pytest.raises(SetupError) as caught:
        read_catalog(folder)
    return str(caught.value)


def test_a_description_becomes_a_catalogue(write: Write) -> None:
    table = read_catalog(write(GOOD)).table("LAB.Hits")
    assert table.qualified == "lab.hits"
    assert [column.name for column in table.columns] == ["id", "ra", "dec", "err", "mjd", "seen", "charge"]
    assert table.column("id").arraysize == "*"
    assert not table.release.embargoed


def test_positions_have_ranges_without_being_told(write: Write) -> None:
    table = read_catalog(write(GOOD)).table("lab.hits")
    assert [str(table.column(name).range) for name in ("ra", "dec", "err")] == ["[0,360)", "[-90,90]", "(0,90]"]
    assert 360 not in (table.column("ra").range or Range())
    assert table.column("charge").range is None


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("unit: pC", "unit: degrees", 18, "charge > unit: 'degrees' is not a unit of VOUnits"),
        ("unit: pC", 'unit: ""', 18, "leave the key out when there is no unit"),
        ("ucd: phys.electCharge", "ucd: phys.charm", 18, "'phys.charm' is not a UCD1+"),
        ("ucd: time.epoch", "ucd: pos_eq_ra_main", 16, "is not a UCD1+"),
        ("ucd: stat.error;pos.eq", "ucd: pos.eq;stat.error", 15, "is not a UCD1+"),
        ("name: charge", "name: Charge", 18, "begin with a small letter"),
        ("name: charge", "name: _charge", 18, "begin with a small letter"),
        ("name: charge", "name: size", 18, "'size' is a reserved word of ADQL"),
        ("name: charge", "name: level", 18, "choose another name"),
        ("name: charge", "name: " + "c" * 64, 18, "is too long"),
        ("name: charge", "name: mjd", 11, "two columns are called mjd"),
        ("name: hits", "name: value", 5, "'value' is a reserved word of ADQL"),
        ("datatype: float", "datatype: real", 18, "Input should be 'boolean', 'unsignedByte'"),
        ("description: Charge", "description: Lad\u00fcng", 18, "is not ASCII"),
        ("description: Charge", "descriptoin: Charge", 18, "descriptoin: there is no such key"),
        ("description: Charge}", "}", 18, "charge > description: is missing"),
        ("description: Charge", "description: 12", 18, 'write it in quotes, "12"'),
        ("xtype: timestamp", "xtype: date", 17, "'date' is not an xtype of DALI"),
        ("xtype: timestamp", "xtype: point", 17, "xtype point goes with datatype double or float"),
        ('datatype: char, arraysize: "*", ucd', "datatype: char, ucd", 12, 'write arraysize: "*"'),
        ('datatype: char, arraysize: "*", ucd', 'datatype: char, arraysize: "5x", ucd', 12, "is not an arraysize"),
        ("unit: pC", 'unit: pC, range: "0 to 5"', 18, "is not a range: write [0,360)"),
        ("unit: pC", 'unit: pC, range: "[5,0]"', 18, "the smaller number comes first"),
        ("unit: pC", "unit: pC, values: [a, b]", 18, "only a string can have a list of values"),
        ("xtype: timestamp", 'xtype: timestamp, range: "[0,1]"', 17, "only a single number can have a range"),
        ("    id: id\n", "", 5, "a table with positions needs an id"),
        ("    id: id\n", "    id: name\n", 5, "id speaks of a column name, which the table does not have"),
        ("    id: id\n", "    id: charge\n", 5, "column charge is the id, so write nullable: false"),
        ("    id: id\n", "    id: mjd\n", 5, "so it must be of datatype char"),
        ("error: err", "error: charge", 5, "column charge is the radius of a circle, so it must be a number in deg"),
        ("ra: ra,", "ra: mjd,", 5, "column mjd is a position, so it must be a double in deg"),
        ("time: mjd", "time: ra", 5, "column ra is the time as MJD, so it must be a double in d"),
        ("    id: id\n", "    id: id\n    id: id\n", 9, "the key id is there twice"),
        (
            "    time: mjd\n",
            "    time: mjd\n    simulated: true\n",
            5,
            "the rows are simulated, so title or description",
        ),
        (
            "    time: mjd\n",
            "    time: mjd\n    release: {stream: offline, latency: 2 years, time: seen}\n",
            11,
            "release > latency: '2 years' is not a latency: write immediate, never, or a duration like P2Y",
        ),
        (
            "    time: mjd\n",
            "    time: mjd\n    release: {stream: offline, latency: P2Y}\n",
            5,
            "an embargo counts from a time: name the column in release.time",
        ),
        (
            "    time: mjd\n",
            "    time: mjd\n    release: {stream: offline, latency: P2Y, time: mjd}\n",
            5,
            "the embargo counts from column mjd: xtype: timestamp, nullable: false",
        ),
        (
            "    time: mjd\n",
            "    time: mjd\n    citation: {doi: doi:10.1/x}\n",
            11,
            "citation > doi: 'doi:10.1/x' does not have the form",
        ),
        (
            "    time: mjd\n",
            "    time: mjd\n    cone_names: {ra: RA, dec: RA}\n",
            5,
            "cone_names calls two columns the same",
        ),
        (
            "    time: mjd\n",
            "    time: mjd\n    sources: [{file: a.csv, columns: {id: {line: ANT}}}]\n",
            11,
            "'ANT' does not use the line number",
        ),
        (
            "    time: mjd\n",
            "    time: mjd\n    sources: [{file: a.csv, columns: {name: name}}]\n",
            5,
            "sources, a.csv speaks of a column name",
        ),
        (
            "    time: mjd\n",
            "    time: mjd\n    observation: {facility: LAB, instrument: LAB, level: 5}\n",
            11,
            "observation > level: Input should be less than or equal to 4",
        ),
        (
            "    time: mjd\n",
            '    time: mjd\n    links: [{semantics: "#auxiliary", description: x, content_type: text/plain}]\n',
            11,
            "write either url or file",
        ),
        (
            "    time: mjd\n",
            "    time: mjd\n    kept_by_service: true\n    sources: [{file: a.csv}]\n",
            5,
            "the service writes the rows",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line_and_repair(write: Write, old: str, new: str, line: int, words: str) -> None:
    assert GOOD.count(old) == 1
    message = complaint(write(GOOD.replace(old, new)))
    assert words in message
    assert message.startswith(f"lab.yaml line {line}: ")


def test_all_mistakes_are_told_at_once(write: Write) -> None:
    message = complaint(write(GOOD.replace("unit: pC", "unit: quux").replace("ucd: time.epoch", "ucd: tyme")))
    assert len(message.splitlines()) == 2


def test_what_is_not_yaml_is_told_with_its_line(write: Write) -> None:
    assert complaint(write(GOOD + "  - {name: [")).startswith("lab.yaml line 19: not YAML: ")


def test_an_empty_file_and_an_empty_folder_are_told(write: Write, tmp_path: Path) -> None:
    assert "No description of a published schema" in complaint(tmp_path)
    assert "the file is empty" in complaint(write(""))


def test_the_file_is_called_after_its_schema(write: Write) -> None:
    assert "call the file other.yaml" in complaint(write(GOOD.replace("schema: lab", "schema: other")))


@pytest.mark.parametrize("target", ["lab.nothing", "elsewhere.hits"])
def test_references_lead_to_published_tables(write: Write, target: str) -> None:
    keys = f"    keys: [{{target: {target}, columns: {{id: id}}}}]\n"
    assert f"no table {target} is published" in complaint(write(GOOD.replace("    id: id\n", "    id: id\n" + keys)))


def test_references_join_columns_of_one_type(write: Write) -> None:
    keys = "    keys: [{target: lab.hits, columns: {id: mjd}}]\n"
    assert "of another datatype" in complaint(write(GOOD.replace("    id: id\n", "    id: id\n" + keys)))


def test_two_tables_cannot_share_a_path(write: Write, tmp_path: Path) -> None:
    alias = GOOD.replace("    id: id\n", "    id: id\n    aliases: [/old/scs.xml]\n")
    (tmp_path / "mab.yaml").write_text(alias.replace("schema: lab", "schema: mab"))
    assert "alias /old/scs.xml of mab.hits belongs to lab.hits" in complaint(write(alias))


def test_astropy_is_not_loaded_before_it_is_needed() -> None:
    code = "import sys, km3vo.catalog.files, km3vo.catalog.tap_schema; sys.exit('astropy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_ours_are_described_completely() -> None:
    """What clients, registries and readers look for is there for each table that is published."""
    tables = read_catalog(SCHEMAS).tables
    lists = {table.qualified for table in tables if table.observation}
    assert lists == {"ant20_01.main", "antares.data", "icecube.ps3yr", "km3net.events", "km3net.offline"}
    for table in tables:
        assert table.citation.text or table.kept_by_service
        if table.observation:  # an event list
            assert table.position is not None
            assert table.time
            assert any(link.semantics == "#documentation" for link in table.links)
        assert table.subjects
        assert table.citation.creators
        assert table.citation.reference_url
        for column in table.columns:
            assert column.ucd, f"{table.qualified}.{column.name} has no UCD"
        assert any(column.principal for column in table.columns)


def test_old_clients_find_the_names_they_know() -> None:
    table = read_catalog(SCHEMAS).table("ant20_01.main")
    assert [name for _, name in table.cone_names] == ["MJD", "Beta", "Nhit", "RA", "Decl", "ID"]
    assert {column.name for column in table.columns} == {"id", "ra", "decl", "nhit", "beta", "mjd"}
    assert table.aliases == ("/ant20_01/nu/cone/scs.xml",)


def test_simulated_events_say_so_everywhere() -> None:
    schema = next(schema for schema in read_catalog(SCHEMAS).schemas if schema.name == "km3net")
    table = schema.tables[0]
    assert table.simulated
    texts = [schema.title, schema.description, table.title, table.description, table.citation.text]
    texts += [example.description for example in schema.examples if table.qualified in example.query]
    assert all("simulated" in text.lower() for text in texts)


@pytest.mark.parametrize("kind", [kind for kind in vars(entries).values() if is_entry(kind)])
def test_every_key_is_documented(kind: type[entries.Entry]) -> None:
    pages = [(SCHEMAS.parent / "docs" / page).read_text() for page in ("tables.md", "loading.md")]
    for name, field in kind.model_fields.items():
        assert any(f"`{field.alias or name}`" in page for page in pages), f"{kind.__name__}: {name}"
