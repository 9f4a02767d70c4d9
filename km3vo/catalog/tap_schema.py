"""TAP_SCHEMA: the tables in which clients look up what can be queried, and their contents (TAP 1.1 §4)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from km3vo.adql.words import RESERVED
from km3vo.catalog.files import read_schema
from km3vo.catalog.model import Catalog, Column, Schema, Table

TAP_SCHEMA: Schema = read_schema(Path(__file__).with_name("tap_schema.yaml"))


def rows(catalog: Catalog) -> dict[str, list[dict[str, Any]]]:
    """The contents of the five TAP_SCHEMA tables for a catalogue and TAP_SCHEMA itself.

    Returns:
        name of the table (``schemas``, ``tables``, …) → its rows as column name → value, in an order in which the
        references between them hold.
    """
    schemas = [*(schema for schema in catalog.schemas if schema.name != TAP_SCHEMA.name), TAP_SCHEMA]
    tables = [table for schema in schemas for table in schema.tables]
    keys = [(table, key) for table in tables for key in table.keys]
    names = [f"k{number:03d}" for number in range(1, len(keys) + 1)]
    return {
        "schemas": [_schema(schema, index) for index, schema in enumerate(schemas, 1)],
        "tables": [_table(table, index) for index, table in enumerate(tables, 1)],
        "columns": [_column(table, column, index) for table in tables for index, column in enumerate(table.columns, 1)],
        "keys": [
            {
                "key_id": name,
                "from_table": table.qualified,
                "target_table": key.target,
                "description": key.description,
                "utype": key.utype,
            }
            for name, (table, key) in zip(names, keys, strict=True)
        ],
        "key_columns": [
            {"key_id": name, "from_column": as_written(ours), "target_column": as_written(theirs)}
            for name, (_, key) in zip(names, keys, strict=True)
            for ours, theirs in key.columns
        ],
    }


def as_written(name: str) -> str:
    """A name as it must be written in a query: in quotes when ADQL keeps the word for itself (TAP 1.1 §4.3)."""
    return f'"{name}"' if name.upper() in RESERVED["2.1"] else name


def size(column: Column) -> int | None:
    """What the old column "size" says: n for an arraysize of n or n*, else None (TAP 1.1 §4.3)."""
    length = (column.arraysize or "").removesuffix("*")
    return int(length) if length.isdigit() else None


def _schema(schema: Schema, index: int) -> dict[str, Any]:
    return {
        "schema_name": schema.name,
        "utype": schema.utype,
        "description": f"{schema.title}: {schema.description}",
        "schema_index": index,
    }


def _table(table: Table, index: int) -> dict[str, Any]:
    return {
        "schema_name": table.schema,
        "table_name": table.qualified,
        "table_type": table.kind,
        "utype": table.utype,
        "description": f"{table.title}: {table.description}",
        "table_index": index,
    }


def _column(table: Table, column: Column, index: int) -> dict[str, Any]:
    return {
        "table_name": table.qualified,
        "column_name": as_written(column.name),
        "datatype": column.datatype,
        "arraysize": column.arraysize,
        "xtype": column.xtype,
        "size": size(column),
        "description": column.description,
        "utype": column.utype,
        "unit": column.unit,
        "ucd": column.ucd,
        "indexed": int(is_indexed(table, column)),
        "principal": int(column.principal),
        "std": int(column.std),
        "column_index": index,
    }


def is_indexed(table: Table, column: Column) -> bool:
    """Whether conditions on a column are fast: an index of its own, the id's, or the one on positions."""
    named = {table.id}
    if table.position:
        named |= {table.position.ra, table.position.dec}
    return column.indexed or column.name in named
