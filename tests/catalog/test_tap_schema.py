"""TAP_SCHEMA as TAP 1.1 §4 and taplint want it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from km3vo.adql.words import RESERVED
from km3vo.catalog.files import read_catalog
from km3vo.catalog.model import Catalog, Column, ForeignKey, Schema, Table
from km3vo.catalog.simulated import mark_simulated
from km3vo.catalog.tap_schema import TAP_SCHEMA, rows, size
from tests.support.folders import ROOT

CATALOG = read_catalog(ROOT / "schemas")
ROWS = rows(CATALOG)

# TAP 1.1 §4: what each table must have; those in the second group may never be NULL (taplint E_TSNL).
MANDATORY = {
    "schemas": "schema_name utype description schema_index",
    "tables": "schema_name table_name table_type utype description table_index",
    "columns": "table_name column_name datatype arraysize xtype size description utype unit ucd indexed principal std"
    " column_index",
    "keys": "key_id from_table target_table description utype",
    "key_columns": "key_id from_column target_column",
}
NEVER_NULL = {
    "schemas": "schema_name",
    "tables": "table_name table_type",
    "columns": "table_name column_name datatype indexed principal std",
    "keys": "key_id from_table target_table",
    "key_columns": "key_id from_column target_column",
}


@pytest.mark.parametrize("name", MANDATORY)
def test_the_tables_have_the_columns_of_the_standard(name: str) -> None:
    (table,) = (table for table in TAP_SCHEMA.tables if table.name == name)
    assert [column.name for column in table.columns] == MANDATORY[name].split()
    assert all(column.std for column in table.columns)
    for column in table.columns:
        number = column.name in ("size", "indexed", "principal", "std") or column.name.endswith("_index")
        assert (column.datatype, column.arraysize) == (("int", None) if number else ("char", "*"))


@pytest.mark.parametrize("name", MANDATORY)
def test_what_must_not_be_null_is_not(name: str) -> None:
    (table,) = (table for table in TAP_SCHEMA.tables if table.name == name)
    for key in NEVER_NULL[name].split():
        assert not table.column(key).nullable
        assert all(row[key] is not None for row in ROWS[name])


def test_rows_have_the_columns_of_their_table() -> None:
    assert list(ROWS) == [table.name for table in TAP_SCHEMA.tables]
    for table in TAP_SCHEMA.tables:
        assert all(list(row) == [column.name for column in table.columns] for row in ROWS[table.name])


def test_everything_is_listed_and_tap_schema_lists_itself() -> None:
    tables = {row["table_name"] for row in ROWS["tables"]}
    assert {"ant20_01.main", "antares.data", "icecube.ps3yr", "km3net.events"} < tables
    assert {f"tap_schema.{name}" for name in MANDATORY} < tables
    assert len(ROWS["columns"]) == sum(
        len(table.columns) for schema in (*CATALOG.schemas, TAP_SCHEMA) for table in schema.tables
    )
    assert len({(row["table_name"], row["column_name"]) for row in ROWS["columns"]}) == len(ROWS["columns"])


def test_reserved_words_are_quoted_and_nothing_else_is() -> None:
    quoted = {row["column_name"] for row in ROWS["columns"] if row["column_name"].startswith('"')}
    assert quoted == {'"size"'}
    assert not any(row["column_name"].upper() in RESERVED["2.1"] for row in ROWS["columns"])
    assert not any(part.upper() in RESERVED["2.1"] for row in ROWS["tables"] for part in row["table_name"].split("."))


def test_flags_are_the_integers_0_and_1() -> None:
    for row in ROWS["columns"]:
        assert all(type(row[key]) is int and row[key] in (0, 1) for key in ("indexed", "principal", "std"))


def test_positions_count_as_indexed() -> None:
    indexed = {row["column_name"] for row in ROWS["columns"] if row["table_name"] == "ant20_01.main" and row["indexed"]}
    assert indexed == {"id", "ra", "decl", "mjd"}


@pytest.mark.parametrize(("arraysize", "expected"), [(None, None), ("*", None), ("8*", 8), ("8", 8)])
def test_size_is_a_number_only_where_there_is_one(arraysize: str | None, expected: int | None) -> None:
    assert size(Column(name="x", datatype="char", arraysize=arraysize)) == expected


def test_references_join_what_exists() -> None:
    columns = {(row["table_name"], row["column_name"]): row["datatype"] for row in ROWS["columns"]}
    keys = {row["key_id"]: row for row in ROWS["keys"]}
    assert len(keys) == len(ROWS["keys"]) >= 5
    for row in ROWS["key_columns"]:
        key = keys[row["key_id"]]
        ours = columns[key["from_table"], row["from_column"]]
        assert ours == columns[key["target_table"], row["target_column"]]


def test_references_of_published_tables_are_listed() -> None:
    column = Column(name="size", datatype="int")
    table = Table(schema="s", name="t", title="T", description="T", columns=(column,))
    table = replace(table, keys=(ForeignKey(target="s.t", columns=(("size", "size"),)),))
    listed = rows(Catalog((Schema(name="s", title="S", description="S", tables=(table,)),)))
    assert listed["key_columns"][0] == {"key_id": "k001", "from_column": '"size"', "target_column": '"size"'}


def test_order_is_as_published_with_tap_schema_last() -> None:
    names = [row["schema_name"] for row in sorted(ROWS["schemas"], key=lambda row: row["schema_index"])]
    assert names == [*(schema.name for schema in CATALOG.schemas), "tap_schema"]


def test_look_alikes_say_so_and_are_not_cited() -> None:
    marked = mark_simulated(CATALOG, {"ant20_01.main"})
    table = marked.table("ant20_01.main")
    assert table.simulated
    assert "simulated" in table.title
    assert "SIMULATED" in next(r["description"] for r in rows(marked)["tables"] if r["table_name"] == "ant20_01.main")
    assert table.citation.bibcode is None
    assert table.citation.creators == ()
    assert marked.table("antares.data") == CATALOG.table("antares.data")
